"""Wall-clock times. Inside the hub a time is an integer: milliseconds since 1970-01-01 UTC, in names ending `_at`.

On the API it is RFC 3339 in UTC with whole seconds (`2026-03-29T14:30:00Z`), as the documents show it.
"""

import time
from datetime import UTC, datetime, timedelta

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


# Two readings of a clock, each written down later than it was made, lie so far apart when the clock is right.
CLOCK_SLACK = MINUTE


def is_due(at: int, now: int, longest: int) -> bool:
    """Whether a time that was set at most `longest` ahead has come. One that is further ahead was set by a clock that
    has been put back since; it is not believed, and has come."""
    return not now < at <= now + longest + CLOCK_SLACK


def is_recent(at: int, now: int, window: int) -> bool:
    """Whether something happened within the last `window`; what lies further ahead than clocks differ did not."""
    return now - window < at <= now + CLOCK_SLACK


def now_ms() -> int:
    """The wall clock, read once at the edge; pure code takes the time as an argument."""
    return time.time_ns() // 1_000_000


def running_ms() -> int:
    """Milliseconds that have passed since some moment, whatever the wall clock says; a sleep of the machine counts."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000


def rfc3339(at: int) -> str:
    """`2026-03-29T14:30:00Z`: whole seconds, cut, never rounded up into the future."""
    return f"{datetime.fromtimestamp(at // SECOND, UTC).isoformat()[:19]}Z"  # strftime writes the year 33 with 2 digits


def rfc3339_or_none(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def rfc3339_ms(at: int) -> str:
    """The same with milliseconds, where order within a second matters (the player protocol)."""
    return f"{rfc3339(at)[:-1]}.{at % SECOND:03d}Z"


def parse(text: str, *, end_of_day: bool = False) -> int:
    """Read a date or time as clients write them: with `Z`, an offset, without a zone (UTC), or the date alone.

    A date alone is its first instant, or with `end_of_day` its last whole second. Raises ValueError.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if end_of_day and len(text) <= 10:
        moment += timedelta(days=1, seconds=-1)
    return int((moment - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1))
