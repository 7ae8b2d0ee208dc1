"""Delays between attempts."""

import math
import random
from dataclasses import replace

import pytest

from device_agent.connection.reconnect import HEALTHY_S, MAX_GIVEN_S, Reconnect, backoff_cap_s
from hub.protocol.closecodes import LOST, REACTIONS, CloseCode


class Highest(random.Random):
    def uniform(self, a, b):
        return b


def test_backoff_doubles_from_a_second_to_a_minute():
    assert [backoff_cap_s(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff_cap_s(10_000) == 60


def test_jitter_is_full():
    delays = [Reconnect(random.Random(seed)).delay_s(LOST) for seed in range(200)]
    assert min(delays) < 0.05
    assert max(delays) > 0.95
    assert all(0 <= delay <= 1 for delay in delays)


def test_a_minute_of_health_starts_the_backoff_from_the_beginning():
    reconnect = Reconnect(Highest())
    assert [reconnect.delay_s(LOST) for _ in range(4)] == [1, 2, 4, 8]
    assert reconnect.delay_s(LOST, welcomed_at=0, now=HEALTHY_S - 1) == 16
    assert reconnect.delay_s(LOST, welcomed_at=0, now=HEALTHY_S) == 1


def test_a_delay_given_by_the_hub_wins_over_everything():
    reconnect = Reconnect(Highest())
    assert reconnect.delay_s(REACTIONS[CloseCode.DRAIN], given_s=7.25) == 7.25
    assert Reconnect(Highest()).delay_s(REACTIONS[CloseCode.REPLACED], given_s=0) == 0
    assert reconnect.delay_s(LOST, given_s=1e9) == MAX_GIVEN_S


@pytest.mark.parametrize("asked_s", [99_999_999, 1e300, math.inf])
def test_no_delay_that_the_hub_asks_for_is_longer_than_an_hour(asked_s):
    chance = random.Random(1)
    assert Reconnect(chance).delay_s(replace(LOST, delay_s=asked_s)) <= MAX_GIVEN_S * 1.1
    assert Reconnect(chance).delay_s(LOST, given_s=asked_s) <= MAX_GIVEN_S


def test_a_hub_that_asks_for_no_delay_is_not_tried_without_a_pause():
    for asked in (
        {"reaction": replace(LOST, delay_s=0)},
        {"reaction": LOST, "given_s": 0},
        {"reaction": LOST, "given_s": -5},
    ):
        reconnect = Reconnect(random.Random(1))
        assert reconnect.delay_s(**asked) == 0
        assert reconnect.delay_s(**asked) >= 1


@pytest.mark.parametrize(
    ("code", "seconds"), [(CloseCode.REVOKED, 600), (CloseCode.QUARANTINED, 300), (CloseCode.REPLACED, 60)]
)
def test_a_close_code_with_a_delay_of_its_own_is_followed_and_spread_a_little(code, seconds):
    delays = [Reconnect(random.Random(seed)).delay_s(REACTIONS[code]) for seed in range(50)]
    assert all(seconds <= delay <= seconds * 1.1 for delay in delays)
    assert len(set(delays)) > 1
