"""What players show: programs, timelines and manifests, for whoever asks.

A team's world is read once for each of its content versions, and one manifest compiled for all players in the same
circumstances. What is read is looked at again when the bus says so and at least each second, whatever it says.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain import program as rules
from hub.domain import timeline
from hub.domain.errors import NotFound
from hub.domain.program import Circumstances, Screen, Segment, Shown, Step, World
from hub.domain.times import SECOND, now_ms, rfc3339, rfc3339_or_none
from hub.domain.weather import Sky, name_of, weather_of
from hub.services.weather import Weather
from hub.store import programs as store
from hub.store.database import Database
from hub.store.tables import Player

FRESH_MS = SECOND  # between looks at a team's content version; the bus is faster, and may lose a message
TEAMS_KEPT = 200  # worlds in memory; one of a thousand items takes about a megabyte
COMPILED_KEPT = 256  # manifests in memory, of some 10 to 100 kB
REVISIONS_KEPT = 20_000  # of one team: its players, if each were in circumstances of its own
PAST_DAYS, FUTURE_DAYS = 366, 3_660  # how far from now a program may be asked for


@dataclass(slots=True)
class _Team:
    """What was read of a team, at one content version."""

    id: int
    version: int
    world: World
    screens: dict[int, Screen]
    here: dict[int, Circumstances] = field(default_factory=dict)
    revisions: dict["_Key", str] = field(default_factory=dict)
    looked_at: int = 0
    heard: int = 0


_Key = tuple[Circumstances, int, tuple[tuple[str, bool], ...]]
"""Circumstances, the beginning of their day, and which conditions on the weather hold."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A manifest but for what differs from call to call: `body` has no `generated_at`, and no address of a file."""

    revision: str
    segments: list[Segment]
    body: dict[str, Any]


