"""Playlists and their items. Every query is scoped by team."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.content import Found
from hub.store.tables import Asset, Layout, Playlist, PlaylistItem, Schedule, StoredFile, Zone


async def find(
    session: AsyncSession, team_id: int, *, search: str | None = None, offset: int = 0, limit: int | None = None
) -> list[tuple[Playlist, int]]:
    """(playlist, number of items), by id."""
    numbers = (
        select(func.count())
        .select_from(PlaylistItem)
        .where(col(PlaylistItem.playlist_id) == col(Playlist.id))
        .scalar_subquery()
    )
    query = _filtered(select(Playlist, numbers), team_id, search).order_by(col(Playlist.id))
    return [(playlist, int(number)) for playlist, number in await session.exec(query.offset(offset).limit(limit))]


async def count(session: AsyncSession, team_id: int, *, search: str | None = None) -> int:
    return int((await session.exec(_filtered(select(func.count()).select_from(Playlist), team_id, search))).one())


def _filtered(query: Any, team_id: int, search: str | None) -> Any:
    query = query.where(col(Playlist.team_id) == team_id)
    return query.where(col(Playlist.name).icontains(search, autoescape=True)) if search else query


async def get(session: AsyncSession, team_id: int, playlist_id: int) -> Playlist:
    query = select(Playlist).where(col(Playlist.id) == playlist_id, col(Playlist.team_id) == team_id)
    playlist = (await session.exec(query)).first()
    if playlist is None:
        raise NotFound
    return playlist


async def items(session: AsyncSession, playlist_id: int) -> list[tuple[PlaylistItem, Found]]:
    """The items in their order, with their assets."""
    query = (
        select(PlaylistItem, Asset, StoredFile)
        .join(Asset, col(Asset.id) == col(PlaylistItem.asset_id))
        .join(StoredFile, col(StoredFile.id) == col(Asset.file_id), isouter=True)
        .where(col(PlaylistItem.playlist_id) == playlist_id)
        .order_by(col(PlaylistItem.position))
    )
    return [(item, Found(asset, file)) for item, asset, file in await session.exec(query)]


async def clear(session: AsyncSession, playlist_id: int) -> int:
    """Take all items out. Answers how many there were."""
    gone = delete(PlaylistItem).where(col(PlaylistItem.playlist_id) == playlist_id).returning(col(PlaylistItem.id))
    return len((await session.exec(gone)).all())


async def add_items(session: AsyncSession, entries: Sequence[PlaylistItem]) -> None:
    """The caller has checked that what they name is of the team."""
    session.add_all(entries)
    await session.flush()


async def no_default(session: AsyncSession, team_id: int, *, but: int | None = None) -> list[Playlist]:
    """Take the mark of the default from whichever playlist has it. Answers those that had it."""
    query = select(Playlist).where(col(Playlist.team_id) == team_id, col(Playlist.is_default).is_(True))
    marked = [playlist for playlist in await session.exec(query) if playlist.id != but]
    for playlist in marked:
        playlist.is_default = False
        session.add(playlist)
    await session.flush()  # before another gets the mark: the index allows one
    return marked


async def used_by(session: AsyncSession, playlist_id: int) -> tuple[list[Schedule], list[Layout]]:
    """The schedules and layouts that name the playlist."""
    schedules = await session.exec(
        select(Schedule).where(col(Schedule.playlist_id) == playlist_id).order_by(col(Schedule.id))
    )
    zones = select(Zone.layout_id).where(col(Zone.playlist_id) == playlist_id)
    layouts = await session.exec(select(Layout).where(col(Layout.id).in_(zones)).order_by(col(Layout.id)))
    return list(schedules), list(layouts)


async def with_campaign(session: AsyncSession, campaign_id: int) -> list[Playlist]:
    """The playlists with an item for this campaign."""
    named = select(PlaylistItem.playlist_id).where(col(PlaylistItem.campaign_id) == campaign_id)
    return list(await session.exec(select(Playlist).where(col(Playlist.id).in_(named)).order_by(col(Playlist.id))))


async def assets_by_key(session: AsyncSession, team_id: int, keys: Iterable[str]) -> dict[str, int]:
    """The team's assets by the keys of their direct uploads."""
    query = select(Asset.key, Asset.id).where(col(Asset.team_id) == team_id, col(Asset.key).in_(set(keys)))
    return {key: number for key, number in await session.exec(query) if key is not None and number is not None}
