"""kill -9 at every step between a command's arrival and its confirmation: it runs at most once, and its outcome is told
as it was. What ran is counted in a file that the agent never reads."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import pytest

from hub.protocol.messages import Result
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]

AGENT = """
import os, signal, sys
from device_agent.command_line import main

def probe(step):
    if step == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

main(sys.argv[2:], probe=probe)
"""

STEPS = [f"{when} {step}" for step in (
    "journal accepted", "send ack", "journal running", "journal finished", "send result", "journal confirmed",
) for when in ("before", "after")]  # fmt: skip


@pytest.fixture
def agent(hub, tmp_path):
    """`async with agent(step) as process`: killed at `step`, or at the end."""
    (tmp_path / "token").write_text(hub.token)
    (tmp_path / "agent.toml").write_text(
        f'[custom.count]\ncommand = ["sh", "-c", "echo x >> {tmp_path}/ran"]\nrepeat = "once"\n'
    )

    @contextlib.asynccontextmanager
    async def start(step="never"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", AGENT, step, "run", "--hub", hub.url, "--state", str(tmp_path / "state"),
            "--player", "simulated", "--token-file", str(tmp_path / "token"), "--config", str(tmp_path / "agent.toml"),
            "--reboot-command", f"sh -c 'echo x >> {tmp_path}/rebooted'", "--log-level", "error",
            cwd=ROOT,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return start


def count(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


async def settled(hub, agent, command: str) -> Result:
    """The outcome that the next start of the agent tells; the hub sends again what never arrived."""
    async with agent():
        connection = await hub.welcomed()
        journal = {entry.id: entry for entry in connection.hello.journal}
        if "c1" not in journal:
            await connection.command("c1", command, delivery="once")
        elif journal["c1"].result is not None:
            return journal["c1"].result
        return await connection.hear(Result, id="c1")


@pytest.mark.parametrize("step", STEPS)
async def test_a_once_command_runs_at_most_once_and_is_told_as_it_was(hub, agent, tmp_path, step):
    async with agent(step) as process:
        connection = await hub.welcomed()
        await connection.command("c1", "custom:count", delivery="once")
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == -signal.SIGKILL
    if "journal confirmed" in step:  # the hub has the result; the id stays known or is told again
        assert (await connection.hear(Result, id="c1")).status == "succeeded"
        assert count(tmp_path / "ran") == 1
        return
    result = await settled(hub, agent, "custom:count")
    ran = count(tmp_path / "ran")
    if result.status == "succeeded":
        assert ran == 1
    else:
        assert (result.status, result.error.code) == ("failed", "interrupted")
        assert step in ("after journal running", "before journal finished")
        assert ran == (1 if step == "before journal finished" else 0)


@pytest.mark.parametrize(
    "step", ["after journal accepted", "after send ack", "after journal running", "after send bye"]
)
async def test_a_reboot_happens_at_most_once_and_only_a_new_boot_proves_it(hub, agent, tmp_path, step):
    async with agent(step) as process:
        connection = await hub.welcomed()
        before = connection.hello.boot_id
        await connection.command("c1", "reboot", delivery="once")
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == -signal.SIGKILL
    async with agent() as process:
        connection = await hub.welcomed()
        entry = connection.hello.journal[0]
        if entry.result is None:  # accepted and in time: it runs now, and ends this process
            async with asyncio.timeout(PATIENCE_S):
                assert await process.wait() == 75
    async with agent():
        connection = await hub.welcomed()
        result = next((entry.result for entry in connection.hello.journal if entry.id == "c1"), entry.result)
        rebooted = count(tmp_path / "rebooted")
        assert rebooted == (connection.hello.boot_id != before)
        assert result.status == ("succeeded" if rebooted else "failed")
