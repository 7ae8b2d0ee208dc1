"""Group commit: durable answers, units that stand alone, and one writer's turn shared with ordinary sessions."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.domain.errors import Conflict, Unavailable
from hub.store import teams
from hub.store.database import Database
from hub.store.statements import Statement, Unit
from hub.store.tables import Meta
from hub.store.writer import QUEUE_LIMIT, SqliteWriter, _waves, _work

PUT = Statement("INSERT INTO meta (name, value) VALUES (:name, :value) RETURNING name")
CHANGE = Statement("UPDATE meta SET value = :value WHERE name = :name AND value = :before RETURNING name")
GET = Statement("SELECT value FROM meta WHERE name = :name")


def put(name: str, value: str = "") -> Unit:
    rows = yield PUT(name=name, value=value)
    return rows[0]["name"]


def change(name: str, before: str, value: str) -> Unit:
    rows = yield CHANGE(name=name, before=before, value=value)
    return bool(rows)


def get(name: str) -> Unit:
    rows = yield GET(name=name)
    return rows[0]["value"] if rows else None


def put_then_fail(name: str) -> Unit:
    yield PUT(name=name, value="")
    raise Conflict("on purpose")


def nothing() -> Unit:
    return "nothing"
    yield


async def test_many_units_at_once_get_each_its_own_answer(db: Database) -> None:
    names = [f"n{number}" for number in range(500)]
    assert await asyncio.gather(*(db.write(put, name) for name in names)) == names


async def test_a_bad_unit_fails_alone(db: Database) -> None:
    good = [db.write(put, f"good{number}") for number in range(5)]
    bad = [db.write(put, "good0", "twice"), db.write(put_then_fail, "undone")]
    outcomes = await asyncio.gather(*good, *bad, db.write(put, "last"), return_exceptions=True)
    assert outcomes[:5] == [f"good{number}" for number in range(5)]
    assert isinstance(outcomes[5], sqlite3.IntegrityError)
    assert isinstance(outcomes[6], Conflict)
    assert outcomes[7] == "last"
    assert await db.write(get, "undone") is None


async def test_units_of_one_key_keep_their_order(db: Database) -> None:
    await db.write(put, "counter", "0")
    steps = [db.write(change, "counter", str(number), str(number + 1), key="counter") for number in range(100)]
    assert all(await asyncio.gather(*steps))
    assert await db.write(get, "counter") == "100"


async def test_a_unit_without_statements_is_answered(db: Database) -> None:
    assert await db.write(nothing) == "nothing"


async def test_ordinary_transactions_and_units_do_not_lock_each_other_out(db: Database) -> None:
    async def ordinary(number: int) -> None:
        async with db.transaction() as session:
            session.add(Meta(name=f"session{number}", value=""))

    await asyncio.gather(
        *(ordinary(number) for number in range(20)), *(db.write(put, f"unit{number}") for number in range(200))
    )
    async with db.session() as session:
        assert await teams.fact(session, "session19") == ""
        assert await teams.fact(session, "unit199") == ""


async def test_a_failed_transaction_leaves_nothing_and_gives_the_turn_back(db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.transaction() as session:
            session.add(Meta(name="half", value=""))
            await session.flush()
            raise RuntimeError("on purpose")
    assert await db.write(get, "half") is None


async def test_a_caller_that_goes_away_does_not_undo_what_it_handed_over(db: Database) -> None:
    writing = asyncio.create_task(db.write(put, "kept"))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    await db.write(nothing)
    assert await db.write(get, "kept") == ""


async def test_stopping_commits_what_was_submitted(database_url: str) -> None:
    db = Database(database_url)
    await db.start()
    waiting = [db.submit(put, f"n{number}") for number in range(50)]
    await db.stop()
    assert all(future.done() for future in waiting)
    with pytest.raises(Unavailable):
        db.submit(put, "too late")
    again = Database(database_url)
    await again.start()
    assert await again.write(get, "n49") == ""
    await again.stop()


async def test_the_probe_hears_of_each_commit_before_and_after(database_url: str) -> None:
    heard: list[str] = []
    db = Database(database_url, probe=heard.append)
    await db.start()
    await db.write(put, "x")
    await db.stop()
    assert heard == ["before commit test_writer.put", "after commit test_writer.put"]


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Database]:
    """A database whose disk has no room for another page, once it is told so."""
    db = Database(f"sqlite:///{tmp_path}/hub.db")
    await db.start()
    yield db
    await db.stop()


async def test_a_full_disk_is_503_and_heals_by_itself(full: Database) -> None:
    limit = Statement("PRAGMA max_page_count = 1")
    room = Statement("PRAGMA max_page_count = 1000000")

    def run(statement: Statement) -> Unit:
        yield statement()

    await full.write(run, limit)  # SQLite takes the present size as the least
    with pytest.raises(Unavailable):
        for number in range(100):
            await full.write(put, f"big{number}", "x" * 4000)
    await full.write(run, room)
    assert await full.write(put, "after") == "after"


async def test_a_full_queue_refuses_before_it_loses(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/hub.db")
    await db.start()
    writer = db._writer
    assert isinstance(writer, SqliteWriter)
    async with writer.turn():  # nothing is committed while we hold the turn
        waiting = [db.submit(nothing) for _ in range(QUEUE_LIMIT)]
        with pytest.raises(Unavailable) as refusal:
            db.submit(nothing)
        assert refusal.value.retry_after
    assert set(await asyncio.gather(*waiting)) == {"nothing"}
    await db.stop()


async def test_waves_never_run_two_units_of_a_key_side_by_side() -> None:
    loop = asyncio.get_running_loop()
    works = [_work(loop, nothing, (), key, {}) for key in ("a", "b", "a", None, None, "a", "b")]
    waves = [[works.index(work) for work in wave] for wave in _waves(works)]
    assert waves == [[0, 1, 3, 4], [2, 6], [5]]
