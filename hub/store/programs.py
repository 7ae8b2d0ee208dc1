"""What programs are made of: everything a team has to show and to whom, read at once, and its players' own facts."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import date
from typing import Any, cast

from sqlalchemy import Executable
from sqlalchemy import select as rows_of
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import program as rules
from hub.domain.content import leads_away
from hub.domain.errors import Invalid
from hub.domain.events import Event
from hub.domain.playback import Target
from hub.domain.program import NOTHING, Screen, Shelf, Shown, TeamContent
from hub.domain.schedules import Kept, parse_rule
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

SOME = 500  # values in one IN list, and rows taken in one stretch: some milliseconds

Pause = Callable[[], Awaitable[None]]
"""Lets others have a turn, between stretches of a long reading."""


async def no_pause() -> None: ...


async def _rows(session: AsyncSession, query: Executable, pause: Pause) -> AsyncIterator[Any]:
    connection = await session.connection()
    for some in (await connection.execute(query)).partitions(SOME):
        await pause()
        for row in some:
            yield row


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


async def screens(
    session: AsyncSession, team_id: int, player_id: int | None = None, *, pause: Pause = no_pause
) -> dict[int, Screen]:
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
    async for member, group in _rows(session, members, pause):
        groups[member].append(group)
    found: dict[int, Screen] = {}
    async for id, timezone, location_id, layout_id in _rows(session, query, pause):
        found[id] = Screen(id, timezone, location_id, layout_id, tuple(sorted(groups.get(id, ()))))
    return found


async def world(session: AsyncSession, team_id: int, pause: Pause = no_pause) -> TeamContent:
    """All that the team has to show, and to whom, but for the items of its playlists: `stock` reads those."""
    timezone = (await session.exec(select(Team.timezone).where(col(Team.id) == team_id))).one()
    places, holidays = await _places(session, team_id)
    playlists, default = await _playlists(session, team_id)
    layouts = await _layouts(session, team_id, pause)
    wanted = {zone.asset_id for layout in layouts.values() for zone in layout.zones if zone.asset_id is not None}
    groups = select(PlayerGroup.id, PlayerGroup.layout_id).where(
        col(PlayerGroup.team_id) == team_id, col(PlayerGroup.layout_id).is_not(None)
    )
    plans, aims = await _plans(session, team_id, pause)
    return TeamContent(
        timezone=timezone,
        plans=plans,
        playlists=playlists,
        layouts=layouts,
        assets=await assets(session, team_id, wanted, pause),
        default_playlist=default,
        group_layouts={
            id: layout for id, layout in await session.exec(groups) if id is not None and layout is not None
        },
        places=places,
        holidays=holidays,
        notices=await _notices(session, team_id, pause),
        filled=await _filled(session, team_id, pause),
        aims=aims,
    )


async def stock(session: AsyncSession, team_id: int, playlist_ids: Iterable[int], pause: Pause = no_pause) -> Shelf:
    """These of the team's playlists with their items, and those of the assets that are ready to be shown."""
    numbers = sorted(playlist_ids)
    names: dict[int, tuple[str, str]] = {}
    items: dict[int, list[rules.Item]] = {}
    for start in range(0, len(numbers), SOME):
        some = numbers[start : start + SOME]
        named = select(Playlist.id, Playlist.name, Playlist.transition).where(
            col(Playlist.team_id) == team_id, col(Playlist.id).in_(some)
        )
        for id, name, transition in await session.exec(named):
            names[id or 0], items[id or 0] = (name, transition), []
        query = (
            rows_of(
                col(PlaylistItem.playlist_id),
                col(PlaylistItem.id),
                col(PlaylistItem.asset_id),
                col(PlaylistItem.duration_s),
                col(PlaylistItem.campaign_id),
            )
            .where(col(PlaylistItem.playlist_id).in_(some))
            .order_by(col(PlaylistItem.playlist_id), col(PlaylistItem.position), col(PlaylistItem.id))
        )
        async for playlist_id, *item in _rows(session, query, pause):
            if playlist_id in items:
                items[playlist_id].append(rules.Item(*item))
    wanted = {item.asset_id for some_items in items.values() for item in some_items}
    ready = await assets(session, team_id, wanted, pause)
    playlists = {id: rules.Playlist(id, *told, tuple(items[id])) for id, told in names.items()}
    return Shelf(playlists, ready)


