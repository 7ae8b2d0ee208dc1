"""The player's durable word on every command: what it took, what it began, how it ended; and on what it has shown.

One SQLite file, shared by all players of a process (a fleet of simulated ones); a row per (player, id). A row lives
`accepted` -> `running` -> `finished` -> confirmed: the hub has the outcome, so only the id is kept, for 48 hours, and
never runs again. Every write is on disk (fsync) when its future is done. One thread does all the writing and takes
whatever has gathered into one transaction, so that many writers share an fsync and the event loop never waits.
"""

import asyncio
import logging
import os
import re
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from device_agent.aside import put_aside
from hub.protocol import codec
from hub.protocol.fields import MAX_PROSE
from hub.protocol.journal import CONFIRMED_KEPT_S
from hub.protocol.json_text import dumps, loads
from hub.protocol.messages import Ack, Delivery, ErrorInfo, JournalEntry, JournalState, Play, Plays, Result

Probe = Callable[[str], None]
"""Called with the name of a step right before and right after it, such as "before journal running"."""

MAX_OPEN = 1000
"""Commands without a confirmed outcome, the most that a `hello` can tell of. The hub is never that far ahead."""

MAX_PLAYS = 100_000
"""Showings that wait for the hub: eleven days at one in ten seconds, 20 MB. Then the oldest are forgotten."""

BUSY_S = 10.0
"""How long another process (a copy started by mistake, a backup) may hold the file before a write fails."""

RETRY_S = 5.0
"""Between attempts to write what must not be lost to a disk that refuses: it may be full for a while, and nobody else
can act."""

BATCH = 256
"""Writes in one transaction: enough to share an fsync widely, few enough that the first is not kept waiting."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    player TEXT NOT NULL,
    id TEXT NOT NULL,
    command TEXT,
    payload TEXT,
    delivery TEXT,
    expires_at INTEGER,
    state TEXT NOT NULL,
    started_at INTEGER,
    evidence TEXT,
    result TEXT,
    confirmed_at INTEGER,
    UNIQUE (player, id)
);
CREATE INDEX IF NOT EXISTS entry_open ON entry (player, number) WHERE confirmed_at IS NULL;
CREATE INDEX IF NOT EXISTS entry_confirmed ON entry (confirmed_at) WHERE confirmed_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS memory (
    player TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (player, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS play (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    player TEXT NOT NULL,
    entry TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS play_player ON play (player, number);
"""


_COLUMNS = {
    "entry": "number, player, id, command, payload, delivery, expires_at, state, started_at, evidence, result,"
    " confirmed_at",
    "memory": "player, name, value",
    "play": "number, player, entry",
}

_NEW = "new"
"""The name, in the memory of no player, under which a journal knows that it began after the first of this format."""

_ID = "id"
"""The name, in the memory of no player, of what tells a journal from the one that was there before."""

_GREETED = "greeted"
"""The name under which it is remembered that the hub has heard of this journal from a player."""

log = logging.getLogger(__name__)


class JournalError(Exception):
    """The write is not on disk: the file cannot be written (full, read-only, damaged) or the journal is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command. `expires_at` is Unix milliseconds by the hub's clock, so that it means the same after a restart;
    so is `started_at`, where the hub's clock was known. `evidence` is what was seen before acting."""

    id: str
    command: str
    payload: dict[str, Any]
    delivery: Delivery
    expires_at: int
    state: JournalState = "accepted"
    started_at: int | None = None
    evidence: dict[str, Any] | None = None
    result: Result | None = None

    def told(self) -> JournalEntry:
        """As the hub hears of it in `hello`."""
        return JournalEntry(id=self.id, state=self.state, result=self.result)

    def finished(self, result: Result) -> "Entry":
        return replace(self, state="finished", result=result)


T = TypeVar("T")


@dataclass(slots=True)
class _Unit(Generic[T]):
    work: Callable[[sqlite3.Connection], T]
    done: asyncio.Future[T]


