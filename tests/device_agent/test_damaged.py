"""A device whose disk has lost or mangled what the agent keeps: the agent starts all the same, as a process of its own,
against a hub in this one."""

import contextlib
import json
import os
import sqlite3

import pytest

from device_agent.aside import KEPT, put_aside
from device_agent.journal import Entry, Journal
from hub.protocol.messages import Play, Plays, Result
from tests.device_agent.test_cli import device_agent, ending

DEVICE = "device"
WHEN = "2026-01-01T00:00:00Z"


@pytest.fixture
async def state(tmp_path):
    """A state folder with something of everything in it."""
    state = tmp_path / "state"
    state.mkdir()
    journal = Journal(state / "journal.db")
    await journal.open()
    for number in range(60):
        await journal.keep_play(
            DEVICE, Play(id=f"p-{number}", asset_id=1, started_at=WHEN, duration_s=1, completed=True)
        )
    await journal.accept(DEVICE, Entry(id="c-old", command="identify", payload={}, delivery="once", expires_at=1))
    await journal.remember(DEVICE, "settings", {"volume": 30})
    await journal.greeted(DEVICE)
    await journal.close()
    return state


def run(hub, state):
    token = state.parent / "token.txt"
    token.write_text(hub.token)
    return device_agent("run", "--hub", hub.url, "--state", state, "--player", "simulated", "--token-file", token)


def overwritten(path, start):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom(size - start))


def other_tables(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE entry (other)")


def a_folder(path):
    path.unlink()
    (path / "deep").mkdir(parents=True)


def a_link(path):
    path.unlink()
    path.symlink_to("/nonexistent/x")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: overwritten(path, 0),
        lambda path: overwritten(path, 4_096),
        lambda path: os.truncate(path, 5_000),
        other_tables,
        a_folder,
        a_link,
    ],
    ids=["garbage", "pages", "truncated", "other tables", "folder", "dangling link"],
)
async def test_a_damaged_journal_is_put_aside_and_the_hub_is_told(hub, state, damage):
    damage(state / "journal.db")
    async with run(hub, state) as process:
        connection = await hub.welcomed()
        assert (connection.hello.journal, connection.hello.new_journal) == ([], True)
        await connection.command("c-1", "set_volume", {"volume": 7}, "idempotent")
        assert (await connection.hear(Result)).status == "succeeded"
        connection.cut()
        assert (await hub.welcomed()).hello.new_journal is None
        process.terminate()
        status, _, err = await ending(process)
    assert (status, "Traceback" in err) == (0, False)
    assert "journal.db cannot be used and is journal.db.damaged-1 now" in err
    assert "journal.db.damaged-1" in os.listdir(state)


async def test_a_journal_that_is_gone_is_a_new_one_until_the_hub_has_heard_of_it(hub, state):
    async with run(hub, state):
        before = (await hub.welcomed()).hello.journal_id
    (state / "journal.db").unlink()
    async with run(hub, state):
        hello = (await hub.welcomed()).hello
        assert hello.new_journal is True
        assert hello.journal_id not in (None, before)
    async with run(hub, state) as process:  # killed before; what was not written is told again
        assert (await hub.welcomed()).hello.journal_id == hello.journal_id
        process.terminate()
        assert (await ending(process))[0] == 0
    async with run(hub, state):
        assert (await hub.welcomed()).hello.new_journal is None


def changed(state, statement, *values):
    with contextlib.closing(sqlite3.connect(state / "journal.db")) as db, db:
        db.execute(statement, values)


