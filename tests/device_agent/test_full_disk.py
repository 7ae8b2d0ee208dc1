"""A disk that is full for a while: what must be durable is written when there is room again, and nothing else stops."""

import asyncio
import contextlib
import os
import sys
import threading
from pathlib import Path

import pytest

from device_agent.connection import tokens
from device_agent.content.cache import Cache, write_whole
from device_agent.content.download import DownloadFault
from device_agent.content.plays import PlayLog
from device_agent.content.program import Asset
from device_agent.journal import Journal
from device_agent.memory import Memory
from hub.protocol.messages import Ack, Cancel, Play, Plays, PlaysOk, Result, ResultOk, Telemetry
from tests.device_agent.commands.test_runner import life, ran  # noqa: F401
from tests.device_agent.content.test_manifest_sync import publish
from tests.device_agent.refusal import forbidden, full, refused, small_disk
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
REFUSED = "is not taken yet"
PADDED = {"pad": "x" * 150_000}  # more than the journal has room for in what it has taken of the disk before


class Process:
    """The real agent. `said` waits for a word in its log."""

    def __init__(self, process: asyncio.subprocess.Process, state: Path) -> None:
        self.pid = process.pid
        self.state = state
        self._process = process

    async def said(self, words: str) -> None:
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self._process.stderr.readline():
                if words in line.decode():
                    return
        raise AssertionError(f"it ended before it said {words!r}")

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


@contextlib.asynccontextmanager
async def agent(hub, tmp_path: Path, state: Path):
    (tmp_path / "token").write_text(hub.token)
    (tmp_path / "agent.toml").write_text(
        f'[custom.count]\ncommand = ["sh", "-c", "echo x >> {tmp_path}/ran"]\nrepeat = "once"\n'
        f'[custom.wait]\ncommand = ["cat", "{tmp_path}/gate"]\nrepeat = "once"\n'
    )
    os.mkfifo(tmp_path / "gate")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "device_agent.cli", "run", "--hub", hub.url, "--state", str(state),
        "--player", "simulated", "--token-file", str(tmp_path / "token"),
        "--config", str(tmp_path / "agent.toml"), "--log-level", "warning",
        stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    one = Process(process, state)
    try:
        yield one
    finally:
        await one.end()


@pytest.fixture(params=["full", "forbidden"])
async def disk(request, hub, tmp_path):
    """(a running agent, a block in which its disk takes nothing): a file system that is full, or a limit of the
    process, which needs no root."""
    with contextlib.ExitStack() as stack:
        state = tmp_path / "state"
        if request.param == "full":
            folder = stack.enter_context(small_disk(tmp_path / "disk"))
            if folder is None:
                pytest.skip("a file system of its own takes root")
            state = folder / "state"
        async with agent(hub, tmp_path, state) as process:
            yield process, (lambda: full(state.parent)) if request.param == "full" else lambda: forbidden(process.pid)


async def test_a_command_that_met_a_full_disk_is_taken_when_there_is_room(hub, disk, tmp_path):
    process, nothing_fits = disk
    connection = await hub.welcomed()
    with nothing_fits():
        await connection.command("c1", "custom:count", PADDED, "once")
        await connection.command("c2", "set_volume", {"volume": 30}, "idempotent")
        await process.said(REFUSED)
        assert not (tmp_path / "ran").exists()
    await connection.hear(Ack, id="c1")
    await connection.hear(Result, id="c1")
    if not any(isinstance(message, Result) for message in connection.passed):  # c2 may have found room before c1
        await connection.hear(Result, id="c2")
    assert (tmp_path / "ran").read_text() == "x\n"
    assert hub.count == 1  # one connection: what else the device says goes on meanwhile


async def test_an_outcome_that_met_a_full_disk_is_told_when_there_is_room(hub, disk, tmp_path):
    process, nothing_fits = disk
    connection = await hub.welcomed()
    await connection.command("c1", "custom:wait", delivery="once")
    gate = await asyncio.to_thread(os.open, tmp_path / "gate", os.O_WRONLY)  # opens when the command runs
    with nothing_fits():
        os.close(gate)
        await process.said("trying again")
        assert not any(isinstance(message, Result) for message in connection.passed)
    assert (await connection.hear(Result, id="c1")).status == "succeeded"


# The rules, with a journal whose writes are refused


async def test_what_was_not_written_is_taken_once_however_often_it_is_asked(life, ran, tmp_path):  # noqa: F811
    async with life() as bench:
        with refused(tmp_path / "journal.db", "INSERT ON entry"):
            await bench.send("c1", "quick")
            await bench.send("c1", "quick")
            await bench.rested.wait()
            assert bench.acks == []
        assert (await bench.outcome("c1")).status == "succeeded"
        await bench.send("c2", "quick")
        await bench.outcome("c2")
    assert (ran, bench.acks) == (["c1", "c2"], ["c1", "c2"])


