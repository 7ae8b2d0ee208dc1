"""What is told to nobody, in whatever words it comes back."""

import pytest

from hub.domain.masking import masked, masked_text, secrets_in


def test_secrets_are_found_at_any_depth() -> None:
    assert secrets_in({"pin": "1234", "locks": [{"pin": 5678}, "pin"], "volume": 7}) == {"1234", "5678"}
    assert secrets_in({"pin": None, "locked": True}) == frozenset()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wrong PIN 1234.", "wrong PIN ****."),
        ("1234", "****"),
        ("pin=1234;1234", "pin=****;****"),
        ("2026-01-01T00:12:34.123456Z", "2026-01-01T00:12:34.123456Z"),
        ("bytes: 91234", "bytes: 91234"),
        ("", ""),
    ],
)
def test_a_secret_is_not_told_in_a_text_and_other_numbers_are(text: str, shown: str) -> None:
    assert masked_text(text, {"1234"}) == shown
    assert masked_text(text, ()) == text


def test_a_secret_is_not_told_in_data_whatever_it_is_called_there() -> None:
    echoed = {"locked": True, "pin": "1234", "code": 1234, "seen": ["1234", 12345, {"1234": None}], "old": {"pin": 1}}
    assert masked(echoed, {"1234"}) == {
        "locked": True,
        "pin": "****",
        "code": "****",
        "seen": ["****", 12345, {"****": None}],
        "old": {"pin": "****"},
    }
    assert masked({"pin": None}) == {"pin": None}
