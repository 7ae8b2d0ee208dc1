"""How far a wall clock is believed."""

import pytest

from hub.domain.clocks import BLIND_MS, HEARD_MS, PARTED_MS, STANDS_MS, UNSURE_MS, Mark, Steadiness
from hub.domain.times import DAY, HOUR, MINUTE, SECOND

START = 1_774_785_600_000


def test_a_clock_that_is_right_is_followed_with_its_corrections() -> None:
    mark, wall = Mark(START), START
    for correction in (0, 30 * SECOND, -30 * SECOND, 50 * MINUTE, -50 * MINUTE):
        wall += MINUTE + correction
        mark.step(wall, MINUTE)
        assert mark.old_by(wall) == wall == mark.at


@pytest.mark.parametrize("ahead", [2 * HOUR, 500 * DAY])
def test_far_ahead_time_is_what_has_run_until_the_clock_has_stood_for_a_day(ahead: int) -> None:
    mark, ran = Mark(START), 0
    while ran < STANDS_MS - MINUTE:
        ran += MINUTE
        mark.step(START + ran + ahead, MINUTE)
        assert mark.old_by(START + ran + ahead) == START + ran
    mark.step(START + STANDS_MS + ahead, MINUTE)
    assert mark.old_by(START + STANDS_MS + ahead) == START + STANDS_MS + ahead


def test_the_day_begins_anew_with_each_jump_and_goes_on_over_restarts() -> None:
    mark = Mark(START)
    mark.step(START + 10 * DAY, 0)
    mark.step(START + 10 * DAY + 23 * HOUR, 23 * HOUR)
    mark.step(START + 20 * DAY + 24 * HOUR, HOUR)
    assert (mark.stood, mark.parted(START + 20 * DAY)) == (0, True)
    mark.step(START + 20 * DAY + 37 * HOUR, 13 * HOUR)
    mark = Mark(mark.at, mark.stood)  # off for 12 hours of each day
    wall = START + 20 * DAY + 49 * HOUR
    mark.step(wall, 0)
    assert mark.old_by(wall) == mark.at
    mark.step(wall + 11 * HOUR, 11 * HOUR)
    assert mark.old_by(wall + 11 * HOUR) == wall + 11 * HOUR


def test_a_clock_behind_makes_nothing_old_and_is_no_mark_once_it_is_right() -> None:
    mark = Mark(START)
    mark.step(0, 0)
    assert mark.old_by(0) == 0
    mark.step(START + PARTED_MS, MINUTE)
    assert mark.old_by(START + PARTED_MS) == START + PARTED_MS


def test_a_clock_is_steady_two_minutes_after_its_last_jump() -> None:
    clock = Steadiness()
    assert clock.steady(START, 5)
    assert clock.steady(START + DAY + MINUTE, DAY + 5)  # long without a look, and a little put right
    assert not clock.steady(START + 3 * DAY, DAY + 6)
    assert not clock.steady(START + 3 * DAY + MINUTE, DAY + 6 + MINUTE)
    assert not clock.steady(START + DAY, DAY + 6 + MINUTE)
    assert not clock.steady(START + DAY + UNSURE_MS - 1, DAY + 5 + MINUTE + UNSURE_MS)
    assert clock.steady(START + DAY + UNSURE_MS, DAY + 6 + MINUTE + UNSURE_MS)


def test_a_start_with_a_clock_far_off_is_unsure() -> None:
    clock = Steadiness(unsure=True)
    assert not clock.steady(START, 0)
    assert not clock.steady(START + UNSURE_MS - 1, UNSURE_MS - 1)
    assert clock.steady(START + UNSURE_MS, UNSURE_MS)


def test_nothing_ends_just_after_a_pause_in_which_nothing_was_read() -> None:
    clock, other = Steadiness(pauses=True), Steadiness()
    assert clock.steady(START, 0)
    assert clock.steady(START + BLIND_MS, BLIND_MS)
    at = 3 * BLIND_MS
    assert not clock.steady(START + at, at)
    assert not clock.steady(START + at + HEARD_MS - 1, at + HEARD_MS - 1)
    assert clock.steady(START + at + HEARD_MS, at + HEARD_MS)
    assert [other.steady(START + ran, ran) for ran in (0, at)] == [True, True]
    jumped = START + DAY
    assert not clock.steady(jumped + at, 2 * at)  # a jump is doubted for longer than a pause
    assert not clock.steady(jumped + at + HEARD_MS, 2 * at + HEARD_MS)


@pytest.mark.parametrize(("off", "reached"), [(-31 * DAY, 0), (-2 * HOUR, 0), (-MINUTE, -MINUTE), (31 * DAY, 31 * DAY)])
def test_the_time_that_has_come_is_the_marks_while_the_clock_is_far_behind(off: int, reached: int) -> None:
    mark = Mark(START)
    mark.step(START, 0)
    mark.step(START + SECOND + off, SECOND)
    assert mark.reached(START + SECOND + off) == START + SECOND + reached
    mark.step(START + 2 * SECOND, SECOND)  # put right
    assert mark.reached(START + 2 * SECOND) == START + 2 * SECOND
