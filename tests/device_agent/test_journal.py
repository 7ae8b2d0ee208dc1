"""The journal on disk: what it keeps, whatever dies."""

import asyncio
import signal
import subprocess
import sys

import pytest

from device_agent.journal import Entry, Journal, JournalError
from hub.protocol.messages import ErrorInfo, Result


def entry(id: str = "c1", **changes) -> Entry:
    fields = {"command": "reboot", "payload": {"a": [1, "ü"]}, "delivery": "once", "expires_at": 1_000}
    return Entry(id=id, **{**fields, **changes})


def result(id: str = "c1", **changes) -> Result:
    return Result(id=id, **{"status": "succeeded", "finished_at": "2026-01-01T00:00:00Z", "boot_id": "b", **changes})


@pytest.fixture
async def journal(tmp_path):
    journal = Journal(tmp_path / "deep" / "journal.db")
    await journal.open()
    yield journal
    await journal.close()


async def reopened(journal: Journal, tmp_path) -> Journal:
    await journal.close()
    await journal.open()
    return journal


async def test_everything_about_a_command_survives_a_restart_in_order(journal, tmp_path):
    seen = {"boot_id": "b0", "at": 5}
    failure = result("c3", status="failed", error=ErrorInfo(code="x", message="y"), detail={"z": None})
    for one in (entry("c2"), entry("c1"), entry("c3")):
        assert await journal.accept("p", one)
    await journal.start("p", entry("c1", started_at=7, evidence=seen))
    await journal.finish("p", failure)
    await reopened(journal, tmp_path)
    assert await journal.load("p") == [
        entry("c2"),
        entry("c1", state="running", started_at=7, evidence=seen),
        entry("c3", state="finished", result=failure),
    ]


async def test_an_id_is_accepted_once(journal):
    assert await journal.accept("p", entry())
    assert not await journal.accept("p", entry(command="other"))
    assert [one.command for one in await journal.load("p")] == ["reboot"]


async def test_a_confirmed_id_is_remembered_without_its_outcome_for_48_hours(journal):
    await journal.accept("p", entry())
    await journal.finish("p", result())
    await journal.confirm("p", "c1", now=0)
    assert await journal.load("p") == []
    assert not await journal.accept("p", entry())
    await journal.accept("p", entry("c2"))
    await journal.confirm("p", "c2", now=48 * 3_600_000)
    assert not await journal.accept("p", entry())
    await journal.accept("p", entry("c3"))
    await journal.confirm("p", "c3", now=48 * 3_600_000 + 1)
    assert await journal.accept("p", entry())


async def test_players_of_one_file_do_not_see_each_other(journal):
    assert await journal.accept("p", entry())
    assert await journal.accept("q", entry())
    await journal.finish("q", result())
    await journal.remember("q", "settings", {"volume": 3})
    assert [one.state for one in await journal.load("p")] == ["accepted"]
    assert await journal.recall("p") == {}
    assert await journal.recall("q") == {"settings": {"volume": 3}}


async def test_many_writes_at_once_are_all_kept(journal):
    added = await asyncio.gather(*(journal.accept("p", entry(f"c{n}")) for n in range(600)))
    assert all(added)
    assert [one.id for one in await journal.load("p")] == [f"c{n}" for n in range(600)]


async def test_a_write_that_fails_takes_no_other_with_it(journal):
    good, bad, also_good = await asyncio.gather(
        journal.accept("p", entry("c1")),
        journal.accept("p", entry("c2", expires_at=2**70)),
        journal.accept("p", entry("c3")),
        return_exceptions=True,
    )
    assert (good, also_good) == (True, True)
    assert isinstance(bad, JournalError)
    assert [one.id for one in await journal.load("p")] == ["c1", "c3"]


async def test_what_cannot_be_written_is_an_error_and_not_a_success(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="file"):
        await Journal(tmp_path / "file" / "journal.db").open()


async def test_a_closed_journal_takes_nothing(journal):
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.accept("p", entry())


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from device_agent.journal import Journal
from tests.device_agent.test_journal import entry, result

def probe(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    journal = Journal(Path(sys.argv[1]), probe=probe)
    await journal.open()
    await journal.accept("p", entry())
    await journal.start("p", entry(started_at=1, evidence={"seen": 1}))
    await journal.finish("p", result())
    await journal.confirm("p", "c1", 0)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("before journal accepted", []),
        ("after journal accepted", ["accepted"]),
        ("before journal running", ["accepted"]),
        ("after journal running", ["running"]),
        ("before journal finished", ["running"]),
        ("after journal finished", ["finished"]),
        ("before journal confirmed", ["finished"]),
        ("after journal confirmed", []),
    ],
)
async def test_a_killed_process_leaves_exactly_what_it_was_told_is_written(tmp_path, step, left):
    path = tmp_path / "journal.db"
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED, str(path), step], check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    journal = Journal(path)
    await journal.open()
    entries = await journal.load("p")
    assert [one.state for one in entries] == left
    if left in (["running"], ["finished"]):
        assert entries[0].evidence == {"seen": 1}
    assert await journal.accept("p", entry()) is (step == "before journal accepted")
    await journal.close()
