"""Periods of every zone, sums that lose nothing, shares that add up, cells that no spreadsheet runs."""

import csv
import io
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.analytics import (
    LAST,
    QUARTER,
    Granularity,
    Showing,
    by_period,
    checked_range,
    floor,
    line,
    periods,
    spent,
    split,
    tally,
    within,
)
from hub.domain.errors import Invalid
from hub.domain.times import DAY, HOUR, parse

# Clocks that jump by an hour, by half of one, at midnight, over a whole day, and not at all.
ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "America/Santiago", "Pacific/Apia",
    "Asia/Kathmandu", "Africa/Cairo", "UTC",
)  # fmt: skip
BEGAN = parse("2011-12-01")  # Apia had no 30 December in this year

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.integers(BEGAN, parse("2031-01-01"))


def label(at: int, granularity: Granularity, zone: ZoneInfo) -> str:
    """What period a wall clock and calendar in the zone show."""
    local = datetime.fromtimestamp(at // 1000, UTC).astimezone(zone)
    if granularity == "hour":
        return f"{local:%Y-%m-%d %H %z}"
    if granularity == "week":
        return f"{local.isocalendar().year} {local.isocalendar().week}"
    return f"{local:%Y-%m-%d}"


@given(since=moments, length=st.integers(1, 40 * DAY), zone=zones, granularity=st.sampled_from(["hour", "day", "week"]))
@settings(max_examples=300, deadline=None)
def test_periods_follow_one_another_and_begin_where_the_clock_of_the_zone_says(
    since: int, length: int, zone: ZoneInfo, granularity: Granularity
) -> None:
    starts = list(periods(since, since + length, granularity, zone))
    assert starts[0] <= since
    assert starts == sorted(set(starts))
    for start, following in pairwise(starts):
        assert label(start, granularity, zone) == label(following - 1, granularity, zone)
        assert label(following, granularity, zone) != label(following - 1, granularity, zone)
    assert label(starts[0], granularity, zone) == label(since, granularity, zone)
    assert label(starts[-1], granularity, zone) == label(since + length - 1, granularity, zone)
    assert all(start % QUARTER == 0 for start in starts)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Asia/Kathmandu", "2026-04-05", 24),
    ],
)
def test_a_day_has_the_hours_that_its_clock_shows(zone: str, day: str, hours: float) -> None:
    noon = parse(f"{day}T09:00:00Z")
    today, tomorrow = periods(noon, noon + DAY, "day", ZoneInfo(zone))
    assert tomorrow - today == hours * HOUR


def showing(number: int, at: int, layout_id: int | None = None, campaign_id: int | None = None) -> Showing:
    return Showing(f"e{number}", 1, None, layout_id, None, campaign_id, at, 10_000 + number, True)


@given(
    offsets=st.lists(st.integers(0, 3 * DAY), max_size=60),
    began=moments,
    ends=st.tuples(st.integers(0, 3 * DAY), st.integers(1, 3 * DAY)),
    zone=zones,
    granularity=st.sampled_from(["hour", "day", "week"]),
)
@settings(max_examples=200, deadline=None)
def test_sums_of_quarters_with_single_plays_at_the_ends_are_what_counting_gives(
    offsets: list[int], began: int, ends: tuple[int, int], zone: ZoneInfo, granularity: Granularity
) -> None:
    since, until = began + ends[0], began + ends[0] + ends[1]
    plays = [showing(number, began + offset) for number, offset in enumerate(offsets)]
    sums = {key[2]: one for key, one in tally(1, 2, plays, {}, ()).items() if key[0] == "player"}
    (first, last), partial = split(since, until, 0)
    found = [(at, one) for at, one in sums.items() if first <= at < last]
    for start, end in partial:
        inside = [play for play in plays if start <= play.started_at < end]
        found += [(key[2], one) for key, one in tally(1, 2, inside, {}, ()).items() if key[0] == "player"]
    starts = list(periods(since, until, granularity, zone))
    answered = by_period(starts, sorted(found))
    expected = Counter(label(p.started_at, granularity, zone) for p in plays if since <= p.started_at < until)
    told = Counter[str]()
    for start, one in zip(starts, answered, strict=True):
        told[label(start, granularity, zone)] += one.plays
    assert +told == expected
    assert sum(one.duration_ms for one in answered) == sum(
        play.duration_ms for play in plays if since <= play.started_at < until
    )


