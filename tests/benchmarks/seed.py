"""Databases for measurements: a fleet in bulk, and a year of its life.

`python -m tests.benchmarks.seed FILE [--players N --events N --commands N --sessions N]` makes an aged one by itself.
The same sizes make the same rows, up to the team's key and the day on which the year ends.
"""

import argparse
import asyncio
import itertools
import os
import random
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hub.domain import ids
from hub.domain.times import DAY, now_ms
from hub.services.teams import create_team, prepare
from hub.store.database import Database
from hub.store.sqlite import open_sqlite
from hub.store.statements import Statement, insert_into
from hub.store.tables import Campaign, Command, EventRow, GroupMember, Player, PlayerGroup, PresenceRow, Session, Status
from tests.benchmarks.wire import CAPABILITIES

ROWS = 20_000  # a transaction
YEAR = 365 * DAY

COMMANDS = ("reload_content", "take_screenshot", "set_volume", "identify", "reboot")
FATES = ("succeeded",) * 94 + ("failed", "expired", "expired", "timed_out", "cancelled", "rejected")
EVENTS = ("command.queued", "command.sent", "command.acknowledged", "command.finished", "player.online")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who can speak to a hub on this database: the team's key, (id, token) of each player, the group of all."""

    key: str
    players: list[tuple[int, str]]
    group_id: int


@dataclass(frozen=True, slots=True)
class Age:
    """How much has happened. The default is a tenth of a year of 3,000 players."""

    players: int = 3_000
    events: int = 1_000_000
    commands: int = 300_000
    sessions: int = 200_000
    plays: int = 0


def make(path: Path, players: int, age: Age | None = None) -> Fleet:
    """A database with one team and its players; with `age` also with a past."""
    team_id, key = asyncio.run(_team(path))
    connection = open_sqlite(path)
    connection.execute("PRAGMA synchronous=OFF")  # nobody relies on this file before it is complete
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA cache_size=-1048576")  # KiB: the indexes of a year, filled at random places
    try:
        fleet = _fleet(connection, team_id, key, players)
        if age is not None:
            _past(connection, team_id, players, age)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    settle(path)
    return fleet


