"""Our own two ends, each a process as it is started by its users, against the kit as its users start that."""

import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.api.docs import manual
from hub.conformance.transcript import transcripts
from tests.conformance.processes import REPORT_S, end_with_report
from tests.end_to_end.programs import Programs, programs
from tests.ports import free_port


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs(tmp_path) as started:
        yield started


def block(start: str) -> str:
    """The shell block of the page that begins so."""
    found = re.findall(r"```sh\n(.*?)```", manual.source("conformance"), re.DOTALL)
    return next(text for text in found if text.startswith(start))


async def test_the_device_agent_conforms_by_the_lines_of_the_manual(run: Programs) -> None:
    port, path = str(free_port()), {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    kit = await run.shell(block("hub conformance --port").replace("8090", port), **path)
    await kit.line("with the token")
    agent = await run.shell(block("device-agent run").replace("8090", port), **path)
    await kit.line("^The player ", REPORT_S)
    status = await kit.end()
    outcomes = dict(re.findall(r"^(\S+) +(passed|FAILED|not \w+)", kit.text(), re.MULTILINE))
    assert outcomes == {one.name: "passed" for one in transcripts("player") if not one.extra}, kit.text()
    assert status == 0
    await agent.stop()


async def test_the_device_agent_proves_its_reboot(run: Programs, tmp_path: Path) -> None:
    """With a given token, as no pairing follows."""
    (tmp_path / "token").write_text("secret")
    kit = await run.hub("conformance", "--json", "--token", "secret", "--only", "reboot")
    url = (await kit.line(r"connect to the hub  (http://127\.0\.0\.1:\d+)$"))[1]
    device = ("--state", "device", "--player", "simulated", "--token-file", "token", "--respawn")
    await run.agent("run", "--hub", url, *device)
    status, report = await end_with_report(kit)
    assert (status, outcomes(report)) == (0, {"reboot": "passed"})


async def test_the_hub_conforms(run: Programs) -> None:
    init = await run.hub(
        *("init", "--data", "data", "--team", "Shop", "--email", "me@example.com", "--json"),
        HUB_OWNER_PASSWORD="correct horse battery",
    )
    assert await init.end() == 0
    key = json.loads(init.text())["api_key"]
    shorter = {"HUB_PLAYERS__HEARTBEAT_S": "1", "HUB_PLAYERS__HELLO_TIMEOUT_S": "5"}
    serve = await run.hub("serve", "--data", "data", "--port", "0", **shorter)
    url = (await serve.line(r"listens on (http://127\.0\.0\.1:\d+)$"))[1]
    line = block("hub conformance --all").replace("http://127.0.0.1:8080", url).replace("sbk_...", key)
    kit = await run.shell(f"{line.strip()} --json", PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    status, report = await end_with_report(kit)
    assert outcomes(report) == {one.name: "passed" for one in transcripts("hub")}
    assert status == 0
    kit = await run.hub("conformance", "--url", url, "--only", "door", "--only", "no-hello", HUB_KEY=key)
    await kit.line("^door +passed$")  # the other waits
    kit.process.send_signal(signal.SIGINT)
    assert await kit.end() == 130
    left = await run.hub("players", "--json", HUB_URL=url, HUB_KEY=key)
    assert (await left.end(), left.text()) == (0, "[]")  # the kits' players are gone


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    told = {one["name"]: one["outcome"] for one in report["transcripts"]}
    faults = [fault["text"] for one in report["transcripts"] for fault in one["faults"]]
    assert not faults, faults
    return told
