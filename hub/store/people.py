"""People of a team, and their logins (account tokens)."""

from collections.abc import Sequence

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.statements import Statement, Unit
from hub.store.tables import AccountToken, ApiKey, LoginPlace, Team, User

Place = tuple[str | None, str | None]
"""From which address and with which User-Agent a credential is used."""

Use = tuple[int, int, str | None, str | None]
"""The latest use of a credential in one place: its id, the time, from which address, with which User-Agent. The
time that is kept never goes back: a clock that was wrong for a moment would make who is there look idle."""

USES_KEPT = 10
"""Places whose latest use of one key is remembered; those of a key's own servers, and whoever should not have it."""

_LOGIN_USED = Statement("""
    UPDATE account_token
    SET last_used_at = CASE WHEN last_used_at > :at THEN last_used_at ELSE CAST(:at AS BIGINT) END,
        last_address = :address, last_agent = :agent
    WHERE id = :id""")
_REMEMBER_PLACE = Statement("""
    INSERT INTO login_place (user_id, network, used_at)
    SELECT id, CAST(:network AS VARCHAR), CAST(:now AS BIGINT) FROM users WHERE id = :user_id
    ON CONFLICT (user_id, network) DO UPDATE SET used_at = excluded.used_at
    WHERE excluded.used_at > login_place.used_at""")
_DROP_PLACES = Statement("""
    DELETE FROM login_place WHERE user_id = :user_id AND network NOT IN (
        SELECT network FROM login_place WHERE user_id = :user_id ORDER BY used_at DESC, network LIMIT :keep)""")
_FORGET_PLACES = Statement("DELETE FROM login_place WHERE used_at < :before")
_FORGET_LOGINS = Statement("""
    DELETE FROM account_token
    WHERE expires_at < :now OR (last_used_at < :idle_since AND created_at < :idle_since)""")


async def user(session: AsyncSession, team_id: int, user_id: int) -> User:
    """One person of the team. Raises NotFound."""
    query = select(User).where(col(User.id) == user_id, col(User.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def user_with_team(session: AsyncSession, user_id: int) -> tuple[User, Team] | None:
    query = select(User, Team).join(Team, col(Team.id) == col(User.team_id)).where(col(User.id) == user_id)
    return (await session.exec(query)).first()


async def by_email(session: AsyncSession, email: str) -> tuple[User, Team] | None:
    query = select(User, Team).join(Team, col(Team.id) == col(User.team_id)).where(col(User.email) == email)
    return (await session.exec(query)).first()


async def users(session: AsyncSession, team_id: int) -> list[User]:
    return list((await session.exec(select(User).where(col(User.team_id) == team_id).order_by(col(User.id)))).all())


async def other_owners(session: AsyncSession, team_id: int, user_id: int) -> int:
    """How many owners the team has beside this one that are not locked."""
    query = select(func.count()).select_from(User)
    query = query.where(col(User.team_id) == team_id, col(User.role) == "owner", col(User.locked_at).is_(None))
    return int((await session.exec(query.where(col(User.id) != user_id))).one())


async def keys_of(session: AsyncSession, user_id: int) -> list[ApiKey]:
    """The keys in force that act as this person."""
    query = select(ApiKey).where(col(ApiKey.user_id) == user_id, col(ApiKey.revoked_at).is_(None))
    return list((await session.exec(query)).all())


async def drop_logins(session: AsyncSession, user_id: int, *, keep: int) -> list[int]:
    """End all but the newest `keep` logins of this person; answers the ids of those that ended."""
    query = select(AccountToken.id).where(col(AccountToken.user_id) == user_id)
    old = [number for number in await session.exec(query.order_by(col(AccountToken.id).desc()).offset(keep)) if number]
    await session.exec(delete(AccountToken).where(col(AccountToken.id).in_(old)))
    return old


async def end_logins(session: AsyncSession, user_id: int, *, but: int = 0) -> None:
    """End all logins of this person but one."""
    query = delete(AccountToken).where(col(AccountToken.user_id) == user_id, col(AccountToken.id) != but)
    await session.exec(query)


async def end_login(session: AsyncSession, login_id: int) -> bool:
    """Answers whether there was such a login."""
    query = delete(AccountToken).where(col(AccountToken.id) == login_id)
    return (await session.exec(query)).rowcount > 0


async def has_signed_in(session: AsyncSession, email: str, network: str) -> bool:
    """Whether the person with this address has signed in from this network lately."""
    query = select(LoginPlace.user_id).join(User, col(User.id) == col(LoginPlace.user_id))
    return (
        await session.exec(query.where(col(User.email) == email, col(LoginPlace.network) == network))
    ).first() is not None


async def forget_places(session: AsyncSession, user_id: int) -> None:
    await session.exec(delete(LoginPlace).where(col(LoginPlace.user_id) == user_id))


async def login_by_digest(session: AsyncSession, digest: str) -> tuple[AccountToken, User, Team] | None:
    query = (
        select(AccountToken, User, Team)
        .join(User, col(User.id) == col(AccountToken.user_id))
        .join(Team, col(Team.id) == col(User.team_id))
        .where(col(AccountToken.digest) == digest)
    )
    return (await session.exec(query)).first()


async def team(session: AsyncSession, team_id: int) -> Team:
    found = await session.get(Team, team_id)
    if found is None:
        raise NotFound
    return found


async def plan(session: AsyncSession, team_id: int) -> str:
    """The plan that sets the team's limits."""
    return (await session.exec(select(Team.plan).where(col(Team.id) == team_id))).one()


def logins_used(uses: Sequence[Use]) -> Unit:
    """Unit: the latest use of each login, the last one that is given."""
    for login_id, at, address, agent in {use[0]: use for use in uses}.values():
        yield _LOGIN_USED(id=login_id, at=at, address=address, agent=agent)


def signed_in(user_id: int, network: str, now: int, keep: int) -> Unit:
    """Unit: a person has signed in from this network, which is one of the latest `keep` that are remembered."""
    yield _REMEMBER_PLACE(user_id=user_id, network=network, now=now)
    yield _DROP_PLACES(user_id=user_id, keep=keep)


def forget_logins(now: int, idle_since: int, places_before: int) -> Unit:
    """Unit: logins that have ended, or were not used since `idle_since`, and networks from which nobody signed in since
    `places_before`."""
    yield _FORGET_LOGINS(now=now, idle_since=idle_since)
    yield _FORGET_PLACES(before=places_before)
