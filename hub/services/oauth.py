"""OAuth 2.0 for third parties: consent, codes, tokens and their end. Clients are registered in `oauth_clients`."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain import oauth as rules
from hub.domain.access import ROLES, SCOPES, Actor, Credential
from hub.domain.errors import BadRequest, Gone, Invalid, NotFound, Unauthenticated
from hub.domain.events import Event
from hub.domain.oauth import Asked, Ticket
from hub.domain.times import SECOND, now_ms, rfc3339
from hub.services.access import Access, Found
from hub.services.accounts import Accounts, user_actor
from hub.services.oauth_clients import end_grant, grant_facts
from hub.store import events, people
from hub.store import oauth as store
from hub.store.database import Database
from hub.store.tables import OAuthClient, OAuthCode, OAuthGrant, OAuthToken, Team, User

FACE = "signalbox"

Client = OAuthClient
"""A client that has proved itself; callers pass it on and look at nothing in it."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person is asked: whether this client may have these scopes in the team. `denied` are scopes that the
    client asked for and the person's role does not give."""

    client: str
    team: str
    person: str
    scopes: list[str]
    denied: list[str]
    ticket: str


class OAuth:
    """`secret` signs tickets. `public_url` is the hub's address as programs know it; empty: as a request names it."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        access: Access,
        accounts: Accounts,
        secret: str,
        public_url: str = "",
        *,
        clock: Callable[[], int] = now_ms,
        reached: Callable[[], int] | None = None,
    ) -> None:
        self._db = db
        self._bus = bus
        self._accounts = accounts
        self._secret = hmac.new(secret.encode(), b"oauth", hashlib.sha256).digest()
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._reached = reached or clock
        access.accept("grant", self.by_access_token)

    def issuer(self, base_url: str) -> str:
        """The hub's name in OAuth (RFC 8414, RFC 9207)."""
        return self._public_url or base_url.rstrip("/")

    # Consent ---------------------------------------------------------------------------------------------------------

    async def begin(self, asked: Asked) -> str:
        """The name of the client that asks.

        Raises NotFound (no such client) and Invalid (not one of its redirect URIs): then nothing may be sent to that
        address. BadRequest, whose code is one of RFC 6749's words, is for the client, at its redirect URI.
        """
        return (await self._client_of(asked)).name

    async def sign_in(self, asked: Asked, email: str, password: str, address: str | None) -> Consent:
        """The first step. Raises Unauthenticated, TooMany, and as `begin`."""
        client = await self._client_of(asked)
        checked = await self._accounts.checked(email, password, address)
        if checked is None or checked[0].team_id != client.team_id:
            raise Unauthenticated("This e-mail address and password do not open an account of this client's team.")
        user, team = checked
        actor = user_actor(user, team)
        wanted, granted = self._judge(asked, client, actor.scopes)
        ticket = Ticket(actor.id, secrets.token_hex(16), user.version)
        return Consent(
            client=client.name,
            team=team.name,
            person=actor.name,
            scopes=[scope for scope in SCOPES if scope in granted],
            denied=[scope for scope in SCOPES if scope in wanted - granted],
            ticket=rules.issue_ticket(self._secret, ticket, asked, self._clock()),
        )

    async def decide(self, asked: Asked, ticket_text: str, *, allow: bool) -> str:
        """The second step: the code, for the client. Either way the ticket is used up.

        Raises Gone (the ticket is not for this, old, or used), and as `begin`.
        """
        client = await self._client_of(asked)
        assert client.id is not None
        assert asked.redirect_uri is not None
        assert asked.code_challenge is not None
        now = self._clock()
        ticket = rules.read_ticket(self._secret, ticket_text, asked, now)
        code = rules.code_of(self._secret, ticket)
        digest = ids.digest(code)
        async with self._db.transaction() as session:
            found = await people.user_with_team(session, ticket.user_id)
            if await store.code(session, digest) is not None:
                raise Gone("This page was used before. Go back to the program that sent you here.", code="used_ticket")
            if found is not None and found[0].version != ticket.version:  # another password, perhaps
                raise Gone("Your account has changed. Go back to the program that sent you here.", code="bad_ticket")
            if found is None or found[0].locked_at is not None or found[0].team_id != client.team_id:
                raise BadRequest("This account may not allow anything.", code="access_denied")
            _, granted = self._judge(asked, client, ROLES[found[0].role])
            session.add(
                OAuthCode(
                    digest=digest,
                    client_id=client.id,
                    user_id=ticket.user_id,
                    team_id=client.team_id,
                    redirect_uri=asked.redirect_uri,
                    scopes=" ".join(sorted(granted)),
                    challenge=asked.code_challenge,
                    created_at=now,
                    # A refusal is kept as a code that was never good, so that its page cannot be used again.
                    expires_at=now + rules.CODE_MS if allow else now,
                )
            )
        if not allow:
            raise BadRequest("The user has refused.", code="access_denied")
        return code

    async def _client_of(self, asked: Asked) -> OAuthClient:
        async with self._db.session() as session:
            client = await store.client_by_name(session, asked.client_id) if asked.client_id else None
        if client is None:
            raise NotFound("The program that sent you here is not known to this hub.", code="unknown_client")
        if asked.redirect_uri is None or asked.redirect_uri not in orjson.loads(client.redirect_uris):
            raise Invalid(
                "The program that sent you here wants the answer at an address that is not registered for it.",
                code="unknown_redirect_uri",
            )
        asked.check()
        _scopes(asked.scope, client)
        return client

    def _judge(self, asked: Asked, client: OAuthClient, held: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
        """(scopes that the client wants, those of them that the person has). Raises BadRequest."""
        wanted = _scopes(asked.scope, client)
        granted = wanted & held
        if not granted:
            raise BadRequest("The role of this account gives none of these scopes.", code="access_denied")
        return wanted, granted

    # Tokens ----------------------------------------------------------------------------------------------------------

    async def client(self, client_id: str | None, secret: str | None) -> OAuthClient:
        """The client that calls, proved by its secret where it has one. Raises Unauthenticated (invalid_client)."""
        if client_id is None or "\0" in client_id:  # an HTTP header may hold one, and PostgreSQL takes none
            client_id = ""
        async with self._db.session() as session:
            client = await store.client_by_name(session, client_id) if client_id else None
        if client is None or not _knows_secret(client, secret):
            raise Unauthenticated("No such client, or not its secret.", code="invalid_client")
        return client

    async def exchange(
        self, client: OAuthClient, code: str, redirect_uri: str | None, verifier: str | None
    ) -> dict[str, Any]:
        """Tokens for a code. Raises BadRequest (invalid_grant); a code that was used before ends what came of it."""
        now = self._clock()
        ended: OAuthGrant | None = None
        answer: dict[str, Any] = {}
        async with self._db.transaction() as session:
            row = await store.code(session, ids.digest(code))
            if row is None or row.client_id != client.id:
                raise _invalid("This code is unknown.")
            if row.grant_id is not None:
                ended = await store.grant(session, row.grant_id)
                if ended is not None:
                    await self._end(session, ended, client, "code_reused", now)
            elif row.expires_at <= now:
                raise _invalid("This code has expired.")
            elif row.redirect_uri != redirect_uri:
                raise _invalid("This code was given for another redirect_uri.")
            elif not rules.proves(verifier, row.challenge):
                raise _invalid("The code_verifier does not fit the code_challenge.")
            else:
                user, team = await self._person(session, row.user_id)
                grant = OAuthGrant(
                    client_id=row.client_id, user_id=row.user_id, team_id=row.team_id, scopes=row.scopes, created_at=now
                )
                session.add(grant)
                await session.flush()
                row.grant_id = grant.id
                session.add(row)
                answer = self._pair(session, grant, frozenset(grant.scopes.split()))
                event = _event("grant.created", grant, client, now, user_actor(user, team), scopes=row.scopes.split())
                await self._db.run(session, events.append(event))
        if not answer:
            self._told(client.team_id, ended)
            raise _invalid("This code was used before.")
        self._told(client.team_id, None)
        return answer

    async def refresh(self, client: OAuthClient, refresh_token: str, scope: str | None) -> dict[str, Any]:
        """New tokens for a refresh token, which is used up; `scope` may ask for less than was granted.

        Raises BadRequest (invalid_grant, invalid_scope); a refresh token that was used before ends the grant.
        """
        now = self._clock()
        reused: OAuthGrant | None = None
        answer: dict[str, Any] = {}
        async with self._db.transaction() as session:
            found = await store.token(session, ids.digest(refresh_token), "refresh")
            if found is None or found[1].client_id != client.id:
                raise _invalid("This refresh token is unknown, or its grant is over.")
            token, grant = found
            if token.used_at is not None:
                reused = grant
                await self._end(session, grant, client, "token_reused", now)
            elif token.expires_at <= now:
                raise _invalid("This refresh token has expired.")
            else:
                await self._person(session, grant.user_id)
                allowed = frozenset(grant.scopes.split())
                wanted = frozenset(scope.split()) if scope else allowed
                if not wanted or wanted - allowed:
                    raise BadRequest("A refresh gives no more than was granted.", code="invalid_scope")
                token.used_at = now
                session.add(token)
                answer = self._pair(session, grant, wanted)
        if reused is not None:
            self._told(client.team_id, reused)
            raise _invalid("This refresh token was used before. Everything that came of its grant has ended.")
        return answer

    async def revoke(self, client: OAuthClient, token: str) -> None:
        """End the grant of this token, whether it is an access or a refresh token. Any other text is no error."""
        async with self._db.transaction() as session:
            found = await store.token(session, ids.digest(token))
            grant = found[1] if found is not None and found[1].client_id == client.id else None
            if grant is not None:
                await self._end(session, grant, client, "revoked_by_client", self._clock())
        self._told(client.team_id, grant)

    async def by_access_token(self, token: str) -> Found | None:
        """Whom an access token stands for: its user, with its scopes as far as their role gives them now."""
        async with self._db.session() as session:
            found = await store.bearer(session, ids.digest(token))
        if found is None or found[1].locked_at is not None:
            return None
        row, user, team = found
        whole = user_actor(user, team, credential=Credential("grant", row.grant_id))
        return Found(replace(whole, scopes=whole.scopes & frozenset(row.scopes.split()), passing=True), row.expires_at)

    async def _person(self, session: AsyncSession, user_id: int) -> tuple[User, Team]:
        found = await people.user_with_team(session, user_id)
        if found is None or found[0].locked_at is not None:
            raise _invalid("The account that allowed this is locked.")
        return found

    def _pair(self, session: AsyncSession, grant: OAuthGrant, scopes: frozenset[str]) -> dict[str, Any]:
        """An access and a refresh token of the grant; the access token may have fewer scopes."""
        access, refresh = ids.new_secret(ids.ACCESS_TOKEN_PREFIX), ids.new_secret(ids.REFRESH_TOKEN_PREFIX)
        told, now = " ".join(sorted(scopes)), self._reached()
        for kind, secret, text, lifetime in (
            ("access", access, told, rules.ACCESS_MS),
            ("refresh", refresh, grant.scopes, rules.REFRESH_MS),
        ):
            session.add(
                OAuthToken(
                    digest=ids.digest(secret),
                    grant_id=grant.id or 0,
                    kind=kind,
                    scopes=text,
                    created_at=now,
                    expires_at=now + lifetime,
                )
            )
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": rules.ACCESS_MS // SECOND,
            "refresh_token": refresh,
            "scope": told,
        }

    # Grants, for people ----------------------------------------------------------------------------------------------

    async def grants(self, actor: Actor) -> list[dict[str, Any]]:
        """What people of the team have allowed."""
        actor.require("admin")
        async with self._db.session() as session:
            return [_describe(*row) for row in await store.grants(session, actor.team_id)]

    async def end_grant(self, actor: Actor, grant_id: int, *, face: str) -> None:
        """The client's tokens are dead on return. Raises NotFound."""
        actor.require("admin")
        async with self._db.transaction() as session:
            found = await store.grants(session, actor.team_id, grant_id=grant_id)
            if not found:
                raise NotFound
            grant, client, _ = found[0]
            await self._end(session, grant, client, "revoked", self._clock(), actor, face)
        self._told(actor.team_id, grant)

    # For the supervised loops ----------------------------------------------------------------------------------------

    async def sweep(self, now: int) -> None:
        """Forget codes and tokens that have ended, and grants that nothing is left of."""
        await self._db.write(store.forget, now, now - rules.CODE_KEPT_MS)

    # ------------------------------------------------------------------------------------------------------------------

    async def _end(
        self,
        session: AsyncSession,
        grant: OAuthGrant,
        client: OAuthClient,
        reason: str,
        now: int,
        actor: Actor | None = None,
        face: str = FACE,
    ) -> None:
        await end_grant(self._db, session, grant, now, actor=actor, face=face)
        event = _event("grant.revoked", grant, client, now, actor, face, reason=reason)
        await self._db.run(session, events.append(event))

    def _told(self, team_id: int, ended: OAuthGrant | None) -> None:
        if ended is not None and ended.id is not None:
            self._bus.publish(("credentials", None), Credential("grant", ended.id))
            self._bus.publish(("credentials", None), ("user", ended.user_id))  # for keys that were made with it
        self._bus.publish(("events", team_id))