@pytest.mark.parametrize("value", ["{", "", b"\xff\xfe", "[1]", "7", "null", '"text"', "{}", "[" * 5_000, "true"])
async def test_nothing_that_is_remembered_wrongly_stops_a_start(hub, state, value):
    for name in ("settings", "clock", "name", "picture"):
        changed(state, "INSERT OR REPLACE INTO memory (player, name, value) VALUES ('device', ?, ?)", name, value)
    async with run(hub, state) as process:
        assert (await hub.welcomed()).hello.new_journal is None
        process.terminate()
        status, _, err = await ending(process)
    assert (status, "Traceback" in err) == (0, False), err


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("payload", "{"),
        ("payload", "[]"),
        ("payload", b"\xff"),
        ("payload", None),
        ("command", b"\x00\x01"),
        ("delivery", "twice"),
        ("expires_at", "soon"),
        ("state", "gone"),
        ("state", "finished"),
        ("evidence", "[1]"),
        ("result", "{"),
    ],
)
async def test_a_command_that_cannot_be_read_has_failed_and_is_told(hub, state, column, value):
    changed(state, f"UPDATE entry SET {column} = ?", value)
    async with run(hub, state) as process:
        connection = await hub.welcomed()
        [entry] = connection.hello.journal
        assert (entry.id, entry.state) == ("c-old", "finished")
        assert (entry.result.status, entry.result.error.code) == ("failed", "journal_lost")
        process.terminate()
        assert (await ending(process))[0] == 0
    assert hub.confirm


async def test_showings_that_cannot_be_read_do_not_keep_the_others(hub, state):
    changed(state, "UPDATE play SET entry = '{' WHERE number % 3 = 0")
    changed(state, "UPDATE play SET entry = '{\"id\":7}' WHERE number % 3 = 1")
    async with run(hub, state):
        connection = await hub.welcomed()
        assert len((await connection.hear(Plays)).entries) == 20


@pytest.mark.parametrize(
    "token", [b"\xff\xfe\x00", b"a\r\nX: b\n", "sbp_é".encode(), b"x" * 100_000, b"two words", None], ids=str
)
async def test_with_a_damaged_token_it_offers_to_be_paired_and_plays(tmp_path, token):
    if token is None:
        (tmp_path / "token").mkdir()
    else:
        (tmp_path / "token").write_bytes(token)
    async with device_agent("run", "--hub", "http://127.0.0.1:1", "--state", tmp_path, "--player", "simulated") as one:
        lines = b""
        while b"not paired" not in lines:
            line = await one.stderr.readline()
            assert line, lines
            lines += line
        one.terminate()
        assert (await ending(one))[0] == 0
    assert b"Traceback" not in lines
    assert "token.damaged-1" in os.listdir(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "", "[]", "{}", '{"boot_id": 1}', '{"boot_id": "a", "hardware_id": "b", "booted_s": "x"}', None]
)
async def test_a_damaged_machine_is_another_one(hub, state, text):
    if text is None:
        (state / "machine.json").mkdir()
    else:
        (state / "machine.json").write_text(text)
    async with run(hub, state):
        assert len((await hub.welcomed()).hello.hardware_id) == 32
    assert len(json.loads((state / "machine.json").read_text())["boot_id"]) == 32


@pytest.mark.parametrize("name", ["manifest.json", "downloads", "lock", "hardware_id"])
async def test_what_is_a_file_or_a_folder_in_the_wrong_place_stops_no_start(hub, state, name):
    if name == "downloads":
        (state / name).write_text("x")
    else:
        (state / name / "deep").mkdir(parents=True)
    async with run(hub, state) as process:
        await hub.welcomed()
        process.terminate()
        status, _, err = await ending(process)
    assert (status, "Traceback" in err) == (0, False), err


def test_what_is_put_aside_is_bounded(tmp_path):
    path = tmp_path / "journal.db"
    for number in range(KEPT + 3):
        path.write_text(str(number))
        (tmp_path / "journal.db-wal").write_text(str(number))
        put_aside(path, "it is damaged", endings=("-wal",))
    assert not path.exists()
    assert len(list(tmp_path.glob("journal.db.damaged-?"))) == KEPT
    assert len(list(tmp_path.glob("journal.db.damaged-?-wal"))) == KEPT
    assert any(file.read_text() == str(KEPT + 2) for file in tmp_path.iterdir())
