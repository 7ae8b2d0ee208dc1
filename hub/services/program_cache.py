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
from hub.domain.manifest import Manifest, making, shown_in
from hub.domain.program import (
    Held,
    PlayerContext,
    Screen,
    Segment,
    Step,
    TeamContent,
    by_weather,
    choosing,
    circumstances,
    compiling,
    horizon,
    resolve,
)
from hub.domain.schedules import Condition
from hub.domain.times import SECOND, now_ms
from hub.domain.weather import Sky, name_of, weather_of
from hub.domain.work import T, Work
from hub.services.weather import Weather
from hub.store import programs as store
from hub.store.database import Database

FRESH_MS = SECOND  # between looks at a team's content version; the bus is faster, and may lose a message
TEAMS_KEPT = 200  # worlds in memory; one of a thousand items takes about a megabyte
MANIFESTS_KEPT = 256  # in memory, some 10 to 100 kB each
WEIGHT_KEPT = 500_000  # steps, items and assets of those in memory, half a kB each: of large ones there are fewer
REVISIONS_KEPT = 20_000  # of one team: its players, if each were in circumstances of its own
TURN_S = 0.005  # of working something out before others have their turn
BRIEF_S = 0.1  # of that for one purpose; what takes longer is slowed down
REST_S = 0.01  # between turns of such long work, of all teams together: it takes a third of a core at most

_Key = tuple[PlayerContext, int, tuple[tuple[str, bool], ...]]
"""Player contexts, the beginning of their day, and which conditions on the weather hold."""


class Turns:
    """For long work on the event loop: whoever calls `pause` often lets others go on after each TURN_S. Works that are
    not brief share `rest`, so that all of them together leave most of the time to others."""

    def __init__(self, rest: asyncio.Lock) -> None:
        self._rest = rest
        self._since = time.monotonic()
        self._worked = 0.0

    async def pause(self) -> None:
        spent = time.monotonic() - self._since
        if spent >= TURN_S:
            self._worked += spent
            if self._worked < BRIEF_S:
                await asyncio.sleep(0)
            else:
                async with self._rest:
                    await asyncio.sleep(REST_S)
            self._since = time.monotonic()

    async def glance(self) -> None:
        """Like `pause`, but without a rest: for whoever holds what others wait for, such as a connection."""
        spent = time.monotonic() - self._since
        if spent >= TURN_S:
            self._worked += spent
            await asyncio.sleep(0)
            self._since = time.monotonic()

    async def recover(self) -> None:
        """Afterwards: rest for as long as `pause` would have."""
        if self._worked > BRIEF_S:
            await asyncio.sleep((self._worked - BRIEF_S) * REST_S / TURN_S)
            self._since = time.monotonic()

    async def through(self, work: Work[T]) -> T:
        """All of it, with pauses."""
        while True:
            try:
                next(work)
            except StopIteration as done:
                found: T = done.value
                return found
            await self.pause()


@dataclass(slots=True)
class Team:
    """What was read of a team, at one content version."""

    id: int
    version: int
    world: TeamContent
    screens: dict[int, Screen]
    here: dict[int, PlayerContext] = field(default_factory=dict)
    asked: dict[PlayerContext, frozenset[Condition]] = field(default_factory=dict)
    """The conditions on the weather of all schedules that might play."""
    revisions: dict[_Key, str] = field(default_factory=dict)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Whoever works out something long: one at a time of each team."""
    looked_at: int = 0
    heard: int = 0


class ProgramCache:
    def __init__(self, db: Database, bus: Bus, weather: Weather, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._weather = weather
        self._clock = clock
        self._teams: OrderedDict[int, Team] = OrderedDict()
        self._reading: dict[int, asyncio.Lock] = {}
        self._manifests: OrderedDict[tuple[int, int, _Key], Manifest] = OrderedDict()
        self._weight = 0  # of those
        self._rest = asyncio.Lock()
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
            heard, at, turns = self._heard, self._clock(), self.turns()
            async with self._db.session() as session:
                current = (await store.content_versions(session, [team_id])).get(team_id)
                if current is None:
                    raise NotFound
                if team is None or team.version != current:
                    world = await store.world(session, team_id, turns.glance)
                    team = Team(team_id, current, world, await store.screens(session, team_id, pause=turns.glance))
            await turns.recover()
            team.looked_at, team.heard = at, heard
            self._keep(team)
            return team

    async def of(self, team_id: int, player_id: int, version: int = 0) -> tuple[Team, PlayerContext]:
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

    async def everywhere(self, team: Team) -> dict[PlayerContext, list[int]]:
        """All players of the team, by what distinguishes them."""
        found: dict[PlayerContext, list[int]] = {}
        turns = self.turns()
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

    def sky(self, team: Team, here: PlayerContext) -> Sky | None:
        """The weather there, when it is known."""
        place = team.world.places.get(here.location_id or 0)
        return self._weather.sky(place.degrees) if place and place.degrees else None

    async def revision(self, team: Team, here: PlayerContext, at: int, turns: Turns | None = None) -> str:
        """`turns` are of a longer work that this is a part of, here and in the following."""
        found = team.revisions.get(self._key(team, here, at))
        return found if found is not None else (await self.manifest(team, here, at, turns)).revision

    async def manifest(self, team: Team, here: PlayerContext, at: int, turns: Turns | None = None) -> Manifest:
        key = self._key(team, here, at)
        named = (team.id, team.version, key)
        async with team.making:
            found = self._manifests.get(named)
            if found is None:
                found = self._manifests[named] = await self._make(team, here, at, dict(key[2]), turns or self.turns())
                self._weight += found.weight
            self._manifests.move_to_end(named)
        while len(self._manifests) > MANIFESTS_KEPT or self._weight > WEIGHT_KEPT:
            self._weight -= self._manifests.popitem(last=False)[1].weight
        if len(team.revisions) >= REVISIONS_KEPT:
            team.revisions.clear()
        team.revisions[key] = found.revision
        return found

    async def _make(
        self, team: Team, here: PlayerContext, at: int, conditions: dict[str, bool], turns: Turns
    ) -> Manifest:
        segments = await turns.through(compiling(team.world, here, *horizon(here, at)))
        _, playlists = shown_in(team.world, segments)
        async with self._db.session() as session:
            stock = await store.stock(session, team.id, playlists, turns.glance)
        return await turns.through(making(team.world, stock, here, at, segments, conditions))

    async def segments(self, team: Team, here: PlayerContext, start: int, end: int) -> list[Segment]:
        """The timeline of [start, end)."""
        async with team.making:
            return await self.turns().through(compiling(team.world, here, start, end))

    async def step(
        self, team: Team, here: PlayerContext, at: int, held: Held | None = None, turns: Turns | None = None
    ) -> Step:
        """What plays at an instant. `held` is kept between calls about the same instant."""
        chain = await (turns or self.turns()).through(choosing(team.world, here, at, {} if held is None else held))
        return resolve(chain, by_weather(self.sky(team, here)))

    def turns(self) -> Turns:
        return Turns(self._rest)

    def _key(self, team: Team, here: PlayerContext, at: int) -> _Key:
        start = timeline.day_start(timeline.zone_named(here.timezone), at)
        asked = team.asked.get(here)
        if asked is None:
            rules = (team.world.plans[index].rule for index in here.plans)
            asked = team.asked[here] = frozenset(condition for rule in rules for condition in weather_of(rule))
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