async def _filled(session: AsyncSession, team_id: int, pause: Pause) -> frozenset[int]:
    """Playlists with something to show: one item of each answers for it, and only where that one is not ready all are
    read."""
    one = (
        select(PlaylistItem.asset_id)
        .join(Asset, col(Asset.id) == col(PlaylistItem.asset_id))
        .where(
            col(PlaylistItem.playlist_id) == col(Playlist.id),
            col(Asset.team_id) == team_id,
            col(Asset.status) == "active",
        )
        .limit(1)
        .correlate(Playlist)
        .scalar_subquery()
    )
    query = rows_of(col(Playlist.id), one).where(col(Playlist.team_id) == team_id)
    candidates = {playlist: asset async for playlist, asset in _rows(session, query, pause) if asset is not None}
    ready = await assets(session, team_id, set(candidates.values()), pause)
    doubtful = [playlist for playlist, asset in candidates.items() if asset not in ready]
    found = await stock(session, team_id, doubtful, pause)
    also = (
        id for id, playlist in found.playlists.items() if any(item.asset_id in found.assets for item in playlist.items)
    )
    return frozenset((*(candidates.keys() - set(doubtful)), *also))


async def _places(
    session: AsyncSession, team_id: int
) -> tuple[dict[int, rules.Place], dict[int | None, frozenset[date]]]:
    located = select(Location.id, Location.timezone, Location.latitude, Location.longitude)
    places = {
        id or 0: rules.Place(timezone, None if latitude is None or longitude is None else (latitude, longitude))
        for id, timezone, latitude, longitude in await session.exec(located.where(col(Location.team_id) == team_id))
    }
    days: dict[int | None, set[date]] = defaultdict(set)
    off = select(Holiday.location_id, Holiday.day).where(col(Holiday.team_id) == team_id)
    for location_id, day in await session.exec(off):
        days[location_id].add(date.fromisoformat(day))
    return places, {location_id: frozenset(some) for location_id, some in days.items()}


async def _playlists(session: AsyncSession, team_id: int) -> tuple[dict[int, rules.Playlist], int | None]:
    """The playlists without their items, and which one is the default."""
    query = select(Playlist.id, Playlist.name, Playlist.transition, Playlist.is_default)
    rows = (await session.exec(query.where(col(Playlist.team_id) == team_id))).all()
    found = {id or 0: rules.Playlist(id or 0, name, transition, ()) for id, name, transition, _ in rows}
    return found, next((id for id, _, _, is_default in rows if is_default), None)


async def _layouts(session: AsyncSession, team_id: int, pause: Pause) -> dict[int, rules.Layout]:
    zones: dict[int, list[rules.Zone]] = defaultdict(list)
    query = (
        rows_of(
            col(Zone.layout_id),
            col(Zone.id),
            col(Zone.name),
            col(Zone.x),
            col(Zone.y),
            col(Zone.width),
            col(Zone.height),
            col(Zone.playlist_id),
            col(Zone.asset_id),
        )
        .join(Layout, col(Layout.id) == col(Zone.layout_id))
        .where(col(Layout.team_id) == team_id)
        .order_by(col(Zone.layout_id), col(Zone.position), col(Zone.id))
    )
    async for layout_id, *zone in _rows(session, query, pause):
        zones[layout_id].append(rules.Zone(*zone))
    sizes = select(Layout.id, Layout.name, Layout.width, Layout.height).where(col(Layout.team_id) == team_id)
    return {
        id or 0: rules.Layout(id or 0, name, width, height, tuple(zones[id or 0]))
        for id, name, width, height in await session.exec(sizes)
    }


