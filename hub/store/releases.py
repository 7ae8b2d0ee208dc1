"""Versions of the player software that a team offers."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import Release


async def find(session: AsyncSession, team_id: int, *, active: bool | None = None) -> list[Release]:
    query = select(Release).where(col(Release.team_id) == team_id)
    if active is not None:
        query = query.where(col(Release.active).is_(active))
    return list((await session.exec(query.order_by(col(Release.id)))).all())


async def get(session: AsyncSession, team_id: int, release_id: int) -> Release:
    query = select(Release).where(col(Release.id) == release_id, col(Release.team_id) == team_id)
    release = (await session.exec(query)).first()
    if release is None:
        raise NotFound
    return release


async def by_version(session: AsyncSession, team_id: int, version: str) -> Release | None:
    query = select(Release).where(col(Release.team_id) == team_id, col(Release.version_name) == version)
    return (await session.exec(query)).first()
