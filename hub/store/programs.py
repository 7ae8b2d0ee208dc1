"""What programs are made of: everything a team has to show and to whom, read at once, and its players' own facts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import program as rules
from hub.domain.content import leads_away
from hub.domain.errors import Invalid
from hub.domain.events import Event
from hub.domain.playback import Target
from hub.domain.program import NOTHING, Screen, Shown, World
from hub.domain.schedules import parse_rule
from hub.store import events
from hub.store.statements import Statement, Unit
from hub.store.tables import (
    Alert,
    AlertTarget,
    Asset,
    GroupMember,
    Holiday,
    Layout,
    Location,
    Player,
    PlayerGroup,
    Playlist,
    PlaylistItem,
    Schedule,
    ScheduleTarget,
    StoredFile,
    Team,
    Zone,
)

SOME = 500  # values in one IN list


async def content_versions(session: AsyncSession, team_ids: Iterable[int]) -> dict[int, int]:
    """How often what each of the teams' players might show has changed."""
    wanted = sorted(set(team_ids))
    found: dict[int, int] = {}
    for start in range(0, len(wanted), SOME):
        query = select(Team.id, Team.content_version).where(col(Team.id).in_(wanted[start : start + SOME]))
        found |= {team_id: version for team_id, version in await session.exec(query) if team_id is not None}
    return found


async def teams_with_schedules(session: AsyncSession) -> list[int]:
    """Teams that have schedules which are switched on, or which were last seen playing."""
    query = select(Schedule.team_id).where(col(Schedule.is_active) | col(Schedule.activated_at).is_not(None)).distinct()
    return list((await session.exec(query)).all())


async def screens(session: AsyncSession, team_id: int, player_id: int | None = None) -> dict[int, Screen]:
    """The team's players, or one of them."""
    query = select(Player.id, Player.timezone, Player.location_id, Player.layout_id).where(
        col(Player.team_id) == team_id
    )
    members = (
        select(GroupMember.player_id, GroupMember.group_id)
        .join(PlayerGroup, col(PlayerGroup.id) == col(GroupMember.group_id))
        .where(col(PlayerGroup.team_id) == team_id)
    )
    if player_id is not None:
        query = query.where(col(Player.id) == player_id)
        members = members.where(col(GroupMember.player_id) == player_id)
    groups: dict[int, list[int]] = defaultdict(list)
    for member, group in await session.exec(members):
        groups[member].append(group)
    return {
        id: Screen(id, timezone, location_id, layout_id, tuple(sorted(groups.get(id, ()))))
        for id, timezone, location_id, layout_id in await session.exec(query)
        if id is not None
    }


async def world(session: AsyncSession, team_id: int) -> World:
    """All that the team has to show, and to whom."""
    team = (await session.exec(select(Team).where(col(Team.id) == team_id))).one()
    places, holidays = await _places(session, team_id)
    playlists, default = await _playlists(session, team_id)
    layouts = await _layouts(session, team_id)
    wanted = {item.asset_id for playlist in playlists.values() for item in playlist.items}
    wanted |= {zone.asset_id for layout in layouts.values() for zone in layout.zones if zone.asset_id is not None}
    groups = select(PlayerGroup.id, PlayerGroup.layout_id).where(
        col(PlayerGroup.team_id) == team_id, col(PlayerGroup.layout_id).is_not(None)
    )
    return World(
        timezone=team.timezone,
        plans=await _plans(session, team_id),
        playlists=playlists,
        layouts=layouts,
        assets=await assets(session, team_id, wanted),
        default_playlist=default,
        group_layouts={
            id: layout for id, layout in await session.exec(groups) if id is not None and layout is not None
        },
        places=places,
        holidays=holidays,
        notices=await _notices(session, team_id),
    )


async def _places(
    session: AsyncSession, team_id: int
) -> tuple[dict[int, rules.Place], dict[int | None, frozenset[date]]]:
    places = {
        row.id or 0: rules.Place(
            row.timezone,
            None if row.latitude is None or row.longitude is None else (row.latitude, row.longitude),
        )
        for row in await session.exec(select(Location).where(col(Location.team_id) == team_id))
    }
    days: dict[int | None, set[date]] = defaultdict(set)
    for row in await session.exec(select(Holiday).where(col(Holiday.team_id) == team_id)):
        days[row.location_id].add(date.fromisoformat(row.day))
    return places, {location_id: frozenset(some) for location_id, some in days.items()}


async def _playlists(session: AsyncSession, team_id: int) -> tuple[dict[int, rules.Playlist], int | None]:
    rows = list(await session.exec(select(Playlist).where(col(Playlist.team_id) == team_id)))
    items: dict[int, list[rules.Item]] = defaultdict(list)
    query = (
        select(PlaylistItem)
        .join(Playlist, col(Playlist.id) == col(PlaylistItem.playlist_id))
        .where(col(Playlist.team_id) == team_id)
        .order_by(col(PlaylistItem.playlist_id), col(PlaylistItem.position), col(PlaylistItem.id))
    )
    for item in await session.exec(query):
        items[item.playlist_id].append(rules.Item(item.id or 0, item.asset_id, item.duration_s, item.campaign_id))
    found = {
        row.id or 0: rules.Playlist(row.id or 0, row.name, row.transition, tuple(items[row.id or 0])) for row in rows
    }
    return found, next((row.id for row in rows if row.is_default), None)


