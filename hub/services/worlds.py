"""What there is to show, team by team, in memory: read once for each content version of a team.

It is looked at again when the bus says that something changed, and each second at most, whatever the bus says.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hub.bus.base import Bus
from hub.domain import timeline
from hub.domain.errors import NotFound
from hub.domain.manifest import Manifest, manifest
from hub.domain.program import Circumstances, Screen, World, by_weather, circumstances
from hub.domain.times import SECOND, now_ms
from hub.domain.weather import Sky, name_of, weather_of
from hub.services.weather import Weather
from hub.store import programs as store
from hub.store.database import Database

FRESH_MS = SECOND  # between looks at a team's content version; the bus is faster, and may lose a message
TEAMS_KEPT = 200  # worlds in memory; one of a thousand items takes about a megabyte
MANIFESTS_KEPT = 256  # in memory, some 10 to 100 kB each
STEPS_KEPT = 500_000  # of all manifests in memory, half a kB each: large ones make fewer
REVISIONS_KEPT = 20_000  # of one team: its players, if each were in circumstances of its own
TURN_S = 0.005  # of working out players before others have their turn

_Key = tuple[Circumstances, int, tuple[tuple[str, bool], ...]]
"""Circumstances, the beginning of their day, and which conditions on the weather hold."""


class Turns:
    """For long work on the event loop: whoever calls `pause` often lets others go on after each TURN_S."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def pause(self) -> None:
        if time.monotonic() - self._since >= TURN_S:
            await asyncio.sleep(0)
            self._since = time.monotonic()


@dataclass(slots=True)
class Team:
    """What was read of a team, at one content version."""

    id: int
    version: int
    world: World
    screens: dict[int, Screen]
    here: dict[int, Circumstances] = field(default_factory=dict)
    revisions: dict[_Key, str] = field(default_factory=dict)
    looked_at: int = 0
    heard: int = 0


class Worlds:
    def __init__(self, db: Database, bus: Bus, weather: Weather, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._weather = weather
        self._clock = clock
        self._teams: OrderedDict[int, Team] = OrderedDict()
        self._reading: dict[int, asyncio.Lock] = {}
        self._manifests: OrderedDict[tuple[int, int, _Key], Manifest] = OrderedDict()
        self._steps = 0  # of those
        self._heard = 0
        bus.subscribe(("content", None), self._changed)

    async def team(self, team_id: int, version: int = 0) -> Team:
        """What the team has to show, at most a second old, and of this content version at least. Raises NotFound."""
        team = self._teams.get(team_id)
        if team is not None and self._is_fresh(team) and team.version >= version:
            self._teams.move_to_end(team_id)
            return team
        async with self._reading.setdefault(team_id, asyncio.Lock()):
            team = self._teams.get(team_id)
            if team is not None and self._is_fresh(team) and team.version >= version:
                return team
            heard, at = self._heard, self._clock()
            async with self._db.session() as session:
                current = (await store.content_versions(session, [team_id])).get(team_id)
                if current is None:
                    raise NotFound
                if team is None or team.version != current:
                    world = await store.world(session, team_id)
                    team = Team(team_id, current, world, await store.screens(session, team_id))
            team.looked_at, team.heard = at, heard
            self._keep(team)
            return team

    async def of(self, team_id: int, player_id: int, version: int = 0) -> tuple[Team, Circumstances]:
        """The team, and what distinguishes this player in it. Raises NotFound."""
        team = await self.team(team_id, version)
        here = team.here.get(player_id)
        if here is None:
            if player_id not in team.screens:  # newer than what was read
                async with self._db.session() as session:
                    team.screens.update(await store.screens(session, team_id, player_id))
            if player_id not in team.screens:
                raise NotFound
            here = team.here[player_id] = circumstances(team.world, team.screens[player_id])
        return team, here

    async def everywhere(self, team: Team) -> dict[Circumstances, list[int]]:
        """All players of the team, by what distinguishes them."""
        found: dict[Circumstances, list[int]] = {}
        turns = Turns()
        for player_id, screen in tuple(team.screens.items()):
            await turns.pause()
            here = team.here.get(player_id)
            if here is None:
                here = team.here[player_id] = circumstances(team.world, screen)
            found.setdefault(here, []).append(player_id)
        return found

    async def versions(self, team_ids: Iterable[int]) -> dict[int, int]:
        """The present content version of each of the teams."""
        async with self._db.session() as session:
            return await store.content_versions(session, team_ids)

    def sky(self, team: Team, here: Circumstances) -> Sky | None:
        """The weather there, when it is known."""
        place = team.world.places.get(here.location_id or 0)
        return self._weather.sky(place.degrees) if place and place.degrees else None

    def revision(self, team: Team, here: Circumstances, at: int) -> str:
        found = team.revisions.get(self._key(team, here, at))
        return found if found is not None else self.manifest(team, here, at).revision

    def manifest(self, team: Team, here: Circumstances, at: int) -> Manifest:
        key = self._key(team, here, at)
        named = (team.id, team.version, key)
        found = self._manifests.get(named)
        if found is not None:
            self._manifests.move_to_end(named)
            return found
        found = self._manifests[named] = manifest(team.world, here, at, dict(key[2]))
        self._steps += found.steps
        while len(self._manifests) > MANIFESTS_KEPT or self._steps > STEPS_KEPT:
            self._steps -= self._manifests.popitem(last=False)[1].steps
        if len(team.revisions) >= REVISIONS_KEPT:
            team.revisions.clear()
        team.revisions[key] = found.revision
        return found

    def _key(self, team: Team, here: Circumstances, at: int) -> _Key:
        start = timeline.day_start(timeline.zone_named(here.timezone), at)
        asked = {condition for index in here.plans for condition in weather_of(team.world.plans[index].rule)}
        if not asked:
            return here, start, ()
        holds = by_weather(self.sky(team, here))
        return here, start, tuple(sorted((name_of(condition), holds(condition)) for condition in asked))

    def _changed(self, _message: Any) -> None:
        self._heard += 1  # whose content it is the message need not say: asking for a version is cheap

    def _is_fresh(self, team: Team) -> bool:
        return team.heard == self._heard and 0 <= self._clock() - team.looked_at < FRESH_MS

    def _keep(self, team: Team) -> None:
        self._teams[team.id] = team
        self._teams.move_to_end(team.id)
        while len(self._teams) > TEAMS_KEPT:
            forgotten, _ = self._teams.popitem(last=False)
            self._reading.pop(forgotten, None)
