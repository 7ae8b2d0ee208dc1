"""No statement of the durable path may cost more the longer the past is."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store import batches, commands, events, incidents, mails, presence
from hub.store.statements import Statement

STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}{name}": value
    for module in (commands, presence, events, batches, incidents, mails)
    for name, value in vars(module).items()
    if isinstance(value, Statement)
}
WHOLE_TABLE = {"presence_AWAIT"}  # a row a player: when the hub starts, or a fleet is let in slowly
ONE_DAY = {"presence_SESSIONS"}  # of one player, which has 1,000 rows of a day at most
HISTORY = ("ix_command_player", "ix_command_team", "ix_session_player", "ix_event_team")


@pytest.fixture(scope="module")
def connection(sqlite_template: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(sqlite_template)  # plans are asked for, nothing is carried out
    yield connection
    connection.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_finds_its_rows_without_walking_over_the_past(connection: sqlite3.Connection, name: str) -> None:
    statement = STATEMENTS[name]
    values = [1] * len(statement.names)
    plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", values)]
    if name not in WHOLE_TABLE:
        assert not [step for step in plan if step.startswith("SCAN")], plan
    if name not in ONE_DAY:
        assert not [step for step in plan if any(index in step for index in HISTORY)], plan
