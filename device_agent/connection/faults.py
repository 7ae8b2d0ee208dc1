"""Bad networks on purpose, for load tests and drills: what a connection suffers while it lives."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from device_agent.connection.websocket import Wire

Sleep = Callable[[float], Awaitable[None]]

JITTER = 0.5
"""Faults come at their interval give or take this share, or a fleet would suffer in step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """latency_ms         every frame leaves this much later
    drop_every_s       the connection is cut, without a goodbye
    stall_every_s      nothing is read for `stall_s`, as by a process that hangs
    blackhole_every_s  nothing is sent or heard any more, and the connection stays open (half-open)
    Zero is never."""

    latency_ms: int = 0
    drop_every_s: float = 0.0
    stall_every_s: float = 0.0
    stall_s: float = 5.0
    blackhole_every_s: float = 0.0

    async def afflict(self, wire: Wire, chance: random.Random, sleep: Sleep = asyncio.sleep) -> None:
        """Until cancelled, or until the one fault that ends a connection."""
        wire.delay(self.latency_ms / 1000)
        plagues: list[tuple[float, Callable[[], Awaitable[bool]]]] = []

        async def drop() -> bool:
            wire.abort()
            return False

        async def stall() -> bool:
            wire.hold_reading(True)
            await sleep(self.stall_s)
            wire.hold_reading(False)
            return True

        async def blackhole() -> bool:
            wire.blackhole()
            return False

        plagues = [(self.drop_every_s, drop), (self.stall_every_s, stall), (self.blackhole_every_s, blackhole)]

        async def repeat(every_s: float, strike: Callable[[], Awaitable[bool]]) -> None:
            going = True
            while going:
                await sleep(every_s * (1 + chance.uniform(-JITTER, JITTER)))
                going = await strike()

        await asyncio.gather(*(repeat(every_s, strike) for every_s, strike in plagues if every_s))


NONE = Faults()
