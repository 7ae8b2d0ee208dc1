"""Conditions on the weather."""

import pytest

from hub.domain.schedules import read_rule
from hub.domain.weather import Sky, holds, name_of, weather_of, word_of


@pytest.mark.parametrize(
    ("operator", "value", "unit", "true_at", "false_at"),
    [
        ("gt", "30", "celsius", 30.1, 30.0),
        ("gte", "30", None, 30.0, 29.9),
        ("lt", "0", "celsius", -0.1, 0.0),
        ("lte", "0", "celsius", 0.0, 0.1),
        ("eq", "20", "celsius", 20.0, 20.1),
        ("neq", "20", "celsius", 20.1, 20.0),
        ("between", "10-20", "celsius", 20.0, 20.1),
        ("gt", "86", "fahrenheit", 30.1, 29.9),
    ],
)
def test_degrees(operator: str, value: str, unit: str | None, true_at: float, false_at: float) -> None:
    rule = read_rule(conditions=[{"type": "weather", "operator": operator, "value": value, "unit": unit}])
    (condition,) = weather_of(rule)
    assert holds(condition, Sky(true_at, None, 0))
    assert not holds(condition, Sky(false_at, None, 0))
    assert not holds(condition, Sky(None, "clear", 0))
    assert not holds(condition, None)


def test_words_and_the_codes_of_weather_services() -> None:
    rule = read_rule(conditions=[
        {"type": "weather", "operator": "eq", "value": "rain"}, {"type": "weather", "operator": "neq", "value": "snow"},
        {"type": "day_type", "operator": "eq", "value": "weekday"},
    ])  # fmt: skip
    rain, no_snow = weather_of(rule)
    assert (name_of(rain), name_of(no_snow)) == ("weather eq rain", "weather neq snow")
    found = [word_of(code) for code in (0, 3, 45, 61, 75, 95, 42)]
    assert found == ["clear", "cloudy", "fog", "rain", "snow", "storm", None]
    assert [holds(rain, Sky(None, word, 0)) for word in ("rain", "snow", None)] == [True, False, False]
    assert [holds(no_snow, Sky(None, word, 0)) for word in ("rain", "snow", None)] == [True, False, False]
