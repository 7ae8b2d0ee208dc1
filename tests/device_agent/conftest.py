"""A real agent with the simulated player and machine, a journal on disk, and a hub at the far end of a real socket."""

import asyncio
import contextlib
import random

import pytest

from device_agent.agent import Agent, Options
from device_agent.journal import Journal
from device_agent.players.simulated import SimulatedPlayer
from device_agent.reports.logs import RecentLines
from device_agent.system.simulated import SimulatedSystem
from tests.device_agent.far_hub import far_hub
from tests.waiting import PATIENCE_S


class Pauses:
    """Stands in for sleep: says which pauses were asked for, and ends one only when told to."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self._pending: list[asyncio.Event] = []

    async def __call__(self, seconds: float) -> None:
        over = asyncio.Event()
        self._pending.append(over)
        self.asked.put_nowait(seconds)
        await over.wait()

    async def next(self) -> float:
        async with asyncio.timeout(PATIENCE_S):
            return await self.asked.get()

    def end(self) -> None:
        for over in self._pending:
            over.set()
        self._pending.clear()


@pytest.fixture
async def hub():
    async with far_hub() as hub:
        yield hub


@pytest.fixture
def pauses():
    return Pauses()


async def no_pause(seconds: float) -> None:
    """Backoff that costs no time; a turn of the loop, so that a hub that refuses cannot be asked without end."""
    await asyncio.sleep(0)


@pytest.fixture
def start_agent(tmp_path, hub):
    """`async with start_agent(...) as agent`: runs until the block ends, then says goodbye. Keyword arguments replace
    parts; `options` are of `Options`."""

    @contextlib.asynccontextmanager
    async def start(*, kill=False, options=None, **parts):
        system = parts.pop("system", None) or SimulatedSystem(tmp_path, reboot_command=parts.pop("reboot_command", ()))
        journal = Journal(tmp_path / "journal.db")
        await journal.open()
        agent = Agent(
            Options(**{"hub_url": hub.url, "key": "p", "state": tmp_path, "name": "Test", **(options or {})}),
            **{
                "token": hub.token,
                "player": SimulatedPlayer("Test"),
                "system": system,
                "journal": journal,
                "logs": RecentLines(),
                "chance": random.Random(1),
                "sleep": no_pause,
                **parts,
            },
        )
        running = asyncio.create_task(agent.run())
        agent.running = running
        try:
            yield agent
        finally:
            if kill:
                running.cancel()
            else:
                agent.stop()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await asyncio.gather(running, return_exceptions=True)
            finally:
                await journal.close()
            if not running.cancelled() and running.exception() is not None and not kill:
                raise running.exception()

    return start
