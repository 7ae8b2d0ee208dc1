"""Our own programs, started as a user starts them, each in a process of its own."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LINE_S = 40.0  # for a line that is waited for; on a busy machine programs start slowly
END_S = 40.0


class Program:
    """`lines` is all that it has written so far, both streams in one."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.lines: list[str] = []
        self._read = 0

    async def line(self, pattern: str, within_s: float = LINE_S) -> re.Match[str]:
        """The next line in which `pattern` is found; those before it are passed over."""
        async with asyncio.timeout(within_s):
            while True:
                while self._read < len(self.lines):
                    self._read += 1
                    if found := re.search(pattern, self.lines[self._read - 1]):
                        return found
                if not await self._next():
                    raise AssertionError(f"{self.name} ended without a line like {pattern}: {self.text()}")

    async def end(self) -> int:
        """The exit status, once it ends by itself."""
        async with asyncio.timeout(END_S):
            while await self._next():
                pass
            return await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.end()

    def text(self) -> str:
        return "\n".join(self.lines)

    async def _next(self) -> bool:
        assert self.process.stdout is not None
        data = await self.process.stdout.readline()
        if data:
            self.lines.append(data.decode(errors="replace").rstrip("\n"))
        return bool(data)


class Programs:
    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack

    async def hub(self, *arguments: str, **environment: str) -> Program:
        return await self._start("hub", *arguments, **environment)

    async def agent(self, *arguments: str, **environment: str) -> Program:
        return await self._start("device_agent.cli", *arguments, **environment)

    async def shell(self, script: str, **environment: str) -> Program:
        """Lines for a shell. The last one takes its place, so that a signal reaches that program."""
        *lines, last = script.strip().splitlines()
        return await self._spawn(script, "bash", "-euc", "\n".join([*lines, f"exec {last}"]), **environment)

    async def _start(self, module: str, *arguments: str, **environment: str) -> Program:
        command = (sys.executable, "-m", module, *arguments)
        return await self._spawn(f"{module} {' '.join(arguments)}", *command, **environment)

    async def _spawn(self, name: str, *command: str, **environment: str) -> Program:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "AGENT_"))}
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self._folder,
            env=inherited | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._stack.push_async_callback(_away, process)
        return Program(name, process)


async def _away(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


@asynccontextmanager
async def programs(folder: Path) -> AsyncIterator[Programs]:
    """Those that still run at the end of the block are killed."""
    async with AsyncExitStack() as stack:
        yield Programs(folder, stack)
