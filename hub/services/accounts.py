"""Accounts: people with an e-mail address and a password, what a login gives them, and how a team begins."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import ROLES, Actor, Credential
from hub.domain.errors import Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from hub.domain.events import Event
from hub.domain.pairing import Allowance
from hub.domain.ratelimit import network
from hub.domain.times import DAY, MINUTE, SECOND, now_ms
from hub.services.access import Access, Found
from hub.services.oauth_clients import end_grant, grant_facts
from hub.services.passwords import WAITING, Passwords, busy
from hub.store import events, oauth, pairing, people, teams
from hub.store.database import Database
from hub.store.pairing import Spending, refund, spend
from hub.store.statements import Unit
from hub.store.tables import AccountToken, Team, User

# A person mistypes a few times; an office shares one address; a program that guesses gets 2,880 guesses a day.
TRIES_PER_ACCOUNT = Allowance(30 * SECOND, 10)
TRIES_PER_NETWORK = Allowance(6 * SECOND, 30)
REGISTRATIONS_PER_NETWORK = Allowance(MINUTE, 10)
# Addresses of new people that have an account already: a team that goes on asking for such is looking for them.
TAKEN_PER_TEAM = Allowance(MINUTE, 10)
# Networks of one person that have tries of their own: home, office, telephone. Each adds to all the guesses there are.
PLACES_KEPT = 5
PLACE_KEPT_MS = 90 * DAY
LOGINS_KEPT = 100  # of one account; the one that was made first gives way


class _Turn:
    """Whose turn it is to try a password. `wanted`: by how many it is held or waited for."""

    __slots__ = ("lock", "wanted")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


class Accounts:
    """`open_registration`: whether strangers may make teams. A login ends after `idle_days` without a use, and after
    `longest_days` in any case."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        access: Access,
        *,
        open_registration: bool = False,
        idle_days: int = 30,
        longest_days: int = 365,
        logins_kept: int = LOGINS_KEPT,
        passwords: Passwords | None = None,
        clock: Callable[[], int] = now_ms,
        reached: Callable[[], int] | None = None,
    ) -> None:
        self._db = db
        self._bus = bus
        self._open = open_registration
        self._idle_ms = idle_days * DAY
        self._longest_ms = longest_days * DAY
        self._clock = clock
        self._reached = reached or clock
        self._logins_kept = logins_kept
        self.passwords = passwords or Passwords()
        self._turns: dict[tuple[str, str | None], _Turn] = {}  # of tries under way, by account and network
        access.accept("login", self.by_token, people.logins_used)

    async def register(
        self, *, name: str, email: str, password: str, team_name: str, address: str | None, face: str
    ) -> dict[str, Any]:
        """A new team on the plan `free`, its owner, and a login: {"token", "user", "team"}.

        Raises Forbidden (closed), Invalid (the address has an account), TooMany.
        """
        if not self._open:
            raise Forbidden(
                "Registration is closed here; whoever runs this hub makes accounts.", code="registration_closed"
            )
        now = self._clock()
        if address:
            await self._db.write(spend, [Spending(f"registrations {network(address)}", REGISTRATIONS_PER_NETWORK)], now)
        email = plain_email(email)
        password_hash = await self.passwords.hash(password)  # whether or not the address is free, which is work to find
        async with self._db.session() as session:
            if await teams.user_by_email(session, email) is not None:
                raise email_taken()
        user = User(team_id=0, name=name, email=email, password_hash=password_hash, role="owner", created_at=now)
        try:
            async with self._db.transaction() as session:
                team = await teams.create(session, Team(name=team_name, plan="free", created_at=now), user)
                actor = user_actor(user, team, address=address)
                joined = Event("member.created", actor.team_id, now, person(user), actor=actor, face=face)
                await self._db.run(session, events.append(joined))
                token = await self._begin(session, actor, face, now)
                if address:
                    await self._db.run(session, people.signed_in(actor.id, network(address), now, PLACES_KEPT))
        except IntegrityError:
            raise email_taken() from None
        return {"token": token, "user": describe_user(user), "team": describe_team(team)}

    async def login(self, *, email: str, password: str, address: str | None, face: str) -> dict[str, Any]:
        """A login: {"token", "user", "team"}. Raises Unauthenticated, TooMany."""
        checked = await self.checked(email, password, address)
        if checked is None:
            raise Unauthenticated("Invalid credentials.")
        actor = user_actor(*checked, address=address)
        now = self._clock()
        async with self._db.transaction() as session:
            found = await people.user_with_team(session, actor.id)
            if found is None or found[0].locked_at or found[0].password_hash != checked[0].password_hash:
                raise Unauthenticated("Invalid credentials.")  # changed since it was checked
            token = await self._begin(session, actor, face, now)
            dropped = await people.drop_logins(session, actor.id, keep=self._logins_kept)
        for login_id in dropped:
            self._bus.publish(("credentials", None), Credential("login", login_id))
        self._bus.publish(("events", actor.team_id))
        user, team = found
        return {"token": token, "user": describe_user(user), "team": describe_team(team)}

    async def check_password(self, email: str, password: str, address: str | None) -> Actor | None:
        """The person with this e-mail address and password, as an actor with the scopes of their role; as `checked`."""
        found = await self.checked(email, password, address)
        return None if found is None else user_actor(*found, address=address)

    async def checked(self, email: str, password: str, address: str | None) -> tuple[User, Team] | None:
        """The person with this e-mail address and password, with their team, or None: no such account, another
        password, or locked. Raises TooMany.

        Takes the same time whether the account exists or not. Failures are paced by account and by network; a right
        password costs nothing. A network from which the person has signed in has tries of its own at the account, so
        that neither guesses from elsewhere nor those at other accounts lock them out. Tries at an account from one
        network are judged one after the other: none is refused for what another of them has spent and gets back.
        """
        email = plain_email(email)
        place = network(address) if address else None
        async with self._turn(email, place):
            return await self._judged(email, password, place)

    async def _judged(self, email: str, password: str, place: str | None) -> tuple[User, Team] | None:
        async with self._db.session() as session:
            found = await people.by_email(session, email)
            known = place is not None and await people.has_signed_in(session, email, place)
        account = f"logins of {ids.digest(email)[:32]}"
        spendings = [Spending(f"{account} from {place}" if known else account, TRIES_PER_ACCOUNT)]
        of_network = [Spending(f"logins {place}", TRIES_PER_NETWORK)] if place else []
        if not known:
            spendings += of_network
        # Of who is known the network's too, where it has any left: the next stranger finds it spent.
        spent = await self._db.write(_try, spendings, of_network if known else [], self._clock())
        right = await self.passwords.verify(found[0].password_hash if found else None, password, known=known)
        if found is None or not right or found[0].locked_at is not None:
            return None
        await self._db.write(_signed_in, spent, found[0].id, place, self._clock())
        return found

    @asynccontextmanager
    async def _turn(self, email: str, place: str | None) -> AsyncIterator[None]:
        """Alone with this account from this network, after a wait. Raises Unavailable when too many wait."""
        turn = self._turns.setdefault((email, place), _Turn())
        if turn.wanted >= WAITING:
            raise busy()
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[email, place]

    async def logout(self, actor: Actor, *, face: str) -> None:
        """The login that the actor came with is dead on return. Raises Forbidden for any other kind of credential."""
        if actor.credential is None or actor.credential.kind != "login":
            raise Forbidden
        now = self._clock()
        async with self._db.transaction() as session:
            if await people.end_login(session, actor.credential.id):
                await self._db.run(
                    session, events.append(_login_event("login.ended", actor, actor.credential, face, now))
                )
        self._bus.publish(("credentials", None), actor.credential)
        self._bus.publish(("events", actor.team_id))

    async def who(self, actor: Actor) -> dict[str, Any]:
        """The person behind the actor: {"user", "team"}. Raises Forbidden when there is none."""
        if actor.user_id is None:
            raise Forbidden
        async with self._db.session() as session:
            found = await people.user_with_team(session, actor.user_id)
        if found is None:
            raise Forbidden
        user, team = found
        return {"user": describe_user(user), "team": describe_team(team)}

    async def by_token(self, token: str) -> Found | None:
        """Who an account token stands for."""
        async with self._db.session() as session:
            found = await people.login_by_digest(session, ids.digest(token))
        if found is None:
            return None
        login, user, team = found
        if user.locked_at is not None:
            return None
        ends_at = min(login.expires_at, max(login.last_used_at or 0, login.created_at) + self._idle_ms)
        return Found(user_actor(user, team, credential=Credential("login", login.id or 0)), ends_at)

    async def sweep(self, now: int) -> None:
        """Forget logins that have ended."""
        await self._db.write(people.forget_logins, now, now - self._idle_ms, now - PLACE_KEPT_MS)

    async def _begin(self, session: Any, actor: Actor, face: str, now: int) -> str:
        """A login of this person: its token, `<id>|<secret>`."""
        secret = ids.login_secret()
        made = self._reached()
        login = AccountToken(
            user_id=actor.id,
            team_id=actor.team_id,
            digest=ids.digest(secret),
            created_at=made,
            expires_at=made + self._longest_ms,
            last_address=actor.address,
        )
        session.add(login)
        await session.flush()
        assert login.id is not None
        token = f"{login.id}|{secret}"
        login.digest = ids.digest(token)
        session.add(login)
        await session.flush()
        started = _login_event("login.started", actor, Credential("login", login.id), face, now)
        await self._db.run(session, events.append(started))
        return token


