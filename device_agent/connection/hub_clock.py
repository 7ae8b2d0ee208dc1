"""The hub's time, as far as this device can know it: from the last `welcome`, counted on by monotonic time.

The device's own clock never decides anything: it may be wrong by years.
"""

import time
from collections.abc import Callable

from hub.protocol import journal


def boottime() -> float:
    """Monotonic seconds that also count while the machine is suspended, where the system has such a clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class HubClock:
    def __init__(self, monotonic: Callable[[], float] = boottime) -> None:
        self._monotonic = monotonic
        self._welcomed: tuple[int, float] | None = None
        self._guessed: tuple[int, float] | None = None

    def set(self, server_time: int) -> None:
        """`server_time` (Unix milliseconds) has just arrived."""
        self._welcomed = (server_time, self._monotonic())

    def now(self) -> int | None:
        """Unix milliseconds at the hub; None before the first `welcome`."""
        if self._welcomed is None:
            return None
        server_time, received_mono = self._welcomed
        return server_time + round((self._monotonic() - received_mono) * 1000)

    def guess(self, at: int) -> None:
        """Before the first `welcome`, this is the best that is known of the hub's time now."""
        self._guessed = (at, self._monotonic())

    def best(self) -> int:
        """Unix milliseconds at the hub, as well as they are known."""
        known, mono = self._welcomed or self._guessed or (0, 0.0)
        return known + round((self._monotonic() - mono) * 1000)

    def in_time(self, expires_at: int) -> bool | None:
        """Whether a command may still start; None before the first `welcome`."""
        if self._welcomed is None:
            return None
        server_time, received_mono = self._welcomed
        return journal.in_time(expires_at, server_time, received_mono, self._monotonic())

    def translate(self, device_at: int, device_now: int) -> int:
        """A moment by the device's clock, told by the hub's; as it is while the hub's is not known."""
        now = self.now()
        return device_at if now is None else now - (device_now - device_at)
