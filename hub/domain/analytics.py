"""Proof of play and uptime as numbers: quarters of an hour, the periods made of them, shares of time, cells of CSV.

Sums are kept by quarter because every day and hour of every time zone in use begins at one. A time range is half open:
`since` belongs to it, `until` does not. A quarter, a period and a range are all named by their first millisecond.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from hub.domain.errors import Invalid
from hub.domain.times import DAY, HOUR, MINUTE, SECOND

QUARTER: Final = 15 * MINUTE
MICROS: Final = 1_000_000  # of a currency's unit
EARLY_MS: Final = DAY  # how far in the future a play may lie: a wrong time zone makes hours, a dead clock years
CLOCK_MS: Final = 5 * MINUTE  # by which a play may be longer than the time since it began: clocks differ
PLAYS_A_DAY: Final = 50_000  # showings of one player that begin on one day (UTC): six zones that change every 10 s
LAST: Final = 7_258_118_400_000  # 2200-01-01, the end of all ranges: four digits of a year survive every time zone

Granularity = Literal["hour", "day", "week"]
Dimension = Literal["team", "player", "layout", "campaign"]
Range = tuple[int, int]

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Showing:
    """One showing of one asset, as a player tells it. `entry` is the player's own id of it."""

    entry: str
    asset_id: int
    playlist_id: int | None
    layout_id: int | None
    schedule_id: int | None
    campaign_id: int | None
    started_at: int
    duration_ms: int
    completed: bool

    def can_be(self, now: int) -> bool:
        """Whether it can have been by `now`: no clock that is in use lies so far ahead, and nothing was shown for
        longer than since it began."""
        return self.started_at <= now + EARLY_MS and self.duration_ms <= max(0, now - self.started_at) + CLOCK_MS


class Sum(NamedTuple):
    plays: int = 0
    duration_ms: int = 0
    revenue_micros: int = 0

    def plus(self, other: "Sum") -> "Sum":
        return Sum(*(a + b for a, b in zip(self, other, strict=True)))


Key = tuple[Dimension, int, int]
"""Dimension, its id, quarter."""


def tally(
    team_id: int, player_id: int, showings: Iterable[Showing], prices: Mapping[int, int], layouts: Collection[int]
) -> dict[Key, Sum]:
    """What these showings add to the sums. `prices` are of the team's own campaigns, in micros a showing: a showing for
    any other campaign is a showing, and nobody's impression. `layouts` are the team's own: others have no sums, or a
    player could make as many as there are numbers."""
    sums: dict[Key, Sum] = defaultdict(Sum)
    for showing in showings:
        price = prices.get(showing.campaign_id or 0)
        one = Sum(1, showing.duration_ms, price or 0)
        ids: dict[Dimension, int | None] = {
            "team": team_id,
            "player": player_id,
            "layout": showing.layout_id if showing.layout_id in layouts else None,
            "campaign": showing.campaign_id if price is not None else None,
        }
        quarter = floor(showing.started_at)
        for dimension, number in ids.items():
            if number is not None:
                key = dimension, number, quarter
                sums[key] = sums[key].plus(one)
    return sums


def checked_range(since: int, until: int) -> Range:
    """From the first millisecond of `since` to the end of the second `until`: both ends as clients write them belong to
    it. Raises Invalid (`from`, `to`)."""
    if until < since:
        raise Invalid.field("to", "must not be before from")
    for name, at in (("from", since), ("to", until)):
        if not 0 <= at < LAST:
            raise Invalid.field(name, "must be between 1970 and 2199")
    return since, until - until % SECOND + SECOND


def floor(at: int) -> int:
    """The quarter that `at` is in."""
    return at - at % QUARTER


def ceiling(at: int) -> int:
    """The first quarter that begins at `at` or later."""
    return floor(at + QUARTER - 1)


def split(since: int, until: int, plays_since: int) -> tuple[Range, list[Range]]:
    """The whole quarters of a range, which sums answer, and its ends, which single plays answer.

    Single plays are kept from `plays_since` on; an end that is older is taken as its whole quarter.
    """
    if since < plays_since:
        since = floor(since)
    if until < plays_since:
        until = ceiling(until)
    first, last = ceiling(since), floor(until)
    if first > last:
        return (first, first), [(since, until)]
    return (first, last), [one for one in ((since, first), (last, until)) if one[0] < one[1]]


