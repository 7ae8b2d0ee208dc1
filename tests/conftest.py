"""What all tests share: databases of both kinds, and the named cast."""

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


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; a test that takes this runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A started database of either kind."""
    database = Database(database_url)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def sqlite_db(tmp_path: Path) -> AsyncIterator[Database]:
    """A started SQLite database, for tests that are not about the database."""
    database = Database(f"sqlite:///{tmp_path}/hub.db")
    await database.start()
    yield database
    await database.stop()
