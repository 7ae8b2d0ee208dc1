"""Group commit: many units, one transaction, one fsync.

Units wait in one bounded queue. Whatever has gathered while the last commit ran makes the next batch, so an idle hub
commits at once and a busy one in large batches, without a timer. Within a batch every unit stands alone: when one
fails half-way, all run again with a savepoint each, so that it fails by itself. A unit's answer is given only after the
commit that made it durable.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from hub.domain.errors import HubError, Unavailable
from hub.store.failures import deleted_meanwhile, is_orphan, is_outage, warn
from hub.store.postgres import CONNECT_S, connect
from hub.store.sole import PostgresSole
from hub.store.sqlite import SqliteFile
from hub.store.statements import Call, Rows, Statement, Unit

log = logging.getLogger(__name__)

QUEUE_LIMIT = 20_000  # units; some seconds of work at full speed: past it callers are told to come back
BATCH_LIMIT = 1_000  # units a transaction: keeps one commit below some tens of milliseconds
GATHER_TURNS = 3  # of the loop, for which a unit waits at most for others; a turn of an idle loop takes some 20 us
COMMAND_S = 15.0  # for one statement there; the longest of ours, over an aged database, take less than one
TURN_LIMIT_S = 15.0  # how long an ordinary session may hold the single writer's turn

Probe = Callable[[str], None]
"""Told `before commit NAME` and `after commit NAME` for each unit, where a fault test wants to hold the knife."""

Observer = Callable[[int, float], None]
"""Told the size of each batch and the seconds that it took."""

UnitMaker = Callable[..., Unit]


class Writer(Protocol):
    """Runs units durably, in the order in which they came (per `key`, where the database runs several at once)."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def submit(self, unit: UnitMaker, *args: Any, key: object = None, **kwargs: Any) -> "asyncio.Future[Any]": ...
    def turn(self) -> Any: ...


@dataclass(slots=True)
class _Work:
    make: Callable[[], Unit]
    name: str
    key: object
    future: "asyncio.Future[Any]"
    answer: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Turn:
    granted: "asyncio.Future[None]"
    released: threading.Event = field(default_factory=threading.Event)


def _told(error: BaseException) -> BaseException:
    """What a caller is told: the database's own failures are the hub's, everything else stays what it is."""
    if is_orphan(error):
        return deleted_meanwhile()
    if is_outage(error):
        return Unavailable(retry_after=1)
    return error


def _observed(observe: Observer | None, units: int, seconds: float) -> None:
    """Whoever counts must not stop those who work."""
    if observe is not None:
        try:
            observe(units, seconds)
        except Exception:
            log.exception("a commit was not counted")


def _settle(batch: list[_Work]) -> None:
    for work in batch:
        if work.future.done():
            continue
        if work.error is not None:
            work.future.set_exception(work.error)
        else:
            work.future.set_result(work.answer)


def _work(loop: asyncio.AbstractEventLoop, unit: UnitMaker, args: tuple[Any, ...], key: object, kwargs: Any) -> _Work:
    name = f"{unit.__module__.rpartition('.')[2]}.{unit.__name__}"
    return _Work(partial(unit, *args, **kwargs), name, key, loop.create_future())


