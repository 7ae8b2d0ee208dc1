"""The program itself, as a process of its own, against a hub in this one."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import tomllib
from pathlib import Path

import pytest

from device_agent.version import VERSION
from hub.protocol.messages import Bye, Result, SettingsReport
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
MEMORY_KB = 30 * 1024  # what an agent may keep resident while it is connected


@pytest.fixture
def token_file(tmp_path, hub):
    file = tmp_path / "token.txt"
    file.write_text(hub.token + "\n")
    return file


@contextlib.asynccontextmanager
async def device_agent(*arguments):
    """Started, and gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "device_agent.cli", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ending(process):
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def run(hub, tmp_path, token_file):
    def run(*more):
        return device_agent(
            "run", "--hub", hub.url, "--state", tmp_path / "state", "--player", "simulated", "--token-file", token_file,
            *more,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_a_goodbye(hub, run, sign):
    async with run() as process:
        connection = await hub.welcomed()
        await connection.hear(SettingsReport)
        process.send_signal(sign)
        assert (await connection.hear(Bye)).reason == "stopping"
        status, _, err = await ending(process)
    assert status == 0
    assert "connected to" in err
    assert "simulated player" in err
    assert hub.token not in err


async def test_it_stays_below_30_megabytes_while_connected(hub, run):
    async with run() as process:
        connection = await hub.welcomed()
        await connection.command("c1", "set_volume", {"volume": 3}, "idempotent")
        await connection.command("c2", "take_screenshot", {"max_width": 640})
        await connection.hear(Result, id="c2")
        assert resident_kb(process.pid) < MEMORY_KB


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()).group(1))


async def test_a_simulated_reboot_ends_the_process_and_the_next_start_proves_it(hub, run, tmp_path):
    ran = tmp_path / "ran"
    command = ("--reboot-command", f"sh -c 'echo x >> {ran}'")
    async with run(*command) as process:
        connection = await hub.welcomed()
        await connection.command("c1", "reboot", delivery="once")
        assert (await ending(process))[0] == 75
    async with run(*command):
        connection = await hub.welcomed()
        assert connection.hello.journal[0].result.status == "succeeded"
    assert ran.read_text() == "x\n"


async def test_with_respawn_a_simulated_reboot_happens_in_one_process(hub, run):
    async with run("--respawn") as process:
        connection = await hub.welcomed()
        await connection.command("c1", "reboot", delivery="once")
        connection = await hub.welcomed()
        assert connection.hello.journal[0].result.status == "succeeded"
        await connection.hear(SettingsReport)
        process.terminate()
        assert (await ending(process))[0] == 0


async def test_a_killed_agent_leaves_a_once_command_interrupted_and_never_runs_it_again(hub, run, tmp_path):
    ran, started, config = tmp_path / "ran", tmp_path / "started", tmp_path / "agent.toml"
    os.mkfifo(started)
    config.write_text(f"[custom.hang]\ncommand = ['sh', '-c', 'echo x >> {ran}; echo > {started}; exec sleep 20']\n")
    async with run("--config", config) as process:
        connection = await hub.welcomed()
        await connection.command("c1", "custom:hang", {}, "once")
        await asyncio.to_thread(started.read_text)
        process.kill()
        await ending(process)
    async with run("--config", config):
        connection = await hub.welcomed()
        result = connection.hello.journal[0].result
        assert (result.status, result.error.code) == ("failed", "interrupted")
    assert ran.read_text() == "x\n"


async def test_two_agents_do_not_share_a_state_folder(hub, run):
    async with run():
        await hub.welcomed()
        async with run() as second:
            status, _, err = await ending(second)
    assert status == 2
    assert "Another agent runs" in err


async def test_without_a_token_it_shows_a_code(tmp_path):
    async with device_agent(
        "run", "--hub", "http://127.0.0.1:1", "--state", tmp_path, "--player", "simulated"
    ) as process:
        async with asyncio.timeout(PATIENCE_S):
            while b"not paired" not in await process.stderr.readline():
                pass
        process.terminate()
        assert (await ending(process))[0] == 0


