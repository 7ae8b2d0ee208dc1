"""What the watch over players reads: rules, players with all that is known of them, and what has changed lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import and_, case, func, or_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.incidents import Ongoing, Rule, Watched
from hub.domain.opening_hours import parse_hours
from hub.domain.timeline import Window
from hub.domain.times import MINUTE
from hub.store.statements import Statement, Unit
from hub.store.tables import (
    AlertRule,
    AlertRuleTarget,
    Command,
    Downtime,
    EventRow,
    GroupMember,
    Incident,
    Location,
    Meta,
    Player,
    PresenceRow,
    Status,
)

PLACE = "watched_event"
"""The fact that says up to which event the log was heard."""
DOWNTIMES_LIMIT = 1_000  # the newest: a hub that was away more often has no memory of its players anyway
FAILED = ("failed", "rejected", "timed_out", "expired")
CALLED_OFF = "cancelled"  # says nothing of how well commands work

_KEEP_PLACE = Statement("""
    INSERT INTO meta (name, value) VALUES ('watched_event', :value) ON CONFLICT (name) DO NOTHING""")
_MOVE_PLACE = Statement("""
    UPDATE meta SET value = :after WHERE name = 'watched_event' AND value = :before""")


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that the watch wants to know of."""

    id: int
    type: str
    team_id: int
    player_id: int | None
    at: int
    data: str


def keep_place(number: int) -> Unit:
    """Unit: the log is heard from here on, unless it was begun before."""
    yield _KEEP_PLACE(value=str(number))


def move_place(before: int, after: int) -> Unit:
    """Unit: up to `after` there was nothing that changes a thing when it is heard again."""
    yield _MOVE_PLACE(before=str(before), after=str(after))


async def place(session: AsyncSession) -> int:
    """Up to which event the log was heard."""
    row = await session.get(Meta, PLACE)
    if row is None:
        raise LookupError("keep the place first")
    return int(row.value)


async def happened(session: AsyncSession, after: int, upto: int, types: Sequence[str], limit: int) -> list[Happened]:
    """Events of these types past `after` and until `upto`, of all teams, oldest first."""
    query = select(EventRow).where(col(EventRow.id) > after, col(EventRow.id) <= upto, col(EventRow.type).in_(types))
    rows = await session.exec(query.order_by(col(EventRow.id)).limit(limit))
    return [Happened(row.id or 0, row.type, row.team_id, row.player_id, row.at, row.data) for row in rows]


async def teams_with(session: AsyncSession, event_type: str, after: int, upto: int) -> set[int]:
    """Teams that had such an event."""
    query = select(EventRow.team_id).where(col(EventRow.id) > after, col(EventRow.id) <= upto)
    return set((await session.exec(query.where(col(EventRow.type) == event_type).distinct())).all())


async def versions(session: AsyncSession) -> list[tuple[int, int]]:
    """(rule, version) of the enabled rules of all teams."""
    query = select(AlertRule.id, AlertRule.version).where(col(AlertRule.enabled).is_(True)).order_by(col(AlertRule.id))
    return [(number or 0, version) for number, version in await session.exec(query)]


async def rules(session: AsyncSession) -> dict[int, list[Rule]]:
    """The enabled rules by team."""
    targets: dict[int, dict[str, set[int]]] = {}
    for target in await session.exec(select(AlertRuleTarget)):
        targets.setdefault(target.rule_id, {}).setdefault(target.kind, set()).add(target.target_id)
    found: dict[int, list[Rule]] = {}
    query = select(AlertRule).where(col(AlertRule.enabled).is_(True)).order_by(col(AlertRule.id))
    for row in await session.exec(query):
        aims = targets.get(row.id or 0, {})
        rule = Rule(
            id=row.id or 0,
            team_id=row.team_id,
            kind=row.kind,  # type: ignore[arg-type]
            thresholds=orjson.loads(row.thresholds),
            for_ms=row.for_minutes * MINUTE,
            watches_since=row.watches_since,
            everyone=row.everyone,
            players=frozenset(aims.get("player", ())),
            groups=frozenset(aims.get("group", ())),
            locations=frozenset(aims.get("location", ())),
        )
        found.setdefault(row.team_id, []).append(rule)
    return found


