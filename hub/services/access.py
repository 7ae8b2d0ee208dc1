"""Credentials: who is calling. Every kind of credential is resolved here, and remembered for a minute; API keys are
made and ended here too."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import ROLES, Actor, Credential, CredentialKind, credential_kind, grantable, require_over
from hub.domain.errors import Forbidden, HubError, Invalid, NotFound, Unauthenticated
from hub.domain.events import Event
from hub.domain.quotas import Quotas
from hub.domain.times import SECOND, is_due, now_ms, rfc3339, rfc3339_or_none
from hub.store import events, oauth, pairing, people, players, teams
from hub.store import quotas as team_quotas
from hub.store.database import Database
from hub.store.people import USES_KEPT, Place, Use
from hub.store.tables import ApiKey
from hub.store.teams import FoundKey
from hub.store.writer import UnitMaker

log = logging.getLogger(__name__)

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
    ("user", id) or ("team", id) for all of theirs. `reached`: from when on what is made or used lives.
    """

    def __init__(
        self,
        db: Database,
        bus: Bus,
        *,
        clock: Callable[[], int] = now_ms,
        reached: Callable[[], int] | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._clock = clock
        self._reached = reached or clock
        self._lookups: dict[CredentialKind, Lookup] = {}
        self._writers: dict[str, UnitMaker] = {}
        self._known: dict[str, tuple[Actor, int]] = {}  # digest: (actor, good until)
        self._used: dict[Credential, dict[Place, Use]] = {}  # unwritten, the newest of each credential last
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
            self._note(actor.credential, self._reached(), address, agent)
        return actor

    def _note(self, credential: Credential, at: int, address: str | None, agent: str | None) -> None:
        uses = self._used.setdefault(credential, {})
        uses.pop((address, agent), None)
        if len(uses) >= USES_KEPT:
            del uses[next(iter(uses))]
        uses[address, agent] = (credential.id, at, address, agent)

    async def renewed(self, token: str, actor: Actor) -> Actor | None:
        """The actor of an earlier answer as it is now; None: its credential is not good any more. While the database is
        away it is good as far as that was known, and no longer."""
        try:
            return await self.authenticate(token, address=actor.address, agent=actor.agent)
        except HubError as error:
            log.warning("a credential could not be checked: %s", error)
            return None if self.left_s(actor) == 0 else actor

    def left_s(self, actor: Actor) -> float | None:
        """Seconds until this actor's credential ends by itself, 0 when it has; None: it does not."""
        return None if actor.ends_at is None else max(0.0, (actor.ends_at - self._clock()) / SECOND)

    async def _look_up(self, token: str, digest: str, now: int) -> tuple[Actor, int] | None:
        kind = credential_kind(token)
        lookup = self._lookups.get(kind) if kind else None
        before = self._forgotten
        found = await lookup(token) if lookup else None
        if found is None or (found.ends_at is not None and found.ends_at <= now):
            self._known.pop(digest, None)
            return None
        actor = replace(found.actor, ends_at=found.ends_at)
        known = (actor, min(now + CACHE_MS, found.ends_at or now + CACHE_MS))
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
        """Write when, from where and with what each credential was last used: all of one kind in one transaction."""
        used = {credential: list(uses.items()) for credential, uses in self._used.items()}
        for kind, writer in self._writers.items():
            uses = [use for credential, some in used.items() if credential.kind == kind for _, use in some]
            if uses:
                await self._db.write(writer, uses)
        for credential, some in used.items():
            left = self._used.get(credential, {})
            for place, use in some:
                if left.get(place) is use:  # else it was used again meanwhile
                    del left[place]
            if not left:
                self._used.pop(credential, None)

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
        unwritten = {credential: [*uses.values()] for credential, uses in self._used.items()}  # before what is written
        async with self._db.session() as session:
            found = await teams.keys(session, actor.team_id)
        for key in found:
            _use(key, unwritten.get(Credential("key", key.id or 0), ()))
        return [describe_key(key) for key in found if not own or key.user_id == actor.user_id]

    async def key(self, actor: Actor, key_id: int) -> dict[str, Any]:
        """One key, with the latest `uses` of it: {"used_at", "address", "agent"} of each address and User-Agent that
        used it, newest first. Raises Forbidden, NotFound."""
        actor.require("admin")
        unwritten = [*self._used.get(Credential("key", key_id), {}).values()]  # before what is written
        async with self._db.session() as session:
            key = await teams.key(session, actor.team_id, key_id)
            written = await teams.uses(session, key_id)
        _use(key, unwritten)
        latest = {(address, agent): at for _, at, address, agent in (*written, *unwritten)}
        newest = sorted(latest.items(), key=lambda use: use[1], reverse=True)[:USES_KEPT]
        uses = [{"used_at": rfc3339(at), "address": address, "agent": agent} for (address, agent), at in newest]
        return describe_key(key) | {"uses": uses}

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
        """A new key, which acts as the caller's user; its `key` is shown this once. One that is made with a key, or
        by a program, has no later end than that, and ends with it. Raises Forbidden, Invalid, Unauthenticated (the
        caller's credential has ended meanwhile)."""
        actor.require("admin")
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise Invalid.field("expires_at", "must be a time in the future")
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
            parent_id=actor.id if actor.kind == "key" else None,
            grant_id=_grant_of(actor),
        )
        async with self._db.transaction() as session:
            ends_at = await _end_of(session, key)
            key.expires_at = min((at for at in (expires_at, ends_at) if at is not None), default=None)
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
        caller may not), NotFound, Invalid. Keys that were made with it lose the scopes that it loses."""
        actor.require("admin")
        now = self._clock()
        changed = [key_id]
        async with self._db.transaction() as session:
            key = await teams.key(session, actor.team_id, key_id)
            await _check_over(session, actor, key)
            if name is not None:
                key.name = name
            if scopes is not None:
                granted = grantable(actor, scopes)
                await _check_under(session, key, granted)
                for one in (key, *(made := await teams.made_with(session, key.team_id, key_id=key_id))):
                    had, one.scopes = (
                        one.scopes,
                        " ".join(sorted(granted if one is key else granted & set(one.scopes.split()))),
                    )
                    if set(had.split()) - set(one.scopes.split()):
                        await pairing.void_of(session, credential=Credential("key", one.id or 0))
                    session.add(one)
                for one in made:
                    await self._db.run(session, events.append(_event("key.updated", one, actor, face, now)))
                changed += [one.id or 0 for one in made]
            session.add(key)
            await self._db.run(session, events.append(_event("key.updated", key, actor, face, now)))
        self._revoked(actor, *changed)
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

    async def revoke_key(self, actor: Actor, key_id: int, *, face: str) -> int:
        """The key is dead on return, and every token, pairing code and key that came of it; answers how many keys were
        made with it. Raises Forbidden, NotFound."""
        actor.require("admin")
        now = self._clock()
        async with self._db.transaction() as session:
            key = await teams.key(session, actor.team_id, key_id)
            made = await teams.made_with(session, actor.team_id, key_id=key_id)
            await _revoke(self._db, session, key, now, actor=actor, face=face)
            await revoke_made(self._db, session, made, now, actor=actor, face=face)
        self._revoked(actor, key_id, *(one.id or 0 for one in made))
        return len(made)

    def _revoked(self, actor: Actor, *key_ids: int) -> None:
        for key_id in key_ids:
            self._bus.publish(("credentials", None), Credential("key", key_id))
        self._bus.publish(("events", actor.team_id))


async def revoke_made(
    db: Database, session: AsyncSession, made: Sequence[ApiKey], now: int, *, actor: Actor | None, face: str
) -> None:
    """End these keys, since what they were made with has ended. The caller says so on the bus."""
    for key in made:
        await _revoke(db, session, key, now, actor=actor, face=face, reason="maker_ended")


async def _revoke(
    db: Database, session: AsyncSession, key: ApiKey, now: int, *, actor: Actor | None, face: str, **why: str
) -> None:
    """This key and the pairing codes that were opened with it are over, and where it was used is forgotten."""
    key.revoked_at = now
    session.add(key)
    await teams.forget_uses(session, key.id or 0)
    await pairing.void_of(session, credential=Credential("key", key.id or 0))
    data = key_facts(key) | why
    await db.run(session, events.append(Event("key.revoked", key.team_id, now, data, actor=actor, face=face)))


def _grant_of(actor: Actor) -> int | None:
    credential = actor.credential
    return credential.id if credential is not None and credential.kind == "grant" else None


async def _end_of(session: AsyncSession, key: ApiKey) -> int | None:
    """When what this key is made with ends by itself. Raises Unauthenticated when it has ended."""
    if key.grant_id is not None:
        ends_at = await oauth.ends_at(session, key.grant_id)
        if ends_at is None:
            raise Unauthenticated
        return ends_at
    if key.parent_id is None:
        return None
    try:
        return (await teams.key(session, key.team_id, key.parent_id)).expires_at
    except NotFound:
        raise Unauthenticated from None


async def _check_under(session: AsyncSession, key: ApiKey, scopes: frozenset[str]) -> None:
    """Raise Forbidden where a key would get what the one that it was made with lacks."""
    if key.parent_id is not None:
        missing = sorted(scopes - set((await teams.key(session, key.team_id, key.parent_id)).scopes.split()))
    else:
        grant = await oauth.grant(session, key.grant_id) if key.grant_id is not None else None
        missing = sorted(scopes - set(grant.scopes.split())) if grant is not None else []
    if missing:
        raise Forbidden(f"What this key was made with lacks: {', '.join(missing)}.", code="missing_scope")


async def _check_over(session: AsyncSession, actor: Actor, key: ApiKey) -> None:
    """Raise Forbidden unless the actor may act as this key does: whoever gives a key another secret holds it. An actor
    whose access ends reaches only itself and the keys that were made with it, which end with it."""
    grantable(actor, key.scopes.split())
    if actor.passing and not (actor.kind == "key" and actor.id == key.id):
        by_key = actor.id if actor.kind == "key" else None
        made = await teams.made_with(session, key.team_id, key_id=by_key, grant_id=_grant_of(actor))
        if key.id not in [one.id for one in made]:
            actor.require_lasting()
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
        passing=key.expires_at is not None,
    )
    return Found(actor, key.expires_at)


def _event(kind: str, key: ApiKey, actor: Actor, face: str, now: int) -> Event:
    return Event(kind, key.team_id, now, key_facts(key), actor=actor, face=face)


def _use(key: ApiKey, unwritten: Sequence[Use]) -> None:
    """Show the newest use that is not written yet, if there is one."""
    if unwritten:
        _, used_at, key.last_address, key.last_agent = unwritten[-1]
        key.last_used_at = max(used_at, key.last_used_at or 0)


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
        "parent_id": key.parent_id,
        "grant_id": key.grant_id,
        "created_at": rfc3339(key.created_at),
        "expires_at": rfc3339_or_none(key.expires_at),
        "last_used_at": rfc3339_or_none(key.last_used_at),
        "last_address": key.last_address,
        "last_agent": key.last_agent,
    }