async def test_what_was_called_back_before_it_was_written_never_runs(life, ran, tmp_path):  # noqa: F811
    async with life() as bench:
        with refused(tmp_path / "journal.db", "INSERT ON entry"):
            await bench.send("c1", "quick")
            await bench.rested.wait()
            await bench.runner.put(Cancel(id="c1"))
            await bench.send("c1", "quick")
        assert (await bench.outcome("c1")).status == "cancelled"
    assert ran == []


async def test_what_was_not_written_ends_with_its_connection(life, ran, tmp_path):  # noqa: F811
    async with life() as bench:
        with refused(tmp_path / "journal.db", "INSERT ON entry"):
            await bench.send("c1", "quick")
            await bench.rested.wait()
            assert await bench.runner.told() == []
        await bench.send("c2", "quick")
        await bench.outcome("c2")
        assert [entry.id for entry in await bench.runner.told()] == ["c2"]
    assert ran == ["c2"]


async def test_what_an_older_connection_brought_is_in_the_next_hello_or_not_taken(life, ran):  # noqa: F811
    async with life() as bench:
        await bench.send("c1", "quick")  # in the inbox, and nobody has looked at it yet
        assert await bench.runner.told() == []
        await bench.send("c2", "quick")
        await bench.outcome("c2")
    assert ran == ["c2"]


async def test_what_the_disk_refuses_until_its_deadline_never_starts(life, ran, tmp_path):  # noqa: F811
    async with life() as bench:
        with refused(tmp_path / "journal.db", "UPDATE ON entry WHEN NEW.state = 'running'"):
            await bench.send("c1", "quick", in_s=60)
            await bench.rested.wait()
            bench.mono = 61.0
        result = await bench.outcome("c1")
    assert (result.status, result.error.code, ran) == ("rejected", "expired", [])


async def test_a_confirmation_is_written_when_there_is_room(life, tmp_path):  # noqa: F811
    async with life() as bench:
        await bench.send("c1")
        await bench.outcome("c1")
        with refused(tmp_path / "journal.db", "UPDATE ON entry WHEN NEW.confirmed_at > 0"):
            await bench.runner.put(ResultOk(id="c1"))
            await bench.runner.put(ResultOk(id="c1"))
            await bench.rested.wait()
        await until(lambda: bench.runner.told(), [])
    assert await reread(tmp_path) == []


async def test_a_start_does_not_wait_for_a_full_disk(life, tmp_path):  # noqa: F811
    async with life() as bench:
        await bench.send("c1", "once", "once")
        await bench.start_of("c1")
    with refused(tmp_path / "journal.db", "UPDATE ON entry"):
        async with life(welcomed=False, proof={"after": 2}) as bench:
            assert [entry.state for entry in await bench.runner.told()] == ["running"]
            await bench.runner.put(Cancel(id="c1"))  # it is over: that cannot be changed any more
            await bench.rested.wait()
            bench.clock.set(1)
    async with life(proof={"after": 2}) as bench:
        (entry,) = await bench.runner.told()
        assert (entry.result.status, entry.result.detail) == ("succeeded", {"after": 2})


async def until(look, wanted) -> None:
    """What is written by others is there at some moment."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await look() == wanted:
                return
            await asyncio.sleep(0)


async def recalled(tmp_path: Path) -> dict:
    journal = Journal(tmp_path / "journal.db")
    await journal.open()
    try:
        return (await journal.recall("p")).get("settings", {})
    finally:
        await journal.close()


async def reread(tmp_path: Path) -> list:
    journal = Journal(tmp_path / "journal.db")
    await journal.open()
    try:
        return await journal.load("p")
    finally:
        await journal.close()


# What else is on the disk


@pytest.fixture
async def journal(tmp_path):
    journal = Journal(tmp_path / "journal.db")
    await journal.open()
    yield journal
    await journal.close()


class Rest:
    """Stands in for sleep: says that somebody rests, and lets him go on when told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.over = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.begun.release()
        await self.over.acquire()


@contextlib.asynccontextmanager
async def underway(work):
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def play(number: int) -> Play:
    return Play(id=f"p{number}", asset_id=1, started_at="2026-01-01T00:00:00Z", duration_s=5, completed=True)


async def kept(journal) -> list[str]:
    return [play.id for _, play in await journal.plays("p", 10)]


async def test_a_value_is_kept_when_there_is_room_and_the_newest_wins(journal, tmp_path):
    rest = Rest()
    memory = Memory("p", journal, sleep=rest)
    async with underway(memory.run()):
        with refused(tmp_path / "journal.db", "INSERT ON memory"):
            await memory.keep("settings", {"volume": 1})
            await memory.keep("settings", {"volume": 2})
            await memory.keep("clock", 3)
            await rest.begun.acquire()
            rest.over.release()
            await rest.begun.acquire()
        rest.over.release()
        await until(lambda: journal.recall("p"), {"settings": {"volume": 2}, "clock": 3})


