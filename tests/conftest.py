"""What all tests share: databases of both kinds, and the named cast."""

import asyncio
import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from argon2 import PasswordHasher

from hub.services import passwords
from hub.store.database import Database
from tests.compiled import share_compiled_statements
from tests.postgres import PostgresServer
from tests.requirements import require

# Programs that tests start keep their bytecode, whatever the shell says: else each of a thousand starts compiles it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


share_compiled_statements()

# Passwords of tests are hashed by the real Argon2, at its least cost: at the one of a hub they took a twentieth of all.
passwords.PasswordHasher = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: looking through it again and again took as much."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_xdist_auto_num_workers() -> int:
    """Two a core, four at most: the tests wait for events more than they compute."""
    return min(4, 2 * (os.cpu_count() or 1))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer(require("postgres"))
    yield server
    server.stop()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that this test may stop."""
    server = PostgresServer(require("postgres"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_database(postgres: PostgresServer) -> str:
    """The URL of a database with the schema, for one test after another: a new one takes longer than many a test."""
    url = postgres.database()
    asyncio.run(_migrate(url))
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "hub.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.start()
    await database.stop()


LARGE_BYTES = 1_000_000  # of a table: up to here deleting its rows costs less than other files for it and its indexes


async def _empty(url: str) -> None:
    """Leave of a PostgreSQL database its schema alone, whatever the last test left: rows, counters, connections. And
    the mark that the schema was found right, for to find it right again takes longer than many a test."""
    connection = await asyncpg.connect(url)
    await connection.execute("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'""")
    written = await connection.fetch("""
        SELECT quote_ident(relname) AS name, pg_relation_size(oid) AS size FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT IN ('alembic_version', 'meta')
        AND pg_relation_size(oid) > 0""")
    large = [table["name"] for table in written if table["size"] > LARGE_BYTES]
    await connection.execute("SET session_replication_role = replica")  # rows that refer to others go as well
    await connection.execute(
        "".join(f"DELETE FROM {table['name']};" for table in written if table["size"] <= LARGE_BYTES)
        + (f"TRUNCATE {', '.join(large)} CASCADE;" if large else "")
        + "DELETE FROM meta WHERE name <> 'schema';"
        + "SELECT setval(quote_ident(sequencename)::regclass, 1, false) FROM pg_sequences WHERE last_value IS NOT NULL;"
    )
    await connection.close()


@pytest.fixture
def postgres_url(postgres_database: str) -> str:
    """A PostgreSQL database of our own without rows."""
    asyncio.run(_empty(postgres_database))
    return postgres_database


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The same in a SQLite file."""
    shutil.copy(sqlite_template, tmp_path / "hub.db")
    return f"sqlite:///{tmp_path}/hub.db"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of our own without rows; a test that takes this runs on both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A started database of either kind."""
    database = Database(database_url)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def sqlite_db(sqlite_url: str) -> AsyncIterator[Database]:
    """A started SQLite database, for tests that are not about the database."""
    database = Database(sqlite_url)
    await database.start()
    yield database
    await database.stop()
