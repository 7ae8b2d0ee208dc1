"""Credentials: who is calling. Every kind of credential is resolved here, and remembered for a minute; API keys are
made and ended here too."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import ROLES, Actor, Credential, CredentialKind, credential_kind, grantable, require_over
from hub.domain.errors import Invalid
from hub.domain.events import Event
from hub.domain.quotas import Quotas
from hub.domain.times import is_due, now_ms, rfc3339, rfc3339_or_none
from hub.store import events, pairing, people, players, teams
from hub.store import quotas as team_quotas
from hub.store.database import Database
from hub.store.people import Use
from hub.store.tables import ApiKey
from hub.store.teams import FoundKey
from hub.store.writer import UnitMaker

CACHE_LIMIT = 10_000  # credentials remembered as good; a busy hub then asks the database once a minute for each
CACHE_MS = 60_000  # a revocation is heard of at once here and within a second elsewhere; this is only the net below


class Found(NamedTuple):
    """Who a credential stands for, and when it ends (Unix ms; None: not by itself)."""

    actor: Actor
    ends_at: int | None = None


Lookup = Callable[[str], Awaitable[Found | None]]
"""Finds who a credential of one kind stands for. Called when it is not remembered; what it finds is remembered until it
ends, for a minute at most, or until ("credentials", None) names it on the bus."""


class Access:
    """Resolves credentials. Other services add the kinds they keep: `access.accept("grant", self.by_access_token)`.

    Whoever ends or changes a credential publishes ("credentials", None) with what it is about: a `Credential`, or
    ("user", id) or ("team", id) for all of theirs.
    """

    def __init__(
        self, db: Database, bus: Bus, *, clock: Callable[[], int] = now_ms, quotas: Quotas | None = None
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._clock = clock
        self._lookups: dict[CredentialKind, Lookup] = {}
        self._writers: dict[str, UnitMaker] = {}
        self._known: dict[str, tuple[Actor, int]] = {}  # digest: (actor, good until)
        self._used: dict[Credential, Use] = {}
        self._forgotten = 0
        self.accept("key", self._by_key, teams.used)
        self.accept("player", self._by_player_token)
        bus.subscribe(("credentials", None), self.forget)
        bus.subscribe(("player", None), self._player_changed)

    def accept(self, kind: CredentialKind, lookup: Lookup, used: UnitMaker | None = None) -> None:
        """Ask `lookup` about credentials of this kind; `used` writes their latest uses, where those are kept."""
        self._lookups[kind] = lookup
        if used is not None:
            self._writers[kind] = used

    async def authenticate(self, token: str, *, address: str | None, agent: str | None) -> Actor | None:
        """The actor behind a credential, or None: unknown, expired, revoked, or its user locked."""
        digest = ids.digest(token)
        now = self._clock()
        known = self._known.get(digest)
        if known is None or is_due(known[1], now, CACHE_MS):
            known = await self._look_up(token, digest, now)
            if known is None:
                return None
        actor, until = known
        if actor.address != address or actor.agent != agent:
            actor = replace(actor, address=address, agent=agent)
            if digest in self._known:
                self._known[digest] = (actor, until)
        if actor.credential is not None:
            self._used[actor.credential] = (actor.credential.id, now, address, agent)
        return actor

    async def _look_up(self, token: str, digest: str, now: int) -> tuple[Actor, int] | None:
        kind = credential_kind(token)
        lookup = self._lookups.get(kind) if kind else None
        before = self._forgotten
        found = await lookup(token) if lookup else None
        if found is None or (found.ends_at is not None and found.ends_at <= now):
            self._known.pop(digest, None)
            return None
        known = (found.actor, min(now + CACHE_MS, found.ends_at or now + CACHE_MS))
        if before == self._forgotten:  # else a revocation came meanwhile, and what was read may be older
            if len(self._known) >= CACHE_LIMIT:
                self._known.clear()
            self._known[digest] = known
        return known

    async def _by_key(self, token: str) -> Found | None:
        async with self._db.session() as session:
            found = await teams.key_by_digest(session, ids.digest(token))
        return key_actor(found)

    async def _by_player_token(self, token: str) -> Found | None:
        async with self._db.session() as session:
            player = await players.by_token(session, ids.digest(token))
            if player is None or player.id is None or player.quarantined_at is not None:
                return None
            plan = await people.plan(session, player.team_id)
        credential = Credential("player", player.id)
        return Found(
            Actor("player", player.id, player.team_id, player.name, frozenset(), plan=plan, credential=credential)
        )

    async def flush(self) -> None:
        """Write when, from where and with what each credential was last used."""
        used = dict(self._used)
        for kind, writer in self._writers.items():
            uses = [use for credential, use in used.items() if credential.kind == kind]
            if uses:
                await self._db.write(writer, uses)
        for credential, use in used.items():
            if self._used.get(credential) is use:  # else it was used again meanwhile
                del self._used[credential]

    def forget(self, subject: Sequence[Any]) -> None:
        """A credential, or all of a user or a team, ended or changed, here or on another node."""
        kind, number = subject
        self._forgotten += 1
        self._known = {digest: known for digest, known in self._known.items() if not concerns(known[0], kind, number)}

    @contextmanager
    def watched(self, actor: Actor, changed: Callable[[], None]) -> Iterator[None]:
        """Call `changed` when something happens to this actor's credential, while the block lasts."""

        def look(subject: Sequence[Any]) -> None:
            if concerns(actor, *subject):
                changed()

        stop = self._bus.subscribe(("credentials", None), look)
        try:
            yield
        finally:
            stop()

    def _player_changed(self, message: Any) -> None:
        # The message does not say whose token died, and this is rare: all players' are looked up again.
        if message in ("revoked", "quarantined"):
            self._forgotten += 1
            self._known = {digest: known for digest, known in self._known.items() if known[0].kind != "player"}

    # API keys --------------------------------------------------------------------------------------------------------

    async def keys(self, actor: Actor, *, own: bool = False) -> list[dict[str, Any]]:
        """The team's keys, or the caller's `own`: those that act as the same person. Raises Forbidden."""
        actor.require("admin")
        unwritten = dict(self._used)  # before the database is read, so that none slips through between
        async with self._db.session() as session:
            found = await teams.keys(session, actor.team_id)
        for key in found:
            if key.id is not None and (use := unwritten.get(Credential("key", key.id))) is not None:
                _, key.last_used_at, key.last_address, key.last_agent = use
        return [describe_key(key) for key in found if not own or key.user_id == actor.user_id]

    async def create_key(
        self,
        actor: Actor,
        *,
        name: str,
        scopes: list[str],
        expires_at: int | None,
        face: str,
        secret: str | None = None,
    ) -> dict[str, Any]:
        """A new key, which acts as the caller's user; its `key` is shown this once. Raises Forbidden, Invalid."""
        actor.require("admin")
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise Invalid.field("expires_at", "This time is over.")
        granted = grantable(actor, scopes)
        secret = secret or ids.new_secret(ids.API_KEY_PREFIX)
        key = ApiKey(
            team_id=actor.team_id,
            user_id=actor.user_id,
            name=name,
            prefix=ids.visible_part(secret),
            digest=ids.digest(secret),
            scopes=" ".join(sorted(granted)),
            created_at=now,
            expires_at=expires_at,
        )
        async with self._db.transaction() as session:
            await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "api_keys", now))
            session.add(key)
            await session.flush()
            await self._db.run(session, events.append(_event("key.created", key, actor, face, now)))
        self._bus.publish(("events", actor.team_id))
        return describe_key(key) | {"key": secret}

    async def change_key(
        self, actor: Actor, key_id: int, *, name: str | None, scopes: list[str] | None, face: str
    ) -> dict[str, Any]:
        """Another name, or other scopes, at once. Raises Forbidden (the key, or the person it acts as, may do what the
        caller may not), NotFound, Invalid."""
        actor.require("admin")
        now = self._clock()
        async with self._db.transaction() as session:
            key = await teams.key(session, actor.team_id, key_id)
            await _check_over(session, actor, key)
            if name is not None:
                key.name = name
            if scopes is not None:
                if set(key.scopes.split()) - set(scopes):
                    await pairing.void_of(session, credential=Credential("key", key_id))
                key.scopes = " ".join(sorted(grantable(actor, scopes)))
            session.add(key)
            await self._db.run(session, events.append(_event("key.updated", key, actor, face, now)))
        self._revoked(actor, key_id)
        return describe_key(key)

    async def rotate_key(self, actor: Actor, key_id: int, *, face: str) -> dict[str, Any]:
        """A new secret for the key; the old one is dead on return. Raises Forbidden (as `change_key`), NotFound."""
        actor.require("admin")
        now = self._clock()
        async with self._db.transaction() as session:
            key = await teams.key(session, actor.team_id, key_id)
            await _check_over(session, actor, key)
            secret = ids.new_secret(ids.API_KEY_PREFIX)
            key.prefix, key.digest = ids.visible_part(secret), ids.digest(secret)
            session.add(key)
            await pairing.void_of(session, credential=Credential("key", key_id))
            await self._db.run(session, events.append(_event("key.rotated", key, actor, face, now)))
        self._revoked(actor, key_id)
        return describe_key(key) | {"key": secret}

    async def revoke_key(self, actor: Actor, key_id: int, *, face: str) -> None:
        """The key is dead on return, and every token and pairing code that came of it. Raises Forbidden, NotFound."""
        actor.require("admin")
        now = self._clock()
        async with self._db.transaction() as session:
            key = await teams.key(session, actor.team_id, key_id)
            key.revoked_at = now
            session.add(key)
            await pairing.void_of(session, credential=Credential("key", key_id))
            await self._db.run(session, events.append(_event("key.revoked", key, actor, face, now)))
        self._revoked(actor, key_id)

    def _revoked(self, actor: Actor, key_id: int) -> None:
        self._bus.publish(("credentials", None), Credential("key", key_id))
        self._bus.publish(("events", actor.team_id))


