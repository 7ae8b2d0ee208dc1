"""Teams, their people and their API keys."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.people import USES_KEPT, Use
from hub.store.statements import Statement, Unit
from hub.store.tables import ApiKey, ApiKeyUse, Meta, Team, User

_USED = Statement("""
    UPDATE api_key
    SET last_used_at = CASE WHEN last_used_at > :at THEN last_used_at ELSE CAST(:at AS BIGINT) END,
        last_address = :address, last_agent = :agent
    WHERE id = :id""")
_REMEMBER_USE = Statement("""
    INSERT INTO api_key_use (key_id, address, agent, used_at)
    SELECT id, CAST(:address AS VARCHAR), CAST(:agent AS VARCHAR), CAST(:at AS BIGINT) FROM api_key
    WHERE id = :id AND revoked_at IS NULL
    ON CONFLICT (key_id, address, agent) DO UPDATE SET used_at = excluded.used_at
    WHERE api_key_use.used_at < excluded.used_at""")
_DROP_USES = Statement("""
    DELETE FROM api_key_use WHERE key_id = :id AND (address, agent) NOT IN (
        SELECT address, agent FROM api_key_use WHERE key_id = :id ORDER BY used_at DESC, address, agent LIMIT :keep)""")


async def create(session: AsyncSession, team: Team, owner: User) -> Team:
    session.add(team)
    await session.flush()
    assert team.id is not None
    owner.team_id = team.id
    session.add(owner)
    await session.flush()
    return team


async def teams(session: AsyncSession) -> list[Team]:
    return list((await session.exec(select(Team).order_by(col(Team.id)))).all())


async def count(session: AsyncSession) -> int:
    return int((await session.exec(select(func.count()).select_from(Team))).one())


async def user_by_email(session: AsyncSession, email: str) -> User | None:
    return (await session.exec(select(User).where(col(User.email) == email))).first()


async def keys(session: AsyncSession, team_id: int) -> list[ApiKey]:
    """Keys that are in force or have expired; revoked ones are gone from the list."""
    query = select(ApiKey).where(col(ApiKey.team_id) == team_id, col(ApiKey.revoked_at).is_(None))
    return list((await session.exec(query.order_by(col(ApiKey.id)))).all())


async def key(session: AsyncSession, team_id: int, key_id: int) -> ApiKey:
    query = select(ApiKey).where(col(ApiKey.id) == key_id, col(ApiKey.team_id) == team_id)
    found = (await session.exec(query.where(col(ApiKey.revoked_at).is_(None)))).first()
    if found is None:
        raise NotFound
    return found


async def made_with(
    session: AsyncSession, team_id: int, *, key_id: int | None = None, grant_id: int | None = None
) -> list[ApiKey]:
    """The keys that were made with this key or grant, with those, and so on; revoked ones are left out."""
    everything = await keys(session, team_id)
    found = [key for key in everything if grant_id is not None and key.grant_id == grant_id]
    found += [key for key in everything if key_id is not None and key.parent_id == key_id]
    for maker in found:  # grows meanwhile: a key is younger than the one that it was made with
        found += [key for key in everything if key.parent_id == maker.id]
    return found


class FoundKey(NamedTuple):
    """A key, the person it acts as (None: it belongs to nobody), and the team's plan."""

    key: ApiKey
    user: User | None
    plan: str


async def key_by_digest(session: AsyncSession, digest: str) -> FoundKey | None:
    return await _found_key(session, col(ApiKey.digest) == digest)


async def key_by_id(session: AsyncSession, key_id: int) -> FoundKey | None:
    return await _found_key(session, col(ApiKey.id) == key_id)


async def _found_key(session: AsyncSession, condition: ColumnElement[bool]) -> FoundKey | None:
    query = (
        select(ApiKey, User, Team.plan)
        .join(Team, col(Team.id) == col(ApiKey.team_id))
        .join(User, col(User.id) == col(ApiKey.user_id), isouter=True)
        .where(condition)
    )
    row = (await session.exec(query)).first()
    return None if row is None else FoundKey(*row)


def used(uses: Sequence[Use]) -> Unit:
    """Unit: the latest uses of each key, those of one in the order of their times."""
    for key_id, at, address, agent in uses:
        yield _REMEMBER_USE(id=key_id, at=at, address=address or "", agent=agent or "")
    for key_id, at, address, agent in {use[0]: use for use in uses}.values():
        yield _USED(id=key_id, at=at, address=address, agent=agent)
        yield _DROP_USES(id=key_id, keep=USES_KEPT)


async def uses(session: AsyncSession, key_id: int) -> list[Use]:
    """From where a key was used, and when it last was; the caller has checked whose it is."""
    query = select(ApiKeyUse).where(col(ApiKeyUse.key_id) == key_id)
    return [(key_id, use.used_at, use.address or None, use.agent or None) for use in await session.exec(query)]


async def forget_uses(session: AsyncSession, key_id: int) -> None:
    await session.exec(delete(ApiKeyUse).where(col(ApiKeyUse.key_id) == key_id))


async def fact(session: AsyncSession, name: str) -> str | None:
    """A fact about this database, such as `log_id` or `url_secret`."""
    row = await session.get(Meta, name)
    return row.value if row else None


async def keep_fact(session: AsyncSession, name: str, value: str) -> None:
    session.add(Meta(name=name, value=value))
    await session.flush()


async def set_fact(session: AsyncSession, name: str, value: str) -> None:
    row = await session.get(Meta, name) or Meta(name=name, value=value)
    row.value = value
    session.add(row)
    await session.flush()


async def touch_content(session: AsyncSession, team_id: int) -> None:
    """What the team's players might show has changed."""
    await session.exec(
        update(Team).where(col(Team.id) == team_id).values(content_version=col(Team.content_version) + 1)
    )
