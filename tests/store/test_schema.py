"""The migrations make what the tables say, and every statement is one that both databases take."""

import importlib
import pkgutil
import sqlite3
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import hub.store
from hub.store.database import Database
from hub.store.migrations import upgrade
from hub.store.sqlite import open_sqlite
from hub.store.statements import Statement
from hub.store.writer import PostgresWriter


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
        await connection.run_sync(upgrade, "here")
        await connection.execute(text("SELECT log_id FROM (SELECT 1 AS log_id) AS x"))


async def test_every_statement_is_understood(db: Database) -> None:
    """The database parses them, without running them."""
    assert len(statements()) > 40
    understand = _by_postgres if isinstance(db._writer, PostgresWriter) else _by_sqlite
    assert await understand(db._writer, statements()) == {}


async def _by_postgres(writer: Any, statements: dict[str, Statement]) -> dict[str, str]:
    """What is wrong, by name of the statement."""
    wrong = {}
    connection = await asyncpg.connect(writer._dsn)
    for name, statement in statements.items():
        try:
            await connection.prepare(statement.postgres)
        except asyncpg.PostgresError as error:
            wrong[name] = str(error)
    await connection.close()
    return wrong


async def _by_sqlite(writer: Any, statements: dict[str, Statement]) -> dict[str, str]:
    wrong = {}
    connection = open_sqlite(writer._file.path)
    for name, statement in statements.items():
        try:
            connection.execute("EXPLAIN " + statement.sqlite, [None] * len(statement.names))
        except sqlite3.Error as error:
            wrong[name] = str(error)
    connection.close()
    return wrong
