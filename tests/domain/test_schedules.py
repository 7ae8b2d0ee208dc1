from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import Invalid
from hub.domain.schedules import DAY_MINUTES, EVERY_DAY, OPERATORS, parse_rule, read_rule

CLOCKS = st.times().map(lambda at: f"{at:%H:%M}")
DATES = st.dates().map(date.isoformat)
NUMBERS = st.integers(-2000, 2000).map(lambda tenths: f"{tenths / 10:g}")

CONDITIONS = st.one_of(
    st.builds(
        lambda start, end, operator: {"type": "time_range", "operator": operator, "value": f"{start}-{end}"},
        CLOCKS,
        CLOCKS,
        st.sampled_from(["between", "eq", "neq"]),
    ),
    st.builds(
        lambda value, operator: {"type": "day_type", "operator": operator, "value": value},
        st.sampled_from(["weekday", "Weekend", "holiday"]),
        st.sampled_from(["eq", "neq"]),
    ),
    st.builds(
        lambda value, operator, unit: {"type": "weather", "operator": operator, "value": value, "unit": unit},
        NUMBERS,
        st.sampled_from([operator for operator in OPERATORS if operator != "between"]),
        st.sampled_from(["celsius", "Fahrenheit", "C", None]),
    ),
    st.builds(lambda low, high: {"type": "weather", "operator": "between", "value": f"{low}-{high}"}, NUMBERS, NUMBERS),
)


@dataclass
class Row:
    days: str
    start_time: str | None
    end_time: str | None
    start_date: str | None
    end_date: str | None
    conditions: str


@given(
    days=st.lists(st.integers(0, 7), max_size=10),
    start_time=st.none() | CLOCKS,
    end_time=st.none() | CLOCKS,
    dates=st.tuples(st.none() | DATES, st.none() | DATES),
    conditions=st.lists(CONDITIONS, max_size=4),
)
def test_a_rule_comes_back_the_same_from_the_api_and_from_the_database(
    days: list[int], start_time: str, end_time: str, dates: tuple[str | None, str | None], conditions: Any
) -> None:
    first, last = dates if None in dates else sorted(dates)  # type: ignore[type-var]
    rule = read_rule(
        days_of_week=days,
        start_time=start_time,
        end_time=end_time,
        start_date=first,
        end_date=last,
        conditions=conditions,
    )

    assert read_rule(**rule.told()) == rule
    assert parse_rule(Row(**rule.columns())) == rule  # type: ignore[arg-type]
    assert rule.told() == read_rule(**rule.told()).told()
    start, end = rule.window
    assert 0 <= start < DAY_MINUTES
    assert 0 < end - start <= DAY_MINUTES
    for day in (date(2026, 11, 23) + timedelta(days) for days in range(7)):
        told = day.isoweekday() % 7
        in_dates = (first or "0") <= day.isoformat() <= (last or "9")
        assert rule.begins_on(day) == (in_dates and (not days or told in [day % 7 for day in days]))


def refused(**fields: Any) -> list[str]:
    """The fields that are named as wrong."""
    with pytest.raises(Invalid) as refusal:
        read_rule(**fields)
    return list(refusal.value.errors or {})


@given(hours=st.integers(0, 99), minutes=st.integers(0, 99), seconds=st.sampled_from(["", ":00", ":01"]))
def test_a_time_is_read_as_the_clock_it_shows_or_refused(hours: int, minutes: int, seconds: str) -> None:
    text = f"{hours}:{minutes:02d}{seconds}"
    if hours < 24 and minutes < 60 and seconds != ":01":
        assert read_rule(start_time=text).start_minute == hours * 60 + minutes
    elif text != "24:00":
        assert refused(start_time=text) == ["start_time"]


@given(st.text(max_size=12))
def test_whatever_is_written_is_read_or_refused_by_name(text: str) -> None:
    for field in ("start_time", "end_time", "start_date", "end_date"):
        try:
            read_rule(**{field: text})  # type: ignore[arg-type]
        except Invalid as error:
            assert list(error.errors or {}) == [field]  # noqa: PT017
    for kind in ("weather", "day_type", "time_range"):
        with suppress(Invalid):
            read_rule(conditions=[{"type": kind, "operator": "between", "value": text, "unit": text}])


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        ("09:00", "17:00", (540, 1020)),
        ("22:00", "02:00", (1320, 1560)),
        ("06:00", "06:00", (360, 1800)),
        ("09:00", None, (540, 1440)),
        (None, "09:00", (0, 540)),
        (None, None, (0, 1440)),
        ("9:00:00", "24:00", (540, 1440)),
        ("09:00", "24:00:00", (540, 1440)),
        ("09:00", "23:59:59", (540, 1440)),
        ("09:00", "00:00", (540, 1440)),
        ("00:00:00", "23:59:59", (0, 1440)),
        ("24:00:00", "24:00:00", (0, 1440)),
        (None, "23:59:59", (0, 1440)),
        ("22:00", "23:59", (1320, 1439)),
        ("00:00", "00:00", (0, 1440)),
    ],
)
def test_a_window_may_go_on_after_midnight_and_equal_times_are_a_whole_day(
    start: str | None, end: str | None, window: tuple[int, int]
) -> None:
    assert read_rule(start_time=start, end_time=end).window == window