def settle(path: Path) -> None:
    """Bring the file to the disk, or the first commit of a hub would wait for all of it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


async def _team(path: Path) -> tuple[int, str]:
    db = Database(f"sqlite:///{path}")
    await db.start()
    try:
        await prepare(db)
        return await create_team(db, name="Benchmark", email="owner@example.com", password="correct horse battery")
    finally:
        await db.stop()


def _fill(connection: sqlite3.Connection, insert: Statement, rows: Iterable[dict[str, Any]]) -> None:
    rows = iter(rows)
    while chunk := list(itertools.islice(rows, ROWS)):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert.named, chunk)
        connection.execute("COMMIT")


def _blank(table: Any) -> dict[str, Any]:
    """A row of the table with its defaults; what has none is null and must be given."""
    return {
        name: None if field.is_required() or field.default is None else field.default
        for name, field in table.model_fields.items()
    }


def _fleet(connection: sqlite3.Connection, team_id: int, key: str, count: int) -> Fleet:
    now = now_ms() - YEAR - DAY
    tokens = [f"{ids.PLAYER_TOKEN_PREFIX}{number:08d}_{number:032d}" for number in range(1, count + 1)]
    numbers = range(1, count + 1)
    blank = _blank(Player) | {"team_id": team_id, "created_at": now, "updated_at": now, "token_issued_at": now}
    capabilities = orjson.dumps(CAPABILITIES).decode()
    _fill(connection, insert_into(Player), (
        blank
        | {
            "id": number,
            "name": f"Screen {number}",
            "screen_id": f"scr_{number:013d}",
            "token_digest": ids.digest(token),
            "token_prefix": ids.visible_part(token),
            "capabilities": capabilities,
        }
        for number, token in zip(numbers, tokens, strict=True)
    ))  # fmt: skip
    blank = _blank(PresenceRow) | {"team_id": team_id, "since": now}
    _fill(connection, insert_into(PresenceRow), (blank | {"player_id": number} for number in numbers))
    _fill(connection, insert_into(Status), (_blank(Status) | {"player_id": number} for number in numbers))
    group = _blank(PlayerGroup) | {"id": 1, "team_id": team_id, "name": "All", "created_at": now}
    _fill(connection, insert_into(PlayerGroup), [group])
    _fill(connection, insert_into(GroupMember), ({"group_id": 1, "player_id": number} for number in numbers))
    return Fleet(key, list(zip(numbers, tokens, strict=True)), 1)


def _past(connection: sqlite3.Connection, team_id: int, players: int, age: Age) -> None:
    chance = random.Random(2026)
    began = now_ms() - YEAR
    _fill(connection, insert_into(Session), _sessions(chance, began, players, age.sessions))
    _fill(connection, insert_into(Command), _commands(chance, began, team_id, players, age.commands))
    _fill(connection, insert_into(EventRow, without=("id",)), _events(chance, began, team_id, players, age.events))
    if age.plays:
        _plays(connection, team_id, players, age.plays)


def _named(prefix: str, at: int, chance: random.Random) -> str:
    """An identifier as the hub makes them, of this time."""
    return f"{ids.earliest(prefix, at)}{chance.getrandbits(64):016X}"


def _sessions(chance: random.Random, began: int, players: int, count: int) -> Iterator[dict[str, Any]]:
    blank = _blank(Session) | {"node": "hub", "address": "192.0.2.7", "reason": "lost"}
    for number in range(count):
        at = began + YEAR * number // count
        yield blank | {
            "id": _named("ses_", at, chance),
            "player_id": chance.randint(1, players),
            "epoch": number,
            "started_at": at,
            "ended_at": at + chance.randrange(DAY),
        }


def _commands(chance: random.Random, began: int, team_id: int, players: int, count: int) -> Iterator[dict[str, Any]]:
    blank = _blank(Command) | {
        "team_id": team_id,
        "payload": "{}",
        "delivery": "safe",
        "finish_within_s": 60,
        "actor_kind": "key",
        "actor_id": 1,
        "actor_name": "First key",
        "face": "own",
        "address": "192.0.2.1",
        "detail": '{"shown":"here"}',
        "node": "hub",
        "epoch": 1,
    }
    for number in range(count):
        at = began + YEAR * number // count
        yield blank | {
            "id": _named("cmd_", at, chance),
            "player_id": chance.randint(1, players),
            "command": chance.choice(COMMANDS),
            "state": chance.choice(FATES),
            "version": 4,
            "created_at": at,
            "expires_at": at + 60_000,
            "sent_at": at + 1,
            "acked_at": at + 2,
            "finished_at": at + 900,
        }


def _events(chance: random.Random, began: int, team_id: int, players: int, count: int) -> Iterator[dict[str, Any]]:
    blank = _blank(EventRow) | {"team_id": team_id}
    for number in range(count):
        player_id = chance.randint(1, players)
        kind = EVENTS[number % len(EVENTS)]
        yield blank | {
            "type": kind,
            "at": began + YEAR * number // count,
            "player_id": player_id,
            "data": f'{{"command_id":"cmd_{number:026d}","player_id":{player_id},"command":"identify"}}',
        }


CAMPAIGNS, LAYOUTS = 50, 20
PLAYS = """
    WITH RECURSIVE play_number(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM play_number WHERE n + 1 < :end)
    INSERT INTO play (team_id, player_id, entry, asset_id, playlist_id, layout_id, campaign_id, started_at, duration_ms,
                      revenue_micros, completed, stored_at)
    SELECT :team_id, 1 + n % :players, 'play-' || n, 1 + n % 300, 1 + n % 40, 1 + n % :layouts,
           CASE WHEN n % 3 = 0 THEN 1 + n % :campaigns END, :began + n * :span / :plays, 10000 + n % 7,
           CASE WHEN n % 3 = 0 THEN 50000 ELSE 0 END, 1, :began + n * :span / :plays
    FROM play_number"""
PLAY_SUMS = """
    INSERT INTO play_sum (team_id, dimension, dimension_id, quarter_at, plays, duration_ms, revenue_micros)
    SELECT team_id, '{0}', {1}, started_at - started_at % 900000, COUNT(*), SUM(duration_ms), SUM(revenue_micros)
    FROM play WHERE {1} IS NOT NULL GROUP BY 1, 2, 3, 4"""


def _plays(connection: sqlite3.Connection, team_id: int, players: int, count: int) -> None:
    """Plays of the last thirty days, in the order of their times, and their sums; all inside SQLite, where ten million
    take minutes."""
    span = 30 * DAY
    blank = _blank(Campaign) | {"team_id": team_id, "created_at": now_ms() - YEAR, "price_micros": 50_000}
    campaigns = ({**blank, "id": number, "name": f"Campaign {number}"} for number in range(1, CAMPAIGNS + 1))
    _fill(connection, insert_into(Campaign), campaigns)
    about = {
        "team_id": team_id,
        "players": players,
        "campaigns": CAMPAIGNS,
        "layouts": LAYOUTS,
        "began": now_ms() - span,
        "span": span,
        "plays": count,
    }
    for first in range(0, count, 50 * ROWS):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(PLAYS, about | {"first": first, "end": min(count, first + 50 * ROWS)})
        connection.execute("COMMIT")
    for dimension in ("team", "player", "layout", "campaign"):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(PLAY_SUMS.format(dimension, f"{dimension}_id"))
        connection.execute("COMMIT")


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description="Make an aged hub database.")
    cli.add_argument("file", type=Path)
    default = Age()
    for name in ("players", "events", "commands", "sessions", "plays"):
        cli.add_argument(f"--{name}", type=int, default=getattr(default, name), metavar="N")
    given = cli.parse_args()
    wanted = Age(given.players, given.events, given.commands, given.sessions, given.plays)
    print(f"key of the team: {make(given.file, wanted.players, wanted).key}")
