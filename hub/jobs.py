"""What the hub does by itself. Each job is a function called again and again; one that fails is logged and called again
later, and takes no other with it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hub.services.waiting import set_within

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 5.0  # between attempts of a job that keeps failing: so soon a hub is well again after its database


@dataclass(frozen=True, slots=True)
class Job:
    """`work` is awaited every `every_s` seconds; when it answers True there is more to do and it is called at once, and
    so when `wake` is set meanwhile."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[bool | None]]
    wake: asyncio.Event | None = None


class Jobs:
    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(_repeat(job), name=f"job {job.name}") for job in self._jobs]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def _repeat(job: Job) -> None:
    pause = job.every_s
    wake = job.wake or asyncio.Event()  # one that nobody sets
    while True:
        wake.clear()
        try:
            more = await job.work()
        except Exception as error:
            pause = min(LONGEST_PAUSE_S, max(job.every_s, pause * 2, 1.0))
            log.warning("job %s failed, again in %.0f s: %s", job.name, pause, error, exc_info=log.isEnabledFor(10))
            await asyncio.sleep(pause)  # whoever wakes it does not make it fail more often
            continue
        pause = job.every_s
        if more:
            await asyncio.sleep(0)
        else:
            await set_within(wake, job.every_s)