async def _check_over(session: AsyncSession, actor: Actor, key: ApiKey) -> None:
    """Raise Forbidden unless the actor may act as this key does: whoever gives a key another secret holds it."""
    grantable(actor, key.scopes.split())
    if key.user_id is not None and key.user_id != actor.user_id:
        require_over(actor, (await people.user(session, key.team_id, key.user_id)).role)


def concerns(actor: Actor, kind: str, number: int) -> bool:
    """Whether what is published as ("credentials", None) is about this actor's credential."""
    if kind == "user":
        return actor.user_id == number
    if kind == "team":
        return actor.team_id == number
    return actor.credential == (kind, number)


def key_actor(found: FoundKey | None) -> Found | None:
    """Who a stored key stands for now; it never holds more than its user's role gives."""
    if found is None or found.key.revoked_at is not None:
        return None
    key, user = found.key, found.user
    assert key.id is not None
    scopes = frozenset(key.scopes.split())
    if user is not None:
        if user.locked_at is not None:
            return None
        scopes &= ROLES[user.role]
    actor = Actor(
        "key",
        key.id,
        key.team_id,
        key.name,
        scopes,
        user_id=key.user_id,
        role=user.role if user else None,
        plan=found.plan,
        credential=Credential("key", key.id),
    )
    return Found(actor, key.expires_at)


def _event(kind: str, key: ApiKey, actor: Actor, face: str, now: int) -> Event:
    return Event(kind, key.team_id, now, key_facts(key), actor=actor, face=face)


def key_facts(key: ApiKey) -> dict[str, Any]:
    """What an event tells of a key."""
    return {"key_id": key.id, "name": key.name, "prefix": key.prefix, "scopes": key.scopes.split()}


def describe_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes.split(),
        "user_id": key.user_id,
        "created_at": rfc3339(key.created_at),
        "expires_at": rfc3339_or_none(key.expires_at),
        "last_used_at": rfc3339_or_none(key.last_used_at),
        "last_address": key.last_address,
        "last_agent": key.last_agent,
    }
