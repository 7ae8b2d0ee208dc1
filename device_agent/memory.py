"""What this player must still know after a restart: a JSON value under each name.

Nothing waits for the disk. What it refuses now is written when it takes it again, the latest value of each name.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from device_agent.journal import RETRY_S, Journal, JournalError

log = logging.getLogger(__name__)


class Memory:
    """The values of one player, in its journal."""

    def __init__(
        self, key: str, journal: Journal, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._key = key
        self._journal = journal
        self._sleep = sleep
        self._unwritten: dict[str, Any] = {}
        self._refused = asyncio.Event()
        self._turn = asyncio.Lock()  # an older value is never written after a newer one

    async def keep(self, name: str, value: Any) -> None:
        """On disk at return, unless the disk refuses it: then later."""
        self._unwritten[name] = value
        try:
            await self._write()
        except JournalError as error:
            log.error("%s is not kept yet: %s", name, error)
            self._refused.set()

    async def run(self) -> None:
        """Write what was refused; until cancelled."""
        while True:
            await self._refused.wait()
            await self._sleep(RETRY_S)
            try:
                await self._write()
            except JournalError:
                continue
            self._refused.clear()

    async def _write(self) -> None:
        async with self._turn:
            for name, value in list(self._unwritten.items()):
                await self._journal.remember(self._key, name, value)
                if self._unwritten.get(name) is value:  # else there is a newer one
                    del self._unwritten[name]
