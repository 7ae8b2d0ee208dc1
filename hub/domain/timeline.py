"""From rules in local time to instants: the windows of a schedule in one time zone, as Unix milliseconds.

A time of day that a clock change skips is the first instant after the gap; one that comes twice is its first
occurrence. A window belongs to the day on which it begins, so it is that day's weekday, date and day type that count.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from hub.domain.schedules import DAY_MINUTES, Condition, Rule
from hub.domain.times import SECOND

Window = tuple[int, int]
"""From the first instant to before the second."""

IsHoliday = Callable[[date], bool]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEKEND: Final = (5, 6)  # Saturday and Sunday, as Python counts


@lru_cache(maxsize=1024)
def zone_named(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError of its own kind
        return UTC
    except KeyError:
        return UTC


def local(zone: tzinfo, at: int) -> datetime:
    """The wall clock of the zone at an instant."""
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)


@lru_cache(maxsize=65_536)
def instant(zone: tzinfo, day: date, minute: int) -> int:
    """When the zone's clocks first show `minute` (of the day; from 1440 on it is the day after) or, where they jump
    over it, the instant of the jump."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    early = _unix_s(wall.replace(tzinfo=zone, fold=1))
    late = _unix_s(wall.replace(tzinfo=zone, fold=0))
    if late <= early:  # an ordinary time, or the first of two
        return late * SECOND
    before = wall.replace(tzinfo=zone, fold=0).utcoffset()
    while late - early > 1:  # in a gap the two readings lie on both sides of the jump
        middle = (early + late) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late * SECOND


def day_start(zone: tzinfo, at: int) -> int:
    """The first instant of the local day that `at` belongs to."""
    return instant(zone, local(zone, at).date(), 0)


def holds_at(rule: Rule, zone: tzinfo, is_holiday: IsHoliday, at: int) -> bool:
    """Whether a window of the rule contains the instant, the weather aside."""
    today = local(zone, at).date()
    return any(
        start <= at < end
        for day in (today - timedelta(days=1), today)
        for start, end in windows_of_day(rule, zone, is_holiday, day)
    )


def windows(rule: Rule, zone: tzinfo, is_holiday: IsHoliday, start: int, end: int) -> Iterator[Window]:
    """The windows that touch [start, end), cut to it, in the order of their beginnings; the weather aside."""
    day = local(zone, start).date() - timedelta(days=1)
    last = local(zone, end).date()
    while day <= last:
        for begins, ends in windows_of_day(rule, zone, is_holiday, day):
            if begins < end and ends > start:
                yield max(begins, start), min(ends, end)
        day += timedelta(days=1)


def windows_of_day(rule: Rule, zone: tzinfo, is_holiday: IsHoliday, day: date) -> Iterator[Window]:
    """The windows that begin on a day."""
    if not rule.begins_on(day) or not is_of_type(rule, day, is_holiday):
        return
    for first, last in minutes_of(rule):
        start, end = instant(zone, day, first), instant(zone, day, last)
        if start < end:
            yield start, end


def is_of_type(rule: Rule, day: date, is_holiday: IsHoliday) -> bool:
    """Whether the day is of the type that the rule's conditions ask for."""
    kinds = [condition for condition in rule.conditions if condition.type == "day_type"]
    if not kinds:
        return True
    kind = day_type(day, is_holiday)
    return all((condition.value == kind) == (condition.operator == "eq") for condition in kinds)


def day_type(day: date, is_holiday: IsHoliday) -> str:
    if is_holiday(day):
        return "holiday"
    return "weekend" if day.weekday() in _WEEKEND else "weekday"


@lru_cache(maxsize=4096)
def minutes_of(rule: Rule) -> tuple[tuple[int, int], ...]:
    """The rule's window and its time ranges together: (first, after the last) minutes from midnight of its day."""
    found: list[tuple[int, int]] = [rule.window]
    for condition in rule.conditions:
        if condition.type == "time_range":
            found = list(_both(found, _ranges(condition)))
    return tuple(found)


def _ranges(condition: Condition) -> list[tuple[int, int]]:
    """A time range around the clock, for the two days that a window may touch."""
    start, end = (int(number) for number in condition.numbers)
    if end <= start:
        end += DAY_MINUTES
    inside = [(start + shift, end + shift) for shift in (-DAY_MINUTES, 0, DAY_MINUTES)]
    if condition.operator != "neq":
        return inside
    return [(end + shift, start + shift + DAY_MINUTES) for shift in (-2 * DAY_MINUTES, -DAY_MINUTES, 0, DAY_MINUTES)]


def _both(some: Iterable[tuple[int, int]], others: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Where one of some and one of the others overlap."""
    others = list(others)
    for first, last in some:
        for start, end in others:
            if max(first, start) < min(last, end):
                yield max(first, start), min(last, end)


def _unix_s(moment: datetime) -> int:
    return round((moment - _EPOCH).total_seconds())