async def test_pairing_without_a_hub_fails_with_the_reason(tmp_path):
    async with device_agent("pair", "--hub", "http://127.0.0.1:1", "--state", tmp_path) as process:
        status, _, err = await ending(process)
    assert status == 1
    assert "unreachable" in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("run", "--hub", "hub"), "hub: A hub's address looks like"),
        (("run", "--hub", "http://hub:0"), "hub: A hub's address looks like"),
        (("run", "--hub", "http://hub:99999"), "hub: Port out of range"),
        (("run", "--token-file", "/nowhere"), "cannot be read"),
        (("run", "--config", "/nowhere"), "no settings file"),
        (("fleet", "--tokens", "/nowhere"), "/nowhere"),
    ],
)
async def test_a_mistake_is_named_without_a_traceback(tmp_path, arguments, reason):
    async with device_agent(*arguments, "--state", tmp_path) as process:
        status, _, err = await ending(process)
    assert status == 2
    assert reason in err
    assert "Traceback" not in err


async def test_a_fleet_reports_what_happened_in_one_json_object(hub, tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"{hub.token} A\n{hub.token} B\n{hub.token} C\n")
    async with device_agent("fleet", "--hub", hub.url, "--tokens", file, "--count", "2", "--report") as process:
        for connection in [await hub.welcomed(), await hub.welcomed()]:
            await connection.command("c", "identify", {})
            await connection.hear(Result)
        process.terminate()
        status, out, _ = await ending(process)
    report = json.loads(out)
    assert status == 0
    assert (report["players"], report["connects"], report["results"]) == (2, 2, {"succeeded": 2})


def test_the_version_is_the_distributions():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def open_ones(state):
    return [str(path) for path in (state, *state.rglob("*")) if path.lstat().st_mode & 0o077]


def left_open(state, *names):
    """The folder, and files in it, as an earlier version left them."""
    for name in names:
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).touch()
    for path in (state, *state.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


async def test_a_start_closes_an_open_state_folder_and_says_so_once(hub, run, tmp_path):
    left_open(tmp_path / "state", "token", "downloads/one", "manifest.json", "journal.db")
    async with run() as process:
        await hub.welcomed()
        assert open_ones(tmp_path / "state") == []
        process.send_signal(signal.SIGTERM)
        _, _, err = await ending(process)
    assert f"the state in {tmp_path}/state was open to other users; 6 files and folders are closed now" in err
    async with run() as process:
        await hub.welcomed()
        process.send_signal(signal.SIGTERM)
        _, _, err = await ending(process)
    assert "open to other users" not in err


@pytest.mark.parametrize("call", ["pair", "fleet"])
async def test_what_else_is_in_the_folder_stays_as_it_is(tmp_path, call):
    left_open(tmp_path / "state", "token", "players/a/machine.json", "their own")
    (tmp_path / "tokens").write_text("a token\n")
    more = ["--tokens", tmp_path / "tokens", "--seconds", "0.1"] if call == "fleet" else []
    async with device_agent(call, "--hub", "http://127.0.0.1:1", "--state", tmp_path / "state", *more) as process:
        _, _, err = await ending(process)
    assert "was open to other users" in err
    assert open_ones(tmp_path / "state") == [f"{tmp_path}/state/their own"]


@pytest.mark.parametrize("call", ["pair", "run"])
async def test_a_state_folder_that_is_none_is_told_in_one_sentence(tmp_path, call):
    (tmp_path / "state").write_text("a file")
    async with device_agent(call, "--hub", "http://127.0.0.1:1", "--state", tmp_path / "state") as process:
        status, _, err = await ending(process)
    assert status != 0
    assert err == f"device-agent: The state folder {tmp_path}/state cannot be used: File exists.\n"
