"""What all tests share: databases of both kinds, and the named cast."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from hub.store.database import Database
from tests.compiled import share_compiled_statements
from tests.postgres import PostgresServer
from tests.requirements import require

# Programs that tests start keep their bytecode, whatever the shell says: else each of a thousand starts compiles it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


share_compiled_statements()


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


async def _empty(url: str) -> None:
    """Leave of a PostgreSQL database its schema alone, whatever the last test left: rows, counters, connections. And
    the mark that the schema was found right, for to find it right again takes longer than many a test."""
    connection = await asyncpg.connect(url)
    await connection.execute("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'""")
    tables = await connection.fetchval("""
        SELECT string_agg(quote_ident(relname), ', ') FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT IN ('alembic_version', 'meta')
        AND pg_relation_size(oid) > 0""")
    if tables:
        await connection.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    await connection.execute("DELETE FROM meta WHERE name <> 'schema'")
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
