"""Hubs that break one rule each: the kit names it, with the section of the page; and a right one is not accused."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from hub.conformance import hub_trial
from hub.conformance.hub_trial import HubTrial
from hub.conformance.operator import Operator
from hub.conformance.page import Section
from hub.conformance.transcript import transcripts
from hub.conformance.trial import Verdict
from tests.conformance.relay import Frames, relay
from tests.harness import Hub, running_hub, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    """One for all: each trial has a player of its own."""
    async with running_hub(
        settings(tmp_path_factory.mktemp("hub"), players={"heartbeat_s": 1, "silence_s": 30})
    ) as running:
        yield running


async def judged(hub: Hub, name: str, *, hurry: bool = True, **changes: Any) -> Verdict:
    played = next(one for one in transcripts("hub") if one.name == name)
    if hurry:
        steps = [dataclasses.replace(step, within_s=min(step.within_s, 3)) for step in played.steps]
        played = dataclasses.replace(played, steps=steps)
    async with relay(hub.url, **changes) as wrong:
        trial = HubTrial(wrong.url, Operator(hub.url, hub.key), "")
        try:
            return await trial.play(played)
        finally:
            await trial.end()


def without(kind: str) -> Callable[[dict[str, Any]], Frames]:
    """The hub never says this."""
    return lambda message: [] if message["type"] == kind else [message]


def instead(kind: str, **changed: Any) -> Callable[[dict[str, Any]], Frames]:
    """The hub says this otherwise."""
    return lambda message: [message | changed if message["type"] == kind else message]


def beside(kind: str, *more: dict[str, Any]) -> Callable[[dict[str, Any]], Frames]:
    """The hub says more after this."""
    return lambda message: [message, *more] if message["type"] == kind else [message]


def once(kind: str) -> Callable[[dict[str, Any]], Frames]:
    """The hub says this one time only."""
    said: list[str] = []

    def change(message: dict[str, Any]) -> Frames:
        if message["type"] == kind:
            said.append(kind)
        return [message] if message["type"] != kind or len(said) == 1 else []

    return change


def again_with_the_next() -> Callable[[dict[str, Any]], Frames]:
    """The hub says every command of before again with a new one."""
    said: list[dict[str, Any]] = []

    def change(message: dict[str, Any]) -> Frames:
        if message["type"] != "command":
            return [message]
        said.append(message)
        return list(said)

    return change


def other_id_for_a_repeat() -> Callable[[dict[str, Any]], Frames]:
    done: list[str] = []

    def change(message: dict[str, Any]) -> Frames:
        if message["type"] == "upload_done":
            done.append(message["id"])
            return [message | {"id": f"other-{len(done)}"}]
        return [message]

    return change


COPIES = [
    {"type": "command", "id": f"copy-{n}", "command": "identify", "payload": {}, "delivery": "safe",
     "expires_at": "2999-01-01T00:00:00Z"}
    for n in range(9)
]  # fmt: skip
LATE = COPIES[0] | {"expires_at": "2001-01-01T00:00:00Z"}


@pytest.mark.parametrize("name", ["opening", "plays", "upload", "command", "lost-command", "cancel"])
async def test_a_hub_that_keeps_to_the_page_is_not_accused(hub: Hub, name: str) -> None:
    verdict = await judged(hub, name, hurry=False)
    assert (verdict.outcome, verdict.faults) == ("passed", [])


@pytest.mark.parametrize(
    ("name", "section", "words", "changes"),
    [
        ("door", Section.CONNECTING, "no JSON with a message", {}),  # the relay has its own door
        ("opening", Section.FROM_HUB, "it rises", {"down": instead("welcome", epoch=7)}),
        ("opening", Section.FROM_HUB, "same session", {"down": instead("welcome", session="s")}),
        ("opening", Section.FROM_HUB, "cannot read", {"down": instead("welcome", heartbeat_s=0)}),
        ("opening", Section.OPENING, "did not send", {"down": without("welcome")}),
        ("opening", Section.OPENING, "sync came before", {
            "down": lambda message: [{"type": "sync", "revision": "r"}, message]}),
        ("opening", Section.OPENING, "second welcome", {"down": lambda message: [message, message]}),
        ("newest", Section.OPENING, "not with 4009", {"code": lambda code: 1000}),
        ("too-early", Section.OPENING, "second hello", {"code": lambda code: 4008}),
        ("too-early", Section.OPENING, "before hello", {"down": without("error")}),
        ("refused", Section.ERROR_CODES, "no JSON", {"down": instead("error", code="bad")}),
        ("refused", Section.FROM_HUB, "cannot read", {"down": instead("error", code=None)}),
        ("too-many-refused", Section.LIMITS, "Twenty", {"code": lambda code: 0}),
        ("old-results", Section.JOURNAL, "had a result", {"down": without("result_ok")}),
        ("old-results", Section.COMMANDS, "told again", {"down": once("result_ok")}),
        ("plays", Section.FROM_PLAYER, "sent again", {"down": once("plays_ok")}),
        ("plays", Section.FROM_HUB, "which was not sent", {"down": instead("plays_ok", batch="another")}),
        ("upload", Section.UPLOADS, "window was used up", {"down": without("upload_credit")}),
        ("upload", Section.UPLOADS, "same bytes", {"down": other_id_for_a_repeat()}),
        ("upload", Section.UPLOADS, "fewer were sent", {"down": instead("upload_credit", received=10**9)}),
        ("upload", Section.UPLOADS, "not announced", {"down": instead("upload_ready", upload=77)}),
        ("upload-refused", Section.UPLOAD_FAILS, "offset 100", {"down": instead("upload_failed", code="too_large")}),
        ("command", Section.COMMANDS, "result was told", {"down": without("result_ok")}),
        ("command", Section.LIMITS, "8 are the most", {"down": beside("command", *COPIES)}),
        ("command", Section.COMMANDS, "after its expires_at", {"down": beside("command", LATE)}),
        ("lost-command", Section.JOURNAL, "as accepted", {"down": again_with_the_next()}),
        ("journal-lost", Section.JOURNAL, "that was acknowledged", {"down": again_with_the_next()}),
        ("lost-command", Section.JOURNAL, "lost before an ack", {"down": once("command")}),
        ("pace", Section.COMMANDS, "acknowledged", {"up": without("ack")}),
        ("cancel", Section.FROM_HUB, "no result on the connection before", {"down": once("cancel")}),
        ("settings", Section.FROM_HUB, "had set the volume", {"down": instead("welcome", settings={})}),
        ("alert", Section.FROM_HUB, "raised an alert", {"down": without("alert")}),
        ("asked-again", Section.COMMANDS, "without an ack", {"down": once("command")}),
        ("pings", Section.LIMITS, "601 pings", {"code": lambda code: 4000}),
        ("quarantine", Section.CLOSE_CODES, "not with 4003", {"code": lambda code: 4001}),
    ],
)  # fmt: skip
async def test_a_broken_rule_is_named_with_its_section(
    hub: Hub, name: str, section: Section, words: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_trial, "HELLO_S", 3)
    verdict = await judged(hub, name, **changes)
    assert verdict.outcome == "failed"
    assert [fault for fault in verdict.faults if fault.section is section and words in fault.text], verdict.faults