class Journal:
    """`probe` is for tests that kill the process at a named step."""

    def __init__(self, path: Path, *, probe: Probe | None = None) -> None:
        self._path = path
        self._probe = probe or (lambda step: None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._waiting: deque[_Unit[Any]] = deque()
        self._wake = threading.Condition()
        self._closing = False

    async def open(self) -> None:
        """A file that is damaged is put aside, and the journal begins anew. Raises JournalError when there is none to
        be had, as on a disk that refuses everything."""
        self._loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._thread = threading.Thread(target=self._write, args=(ready,), name="journal", daemon=True)
        self._thread.start()
        await ready

    async def close(self) -> None:
        """Everything handed over before this is on disk afterwards."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(thread.join)

    # --- commands ---

    async def load(self, player: str) -> list[Entry]:
        """All entries whose outcome is not confirmed, in the order in which they came. One that cannot be read is
        `finished` without a result: it must not run, and nobody knows what became of it."""

        def work(db: sqlite3.Connection) -> list[Entry]:
            rows = db.execute(
                "SELECT id, command, payload, delivery, expires_at, state, started_at, evidence, result FROM entry"
                " WHERE player = ? AND confirmed_at IS NULL ORDER BY number",
                (player,),
            )
            entries = [(row[0], _read_entry(row)) for row in rows.fetchall()]
            for id in [id for id, entry in entries if entry is None]:  # an id that no hub has given
                log.error("the journal has an entry that cannot be read, and it is deleted")
                db.execute("DELETE FROM entry WHERE player = ? AND id = ?", (player, id))
            return [entry for _, entry in entries if entry is not None]

        return await self._submit(work)

    async def accept(self, player: str, entry: Entry) -> bool:
        """Add a command; False when its id is known already, and nothing changes."""

        def work(db: sqlite3.Connection) -> bool:
            added = db.execute(
                "INSERT INTO entry (player, id, command, payload, delivery, expires_at, state, result)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    player,
                    entry.id,
                    entry.command,
                    dumps(entry.payload),
                    entry.delivery,
                    entry.expires_at,
                    entry.state,
                    _write_result(entry.result),
                ),
            )
            return added.rowcount == 1

        return await self._step(entry.state, work)

    async def start(self, player: str, entry: Entry) -> None:
        """It is about to act, and has seen `entry.evidence`."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE entry SET state = 'running', started_at = ?, evidence = ? WHERE player = ? AND id = ?",
                (entry.started_at, None if entry.evidence is None else dumps(entry.evidence), player, entry.id),
            )

        await self._step("running", work)

    async def finish(self, player: str, result: Result) -> None:
        """It is over."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE entry SET state = 'finished', result = ? WHERE player = ? AND id = ?",
                (_write_result(result), player, result.id),
            )

        await self._step("finished", work)

    async def confirm(self, player: str, id: str, now: int) -> None:
        """The hub has the outcome: drop it, keep the id. `now` is by the hub's clock; after 48 h ids are forgotten."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE entry SET confirmed_at = ?, state = 'finished', command = NULL, payload = NULL,"
                " delivery = NULL, expires_at = NULL, started_at = NULL, evidence = NULL, result = NULL"
                " WHERE player = ? AND id = ?",
                (now, player, id),
            )
            db.execute("DELETE FROM entry WHERE confirmed_at < ?", (now - CONFIRMED_KEPT_S * 1000,))

        await self._step("confirmed", work)

    # --- proof of play ---

    async def keep_play(self, player: str, play: Play) -> None:
        """Add one showing."""

        def work(db: sqlite3.Connection) -> None:
            entry = {name: getattr(play, name) for name in _PLAY_FIELDS if getattr(play, name) is not None}
            added = db.execute("INSERT INTO play (player, entry) VALUES (?, ?)", (player, dumps(entry)))
            db.execute(
                "DELETE FROM play WHERE player = ? AND number <= ?", (player, (added.lastrowid or 0) - MAX_PLAYS)
            )

        await self._submit(work)

    async def plays(self, player: str, limit: int) -> list[tuple[int, Play]]:
        """The oldest showings that the hub has not confirmed, with their numbers here."""

        def work(db: sqlite3.Connection) -> list[tuple[int, Play]]:
            rows = db.execute(
                "SELECT number, entry FROM play WHERE player = ? ORDER BY number LIMIT ?", (player, limit)
            )
            plays = [(number, _read_play(entry)) for number, entry in rows.fetchall()]
            for number in [number for number, play in plays if play is None]:
                log.error("the journal has a showing that cannot be read, and it is deleted")
                db.execute("DELETE FROM play WHERE number = ?", (number,))
            return [(number, play) for number, play in plays if play is not None]

        return await self._submit(work)

    async def forget_plays(self, player: str, number: int) -> None:
        """The hub has all up to this number."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM play WHERE player = ? AND number <= ?", (player, number))

        await self._submit(work)

    # --- what else must outlive the process ---

    async def remember(self, player: str, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO memory (player, name, value) VALUES (?, ?, ?)"
                " ON CONFLICT (player, name) DO UPDATE SET value = excluded.value",
                (player, name, dumps(value)),
            )

        await self._submit(work)

    async def recall(self, player: str) -> dict[str, Any]:
        """Everything kept by `remember`, as far as it can be read."""

        def work(db: sqlite3.Connection) -> dict[str, Any]:
            rows = db.execute("SELECT name, value FROM memory WHERE player = ?", (player,))
            recalled = {}
            for name, value in rows:
                try:
                    recalled[name] = loads(value)
                except (ValueError, TypeError, RecursionError) as error:
                    log.error("what the journal remembers as %s cannot be read: %s", name, error)
            return recalled

        return await self._submit(work)

    async def is_new(self, player: str) -> bool:
        """Whether it began, or began anew, since the hub last welcomed this player: what was before is forgotten."""

        def work(db: sqlite3.Connection) -> bool:
            rows = db.execute(
                "SELECT name FROM memory WHERE (player = '' AND name = ?) OR (player = ? AND name = ?)",
                (_NEW, player, _GREETED),
            )
            return {name for (name,) in rows} == {_NEW}

        return await self._submit(work)

    async def id(self) -> str | None:
        """Made at random when it began; None in one of before there were any, and where it is damaged."""
        id = (await self.recall("")).get(_ID)
        return id if isinstance(id, str) and re.fullmatch(r"[0-9a-f]{32}", id) else None

    async def greeted(self, player: str) -> None:
        """The hub has heard that the journal is a new one."""
        await self.remember(player, _GREETED, True)

    # --- the writer ---

    async def _step(self, state: str, work: Callable[[sqlite3.Connection], T]) -> T:
        self._probe(f"before journal {state}")
        answer = await self._submit(work)
        self._probe(f"after journal {state}")
        return answer

    def _submit(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        if self._loop is None:
            raise JournalError("The journal is not open.")
        unit = _Unit(work, self._loop.create_future())
        with self._wake:
            if self._closing or self._thread is None:
                raise JournalError("The journal is closed.")
            self._waiting.append(unit)
            self._wake.notify()
        return unit.done

    def _write(self, ready: asyncio.Future[None]) -> None:
        """The writer thread."""
        try:
            db = _opened(self._path)
        except (sqlite3.Error, OSError) as error:
            self._tell(partial(_settle, [(ready, None, OSError(f"{self._path}: {error}"))]))
            return
        self._tell(partial(_settle, [(ready, None, None)]))
        try:
            while batch := self._take():
                self._tell(partial(_settle, _commit(db, batch)))
        finally:
            db.close()

    def _take(self) -> list[_Unit[Any]]:
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _tell(self, news: Callable[[], object]) -> None:
        assert self._loop is not None  # open() set it
        try:
            self._loop.call_soon_threadsafe(news)
        except RuntimeError:  # the event loop is gone, and whoever waited with it
            pass


_Outcome = tuple[asyncio.Future[Any], Any, Exception | None]


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a journal that is sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or (path.is_symlink() and not path.exists()):
        put_aside(path, "it is no file")
    try:
        return _connect(path)
    except _Damaged as damage:
        put_aside(path, str(damage), endings=("-wal", "-shm"))
    return _connect(path)


class _Damaged(sqlite3.DatabaseError):
    """What is there is no journal, or not a whole one."""


def _connect(path: Path) -> sqlite3.Connection:
    """Raises _Damaged, sqlite3.Error."""
    is_new = not path.exists() or path.stat().st_size == 0
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -256")  # KiB; a device has a few hundred rows
        db.text_factory = _text
        db.executescript(_SCHEMA)
        _check(db)
        if is_new:
            began = ((_NEW, "true"), (_ID, dumps(os.urandom(16).hex())))
            db.executemany("INSERT OR IGNORE INTO memory (player, name, value) VALUES ('', ?, ?)", began)
    except _Damaged:
        db.close()
        raise
    except sqlite3.DatabaseError as error:
        db.close()
        if error.sqlite_errorcode & 0xFF in _DAMAGE:
            raise _Damaged(str(error)) from None
        raise
    except BaseException:
        db.close()
        raise
    return db


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""What SQLite says of a file that is damaged, or has tables of something else; not of one that is locked, or on a disk
that is full or cannot be read now."""


