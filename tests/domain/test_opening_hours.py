"""How long a place was open, across nights, weeks and the two days on which clocks jump."""

from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import Invalid
from hub.domain.opening_hours import DAYS, HORIZON, open_ms, open_windows, parse_hours, reached_at, read_hours, told
from hub.domain.times import DAY, HOUR, MINUTE

BERLIN = "Europe/Berlin"
WEEKDAYS = list(DAYS[:5])
SHOP = read_hours([{"days": WEEKDAYS, "from": "08:00", "to": "20:00"}])
BAR = read_hours([{"days": ["fri", "sat"], "from": "18:00", "to": "02:00"}])


def at(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


@pytest.mark.parametrize(
    ("hours", "start", "end", "expected"),
    [
        (None, "2026-03-02T00:00", "2026-03-03T00:00", 24 * HOUR),
        (SHOP, "2026-03-02T07:00", "2026-03-02T08:00", 0),  # Monday
        (SHOP, "2026-03-02T07:00", "2026-03-02T09:30", 90 * MINUTE),
        (SHOP, "2026-03-06T19:00", "2026-03-09T09:00", 2 * HOUR),  # over a weekend
        (SHOP, "2026-03-02T00:00", "2026-03-30T00:00", 20 * 12 * HOUR),
        (SHOP, "2026-03-02T12:00", "2026-03-02T11:00", 0),
        (BAR, "2026-03-07T00:30", "2026-03-07T12:00", 90 * MINUTE),  # Saturday, still Friday's night
        (BAR, "2026-03-09T00:00", "2026-03-09T02:00", 0),  # Sunday's night is nobody's
        (BAR, "2026-03-28T18:00", "2026-03-29T04:00", 8 * HOUR),  # the clock jumps from 2 to 3
        (BAR, "2026-10-24T18:00", "2026-10-25T04:00", 8 * HOUR),  # 2 o'clock comes twice; until the first
    ],
)
def test_open_time_is_counted_on_the_clock_of_the_place(hours: Any, start: str, end: str, expected: int) -> None:
    assert open_ms(hours, BERLIN, at(start), at(end)) == expected


def test_a_night_in_which_the_clock_jumps_is_as_long_as_it_is() -> None:
    nights = read_hours([{"days": list(DAYS), "from": "22:00", "to": "06:00"}])
    for day, length in (("2026-03-28", 7), ("2026-10-24", 9), ("2026-10-26", 8)):
        assert open_ms(nights, BERLIN, at(f"{day}T22:00"), at(f"{day}T22:00") + 12 * HOUR) == length * HOUR


def test_hours_that_overlap_count_once_and_equal_times_are_a_whole_day() -> None:
    double = read_hours(
        [{"days": ["mon"], "from": "08:00", "to": "12:00"}, {"days": ["mon", "tue"], "from": "10:00", "to": "14:00"}]
    )
    monday = at("2026-03-02T00:00")
    assert open_ms(double, BERLIN, monday, monday + DAY) == 6 * HOUR
    always = read_hours([{"days": list(DAYS), "from": "00:00", "to": "24:00"}])
    assert list(open_windows(always, BERLIN, monday, monday + 40 * DAY)) == [(monday, monday + 40 * DAY)]
    assert told(always) == [{"days": list(DAYS), "from": "00:00", "to": "00:00"}]


def test_time_in_which_nobody_could_know_does_not_count() -> None:
    start = at("2026-03-02T08:00")
    blind = [(start - HOUR, start + HOUR), (start + 3 * HOUR, start + 4 * HOUR), (start + 20 * HOUR, start + 21 * HOUR)]
    assert open_ms(SHOP, BERLIN, start, start + 12 * HOUR, blind) == 10 * HOUR
    assert reached_at(SHOP, BERLIN, start, HOUR, blind) == start + 2 * HOUR
    assert reached_at(SHOP, BERLIN, start, 3 * HOUR, blind) == start + 5 * HOUR
    assert reached_at(SHOP, BERLIN, start, 11 * HOUR, blind) == start + DAY + HOUR


def test_what_never_comes_ends_the_search() -> None:
    minute = read_hours([{"days": ["mon"], "from": "08:00", "to": "08:01"}])
    start = at("2026-03-02T08:00")
    assert reached_at(minute, BERLIN, start, 5 * MINUTE) == start + 28 * DAY + MINUTE - HOUR  # after the jump
    assert reached_at(minute, BERLIN, start, 7 * DAY) is None
    years = start + 3_000 * DAY
    assert open_ms(None, BERLIN, start, years) == HORIZON


ENTRIES = st.fixed_dictionaries(
    {
        "days": st.lists(st.sampled_from(DAYS), min_size=1, max_size=7),
        "from": st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59)),
        "to": st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59)),
    }
)


@given(
    st.lists(ENTRIES, min_size=1, max_size=4),
    st.sampled_from([BERLIN, "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    st.integers(at("2026-01-01T00:00"), at("2026-12-31T00:00")),
    st.integers(1, 30 * 24 * 60),
)
def test_when_it_is_reached_so_much_was_open(entries: list[Any], zone: str, since: int, minutes: int) -> None:
    hours = read_hours(entries)
    blind = [(since + 3 * HOUR, since + 5 * HOUR), (since + DAY, since + DAY + HOUR)]
    end = reached_at(hours, zone, since, minutes * MINUTE, blind)
    if end is not None:
        assert open_ms(hours, zone, since, end, blind) == minutes * MINUTE
        assert open_ms(hours, zone, since, end - 1, blind) < minutes * MINUTE
    found = list(open_windows(hours, zone, since, since + 14 * DAY))
    assert all(start < end for start, end in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert parse_hours(orjson.dumps(told(hours)).decode()) == hours


@pytest.mark.parametrize(
    ("entries", "field"),
    [
        ([], "opening_hours"),
        ([{"days": ["mon"], "from": "08:00", "to": "20:00"}] * 22, "opening_hours"),
        ([{"days": [], "from": "08:00", "to": "20:00"}], "opening_hours.0.days"),
        ([{"days": ["mon"], "from": "25:00", "to": "20:00"}], "opening_hours.0.from"),
        ([{"days": ["mon"], "from": "08:00", "to": "late"}], "opening_hours.0.to"),
        ([{"days": ["mon"], "from": "08:00", "to": ""}], "opening_hours.0.to"),
    ],
)
def test_what_are_no_hours_is_refused_with_the_field_named(entries: list[Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_hours(entries)
    assert list(refused.value.errors or {}) == [field]
