"""A database of an earlier version keeps its data."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from hub.domain.errors import CannotStart
from hub.store.database import Database
from hub.store.migrations import configuration
from tests.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/hub.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database().replace("postgresql://", "postgresql+asyncpg://", 1)


async def run(url: str, *steps: Any) -> list[Any]:
    """Revisions, up or down, and statements; answers the rows of the last one."""
    engine = create_async_engine(url)
    rows: list[Any] = []

    def move(connection: Connection, revision: str) -> None:
        current = (
            connection.dialect.has_table(connection, "alembic_version")
            and connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        )
        step = command.downgrade if current and current > revision else command.upgrade
        step(configuration(connection), revision)

    async with engine.connect() as connection:
        for step in steps:
            if step.isdigit():
                await connection.run_sync(move, step)
            else:
                result = await connection.execute(text(step))
                rows = [tuple(row) for row in result] if result.returns_rows else []
        await connection.commit()
    await engine.dispose()
    return rows


ALERT = (
    "INSERT INTO team (id, name, plan, timezone, created_at, content_version) VALUES (1, 'Shop', 'free', 'UTC', 1, 1)",
    "INSERT INTO alert (id, team_id, title, message, severity, everyone, starts_at, created_at, version) "
    "VALUES (7, 1, 'Gale', 'Stay inside', 'severe', TRUE, 5, 5, 1)",
    "INSERT INTO alert_source (team_id, source, alert_id) VALUES (1, 'a,b,c', 7)",
)


async def test_messages_that_alerts_were_made_of_are_kept(empty_url: str) -> None:
    parts = "SELECT team_id, source, part, alert_id FROM alert_part"
    assert await run(empty_url, "0005", *ALERT, "0006", parts) == [(1, "a,b,c", "", 7)]
    assert await run(empty_url, "SELECT team_id, source, settled_at FROM cap_message") == [(1, "a,b,c", 5)]
    assert await run(empty_url, "0005", "SELECT team_id, source, alert_id FROM alert_source") == [(1, "a,b,c", 7)]


async def test_settings_that_were_reported_without_end_are_cut(empty_url: str) -> None:
    large = '{"k"\\:"' + "v" * 70_000 + '"}'
    rows = await run(
        empty_url,
        "0011",
        "INSERT INTO team (id, name, plan, timezone, created_at, content_version) "
        "VALUES (1, 'Shop', 'free', 'UTC', 1, 1)",
        *(
            "INSERT INTO player (id, team_id, screen_id, name, created_at, updated_at, version, settings) "
            f"VALUES ({number}, 1, 'S{number}', 'Lobby', 1, 1, 1, '{{}}')"
            for number in (1, 2, 3, 4)
        ),
        f"INSERT INTO player_status (player_id, telemetry, reported) VALUES (1, '{{}}', '{large}')",
        *(
            "INSERT INTO player_status (player_id, telemetry, reported) "
            f"VALUES ({number}, '{{}}', '{reported}')".replace(":", r"\:")
            for number, reported in (
                (2, '{"volume":4}'),
                (3, '{"volume":5,"~picture":5,"~failed":{"a":1},"~x":1}'),
                (4, '{"~picture":[true,7],"~failed":{"a":"b"}}'),
            )
        ),
        "0013",
        "SELECT player_id, reported FROM player_status ORDER BY player_id",
    )
    assert [(number, json.loads(reported)) for number, reported in rows] == [
        (1, {}),
        (2, {"volume": 4}),
        (3, {"volume": 5}),
        (4, {"~picture": [True, 7], "~failed": {"a": "b"}}),
    ]


async def start(url: str) -> str:
    """What a start says, "" where it starts."""
    database = Database(url.replace("+aiosqlite", "").replace("+asyncpg", ""))
    try:
        await database.start()
    except CannotStart as refusal:
        return str(refusal)
    await database.stop()
    return ""


UNLIKE = [  # what was done, how it is undone, and what a start says
    (
        "ALTER TABLE player DROP COLUMN quarantined_by",
        "ALTER TABLE player ADD COLUMN quarantined_by VARCHAR",
        "the table player has no column quarantined_by",
    ),
    (
        "ALTER TABLE player RENAME COLUMN quarantined_by TO by_whom",
        "ALTER TABLE player RENAME COLUMN by_whom TO quarantined_by",
        "the table player has no column quarantined_by",
    ),
    (
        "ALTER TABLE alert ADD COLUMN colour VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE alert DROP COLUMN colour",
        "",
    ),
    ("ALTER TABLE alert ADD COLUMN colour VARCHAR", "ALTER TABLE alert DROP COLUMN colour", ""),
    ("CREATE INDEX mine ON alert (title)", "DROP INDEX mine", ""),
    ("CREATE TABLE mine (name VARCHAR)", "DROP TABLE mine", ""),
    (
        "DROP INDEX ix_cap_message_settled_at",
        "CREATE INDEX ix_cap_message_settled_at ON cap_message (settled_at)",
        "the table cap_message has no index ix_cap_message_settled_at as it should be",
    ),
    (
        "ALTER TABLE hub_downtime RENAME TO times_away",
        "ALTER TABLE times_away RENAME TO hub_downtime",
        "there is no table hub_downtime",
    ),
]


async def test_a_database_that_is_not_what_its_revision_says_is_refused_in_one_sentence(empty_url: str) -> None:
    assert await start(empty_url) == ""
    revision = (await run(empty_url, "SELECT version_num FROM alembic_version"))[0][0]
    for done, undone, says in UNLIKE:
        await run(empty_url, done)
        said = await start(empty_url)
        assert says in said, done
        if says:
            assert f"is not what its revision ({revision}) says: {says}. It was made" in said
            assert "\n" not in said
            assert said.endswith("a backup that a released version made, or begin with a new database.")
        else:
            assert said == "", done
        await run(empty_url, undone)
    assert await start(empty_url) == ""


MARK = "SELECT value FROM meta WHERE name = 'schema'"

START = """
import asyncio, sys
from hub.store.database import Database

