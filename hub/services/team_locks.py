"""What each team has going on once at a time, so that it leaves the rest to others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class TeamLocks:
    """A lock for each team, for as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def of(self, team_id: int) -> asyncio.Lock:
        return self._locks.setdefault(team_id, asyncio.Lock())


class OnePerTeam:
    """`at_once` places for work that takes long, of which each team has one at a time: its other work waits for that,
    and leaves the places to other teams."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._teams = TeamLocks()

    @asynccontextmanager
    async def of(self, team_id: int) -> AsyncIterator[None]:
        """A place of the team while the block lasts."""
        async with self._teams.of(team_id), self._places:
            yield
