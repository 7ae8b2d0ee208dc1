"""A database of an earlier version keeps its data."""

import json
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

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
