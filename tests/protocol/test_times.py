from hypothesis import given
from hypothesis import strategies as st

from hub.protocol.times import read_time, write_time


def test_a_wire_time_is_unix_milliseconds() -> None:
    assert read_time("1970-01-01T00:00:01Z") == 1_000
    assert read_time("2026-03-29T14:30:00.123999999Z") == 1_774_794_600_123
    assert write_time(1_774_794_600_123) == "2026-03-29T14:30:00.123Z"


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_milliseconds_survive_the_wire(at: int) -> None:
    assert read_time(write_time(at)) == at
