"""The weather as conditions ask for it. What is not known makes every condition on it false, also one with `neq`."""

from dataclasses import dataclass
from typing import Final

from hub.domain.schedules import Condition, Rule

_NEAR: Final = 0.05  # degrees: readings come in tenths, so this is equal
_WORDS: Final = (
    (range(2), "clear"),
    (range(2, 4), "cloudy"),
    (range(45, 49), "fog"),
    ((*range(51, 68), *range(80, 83)), "rain"),
    ((*range(71, 78), *range(85, 87)), "snow"),
    (range(95, 100), "storm"),
)


@dataclass(frozen=True, slots=True)
class Sky:
    """The weather of one place. `word` is one of `schedules.WEATHER`; `at` is when it was read, Unix ms."""

    celsius: float | None
    word: str | None
    at: int


def word_of(code: int) -> str | None:
    """The word for a code of WMO table 4677, as weather services give it."""
    return next((word for codes, word in _WORDS if code in codes), None)


def weather_of(rule: Rule) -> tuple[Condition, ...]:
    """The conditions that only the weather can settle."""
    return tuple(condition for condition in rule.conditions if condition.type == "weather")


def name_of(condition: Condition) -> str:
    """What a manifest calls the condition: `weather gt 30 celsius`, `weather eq rain`."""
    words = ("weather", condition.operator, condition.value, condition.unit if condition.numbers else None)
    return " ".join(word for word in words if word)


def holds(condition: Condition, sky: Sky | None) -> bool:
    if sky is None:
        return False
    if not condition.numbers:
        return sky.word is not None and (sky.word == condition.value) == (condition.operator == "eq")
    if sky.celsius is None:
        return False
    degrees, first, last = sky.celsius, condition.numbers[0], condition.numbers[-1]
    match condition.operator:
        case "eq":
            return abs(degrees - first) < _NEAR
        case "neq":
            return abs(degrees - first) >= _NEAR
        case "gt":
            return degrees > first
        case "gte":
            return degrees >= first
        case "lt":
            return degrees < first
        case "lte":
            return degrees <= first
        case "between":
            return first <= degrees <= last
