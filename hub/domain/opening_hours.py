"""When a place is open: hours on days of the week, in its own time zone.

    08:00 to 20:00   from eight to eight
    18:00 to 02:00   until two in the night, which belongs to the day of the evening
    00:00 to 00:00   24 hours, as any two equal times

A place without hours is always open. Hours may overlap; no time counts twice.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from hub.domain import timeline
from hub.domain.errors import Invalid
from hub.domain.schedules import A_TIME, Rule, clock, read_rule
from hub.domain.timeline import Window
from hub.domain.times import DAY

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_HOURS: Final = 21  # entries: three a day, each day its own
HORIZON: Final = 200 * DAY  # how far anything is counted: a day costs a few microseconds, and an outage may last years

Hours = tuple[Rule, ...]


def read_hours(entries: Sequence[Mapping[str, Any]]) -> Hours:
    """Hours that a client wrote: `days`, `from` and `to` of each. Raises Invalid with the field named
    (`opening_hours.0.from`)."""
    if not entries:
        raise Invalid.field("opening_hours", "must have at least one entry, or be null for always open")
    if len(entries) > MAX_HOURS:
        raise Invalid.field("opening_hours", f"must have at most {MAX_HOURS} entries")
    return tuple(_read(f"opening_hours.{index}.", entry) for index, entry in enumerate(entries))


def _read(where: str, entry: Mapping[str, Any]) -> Rule:
    days = [DAYS.index(day) + 1 for day in entry["days"]]
    if not days:
        raise Invalid.field(where + "days", f"must name at least one of {', '.join(DAYS)}")
    for name in ("from", "to"):
        if not entry[name]:
            raise Invalid.field(where + name, A_TIME)
    try:
        return read_rule(days_of_week=days, start_time=entry["from"], end_time=entry["to"])
    except Invalid as error:
        names = {"start_time": "from", "end_time": "to"}
        raise Invalid.field(where + names[next(iter(error.errors or names))], A_TIME) from None


def told(hours: Hours | None) -> list[dict[str, Any]] | None:
    """As the API shows them and the database keeps them."""
    if hours is None:
        return None
    return [
        {
            "days": [DAYS[day] for day in sorted(rule.days)],
            "from": clock(rule.start_minute or 0),
            "to": clock(rule.end_minute or 0),
        }
        for rule in hours
    ]


@lru_cache(maxsize=4096)
def parse_hours(kept: str | None) -> Hours | None:
    """The hours of a stored location."""
    return None if kept is None else read_hours(orjson.loads(kept))


def open_windows(hours: Hours | None, zone: str, start: int, end: int) -> Iterator[Window]:
    """The open times in [start, end), in order and apart from each other."""
    if hours is None:
        if start < end:
            yield start, end
        return
    named = timeline.zone_named(zone)
    current: Window | None = None
    for begins, ends in heapq.merge(*(timeline.windows(rule, named, _no_holiday, start, end) for rule in hours)):
        if current is not None and begins <= current[1]:
            current = current[0], max(current[1], ends)
            continue
        if current is not None:
            yield current
        current = begins, ends
    if current is not None:
        yield current


def open_ms(hours: Hours | None, zone: str, start: int, end: int, blind: Sequence[Window] = ()) -> int:
    """For how many of the milliseconds between two instants the place was open, those in `blind` aside (in order, and
    apart from each other). Of a longer time only the last HORIZON counts."""
    start = max(start, end - HORIZON)
    return sum(
        until - since
        for begins, ends in open_windows(hours, zone, start, end)
        for since, until in _without(begins, ends, blind)
    )


def reached_at(hours: Hours | None, zone: str, since: int, needed_ms: int, blind: Sequence[Window] = ()) -> int | None:
    """When the place will have been open for `needed_ms` since that instant, the times in `blind` aside. None: not
    within HORIZON."""
    left = needed_ms
    for begins, ends in open_windows(hours, zone, since, since + HORIZON):
        for start, end in _without(begins, ends, blind):
            if end - start >= left:
                return start + left
            left -= end - start
    return None


def _without(start: int, end: int, blind: Sequence[Window]) -> Iterator[Window]:
    for begins, ends in blind:
        if ends <= start:
            continue
        if begins >= end:
            break
        if begins > start:
            yield start, begins
        start = ends
    if start < end:
        yield start, end


def _no_holiday(_day: object) -> bool:
    return False
