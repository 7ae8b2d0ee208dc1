"""The judge itself: it must see each broken promise, or a green campaign would mean nothing."""

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.client import Asked
from tests.faults.deed import NAMELESS
from tests.faults.judge import Seen, judge

AT = "2026-01-01T00:00:0{}.000Z"


def asked(command_id: str, command: str, payload: dict[str, Any] | None = None, **more: Any) -> Asked:
    return Asked(f"key-{command_id}", {"command": command, "payload": payload or {}} | more, command_id)


def story(command_id: str, command: str, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    return {
        "id": command_id,
        "command": command,
        "status": status,
        "payload": {},
        "detail": None,
        "error": None,
        "superseded_by": None,
        "created_at": "2026-01-01T00:00:01Z",
        "sent_at": "2026-01-01T00:00:02Z",
        "acknowledged_at": "2026-01-01T00:00:02Z",
        "finished_at": "2026-01-01T00:00:04Z",
    } | more


def tale(command_id: str, *steps: str, status: str = "succeeded") -> list[dict[str, Any]]:
    steps = steps or ("queued", "sent", "acknowledged", "finished")
    return [
        {
            "event": f"command.{step}",
            "timestamp": AT.format(number + 1),
            "data": {"command_id": command_id, "status": status},
        }
        for number, step in enumerate(steps)
    ]


INTERRUPTED = {"code": "interrupted", "message": ""}
DIED_AT = 1_767_225_602_500  # between the second and the third step of a tale

REBOOTED = Seen([asked("c1", "reboot")], [story("c1", "reboot")], events=tale("c1"), lines=["c1"])
FAILED = replace(
    REBOOTED,
    stories=[story("c1", "reboot", "failed", error=INTERRUPTED)],
    events=tale("c1", status="failed"),
    agent_died=[DIED_AT],
)


@pytest.mark.parametrize("seen", [REBOOTED, FAILED, replace(FAILED, lines=[]), replace(FAILED, lines=[NAMELESS])])
def test_a_true_story_is_left_in_peace(seen: Seen) -> None:
    assert judge(seen) == []


def volumes(device: int) -> Seen:
    ask = [asked("c1", "set_volume", {"volume": 10}), asked("c2", "set_volume", {"volume": 20})]
    stories = [
        story("c1", "set_volume", detail={"volume": 10}, payload={"volume": 10}),
        story("c2", "set_volume", detail={"volume": 20}, payload={"volume": 20}),
    ]
    return Seen(ask, stories, events=[*tale("c1"), *tale("c2")], volume=device)


def shot(digest: str) -> Seen:
    detail = {"screenshot_id": "1", "sha256": "aa"}
    ask = [asked("c1", "take_screenshot")]
    return Seen(ask, [story("c1", "take_screenshot", detail=detail)], events=tale("c1"), pictures={"c1": digest})


def test_a_device_that_is_what_it_was_told_and_a_picture_that_is_there_are_fine() -> None:
    assert judge(volumes(20)) == judge(shot("aa")) == []


CANCELLED = [story("c1", "reboot", "cancelled")]


@pytest.mark.parametrize(
    ("seen", "complaint"),
    [
        (replace(REBOOTED, lines=["c1", "c1"]), "ran 2 times"),
        (replace(REBOOTED, lines=[]), "it ran 0 times"),
        (replace(REBOOTED, lines=["c1", "c9"]), "no such command"),
        (replace(REBOOTED, lines=["c1", NAMELESS]), "no such command"),
        (replace(REBOOTED, stories=[]), "accepted and is gone"),
        (replace(REBOOTED, asked=[]), "nobody asked for it"),
        (replace(REBOOTED, again={"key-c1": "c2"}), "when it was repeated"),
        (replace(REBOOTED, open=["c1"]), "does not come"),
        (replace(REBOOTED, events=tale("c1", "queued", "acknowledged", "sent", "finished")), "its events are"),
        (replace(REBOOTED, events=tale("c1", "queued", "sent", "finished", "finished")), "its events are"),
        (replace(REBOOTED, events=tale("c1", "queued", "finished")), "never sent"),
        (replace(REBOOTED, events=[]), "its events are: none"),
        (replace(REBOOTED, stories=[story("c1", "reboot", acknowledged_at=AT.format(9))]), "run backwards"),
        (replace(REBOOTED, stories=[story("c1", "reboot", "acked")]), "nothing here leads to"),
        (replace(FAILED, agent_died=[]), "no kill explains"),
        (replace(FAILED, agent_died=[DIED_AT + 60_000]), "no kill explains"),
        (
            replace(FAILED, stories=[story("c1", "reboot", "failed", error={"code": "journal_lost", "message": ""})]),
            "no kill explains journal_lost",
        ),
        (replace(REBOOTED, stories=CANCELLED, events=tale("c1", status="cancelled")), "but it ran"),
        (
            replace(REBOOTED, stories=CANCELLED, events=tale("c1", status="cancelled"), lines=[]),
            "nobody called it back",
        ),
        (volumes(10), "the device has 10"),
        (shot("bb"), "its picture has the digest bb"),
    ],
)
def test_a_broken_promise_is_seen(seen: Seen, complaint: str) -> None:
    assert any(complaint in found for found in judge(seen)), judge(seen)
