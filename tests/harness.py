"""A real hub on loopback inside the test's own loop, and a player that speaks literal `signalbox.v1` JSON."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from hub.app import create_app
from hub.config import Settings, load
from hub.server import HubServer, configure, serving
from hub.services.container import Services
from hub.services.teams import create_team, prepare
from hub.sockets.operator.registry import Operators
from hub.sockets.player.registry import Registry
from hub.store.database import Database
from tests.furnished import Furnished
from tests.waiting import PATIENCE_S

PASSWORD = "correct horse battery"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # hubs of tests are plain HTTP; to read all authorities takes 30 ms
CAPABILITIES = ["reboot", "restart_player", "reload_content", "take_screenshot", "set_volume", "identify"]


def settings(folder: Path, database_url: str = "", **groups: Any) -> Settings:
    server = {"data": folder, "port": 0} | groups.pop("server", {})
    return load(Path("/dev/null"), server=server, database={"url": database_url}, **groups)


async def _team(db: Database) -> str:
    """A team; answers its first key."""
    await prepare(db)
    _, key = await create_team(db, name="Team", email="owner@example.com", password=PASSWORD)
    return key


_TEAM = Furnished(_team)


async def make_team(url: str) -> str:
    """A team in the database at `url`; answers its first key."""
    if (path := _new_file(url)) is not None:
        return await _TEAM.copy(path)
    db = Database(url)
    await db.start()
    try:
        return await _team(db)
    finally:
        await db.stop()


def _new_file(url: str) -> Path | None:
    path = Path(url.removeprefix("sqlite:///"))
    return path if url.startswith("sqlite:///") and not path.exists() else None


class Hub:
    """A running hub, a key of its team, and a client that carries the key."""

    def __init__(self, server: HubServer, port: int, key: str) -> None:
        self._server = server
        self.port = port
        self.key = key
        self.url = f"http://127.0.0.1:{port}"
        self.client = self.as_(key)

    @property
    def ports(self) -> list[int]:
        return self._server.ports

    @property
    def services(self) -> Services:
        services: Services = self._server.lifespan.state["services"]
        return services

    @property
    def registry(self) -> Registry:
        registry: Registry = self._server.lifespan.state["registry"]
        return registry

    @property
    def operators(self) -> Operators:
        operators: Operators = self._server.lifespan.state["operators"]
        return operators

    def as_(self, key: str | None) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=40, verify=NO_TLS)

    async def player(self, name: str = "Lobby") -> tuple[int, str]:
        """A new player: (id, token)."""
        made = await self.client.post("/api/v1/players", json={"name": name})
        assert made.status_code == 201, made.text
        player_id: int = made.json()["data"]["id"]
        token = await self.client.post(f"/api/v1/players/{player_id}/token")
        return player_id, token.json()["token"]

    async def command(self, player_id: int, name: str, payload: dict[str, Any] | None = None, **more: Any) -> str:
        body = {"player_id": player_id, "command": name, "payload": payload or {}} | more
        answer = await self.client.post("/api/v1/commands", json=body)
        assert answer.status_code == 202, answer.text
        command_id: str = answer.json()["command_id"]
        return command_id

    async def story(self, command_id: str, wait_s: int = 0) -> dict[str, Any]:
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        answer = await self.client.get(f"/api/v1/commands/{command_id}", headers=headers)
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def event(self, kind: str, after: str | None = None, **data: Any) -> dict[str, Any]:
        """The first event of this type whose data has these values; waits for it."""
        while True:
            params = {"limit": 1000} | ({"after": after} if after else {})
            page = (await self.client.get("/api/v1/events", params=params, headers={"Prefer": "wait=25"})).json()
            for event in page["data"]:
                if event["event"] == kind and all(event["data"].get(name) == value for name, value in data.items()):
                    found: dict[str, Any] = event
                    return found
            after = page["meta"]["next"]

    @asynccontextmanager
    async def connected(self, token: str, **hello: Any) -> AsyncIterator["Player"]:
        """A player that has said hello and was welcomed."""
        async with self.socket(token) as player:
            await player.hello(**hello)
            yield player

    @asynccontextmanager
    async def socket(self, token: str | None, **options: Any) -> AsyncIterator["Player"]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        options = {"subprotocols": ["signalbox.v1"], "additional_headers": headers} | options
        async with connect(
            f"ws://127.0.0.1:{self.port}/ws/player", compression=None, ping_interval=None, proxy=None, **options
        ) as connection:
            yield Player(connection)


@asynccontextmanager
async def running_hub(
    config: Settings, key: str | None = None, probe: Callable[[str], None] | None = None
) -> AsyncIterator[Hub]:
    """Serve until the block ends; makes a team unless a key of one is given."""
    if key is None:
        key = await make_team(config.database_url)
    app = create_app(config, probe=probe)
    beside = [
        configure(app.state.metrics, host=host, port=port, sockets=False) for host, port in config.metrics.addresses
    ]
    async with serving(configure(app, host="127.0.0.1", port=0), beside=beside) as (server, port):
        hub = Hub(server, port, key)
        async with hub.client:
            yield hub


class Player:
    """The player's end of a socket, frame by frame."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        text = await asyncio.wait_for(self.connection.recv(), PATIENCE_S)
        assert isinstance(text, str)
        message: dict[str, Any] = json.loads(text)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of this type; others before it are passed over."""
        while True:
            message = await self.receive()
            if message["type"] == kind:
                return message

    async def hello(self, **changes: Any) -> dict[str, Any]:
        await self.send_hello(**changes)
        return await self.until("welcome")

    async def send_hello(self, **changes: Any) -> None:
        await self.send(
            **{
                "type": "hello",
                "agent": {"name": "test", "version": "1"},
                "boot_id": "boot-1",
                "hardware_id": "hw-1",
                "clock": "2026-01-01T00:00:00Z",
                "capabilities": CAPABILITIES,
                "player": {"kind": "simulated", "version": "1"},
                "journal": [],
            }
            | changes
        )

    async def result(
        self, command_id: str, status: str = "succeeded", *, boot_id: str = "boot-1", **detail: Any
    ) -> None:
        await self.send(
            type="result",
            id=command_id,
            status=status,
            detail=detail,
            finished_at="2026-01-01T00:00:01Z",
            boot_id=boot_id,
        )

    def vanish(self) -> None:
        """End the TCP connection without a goodbye."""
        self.connection.transport.abort()

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the end: (close code, reason)."""
        await asyncio.wait_for(self.connection.wait_closed(), PATIENCE_S)
        return self.connection.close_code, self.connection.close_reason
