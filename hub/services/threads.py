"""Blocking work in threads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Like `asyncio.to_thread`, but who is cancelled waits until the thread is done: the lock that protects the file
    must not be let go of while something writes to it."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Turns:
    """`at_once` places for work that takes long, of which each team has one at a time: its other work waits for that,
    and leaves the places to other teams."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._teams: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, team_id: int) -> AsyncIterator[None]:
        """A place of the team while the block lasts."""
        async with self._teams.setdefault(team_id, asyncio.Lock()), self._places:
            yield
