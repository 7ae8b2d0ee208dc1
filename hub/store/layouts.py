"""Layouts, their zones, and the players and groups that have them. Every query is scoped by team."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import GroupMember, Layout, Player, PlayerGroup, Schedule, Zone


async def find(
    session: AsyncSession, team_id: int, *, search: str | None = None, offset: int = 0, limit: int | None = None
) -> list[tuple[Layout, int]]:
    """(layout, number of zones), by id."""
    numbers = select(func.count()).select_from(Zone).where(col(Zone.layout_id) == col(Layout.id)).scalar_subquery()
    query = _filtered(select(Layout, numbers), team_id, search).order_by(col(Layout.id))
    return [(layout, int(number)) for layout, number in await session.exec(query.offset(offset).limit(limit))]


async def count(session: AsyncSession, team_id: int, *, search: str | None = None) -> int:
    return int((await session.exec(_filtered(select(func.count()).select_from(Layout), team_id, search))).one())


def _filtered(query: Any, team_id: int, search: str | None) -> Any:
    query = query.where(col(Layout.team_id) == team_id)
    return query.where(col(Layout.name).icontains(search, autoescape=True)) if search else query


async def get(session: AsyncSession, team_id: int, layout_id: int) -> Layout:
    query = select(Layout).where(col(Layout.id) == layout_id, col(Layout.team_id) == team_id)
    layout = (await session.exec(query)).first()
    if layout is None:
        raise NotFound
    return layout


async def layout_of(session: AsyncSession, player: Player, group_ids: Sequence[int]) -> Layout | None:
    """The layout that the player has by itself, or else by the first of its groups that has one."""
    layout_id = player.layout_id
    if layout_id is None and group_ids:
        groups = select(PlayerGroup.layout_id).where(
            col(PlayerGroup.id).in_(group_ids), col(PlayerGroup.layout_id).is_not(None)
        )
        layout_id = (await session.exec(groups.order_by(col(PlayerGroup.id)).limit(1))).first()
    return None if layout_id is None else await session.get(Layout, layout_id)


async def zones(session: AsyncSession, layout_id: int) -> list[Zone]:
    """From the back to the front."""
    query = select(Zone).where(col(Zone.layout_id) == layout_id).order_by(col(Zone.position))
    return list(await session.exec(query))


async def set_zones(session: AsyncSession, layout_id: int, entries: Sequence[Zone]) -> None:
    """Replace all zones; the caller has checked that what they name is of the team."""
    await session.exec(delete(Zone).where(col(Zone.layout_id) == layout_id))
    session.add_all(entries)
    await session.flush()


async def holders(session: AsyncSession, layout_id: int) -> tuple[list[int], list[int]]:
    """The players and groups that the layout is assigned to."""
    players = await session.exec(select(Player.id).where(col(Player.layout_id) == layout_id).order_by(col(Player.id)))
    groups = await session.exec(
        select(PlayerGroup.id).where(col(PlayerGroup.layout_id) == layout_id).order_by(col(PlayerGroup.id))
    )
    return [number for number in players if number is not None], [number for number in groups if number is not None]


async def assign(
    session: AsyncSession, layout_id: int, player_ids: Iterable[int], group_ids: Iterable[int], now: int
) -> None:
    """Give these players and groups the layout; each is one version newer."""
    await _put(session, layout_id, col(Player.id).in_(set(player_ids)), col(PlayerGroup.id).in_(set(group_ids)), now)


async def take_away(session: AsyncSession, layout_id: int, now: int) -> None:
    """The players and groups that have the layout have none now; each is one version newer."""
    await _put(session, None, col(Player.layout_id) == layout_id, col(PlayerGroup.layout_id) == layout_id, now)


async def _put(session: AsyncSession, layout_id: int | None, players: Any, groups: Any, now: int) -> None:
    changed = update(Player).where(players)
    await session.exec(changed.values(layout_id=layout_id, version=col(Player.version) + 1, updated_at=now))
    changed = update(PlayerGroup).where(groups)
    await session.exec(changed.values(layout_id=layout_id, version=col(PlayerGroup.version) + 1))


async def reached(session: AsyncSession, player_ids: Iterable[int], group_ids: Iterable[int]) -> int:
    """How many different players these players and the members of these groups are."""
    members = select(GroupMember.player_id).where(col(GroupMember.group_id).in_(set(group_ids)))
    either = col(Player.id).in_(set(player_ids)) | col(Player.id).in_(members)
    return int((await session.exec(select(func.count()).select_from(Player).where(either))).one())


async def schedules_of(session: AsyncSession, layout_id: int) -> list[Schedule]:
    """The schedules that name the layout."""
    query = select(Schedule).where(col(Schedule.layout_id) == layout_id).order_by(col(Schedule.id))
    return list(await session.exec(query))