async def start():
    database = Database(sys.argv[1])
    await database.start()
    await database.stop()

asyncio.run(start())
print("alembic" in sys.modules)
"""


async def test_a_schema_that_was_found_right_is_not_migrated_again(empty_url: str) -> None:
    url = empty_url.replace("+aiosqlite", "").replace("+asyncpg", "")
    for looked in ("True", "False"):
        ran = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", START, url], capture_output=True, check=True, text=True
        )
        assert ran.stdout.split() == [looked]


@pytest.mark.parametrize("other", ["UPDATE meta SET value = 'x'", "DELETE FROM meta"])
async def test_a_schema_that_another_version_found_right_is_looked_at(empty_url: str, other: str) -> None:
    await start(empty_url)
    mark = await run(empty_url, MARK)
    await run(empty_url, f"{other} WHERE name = 'schema'")
    assert await start(empty_url) == ""
    assert await run(empty_url, MARK) == mark


async def test_a_database_without_the_table_of_the_mark_is_refused(empty_url: str) -> None:
    await start(empty_url)
    await run(empty_url, "DROP TABLE meta")
    assert "says: there is no table meta. It was made" in await start(empty_url)


async def test_a_database_of_another_type_of_column_is_refused(empty_url: str) -> None:
    await start(empty_url)
    drop = "ALTER TABLE player DROP COLUMN quarantined_by"
    await run(empty_url, drop, "ALTER TABLE player ADD COLUMN quarantined_by BIGINT")
    assert "the column quarantined_by of the table player is BIGINT, not VARCHAR" in await start(empty_url)
    await run(empty_url, drop, "ALTER TABLE player ADD COLUMN quarantined_by VARCHAR NOT NULL DEFAULT ''")
    assert "the column quarantined_by of the table player may not be empty" in await start(empty_url)


async def test_a_migration_that_meets_other_tables_is_told_in_one_sentence(empty_url: str) -> None:
    await run(empty_url, "0010", "ALTER TABLE player ADD COLUMN quarantined_by VARCHAR")
    said = await start(empty_url)
    assert "is not what its revision (0010) says: " in said
    assert "quarantined_by" in said
    assert said.endswith("or begin with a new database.")
    assert await run(empty_url, "SELECT version_num FROM alembic_version") == [("0010",)]  # nothing was changed
    await run(empty_url, "DELETE FROM alembic_version")
    assert "is not what its revision (none) says: " in await start(empty_url)