async def players(session: AsyncSession, ids: Sequence[int]) -> list[Watched]:
    """What is known of these players; those that are gone are left out."""
    groups: dict[int, set[int]] = {}
    members = select(GroupMember).where(col(GroupMember.player_id).in_(ids))
    for member in await session.exec(members):
        groups.setdefault(member.player_id, set()).add(member.group_id)
    columns: tuple[Any, ...] = (
        Player.id, Player.team_id, Player.name, Player.screen_id, Player.location_id, PresenceRow.online,
        PresenceRow.since, PresenceRow.epoch, PresenceRow.reason, Status.telemetry, Status.telemetry_at,
        Location.opening_hours, Location.timezone,
    )  # fmt: skip
    query: Any = (
        select(*columns)
        .join(PresenceRow, col(PresenceRow.player_id) == col(Player.id))
        .join(Status, col(Status.player_id) == col(Player.id), isouter=True)
        .join(Location, col(Location.id) == col(Player.location_id), isouter=True)
        .where(col(Player.id).in_(ids))
    )
    return [
        Watched(
            id=row.id,
            team_id=row.team_id,
            name=row.name,
            screen_id=row.screen_id,
            online=row.online,
            since=row.since,
            epoch=row.epoch,
            reason=row.reason,
            location_id=row.location_id,
            group_ids=frozenset(groups.get(row.id, ())),
            readings=orjson.loads(row.telemetry or "{}"),
            read_at=row.telemetry_at,
            hours=parse_hours(row.opening_hours),
            zone=row.timezone or "UTC",
        )
        for row in await session.exec(query)
    ]


async def ongoing(session: AsyncSession, player_ids: Sequence[int]) -> dict[int, list[Ongoing]]:
    """Conditions of these players that are not over; 0 stands for whole teams."""
    found: dict[int, list[Ongoing]] = {player_id: [] for player_id in player_ids}
    query = select(
        Incident.id, Incident.rule_id, Incident.player_id, Incident.kind, Incident.name, Incident.status,
        Incident.began_at, Incident.due_at,
    )  # type: ignore[call-overload]  # fmt: skip
    query = query.where(col(Incident.player_id).in_(player_ids), col(Incident.over_at).is_(None))
    for row in await session.exec(query):
        found[row.player_id].append(Ongoing(*row))
    return found


async def due(session: AsyncSession, now: int, limit: int) -> list[int]:
    """Players of conditions that may become incidents now."""
    query = select(Incident.player_id).where(col(Incident.due_at) <= now, col(Incident.player_id) > 0)
    return list((await session.exec(query.order_by(col(Incident.due_at)).limit(limit))).all())


async def reported(session: AsyncSession, after: tuple[int, int], upto: int, limit: int) -> list[tuple[int, int]]:
    """(time, player) of readings stored past that one and until `upto`, oldest first."""
    at, player = col(Status.telemetry_at), col(Status.player_id)
    query = select(Status.telemetry_at, Status.player_id).where(at >= after[0], at <= upto, tuple_(at, player) > after)
    return [(time or 0, number) for time, number in await session.exec(query.order_by(at, player).limit(limit))]


async def of_watched_teams(session: AsyncSession, after: int, limit: int, team_id: int | None = None) -> list[int]:
    """Players past that one, by id: of one team, or of all that have an enabled rule."""
    if team_id is None:
        teams: Any = select(AlertRule.team_id).where(col(AlertRule.enabled).is_(True))
    else:
        teams = [team_id]
    query = select(Player.id).where(col(Player.team_id).in_(teams), col(Player.id) > after)
    return [number or 0 for number in await session.exec(query.order_by(col(Player.id)).limit(limit))]


async def unwatched(session: AsyncSession, limit: int) -> list[tuple[int, int]]:
    """(incident, team) of conditions whose rule is gone or disabled, or whose player is gone."""
    watching = and_(col(AlertRule.id) == col(Incident.rule_id), col(AlertRule.enabled).is_(True))
    query = (
        select(Incident.id, Incident.team_id)
        .join(AlertRule, watching, isouter=True)
        .join(Player, col(Player.id) == col(Incident.player_id), isouter=True)
        .where(col(Incident.over_at).is_(None))
        .where(or_(col(AlertRule.id).is_(None), and_(col(Incident.player_id) > 0, col(Player.id).is_(None))))
    )
    return [(number or 0, team_id) for number, team_id in await session.exec(query.limit(limit))]


async def downtimes(session: AsyncSession, since: int) -> list[Window]:
    """When the hub was away, since then, in order."""
    query = select(Downtime.started_at, Downtime.ended_at).where(col(Downtime.ended_at) > since)
    rows = await session.exec(query.order_by(col(Downtime.started_at).desc()).limit(DOWNTIMES_LIMIT))
    return sorted((started_at, ended_at) for started_at, ended_at in rows)


async def finished(session: AsyncSession, team_id: int, since: int) -> tuple[int, int]:
    """(commands of the team that ended since then, those of them that did not succeed)."""
    failed = func.sum(case((col(Command.state).in_(FAILED), 1), else_=0))
    query: Any = select(func.count(), failed).where(col(Command.team_id) == team_id, col(Command.finished_at) >= since)
    total, bad = (await session.exec(query.where(col(Command.state) != CALLED_OFF))).one()
    return int(total), int(bad or 0)
