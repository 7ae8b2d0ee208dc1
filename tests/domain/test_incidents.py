"""What facts lead to, without a database: limits with room around them, and words for people."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.alert_rules import THRESHOLDS
from hub.domain.incidents import Begin, Ongoing, Rule, Turn, Watched, failures, judge, words
from hub.domain.times import MINUTE

NOW = 1_774_249_200_000
MEASURED: dict[str, dict[str, Any]] = {
    "player_offline": {"offline_since": "2026-03-23T07:00:00Z", "offline_minutes": 30},
    "storage_low": {"storage_free_mb": 12, "free_percent": 0.5},
    "temperature_high": {"temperature_c": 91.5},
    "clock_skewed": {"clock_skew_seconds": -61.0},
    "picture_black": {},
    "picture_frozen": {},
    "command_failures": {"commands": 40, "failed": 22, "failed_percent": 55.0},
}


def rule(kind: Any = "temperature_high", for_ms: int = 0, **thresholds: float) -> Rule:
    return Rule(1, 1, kind, thresholds, for_ms, watches_since=0, everyone=True)


def lobby(**facts: Any) -> Watched:
    values = {"online": True, "since": 0, "epoch": 1, "read_at": NOW} | facts
    return Watched(1, 1, "Lobby", "scr_1", **values)


def ongoing(status: str = "open", began_at: int = NOW - MINUTE, due_at: int | None = None) -> Ongoing:
    return Ongoing(7, 1, 1, "temperature_high", "Lobby", status, began_at, due_at)


@pytest.mark.parametrize("kind", THRESHOLDS)
def test_people_are_told_what_is_wrong_and_with_whom(kind: Any) -> None:
    title, message = words(kind, "Lobby", MEASURED[kind])
    assert ("Lobby" in title) is (kind != "command_failures")
    for value in MEASURED[kind].values():
        assert f"{abs(value):g}" in message if isinstance(value, float | int) else value in message
    if kind in ("storage_low", "temperature_high", "clock_skewed"):  # a device may say no number
        assert all(words(kind, "Lobby", {}))


@given(st.lists(st.floats(76.9, 83, allow_nan=False), min_size=1, max_size=30))
def test_a_value_near_its_limit_opens_at_most_one_incident(degrees: list[float]) -> None:
    """Between the limit and three degrees below it nothing happens, in either direction."""
    standing: list[Ongoing] = []
    for value in degrees:
        steps = list(judge([rule(celsius=80)], lobby(readings={"temperature_c": value}), standing, NOW))
        if value > 80 and not standing:
            assert [type(step) for step in steps] == [Begin]
            standing = [ongoing()]
        elif value <= 77 and standing:
            assert [step.to for step in steps if isinstance(step, Turn)] == ["over"]
            standing = []
        else:
            assert steps == []


def test_nothing_follows_from_the_same_facts_twice() -> None:
    hot = lobby(readings={"temperature_c": 90})
    late = rule(for_ms=10 * MINUTE, celsius=80)
    [begin] = judge([late], hot, [], NOW)
    assert isinstance(begin, Begin)
    assert begin.due_at == NOW + 10 * MINUTE
    pending = ongoing("pending", NOW, begin.due_at)
    assert list(judge([late], hot, [pending], NOW)) == []
    [turn] = judge([late], hot, [pending], NOW + 10 * MINUTE)
    assert isinstance(turn, Turn)
    assert (turn.to, turn.measured) == ("open", {"temperature_c": 90})
    [shorter] = judge([rule(for_ms=20 * MINUTE, celsius=80)], hot, [pending], NOW)
    assert isinstance(shorter, Turn)
    assert (shorter.to, shorter.due_at) == ("wait", NOW + 20 * MINUTE)


def test_a_rule_about_others_withdraws_what_it_found() -> None:
    about_another = Rule(1, 1, "temperature_high", {"celsius": 80}, 0, 0, everyone=False, players=frozenset({2}))
    for rules in ([about_another], []):
        [turn] = judge(rules, lobby(readings={"temperature_c": 90}), [ongoing()], NOW)
        assert isinstance(turn, Turn)
        assert turn.to == "withdrawn"


@pytest.mark.parametrize(
    ("finished", "failed", "opens", "closes"),
    [(0, 0, False, True), (9, 9, False, False), (10, 5, True, False), (10, 4, False, False), (100, 39, False, True),
     (4, 4, False, True)],
)  # fmt: skip
def test_failures_count_only_among_enough_commands(finished: int, failed: int, opens: bool, closes: bool) -> None:
    watching = rule("command_failures", window_minutes=60, min_commands=10, failed_percent=50)
    assert bool(list(failures(watching, None, finished, failed, NOW))) is opens
    assert bool(list(failures(watching, ongoing(), finished, failed, NOW))) is closes


@pytest.mark.parametrize(
    ("reason", "minutes"), [("bye", 5), ("lost", 5), ("rebooting", 15), ("updating", 35), (None, 5)]
)
def test_an_absence_that_the_player_announced_counts_when_it_lasts_too_long(reason: str | None, minutes: int) -> None:
    absent = lobby(online=False, since=NOW - 60 * MINUTE, reason=reason)
    watched = [rule("player_offline", offline_minutes=5)]
    [step] = judge(watched, absent, [], absent.since + minutes * MINUTE - 1)
    assert isinstance(step, Begin)
    assert (step.due_at, step.began_at) == (absent.since + minutes * MINUTE, absent.since)
