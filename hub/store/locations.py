"""Locations and the days off at them. Every query is scoped by team."""

from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import Holiday, Location, Player


async def find(
    session: AsyncSession, team_id: int, *, search: str | None = None, offset: int = 0, limit: int | None = None
) -> list[tuple[Location, int]]:
    """(location, number of its players), by id."""
    numbers = select(func.count()).select_from(Player).where(col(Player.location_id) == col(Location.id))
    query = _filtered(select(Location, numbers.scalar_subquery()), team_id, search).order_by(col(Location.id))
    return [(location, int(number)) for location, number in await session.exec(query.offset(offset).limit(limit))]


async def count(session: AsyncSession, team_id: int, *, search: str | None = None) -> int:
    return int((await session.exec(_filtered(select(func.count()).select_from(Location), team_id, search))).one())


def _filtered(query: Any, team_id: int, search: str | None) -> Any:
    query = query.where(col(Location.team_id) == team_id)
    if search:
        name, address = col(Location.name), col(Location.address)
        query = query.where(name.icontains(search, autoescape=True) | address.icontains(search, autoescape=True))
    return query


async def get(session: AsyncSession, team_id: int, location_id: int) -> Location:
    query = select(Location).where(col(Location.id) == location_id, col(Location.team_id) == team_id)
    location = (await session.exec(query)).first()
    if location is None:
        raise NotFound
    return location


async def players(session: AsyncSession, location_id: int) -> list[int]:
    """Who stands there."""
    query = select(Player.id).where(col(Player.location_id) == location_id).order_by(col(Player.id))
    return [number for number in await session.exec(query) if number is not None]


async def empty(session: AsyncSession, location_id: int, now: int) -> None:
    """The players of this location stand nowhere now; each is one version newer."""
    changed = update(Player).where(col(Player.location_id) == location_id)
    await session.exec(changed.values(location_id=None, version=col(Player.version) + 1, updated_at=now))


async def holidays(
    session: AsyncSession,
    team_id: int,
    *,
    first: str | None = None,
    last: str | None = None,
    location_id: int | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Holiday]:
    """By day, the dates as YYYY-MM-DD and inclusive. `location_id`: only those of that location alone."""
    query = _of_days(select(Holiday), team_id, first, last, location_id)
    return list(await session.exec(query.order_by(col(Holiday.day), col(Holiday.id)).offset(offset).limit(limit)))


async def count_holidays(
    session: AsyncSession,
    team_id: int,
    *,
    first: str | None = None,
    last: str | None = None,
    location_id: int | None = None,
) -> int:
    query = _of_days(select(func.count()).select_from(Holiday), team_id, first, last, location_id)
    return int((await session.exec(query)).one())


def _of_days(query: Any, team_id: int, first: str | None, last: str | None, location_id: int | None) -> Any:
    query = query.where(col(Holiday.team_id) == team_id)
    if first is not None:
        query = query.where(col(Holiday.day) >= first)
    if last is not None:
        query = query.where(col(Holiday.day) <= last)
    if location_id is not None:
        query = query.where(col(Holiday.location_id) == location_id)
    return query


async def holiday(session: AsyncSession, team_id: int, holiday_id: int) -> Holiday:
    query = select(Holiday).where(col(Holiday.id) == holiday_id, col(Holiday.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def points(session: AsyncSession, team_id: int) -> list[tuple[int, tuple[float, float]]]:
    """(id, (latitude, longitude)) of the team's locations that have coordinates."""
    query = select(Location.id, Location.latitude, Location.longitude).where(col(Location.team_id) == team_id)
    rows = await session.exec(query)
    return [(number or 0, (y, x)) for number, y, x in rows if y is not None and x is not None]
