"""Credentials: who is calling, and the API keys of a team."""

from dataclasses import replace
from typing import Any

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import Actor, grantable
from hub.domain.errors import Invalid
from hub.domain.events import Event
from hub.domain.times import now_ms, rfc3339, rfc3339_or_none
from hub.store import events, teams
from hub.store.database import Database
from hub.store.tables import ApiKey

CACHE_LIMIT = 10_000  # keys remembered as good; a busy hub then asks the database once a minute a key
CACHE_MS = 60_000  # a revocation is heard of at once here and within a second elsewhere; this is only the net below


class Access:
    def __init__(self, db: Database, bus: Bus) -> None:
        self._db = db
        self._bus = bus
        self._known: dict[str, tuple[Actor, int]] = {}  # digest: (actor, good until)
        self._used: dict[int, tuple[int, str | None, str | None]] = {}
        bus.subscribe(("keys", None), self.forget)

    async def authenticate(self, token: str, *, address: str | None, agent: str | None) -> Actor | None:
        """The actor behind a bearer token, or None: unknown, expired, revoked, or of a kind that is no caller."""
        if not token.startswith(ids.API_KEY_PREFIX):
            return None
        digest = ids.digest(token)
        now = now_ms()
        known = self._known.get(digest)
        if known is None or known[1] <= now:
            async with self._db.session() as session:
                key = await teams.key_by_digest(session, digest)
            if key is None or key.revoked_at is not None or (key.expires_at or now + 1) <= now:
                self._known.pop(digest, None)
                return None
            assert key.id is not None
            actor = Actor("key", key.id, key.team_id, key.name, frozenset(key.scopes.split()))
            if len(self._known) >= CACHE_LIMIT:
                self._known.clear()
            known = (actor, min(now + CACHE_MS, key.expires_at or now + CACHE_MS))
            self._known[digest] = known
        actor = known[0]
        self._used[actor.id] = (now, address, agent[:200] if agent else None)
        return replace(actor, address=address, agent=agent)

    async def flush(self) -> None:
        """Write when, from where and with what each key was last used."""
        used, self._used = self._used, {}
        if used:
            await self._db.write(teams.used, [(key_id, *use) for key_id, use in used.items()])

    def forget(self, key_id: int) -> None:
        """A key was revoked or rotated, here or on another node."""
        self._known = {digest: known for digest, known in self._known.items() if known[0].id != key_id}

    async def keys(self, actor: Actor) -> list[dict[str, Any]]:
        actor.require("admin")
        async with self._db.session() as session:
            return [_describe(key) for key in await teams.keys(session, actor.team_id)]

    async def create_key(
        self, actor: Actor, *, name: str, scopes: list[str], expires_at: int | None, face: str
    ) -> dict[str, Any]:
        """A new key; its `key` is shown this once. Raises Forbidden, Invalid."""
        actor.require("admin")
        now = now_ms()
        if expires_at is not None and expires_at <= now:
            raise Invalid.field("expires_at", "This time is over.")
        granted = grantable(actor, scopes)
        if not granted:
            raise Invalid.field("scopes", "Give at least one scope.")
        secret = ids.new_secret(ids.API_KEY_PREFIX)
        key = ApiKey(
            team_id=actor.team_id,
            name=name,
            prefix=ids.visible_part(secret),
            digest=ids.digest(secret),
            scopes=" ".join(sorted(granted)),
            created_at=now,
            expires_at=expires_at,
        )
        async with self._db.transaction() as session:
            session.add(key)
            await session.flush()
            await self._db.run(session, events.append(_event("key.created", key, actor, face, now)))
        self._bus.publish(("events", actor.team_id))
        return _describe(key) | {"key": secret}

    async def rotate_key(self, actor: Actor, key_id: int, *, face: str) -> dict[str, Any]:
        """A new secret for the key; the old one is dead on return. Raises Forbidden, NotFound."""
        actor.require("admin")
        now = now_ms()
        secret = ids.new_secret(ids.API_KEY_PREFIX)
        async with self._db.transaction() as session:
            key = await teams.key(session, actor.team_id, key_id)
            grantable(actor, key.scopes.split())
            key.prefix, key.digest = ids.visible_part(secret), ids.digest(secret)
            session.add(key)
            await self._db.run(session, events.append(_event("key.rotated", key, actor, face, now)))
        self._revoked(actor, key_id)
        return _describe(key) | {"key": secret}

    async def revoke_key(self, actor: Actor, key_id: int, *, face: str) -> None:
        """The key is dead on return. Raises Forbidden, NotFound."""
        actor.require("admin")
        now = now_ms()
        async with self._db.transaction() as session:
            key = await teams.key(session, actor.team_id, key_id)
            key.revoked_at = now
            session.add(key)
            await self._db.run(session, events.append(_event("key.revoked", key, actor, face, now)))
        self._revoked(actor, key_id)

    def _revoked(self, actor: Actor, key_id: int) -> None:
        self.forget(key_id)
        self._bus.publish(("events", actor.team_id))


def _event(kind: str, key: ApiKey, actor: Actor, face: str, now: int) -> Event:
    data = {"key_id": key.id, "name": key.name, "prefix": key.prefix, "scopes": key.scopes.split()}
    return Event(kind, key.team_id, now, data, actor=actor, face=face)


def _describe(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes.split(),
        "created_at": rfc3339(key.created_at),
        "expires_at": rfc3339_or_none(key.expires_at),
        "last_used_at": rfc3339_or_none(key.last_used_at),
        "last_address": key.last_address,
        "last_agent": key.last_agent,
    }
