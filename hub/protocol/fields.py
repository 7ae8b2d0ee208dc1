"""The limits a message field can carry, written into its type with `Annotated`.

One declaration serves two readers: `codec` turns it into a check of incoming values, `schema` into JSON Schema. A limit
is generous for every honest device and small enough that a thousand hostile messages still fit in memory.
"""

from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `min` to `max` characters without NUL (PostgreSQL cannot store one). `pattern` is an anchored
    ECMA 262 expression that must also hold; `time` asks for a moment that exists (no 30 February)."""

    max: int
    min: int = 0
    pattern: str | None = None
    time: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer between `min` and `max`, both included. 5.0 is read as 5, as JSON Schema has it; true is no number."""

    min: int
    max: int


@dataclass(frozen=True, slots=True)
class Number:
    """Any finite number between `min` and `max`, both included."""

    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Many:
    """A list, or an object used as a map, of at most `max` entries."""

    max: int


@dataclass(frozen=True, slots=True)
class Bytes:
    """A free JSON object of at most `max` bytes, written without spaces in UTF-8."""

    max: int


MAX_SAFE_NUMBER = 2**53 - 1
"""Beyond this magnitude, languages whose only number is a double read something else than was written (RFC 7493)."""

MAX_OBJECT_DEPTH = 16
"""Levels of nesting inside a free JSON object (`payload`, `detail`, `data`, `desired`, `reported`, `settings`)."""

MAX_PROSE = 2000
"""Characters of a message for people."""

ID_PATTERN = r"^[!-~]{1,64}$"
TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"

Id = Annotated[str, Text(64, min=1, pattern=ID_PATTERN)]
"""Made by whoever starts the exchange: 1 to 64 printable ASCII characters without spaces, opaque to the other end."""

Time = Annotated[str, Text(30, pattern=TIME_PATTERN, time=True)]
"""RFC 3339 in UTC with `Z`, at most nanoseconds; see `times` for the way to and from milliseconds."""

Sha256 = Annotated[str, Text(64, pattern=SHA256_PATTERN)]
Name = Annotated[str, Text(100, min=1)]
Label = Annotated[str, Text(255)]
Prose = Annotated[str, Text(MAX_PROSE)]
Code = Annotated[str, Text(64, min=1)]
Url = Annotated[str, Text(2048, min=1)]

RowId = Annotated[int, Whole(1, MAX_SAFE_NUMBER)]
"""The number of a thing that the hub stores (asset, playlist...): the integer that REST shows for it."""

Count = Annotated[int, Whole(0, MAX_SAFE_NUMBER)]
UInt32 = Annotated[int, Whole(0, 2**32 - 1)]
Percent = Annotated[int, Whole(0, 100)]
Seconds = Annotated[int, Whole(0, 366 * 86_400)]

JsonObject = dict[str, Any]
"""Free JSON: numbers within MAX_SAFE_NUMBER, at most MAX_OBJECT_DEPTH deep, bounded in size by `Bytes` or the frame."""

Noticed = Annotated[JsonObject, Bytes(4_096)]
"""What belongs to an event of a device: some readings, a name and a reason. It is stored for as long as events are."""