def _check(db: sqlite3.Connection) -> None:
    """That all pages are sound, and the tables what they should be. Some tens of milliseconds for a full journal."""
    for table, columns in _COLUMNS.items():
        db.execute(f"SELECT {columns} FROM {table} LIMIT 0")
    fault = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if fault != "ok":
        raise _Damaged(fault)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _commit(db: sqlite3.Connection, batch: list[_Unit[Any]]) -> list[_Outcome]:
    """All units in one transaction, each in its own savepoint: one that fails takes none of the others along."""
    outcomes: list[_Outcome] = []
    try:
        db.execute("BEGIN IMMEDIATE")
        for unit in batch:
            db.execute("SAVEPOINT unit")
            try:
                outcomes.append((unit.done, unit.work(db), None))
            except Exception as error:
                db.execute("ROLLBACK TO unit")
                outcomes.append((unit.done, None, error))
            db.execute("RELEASE unit")
        db.execute("COMMIT")
    except sqlite3.Error as error:
        if db.in_transaction:
            try:
                db.execute("ROLLBACK")
            except sqlite3.Error:
                pass
        return [(unit.done, None, error) for unit in batch]
    return outcomes


def _settle(outcomes: list[_Outcome]) -> None:
    for done, value, error in outcomes:
        if done.done():  # nobody waits any more
            continue
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(JournalError(str(error)))


