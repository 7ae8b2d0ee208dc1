"""Campaigns. Every query is scoped by team."""

from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import Campaign, PlaySum


async def find(
    session: AsyncSession, team_id: int, *, search: str | None = None, offset: int = 0, limit: int | None = None
) -> list[Campaign]:
    query = _filtered(select(Campaign), team_id, search).order_by(col(Campaign.id))
    return list(await session.exec(query.offset(offset).limit(limit)))


async def count(session: AsyncSession, team_id: int, *, search: str | None = None) -> int:
    return int((await session.exec(_filtered(select(func.count()).select_from(Campaign), team_id, search))).one())


def _filtered(query: Any, team_id: int, search: str | None) -> Any:
    query = query.where(col(Campaign.team_id) == team_id)
    if search:
        name, advertiser = col(Campaign.name), col(Campaign.advertiser)
        query = query.where(name.icontains(search, autoescape=True) | advertiser.icontains(search, autoescape=True))
    return query


async def get(session: AsyncSession, team_id: int, campaign_id: int) -> Campaign:
    query = select(Campaign).where(col(Campaign.id) == campaign_id, col(Campaign.team_id) == team_id)
    campaign = (await session.exec(query)).first()
    if campaign is None:
        raise NotFound
    return campaign


async def has_earned(session: AsyncSession, team_id: int, campaign_id: int) -> bool:
    """Whether any of its showings was paid for."""
    query = select(PlaySum.plays).where(
        col(PlaySum.team_id) == team_id,
        col(PlaySum.dimension) == "campaign",
        col(PlaySum.dimension_id) == campaign_id,
        col(PlaySum.revenue_micros) > 0,
    )
    return (await session.exec(query.limit(1))).first() is not None
