"""Whatever a driver raises is told as an outage, on all ways into the database."""

import asyncio
import sqlite3
import ssl

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import text

from hub.domain.errors import NotFound, Unavailable
from hub.store.database import Database
from hub.store.failures import is_outage
from hub.store.statements import Unit
from tests.store.test_writer import get, put

OUTAGES: list[BaseException] = [
    asyncpg.InternalClientError("cannot switch to state 13; another operation (2) is in progress"),
    asyncpg.exceptions.ProtocolError("unexpected message"),
    asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.UnknownPostgresError("of a newer server"),
    ssl.SSLError("bad record"),
    ConnectionResetError("reset by peer"),
    TimeoutError(),
    sqlite3.OperationalError("disk I/O error"),
    sqlite3.DatabaseError("database disk image is malformed"),
]


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error).__name__)
async def test_every_way_into_the_database_tells_of_an_outage(database_url: str, error: BaseException) -> None:
    def probe(point: str) -> None:
        if failing and point == "before commit test_writer.put":
            raise error

    failing: list[bool] = []
    db = Database(database_url, probe=probe)
    await db.start()
    failing.append(True)
    for outcome in await asyncio.gather(db.write(put, "a"), db.write(put, "b"), return_exceptions=True):
        assert isinstance(outcome, Unavailable)
        assert outcome.retry_after
    for way in (db.session, db.moment, db.transaction):
        with pytest.raises(Unavailable) as told:
            async with way():
                raise error
        assert told.value.retry_after
    failing.clear()
    assert await db.write(put, "after") == "after"
    assert await db.write(get, "a") is None
    await db.stop()


@pytest.mark.parametrize("way", ["session", "transaction"])
async def test_a_cancellation_that_nobody_asked_for_is_an_outage(db: Database, way: str) -> None:
    """A driver's future may end so, when the connection breaks under it."""
    with pytest.raises(Unavailable):
        async with getattr(db, way)():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future


async def test_a_caller_that_is_told_to_end_ends(db: Database) -> None:
    async def read() -> None:
        async with db.session():
            waiting.set()
            await asyncio.Event().wait()

    waiting = asyncio.Event()
    task = asyncio.create_task(read())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_writer_outlives_a_cancellation_that_nobody_asked_for(database_url: str) -> None:
    def probe(point: str) -> None:
        if failing and point == "before commit test_writer.put":
            failing.clear()
            raise asyncio.CancelledError

    failing: list[bool] = []
    db = Database(database_url, probe=probe)
    if db.is_sqlite:
        return  # a thread of its own has no cancellations
    await db.start()
    failing.append(True)
    with pytest.raises(Unavailable):
        await db.write(put, "lost")
    assert await db.write(put, "next") == "next"
    await db.stop()


async def test_what_speaks_against_the_statement_stays_what_it_is(db: Database) -> None:
    def wrong() -> Unit:
        raise NotFound
        yield

    with pytest.raises(NotFound):
        await db.write(wrong)
    with pytest.raises(IntegrityError):
        async with db.transaction() as session:
            connection = await session.connection()
            await connection.execute(text("INSERT INTO meta (name, value) VALUES ('a', '1'), ('a', '2')"))
    for fault in (asyncpg.UndefinedColumnError("no such column"), asyncpg.DataError("too long"), ValueError("ours")):
        assert not is_outage(fault)
