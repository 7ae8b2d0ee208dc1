"""Presence without a clock, a socket or a database."""

from hypothesis import given
from hypothesis import strategies as st

from hub.domain.presence import (
    CLONE_REPLACEMENTS,
    FLAP_CHANGES,
    FLAP_WINDOW,
    Graces,
    Presence,
    connect,
    disconnect,
    due_at,
    poll,
    sweep,
)
from hub.domain.times import HOUR, MINUTE, SECOND, rfc3339

GRACES = Graces()
T = 1_000_000_000


def online(now: int = T, hardware: str = "hw") -> Presence:
    return connect(Presence(since=T - MINUTE), node="n", hardware_id=hardware, now=now).row


def names(change: object) -> list[str]:
    return [name for name, _ in change.events]  # type: ignore[attr-defined]


def test_a_first_connection_is_online_and_raises_the_epoch() -> None:
    change = connect(Presence(since=T - MINUTE), node="n", hardware_id="hw", now=T)
    assert names(change) == ["player.online"]
    assert change.row.epoch == 1
    assert change.events[0][1]["seconds_offline"] == 60


def test_goodbye_and_silence_are_offline_at_once() -> None:
    for reason in ("bye", "silent", "revoked"):
        change = disconnect(online(), epoch=1, reason=reason, graces=GRACES, now=T + 5 * SECOND)  # type: ignore[arg-type]
        assert change is not None
        assert names(change) == ["player.offline"]
        assert change.events[0][1]["seconds_online"] == 5


def test_a_return_within_the_grace_is_no_event_at_all() -> None:
    lost = disconnect(online(), epoch=1, reason="lost", graces=GRACES, now=T)
    assert lost is not None
    assert lost.events == ()
    assert due_at(lost.row) == T + 15 * SECOND
    assert sweep(lost.row, now=T + 14 * SECOND) is None
    back = connect(lost.row, node="n", hardware_id="hw", now=T + 14 * SECOND)
    assert back.events == ()
    assert due_at(back.row) is None


def test_after_the_grace_the_player_is_offline_once() -> None:
    lost = disconnect(online(), epoch=1, reason="lost", graces=GRACES, now=T)
    assert lost is not None
    gone = sweep(lost.row, now=T + 15 * SECOND)
    assert gone is not None
    assert names(gone) == ["player.offline"]
    assert sweep(gone.row, now=T + 60 * SECOND) is None


def test_each_reason_has_its_own_grace() -> None:
    assert [GRACES.after(reason) for reason in ("bye", "lost", "drain", "crash")] == [0, 15_000, 60_000, 90_000]  # type: ignore[arg-type]


def test_the_late_end_of_an_old_connection_changes_nothing() -> None:
    newer = connect(online(), node="n", hardware_id="hw", now=T + SECOND).row
    assert disconnect(newer, epoch=1, reason="bye", graces=GRACES, now=T + 2 * SECOND) is None


def test_two_devices_with_one_token_are_found_out() -> None:
    row = online(hardware="a")
    second = connect(row, node="n", hardware_id="b", now=T + 1)
    third = connect(second.row, node="n", hardware_id="a", now=T + 2)
    assert (second.cloned, third.cloned) == (False, True)


def test_a_swapped_device_is_no_clone() -> None:
    row = online(hardware="a")
    row = connect(row, node="n", hardware_id="b", now=T + 1).row
    assert not connect(row, node="n", hardware_id="b", now=T + 2).cloned


def test_five_replacements_in_ten_minutes_are_a_clone() -> None:
    row, found = online(), []
    for number in range(5):
        change = connect(row, node="n", hardware_id="hw", now=T + number)
        row, found = change.row, [*found, change.cloned]
    assert found == [False, False, False, False, True]


def test_flapping_is_told_once_and_ends_with_the_final_state() -> None:
    row, told = Presence(since=T), []
    now = T
    for _ in range(20):
        now += SECOND
        change = connect(row, node="n", hardware_id="hw", now=now)
        told += names(change)
        ended = disconnect(change.row, epoch=change.row.epoch, reason="bye", graces=GRACES, now=now + 1)
        assert ended is not None
        told += names(ended)
        row = ended.row
    assert told.count("player.flapping") == 1
    assert len(told) == FLAP_CHANGES + 1
    assert sweep(row, now=now + FLAP_WINDOW - 1) is None
    calm = sweep(row, now=now + 1 + FLAP_WINDOW)
    assert calm is not None
    assert names(calm) == ["player.offline"]
    assert not calm.row.flapping


