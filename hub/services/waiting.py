"""Waiting for an event, with an end."""

import asyncio


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether it is set, at the latest after so many seconds; one that is set already does not wait."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Patience:
    """How long requests may wait for something to happen: each its own time, and none once the hub stops. Then each
    answers with what it knows."""

    def __init__(self) -> None:
        self.over = False
        self._awaited: set[asyncio.Event] = set()

    async def set_within(self, event: asyncio.Event, seconds: float) -> bool:
        """As `set_within`; False at once when the hub stops."""
        if self.over:
            return False
        self._awaited.add(event)
        try:
            return await set_within(event, seconds) and not self.over
        finally:
            self._awaited.discard(event)

    def end(self) -> None:
        """Nobody waits any longer."""
        self.over = True
        for event in self._awaited:
            event.set()
