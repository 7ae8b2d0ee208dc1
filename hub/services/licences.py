"""Licences: keys that devices send to be licensed, one device a key."""

from typing import Any

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import Actor
from hub.domain.errors import Invalid
from hub.domain.quotas import Quotas
from hub.domain.times import now_ms, rfc3339, rfc3339_or_none
from hub.domain.wording import unknown
from hub.services.recorded_change import change, check_version
from hub.store import licences as store
from hub.store.database import Database
from hub.store.ownership import of_team
from hub.store.tables import Licence, Player

ATTEMPTS = 5  # keys tried; of a million million, one that is taken is a rare sight


class Licences:
    def __init__(self, db: Database, bus: Bus, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus

    async def listing(self, actor: Actor) -> list[dict[str, Any]]:
        actor.require("admin")
        async with self._db.session() as session:
            return [_describe(licence) for licence in await store.find(session, actor.team_id)]

    async def get(self, actor: Actor, licence_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("admin")
        async with self._db.session() as session:
            return _describe(await store.get(session, actor.team_id, licence_id))

    async def create(self, actor: Actor, *, key: str | None, note: str | None, face: str) -> dict[str, Any]:
        """A licence that no device holds yet; without `key` one is made. Raises Invalid, Conflict (too many)."""
        actor.require("admin")
        wanted = [ids.licence_key() for _ in range(ATTEMPTS)] if key is None else [_normal(key)]
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            await made.check(self._quotas, "licences")
            taken = await store.taken(made.session, wanted)
            free = next((one for one in wanted if one not in taken), None)
            if free is None:
                raise Invalid.field("key", "has already been taken")
            licence = Licence(team_id=actor.team_id, key=free, note=note, created_at=made.now)
            made.session.add(licence)
            await made.session.flush()
            await made.say("licence.created", **_named(licence))
        return _describe(licence)

    async def update(
        self, actor: Actor, licence_id: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `note` or `player_id`: the licence moves to that player at once.

        Raises NotFound, Invalid, PreconditionFailed.
        """
        actor.require("admin")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            licence = await store.get(made.session, actor.team_id, licence_id)
            check_version(licence, version)
            licence.note = changes.get("note", licence.note)
            if (player_id := changes.get("player_id")) is not None:
                if not await of_team(made.session, Player, actor.team_id, [player_id]):
                    raise unknown("player_id", "player")
                if player_id != licence.player_id:
                    licence.player_id, licence.activated_at = player_id, made.now
            licence.version += 1
            made.session.add(licence)
            await made.say("licence.updated", **_named(licence), changed=sorted(changes))
        return _describe(licence)

    async def delete(self, actor: Actor, licence_id: int, *, face: str) -> None:
        """The key licenses nobody any more. Raises NotFound."""
        actor.require("admin")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            licence = await store.get(made.session, actor.team_id, licence_id)
            await made.say("licence.deleted", **_named(licence))
            await made.session.delete(licence)

    async def activate(self, team_id: int, key: str, player_id: int) -> bool:
        """A device sent this key. Answers whether the key is one of the team's and now, or already, the player's."""
        holds: bool = await self._db.write(store.activate, team_id, _normal(key), player_id, now_ms())
        if holds:
            self._bus.publish(("events", team_id))
        return holds

    async def is_licensed(self, player_id: int) -> bool:
        async with self._db.session() as session:
            return await store.licensed(session, player_id)


def _normal(key: str) -> str:
    """A key as it is kept: people type it in any case."""
    return key.strip().upper()


def _named(licence: Licence) -> dict[str, Any]:
    """What an event tells: by its number, not by its key, which whoever holds it may use."""
    return {"licence_id": licence.id, "player_id": licence.player_id}


def _describe(licence: Licence) -> dict[str, Any]:
    return {
        "id": licence.id,
        "key": licence.key,
        "note": licence.note,
        "player_id": licence.player_id,
        "activated_at": rfc3339_or_none(licence.activated_at),
        "created_at": rfc3339(licence.created_at),
        "version": licence.version,
    }
