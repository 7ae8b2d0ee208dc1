"""What all tests share: databases of both kinds, and the named cast."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.store.database import Database
from tests.postgres import PostgresServer
from tests.requirements import require


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer(require("postgres"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a database with the schema, to copy: migrating each test's own would take most of its time."""
    url = postgres.database()
    asyncio.run(_migrate(url))
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "hub.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.start()
    await database.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of our own without rows; a test that takes this runs on both kinds."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "hub.db")
        return f"sqlite:///{tmp_path}/hub.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database(request.getfixturevalue("postgres_template"))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A started database of either kind."""
    database = Database(database_url)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def sqlite_db(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Database]:
    """A started SQLite database, for tests that are not about the database."""
    shutil.copy(sqlite_template, tmp_path / "hub.db")
    database = Database(f"sqlite:///{tmp_path}/hub.db")
    await database.start()
    yield database
    await database.stop()
