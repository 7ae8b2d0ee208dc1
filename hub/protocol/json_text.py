"""JSON text, read and written alike with orjson (fast, the hub) and without it (the agent on a small device).

Stricter than the standard library's default: no NaN, no Infinity, no number too large for a double, no lone surrogate.
Integers outside 64 bits become floats. `loads` raises ValueError, or RecursionError for absurd nesting; `dumps` raises
ValueError or TypeError for what JSON cannot carry.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

_PAIRED_SURROGATES = re.compile(
    r"(?:[^\\]|\\[^u]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)*", re.DOTALL
)


def _integer(digits: str) -> int | float:
    if len(digits) <= 20 and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    return _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("number out of range")
    return number


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_decoder = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)


def plain_loads(text: str | bytes) -> Any:
    """The standard library's reader."""
    if isinstance(text, bytes):
        text = text.decode()
    elif not text.isascii():
        text.encode()  # a lone surrogate in the text itself
    if ("\\ud" in text or "\\uD" in text) and not _PAIRED_SURROGATES.fullmatch(text):
        raise ValueError("lone surrogate")
    return _decoder.decode(text)


def plain_dumps(value: Any) -> str:
    """The standard library's writer."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()
    return text


loads: Callable[[str | bytes], Any] = plain_loads
dumps: Callable[[Any], str] = plain_dumps

try:
    import orjson
except ImportError:
    pass
else:

    def fast_loads(text: str | bytes) -> Any:
        """orjson's reader."""
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as refusal:
            if "depth limit" in refusal.msg or "recursion limit" in refusal.msg:
                raise RecursionError(refusal.msg) from None
            raise

    def fast_dumps(value: Any) -> str:
        """orjson's writer."""
        return orjson.dumps(value).decode()

    loads, dumps = fast_loads, fast_dumps
