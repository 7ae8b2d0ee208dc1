"""Times on the wire."""

import pytest

from hub.domain.times import parse, rfc3339, rfc3339_ms


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "0999-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "2026-03-29T14:30:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_a_time_is_told_in_full_whatever_its_year(text: str) -> None:
    at = parse(text)
    assert rfc3339(at) == rfc3339(at + 999) == text
    assert rfc3339_ms(at + 7) == f"{text[:-1]}.007Z"
