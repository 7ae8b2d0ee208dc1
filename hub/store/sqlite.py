"""The file of a SQLite database: opened only where it is a hub's, kept from other users, and watched while it is open.

Whoever has a file open keeps it when its name is moved or removed: a hub would go on storing, and all of it would be
lost at its restart. So whoever commits asks first whether the names still lead to the files that are open.
"""

import logging
import os
import sqlite3
import stat
from pathlib import Path
from uuid import uuid4

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


class SqliteFile:
    """`open()` before all other connections, `close()` after them. Both block."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        real = self.path.resolve()  # SQLite puts its log beside the file that a link leads to
        self._names = [self.path, *(real.with_name(real.name + end) for end in ("-wal", "-shm"))]
        self._is_short = False
        self._keeper: sqlite3.Connection | None = None
        self._opened: list[tuple[int, int] | None] = []  # what each of the names was
        self._missed = False

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

    def close(self) -> None:
        self._opened = []
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def connect(self) -> sqlite3.Connection:
        """For the writer. Raises Unavailable as `check` does."""
        self.check()
        return open_sqlite(self.path, WRITER_CACHE_KIB)

    def check(self) -> None:
        """Raise Unavailable when the file, or its log, is not the one that is open: three calls of the system. All is
        well again when it is put back."""
        for name, opened in zip(self._names, self._opened, strict=False):
            if identity(name) != opened:
                if not self._missed:
                    log.error("%s was moved, removed or replaced: nothing is stored until it is put back", name)
                self._missed = True
                raise Unavailable(retry_after=5)
        if self._missed:
            log.warning("%s is back", self.path)
            self._missed = False

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
