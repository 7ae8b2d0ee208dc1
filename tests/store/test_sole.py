"""One hub to a database: who gets the lock, what happens when it is lost, and who ends."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.domain.errors import CannotStart, Unavailable
from hub.store.database import Database
from hub.store.sole import LOCK, PostgresSole
from tests.faults.network import relay
from tests.postgres import PostgresServer
from tests.store.test_writer import get, put

ROOT = Path(__file__).parents[2]
HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = $1::bigint::oid"


@asynccontextmanager
async def only_hub(url: str) -> AsyncIterator[Database]:
    db = Database(url, alone=True)
    await db.start()
    try:
        yield db
    finally:
        await db.stop()


async def holders(connection: Any) -> list[int]:
    return [row["pid"] for row in await connection.fetch(HOLDERS, LOCK & 0xFFFFFFFF)]


async def test_a_second_hub_is_refused_and_commands_beside_the_first_are_not(database_url: str) -> None:
    async with only_hub(database_url):
        with pytest.raises(CannotStart) as refused:
            await Database(database_url, alone=True).start()
        assert refused.value.message.startswith("Another hub runs on the database ")
        assert "@" not in refused.value.message
        beside = Database(database_url)
        await beside.start()
        assert await beside.write(put, "beside") == "beside"
        await beside.stop()
    async with only_hub(database_url) as db:
        assert await db.write(get, "beside") == ""


async def test_of_two_hubs_that_start_at_once_one_does(database_url: str) -> None:
    hubs = [Database(database_url, alone=True) for _ in range(2)]
    outcomes = await asyncio.gather(*(db.start() for db in hubs), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["CannotStart", "NoneType"]
    for db in hubs:
        await db.stop()


async def test_hubs_on_two_databases_of_one_server_do_not_meet(postgres: PostgresServer) -> None:
    async with only_hub(postgres.database()), only_hub(postgres.database()):
        pass


async def test_a_sqlite_file_under_two_names_is_one_database(sqlite_url: str, tmp_path: Path) -> None:
    """Two hubs, each with a data folder of its own."""
    (tmp_path / "other.db").symlink_to(tmp_path / "hub.db")
    async with only_hub(sqlite_url):
        with pytest.raises(CannotStart):
            await Database(f"sqlite:///{tmp_path}/other.db", alone=True).start()


async def test_a_lock_that_an_administrator_ends_is_taken_again_at_once(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    async with only_hub(postgres_url) as db:
        [before] = await holders(connection)
        await connection.execute("SELECT pg_terminate_backend($1)", before)
        assert db.sole is not None
        await db.sole.returned.wait()
        assert [before] != await holders(connection)
        assert await db.write(put, "after") == "after"
    assert await holders(connection) == []
    await connection.close()


async def test_nothing_is_acknowledged_while_the_lock_is_gone(postgres_url: str) -> None:
    """Another hub waits for the lock and gets it, when an administrator ends the session of the first."""
    other, administrator = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    async with only_hub(postgres_url) as db:
        assert await db.write(put, "before") == "before"
        taking = asyncio.create_task(other.execute("SELECT pg_advisory_lock($1)", LOCK))
        while not await administrator.fetchval("SELECT COUNT(*) FROM pg_locks WHERE NOT granted"):
            pass
        for pid in await holders(administrator):
            await administrator.execute("SELECT pg_terminate_backend($1)", pid)
        await taking
        assert db.sole is not None
        assert "Another hub has taken" in await db.sole.superseded
        with pytest.raises(Unavailable) as refused:
            await db.write(put, "after")
        assert refused.value.code == "superseded"
        with pytest.raises(Unavailable):
            async with db.transaction():
                pass
        with pytest.raises(Unavailable):
            await db.check()
        async with db.session():  # what is known can still be told
            pass
    await other.close()
    await administrator.close()


async def test_a_server_that_restarts_is_waited_for(own_postgres: PostgresServer) -> None:
    async with only_hub(own_postgres.database()) as db:
        await asyncio.to_thread(own_postgres.crash)
        with pytest.raises(Unavailable):
            await db.write(put, "lost")
        await asyncio.to_thread(own_postgres.up)
        assert db.sole is not None
        await db.sole.returned.wait()
        assert await db.write(put, "after") == "after"


async def test_a_connection_on_which_nothing_comes_back_is_noticed(postgres: PostgresServer) -> None:
    """The server takes the session for alive; it is our own, so it is ended and not believed."""
    url = postgres.database()
    port = int(url.rpartition(":")[2].partition("/")[0])
    async with relay(port) as cable:
        sole = PostgresSole(url.replace(f":{port}/", f":{cable.port}/"))
        await sole.start()
        sole.check()
        cable.swallow()
        with pytest.raises(Unavailable):
            await sole.verify()
        with pytest.raises(Unavailable):
            sole.check()
        cable.heal()
        await sole.returned.wait()
        await sole.verify()
        await sole.stop()


async def test_whoever_removes_the_lock_beside_a_sqlite_file_starts_no_second_hub(
    sqlite_url: str, tmp_path: Path
) -> None:
    """And programs beside the hub go on writing, with the locks of SQLite."""
    async with only_hub(sqlite_url) as db:
        (tmp_path / "hub.db.lock").unlink()
        second = """if True:
            import asyncio, sys
            from hub.domain.errors import CannotStart
            from hub.store.database import Database
            from tests.store.test_writer import put
            async def main():
                beside = Database(sys.argv[1])
                await beside.start()
                await beside.write(put, "beside")
                await beside.stop()
                try:
                    await Database(sys.argv[1], alone=True).start()
                except CannotStart as error:
                    print(error.message)
            asyncio.run(main())"""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", second, sqlite_url, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        said, _ = await process.communicate()
        assert said.decode().startswith("Another hub runs on the database ")
        assert await db.write(put, "after") == "after"
        assert await db.write(get, "beside") == ""
