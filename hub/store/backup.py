"""A copy of all that a hub keeps, made while it runs, and the way back.

A backup is a folder: `hub.db` (SQLite) or `hub.pgdump` (PostgreSQL), the files in `blobs`, and, written last,
`backup.json`: a folder without it is no backup.
"""

import asyncio
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlmodel import SQLModel

from hub.domain.errors import CannotStart
from hub.domain.times import now_ms, rfc3339
from hub.store.database import Database
from hub.store.holding import nothing_removed
from hub.store.postgres import connect, place_of, reach
from hub.store.private import close_to_others, open_folder
from hub.store.renewal import renew
from hub.store.sole import PostgresSole
from hub.store.sqlite import uri_of

FORMAT = 1
STEP_PAGES = (
    1_024  # of 4 KB; then what was copied is brought to the disk: much at once would hold up the hub's own writes
)
STEP_BYTES = STEP_PAGES * 4_096
_DATABASE, _DUMP, _FILES, _SEAL = "hub.db", "hub.pgdump", "blobs", "backup.json"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a hub keeps things. `files` is a folder, or None where they are in a bucket: that is never copied.

    `data` is the data folder.
    """

    data: Path
    database_url: str
    files: Path | None

    @property
    def sqlite(self) -> Path | None:
        """The database's file; None: it is PostgreSQL's."""
        if not self.database_url.startswith("sqlite:///"):
            return None
        return Path(self.database_url.removeprefix("sqlite:///")).absolute()


@dataclass(frozen=True, slots=True)
class Made:
    """A backup: how many files it has beside the database, how many bytes all together, and the files that the database
    names and the hub does not have."""

    files: int
    size: int
    missing: list[str]


def back_up(places: Places, target: Path) -> Made:
    """Make a backup in the folder `target`, which is new or empty. Raises CannotStart; then nothing is left of it.

    Files go first, since that may take hours; then, while none is removed, the database, and the files that are new.
    """
    _refuse_within(target, places)
    with _filling(target, "backup folder"):
        files = target / _FILES
        _copy_files(places.files, files)
        with nothing_removed(places.files) if places.files and places.files.is_dir() else nullcontext():
            if places.sqlite is not None:
                copy_sqlite(places.sqlite, target / _DATABASE)
                named = _named_by_sqlite(target / _DATABASE)
            else:
                named = asyncio.run(_dump(places.database_url, target / _DUMP))
            _copy_files(places.files, files)
            missing = [] if places.files is None else [name for name in named if not (files / name).is_file()]
            lost = [name for name in missing if (places.files or files).joinpath(name).is_file()]
            if lost:
                raise CannotStart(f"{len(lost)} files were not copied, {lost[0]} among them.")
        os.sync()
        seal = {"format": FORMAT, "made_at": rfc3339(now_ms()), "files": places.files is not None}
        (target / _SEAL).write_text(json.dumps(seal) + "\n")
        os.sync()
    found = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    return Made(len(found) - 2, sum(found), missing)


def restore(places: Places, backup: Path) -> None:
    """Bring a backup to where a hub that does not run, and has nothing yet, will look for it. Raises CannotStart; then
    nothing is left of it."""
    seal = _seal(backup)
    has_file = (backup / _DATABASE).exists()
    if has_file != (places.sqlite is not None):
        kind = "SQLite" if has_file else "PostgreSQL"
        raise CannotStart(
            f"The backup {backup} is of a hub on {kind}, and the setting database.url is of the other kind."
        )
    if seal.get("files") is True and places.files is None:
        raise CannotStart(f"The backup {backup} has files in it, and the setting blobs.url is a bucket.")
    _refuse_running(places)
    with _filling(places.data, "data folder"):
        if places.files is not None:
            with _filling(places.files, "folder of the files"):
                _copy_files(backup / _FILES, places.files)
        if places.sqlite is None:
            asyncio.run(_load(places.database_url, backup / _DUMP))
        else:
            open_folder("folder of the database", places.sqlite.parent)
            if places.sqlite.exists():
                raise CannotStart(f"There is a database {places.sqlite} already.")
            copy_sqlite(backup / _DATABASE, places.sqlite)
            asyncio.run(_go_on_anew(places.database_url))
        os.sync()


def copy_sqlite(
    source: Path, target: Path, *, pages: int = STEP_PAGES, step: Callable[[], None] = lambda: None
) -> None:
    """Copy a database as it is at one moment, whoever writes to it meanwhile, and check the copy. `step` is called
    after each `pages` pages. Raises CannotStart."""
    if not source.exists():
        raise CannotStart(f"There is no database {source}.")
    fresh = target.with_name(f"{target.name}.new")
    try:
        with closing(sqlite3.connect(uri_of(source), uri=True, isolation_level=None)) as origin:
            origin.execute("PRAGMA busy_timeout=10000")
            # The moment: with a reading transaction under way the copy does not begin anew at each commit of another.
            origin.execute("BEGIN")
            origin.execute("SELECT count(*) FROM sqlite_master").fetchone()
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with closing(sqlite3.connect(fresh)) as copy:
                    copy.execute("PRAGMA synchronous=OFF")  # by hand, step by step

                    def stepped(*_: int) -> None:
                        os.fdatasync(descriptor)
                        step()

                    origin.backup(copy, pages=pages, progress=stepped)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        with closing(sqlite3.connect(f"{fresh.absolute().as_uri()}?immutable=1", uri=True)) as copy:
            fault = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if fault != "ok":
            raise CannotStart(f"The database {source} is damaged: {fault}.")
        fresh.rename(target)
    except sqlite3.Error as error:
        raise CannotStart(f"The database {source} cannot be copied: {error}.") from None
    finally:
        fresh.unlink(missing_ok=True)


async def _go_on_anew(url: str) -> None:
    """What the database gave out after the backup was made, it does not give out again."""
    db = Database(url)
    await db.start(make=False)
    try:
        await renew(db, now_ms())
    finally:
        await db.stop()


def _naming() -> list[tuple[str, str]]:
    """(table, column) wherever a file is named."""
    return [
        (name, column.name)
        for name, table in SQLModel.metadata.tables.items()
        for column in table.columns
        if column.name in ("blob", "thumbnail")
    ]


def _named_by_sqlite(copy: Path) -> list[str]:
    """The files that a copied database names, which may be of an earlier version."""
    with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?immutable=1", uri=True)) as database:
        named: list[str] = []
        for table, column in _naming():
            if any(row[1] == column for row in database.execute(f"PRAGMA table_info({table})")):
                rows = database.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
                named += [name for (name,) in rows]
    return named


@contextmanager
def _filling(folder: Path, what: str) -> Iterator[None]:
    """A new or empty folder, filled by the block; empty again, or gone, when that fails."""
    is_new = not folder.exists()
    open_folder(what, folder)
    close_to_others(what, folder, folder)
    if any(folder.iterdir()):
        raise CannotStart(f"The {what} {folder} is not empty; take a new one.")
    try:
        yield
    except BaseException as error:
        for path in folder.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if is_new:
            folder.rmdir()
        if isinstance(error, OSError):
            raise CannotStart(f"The {what} {folder} cannot be filled: {error.strerror}.") from None
        raise


def _copy_files(source: Path | None, target: Path) -> None:
    """All that is not there yet. A file of this store never changes; one with # in its name is not whole yet."""
    if source is None:
        return
    target.mkdir(mode=0o700, exist_ok=True)
    unsynced = 0
    for where, folders, names in os.walk(source):
        here = target / Path(where).relative_to(source)
        for name in folders:
            (here / name).mkdir(mode=0o700, exist_ok=True)
        for name in names:
            if "#" in name or (here / name).exists():
                continue
            try:
                file = Path(where, name).open("rb", buffering=0)  # noqa: SIM115 - closed below
            except FileNotFoundError:  # removed meanwhile, and its row before it
                continue
            with file, (here / name).open("xb", buffering=0) as copy:
                while piece := file.read(STEP_BYTES):
                    copy.write(piece)
                    unsynced += len(piece)
                    if unsynced >= STEP_BYTES:
                        os.fdatasync(copy.fileno())
                        unsynced = 0


