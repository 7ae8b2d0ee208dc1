"""Schedules and what they are for. Every query is scoped by team."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.domain.playback import Target
from hub.domain.targets import KINDS
from hub.store import ownership
from hub.store.tables import AlertRuleTarget, AlertTarget, Location, Player, PlayerGroup, Schedule, ScheduleTarget


async def find(
    session: AsyncSession,
    team_id: int,
    *,
    search: str | None = None,
    is_active: bool | None = None,
    target: Target | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Schedule]:
    """Schedules by id. `target`: only those that name this very player, group or location."""
    query = _filtered(select(Schedule), team_id, search, is_active, target).order_by(col(Schedule.id))
    return list(await session.exec(query.offset(offset).limit(limit)))


async def count(
    session: AsyncSession,
    team_id: int,
    *,
    search: str | None = None,
    is_active: bool | None = None,
    target: Target | None = None,
) -> int:
    query = _filtered(select(func.count()).select_from(Schedule), team_id, search, is_active, target)
    return int((await session.exec(query)).one())


def _filtered(query: Any, team_id: int, search: str | None, is_active: bool | None, target: Target | None) -> Any:
    query = query.where(col(Schedule.team_id) == team_id)
    if search:
        query = query.where(col(Schedule.name).icontains(search, autoescape=True))
    if is_active is not None:
        query = query.where(col(Schedule.is_active).is_(is_active))
    if target is not None:
        named = select(ScheduleTarget.schedule_id).where(
            col(ScheduleTarget.kind) == target.kind, col(ScheduleTarget.target_id) == target.id
        )
        query = query.where(col(Schedule.id).in_(named))
    return query


async def get(session: AsyncSession, team_id: int, schedule_id: int) -> Schedule:
    query = select(Schedule).where(col(Schedule.id) == schedule_id, col(Schedule.team_id) == team_id)
    schedule = (await session.exec(query)).first()
    if schedule is None:
        raise NotFound
    return schedule


async def by_schedule_id(session: AsyncSession, team_id: int, schedule_id: str) -> Schedule:
    """By its other id, `sch_...`."""
    query = select(Schedule).where(col(Schedule.schedule_id) == schedule_id, col(Schedule.team_id) == team_id)
    schedule = (await session.exec(query)).first()
    if schedule is None:
        raise NotFound
    return schedule


async def targets(session: AsyncSession, schedule_ids: Sequence[int]) -> dict[int, list[Target]]:
    """What each of these schedules is for: players first, then groups, then locations."""
    found: dict[int, list[Target]] = {schedule_id: [] for schedule_id in schedule_ids}
    for start in range(0, len(schedule_ids), ownership.SOME):
        some = schedule_ids[start : start + ownership.SOME]
        query = select(ScheduleTarget).where(col(ScheduleTarget.schedule_id).in_(some))
        for row in await session.exec(query):
            found[row.schedule_id].append(Target(row.kind, row.target_id))
    for named in found.values():
        named.sort(key=lambda target: (KINDS.index(target.kind), target.id))
    return found


async def screens(session: AsyncSession, player_ids: Collection[int]) -> dict[int, str]:
    """The `scr_` ids of these players."""
    wanted = sorted(set(player_ids))
    found: dict[int, str] = {}
    for start in range(0, len(wanted), ownership.SOME):
        query = select(Player.id, Player.screen_id).where(col(Player.id).in_(wanted[start : start + ownership.SOME]))
        found |= {number: screen_id for number, screen_id in await session.exec(query) if number is not None}
    return found


async def players_by_screen(session: AsyncSession, team_id: int, screen_ids: Iterable[str]) -> dict[str, int]:
    """The team's players by their `scr_` ids."""
    query = select(Player.screen_id, Player.id).where(col(Player.team_id) == team_id)
    named = await session.exec(query.where(col(Player.screen_id).in_(set(screen_ids))))
    return {screen_id: number for screen_id, number in named if number is not None}


async def clear_targets(session: AsyncSession, schedule_id: int) -> int:
    """The schedule is for nobody. Answers how many targets it had."""
    gone = delete(ScheduleTarget).where(col(ScheduleTarget.schedule_id) == schedule_id)
    return len((await session.exec(gone.returning(col(ScheduleTarget.target_id)))).all())


async def add_targets(session: AsyncSession, schedule_id: int, named: Iterable[Target]) -> None:
    """The caller has checked that all are of the team."""
    session.add_all(
        ScheduleTarget(schedule_id=schedule_id, kind=target.kind, target_id=target.id) for target in sorted(set(named))
    )
    await session.flush()


async def of_team(session: AsyncSession, team_id: int, named: Collection[Target]) -> set[Target]:
    """Those of the targets that are the team's."""
    found: set[Target] = set()
    for kind, table in (("player", Player), ("group", PlayerGroup), ("location", Location)):
        numbers = [target.id for target in named if target.kind == kind]
        found |= {Target(kind, number) for number in await ownership.of_team(session, table, team_id, numbers)}
    return found


async def forget_target(session: AsyncSession, kind: str, target_id: int) -> None:
    """A player, group or location is about to go: no schedule, alert or rule is for it any more."""
    for table in (ScheduleTarget, AlertTarget, AlertRuleTarget):
        await session.exec(delete(table).where(col(table.kind) == kind, col(table.target_id) == target_id))
