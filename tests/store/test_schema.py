"""The migrations make what the tables say, and every statement is one that both databases take."""

import importlib
import pkgutil
import re
import sqlite3
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import hub.store
from hub.domain.commands import MOVES
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


LIFE = {  # what the hub itself may do to a command, as the manual tells it
    "held": {"queued", "cancelled"},
    "queued": {"sent", "acked", "cancelled", "rejected", "expired", "delivered"},
    "sent": {"queued", "acked", "cancelled", "expired", "failed"},
    "acked": {"timed_out", "failed"},
    "delivered": {"succeeded"},
}
_UPDATE = re.compile(r"UPDATE command SET (?P<assigned>.*?) WHERE (?P<where>.*)")
_STATE = re.compile(r"\bstate = (?:'(?P<to>[a-z_]+)'|CASE state (?P<cases>.*?) END|(?P<given>:state))")
_GUARD = re.compile(r"state (?:= '(?P<one>[a-z_]+)'|IN \((?P<more>[^)]*)\))")


def moves_of(sql: str) -> set[tuple[str, str]]:
    """From where to where an UPDATE moves commands."""
    update = _UPDATE.search(sql)
    assigned = update and _STATE.search(update["assigned"])
    if not update or not assigned or assigned["given"]:  # a player's word: the caller asks `accepts_result`
        return set()
    guard = _GUARD.search(update["where"])
    assert guard, sql
    before = [guard["one"]] if guard["one"] else re.findall(r"'([a-z_]+)'", guard["more"])
    if assigned["to"]:
        return {(state, assigned["to"]) for state in before}
    cases = re.findall(r"WHEN '([a-z_]+)' THEN '([a-z_]+)'", assigned["cases"])
    assert sorted(before) == sorted(state for state, _ in cases), sql
    return set(cases)


def test_every_statement_moves_commands_along_their_life_and_the_whole_life_is_there() -> None:
    found = set().union(*(moves_of(statement.named) for statement in statements().values()))
    assert found == {(before, after) for before, afters in LIFE.items() for after in afters}
    assert found == {move for moves in MOVES.values() for move in moves.items()}


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
