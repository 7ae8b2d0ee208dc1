"""Alert rules."""

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import AlertRule


async def get(session: AsyncSession, team_id: int, rule_id: int) -> AlertRule:
    """Raises NotFound."""
    query = select(AlertRule).where(col(AlertRule.id) == rule_id, col(AlertRule.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def find(session: AsyncSession, team_id: int, *, offset: int = 0, limit: int | None = None) -> list[AlertRule]:
    """By id."""
    query = select(AlertRule).where(col(AlertRule.team_id) == team_id).order_by(col(AlertRule.id))
    return list(await session.exec(query.offset(offset).limit(limit)))


async def count(session: AsyncSession, team_id: int) -> int:
    query = select(func.count()).select_from(AlertRule).where(col(AlertRule.team_id) == team_id)
    return int((await session.exec(query)).one())
