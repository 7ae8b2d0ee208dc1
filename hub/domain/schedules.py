"""When a schedule holds: its days, times, dates and conditions, read strictly and brought into one form each.

All of it is in the player's own time zone. A window begins on a day at its start time and lasts until its end time:

    09:00 to 17:00   from nine to five
    22:00 to 02:00   until two in the night; days and dates are those of the evening
    06:00 to 06:00   24 hours
    09:00 to -       from nine to midnight; without a start from midnight
    09:00 to 24:00   the same, as 00:00, 24:00:00 and 23:59:59; told as 00:00
    -     to -       the whole day

Days of the week are told as 0 (Sunday), 1 (Monday) to 6 (Saturday), and 7 is read as Sunday too; kept and reckoned they
are 0 (Monday) to 6, as Python has it. Dates are inclusive. All conditions must hold at once.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, Protocol, get_args

import orjson

from hub.domain.errors import Invalid

ConditionType = Literal["weather", "day_type", "time_range"]
Operator = Literal["eq", "neq", "gt", "gte", "lt", "lte", "between"]
Unit = Literal["celsius", "fahrenheit"]

OPERATORS: Final = get_args(Operator)
MAX_CONDITIONS: Final = 20
DAY_MINUTES: Final = 24 * 60
EVERY_DAY: Final = frozenset(range(7))
DAY_TYPES: Final = ("weekday", "weekend", "holiday")
"""A holiday is neither of the other two, whatever day of the week it falls on."""
WEATHER: Final = ("clear", "cloudy", "fog", "rain", "snow", "storm")

A_TIME: Final = "must be a time of day as HH:MM, from 00:00 to 23:59, or 24:00 for midnight"

_SYNONYMS: Final = {
    "sunny": "clear", "clouds": "cloudy", "overcast": "cloudy", "mist": "fog", "foggy": "fog", "drizzle": "rain",
    "rainy": "rain", "snowy": "snow", "thunderstorm": "storm", "stormy": "storm",
}  # fmt: skip
_UNITS: Final[dict[str, Unit]] = {"celsius": "celsius", "c": "celsius", "fahrenheit": "fahrenheit", "f": "fahrenheit"}
_HOTTEST: Final = 200.0  # degrees of either unit, below zero too: beyond any weather

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::00)?")
_MIDNIGHT: Final = frozenset({"24:00", "24:00:00"})
_LAST_SECOND: Final = "23:59:59"  # as an end: how programs without a 24:00 write it
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = r"[+-]?[0-9]{1,4}(?:\.[0-9]{1,4})?"
_NUMBERS = re.compile(rf"\s*({_NUMBER})\s*(?:-|\.\.|,|to)\s*({_NUMBER})\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `value` and `unit` are as they are told.

    `numbers` are what `value` says: minutes of the day (start, end) for a time range, which wraps over midnight when
    the end is not after the start; degrees Celsius for weather, one or, for `between`, two with the lower first; none
    for a day type and for weather in a word, which know `eq` and `neq` only.
    """

    type: ConditionType
    operator: Operator
    value: str
    unit: Unit | None = None
    numbers: tuple[float, ...] = ()

    def told(self) -> dict[str, Any]:
        """As the API shows it and the database keeps it."""
        told: dict[str, Any] = {"type": self.type, "operator": self.operator, "value": self.value}
        return told if self.unit is None else told | {"unit": self.unit}


@dataclass(frozen=True, slots=True)
class Rule:
    """When a schedule holds. `days` are 0 (Monday) to 6 and never empty; minutes are of the day, 0 to 1439."""

    days: frozenset[int] = EVERY_DAY
    start_minute: int | None = None
    end_minute: int | None = None
    start_date: date | None = None
    end_date: date | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def window(self) -> tuple[int, int]:
        """(first minute, minute after the last) counted from midnight of the day on which a window begins. The second
        is greater than the first by at most a day, so it may be of the day after."""
        start = self.start_minute or 0
        end = DAY_MINUTES if self.end_minute is None else self.end_minute
        return start, end if end > start else end + DAY_MINUTES

    def begins_on(self, day: date) -> bool:
        """Whether a window begins on this day, conditions aside."""
        return (
            day.weekday() in self.days
            and (self.start_date is None or self.start_date <= day)
            and (self.end_date is None or day <= self.end_date)
        )

    def told(self) -> dict[str, Any]:
        """As the API shows it: days 0 (Sunday) to 6 in ascending order and none for every day, times HH:MM."""
        return {
            "days_of_week": [] if self.days == EVERY_DAY else sorted((day + 1) % 7 for day in self.days),
            "start_time": None if self.start_minute is None else clock(self.start_minute),
            "end_time": None if self.end_minute is None else clock(self.end_minute),
            "start_date": self.start_date.isoformat() if self.start_date else None,
            "end_date": self.end_date.isoformat() if self.end_date else None,
            "conditions": [condition.told() for condition in self.conditions],
        }

    def columns(self) -> dict[str, Any]:
        """As the database keeps it."""
        told = self.told()
        days = [] if self.days == EVERY_DAY else sorted(self.days)
        return {
            "days": orjson.dumps(days).decode(),
            "start_time": told["start_time"],
            "end_time": told["end_time"],
            "start_date": told["start_date"],
            "end_date": told["end_date"],
            "conditions": orjson.dumps(told["conditions"]).decode(),
        }


class Kept(Protocol):
    """A schedule as the database keeps it."""

    days: str
    start_time: str | None
    end_time: str | None
    start_date: str | None
    end_date: str | None
    conditions: str