_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, codec.MalformedMessage)


def _read_entry(row: tuple[Any, ...]) -> Entry | None:
    """None: not even its id can be read."""
    id, state, result = row[0], row[5], row[8]
    try:
        codec.check(Ack(id=id))
    except _UNREADABLE:
        return None
    try:
        entry = _entry(row)
        if _is_whole(entry):
            return entry
    except _UNREADABLE:
        pass
    over = Entry(id=id, command="", payload={}, delivery="safe", expires_at=0, state="finished")
    try:
        if state == "finished":  # then all else has no meaning any more
            known = _read_result(id, loads(result))
            codec.check(known)
            return over.finished(known)
    except _UNREADABLE:
        pass
    return over


def _is_whole(entry: Entry) -> bool:
    """Whether its values are of the kinds that they were written as. Raises MalformedMessage."""
    if entry.result is not None:
        codec.check(entry.result)
    return (
        isinstance(entry.command, str)
        and isinstance(entry.payload, dict)
        and entry.delivery in get_args(Delivery)
        and type(entry.expires_at) is int
        and entry.state in get_args(JournalState)
        and type(entry.started_at) in (int, type(None))
        and isinstance(entry.evidence, dict | None)
        and (entry.result is not None) == (entry.state == "finished")
    )


def _read_play(entry: str) -> Play | None:
    try:
        play = Play(**loads(entry))
        codec.check(Plays(batch="check", entries=[play]))
    except _UNREADABLE:
        return None
    return play


def _entry(row: tuple[Any, ...]) -> Entry:
    id, command, payload, delivery, expires_at, state, started_at, evidence, result = row
    return Entry(
        id=id,
        command=command,
        payload=loads(payload),
        delivery=delivery,
        expires_at=expires_at,
        state=state,
        started_at=started_at,
        evidence=None if evidence is None else loads(evidence),
        result=None if result is None else _read_result(id, loads(result)),
    )


_PLAY_FIELDS = (
    "id", "asset_id", "playlist_id", "layout_id", "schedule_id", "campaign_id", "started_at", "duration_s", "completed"
)  # fmt: skip
_RESULT_FIELDS = ("status", "detail", "started_at", "finished_at", "boot_id")


def _write_result(result: Result | None) -> str | None:
    if result is None:
        return None
    fields = {name: getattr(result, name) for name in _RESULT_FIELDS}
    if result.error is not None:
        fields["error"] = {"code": result.error.code, "message": result.error.message[:MAX_PROSE]}
    return dumps(fields)


def _read_result(id: str, fields: dict[str, Any]) -> Result:
    error = fields.pop("error", None)
    return Result(id=id, error=ErrorInfo(**error) if error else None, **fields)
