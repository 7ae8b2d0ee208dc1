"""Commands of the device's owner."""

import asyncio
import os
import select

import pytest

from device_agent.commands import custom
from device_agent.commands.action import Failed


async def test_its_output_and_status_are_the_result():
    assert await custom.run(["sh", "-c", "echo out; echo err >&2"], {}) == {"exit_status": 0, "output": "out\nerr\n"}


async def test_it_reads_the_payload_as_json():
    assert (await custom.run(["cat"], {"level": 3}))["output"] == '{"level": 3}'


async def test_the_output_is_cut_and_the_program_not_blocked():
    detail = await custom.run(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"], {})
    assert detail == {"exit_status": 0, "output": "x" * 4096}


async def test_what_is_not_text_is_replaced():
    detail = await custom.run(["printf", "a\\000\\377b"], {})
    assert detail["output"] == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"


async def test_a_failure_tells_its_status_and_output():
    with pytest.raises(Failed) as caught:
        await custom.run(["sh", "-c", "echo no; exit 3"], {})
    assert (caught.value.code, caught.value.detail) == ("exit_status", {"exit_status": 3, "output": "no\n"})


async def test_a_missing_program_is_named():
    with pytest.raises(Failed, match="/nowhere/program"):
        await custom.run(["/nowhere/program"], {})


async def test_nothing_is_left_of_a_cancelled_one(tmp_path):
    started = tmp_path / "started"
    os.mkfifo(started)
    task = asyncio.create_task(custom.run(["sh", "-c", f"sleep 60 & echo $! > {started}; wait"], {}))
    child = int(await asyncio.to_thread(started.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(child)


async def gone(pid):
    """Wait for the end of a process that is not our child."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = await asyncio.to_thread(select.select, [process], [], [], 30)
    os.close(process)
    assert ended, "it lives on"
