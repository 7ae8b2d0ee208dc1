"""Pairing a device by a code on its screen (RFC 8628): the life of a code, and what a device is told that asks for it.

    pending --approve--> approved --the device asks--> redeemed
       └-----deny------> denied

    invited --a device brings the code--> approved

The other way round, an operator makes a code for a player that exists, and the device that brings it is approved.

A code that is pending, invited or approved when its time is over has expired; nothing moves it any more.
"""

import re
from dataclasses import dataclass

from hub.domain.text import visible
from hub.domain.times import CLOCK_SLACK, MINUTE, SECOND, is_recent

LIFETIME_S = 900  # long enough to carry a code from the screen to a desk, short enough that guessing is hopeless
INVITATION_S = 86_400  # of a code that somebody carries to a device: the day of an installation
INTERVAL_S = 5  # between two polls of a device, as RFC 8628 has it where nothing else is said
SLOWER_S = 5  # longer after each poll that came too early (RFC 8628, section 3.5)
EARLY_MS = SECOND  # a poll may come this much early: networks carry one faster than the other
QUIET_S = 90  # since a device last asked: longer than any pause of one that backs off, so it shows its code no more
MAX_TOLD = 60  # characters of what a device says of itself before anybody knows it: names of models have some thirty
OPEN_PER_ADDRESS = 5
OPEN_IN_ALL = 10_000

_SEPARATORS = re.compile(r"[\s\-‐-―−_.]+")

REFUSALS = {
    "authorization_pending": "Nobody has approved the code yet.",
    "slow_down": "You ask too often: wait five seconds longer between two requests from now on.",
    "access_denied": "An operator has refused this device.",
    "expired_token": "The code has expired. Ask for a new one.",
    "invalid_grant": "This code is unknown, has expired or was used before.",
}
"""Why a device that asks gets no token, by the error word of OAuth 2.0."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A paced allowance: one use each `every_ms`, up to `at_once` of them at one moment."""

    every_ms: int
    at_once: int

    @property
    def burst_ms(self) -> int:
        return self.every_ms * self.at_once

    def latest(self, now: int) -> int:
        """The latest arrival time that uses until now can have made; a later one is of a clock that was ahead."""
        return now + self.burst_ms + CLOCK_SLACK


# A code on a screen has six of 27 characters, one of 387 million, and only who is signed in may try it. With 318 wrong
# ones of a team a day, a code that is shown all day is hit with a chance of 8e-7.
GUESSES_PER_TEAM = Allowance(5 * MINUTE, 30)
# Of all teams behind one address: as many at once as thirty of them have, so that none keeps another from approving.
GUESSES_OF_TEAMS_PER_ADDRESS = Allowance(10 * SECOND, 300)
# The code of an invitation has fourteen, one of 1e20: strangers may try it from any number of networks. A thousand
# guesses a second, which is more than a hub answers, hit one of 100,000 within a day with a chance of 8e-8. The pace
# only spares the hub the work.
GUESSES_PER_ADDRESS = Allowance(10 * SECOND, 10)
# The installers of a whole building sit behind one address; one program that asks for ever is stopped by it.
REQUESTS_PER_NETWORK = Allowance(MINUTE // 6, 60)
# Of IPv6 a subscriber may have many networks (256 in a /56, 65,536 in a /48). Within the life of a code these allow 400
# and 600, so that no few of them fill the room of all.
REQUESTS_PER_56 = Allowance(MINUTE // 20, 100)
REQUESTS_PER_48 = Allowance(MINUTE // 30, 150)


def read_code(text: str) -> str:
    """A user code as it is kept, from how people type it: any case, with spaces and dashes."""
    return _SEPARATORS.sub("", text).upper()


def told(text: str | None) -> str | None:
    """What a device says of itself, as people are shown it; None where nothing of it is to be seen."""
    return visible(text, MAX_TOLD) or None if text is not None else None


def refusal(state: str, *, expires_at: int, interval_s: int, polled_at: int | None, now: int) -> str:
    """The error word for a device whose code is not approved, or is over. `polled_at`: when it last asked."""
    if state == "denied":
        return "access_denied"
    if state == "redeemed":
        return "invalid_grant"
    if expires_at <= now:
        return "expired_token"
    if polled_at is not None and is_recent(polled_at, now, interval_s * SECOND - EARLY_MS):
        return "slow_down"
    return "authorization_pending"