async def test_showings_that_a_full_disk_refused_are_proven_all_the_same(journal, tmp_path):
    rest, sent = Rest(), asyncio.Queue()
    plays = PlayLog("p", journal, lambda message: sent.put_nowait(message) or True, sleep=rest)
    with refused(tmp_path / "journal.db", "INSERT ON play"):
        for number in range(3):
            await plays.keep(play(number))
    async with underway(plays.write()):
        await rest.begun.acquire()
        rest.over.release()
        await until(lambda: kept(journal), ["p0", "p1", "p2"])
        async with asyncio.timeout(PATIENCE_S), underway(plays.run()):
            told = await sent.get()
    assert [entry.id for entry in told.entries] == ["p0", "p1", "p2"]


async def test_a_confirmation_of_showings_on_a_full_disk_ends_nothing(journal, tmp_path):
    sent: asyncio.Queue[Plays] = asyncio.Queue()
    plays = PlayLog("p", journal, lambda message: sent.put_nowait(message) or True, sleep=Rest())
    await plays.keep(play(1))
    async with underway(plays.run()):
        async with asyncio.timeout(PATIENCE_S):
            told = await sent.get()
        with refused(tmp_path / "journal.db", "DELETE ON play"):
            await plays.confirmed(PlaysOk(batch=told.batch))
    assert await kept(journal) == ["p1"]  # and told again: the hub knows its id


async def test_settings_and_telemetry_go_on_with_a_full_disk(hub, start_agent, tmp_path):
    hub.telemetry_s = 60
    async with start_agent():
        connection = await hub.welcomed()
        await connection.hear(Telemetry)
        with refused(tmp_path / "journal.db", "INSERT ON memory"):
            await connection.command("c1", "set_volume", {"volume": 30}, "idempotent")
            result = await connection.hear(Result, id="c1")
            assert (result.status, result.detail) == ("succeeded", {"volume": 30})
            await connection.command("c2", "lock", {"pin": "1234"}, "idempotent")
            assert (await connection.hear(Result, id="c2")).detail == {"locked": True}
        desired = {"volume": 30, "locked": True, "pin": "1234"}
        await until(lambda: recalled(tmp_path), desired)


async def test_a_new_program_plays_although_it_cannot_be_stored(hub, start_agent, tmp_path):
    publish(hub, "r1")
    (tmp_path / "manifest.json.new").mkdir()  # nothing can be written there
    async with start_agent() as agent:
        connection = await hub.welcomed()
        await connection.command("c1", "reload_content", {}, "idempotent")
        assert (await connection.hear(Result, id="c1")).detail == {"revision": "r1"}
        assert not (tmp_path / "manifest.json").exists()
        (tmp_path / "manifest.json.new").rmdir()
        agent._following.look()
        await until(lambda: asyncio.to_thread((tmp_path / "manifest.json").exists), True)


@pytest.fixture
def own_disk(tmp_path):
    with small_disk(tmp_path / "disk") as folder:
        if folder is None:
            pytest.skip("a file system of its own takes root")
        yield folder


def test_what_is_fetched_leaves_room_for_the_journal(own_disk):
    cache = Cache(own_disk / "downloads", 1 << 30)
    asset = Asset(1, "video", "Film", "", "0" * 64, 4_000_000, None)
    with pytest.raises(DownloadFault, match="do not fit") as refusal:
        cache.fetch("http://127.0.0.1:9", "token", asset, (), threading.Event())
    assert not refusal.value.final  # there may be room later
    assert list((own_disk / "downloads").iterdir()) == []


def test_what_is_not_needed_makes_room_on_a_small_disk(own_disk):
    folder = own_disk / "downloads"
    folder.mkdir()
    (folder / ("1" * 64)).write_bytes(bytes(2_000_000))
    asset = Asset(1, "video", "Film", "", "0" * 64, 3_000_000, None)
    with pytest.raises(DownloadFault, match="did not arrive"):  # nobody listens there
        Cache(folder, 1 << 30).fetch("http://127.0.0.1:9", "token", asset, (), threading.Event())
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_replaced_leaves_the_old_one_and_nothing_else(own_disk):
    write_whole(own_disk / "manifest.json", b"old")
    tokens.store(own_disk, "old")
    with full(own_disk):
        for attempt in (
            lambda: write_whole(own_disk / "manifest.json", bytes(100_000)),
            lambda: tokens.store(own_disk, "new"),
        ):
            with pytest.raises(OSError):
                attempt()
        assert {path.name for path in own_disk.iterdir()} == {"manifest.json", "token", "filler"}
    assert ((own_disk / "manifest.json").read_bytes(), tokens.load(own_disk)) == (b"old", "old")