def _seal(backup: Path) -> dict[str, object]:
    try:
        seal = json.loads((backup / _SEAL).read_text())
        if seal["format"] == FORMAT:
            return dict(seal)
    except OSError:
        raise CannotStart(f"{backup} is no backup, or one that was not finished: there is no {_SEAL} in it.") from None
    except (ValueError, TypeError, KeyError):
        pass
    raise CannotStart(f"{backup / _SEAL} cannot be read: the backup is damaged, or made by a newer version.")


def _refuse_within(target: Path, places: Places) -> None:
    inside = Path(os.path.realpath(target))
    if places.files is not None and inside.is_relative_to(os.path.realpath(places.files)):
        raise CannotStart(f"The backup folder {target} would be among the files that it is a copy of.")


def _refuse_running(places: Places) -> None:
    locks = [places.data / "hub.lock"]
    if places.sqlite is not None:
        locks.append(places.sqlite.with_name(f"{places.sqlite.name}.lock"))
    for lock in locks:
        try:
            with lock.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(f"A hub runs on {lock.parent}; stop it, and restore into a new folder.") from None
        except OSError:  # there is none, and so no hub
            pass


# PostgreSQL ----------------------------------------------------------------------------------------------------------


async def _dump(url: str, target: Path) -> list[str]:
    """Answers the files that the database names, as of the moment of the dump."""
    dsn = "postgresql://" + url.partition("://")[2]
    if shutil.which("pg_dump") is None:
        raise _not_installed("pg_dump")
    await reach(dsn, 0)
    connection = await connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            moment = await connection.fetchval("SELECT pg_export_snapshot()")
            arguments = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={moment}")
            await asyncio.to_thread(_run, "pg_dump", url, *arguments, "--file", str(target))
            named: list[str] = []
            for table, column in _naming():
                columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2"
                if await connection.fetchval(columns, table, column):
                    rows = await connection.fetch(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
                    named += [row[0] for row in rows]
    finally:
        await connection.close()
    await asyncio.to_thread(_run, "pg_restore", None, "--list", str(target))
    return named


async def _load(url: str, dump: Path) -> None:
    dsn = "postgresql://" + url.partition("://")[2]
    await reach(dsn, 0)
    sole = PostgresSole(dsn)
    await sole.start()
    try:
        connection = await connect(dsn)
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
        await connection.close()
        if tables:
            raise CannotStart(f"The database {place_of(dsn)} is not empty; take a new one.")
        arguments = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", str(dump))
        await asyncio.to_thread(_run, "pg_restore", url, *arguments)
        await _go_on_anew(url)
    finally:
        await sole.stop()


def _run(program: str, url: str | None, *arguments: str) -> None:
    """One of PostgreSQL's own programs; the password goes by the environment, where other users do not see it."""
    environment = dict(os.environ)
    if url is not None:
        parts = urlsplit("postgresql://" + url.partition("://")[2])
        if parts.password is not None:
            environment["PGPASSWORD"] = unquote(parts.password)
        user = f"{parts.username}@" if parts.username else ""
        address = parts._replace(netloc=user + parts.netloc.rpartition("@")[2]).geturl()
        arguments = ("--dbname", address, *arguments)
    try:
        done = subprocess.run([program, "--no-password", *arguments] if url else [program, *arguments],
                              env=environment, capture_output=True, text=True, errors="replace")  # fmt: skip
    except FileNotFoundError:
        raise _not_installed(program) from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise CannotStart(f"{program} failed: {said[-1]}")


def _not_installed(program: str) -> CannotStart:
    return CannotStart(
        f"{program} is not installed: it comes with PostgreSQL's client programs (postgresql-client on Debian)."
    )
