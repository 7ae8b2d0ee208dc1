"""The file of a SQLite database: opened only where it is a hub's, kept from other users, and watched while it is open.

Whoever has a file open keeps it when its name is moved or removed: a hub would go on storing, and all of it would be
lost at its restart. So whoever commits asks first whether the names still lead to the files that are open, and whether
these have what was stored in them: SQLite itself would write behind the end of a log that was truncated.
"""

import asyncio
import logging
import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from uuid import uuid4

import aiosqlite

from hub.domain.errors import CannotStart, Unavailable
from hub.store.private import close_to_others, identity, open_folder

log = logging.getLogger(__name__)

READERS = 8  # connections for reading; they never wait for the writer
MORE_READERS = 10  # for a moment, when all of those are taken

PAGE_CACHE_KIB = 131_072  # of all connections together: a quarter of a small machine; the system caches the rest
WRITER_CACHE_KIB = PAGE_CACHE_KIB // 4  # it goes to and fro in the indexes of everything
CACHE_KIB = (PAGE_CACHE_KIB - WRITER_CACHE_KIB) // (READERS + MORE_READERS + 2)  # readers, sessions that write, keeper

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # durable means fsynced
    "PRAGMA busy_timeout=10000",  # milliseconds; only a foreign process can make us wait
    "PRAGMA foreign_keys=ON",
    f"PRAGMA cache_size=-{CACHE_KIB}",
    "PRAGMA journal_size_limit=67108864",  # bytes the log file shrinks back to
)

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
# The index of the log, in -shm, and the log begin with these: https://sqlite.org/walformat.html. The first stands there
# twice, and is being written while the two differ.
_INDEX = Struct("=12x 2B H 2I 8x 8s 8x")
_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_SALT = slice(16, 24)  # of the header of the log
_LOOKS = 3  # at an index that somebody writes at the same moment


class _Stored(NamedTuple):
    """What the index says of the last commit. `frames` of `page_bytes` each are in the log, after a header with `salt`;
    the database has `pages`, in its file or in the log."""

    page_bytes: int
    frames: int
    pages: int
    salt: bytes


def open_sqlite(path: str | Path, cache_kib: int = CACHE_KIB) -> sqlite3.Connection:
    """A connection to a file that exists, as every writer of it needs it: WAL, fsync on commit, foreign keys, no hidden
    transactions."""
    connection = _connect(Path(path))
    try:
        for pragma in (*PRAGMAS, f"PRAGMA cache_size=-{cache_kib}"):
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri_of(path), uri=True, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.row_factory = sqlite3.Row
    return connection


def uri_of(path: Path) -> str:
    """SQLite's name for the file; opened by it, it is never made."""
    return f"{path.absolute().as_uri()}?mode=rw"


