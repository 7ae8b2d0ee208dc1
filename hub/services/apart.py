"""Work for many teams, one after another, where what fails for one of them is no matter of the others."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager

from hub.domain.errors import NotFound, Unavailable

REMEMBERED = 10_000  # failures that are not told again; past it all are told once more

AT_ONCE = 16  # teams: enough that a few long ones keep no other waiting, few enough for the database's connections

log = logging.getLogger(__name__)


class Apart:
    """`work` says in the log what failed: "the sync of". Each failure is told once, until what failed is well again."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._failing: set[Hashable] = set()

    @contextmanager
    def team(self, team_id: int, thing: Hashable = None) -> Iterator[None]:
        """A block of work for a team, or for one thing of it: what it raises ends here. Raises only Unavailable, which
        concerns everybody; of what is gone meanwhile nothing is told."""
        key = team_id, thing
        try:
            yield
        except Unavailable:
            raise
        except NotFound:
            self._failing.discard(key)
        except Exception:
            if key in self._failing:
                return
            if len(self._failing) >= REMEMBERED:
                self._failing.clear()
            self._failing.add(key)
            log.exception("%s team %d failed; the others go on", self._work, team_id)
        else:
            self._failing.discard(key)


class Aside(Apart):
    """The same for work that takes long for some teams: each team has one going on at a time, in a task of its own, and
    waits for no other's; AT_ONCE are under way."""

    def __init__(self, work: str) -> None:
        super().__init__(work)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._failed: Unavailable | None = None

    def start(self, team_id: int, work: Callable[[], Awaitable[None]]) -> bool:
        """Begin, and answer True; False: the team's last one is not over."""
        if team_id in self._tasks:
            return False
        task = self._tasks[team_id] = asyncio.get_running_loop().create_task(self._run(team_id, work))
        task.add_done_callback(lambda _: self._tasks.pop(team_id, None))
        return True

    def check(self) -> None:
        """Raise Unavailable, once, when something failed for it since the last look."""
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    async def settle(self) -> None:
        """Wait until nothing is under way. Raises Unavailable."""
        await asyncio.gather(*self._tasks.values())
        self.check()

    async def stop(self) -> None:
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, team_id: int, work: Callable[[], Awaitable[None]]) -> None:
        async with self._places:
            try:
                with self.team(team_id):
                    await work()
            except Unavailable as error:
                self._failed = error
