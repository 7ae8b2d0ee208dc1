"""Commands that the owner of the device allows by configuration: a program with fixed arguments."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from device_agent.commands.action import Failed

RUN_S = 55.0
"""The hub waits 60 s for the result of a custom command."""

OUTPUT_BYTES = 4096


GONE_S = 2.0
"""For the end of a killed program to be noticed; what it started in a session of its own may hold its output open."""


async def run(command: Sequence[str], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Run without a shell, the payload as JSON on standard input; the result's detail. Raises Failed. Nothing that the
    program started is left when this is cancelled."""
    # Not interrupted half way: the group of a process that is not known yet could not be killed.
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    )
    try:
        async with asyncio.timeout(RUN_S):
            process = await asyncio.shield(starting)
            status, output = await _converse(process, json.dumps(dict(payload)).encode())
    except TimeoutError:
        raise Failed("timeout", f"{command[0]} did not end within {RUN_S:g} s.") from None
    except OSError as error:
        raise Failed("command_failed", f"{command[0]} could not be started: {error.strerror}.") from None
    finally:
        await _end(starting)
    detail = {"exit_status": status, "output": output.replace("\0", "\N{REPLACEMENT CHARACTER}")}
    if status != 0:
        raise Failed("exit_status", f"{command[0]} exited with {status}.", detail)
    return detail


async def _converse(process: asyncio.subprocess.Process, given: bytes) -> tuple[int, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)  # not drained: it need not read its input
    process.stdin.close()
    output = await _beginning(process.stdout)
    return await process.wait(), output.decode(errors="replace")


async def _end(starting: asyncio.Future[asyncio.subprocess.Process]) -> None:
    try:
        process = await starting
    except OSError:
        return
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
            async with asyncio.timeout(GONE_S):
                await process.wait()
        except (ProcessLookupError, TimeoutError):
            pass


async def _beginning(stream: asyncio.StreamReader) -> bytes:
    """The first bytes of `stream`, read to its end so that the writer never blocks."""
    kept = b""
    while data := await stream.read(4096):
        kept += data[: OUTPUT_BYTES - len(kept)]
    return kept