async def _layouts(session: AsyncSession, team_id: int) -> dict[int, rules.Layout]:
    zones: dict[int, list[rules.Zone]] = defaultdict(list)
    query = (
        select(Zone)
        .join(Layout, col(Layout.id) == col(Zone.layout_id))
        .where(col(Layout.team_id) == team_id)
        .order_by(col(Zone.layout_id), col(Zone.position), col(Zone.id))
    )
    for row in await session.exec(query):
        zones[row.layout_id].append(
            rules.Zone(row.id or 0, row.name, row.x, row.y, row.width, row.height, row.playlist_id, row.asset_id)
        )
    return {
        row.id or 0: rules.Layout(row.id or 0, row.name, row.width, row.height, tuple(zones[row.id or 0]))
        for row in await session.exec(select(Layout).where(col(Layout.team_id) == team_id))
    }


async def assets(session: AsyncSession, team_id: int, wanted: set[int]) -> dict[int, rules.Asset]:
    """Those of the assets that are ready to be shown."""
    numbers, found = sorted(wanted), {}
    for start in range(0, len(numbers), SOME):
        query = (
            select(Asset, StoredFile)
            .join(StoredFile, col(StoredFile.id) == col(Asset.file_id), isouter=True)
            .where(
                col(Asset.team_id) == team_id,
                col(Asset.status) == "active",
                col(Asset.id).in_(numbers[start : start + SOME]),
            )
        )
        rows: Iterable[tuple[Asset, StoredFile | None]] = await session.exec(query)
        for asset, file in rows:
            if file is None and asset.source_url is not None and not leads_away(asset.type, asset.source_url):
                continue
            found[asset.id or 0] = rules.Asset(
                asset.id or 0,
                asset.type,
                asset.name,
                None if file else asset.source_url,
                file.sha256 if file else None,
                file.size if file else None,
                file.mime if file else None,
                asset.duration_s,
            )
    return found


async def _plans(session: AsyncSession, team_id: int) -> tuple[rules.Plan, ...]:
    targets: dict[int, set[Target]] = defaultdict(set)
    query: Any = (
        select(ScheduleTarget)
        .join(Schedule, col(Schedule.id) == col(ScheduleTarget.schedule_id))
        .where(col(Schedule.team_id) == team_id)
    )
    for row in await session.exec(query):
        targets[row.schedule_id].add(Target(row.kind, row.target_id))
    plans = []
    for schedule in await session.exec(select(Schedule).where(col(Schedule.team_id) == team_id)):
        try:
            rule = parse_rule(schedule)
        except Invalid:  # written by another version of the hub: it holds never, and takes no other along
            continue
        plans.append(
            rules.Plan(
                schedule.id or 0,
                schedule.schedule_id,
                schedule.name,
                _shown(schedule.playlist_id, schedule.layout_id),
                rule,
                schedule.priority,
                schedule.is_active,
                frozenset(targets[schedule.id or 0]),
            )
        )
    return tuple(plans)


def _shown(playlist_id: int | None, layout_id: int | None) -> Shown:
    if playlist_id is not None:
        return Shown("playlist", playlist_id)
    return NOTHING if layout_id is None else Shown("layout", layout_id)


async def _notices(session: AsyncSession, team_id: int) -> tuple[rules.Notice, ...]:
    targets: dict[int, set[Target]] = defaultdict(set)
    query: Any = (
        select(AlertTarget)
        .join(Alert, col(Alert.id) == col(AlertTarget.alert_id))
        .where(col(Alert.team_id) == team_id, col(Alert.cleared_at).is_(None))
    )
    for row in await session.exec(query):
        targets[row.alert_id].add(Target(row.kind, row.target_id))
    alerts = select(Alert).where(col(Alert.team_id) == team_id, col(Alert.cleared_at).is_(None))
    return tuple(
        rules.Notice(
            row.id or 0,
            row.title,
            row.message,
            row.severity,
            row.starts_at,
            row.ends_at,
            None if row.everyone else frozenset(targets[row.id or 0]),
        )
        for row in await session.exec(alerts.order_by(col(Alert.id)))
    )


_ACTIVE = Statement("SELECT id, activated_at FROM schedule WHERE team_id = :team_id")
_BEGIN = Statement("UPDATE schedule SET activated_at = :now WHERE id = :id AND activated_at IS NULL RETURNING id")
_CEASE = Statement("UPDATE schedule SET activated_at = NULL WHERE id = :id AND activated_at IS NOT NULL")


def activate(team_id: int, playing: Mapping[int, Mapping[str, Any]], now: int) -> Unit:
    """Unit: these schedules of the team play, and no others; an event for each that did not before. `playing` is what
    the events say, by schedule. Answers how many those are."""
    begun = 0
    for row in (yield _ACTIVE(team_id=team_id)):
        if row["id"] not in playing:
            if row["activated_at"] is not None:
                yield _CEASE(id=row["id"])
        elif row["activated_at"] is None and (yield _BEGIN(id=row["id"], now=now)):
            yield from events.append(Event("schedule.activated", team_id, now, playing[row["id"]]))
            begun += 1
    return begun