class Programs:
    """Where a `base_url` is taken, it is the hub's address as the caller knows it, for when `public_url` is not set."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        weather: Weather,
        public_url: str = "",
        *,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._bus = bus
        self._weather = weather
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._teams: OrderedDict[int, _Team] = OrderedDict()
        self._reading: dict[int, asyncio.Lock] = {}
        self._compiled: OrderedDict[tuple[int, int, _Key], Compiled] = OrderedDict()
        self._heard = 0
        bus.subscribe(("content", None), self._changed)

    # For players and their connections -------------------------------------------------------------------------------

    async def now(self, player_id: int) -> dict[str, Any]:
        """What a player shows now, for faces that know no timelines. Raises NotFound.

        {"revision": of the manifest,
         "playlist": {"id", "name", "transition", "items": [{"id", "asset_id", "duration_s", "campaign_id", "asset"}]}
                     or None; `asset` is as manifests have it; of a layout the first zone that plays a playlist,
         "asset_ids": all that the player needs until its timeline ends}
        """
        async with self._db.session() as session:
            player = await session.get(Player, player_id)
        if player is None:
            raise NotFound
        team, here = await self._of(player.team_id, player_id)
        at = self._clock()
        compiled = self._compile(team, here, at)
        assets = compiled.body["assets"]
        playlist_id = _playlist_of(team.world, self._step(team.world, here, at).shown)
        playlist: dict[str, Any] | None = None
        if playlist_id is not None:
            told = rules.playlist_told(team.world, playlist_id)
            items = [item | {"asset": assets[str(item["asset_id"])]} for item in told["items"]]
            playlist = {"id": playlist_id, **told, "items": items}
        return {"revision": compiled.revision, "playlist": playlist, "asset_ids": [int(id) for id in assets]}

    async def playing(self, team_id: int, player_id: int) -> dict[str, Any] | None:
        """{"id", "name"} of the playlist that plays now, or None."""
        team, here = await self._of(team_id, player_id)
        playlist_id = _playlist_of(team.world, self._step(team.world, here, self._clock()).shown)
        return None if playlist_id is None else {"id": playlist_id, "name": team.world.playlists[playlist_id].name}

    async def revision(self, team_id: int, player_id: int) -> str:
        """The revision of the manifest that the player should have. Raises NotFound."""
        team, here = await self._of(team_id, player_id)
        return self._revision(team, here, self._clock())

    async def manifest(self, team_id: int, player_id: int, base_url: str = "") -> dict[str, Any]:
        """Everything that a player needs to go on by itself until `valid_until`. Raises NotFound."""
        team, here = await self._of(team_id, player_id)
        at = self._clock()
        compiled = self._compile(team, here, at)
        address = (self._public_url or base_url.rstrip("/")) + "/api/v1/player/assets/"
        assets = {
            id: asset if asset["url"] else asset | {"url": address + id}
            for id, asset in compiled.body["assets"].items()
        }
        return {"revision": compiled.revision, "generated_at": rfc3339(at)} | compiled.body | {"assets": assets}

    async def check_asset(self, team_id: int, player_id: int, asset_id: int) -> None:
        """Raise NotFound unless the player's manifest names the asset."""
        team, here = await self._of(team_id, player_id)
        if str(asset_id) not in self._compile(team, here, self._clock()).body["assets"]:
            raise NotFound

    # Inside ----------------------------------------------------------------------------------------------------------

    def _changed(self, _message: Any) -> None:
        self._heard += 1  # the message does not say whose content it is; asking for a version is cheap

    async def _of(self, team_id: int, player_id: int) -> tuple[_Team, Circumstances]:
        team = await self._team(team_id)
        here = team.here.get(player_id)
        if here is None:
            screen = team.screens.get(player_id)
            if screen is None:  # newer than what was read
                async with self._db.session() as session:
                    found = await store.screens(session, team_id, player_id)
                if player_id not in found:
                    raise NotFound
                screen = team.screens[player_id] = found[player_id]
            here = team.here[player_id] = rules.circumstances(team.world, screen)
        return team, here

    async def _team(self, team_id: int) -> _Team:
        team = self._teams.get(team_id)
        if team is not None and self._is_fresh(team):
            self._teams.move_to_end(team_id)
            return team
        async with self._reading.setdefault(team_id, asyncio.Lock()):
            team = self._teams.get(team_id)
            if team is not None and self._is_fresh(team):
                return team
            heard, at = self._heard, self._clock()
            async with self._db.session() as session:
                version = (await store.content_versions(session, [team_id])).get(team_id)
                if version is None:
                    raise NotFound
                if team is None or team.version != version:
                    world = await store.world(session, team_id)
                    team = _Team(team_id, version, world, await store.screens(session, team_id))
            team.looked_at, team.heard = at, heard
            self._teams[team_id] = team
            self._teams.move_to_end(team_id)
            while len(self._teams) > TEAMS_KEPT:
                forgotten, _ = self._teams.popitem(last=False)
                self._reading.pop(forgotten, None)
            return team

    def _is_fresh(self, team: _Team) -> bool:
        return team.heard == self._heard and 0 <= self._clock() - team.looked_at < FRESH_MS

    def _sky(self, world: World, here: Circumstances) -> Sky | None:
        place = world.places.get(here.location_id or 0)
        return self._weather.sky(place.degrees) if place and place.degrees else None

    def _key(self, world: World, here: Circumstances, at: int) -> _Key:
        start = timeline.day_start(timeline.zone_named(here.timezone), at)
        asked = {condition for index in here.plans for condition in weather_of(world.plans[index].rule)}
        if not asked:
            return here, start, ()
        holds = rules.by_weather(self._sky(world, here))
        return here, start, tuple(sorted((name_of(condition), holds(condition)) for condition in asked))

    def _step(self, world: World, here: Circumstances, at: int) -> Step:
        return rules.resolve(rules.chain_at(world, here, at), rules.by_weather(self._sky(world, here)))

    def _revision(self, team: _Team, here: Circumstances, at: int) -> str:
        revision = team.revisions.get(self._key(team.world, here, at))
        return revision if revision is not None else self._compile(team, here, at).revision

    def _compile(self, team: _Team, here: Circumstances, at: int) -> Compiled:
        key = self._key(team.world, here, at)
        compiled = self._compiled.get((team.id, team.version, key))
        if compiled is None:
            compiled = _compiled(team.world, here, at, dict(key[2]))
            self._compiled[team.id, team.version, key] = compiled
            while len(self._compiled) > COMPILED_KEPT:
                self._compiled.popitem(last=False)
            if len(team.revisions) >= REVISIONS_KEPT:
                team.revisions.clear()
            team.revisions[key] = compiled.revision
        else:
            self._compiled.move_to_end((team.id, team.version, key))
        return compiled


def _playlist_of(world: World, shown: Shown) -> int | None:
    """The playlist that is shown; of a layout, the one of its first zone that plays one."""
    if shown.kind == "playlist":
        return shown.id
    layout = world.layouts.get(shown.id) if shown.kind == "layout" else None
    zones = layout.zones if layout else ()
    return next((zone.playlist_id for zone in zones if zone.playlist_id in world.playlists), None)


def _compiled(world: World, here: Circumstances, at: int, conditions: dict[str, bool]) -> Compiled:
    start, end = rules.horizon(here, at)
    segments = rules.compile_segments(world, here, start, end)
    end = segments[-1].end
    shown = {step.shown for segment in segments for step in segment.chain}
    notices = [world.notices[index] for index in here.notices]
    body = {
        "valid_until": rfc3339(end),
        "timezone": here.timezone,
        "timeline": [_told(segment) for segment in segments],
        "conditions": conditions,
        **rules.contents(world, shown),
        "alerts": [
            {
                "id": str(notice.id),
                "title": notice.title,
                "message": notice.message,
                "severity": notice.severity,
                "from": rfc3339(notice.starts_at),
                "to": rfc3339_or_none(notice.ends_at),
            }
            for notice in notices
            if notice.starts_at < end and (notice.ends_at is None or notice.ends_at > start)
        ],
    }
    return Compiled(_revision_of(body), segments, body)


def _told(segment: Segment) -> dict[str, Any]:
    told = rules.entry(segment)
    return told | {"from": rfc3339(segment.start), "to": rfc3339(segment.end)}


def _revision_of(body: dict[str, Any]) -> str:
    """Of what a player would do differently; the timeline begins with the player's own day, so a program that nobody
    changes has one revision a day."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