class SessionConnection(aiosqlite.Connection):
    """A connection of an ordinary session, to a file that exists, with a thread of its own.

    Who is cancelled twice while a statement runs, as starlette does with whoever streams to a client that hangs up, has
    SQLAlchemy close the connection, and stop it before that is over. A second stop would wait for a thread that has
    ended: here it is the first one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: sqlite3.connect(uri_of(path), uri=True, check_same_thread=False), iter_chunk_size=64)
        self._thread.daemon = True  # no statement keeps a process that has to end
        self._stopped: asyncio.Future[object] | None = None

    def stop(self) -> "asyncio.Future[object] | None":
        """None outside a running loop."""
        if self._stopped is None:
            self._stopped = super().stop()
        return self._stopped


class SqliteFile:
    """`open()` before all other connections, `close()` after them. Both block."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        real = Path(os.path.realpath(self.path))  # SQLite puts its log beside the file that a link leads to
        self._names = [self.path, *(real.with_name(real.name + end) for end in ("-wal", "-shm"))]
        self._is_short = False
        self._keeper: sqlite3.Connection | None = None
        self._opened: list[tuple[int, int] | None] = []  # what each of the names was
        self._log = self._index = -1  # descriptors, closed after all of SQLite's: see `FileSole`
        self._bytes = 0  # of the file, when it was last seen
        self._missed = self._is_spoilt = False

    def open(self, *, make: bool) -> None:
        """Raises CannotStart when the file is not a hub's database, or cannot be used; `make`: one that is not there is
        made. A connection that does nothing keeps the file and its log open for as long as the hub runs, so that no
        other file can get their numbers."""
        open_folder("folder of the database", self.path.parent)
        try:
            if not self.path.exists():
                self._make(make)
            self._look()
            self._keeper = _connect(self.path)
            self._read(self._keeper)
            close_to_others("database", self.path, *self._names)
            for pragma in PRAGMAS:
                self._keeper.execute(pragma)
        except OSError as error:
            raise CannotStart(f"The database {self.path} cannot be opened: {error.strerror}.") from None
        except sqlite3.Error as error:
            raise CannotStart(f"The database {self.path} cannot be used: {error}.") from None
        self._opened = [identity(name) for name in self._names]
        with suppress(OSError):  # a system that has no such files has no such dangers
            self._log, self._index = (os.open(name, os.O_RDONLY | os.O_CLOEXEC) for name in self._names[1:])

    def close(self) -> None:
        self._opened = []
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        for descriptor in (self._log, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._index = -1

    def connect(self) -> sqlite3.Connection:
        """For the writer. Raises Unavailable as `check` does."""
        self.check()
        return open_sqlite(self.path, WRITER_CACHE_KIB)

    def check(self) -> None:
        """Raise Unavailable when the file, or its log, is not the one that is open: all is well again when it is put
        back. And, for good, when it has lost what was stored in it: what connections have read since may be wrong. Nine
        calls of the system."""
        if self._is_spoilt:
            raise Unavailable(retry_after=5)
        for name, opened in zip(self._names, self._opened, strict=False):
            if identity(name) != opened:
                if not self._missed:
                    log.error("%s was moved, removed or replaced: nothing is stored until it is put back", name)
                self._missed = True
                raise Unavailable(retry_after=5)
        if (lost := self._spoilt()) is not None:
            log.error("%s was truncated or overwritten: nothing is stored until the hub is started again", lost)
            self._is_spoilt = True
            raise Unavailable(retry_after=5)
        if self._missed:
            log.warning("%s is back", self.path)
            self._missed = False

    def _spoilt(self) -> Path | None:
        """Which of the files has lost something."""
        if self._log < 0 or self._index < 0:
            return None
        stored = self._stored()
        for _ in range(_LOOKS):
            lost = self._lost(stored)
            # A log that was brought into the file begins anew, and may be cut: the index tells of that before.
            again = self._stored()
            if lost is None or stored == again:
                return lost
            stored = again
        return None

    def _stored(self) -> _Stored | None:
        """None: somebody writes it just now, or has not begun to."""
        found = os.pread(self._index, 2 * _INDEX.size, 0)
        one, other = found[: _INDEX.size], found[_INDEX.size :]
        if one != other or len(one) < _INDEX.size:
            return None
        is_made, _, size, frames, pages, salt = _INDEX.unpack(one)
        return _Stored(65_536 if size == 1 else size, frames, pages, salt) if is_made else None

    def _lost(self, stored: _Stored | None) -> Path | None:
        """Which of the files has less than what is stored."""
        if stored is None:
            return None
        if stored.frames:
            size = os.fstat(self._log).st_size
            header = os.pread(self._log, _LOG_HEADER_BYTES, 0)
            needed = _LOG_HEADER_BYTES + stored.frames * (_FRAME_HEADER_BYTES + stored.page_bytes)
            if size < needed or header[_SALT] != stored.salt:
                return self._names[1]
        size = self.path.stat().st_size
        # It is shorter than the database while the end is in the log alone, but it only becomes shorter with it.
        if size < self._bytes and size < stored.pages * stored.page_bytes:
            return self.path
        self._bytes = size
        return None

    def _make(self, make: bool) -> None:
        """All at once: a start that is cut off leaves no empty file."""
        log_file = self._names[1]
        if log_file.exists() and log_file.stat().st_size:  # SQLite would throw it away
            raise CannotStart(f"There is {log_file} without the database that it belongs to; put that back beside it.")
        if not make:
            raise CannotStart(f"There is no database {self.path}; put it back, or make one with `hub init`.")
        fresh = self.path.with_name(f"{self.path.name}.{uuid4().hex}")
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            open_sqlite(fresh).close()
            try:
                os.link(fresh, self.path)
            except FileExistsError:  # somebody was quicker
                pass
            except OSError:  # a disk without second names
                fresh.rename(self.path)
        finally:
            fresh.unlink(missing_ok=True)

    def _look(self) -> None:
        """Raise CannotStart for what SQLite would take for a new database, or find out about only later."""
        status = self.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CannotStart(f"The database {self.path} is not a file.")
        if status.st_size == 0:
            raise CannotStart(f"The database {self.path} is empty, 0 bytes; put a backup in its place.")
        with self.path.open("r+b", buffering=0) as file:  # to be read alone is of no use
            header = file.read(_HEADER_BYTES)
        if not header.startswith(_MAGIC):
            raise CannotStart(f"The database {self.path} is not a file of SQLite; put a backup in its place.")
        self._is_short = status.st_size < _bytes(header)

    def _read(self, connection: sqlite3.Connection) -> None:
        """Raise CannotStart, or an error of SQLite, when there is no hub's database in the file."""
        if self._is_short and not self._is_in_the_log(connection):
            raise CannotStart(f"The database {self.path} has lost its end; put a backup in its place.")
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if names and "alembic_version" not in names:
            raise CannotStart(f"The database {self.path} is another program's.")
        connection.execute("BEGIN IMMEDIATE")  # fails where nothing can be written
        connection.execute("ROLLBACK")

    def _is_in_the_log(self, connection: sqlite3.Connection) -> bool:
        """A hub that was killed while it brought the log into the file leaves a short one, and all of it in the log."""
        log_file = self._names[1]
        has_log = log_file.exists() and log_file.stat().st_size > 0
        return has_log and connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"


def _bytes(header: bytes) -> int:
    """How long the file says that it is. It may be longer."""
    page_bytes = int.from_bytes(header[16:18], "big")
    return int.from_bytes(header[28:32], "big") * (65_536 if page_bytes == 1 else page_bytes)
