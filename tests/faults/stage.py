"""Processes under test and who restarts them: lives in the nursery, victims that come back without their failpoint."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from device_agent.command_line import REBOOTED
from tests.faults.failpoints import Kill, Role
from tests.harness import Hub

ROOT = Path(__file__).parent.parent.parent
START_S = 30.0  # from birth to the first answer
END_S = 25.0  # from SIGTERM to the end of a process, before it counts as stuck


@dataclass(slots=True, eq=False)
class Life:
    """One process from its birth to its end. `status` is that of subprocess: minus the signal that killed it."""

    number: int
    log: Path
    born: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    over: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def signal(self, number: int) -> None:
        pid = await self.born
        if not self.over.done():
            os.kill(pid, number)

    async def stop(self) -> int:
        """SIGTERM, and the exit status. Raises TimeoutError when it does not end."""
        await self.signal(signal.SIGTERM)
        async with asyncio.timeout(END_S):
            return await asyncio.shield(self.over)

    async def kill(self) -> None:
        await self.signal(signal.SIGKILL)
        await self.over

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Nursery:
    """The process of `nursery.py`. It outlives event loops; within one, use it inside `attached()`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._numbers = itertools.count(1)
        self._lives: dict[int, Life] = {}
        self._told = b""

    @asynccontextmanager
    async def attached(self) -> AsyncIterator["Nursery"]:
        """Whoever still lives at the end of the block is killed."""
        assert self._process.stdout is not None
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process.stdout.fileno(), self._heard)
        try:
            yield self
        finally:
            for life in list(self._lives.values()):
                await life.kill()
            loop.remove_reader(self._process.stdout.fileno())

    def bear(self, role: Role, log: Path, **options: Any) -> Life:
        """A new process; its output goes to `log`."""
        assert self._process.stdin is not None
        life = self._lives.setdefault(number := next(self._numbers), Life(number, log))
        order = {"number": number, "role": role, "log": str(log), "options": options}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return life

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _heard(self) -> None:
        assert self._process.stdout is not None
        data = os.read(self._process.stdout.fileno(), 65_536)
        if not data:
            asyncio.get_running_loop().remove_reader(self._process.stdout.fileno())
            for life in self._lives.values():
                for end in (life.born, life.over):
                    if not end.done():
                        end.set_exception(RuntimeError("the nursery is gone"))
            self._lives.clear()
            return
        *lines, self._told = (self._told + data).split(b"\n")
        for line in lines:
            news = json.loads(line)
            if "pid" in news:
                self._lives[news["number"]].born.set_result(news["pid"])
            else:
                self._lives.pop(news["number"]).over.set_result(news["status"])


@contextmanager
def nursery() -> Iterator[Nursery]:
    born = Nursery()
    try:
        yield born
    finally:
        born.close()


@dataclass(frozen=True, slots=True)
class Death:
    """A failpoint that was reached, at this Unix time in milliseconds."""

    kill: Kill
    at: int


class Victim:
    """One role, kept alive: killed at its failpoints one after the other, and started again at once."""

    def __init__(
        self,
        nursery: Nursery,
        role: Role,
        folder: Path,
        kills: Sequence[Kill],
        options: Callable[[], dict[str, Any]],
    ) -> None:
        self.deaths: list[Death] = []
        self.violations: list[str] = []
        self.stopping = False
        self._nursery = nursery
        self._role: Role = role
        self._folder = folder
        self._due = deque(kill for kill in kills if kill.victim == role)
        self._options = options
        self._life: Life | None = None

    @property
    def due(self) -> list[Kill]:
        """Failpoints that were not reached yet."""
        return list(self._due)

    async def keep(self) -> None:
        """Live, die and come back, until `stop` or a death of another kind."""
        while not self.stopping:
            kill = self._due[0] if self._due else None
            failpoint = None
            if kill is not None:
                tally = self._folder / f"{self._role}-{len(self.deaths)}.tally"
                failpoint = {"step": kill.step, "nth": kill.nth, "tally": str(tally)}
            self._life = self._nursery.bear(
                self._role, self._folder / f"{self._role}.log", failpoint=failpoint, **self._options()
            )
            status = await self._life.over
            if status == -signal.SIGKILL and kill is not None:
                self._due.popleft()
                self.deaths.append(Death(kill, now_ms()))
            elif status != (REBOOTED if self._role == "agent" else None) and not self.stopping:
                self.violations.append(f"the {self._role} ended by itself with status {status}")
                return

    async def stop(self) -> None:
        """A clean end."""
        self.stopping = True
        if self._life is not None:
            try:
                status = await self._life.stop()
            except TimeoutError:
                self.violations.append(f"the {self._role} does not stop on SIGTERM")
                await self._life.kill()
            else:
                if status != 0:
                    self.violations.append(f"the {self._role} stopped on SIGTERM with status {status}")


class RemoteHub(Hub):
    """A hub in a process of its own: there is nothing to look into but what it answers."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self.url = f"http://127.0.0.1:{port}"
        self.client = self.as_(key)

    async def answers(self, life: Life) -> None:
        """Wait until this process, which is to be the hub, does what it is there for."""
        async with asyncio.timeout(START_S):
            while not await self.healthy():
                assert not life.over.done(), life.said()
                await asyncio.sleep(0.02)  # a process that starts has no event to await

    async def healthy(self) -> bool:
        try:
            return (await self.client.get("/healthz")).status_code == 200
        except httpx2.TransportError:
            return False


@asynccontextmanager
async def remote_hub(life: Life, port: int, key: str) -> AsyncIterator[RemoteHub]:
    """The hub that this process is, once it answers."""
    hub = RemoteHub(port, key)
    try:
        await hub.answers(life)
        yield hub
    finally:
        await hub.client.aclose()


def now_ms() -> int:
    return time.time_ns() // 1_000_000
