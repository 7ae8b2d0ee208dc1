"""Versions of the player software, for players that fetch their updates themselves."""

import re
from typing import Any
from urllib.parse import urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Invalid
from hub.domain.quotas import Quotas
from hub.domain.releases import order
from hub.domain.times import rfc3339
from hub.services.recorded_change import change, check_version
from hub.store import releases as store
from hub.store.database import Database
from hub.store.tables import Release


class Releases:
    def __init__(self, db: Database, bus: Bus, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus

    async def listing(self, actor: Actor) -> list[dict[str, Any]]:
        """All of the team, the newest version first."""
        actor.require("read:players")
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id)
        return [_describe(release) for release in sorted(found, key=_place, reverse=True)]

    async def get(self, actor: Actor, release_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:players")
        async with self._db.session() as session:
            return _describe(await store.get(session, actor.team_id, release_id))

    async def newest(self, team_id: int) -> dict[str, Any] | None:
        """The newest active one: its `version`, `url`, `sha256`, `size`, `notes`, `mandatory`. None: there is none."""
        async with self._db.session() as session:
            found = await store.find(session, team_id, active=True)
        return _offer(max(found, key=_place)) if found else None

    async def update_for(self, team_id: int, running: str | None) -> dict[str, Any] | None:
        """The newest active version, if it is newer than the one that `running` names."""
        newest = await self.newest(team_id)
        if newest is None or (running is not None and order(newest["version"]) <= order(running)):
            return None
        return newest

    async def create(self, actor: Actor, fields: dict[str, Any], *, face: str) -> dict[str, Any]:
        """`fields`: version_name, url, sha256, and optionally size, notes, mandatory, active.

        Raises Invalid, Conflict (the version is there, or too many are).
        """
        actor.require("admin")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            release = Release(team_id=actor.team_id, version_name="", url="", sha256="", created_at=made.now)
            _apply(release, fields)
            await made.check(self._quotas, "releases")
            await _refuse_twin(made.session, release)
            made.session.add(release)
            await made.session.flush()
            await made.say("release.created", **_named(release))
        return _describe(release)

    async def update(
        self, actor: Actor, release_id: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Raises NotFound, Invalid, PreconditionFailed, Conflict (the version is there)."""
        actor.require("admin")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            release = await store.get(made.session, actor.team_id, release_id)
            check_version(release, version)
            with made.session.no_autoflush:
                _apply(release, changes)
                await _refuse_twin(made.session, release)
            release.version += 1
            made.session.add(release)
            await made.say("release.updated", **_named(release), changed=sorted(changes))
        return _describe(release)

    async def delete(self, actor: Actor, release_id: int, *, face: str) -> None:
        """Raises NotFound."""
        actor.require("admin")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            release = await store.get(made.session, actor.team_id, release_id)
            await made.say("release.deleted", **_named(release))
            await made.session.delete(release)


async def _refuse_twin(session: AsyncSession, release: Release) -> None:
    twin = await store.by_version(session, release.team_id, release.version_name)
    if twin is not None and twin.id != release.id:
        raise Conflict(f"There is a release {release.version_name} already.", code="version_taken")


def _apply(release: Release, fields: dict[str, Any]) -> None:
    if "url" in fields:
        _check_url(fields["url"])
    if "sha256" in fields:
        fields = fields | {"sha256": fields["sha256"].lower()}
    for name, value in fields.items():
        setattr(release, name, value)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        good = False
    if not good or not re.fullmatch(r"[!-~]+", url):
        raise Invalid.field("url", "must be an address that starts with https:// and holds no user name")


def _place(release: Release) -> tuple[Any, int]:
    return order(release.version_name), release.id or 0


def _named(release: Release) -> dict[str, Any]:
    return {"release_id": release.id, "version_name": release.version_name, "active": release.active}


def _offer(release: Release) -> dict[str, Any]:
    return {
        "version": release.version_name,
        "url": release.url,
        "sha256": release.sha256,
        "size": release.size,
        "notes": release.notes,
        "mandatory": release.mandatory,
    }


def _describe(release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "version_name": release.version_name,
        **{name: value for name, value in _offer(release).items() if name != "version"},
        "active": release.active,
        "created_at": rfc3339(release.created_at),
        "version": release.version,
    }