# Periods


def periods(since: int, until: int, granularity: Granularity, zone: ZoneInfo) -> Iterator[int]:
    """The beginnings of all periods that the range touches, in order: full hours of the zone's clock, its days from
    midnight, or its weeks from Monday. The first may begin before the range.

    Where the clock jumps, a day has 23 or 25 hours; where it jumps by less than an hour, one hour more begins there.
    """
    start = _start(since, granularity, zone)
    while (following := _next(start, granularity, zone)) <= since:
        start = following
    while start < until:
        yield start
        start = _next(start, granularity, zone)


def by_period(starts: Sequence[int], quarters: Iterable[tuple[int, Sum]]) -> list[Sum]:
    """The sums of each period. `quarters` come in order of their times, none before the first period."""
    sums = [Sum()] * len(starts)
    number = 0
    for at, one in quarters:
        while number + 1 < len(starts) and starts[number + 1] <= at:
            number += 1
        sums[number] = sums[number].plus(one)
    return sums


def _local(at: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)


def _offset(at: int, zone: ZoneInfo) -> int:
    offset = _local(at, zone).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def _at(local: datetime) -> int:
    return (local - _EPOCH) // timedelta(milliseconds=1)


def _day(local: datetime, days: int = 0) -> int:
    """Midnight of that date, or of one some days later; where the clock jumps over it, the instant of the jump."""
    return _at(datetime.combine(local.date() + timedelta(days), datetime.min.time(), local.tzinfo))


def _start(at: int, granularity: Granularity, zone: ZoneInfo) -> int:
    """A beginning at or before `at`."""
    if granularity == "hour":
        start = at - (at + _offset(at, zone)) % HOUR
        return start - (start + _offset(start, zone)) % HOUR  # the clock may have jumped in between
    local = _local(at, zone)
    return _day(local, -local.weekday() if granularity == "week" else 0)


def _next(start: int, granularity: Granularity, zone: ZoneInfo) -> int:
    if granularity == "hour":
        return start + HOUR - (start + _offset(start, zone)) % HOUR
    return _day(_local(start, zone), 7 if granularity == "week" else 1)


# Uptime


class Spent(NamedTuple):
    """How a player spent its time, in milliseconds."""

    online: int
    offline: int
    unknown: int

    @property
    def uptime(self) -> float | None:
        """The share of the known time in which it was online; None: nothing is known."""
        known = self.online + self.offline
        return self.online / known if known else None

    def percent(self) -> tuple[float, float, float]:
        """Online, offline, unknown: one decimal each, 100 together. Of no time at all nothing is known."""
        total = sum(self)
        if not total:
            return 0.0, 0.0, 100.0
        online, unknown = round(100 * self.online / total, 1), round(100 * self.unknown / total, 1)
        return online, abs(round(100 - online - unknown, 1)), unknown


def spent(total: int, online: int, uncounted: int) -> Spent:
    """Of `total` milliseconds a player was connected for `online`; `uncounted` is when the hub was away, and when the
    player was as it had said.

    That time is unknown. A session ends at its last sign of life, so the two hardly overlap; where they do, what was
    seen counts.
    """
    total = max(total, 0)
    online = min(online, total)
    unknown = min(uncounted, total - online)
    return Spent(online, total - online - unknown, unknown)


def within(ranges: Iterable[Range], since: int, until: int) -> int:
    """How much of the range lies in `ranges`, which do not overlap."""
    return sum(max(0, min(end, until) - max(start, since)) for start, end in ranges)


# CSV


def cell(value: str | int | float | bool | None) -> str:
    """One cell (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if value.lstrip().startswith(("=", "+", "-", "@")) or value.startswith(("\t", "\r", "\n")):
        value = "'" + value
    if any(character in value for character in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def line(values: Iterable[str | int | float | bool | None]) -> str:
    return ",".join(map(cell, values)) + "\r\n"


def seconds(duration_ms: int) -> float | int:
    """Whole seconds as an integer, as clients read them; else with milliseconds."""
    whole, rest = divmod(duration_ms, SECOND)
    return whole if not rest else duration_ms / SECOND
