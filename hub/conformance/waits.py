"""How long a player stays away after a connection has ended."""

import asyncio

from hub.conformance.page import Fault, Section

HAMMERED_S = 0.25  # full jitter leaves this little for four waits once in 400,000 times
EQUAL = 0.03  # share by which waits without jitter differ
EQUAL_S = 0.03


class Waits:
    """`lost`: the last connection ended without a delay that the player was given, so that it waits by backoff."""

    def __init__(self) -> None:
        self.lost = False
        self._since = 0.0
        self._after_losses: list[float] = []

    def begin(self) -> None:
        """Another transcript: what was measured is forgotten."""
        self._after_losses.clear()

    def left(self, *, lost: bool) -> None:
        """The player was told to go now, or lost."""
        self._since, self.lost = asyncio.get_running_loop().time(), lost

    def back(self, at: float) -> float:
        """The player asked to be let in at this time of the loop; seconds that it has waited."""
        waited = at - self._since
        if self.lost:
            self._after_losses.append(waited)
        return waited

    def fault(self, section: Section) -> Fault | None:
        """What the waits after lost connections are not."""
        waits = self._after_losses
        if len(waits) < 2:
            return None
        shown = ", ".join(f"{wait:.2f}" for wait in waits)
        if sum(waits) < HAMMERED_S:
            return Fault(section, f"It comes back without backoff: its waits were {shown} s.")
        if max(waits) - min(waits) < EQUAL * max(waits) + EQUAL_S:
            return Fault(section, f"Its waits have no jitter, or do not grow: {shown} s.")
        return None