def test_a_player_that_polls_is_online_as_long_as_polls_renew_its_grace() -> None:
    first = poll(Presence(since=T - MINUTE), grace=GRACES.polling, now=T)
    assert names(first) == ["player.online"]
    assert (first.row.epoch, due_at(first.row)) == (1, T + 90 * SECOND)
    assert sweep(first.row, now=T + 89 * SECOND) is None
    renewed = sweep(first.row, now=T + 90 * SECOND, renewed_until=T + 150 * SECOND)
    assert renewed is not None
    assert renewed.events == ()
    assert due_at(renewed.row) == T + 150 * SECOND
    gone = sweep(renewed.row, now=T + 150 * SECOND, renewed_until=T + 150 * SECOND)
    assert gone is not None
    assert gone.events[0] == (
        "player.offline",
        {
            "status": "offline",
            "since": rfc3339(T + 150 * SECOND),
            "epoch": 1,
            "reason": "silent",
            "seconds_online": 150,
        },
    )


def test_a_poll_takes_the_say_from_a_connection_that_was_left_behind() -> None:
    row = poll(online(), grace=GRACES.polling, now=T).row
    assert disconnect(row, epoch=1, reason="lost", graces=GRACES, now=T) is None
    gone = sweep(row, now=T + 90 * SECOND)
    assert gone is not None
    assert not gone.row.online


@given(
    st.lists(
        st.tuples(st.sampled_from(["connect", "bye", "lost", "silent", "drain", "old", "wait"]), st.integers(0, 200))
    )
)
def test_events_tell_exactly_the_changes_that_the_row_went_through(steps: list[tuple[str, int]]) -> None:
    row, now, told = Presence(since=T), T, False
    for step, seconds in steps:
        now += seconds * SECOND
        swept = sweep(row, now=now)
        changes = [swept] if swept else []
        row = swept.row if swept else row
        if step == "connect":
            changes.append(connect(row, node="n", hardware_id="hw", now=now))
        elif step == "old":
            assert disconnect(row, epoch=row.epoch - 1, reason="bye", graces=GRACES, now=now) is None
        elif step != "wait":
            ended = disconnect(row, epoch=row.epoch, reason=step, graces=GRACES, now=now)  # type: ignore[arg-type]
            changes += [ended] if ended else []
        for change in changes:
            for name, data in change.events:
                if name != "player.flapping":
                    told = name == "player.online"
                    assert data["status"] == ("online" if told else "offline")
            row = change.row
        if not row.flapping:
            assert told == row.online
        assert (row.node is None) or row.online


def test_what_happened_while_the_clock_was_ahead_makes_no_clone_and_no_flapping() -> None:
    ahead = T + 2 * HOUR
    row = online(ahead, "a")
    for number in range(CLONE_REPLACEMENTS - 1):
        row = connect(row, node="n", hardware_id="a", now=ahead + number).row
    assert not connect(row, node="n", hardware_id="a", now=T).cloned
    other = connect(online(ahead, "a"), node="n", hardware_id="b", now=ahead).row
    assert not connect(other, node="n", hardware_id="a", now=T).cloned
    row = online(ahead)
    for number in range(FLAP_CHANGES):
        gone = disconnect(row, epoch=row.epoch, reason="bye", graces=GRACES, now=ahead + number)
        assert gone is not None
        row = connect(gone.row, node="n", hardware_id="hw", now=ahead + number).row
    assert row.flapping
    calm = sweep(row, now=T)
    assert calm is not None
    assert names(calm) == ["player.online"]
    row = online(ahead)
    for number in range(FLAP_CHANGES // 2 - 1):
        gone = disconnect(row, epoch=row.epoch, reason="bye", graces=GRACES, now=ahead + number)
        assert gone is not None
        row = connect(gone.row, node="n", hardware_id="hw", now=ahead + number).row
    gone = disconnect(row, epoch=row.epoch, reason="bye", graces=GRACES, now=T)
    assert gone is not None
    assert gone.row.changes == (T,)