async def check_account(db: Database, email: str) -> None:
    """Raises NotFound where nobody has this address."""
    async with db.session() as session:
        await _account(session, email)


async def _account(session: AsyncSession, email: str) -> User:
    user = await teams.user_by_email(session, plain_email(email))
    if user is None or user.id is None:
        raise NotFound(f"No account has the address {email}.")
    return user


async def set_password(db: Database, email: str, password: str) -> None:
    """Give an account another password and end what came of the old one, also what a running hub remembers. Raises
    NotFound."""
    password_hash = await Passwords().hash(password)
    async with db.transaction() as session:
        user = await _account(session, email)
        user.password_hash = password_hash
        user.version += 1
        session.add(user)
        await end_access(db, session, user, now_ms(), face="hub")
        data = person(user) | {"changed": ["password"]}
        await db.run(session, events.append(Event("member.updated", user.team_id, now_ms(), data, face="hub")))


async def end_access(
    db: Database,
    session: AsyncSession,
    user: User,
    now: int,
    *,
    but_login: int = 0,
    actor: Actor | None = None,
    face: str,
) -> None:
    """The person's password is another one: end the logins (but one), the OAuth grants and the pairing codes that the
    old one opened.
    The caller says of the person that they changed, by which every node forgets what it remembers of them."""
    assert user.id is not None
    await people.end_logins(session, user.id, but=but_login)
    await people.forget_places(session, user.id)
    await pairing.void_of(session, user_id=user.id)
    await oauth.drop_codes(session, user.id)
    for grant, client, _ in await oauth.grants(session, user.team_id, user_id=user.id):
        await end_grant(db, session, grant, now, actor=actor, face=face)
        data = grant_facts(grant, client) | {"reason": "password_changed"}
        await db.run(session, events.append(Event("grant.revoked", user.team_id, now, data, actor=actor, face=face)))
    await session.flush()