class SqliteWriter:
    """One thread with its own connection, `synchronous=FULL`."""

    def __init__(self, file: SqliteFile, *, probe: Probe | None = None, observe: Observer | None = None) -> None:
        self._file = file
        self._probe = probe
        self._observe = observe
        self._queue: queue.SimpleQueue[_Work | _Turn | None] = queue.SimpleQueue()
        self._held: _Turn | None = None
        self._taking = False
        self._fresh: list[_Work] = []  # submitted in this turn of the loop
        self._connection: sqlite3.Connection | None = None  # of the thread
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._taking = True
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Everything submitted so far is committed first."""
        self._taking = False
        if self._thread is not None:
            self._hand_over()
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def submit(self, unit: UnitMaker, *args: Any, key: object = None, **kwargs: Any) -> "asyncio.Future[Any]":
        if self._loop is None or not self._taking or self._queue.qsize() + len(self._fresh) >= QUEUE_LIMIT:
            raise Unavailable("The hub has more to store than it can right now.", code="overloaded", retry_after=2)
        work = _work(self._loop, unit, args, key, kwargs)
        if not self._fresh:
            self._loop.call_soon(self._gather, 0, GATHER_TURNS)
        self._fresh.append(work)
        return work.future

    def _gather(self, before: int, turns: int) -> None:
        """Hand over once a turn of the loop brings no more: given one by one, the first would wake the thread, and both
        would fight for the interpreter while the others are still being read."""
        assert self._loop is not None
        if turns and len(self._fresh) > before:
            self._loop.call_soon(self._gather, len(self._fresh), turns - 1)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        fresh, self._fresh = self._fresh, []
        for work in fresh:
            self._queue.put(work)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The single writer stands aside, so that an ordinary session writes without fighting for the lock."""
        if self._loop is None or not self._taking:
            raise Unavailable(retry_after=1)
        turn = _Turn(self._loop.create_future())
        self._hand_over()
        self._queue.put(turn)
        try:
            async with asyncio.timeout(TURN_LIMIT_S):
                await turn.granted
                yield
        except TimeoutError:
            raise Unavailable(retry_after=2) from None
        finally:
            turn.released.set()

    def _run(self) -> None:
        assert self._loop is not None
        try:
            while True:
                batch = self._take()
                if batch is None:
                    return
                started = time.perf_counter()
                self._commit(batch)
                _observed(self._observe, len(batch), time.perf_counter() - started)
                try:
                    self._loop.call_soon_threadsafe(_settle, batch)
                except RuntimeError:  # the loop is closed: nobody waits any more
                    return
        finally:
            self._close()

    def _close(self) -> None:
        """The next batch opens a new connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _take(self) -> list[_Work] | None:
        """The next batch; grants turns on the way. None: stop."""
        while True:
            first = self._held or self._queue.get()
            self._held = None
            if first is None:
                return None
            if isinstance(first, _Turn):
                self._grant(first)
                continue
            batch = [first]
            while len(batch) < BATCH_LIMIT:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if isinstance(more, _Work):
                    batch.append(more)
                elif more is None:
                    self._queue.put(None)
                    break
                else:
                    self._held = more
                    break
            return batch

    def _grant(self, turn: _Turn) -> None:
        assert self._loop is not None

        def grant() -> None:
            if not turn.granted.done():
                turn.granted.set_result(None)

        self._loop.call_soon_threadsafe(grant)
        turn.released.wait(TURN_LIMIT_S + 1)

    def _commit(self, batch: list[_Work]) -> None:
        """Whatever goes wrong, each unit has its answer or its error afterwards, and the thread lives on."""
        try:
            connection = self._connection = self._connection or self._file.connect()
            connection.execute("BEGIN IMMEDIATE")
            if not all(self._step(connection, work) for work in batch):
                # Seldom, so the savepoints that would part what one wrote from the others' are only made now.
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                for work in batch:
                    self._step_apart(connection, work)
            if self._probe is not None:
                for work in batch:
                    self._probe(f"before commit {work.name}")
            self._file.check()
            connection.execute("COMMIT")
            if self._probe is not None:
                for work in batch:
                    self._probe(f"after commit {work.name}")
        except Exception as error:  # the whole batch failed: none of it is stored, each caller is told
            if not isinstance(error, HubError):
                warn(error)
            for work in batch:
                work.error = work.error or _told(error)
            try:
                if self._connection is not None:
                    self._connection.rollback()
            except sqlite3.Error:
                self._close()

    def _step(self, connection: sqlite3.Connection, work: _Work) -> bool:
        """Run one unit. False: it failed and what it wrote before is still there."""
        work.answer = work.error = None
        wrote = False
        try:
            unit = work.make()
            rows: Rows | None = None
            try:
                while True:
                    call = unit.send(rows) if rows is not None else next(unit)
                    rows = connection.execute(call.statement.sqlite, call.statement.in_order(call.values)).fetchall()
                    wrote = wrote or not call.statement.reads
            except StopIteration as stop:
                work.answer = stop.value
        except Exception as error:
            work.error = _told(error)
            if is_outage(error):
                warn(error)
            if not connection.in_transaction:
                raise  # SQLite gave up the whole transaction (disk full): so must the batch
            return not wrote
        return True

    def _step_apart(self, connection: sqlite3.Connection, work: _Work) -> None:
        connection.execute("SAVEPOINT unit")
        if not self._step(connection, work):
            connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")


class PostgresWriter:
    """One connection, owned by one task. The units of a batch advance side by side: the calls of one statement that
    many units make at the same step travel as one message. Units with the same key never run side by side."""

    def __init__(
        self,
        dsn: str,
        *,
        sole: PostgresSole | None = None,
        probe: Probe | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._dsn = dsn
        self._sole = sole
        self._probe = probe
        self._observe = observe
        self._waiting: deque[_Work] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._connection: Any = None

    async def start(self) -> None:
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def stop(self) -> None:
        """Everything submitted so far is committed first."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None
        if self._connection is not None:
            try:
                await self._connection.close(timeout=CONNECT_S)
            except Exception:  # whatever it is: it was of no more use
                self._connection.terminate()
            self._connection = None

    def submit(self, unit: UnitMaker, *args: Any, key: object = None, **kwargs: Any) -> "asyncio.Future[Any]":
        if self._task is None or self._stopping or len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable("The hub has more to store than it can right now.", code="overloaded", retry_after=2)
        work = _work(asyncio.get_running_loop(), unit, args, key, kwargs)
        self._waiting.append(work)
        self._wake.set()
        return work.future

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """PostgreSQL's own lock gives the turn, see TAKE_TURN; nobody keeps it for long."""
        if self._task is None or self._stopping:
            raise Unavailable(retry_after=1)
        if self._sole is not None:
            await self._sole.verify()
        try:
            async with asyncio.timeout(TURN_LIMIT_S):
                yield
        except TimeoutError:
            raise Unavailable(retry_after=2) from None

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_LIMIT))]
                started = time.perf_counter()
                await self._commit(batch)
                _observed(self._observe, len(batch), time.perf_counter() - started)
                _settle(batch)
            if self._stopping:
                return

    async def _commit(self, batch: list[_Work]) -> None:
        error = await self._attempt(batch)
        if error is None:
            return
        if len(batch) == 1 or self._connection is None:
            self._fail(batch, error)
            return
        for number, work in enumerate(batch):  # one of them is bad: each alone, so that only that one fails
            error = await self._attempt([work])
            if error is not None and self._connection is None:
                self._fail(batch[number:], error)
                return
            if error is not None:
                self._fail([work], error)

    def _fail(self, works: list[_Work], error: BaseException) -> None:
        import asyncpg

        if is_outage(error):
            warn(error)
        told = _told(error)
        if isinstance(told, asyncpg.IntegrityConstraintViolationError):
            told = sqlite3.IntegrityError(str(error))  # one name for both databases
        for work in works:
            work.error = copy(told)  # each is raised in a place of its own

    async def _attempt(self, batch: list[_Work]) -> BaseException | None:
        """Run the batch in one transaction. Answers what went wrong, if anything; none of it is stored then. When there
        is no connection afterwards the database itself is away, and perhaps the answer to a commit with it: then it is
        not known what is stored, and nothing is run again."""
        committing = False
        try:
            await self._connect()
            for work in batch:
                work.answer = work.error = None
            await self._connection.execute(f"BEGIN; {TAKE_TURN}")
            for wave in _waves(batch):
                await self._advance(wave)
            if self._probe is not None:
                for work in batch:
                    self._probe(f"before commit {work.name}")
            committing = True
            await self._connection.execute("COMMIT")
            if self._probe is not None:
                for work in batch:
                    self._probe(f"after commit {work.name}")
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not is_outage(error):
                raise
            if committing or isinstance(error, OSError) or not await self._rolled_back():
                self._terminate()
            return error
        return None

    async def _connect(self) -> None:
        """Be connected, as the database's one hub where we are to be that."""
        if self._sole is not None:
            self._sole.check()
        if self._connection is None or self._connection.is_closed():
            self._connection = None
            self._connection = await connect(self._dsn, timeout=CONNECT_S, command_timeout=COMMAND_S)
            if self._sole is not None:  # what ended the last connection may have ended the lock too
                await self._sole.verify()

    async def _rolled_back(self) -> bool:
        """Whether the connection is as good as new again."""
        try:
            await self._connection.execute("ROLLBACK")
        except Exception:
            return False
        return True

    def _terminate(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _advance(self, wave: list[_Work]) -> None:
        """Run the units of one wave in step: at each step, one message per distinct statement."""
        running = [_Running(work, work.make()) for work in wave]
        answers: list[Rows | None] = [None] * len(running)
        while running := [one for one, rows in zip(running, answers, strict=True) if one.advance(rows)]:
            groups: dict[Statement, list[int]] = {}
            for number, one in enumerate(running):
                groups.setdefault(one.call.statement, []).append(number)
            answers = [[] for _ in running]
            for statement, numbers in groups.items():
                await self._execute(statement, [(number, running[number].call.values) for number in numbers], answers)

    async def _execute(self, statement: Statement, calls: list[tuple[int, dict[str, Any]]], answers: list[Any]) -> None:
        arguments = [statement.arguments(values, number) for number, values in calls]
        if not statement.returns:
            await self._connection.executemany(statement.postgres, arguments)
            return
        for row in await self._connection.fetchmany(statement.postgres, arguments):
            answers[row["unit_number"]].append(row)


TAKE_TURN = "SELECT pg_advisory_xact_lock(7235901447)"
"""A sequence is not a commit order: whoever writes events holds this lock until its commit, so that the numbers of
events become visible in order and a reader that has seen number N has seen all before it. Every transaction that writes
takes it first, before any row: taken later, by one that has a row which the holder wants, it would be a deadlock."""


class _Running:
    """A unit on its way, with the call that it waits for."""

    __slots__ = ("call", "unit", "work", "wrote")

    def __init__(self, work: _Work, unit: Unit) -> None:
        self.work = work
        self.unit = unit
        self.wrote = False
        self.call: Call

    def advance(self, rows: Rows | None) -> bool:
        """Hand over the rows of the last call (None: begin). False: the unit has ended."""
        try:
            self.call = next(self.unit) if rows is None else self.unit.send(rows)
        except StopIteration as stop:
            self.work.answer = stop.value
            return False
        except HubError as error:
            if self.wrote:
                raise  # what it wrote must go: the batch is run again, each unit alone
            self.work.error = error
            return False
        self.wrote = self.wrote or not self.call.statement.reads
        return True


def _waves(batch: list[_Work]) -> list[list[_Work]]:
    """Split a batch so that no wave has two units of one key, and each key's units keep their order. A unit without a
    key may touch any row: it has a wave of its own, after all before it and before all after it."""
    waves: list[list[_Work]] = []
    reached: dict[object, int] = {}
    floor = 0
    for work in batch:
        depth = len(waves) if work.key is None else max(floor, reached.get(work.key, 0))
        if depth == len(waves):
            waves.append([])
        waves[depth].append(work)
        if work.key is None:
            floor = len(waves)
        else:
            reached[work.key] = depth + 1
    return waves
