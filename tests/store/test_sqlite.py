"""The file of a SQLite database: refused where it is not a hub's, and watched while it is open."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.domain.errors import CannotStart, Unavailable
from hub.store.database import Database
from hub.store.sqlite import PAGE_CACHE_KIB
from hub.store.statements import Statement, Unit
from hub.store.tables import Meta
from tests.waiting import PATIENCE_S

PUT = Statement("INSERT INTO meta (name, value) VALUES (:name, '')")
CACHE = Statement("PRAGMA cache_size")


def put(name: str) -> Unit:
    yield PUT(name=name)


def cache_size() -> Unit:
    rows = yield CACHE()
    return rows[0]["cache_size"]


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
async def db(sqlite_url: str) -> AsyncIterator[Database]:
    db = Database(sqlite_url)
    await db.start()
    yield db
    await db.stop()


async def names(db: Database) -> set[str]:
    async with db.session() as session:
        return {row[0] for row in await session.exec(text("SELECT name FROM meta"))}  # type: ignore[call-overload]


async def put_by_session(db: Database, name: str) -> None:
    async with db.transaction() as session:
        session.add(Meta(name=name, value=""))


def away(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.away"))


def back(path: Path) -> None:
    path.with_name(f"{path.name}.away").rename(path)


def is_there(path: Path) -> bool:
    return path.exists()


def another_in_its_place(path: Path) -> None:
    away(path)
    shutil.copy(path.with_name(f"{path.name}.away"), path)


async def nothing_is_stored(db: Database) -> None:
    """By no way, and the check says so."""
    with pytest.raises(Unavailable):
        await db.write(put, "by a unit")
    with pytest.raises(Unavailable):
        await put_by_session(db, "by a session")
    with pytest.raises(Unavailable):
        await db.check()


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("lose", [away, another_in_its_place])
async def test_nothing_is_stored_while_the_open_file_is_not_the_one_of_its_name(
    db: Database, path: Path, end: str, lose: Callable[[Path], None]
) -> None:
    await db.write(put, "before")
    lost = path.with_name(path.name + end)
    lose(lost)
    await nothing_is_stored(db)
    back(lost)
    await db.check()
    await db.write(put, "after")
    await put_by_session(db, "later")
    assert {"before", "after", "later"} <= await names(db)
    assert {"by a unit", "by a session"}.isdisjoint(await names(db))


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def shorter(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def with_a_hole(path: Path) -> None:
    """As a log is that was emptied, and written to behind its end."""
    size = path.stat().st_size
    os.truncate(path, 0)
    os.truncate(path, size)


def half_of_it(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("end", "spoil"),
    [("-wal", emptied), ("-wal", shorter), ("-wal", with_a_hole), ("", emptied), ("", half_of_it)],
)
async def test_nothing_is_stored_once_the_open_file_has_lost_what_was_stored_in_it(
    sqlite_url: str, path: Path, end: str, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    db = Database(sqlite_url)
    await db.start()
    await db.write(put, "before")
    await put_by_session(db, "by a session before")
    lost = path.with_name(path.name + end)
    whole = lost.read_bytes()
    spoil(lost)
    for _ in range(2):
        await nothing_is_stored(db)
    said = f"{lost} was truncated or overwritten: nothing is stored until the hub is started again"
    assert caplog.messages.count(said) == 1
    lost.write_bytes(whole)
    with pytest.raises(Unavailable):  # connections may have read from it what was never there
        await db.check()
    await db.stop()
    again = Database(sqlite_url)
    await again.start()
    await again.check()
    assert {"before", "by a session before"} <= await names(again)
    assert {"by a unit", "by a session"}.isdisjoint(await names(again))
    await again.stop()


async def test_a_log_that_another_brings_into_the_file_and_cuts_is_nothing_lost(db: Database, path: Path) -> None:
    """As programs do that copy the database all the time, and whoever makes it smaller."""
    for number in range(40):
        await db.write(put, f"name {number}")
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert path.with_name("hub.db-wal").stat().st_size == 0
    await db.check()
    async with db.transaction() as session:
        await (await session.connection()).execute(text("DELETE FROM meta WHERE name LIKE 'name %'"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await db.check()
    await put_by_session(db, "after")


async def test_a_lost_file_is_told_once_and_so_is_its_return(
    db: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await db.write(put, "before")
    away(path)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await db.write(put, "lost")
    back(path)
    await db.check()
    assert [record.message for record in caplog.records] == [
        f"{path} was moved, removed or replaced: nothing is stored until it is put back",
        f"{path} is back",
    ]


async def test_no_connection_makes_an_empty_file_in_the_place_of_a_lost_one(db: Database, path: Path) -> None:
    """Readers are connected to when they are needed."""
    away(path)
    async with AsyncExitStack() as stack:
        with pytest.raises(Unavailable):
            for _ in range(3):
                session = await stack.enter_async_context(db.session())
                await session.exec(text("SELECT 1"))  # type: ignore[call-overload]
    assert not is_there(path)
    back(path)
    await db.check()


async def test_a_file_that_comes_back_while_it_is_asked_for_is_the_same_database(sqlite_url: str, path: Path) -> None:
    """The connections of before are no other file's, whatever was open meanwhile."""
    db = Database(sqlite_url)
    await db.start()
    another_in_its_place(path)
    with pytest.raises(Unavailable):
        await db.write(put, "into another")
    back(path)
    await db.write(put, "kept")
    await db.stop()
    with sqlite3.connect(path) as connection:
        assert ("kept",) in connection.execute("SELECT name FROM meta").fetchall()
    connection.close()