def _try(needed: Sequence[Spending], besides: Sequence[Spending], now: int) -> Unit:
    """Unit: spend what a try needs, and of `besides` what there is. Answers what was spent. Raises TooMany."""
    yield from spend(needed, now)
    spent = list(needed)
    for spending in besides:
        with suppress(TooMany):
            yield from spend([spending], now)
            spent.append(spending)
    return spent


def _signed_in(spendings: Sequence[Spending], user_id: int, place: str | None, now: int) -> Unit:
    """Unit: the password was right: it cost nothing, and the place is known from now on."""
    yield from refund(spendings)
    if place is not None:
        yield from people.signed_in(user_id, place, now, PLACES_KEPT)


def plain_email(email: str) -> str:
    """An e-mail address as it is kept: nobody tells two people apart by its capitals."""
    return email.strip().lower()


def email_taken() -> Invalid:
    return Invalid.field("email", "has already been taken", code="email_taken")


def user_actor(user: User, team: Team, *, credential: Credential | None = None, address: str | None = None) -> Actor:
    """A person as an actor, with all that their role gives."""
    assert user.id is not None
    return Actor(
        "user",
        user.id,
        user.team_id,
        user.name,
        ROLES[user.role],
        address=address,
        user_id=user.id,
        role=user.role,
        plan=team.plan,
        credential=credential,
    )


def person(user: User) -> dict[str, Any]:
    """What an event tells of a person."""
    return {"user_id": user.id, "name": user.name, "role": user.role}


def _login_event(kind: str, actor: Actor, login: Credential, face: str, now: int) -> Event:
    data = {"login_id": login.id, "user_id": actor.user_id, "name": actor.name}
    return Event(kind, actor.team_id, now, data, actor=actor, face=face)


def describe_user(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "email": user.email, "role": user.role}


def describe_team(team: Team) -> dict[str, Any]:
    return {"id": team.id, "name": team.name, "plan": team.plan, "timezone": team.timezone}
