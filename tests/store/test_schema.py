"""The migrations make what the tables say, and every statement is one that both databases take."""

import asyncio
import importlib
import pkgutil
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import hub.store
from hub.store.database import Database
from hub.store.migrations import upgrade
from hub.store.statements import Statement
from hub.store.writer import PostgresWriter, SqliteWriter


def statements() -> dict[str, Statement]:
    found = {}
    for module in pkgutil.iter_modules(hub.store.__path__):
        if module.ispkg:
            continue
        loaded = importlib.import_module(f"hub.store.{module.name}")
        for name, value in vars(loaded).items():
            values: dict[str, Any] = value if isinstance(value, dict) and not name.startswith("__") else {"": value}
            for key, one in values.items():
                if isinstance(one, Statement):
                    found[f"{module.name}.{name} {key}".strip()] = one
    return found


async def test_the_migrations_make_exactly_the_tables(db: Database) -> None:
    def compare(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))

    async with db._writers.connect() as connection:
        assert await connection.run_sync(compare) == []


async def test_an_upgrade_of_an_upgraded_database_changes_nothing(db: Database) -> None:
    async with db._writers.connect() as connection:
        await connection.run_sync(upgrade)
        await connection.execute(text("SELECT log_id FROM (SELECT 1 AS log_id) AS x"))


async def test_every_statement_is_understood(db: Database) -> None:
    assert len(statements()) > 40
    for name, statement in statements().items():
        try:
            await understand(db, statement)
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error


async def understand(db: Database, statement: Statement) -> None:
    """Let the database parse it, without running it."""
    if isinstance(db._writer, PostgresWriter):
        import asyncpg

        connection = await asyncpg.connect(db._writer._dsn)
        try:
            await connection.prepare(statement.postgres)
        finally:
            await connection.close()
    else:
        assert isinstance(db._writer, SqliteWriter)
        from hub.store.writer import open_sqlite

        def explain() -> None:
            connection = open_sqlite(db._writer._path)  # type: ignore[attr-defined]
            try:
                connection.execute("EXPLAIN " + statement.sqlite, [None] * len(statement.names))
            finally:
                connection.close()

        await asyncio.to_thread(explain)
