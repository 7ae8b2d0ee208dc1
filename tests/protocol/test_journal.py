"""The rules of reconciliation and recovery, one table each."""

import pytest

from hub.protocol.journal import in_time, on_cancel, on_command, reconcile, recover
from hub.protocol.messages import ErrorInfo, JournalEntry, Result

WHEN = "2026-03-29T14:30:00Z"
OUTCOME = Result(id="c", status="succeeded", finished_at=WHEN, boot_id="b")
ACCEPTED = JournalEntry(id="c", state="accepted")
RUNNING = JournalEntry(id="c", state="running")
FINISHED = JournalEntry(id="c", state="finished", result=OUTCOME)


def test_what_was_sent_and_never_arrived_is_queued_again() -> None:
    answer = reconcile({"c": "sent"}, [])
    assert (answer.requeue, answer.acked, answer.lost, answer.results) == (["c"], [], [], [])


def test_what_was_acked_and_is_gone_from_the_journal_is_lost_and_never_sent_again() -> None:
    answer = reconcile({"c": "acked"}, [])
    assert (answer.requeue, answer.acked, answer.lost, answer.results) == ([], [], ["c"], [])


def test_what_may_have_run_before_the_journal_began_is_lost_and_never_sent_again() -> None:
    answer = reconcile({"a": "sent", "b": "sent", "c": "acked"}, [], ["b"])
    assert (answer.requeue, answer.lost) == (["a"], ["b", "c"])
    assert reconcile({"c": "sent"}, [RUNNING], ["c"]).lost == []


@pytest.mark.parametrize("row", ["sent", "acked"])
@pytest.mark.parametrize("entry", [ACCEPTED, RUNNING, FINISHED])
def test_what_the_journal_holds_has_arrived(row, entry) -> None:
    answer = reconcile({"c": row}, [entry])
    assert (answer.requeue, answer.acked, answer.lost) == ([], ["c"], [])
    assert answer.results == ([OUTCOME] if entry is FINISHED else [])


def test_the_journal_speaks_for_commands_the_hub_did_not_ask_about() -> None:
    answer = reconcile({}, [FINISHED, JournalEntry(id="d", state="running")])
    assert (answer.acked, answer.results) == (["c", "d"], [OUTCOME])


def test_a_journal_that_repeats_an_id_counts_its_outcome_once() -> None:
    for journal in ([RUNNING, FINISHED, FINISHED], [FINISHED, RUNNING]):
        answer = reconcile({"c": "sent"}, journal)
        assert (answer.acked, answer.results) == (["c"], [OUTCOME])


def test_rows_keep_their_order() -> None:
    assert reconcile({"b": "sent", "a": "sent"}, []).requeue == ["b", "a"]


def test_time_is_the_hubs_time_plus_what_has_passed_since() -> None:
    assert in_time(10_000, server_time=9_000, received_mono=50.0, now_mono=51.0)
    assert not in_time(10_000, server_time=9_000, received_mono=50.0, now_mono=51.1)


@pytest.mark.parametrize(
    ("known", "confirmed", "timely", "answer"),
    [
        (None, False, True, "accept"),
        (None, False, False, "reject"),
        (None, True, True, "ignore"),
        (None, True, False, "ignore"),
        (ACCEPTED, False, True, "ack"),
        (RUNNING, False, False, "ack"),
        (FINISHED, False, True, "result"),
        (FINISHED, False, False, "result"),
    ],
)
def test_an_arriving_command(known, confirmed, timely, answer) -> None:
    assert on_command(known, confirmed=confirmed, in_time=timely) == answer


@pytest.mark.parametrize(
    ("known", "confirmed", "answer"),
    [
        (None, False, "settle"),
        (None, True, "ignore"),
        (ACCEPTED, False, "settle"),
        (RUNNING, False, "stop"),
        (FINISHED, False, "result"),
    ],
)
def test_an_arriving_cancel(known, confirmed, answer) -> None:
    assert on_cancel(known, confirmed=confirmed) == answer


INTERRUPTED, EXPIRED = ("failed", "interrupted"), ("rejected", "expired")


@pytest.mark.parametrize(
    ("entry", "delivery", "timely", "evidence", "decision"),
    [
        (ACCEPTED, "once", None, None, "wait"),
        (ACCEPTED, "once", True, None, "run"),
        (ACCEPTED, "once", False, None, EXPIRED),
        (ACCEPTED, "safe", None, None, "wait"),
        (ACCEPTED, "idempotent", True, None, "run"),
        (ACCEPTED, "safe", False, None, EXPIRED),
        (RUNNING, "safe", None, None, "wait"),
        (RUNNING, "idempotent", None, None, "wait"),
        (RUNNING, "safe", True, None, "run"),
        (RUNNING, "idempotent", True, None, "run"),
        (RUNNING, "idempotent", False, None, INTERRUPTED),
        (RUNNING, "once", None, None, INTERRUPTED),
        (RUNNING, "once", True, None, INTERRUPTED),
        (RUNNING, "once", False, None, INTERRUPTED),
        (RUNNING, "once", None, {"boot_id_after": "b"}, ("succeeded", None)),
        (RUNNING, "once", False, {"boot_id_after": "b"}, ("succeeded", None)),
    ],
)
def test_a_starting_agent_decides_what_the_last_run_left(entry, delivery, timely, evidence, decision) -> None:
    answer = recover(entry, delivery, timely, evidence, finished_at=WHEN, boot_id="b")
    if isinstance(decision, str):
        assert answer == decision
        return
    assert isinstance(answer, Result)
    assert (answer.id, answer.finished_at, answer.boot_id) == ("c", WHEN, "b")
    assert (answer.status, answer.error.code if isinstance(answer.error, ErrorInfo) else None) == decision
    assert answer.detail == evidence


def test_what_is_finished_stays_as_it_is() -> None:
    assert recover(FINISHED, "once", None, None, finished_at="2026-03-29T15:00:00Z", boot_id="x") is OUTCOME
