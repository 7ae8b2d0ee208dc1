"""Buckets of tokens, with the numbers of the four documents."""

import pytest

from hub.domain import ratelimit
from hub.domain.ratelimit import Buckets, Rule

NOW = 1_774_795_800_000
FREE = Rule.per_minute(60)
READ = Rule.per_minute(200, 400)
HANGAR = Rule(100, 20, 5_000_000)


def let_in(buckets: Buckets, rule: Rule, now: int, caller: str = "acme") -> int:
    """How many requests pass at this moment."""
    passed = 0
    while not buckets.take(caller, rule, now).retry_after:
        passed += 1
    return passed


@pytest.mark.parametrize(
    ("rule", "at_once", "later"),
    [
        (FREE, 60, {1_000: 1, 2_500: 1, 3_000: 1, 63_000: 60, 1_000_000: 60}),
        (READ, 400, {299: 0, 300: 1, 60_300: 200, 120_300: 200, 300_000: 400}),
        (Rule.per_minute(100_000), 100_000, {3: 5, 60_003: 100_000}),
        (HANGAR, 100, {4_999: 0, 5_000: 20, 9_999: 0, 10_000: 20, 35_000: 100, 900_000: 100}),
    ],
)
def test_a_burst_passes_and_then_the_rate(rule, at_once, later):
    buckets = Buckets(rule.fills_in_us)
    assert let_in(buckets, rule, NOW) == at_once
    assert {after: let_in(buckets, rule, NOW + after) for after in later} == later


def test_a_caller_is_told_where_it_stands():
    buckets = Buckets(FREE.fills_in_us)
    seconds = NOW // 1_000
    assert buckets.take("acme", FREE, NOW) == (60, 59, seconds + 1, 0)
    assert buckets.take("acme", FREE, NOW, cost=0) == (60, 59, seconds + 1, 0)
    let_in(buckets, FREE, NOW)
    assert buckets.take("acme", FREE, NOW) == (60, 0, seconds + 60, 1)
    assert buckets.take("acme", FREE, NOW + 999).retry_after == 1
    assert buckets.take("acme", FREE, NOW + 1_000) == (60, 0, seconds + 61, 0)
    let_in(buckets, HANGAR, NOW, "hangar")
    assert buckets.take("hangar", HANGAR, NOW + 100) == (100, 0, seconds + 25, 5)
    assert buckets.take("hangar", HANGAR, NOW + 4_500).retry_after == 1


def test_callers_do_not_share_and_a_clock_that_goes_back_locks_nobody_out():
    buckets = Buckets(FREE.fills_in_us)
    assert let_in(buckets, FREE, NOW) == let_in(buckets, FREE, NOW, "other") == 60
    assert buckets.take("acme", FREE, NOW - 3_600_000).retry_after == 1
    assert let_in(buckets, FREE, NOW - 3_599_000) == 1


def test_memory_is_bounded_and_who_still_owes_is_remembered(monkeypatch):
    monkeypatch.setattr(ratelimit, "GENERATION", 100)
    buckets = Buckets(FREE.fills_in_us)
    let_in(buckets, FREE, NOW)
    for number in range(10_000):
        buckets.take(number, FREE, NOW)
        assert buckets.take("acme", FREE, NOW).retry_after
    assert len(buckets) <= 200
    buckets.take("a minute later", FREE, NOW + 61_000)
    buckets.take("and another", FREE, NOW + 122_000)
    assert len(buckets) == 2
