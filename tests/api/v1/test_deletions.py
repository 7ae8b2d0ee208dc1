"""What a call is about may be deleted while the call is on its way: it is refused, or done, and never a failure of the
hub's own.

Over the route tables of all faces: each call that may write is made once for each of its writes, and right before that
write everything that the team has is deleted, or the person who calls.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import delete, insert, select
from sqlmodel import SQLModel

from hub.api.http.endpoint import OPERATORS, Endpoint
from hub.app import ENTRIES
from hub.store.writer import UnitMaker, Writer
from tests.api.v1.test_tenancy import FOR_LOGINS, call, label
from tests.scene import Scene, set_scene
from tests.whole_hub import WholeHub, whole_hub

TABLES = SQLModel.metadata.sorted_tables
KEPT = {"team", "users", "api_key", "meta", "event", "rate_limit"}
"""Without them nobody could call."""

WRITING = [entry for entry in ENTRIES if entry.method != "GET" and label(entry) not in FOR_LOGINS]


class Race:
    """One call, and what happens right before its write number `at` (0: nothing)."""

    def __init__(self, at: int, happens: Callable[[], Awaitable[None]]) -> None:
        self.at, self._happens, self.writes = at, happens, 0

    async def step(self) -> None:
        self.writes += 1
        if self.writes == self.at:
            before = racing.set(None)
            await self._happens()
            racing.reset(before)


racing: ContextVar[Race | None] = ContextVar("racing", default=None)


class Interposed:
    """The database's writer, which a race is told of before each of its writes."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def start(self) -> None:
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    def submit(self, unit: UnitMaker, *args: Any, key: object = None, **kwargs: Any) -> "asyncio.Future[Any]":
        race = racing.get()
        if race is None:
            return self._writer.submit(unit, *args, key=key, **kwargs)

        async def later() -> Any:
            await race.step()
            return await self._writer.submit(unit, *args, key=key, **kwargs)

        return asyncio.ensure_future(later())

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if (race := racing.get()) is not None:
            await race.step()
        async with self._writer.turn():
            yield


class Stage:
    """A hub with one of everything, which comes back after each race."""

    def __init__(self, hub: WholeHub, owner: httpx2.AsyncClient, scene: Scene) -> None:
        self.hub, self.owner, self.scene = hub, owner, scene
        self.player = hub.client()
        self._rows: dict[str, list[dict[str, Any]]] = {}

    async def remember(self) -> None:
        token = await self.hub.services.players.issue_token(self.hub.owner, self.scene.player_id, face="signalbox")
        self.player = self.hub.client(token)
        async with self.hub.db.session() as session:
            for table in TABLES:
                rows = await (await session.connection()).execute(select(table))
                self._rows[table.name] = [dict(row) for row in rows.mappings()]

    async def restore(self) -> None:
        async with self.hub.db.transaction() as session:
            connection = await session.connection()
            for table in reversed(TABLES):
                if table.name != "meta":
                    await connection.execute(delete(table))
            for table in TABLES:
                if table.name != "meta" and (rows := self._rows[table.name]):
                    await connection.execute(insert(table), rows)

    async def all_is_deleted(self) -> None:
        async with self.hub.db.transaction() as session:
            connection = await session.connection()
            for table in reversed(TABLES):
                if table.name not in KEPT:
                    await connection.execute(delete(table))

    async def the_caller_is_deleted(self) -> None:
        async with self.hub.db.transaction() as session:
            connection = await session.connection()
            await connection.execute(delete(SQLModel.metadata.tables["users"]))

    async def raced(self, entry: Endpoint, race: Race) -> Race:
        """Make the call, and see that the hub has not failed."""
        client = self.caller(entry.callers, entry.needs_auth)

        async def made() -> httpx2.Response:
            racing.set(race)
            return await call(client, entry, self.scene)

        answer = await asyncio.create_task(made())
        moved = answer.status_code == 503 and answer.json()["code"] == "moved"
        assert moved or answer.status_code < 500, f"{label(entry)}, write {race.at}: {answer.text}"
        await self.restore()
        return race

    def caller(self, callers: frozenset[Any], needs_auth: bool) -> httpx2.AsyncClient:
        if not needs_auth:
            return self.hub.client()
        return self.owner if callers & OPERATORS else self.player


@pytest.fixture
async def stage(tmp_path: Path, database_url: str) -> AsyncIterator[Stage]:
    async with whole_hub(tmp_path, database_url, rate_limits={"enabled": False}) as hub:
        owner = await hub.as_owner()
        stage = Stage(hub, owner, await set_scene(hub, owner))
        await stage.remember()
        hub.db._writer = Interposed(hub.db._writer)  # type: ignore[assignment]
        yield stage


@pytest.mark.timeout(900)
async def test_no_deletion_makes_a_call_fail(stage: Stage) -> None:
    for entry in WRITING:
        writes = (await stage.raced(entry, Race(0, stage.all_is_deleted))).writes
        for at in range(1, writes + 1):
            await stage.raced(entry, Race(at, stage.all_is_deleted))
            await stage.raced(entry, Race(at, stage.the_caller_is_deleted))
