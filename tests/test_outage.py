"""PostgreSQL is killed again and again under a hub that works: calls, players and operators hear 503 or a close code,
and what was acknowledged is there."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.harness import Hub, running_hub, settings
from tests.postgres import PostgresServer

KILLS = (signal.SIGKILL, signal.SIGQUIT, signal.SIGKILL, signal.SIGQUIT)


class Load:
    """What callers, players and operators do all the time, and what they heard."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.players: list[tuple[int, str]] = []
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.acknowledged: list[str] = []
        self.stored = asyncio.Event()
        self.refused = asyncio.Event()
        self.closes: set[int | None] = set()

    async def calls(self, number: int) -> None:
        player_id = self.players[number % len(self.players)][0]
        calls = [
            ("POST", "/api/v1/commands", {"player_id": player_id, "command": "identify", "payload": {}}),
            ("GET", "/api/v1/players", None),
            ("PATCH", f"/api/v1/players/{player_id}", {"name": f"Screen {number}"}),
            ("GET", "/api/v1/events", None),
            ("GET", "/readyz", None),
        ]
        while True:
            for method, path, body in calls:
                answer = await self.hub.client.request(method, path, json=body)
                self.statuses[answer.status_code] += 1
                if answer.status_code == 202:
                    self.acknowledged.append(answer.json()["command_id"])
                    self.stored.set()
                elif answer.status_code == 503:
                    self.refused.set()
                    if "retry-after" not in answer.headers and path != "/readyz":
                        self.wrong.append(f"{method} {path}: no Retry-After")
                elif answer.status_code >= 500:
                    self.wrong.append(f"{method} {path}: {answer.text}")

    async def player(self, token: str) -> None:
        while True:
            try:
                async with self.hub.connected(token) as player:
                    while True:
                        command = await player.until("command")
                        await player.send(type="ack", id=command["id"])
                        await player.result(command["id"])
            except TimeoutError:
                continue
            except ConnectionClosed as end:
                self.closes.add(end.rcvd.code if end.rcvd else None)
            except InvalidHandshake as refusal:
                self.closes.add(getattr(getattr(refusal, "response", None), "status_code", None))

    async def operator(self) -> None:
        headers = {"Authorization": f"Bearer {self.hub.key}"}
        spoken = [Subprotocol("signalbox.operator.v1")]
        address = f"ws://127.0.0.1:{self.hub.port}/ws/operator"
        command = {"type": "command", "player_id": self.players[0][0], "command": "identify"}
        while True:
            try:
                async with connect(address, subprotocols=spoken, additional_headers=headers, proxy=None) as socket:
                    await socket.send(json.dumps({"type": "subscribe", "topics": ["events", "players"]}))
                    while True:
                        await socket.send(json.dumps(command | {"ref": "r"}))
                        answer = {"type": ""}
                        while answer["type"] not in ("accepted", "refused"):
                            answer = json.loads(await socket.recv())
                        if answer["type"] == "accepted":
                            self.acknowledged.append(answer["command_id"])
                        await asyncio.sleep(0.1)  # ten a second are an operator's allowance
            except ConnectionClosed as end:
                self.closes.add(end.rcvd.code if end.rcvd else None)
            except InvalidHandshake as refusal:
                self.closes.add(getattr(getattr(refusal, "response", None), "status_code", None))


@asynccontextmanager
async def under_load(hub: Hub) -> AsyncIterator[Load]:
    load = Load(hub)
    load.players = [await hub.player(f"Screen {number}") for number in range(4)]
    tasks = [asyncio.create_task(load.calls(number)) for number in range(6)]
    tasks += [asyncio.create_task(load.player(token)) for _, token in load.players]
    tasks += [asyncio.create_task(load.operator()) for _ in range(2)]
    yield load
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError | httpx2.HTTPError):
            raise AssertionError(f"a caller has ended: {outcome!r}")


async def test_a_database_that_is_killed_under_load(
    tmp_path: Path, own_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(tmp_path, own_postgres.database(), rate_limits={"enabled": False})
    async with running_hub(config) as hub:
        async with under_load(hub) as load:
            for how in KILLS:
                for _ in range(10):  # it works
                    load.stored.clear()
                    await load.stored.wait()
                load.refused.clear()
                await asyncio.to_thread(own_postgres.crash, how)
                await load.refused.wait()
                await asyncio.to_thread(own_postgres.up)
        while (await hub.client.get("/readyz")).status_code != 200:
            pass
        assert load.wrong == []
        assert load.closes <= {1012, 503}
        for command_id in load.acknowledged:
            assert (await hub.client.get(f"/api/v1/commands/{command_id}")).status_code == 200
        page = (await hub.client.get("/api/v1/players")).json()["data"]
        assert not any(player["quarantined"] for player in page)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