def _scopes(text: str | None, client: OAuthClient) -> frozenset[str]:
    """The scopes that a request names; all of the client's when it names none. Raises BadRequest."""
    registered = frozenset(client.scopes.split())
    wanted = frozenset(text.split()) if text else registered
    if not wanted or wanted - registered:
        raise BadRequest("This client is not registered for all of these scopes.", code="invalid_scope")
    return wanted


def _knows_secret(client: OAuthClient, secret: str | None) -> bool:
    if client.secret_digest is None:
        return secret is None  # a public client has none to know
    return secret is not None and hmac.compare_digest(ids.digest(secret), client.secret_digest)


def _invalid(message: str) -> BadRequest:
    return BadRequest(message, code="invalid_grant")


def _event(
    kind: str,
    grant: OAuthGrant,
    client: OAuthClient,
    now: int,
    actor: Actor | None = None,
    face: str = FACE,
    **more: Any,
) -> Event:
    return Event(kind, grant.team_id, now, grant_facts(grant, client) | more, actor=actor, face=face)


def _describe(grant: OAuthGrant, client: OAuthClient, user: User) -> dict[str, Any]:
    return {
        "id": grant.id,
        "client_id": client.client_id,
        "client": client.name,
        "user_id": user.id,
        "user": user.name,
        "scopes": grant.scopes.split(),
        "created_at": rfc3339(grant.created_at),
    }
