"""Time in which this process has read nothing: it was stopped, its machine slept, or its loop was held up."""


class Lapses:
    """Told from looks that are to come every `every_s` seconds. Times are of a monotonic clock, in seconds."""

    def __init__(self, every_s: float, now: float) -> None:
        self._every_s = every_s
        self._looked_at = now

    def before(self, now: float) -> float:
        """How long nothing was read before this look; 0 where it is about as late as it is to be. Whatever others sent
        meanwhile waits to be read, so that this is no silence of theirs."""
        late_s = now - self._looked_at - self._every_s
        self._looked_at = now
        return late_s if late_s > self._every_s else 0.0
