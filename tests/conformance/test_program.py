"""`hub conformance` as a command: what it says before anybody comes, when it is stopped, and when nothing is there."""

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.conformance.transcript import transcripts
from tests.conformance.processes import end_with_report
from tests.end_to_end.programs import Programs, programs
from tests.ports import free_port, listener


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs(tmp_path) as started:
        yield started


async def test_the_transcripts_are_listed(run: Programs) -> None:
    for role, arguments in (("player", ()), ("hub", ("--url", "http://hub.example"))):
        listed = await run.hub("conformance", "--list", "--all", *arguments)
        assert await listed.end() == 0
        names = {line.split()[0] for line in listed.lines}
        assert names == {transcript.name for transcript in transcripts(role)}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--only", "nothing"), "The only field must be a transcript (lost, "),
        (("--url", "ftp://hub.example", "--token", "x"), "The url field must look like"),
        (("--url", "http://hub.example"), "The key field or a player's token (--token) is needed"),
        (("--url", "http://hub.example", "--key", "\u00e9"), "The key field must be a key"),
        (("--host", "203.0.113.7"), "203.0.113.7 port 0 cannot be listened on"),
    ],
)
async def test_what_cannot_be_done_is_told_in_one_sentence(
    run: Programs, arguments: tuple[str, ...], sentence: str
) -> None:
    kit = await run.hub("conformance", *arguments)
    assert (await kit.end(), len(kit.lines)) == (1, 1), kit.text()
    assert sentence in kit.text()


async def test_a_port_in_use_is_told_in_one_sentence(run: Programs) -> None:
    with listener() as taken:
        kit = await run.hub("conformance", "--port", str(taken.getsockname()[1]))
        assert (await kit.end(), len(kit.lines)) == (1, 1)


async def test_a_player_that_does_not_come_and_a_hub_that_is_not_there_conform_to_nothing(run: Programs) -> None:
    kit = await run.hub("conformance", "--wait", "1", "--json")
    status, report = await end_with_report(kit)
    assert (status, report["passed"]) == (1, False)
    assert {one["outcome"] for one in report["transcripts"]} == {"not_reached"}
    kit = await run.hub("conformance", "--url", f"http://127.0.0.1:{free_port()}", "--token", "x")
    assert await kit.end() == 1
    assert "is not reached" in kit.text()


async def test_ctrl_c_ends_at_once_with_what_is_known(run: Programs) -> None:
    kit = await run.hub("conformance", "--only", "drain", "--only", "replaced", "--json")
    url = (await kit.line(r"connect to the hub  (http://127\.0\.0\.1:\d+)$"))[1]
    await run.agent("run", "--hub", url, "--state", "device", "--player", "simulated")
    await kit.line(r"^drain +passed$")  # the other takes a minute
    kit.process.send_signal(signal.SIGINT)
    status, report = await end_with_report(kit)
    assert (status, report["interrupted"], report["passed"]) == (130, True, False)
    assert [(one["name"], one["outcome"]) for one in report["transcripts"]] == [("drain", "passed")]


async def test_without_a_key_the_transcripts_of_an_operator_are_not_tried(run: Programs) -> None:
    """Against a port where nobody speaks the protocol: what is not tried is not reached either."""
    kit = await run.hub("conformance", "--url", f"http://127.0.0.1:{free_port()}", "--token", "x", "--only", "command")
    assert await kit.end() == 1
    assert "not tried (needs --key" in kit.text()
    assert json.dumps(kit.text()).count("conforms in all") == 0
