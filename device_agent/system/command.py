"""Runs one of the commands that the owner of the device configured."""

import asyncio
from collections.abc import Sequence

from device_agent.system.base import SystemFault

COMMAND_S = 60.0  # `systemctl reboot` returns at once; a CEC adapter takes some seconds
OUTPUT_BYTES = 500  # of its complaint, for the error message


async def run(command: Sequence[str]) -> None:
    """Return once `command` (a program and its arguments, no shell) has exited with 0. Raises SystemFault."""
    if not command:
        raise SystemFault("command_failed", "No command is configured for this.")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise SystemFault("command_failed", f"{command[0]} could not be started: {error.strerror}.") from None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(COMMAND_S):
            complaint = await _first_bytes(process.stderr)
            status = await process.wait()
    except TimeoutError:
        raise SystemFault("command_failed", f"{command[0]} did not end within {COMMAND_S:g} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0:
        detail = complaint.decode(errors="replace").strip()
        raise SystemFault("command_failed", f"{command[0]} exited with {status}{': ' if detail else ''}{detail}")


async def _first_bytes(stream: asyncio.StreamReader) -> bytes:
    """The beginning of `stream`, read to its end so that the writer never blocks."""
    kept = b""
    while data := await stream.read(4096):
        kept += data[: OUTPUT_BYTES - len(kept)]
    return kept
