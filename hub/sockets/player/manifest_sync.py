"""Telling connected players that their manifest is another one now."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from hub.bus.base import Bus
from hub.services.apart import Aside
from hub.services.programs import Programs
from hub.sockets.for_all import for_all
from hub.sockets.player.connection import PlayerConnection

SYNC_S = 1.0  # between looks at the teams' content versions
LOOK_AT_ALL_S = 60.0  # days begin, at their own time in each zone: no content changes then
AT_ONCE = 200  # players told a second; each then fetches its manifest, and new files with it


class ManifestNotifier:
    """`connections` are the welcomed ones of this process."""

    def __init__(self, programs: Programs, bus: Bus, connections: Callable[[], Iterable[PlayerConnection]]) -> None:
        self._programs = programs
        self._connections = connections
        self._versions: dict[int, int] = {}  # of the teams, as last looked at
        self._waiting: dict[PlayerConnection, str] = {}
        self._all_at = 0.0
        self._aside = Aside("the look at the manifests of")
        bus.subscribe(("weather", None), self._weather_changed)

    async def sweep(self) -> None:
        """Find the players whose revision has changed, and tell some of those that wait for it."""
        self._aside.check()
        teams: dict[int, dict[int, PlayerConnection]] = {}
        for connection in self._connections():
            teams.setdefault(connection.team_id, {})[connection.player_id] = connection
        if teams:
            await self._look(teams)
        for_all(tuple(self._waiting)[:AT_ONCE], lambda one: one.sync(self._waiting.pop(one)))

    async def stop(self) -> None:
        await self._aside.stop()

    async def _look(self, teams: dict[int, dict[int, PlayerConnection]]) -> None:
        now = time.monotonic()
        everyone, before = now >= self._all_at, self._versions
        if everyone:
            self._all_at, self._versions = now + LOOK_AT_ALL_S, {}
        for team_id, version in (await self._programs.versions(teams)).items():
            if everyone or before.get(team_id) != version:
                look = partial(self._look_at, team_id, teams[team_id], version)
                if self._aside.start(team_id, look):
                    self._versions[team_id] = version  # one that failed is looked at with everyone, or once it changes

    async def _look_at(self, team_id: int, players: dict[int, PlayerConnection], version: int) -> None:
        for player_id, revision in (await self._programs.revisions(team_id, players, version)).items():
            if players[player_id].lives and players[player_id].revision != revision:
                self._waiting[players[player_id]] = revision

    def _weather_changed(self, _message: Any) -> None:
        self._all_at = 0.0