def parse_rule(kept: Kept) -> Rule:
    """The rule of a stored schedule."""
    days = [(day + 1) % 7 for day in orjson.loads(kept.days)]
    return read_rule(
        days_of_week=days,
        start_time=kept.start_time,
        end_time=kept.end_time,
        start_date=kept.start_date,
        end_date=kept.end_date,
        conditions=orjson.loads(kept.conditions),
    )


def read_rule(
    *,
    days_of_week: Sequence[int] | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    conditions: Sequence[Mapping[str, Any]] | None = None,
) -> Rule:
    """The rule that a client wrote. Empty texts and lists are the same as none. Raises Invalid with the fields named
    as here (`conditions.0.value`)."""
    days_of_week, conditions = days_of_week or (), conditions or ()
    if any(day not in range(8) for day in days_of_week):
        raise Invalid.field("days_of_week", "must have days from 1 (Monday) to 6 (Saturday), and 0 or 7 for Sunday")
    if len(conditions) > MAX_CONDITIONS:
        raise Invalid.field("conditions", f"must have at most {MAX_CONDITIONS} entries")
    first, last = _date("start_date", start_date), _date("end_date", end_date)
    if first and last and last < first:
        raise Invalid.field("end_date", "must not be before start_date")
    return Rule(
        days=frozenset((day - 1) % 7 for day in days_of_week) or EVERY_DAY,
        start_minute=_minute("start_time", start_time, _minute_of),
        end_minute=_minute("end_time", end_time, _end_minute_of),
        start_date=first,
        end_date=last,
        conditions=tuple(_condition(f"conditions.{index}.", entry) for index, entry in enumerate(conditions)),
    )


def clock(minute: int) -> str:
    """`09:05` for minute 545 of a day."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _minute(field: str, text: str | None, read: Callable[[str], int | None]) -> int | None:
    if not text:
        return None
    if (minute := read(text.strip())) is None:
        raise Invalid.field(field, A_TIME)
    return minute


def _minute_of(text: str) -> int | None:
    found = _CLOCK.fullmatch("0:00" if text in _MIDNIGHT else text)
    return int(found[1]) * 60 + int(found[2]) if found else None


def _end_minute_of(text: str) -> int | None:
    """The minute at which a window ends; 0 is midnight."""
    return 0 if text == _LAST_SECOND else _minute_of(text)


def _date(field: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        if _DATE.fullmatch(text):  # Python would read weeks and undashed dates as well
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Invalid.field(field, "must be a date as YYYY-MM-DD")


def _condition(where: str, entry: Mapping[str, Any]) -> Condition:
    """One condition of the list, `where` being what comes before the names of its fields."""
    kind: Any = entry.get("type")
    operator: Any = entry.get("operator")
    if kind not in ("weather", "day_type", "time_range"):
        raise Invalid.field(where + "type", "must be weather, day_type or time_range")
    if operator not in OPERATORS:
        raise Invalid.field(where + "operator", f"must be one of {', '.join(OPERATORS)}")
    value = " ".join(str(entry.get("value", "")).lower().split())
    if kind == "time_range":
        return _time_range(where, operator, value)
    if kind == "day_type":
        if value not in DAY_TYPES:
            raise Invalid.field(where + "value", f"must be one of {', '.join(DAY_TYPES)}")
        _only(where, operator, ("eq", "neq"))
        return Condition(kind, operator, value)
    value = _SYNONYMS.get(value, value)
    if value in WEATHER:
        _only(where, operator, ("eq", "neq"))
        return Condition(kind, operator, value)
    return _degrees(where, operator, value, entry.get("unit"))


def _only(where: str, operator: str, allowed: Sequence[str]) -> None:
    if operator not in allowed:
        raise Invalid.field(where + "operator", f"must be one of {', '.join(allowed)} with this value")


def _time_range(where: str, operator: Operator, value: str) -> Condition:
    """`eq` says the same as `between`, `neq` the opposite."""
    _only(where, operator, ("between", "eq", "neq"))
    start, _, end = value.partition("-")
    minutes = _minute_of(start.strip()), _end_minute_of(end.strip())
    if minutes[0] is None or minutes[1] is None:
        raise Invalid.field(where + "value", "must be a time range as HH:MM-HH:MM, such as 09:00-17:00")
    text = f"{clock(minutes[0])}-{clock(minutes[1])}"
    return Condition("time_range", operator, text, None, (minutes[0], minutes[1]))


def _degrees(where: str, operator: Operator, value: str, unit: Any) -> Condition:
    known = _UNITS.get(str(unit or "celsius").strip().lower().removeprefix("°"))
    if known is None:
        raise Invalid.field(where + "unit", "must be celsius or fahrenheit")
    if operator == "between":
        pair = _NUMBERS.fullmatch(value)
        texts = [pair[1], pair[2]] if pair else []
    else:
        texts = [value] if re.fullmatch(_NUMBER, value) else []
    degrees = sorted(float(text) for text in texts)
    if not degrees or any(abs(degree) > _HOTTEST for degree in degrees):
        raise Invalid.field(
            where + "value",
            f"must be a temperature such as 30, with between two such as 10-20, or one of {', '.join(WEATHER)}",
        )
    told = "-".join(_plain(degree) for degree in degrees)
    return Condition("weather", operator, told, known, tuple(_celsius(degree, known) for degree in degrees))


def _plain(number: float) -> str:
    """`30` for 30.0, `-2.5`, and never `-0`."""
    return f"{number + 0.0:.4f}".rstrip("0").rstrip(".") if number else "0"


def _celsius(degrees: float, unit: Unit) -> float:
    return degrees if unit == "celsius" else (degrees - 32) * 5 / 9
