"""Local time to instants, above all where clocks change."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from hub.domain.schedules import Rule, read_rule
from hub.domain.timeline import Window, day_start, holds_at, instant, local, windows, zone_named
from hub.domain.times import DAY, HOUR, MINUTE, parse, rfc3339

BERLIN = ZoneInfo("Europe/Berlin")


def no_holidays(_day: date) -> bool:
    return False


def told(found: list[Window]) -> list[str]:
    return [f"{rfc3339(start)[5:16]} {rfc3339(end)[5:16]}" for start, end in found]


def of(rule: Rule, zone: str, first: str, last: str, holidays: set[date] | None = None) -> list[str]:
    return told(list(windows(rule, ZoneInfo(zone), (holidays or set()).__contains__, parse(first), parse(last))))


@pytest.mark.parametrize(
    ("zone", "day", "minute", "utc"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 150, "2026-03-29T01:00:00Z"),  # skipped: the jump itself
        ("Europe/Berlin", date(2026, 3, 29), 180, "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", date(2026, 10, 25), 150, "2026-10-25T00:30:00Z"),  # twice: the first
        ("Europe/Berlin", date(2026, 10, 25), 180, "2026-10-25T02:00:00Z"),
        ("America/New_York", date(2026, 3, 8), 125, "2026-03-08T07:00:00Z"),
        ("America/New_York", date(2026, 11, 1), 65, "2026-11-01T05:05:00Z"),
        ("Australia/Lord_Howe", date(2026, 10, 4), 135, "2026-10-03T15:30:00Z"),  # half an hour is skipped
        ("Australia/Lord_Howe", date(2026, 4, 5), 105, "2026-04-04T14:45:00Z"),  # and comes twice
        ("Asia/Kathmandu", date(2026, 3, 8), 0, "2026-03-07T18:15:00Z"),
        ("Pacific/Apia", date(2011, 12, 30), 600, "2011-12-30T10:00:00Z"),  # a day that never was
        ("Europe/Berlin", date(2026, 3, 28), 1440 + 150, "2026-03-29T01:00:00Z"),  # counted from the day before
    ],
)
def test_a_time_of_day_is_one_instant(zone: str, day: date, minute: int, utc: str) -> None:
    assert rfc3339(instant(ZoneInfo(zone), day, minute)) == utc


def test_windows_of_a_day_grow_and_shrink_with_the_clocks() -> None:
    whole = Rule()
    assert of(whole, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z") == ["03-28T23:00 03-29T22:00"]
    night = read_rule(start_time="02:15", end_time="02:45")
    assert of(night, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z") == ["03-30T00:15 03-30T00:45"]
    assert of(night, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z") == ["10-25T00:15 10-25T00:45"]
    shop = read_rule(start_time="01:00", end_time="04:00")
    assert of(shop, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z") == ["10-24T23:00 10-25T03:00"]


def test_a_window_over_midnight_is_of_the_day_on_which_it_begins() -> None:
    friday_night = read_rule(days_of_week=[5], start_time="22:00", end_time="02:00", end_date="2026-03-06")
    assert of(friday_night, "UTC", "2026-03-01T00:00:00Z", "2026-03-20T00:00:00Z") == ["03-06T22:00 03-07T02:00"]
    assert holds_at(friday_night, zone_named("UTC"), no_holidays, parse("2026-03-07T01:59:00Z"))
    assert not holds_at(friday_night, zone_named("UTC"), no_holidays, parse("2026-03-06T01:59:00Z"))
    weekday = read_rule(
        start_time="22:00", end_time="02:00", conditions=[{"type": "day_type", "operator": "eq", "value": "weekday"}]
    )
    found = of(weekday, "UTC", "2026-03-05T12:00:00Z", "2026-03-09T12:00:00Z", {date(2026, 3, 5)})
    assert found == ["03-06T22:00 03-07T02:00"]  # not on the holiday, and not on the weekend


def test_time_ranges_cut_windows_and_leave_out_what_they_exclude() -> None:
    lunch = {"type": "time_range", "operator": "between", "value": "12:00-13:00"}
    night = {"type": "time_range", "operator": "between", "value": "23:00-01:00"}
    day = ("UTC", "2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z")
    opening = {"start_time": "09:00", "end_time": "17:00"}
    assert of(read_rule(**opening, conditions=[lunch]), *day) == ["03-04T12:00 03-04T13:00"]  # type: ignore[arg-type]
    without = read_rule(**opening, conditions=[{**lunch, "operator": "neq"}])  # type: ignore[arg-type]
    assert of(without, *day) == ["03-04T09:00 03-04T12:00", "03-04T13:00 03-04T17:00"]
    late = read_rule(start_time="22:00", end_time="02:00", conditions=[night])
    assert of(late, "UTC", "2026-03-04T12:00:00Z", "2026-03-05T12:00:00Z") == ["03-04T23:00 03-05T01:00"]
    assert of(read_rule(conditions=[night]), *day) == ["03-04T00:00 03-04T01:00", "03-04T23:00 03-05T00:00"]


def test_windows_are_cut_to_what_was_asked_for() -> None:
    opening = read_rule(start_time="09:00", end_time="17:00")
    assert of(opening, "UTC", "2026-03-04T10:00:00Z", "2026-03-04T11:00:00Z") == ["03-04T10:00 03-04T11:00"]
    assert of(opening, "UTC", "2026-03-04T17:00:00Z", "2026-03-05T09:00:00Z") == []


def test_days_begin_at_local_midnight_or_where_it_was_skipped() -> None:
    summer = parse("2026-07-01T12:00:00Z")
    assert rfc3339(day_start(BERLIN, summer)) == "2026-06-30T22:00:00Z"
    havana = ZoneInfo("America/Havana")  # its clocks jump at midnight
    assert local(havana, day_start(havana, parse("2026-03-08T15:00:00Z"))).hour == 1
    assert zone_named("Mars/Olympus").utcoffset(None).total_seconds() == 0  # type: ignore[union-attr]
    length = day_start(BERLIN, parse("2026-10-26T12:00:00Z")) - day_start(BERLIN, parse("2026-10-25T12:00:00Z"))
    assert length == DAY + HOUR
    assert instant(BERLIN, date(2026, 7, 1), 61) - instant(BERLIN, date(2026, 7, 1), 60) == MINUTE
