"""Group commit: durable answers, units that stand alone, and one writer's turn shared with ordinary sessions."""

import asyncio
import sqlite3
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from hub.domain.errors import Conflict, Unavailable
from hub.domain.events import Event
from hub.store import events, teams
from hub.store.database import Database
from hub.store.statements import Statement, Unit
from hub.store.tables import Meta
from hub.store.writer import QUEUE_LIMIT, PostgresWriter, SqliteWriter, _waves, _work
from tests.tcp_server import tcp_server
from tests.waiting import PATIENCE_S

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
    assert await waves("a", "b", "a", "c", "a", "b") == [[0, 1, 3], [2, 5], [4]]


async def test_a_unit_without_a_key_runs_beside_no_other() -> None:
    assert await waves("a", "b", None, "a", "b", None, None, "c") == [[0, 1], [2], [3, 4], [5], [6], [7]]


async def waves(*keys: object) -> list[list[int]]:
    loop = asyncio.get_running_loop()
    works = [_work(loop, nothing, (), key, {}) for key in keys]
    return [[works.index(work) for work in wave] for wave in _waves(works)]


async def test_a_commit_whose_answer_was_lost_is_not_run_again(database_url: str) -> None:
    """The rows are there, but nobody knows: each caller is told 503, and no unit writes twice."""
    heard: list[str] = []

    def probe(point: str) -> None:
        heard.append(point)
        if point == "after commit test_writer.put":
            raise ConnectionResetError("the network, just now")

    db = Database(database_url, probe=probe)
    await db.start()
    outcomes = await asyncio.gather(db.write(put, "a"), db.write(put, "b"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert heard.count("before commit test_writer.put") == 2
    assert await db.write(get, "a") == ""
    await db.stop()


async def test_a_database_that_cannot_be_reached_is_asked_once_for_a_whole_batch() -> None:
    """Each attempt may take seconds: a thousand of them in a row would outlast the outage by an hour."""
    attempts = 0

    async def hang_up(_reader: asyncio.StreamReader, _stream: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1

    async with tcp_server(hang_up) as port:
        writer = PostgresWriter(f"postgresql://hub@127.0.0.1:{port}/hub?sslmode=disable")
        await writer.start()
        futures = [writer.submit(put, f"n{number}") for number in range(20)]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        assert attempts == 1
        await writer.stop()


async def test_an_observer_that_fails_takes_no_unit_with_it(database_url: str) -> None:
    def observe(_units: int, _seconds: float) -> None:
        raise RuntimeError("on purpose")

    db = Database(database_url, observe=observe)
    await db.start()
    async with asyncio.timeout(PATIENCE_S):
        assert await db.write(put, "first") == "first"
        assert await db.write(put, "second") == "second"
    await db.stop()


async def test_a_connection_that_is_beyond_use_is_replaced(tmp_path: Path) -> None:
    """Whatever went wrong with it: the next batch has a new one."""

    def probe(_point: str) -> None:
        connection = db._writer._connection  # type: ignore[attr-defined]
        if broken:
            broken.clear()
            connection.close()

    broken: list[bool] = []
    db = Database(f"sqlite:///{tmp_path}/hub.db", probe=probe)
    await db.start()
    broken.append(True)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(Unavailable):
            await db.write(put, "first")
        assert await db.write(put, "second") == "second"
        assert await db.write(get, "first") is None
    await db.stop()


async def test_nothing_is_taken_once_the_writer_was_told_to_stop(database_url: str) -> None:
    """What came after the last batch would wait for ever."""
    db = Database(database_url)
    await db.start()
    stopping = asyncio.create_task(db.stop())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        db.submit(put, "too late")
    with pytest.raises(Unavailable):
        async with db.transaction():
            pass
    await stopping


APPEND = Statement("UPDATE meta SET value = :value WHERE name = 'shared' RETURNING name")


def event_then_row() -> Unit:
    yield from events.append(Event("group.created", 1, 1, {}))
    yield APPEND(value="unit")


async def test_sessions_and_units_that_write_events_never_wait_for_each_other_in_a_circle(db: Database) -> None:
    """A session that has a row and wants the log's turn, a unit that has the turn and wants the row."""
    await db.write(put, "shared")
    async with db.transaction() as session:
        row = await session.get(Meta, "shared")
        assert row is not None
        row.value = "session"
        session.add(row)
        await session.flush()
        unit = db.submit(event_then_row)
        if not db.is_sqlite:
            await somebody_waits(db)
        await db.run(session, events.append(Event("group.created", 1, 1, {})))
    await unit
    async with db.session() as session:
        assert await teams.fact(session, "shared") == "unit"


async def somebody_waits(db: Database) -> None:
    """Until a connection of this PostgreSQL database waits for a lock."""
    waiting = text("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() "
                   "AND wait_event_type = 'Lock'")  # fmt: skip
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with db.session() as session:
                if (await session.exec(waiting)).scalar():  # type: ignore[call-overload]
                    return


async def test_errors_of_the_database_hold_no_values(db: Database) -> None:
    """They end in the log, and among the values are secrets."""
    with pytest.raises(IntegrityError) as error:
        async with db.transaction() as session:
            session.add_all([Meta(name="twice", value="a secret"), Meta(name="twice", value="a secret")])
    assert "a secret" not in "".join(traceback.format_exception(error.value))