async def test_the_page_caches_of_all_connections_are_bounded_together(db: Database) -> None:
    async def of_this(session: object) -> int:
        return int((await session.exec(text("PRAGMA cache_size"))).scalar())  # type: ignore[attr-defined]

    keeper = db._file._keeper  # type: ignore[union-attr]
    assert keeper is not None
    sizes = [await db.write(cache_size), keeper.execute("PRAGMA cache_size").fetchone()[0]]
    async with AsyncExitStack() as stack:
        async with db.transaction() as session:
            sizes.append(await of_this(session))
        readers = db._readers.sync_engine.pool
        while readers.checkedout() < readers.size() + readers._max_overflow:  # type: ignore[attr-defined]
            sizes.append(await of_this(await stack.enter_async_context(db.session())))
    assert len(sizes) > 10
    assert all(size < 0 for size in sizes)  # KiB, not pages
    assert sum(-size for size in sizes) <= PAGE_CACHE_KIB


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def one_byte_less(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def another_programs(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


def damaged(path: Path) -> None:
    """The header is there, and nothing else that makes sense."""
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(path.stat().st_size - 100))


def log_alone(path: Path) -> None:
    path.unlink()
    path.with_name("hub.db-wal").write_bytes(b"what was committed last")


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def a_link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def contents(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize(
    "spoil",
    [
        garbage,
        empty,
        half,
        one_byte_less,
        folder,
        newer,
        another_programs,
        damaged,
        log_alone,
        a_link_to_nowhere,
        a_link_to_itself,
    ],
)
async def test_what_is_no_database_of_a_hub_is_refused_in_one_sentence_and_left_as_it_is(
    path: Path, sqlite_url: str, spoil: Callable[[Path], None]
) -> None:
    spoil(path)
    before = contents(path.parent)
    with pytest.raises(CannotStart) as refusal:
        await Database(sqlite_url).start()
    sentence = refusal.value.message
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert contents(path.parent) == before


async def test_a_database_of_a_newer_hub_is_refused_on_both_kinds(database_url: str) -> None:
    db = Database(database_url)
    await db.start()
    change = text("UPDATE alembic_version SET version_num = :version")
    async with db.transaction() as session:
        version = (await session.exec(text("SELECT version_num FROM alembic_version"))).scalar()  # type: ignore[call-overload]
        await (await session.connection()).execute(change, {"version": "9999"})
    await db.stop()
    try:
        with pytest.raises(CannotStart, match="newer version"):
            await Database(database_url).start()
    finally:
        if not db.is_sqlite:  # other tests use this database
            async with db._writers.begin() as connection:
                await connection.execute(change, {"version": version})
            await db._writers.dispose()


async def test_a_short_file_whose_end_is_in_its_log_is_whole(tmp_path: Path) -> None:
    """As a hub leaves it that is killed while it brings the log into the file."""
    (tmp_path / "killed").mkdir()
    db = Database(f"sqlite:///{tmp_path}/hub.db")
    await db.start()
    await db.write(put, "kept")
    with sqlite3.connect(tmp_path / "hub.db") as other:  # a header that tells of all pages, in a file that has one
        assert other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0
    other.close()
    for name in ("hub.db", "hub.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / "killed" / name)
    await db.stop()
    os.truncate(tmp_path / "killed" / "hub.db", 8192)
    again = Database(f"sqlite:///{tmp_path}/killed/hub.db")
    await again.start()
    assert "kept" in await names(again)
    await again.stop()


async def test_a_file_that_is_not_there_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    with pytest.raises(CannotStart, match="There is no database"):
        await Database(url).start(make=False)
    assert list(contents(tmp_path)) == []
    await asyncio.gather(*(started_and_stopped(url) for _ in range(2)))
    assert list(contents(tmp_path)) == ["hub.db"]
    await started_and_stopped(url)


async def started_and_stopped(url: str) -> None:
    db = Database(url)
    await db.start()
    await db.stop()


def linked(path: Path, folder: Path) -> Path:
    folder.mkdir()
    real = path.rename(folder / "real.db")
    path.symlink_to(real)
    return real


async def test_a_database_behind_a_link_is_watched_where_it_is(tmp_path: Path, path: Path) -> None:
    real = linked(path, tmp_path / "elsewhere")
    db = Database(f"sqlite:///{path}")
    await db.start()
    await db.write(put, "kept")
    away(real)
    with pytest.raises(Unavailable):
        await db.write(put, "lost")
    back(real)
    await db.write(put, "later")
    await db.stop()


async def test_who_is_cancelled_again_and_again_leaves_no_connection_half_closed(
    db: Database,
) -> None:
    """As what is streamed to a client that hangs up is cancelled: once for every turn of the loop, until it ends."""
    begun: asyncio.Queue[None] = asyncio.Queue()
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"

    async def read() -> None:
        async with db.session() as session:
            connection = await session.connection()
            begun.put_nowait(None)
            await connection.execute(text(slow))

    before = asyncio.all_tasks()
    readers = [asyncio.create_task(read()) for _ in range(8)]
    for _ in readers:
        await begun.get()
    while not all(reader.done() for reader in readers):
        for reader in readers:
            reader.cancel()
        await asyncio.sleep(0)
    assert all(reader.cancelled() for reader in readers)
    if closing_now := asyncio.all_tasks() - before:
        _, left = await asyncio.wait(closing_now, timeout=PATIENCE_S)
        assert not left  # nobody keeps them: collected, each would be an error in the log
    async with db.session() as session:
        assert (await (await session.connection()).execute(text("SELECT 1"))).scalar_one() == 1