async def assets(
    session: AsyncSession, team_id: int, wanted: set[int], pause: Pause = no_pause
) -> dict[int, rules.Asset]:
    """Those of the assets that are ready to be shown."""
    numbers, found = sorted(wanted), {}
    for start in range(0, len(numbers), SOME):
        query = (
            rows_of(
                col(Asset.id),
                col(Asset.type),
                col(Asset.name),
                col(Asset.source_url),
                col(Asset.duration_s),
                col(StoredFile.id),
                col(StoredFile.sha256),
                col(StoredFile.size),
                col(StoredFile.mime),
            )
            .select_from(Asset)
            .join(StoredFile, col(StoredFile.id) == col(Asset.file_id), isouter=True)
            .where(
                col(Asset.team_id) == team_id,
                col(Asset.status) == "active",
                col(Asset.id).in_(numbers[start : start + SOME]),
            )
        )
        async for id, kind, name, source, duration_s, file, sha256, size, mime in _rows(session, query, pause):
            if file is None and source is not None and not leads_away(kind, source):
                continue
            address = source if file is None else None
            found[id] = rules.Asset(id, kind, name, address, sha256, size, mime, duration_s)
    return found


async def _plans(
    session: AsyncSession, team_id: int, pause: Pause
) -> tuple[tuple[rules.Plan, ...], dict[Target, list[int]]]:
    """The schedules, and by target which of them are for it."""
    targets: dict[int, set[Target]] = defaultdict(set)
    query = (
        select(ScheduleTarget.schedule_id, ScheduleTarget.kind, ScheduleTarget.target_id)
        .join(Schedule, col(Schedule.id) == col(ScheduleTarget.schedule_id))
        .where(col(Schedule.team_id) == team_id)
    )
    async for schedule_id, kind, number in _rows(session, query, pause):
        targets[schedule_id].add(Target(kind, number))
    plans: list[rules.Plan] = []
    aims: dict[Target, list[int]] = defaultdict(list)
    schedules = rows_of(
        col(Schedule.id),
        col(Schedule.schedule_id),
        col(Schedule.name),
        col(Schedule.playlist_id),
        col(Schedule.layout_id),
        col(Schedule.priority),
        col(Schedule.is_active),
        *(getattr(Schedule, name) for name in Kept.__annotations__),
    ).where(col(Schedule.team_id) == team_id)
    async for schedule in _rows(session, schedules, pause):
        await pause()
        try:
            rule = parse_rule(cast(Kept, schedule))
        except Invalid:  # written by another version of the hub: it holds never, and takes no other along
            continue
        own = frozenset(targets[schedule.id])
        for target in own:
            aims[target].append(len(plans))
        plans.append(
            rules.Plan(
                schedule.id,
                schedule.schedule_id,
                schedule.name,
                _shown(schedule.playlist_id, schedule.layout_id),
                rule,
                schedule.priority,
                schedule.is_active,
                own,
            )
        )
    return tuple(plans), dict(aims)


def _shown(playlist_id: int | None, layout_id: int | None) -> Shown:
    if playlist_id is not None:
        return Shown("playlist", playlist_id)
    return NOTHING if layout_id is None else Shown("layout", layout_id)


async def _notices(session: AsyncSession, team_id: int, pause: Pause) -> tuple[rules.Notice, ...]:
    targets: dict[int, set[Target]] = defaultdict(set)
    query = (
        select(AlertTarget.alert_id, AlertTarget.kind, AlertTarget.target_id)
        .join(Alert, col(Alert.id) == col(AlertTarget.alert_id))
        .where(col(Alert.team_id) == team_id, col(Alert.cleared_at).is_(None))
    )
    async for alert_id, kind, number in _rows(session, query, pause):
        targets[alert_id].add(Target(kind, number))
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
