"""Supervised loops: one that fails is called again, and takes no other with it."""

import asyncio

from hub.jobs import Job, Jobs
from tests.waiting import PATIENCE_S


async def test_a_failing_job_is_called_again_and_disturbs_no_other() -> None:
    calls: list[str] = []
    recovered, worked = asyncio.Event(), asyncio.Event()

    async def failing() -> None:
        calls.append("failing")
        if calls.count("failing") < 2:
            raise RuntimeError("on purpose")
        recovered.set()

    async def working() -> None:
        worked.set()

    jobs = Jobs([Job("failing", 0.01, failing), Job("working", 0.01, working)])
    jobs.start()
    async with asyncio.timeout(PATIENCE_S):
        await worked.wait()
        await recovered.wait()
    await jobs.stop()


async def test_a_job_with_more_to_do_is_called_at_once() -> None:
    left = 50
    done = asyncio.Event()

    async def work() -> bool:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()
        return left > 0

    jobs = Jobs([Job("work", 3600, work)])
    jobs.start()
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()
    await jobs.stop()


async def test_stopping_ends_every_job() -> None:
    started = asyncio.Event()
    ended = asyncio.Event()

    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    jobs = Jobs([Job("endless", 1, endless)])
    jobs.start()
    await started.wait()
    await jobs.stop()
    assert ended.is_set()
