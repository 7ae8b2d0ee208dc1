"""When to try again: the pure rule behind every reconnect.

Full-jitter exponential backoff from 1 s to 60 s, so that a fleet that lost its hub at one moment does not come back at
one moment. A delay that the hub gave wins, and so does the fixed delay of a close code.
"""

import random

from hub.protocol.closecodes import Reaction

FIRST_S = 1.0
LONGEST_S = 60.0

HEALTHY_S = 60.0
"""A connection welcomed this long ago was a good one: the next attempt starts from the beginning."""

MAX_GIVEN_S = 3600.0
"""The longest delay taken from the hub: a mistake in a header must not switch a device off for a month. Nor must one
have it try without a pause: only the first attempt after a good connection may come at once."""

SPREAD = 0.1
"""Fixed delays are made up to this share longer, for the same reason that backoff has jitter."""


class Reconnect:
    """Counts failures and names delays; times are monotonic seconds."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._failures = 0

    def delay_s(
        self, reaction: Reaction, *, given_s: float | None = None, welcomed_at: float | None = None, now: float = 0.0
    ) -> float:
        """Seconds to wait after an attempt or a connection that ended so.

        `given_s` is what the hub asked of this player (the `drain` before), `reaction.delay_s` what it asks of all
        (Retry-After, a close code). `welcomed_at` is when this connection was welcomed, if it was."""
        if welcomed_at is not None and now - welcomed_at >= HEALTHY_S:
            self._failures = 0
        self._failures += 1
        least_s = 0.0 if self._failures == 1 else FIRST_S
        if given_s is not None:
            return min(max(given_s, least_s), MAX_GIVEN_S)
        if reaction.delay_s is not None:
            return min(max(reaction.delay_s, least_s), MAX_GIVEN_S) * (1 + self._chance.uniform(0, SPREAD))
        return self._chance.uniform(0, backoff_cap_s(self._failures))


def backoff_cap_s(failures: int) -> float:
    """The longest delay after so many failures in a row (1, 2, ...): 1, 2, 4 ... 60 s."""
    return min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 16))
