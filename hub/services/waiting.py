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
