"""The agent may lack orjson: both readers and writers agree, on everything that fits a frame."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.protocol.json_text import fast_dumps, fast_loads, plain_dumps, plain_loads

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip

texts = st.text() | st.text(alphabet='{}[]":,\\ud8dc0123456789eE+-.truefalsn \n\t') | values.map(plain_dumps)


def read(loads, text):
    try:
        return ("value", loads(text))
    except (ValueError, RecursionError):
        return ("refused", None)


@given(texts)
@example('"\\ud83d\\ude00"')
@example('"\\ud800"')
@example('"\\udc00\\ud800"')
@example('"\\\\ud800"')
@example('"\ud800"')
@example("NaN")
@example("[1e400]")
@example("-0")
@example("123456789012345678901234567890")
@example("18446744073709551616")
@example("\ufeff{}")
@example('{"a":1,"a":2}')
@example('"\x7f\x1f"')
def test_both_readers_agree(text: str) -> None:
    assert repr(read(plain_loads, text)) == repr(read(fast_loads, text))


@given(st.binary())
def test_both_readers_agree_on_bytes(data: bytes) -> None:
    assert repr(read(plain_loads, data)) == repr(read(fast_loads, data))


@given(values)
def test_what_one_writes_the_other_reads(value) -> None:
    assert fast_loads(plain_dumps(value)) == value
    assert plain_loads(fast_dumps(value)) == value


@pytest.mark.parametrize("loads", [plain_loads, fast_loads])
def test_absurd_nesting_is_a_recursion_error_and_no_crash(loads) -> None:
    with pytest.raises(RecursionError):
        loads("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("dumps", [plain_dumps, fast_dumps])
@pytest.mark.parametrize("value", ["\ud800", {"a": object()}])
def test_both_writers_refuse_what_json_cannot_carry(dumps, value) -> None:
    with pytest.raises((ValueError, TypeError)):
        dumps(value)


def test_the_plain_writer_refuses_numbers_that_are_none() -> None:
    with pytest.raises(ValueError):
        plain_dumps(math.nan)