def test_only_the_teams_own_campaigns_earn_and_only_its_layouts_have_sums() -> None:
    plays = [showing(1, 0, 7, 3), showing(2, 1, 7, 4), showing(3, QUARTER, 8, 3)]
    sums = tally(1, 2, plays, {3: 500}, {7})
    assert {key: (one.plays, one.revenue_micros) for key, one in sums.items() if key[0] in ("layout", "campaign")} == {
        ("layout", 7, 0): (2, 500),
        ("campaign", 3, 0): (1, 500),
        ("campaign", 3, QUARTER): (1, 500),
    }
    assert sums["team", 1, 0].plays == 2


def test_ends_older_than_single_plays_are_taken_to_the_whole_quarter() -> None:
    since, until = 10 * QUARTER + 1, 20 * QUARTER - 1
    assert split(since, until, 0) == (
        (11 * QUARTER, 19 * QUARTER),
        [(since, 11 * QUARTER), (19 * QUARTER, until)],
    )
    assert split(since, until, 15 * QUARTER) == ((10 * QUARTER, 19 * QUARTER), [(19 * QUARTER, until)])
    assert split(since, until, 30 * QUARTER) == ((10 * QUARTER, 20 * QUARTER), [])
    inside = QUARTER + 1, QUARTER + 5
    assert split(*inside, 0) == ((2 * QUARTER, 2 * QUARTER), [inside])
    assert floor(-1 + QUARTER) == 0


def test_a_range_takes_in_both_its_ends_and_has_limits() -> None:
    since, until = parse("2026-01-01"), parse("2026-01-31", end_of_day=True)
    assert checked_range(since, until) == (since, parse("2026-02-01"))
    assert checked_range(since, since) == (since, since + 1000)
    for bad in ((since, since - 1), (-1, since), (since, LAST)):
        with pytest.raises(Invalid):
            checked_range(*bad)


@given(st.integers(0, 10**10), st.integers(0, 10**10), st.integers(0, 10**10))
def test_shares_are_a_hundred_together(total: int, online: int, down: int) -> None:
    one = spent(total, online, down)
    assert sum(one) == total
    assert round(sum(one.percent()), 1) == 100
    assert min(*one, *one.percent()) >= 0


def test_what_is_not_known_is_neither_on_nor_off() -> None:
    assert spent(1000, 995, 0).percent() == (99.5, 0.5, 0.0)
    assert spent(1000, 500, 250).percent() == (50.0, 25.0, 25.0)
    assert spent(1000, 500, 200).uptime == 500 / 800
    assert spent(1000, 900, 250).percent() == (90.0, 0.0, 10.0)
    assert spent(-1, 0, 0).percent() == (0.0, 0.0, 100.0)
    assert spent(0, 0, 0).uptime is None
    assert within([(0, 10), (20, 30), (40, 50)], 5, 45) == 5 + 10 + 5


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
def test_cells_come_back_as_they_were_but_never_as_a_formula(values: list[str]) -> None:
    [row] = csv.reader(io.StringIO(line(["", *values]), newline=""), strict=True)
    for value, read in zip(values, row[1:], strict=True):
        assert read in (value, "'" + value)
        assert not read.lstrip().startswith(("=", "+", "-", "@"))


def test_numbers_stay_numbers_in_a_file() -> None:
    assert line([-1, 0.5, True, None, "=1+1", 'a "b", c', "\t=1"]) == ('-1,0.5,true,,\'=1+1,"a ""b"", c",\'\t=1\r\n')