@pytest.mark.parametrize("end", ["24:00", "24:00:00", "23:59:59", "00:00", "00:00:00"])
def test_midnight_as_an_end_is_told_in_one_form_and_read_back_as_the_same(end: str) -> None:
    evening = {"type": "time_range", "operator": "between", "value": f"20:00-{end}"}
    rule = read_rule(start_time="20:00", end_time=end, conditions=[evening])
    told = rule.told()
    assert (told["end_time"], told["conditions"][0]["value"]) == ("00:00", "20:00-00:00")
    assert read_rule(**told) == rule


@pytest.mark.parametrize("text", ["23:59:59", "23:59:60", "24:01", "24:00:01"])
def test_the_last_second_is_no_start_and_nothing_is_later_than_midnight(text: str) -> None:
    assert refused(start_time=text) == ["start_time"]
    if text != "23:59:59":
        assert refused(end_time=text) == ["end_time"]


def test_sunday_is_0_and_7_and_told_as_0() -> None:
    assert read_rule(days_of_week=[7]).days == read_rule(days_of_week=[0]).days == frozenset({6})
    assert read_rule(days_of_week=[7, 1, 5]).told()["days_of_week"] == [0, 1, 5]
    assert read_rule(days_of_week=[]).days == read_rule(days_of_week=list(range(8))).days == EVERY_DAY


def test_conditions_are_told_in_one_form_with_what_they_say_worked_out() -> None:
    rule = read_rule(
        conditions=[
            {"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"},
            {"type": "day_type", "operator": "eq", "value": "weekday"},
            {"type": "time_range", "operator": "between", "value": "9:00 - 17:00"},
            {"type": "weather", "operator": "between", "value": "50 to -4.0", "unit": "°F"},
            {"type": "weather", "operator": "neq", "value": "Sunny", "unit": "celsius"},
        ]
    )

    assert rule.told()["conditions"] == [
        {"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"},
        {"type": "day_type", "operator": "eq", "value": "weekday"},
        {"type": "time_range", "operator": "between", "value": "09:00-17:00"},
        {"type": "weather", "operator": "between", "value": "-4-50", "unit": "fahrenheit"},
        {"type": "weather", "operator": "neq", "value": "clear"},
    ]
    assert [condition.numbers for condition in rule.conditions] == [(30.0,), (), (540, 1020), (-20.0, 10.0), ()]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"days_of_week": [1, 8]}, "days_of_week"),
        ({"days_of_week": [-1]}, "days_of_week"),
        ({"start_time": "25:00"}, "start_time"),
        ({"end_time": "12:60"}, "end_time"),
        ({"end_time": "noon"}, "end_time"),
        ({"start_date": "2026-02-30"}, "start_date"),
        ({"start_date": "2026-W14-1"}, "start_date"),
        ({"end_date": "20260401"}, "end_date"),
        ({"start_date": "2026-04-02", "end_date": "2026-04-01"}, "end_date"),
        ({"conditions": [{}] * 21}, "conditions"),
        ({"conditions": [{"type": "moon", "operator": "eq", "value": "full"}]}, "conditions.0.type"),
        ({"conditions": [{"type": "day_type", "operator": "is", "value": "weekday"}]}, "conditions.0.operator"),
        ({"conditions": [{"type": "day_type", "operator": "gt", "value": "weekday"}]}, "conditions.0.operator"),
        ({"conditions": [{"type": "day_type", "operator": "eq", "value": "monday"}]}, "conditions.0.value"),
        ({"conditions": [{"type": "time_range", "operator": "gt", "value": "09:00-10:00"}]}, "conditions.0.operator"),
        ({"conditions": [{"type": "time_range", "operator": "between", "value": "09:00"}]}, "conditions.0.value"),
        ({"conditions": [{"type": "weather", "operator": "gt", "value": "hot"}]}, "conditions.0.value"),
        ({"conditions": [{"type": "weather", "operator": "gt", "value": "rain"}]}, "conditions.0.operator"),
        ({"conditions": [{"type": "weather", "operator": "gt", "value": "999"}]}, "conditions.0.value"),
        ({"conditions": [{"type": "weather", "operator": "between", "value": "30"}]}, "conditions.0.value"),
        ({"conditions": [{"type": "weather", "operator": "gt", "value": "3", "unit": "kelvin"}]}, "conditions.0.unit"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field_named(fields: dict[str, Any], wrong: str) -> None:
    assert refused(**fields) == [wrong]
