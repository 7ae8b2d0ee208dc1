"""The database: SQLite in a file (the default) or PostgreSQL, behind one face.

Two ways in, for two kinds of work:
- `write(unit, ...)`   the durable path: commands, results, presence, events; see `writer.py`
- `session()` and `transaction()`   ordinary SQLModel sessions, for reading, and for the few writes of an administrator
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import URL, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import CannotStart, Unavailable
from hub.store.failures import deleted_meanwhile, described, is_orphan, is_outage, warn
from hub.store.postgres import CONNECT_S, connect, place_of, reach
from hub.store.schema import bring_up_to_date
from hub.store.sole import FileSole, PostgresSole, Sole
from hub.store.sqlite import MORE_READERS, PRAGMAS, READERS, SessionConnection, SqliteFile
from hub.store.statements import Rows, Statement, Unit
from hub.store.writer import (
    COMMAND_S,
    TAKE_TURN,
    Observer,
    PostgresWriter,
    Probe,
    SqliteWriter,
    UnitMaker,
    Writer,
)

POOL_WAIT_S = 5  # past it the caller hears 503 instead of waiting for ever


_TOUCH = Statement("""
    INSERT INTO meta (name, value) VALUES ('readiness', '1')
    ON CONFLICT (name) DO UPDATE SET value = CASE meta.value WHEN '1' THEN '2' ELSE '1' END""")


def _touch() -> Unit:
    yield _TOUCH()


class Database:
    """Open with `await start()`, close with `await stop()`.

    `url` is `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`. All methods raise `Unavailable` when the
    database cannot be reached or cannot store; nothing is acknowledged then.

    wait_s     how long a start waits for a server that is not there yet
    alone      this is a hub, and a database has one: see `sole`; None otherwise
    """

    def __init__(
        self,
        url: str,
        *,
        wait_s: float = 0,
        alone: bool = False,
        probe: Probe | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.is_sqlite = url.startswith("sqlite:///")
        self.sole: Sole | None = None
        self._dsn = ""
        self._wait_s = wait_s
        self._file: SqliteFile | None = None
        if self.is_sqlite:
            file = self._file = SqliteFile(url.removeprefix("sqlite:///"))
            self.sole = FileSole(str(file.path)) if alone else None
            self._writer: Writer = SqliteWriter(file, probe=probe, observe=observe)
            self._readers = _sqlite_engine(
                file, "BEGIN", pool_size=READERS, max_overflow=MORE_READERS, pool_timeout=POOL_WAIT_S
            )
            self._writers = self._migrator = _sqlite_engine(file, "BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
        else:
            dsn = self._dsn = "postgresql://" + url.partition("://")[2]
            sole = self.sole = PostgresSole(dsn) if alone else None
            self._writer = PostgresWriter(dsn, sole=sole, probe=probe, observe=observe)
            self._readers = self._writers = _engine(
                "postgresql+asyncpg://",
                async_creator=partial(connect, dsn, timeout=CONNECT_S, command_timeout=COMMAND_S),
                pool_size=READERS,
                pool_timeout=POOL_WAIT_S,
                pool_pre_ping=True,
            )
            # May take as long as it takes.
            self._migrator = _engine("postgresql+asyncpg://", async_creator=partial(connect, dsn, timeout=CONNECT_S))

    async def start(self, *, make: bool = True) -> None:
        """Wait for the server, see that no other hub is there, bring the schema up to date, then open for writing. A
        file that is not there is made, unless told not to. Raises CannotStart, Unavailable (a server that went away
        meanwhile)."""
        if not self.is_sqlite:
            await reach(self._dsn, self._wait_s)
        try:
            async with self._writer_errors():
                if self._file is not None:
                    await asyncio.to_thread(self._file.open, make=make)
                if self.sole is not None:
                    await self.sole.start()
                await self._upgrade()
            await self._writer.start()
        except BaseException:
            await self.stop()
            raise

    async def _upgrade(self) -> None:
        place = place_of(self._dsn) if self._file is None else str(self._file.path)
        try:
            async with self._migrator.connect() as connection:
                await connection.run_sync(bring_up_to_date, place)
                await connection.commit()
        except DBAPIError as error:
            if self._file is None and is_outage(error):
                raise
            said = described(error) if self._file is None else f"{error.orig}."
            raise CannotStart(f"The database {place} cannot be used: {said}") from error
        finally:
            if self._migrator is not self._writers:
                await self._migrator.dispose()

    async def stop(self) -> None:
        """Everything submitted is committed, then all connections close."""
        await self._writer.stop()
        await self._readers.dispose()
        await self._writers.dispose()
        if self._file is not None:
            await asyncio.to_thread(self._file.close)
        if self.sole is not None:
            await self.sole.stop()

    def submit(self, unit: UnitMaker, *args: Any, key: object = None, **kwargs: Any) -> "asyncio.Future[Any]":
        """Hand a unit to the writer now; the future ends after its commit. Units of one `key` keep their order."""
        return self._writer.submit(unit, *args, key=key, **kwargs)

    async def write(self, unit: UnitMaker, *args: Any, key: object = None, **kwargs: Any) -> Any:
        """Run a unit durably and return its answer, after the commit. A caller that goes away (a client that hangs up)
        does not undo what was handed over: the writer runs it all the same, and tells nobody."""
        return await self._writer.submit(unit, *args, key=key, **kwargs)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session for reading."""
        async with self._writer_errors(), AsyncSession(self._readers, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[AsyncSession]:
        """A session for reading in which all questions are answered as of one moment."""
        async with self.session() as session:
            if not self.is_sqlite:  # there a transaction that reads is one moment by itself
                await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session for writing: committed at the end of the block, rolled back if it raises. IntegrityError passes,
        but for what refers to a row that is gone: that is Unavailable."""
        async with (
            self._writer_errors(),
            self._writer.turn(),
            AsyncSession(self._writers, expire_on_commit=False) as session,
            session.begin(),
        ):
            if not self.is_sqlite:  # there BEGIN IMMEDIATE does it
                await (await session.connection()).execute(text(TAKE_TURN))
            yield session
            if self._file is not None:
                self._file.check()

    async def run(self, session: AsyncSession, unit: Unit) -> Any:
        """Run a unit inside an ordinary transaction, so that a row and its event are stored together."""
        connection = await session.connection()
        rows: Rows | None = None
        try:
            while True:
                call = next(unit) if rows is None else unit.send(rows)
                result = await connection.execute(text(call.statement.named), call.values)
                rows = [dict(row) for row in result.mappings()] if result.returns_rows else []
        except StopIteration as stop:
            return stop.value

    async def check(self) -> None:
        """Raise Unavailable unless the database stores something, the way commands are stored (readiness)."""
        await self.write(_touch)

    @asynccontextmanager
    async def _writer_errors(self) -> AsyncIterator[None]:
        """Whatever a driver can raise, in every way but the writer's own: see `failures`."""
        try:
            yield
        except IntegrityError as error:
            if is_orphan(error):
                raise deleted_meanwhile() from error
            raise
        except (Exception, asyncio.CancelledError) as error:
            if not is_outage(error):
                raise
            warn(error)
            raise Unavailable(retry_after=1) from error


def _engine(url: str | URL, **options: Any) -> AsyncEngine:
    return create_async_engine(url, hide_parameters=True, **options)  # errors are logged, and some values are secrets


def _sqlite_engine(file: SqliteFile, begin: str, **options: Any) -> AsyncEngine:
    async def connect() -> aiosqlite.Connection:
        file.check()
        return await SessionConnection(file.path)

    engine = _engine(URL.create("sqlite+aiosqlite", database=str(file.path)), async_creator=connect, **options)

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
