import pytest

from hub.domain import ids
from hub.domain.pairing import REFUSALS, read_code, refusal


@pytest.mark.parametrize("typed", ["bcd234", "BCD-234", " b c d\t234\n", "BCD‑234", "bcd—234", "BCD.2_34"])
def test_a_code_reads_the_same_however_it_is_typed(typed: str) -> None:
    assert read_code(typed) == "BCD234"


def test_a_code_that_we_give_out_reads_as_itself() -> None:
    for _ in range(200):
        assert read_code(code := ids.user_code()) == code


@pytest.mark.parametrize(
    ("state", "age_s", "since_poll_s", "word"),
    [
        ("pending", 1, None, "authorization_pending"),
        ("pending", 100, 5, "authorization_pending"),
        ("pending", 100, 4.2, "authorization_pending"),
        ("pending", 100, 3.9, "slow_down"),
        ("pending", 100, -60, "slow_down"),
        ("pending", 100, -7_200, "authorization_pending"),
        ("pending", 900, 5, "expired_token"),
        ("approved", 900, 5, "expired_token"),
        ("denied", 100, 0, "access_denied"),
        ("denied", 1000, 0, "access_denied"),
        ("redeemed", 100, 0, "invalid_grant"),
    ],
)
def test_why_a_device_gets_no_token(state: str, age_s: float, since_poll_s: float | None, word: str) -> None:
    now = 1_000_000_000
    polled_at = None if since_poll_s is None else now - int(since_poll_s * 1000)
    expires_at = now - int(age_s * 1000) + 900_000
    assert refusal(state, expires_at=expires_at, interval_s=5, polled_at=polled_at, now=now) == word
    assert REFUSALS[word]
