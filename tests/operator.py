"""An operator's program on the feed, written from the manual: it takes a snapshot, applies what it is told, and comes
back with its cursor."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.waiting import PATIENCE_S

SUBPROTOCOL: Any = "signalbox.operator.v1"
FIELDS = ("player_id", "screen_id", "name", "status", "since", "quarantined")


class Operator:
    """`players` by id and `counts` are what it believes; `cursor` is where it stands."""

    def __init__(self, connection: ClientConnection, state: "State | None" = None) -> None:
        self.connection = connection
        self.state = state or State()

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        self.state.apply(message)
        return message

    async def until(self, kind: str, **values: Any) -> dict[str, Any]:
        """The next message of this type with these values."""
        while True:
            message = await self.hear()
            if message["type"] == kind and all(message.get(name) == value for name, value in values.items()):
                return message

    async def subscribe(self, *topics: str) -> dict[str, Any]:
        """Subscribe, with the cursor where there is one; the last part of the snapshot, or the first message."""
        after = {} if self.state.cursor is None else {"after": self.state.cursor}
        await self.say(type="subscribe", topics=list(topics or ("players",)), **after)
        message = await self.hear()
        while message["type"] == "reset" or message.get("more"):
            message = await self.hear()
        return message

    async def closed(self) -> int | None:
        async with asyncio.timeout(PATIENCE_S):
            await self.connection.wait_closed()
        return self.connection.close_code


class State:
    """What a program keeps; nothing in here knows how the hub works."""

    def __init__(self) -> None:
        self.players: dict[int, dict[str, Any]] = {}
        self.cursor: str | None = None
        self.told_counts: dict[str, int] = {}
        self.resets = 0
        self.whole = True

    @property
    def counts(self) -> dict[str, int]:
        states = [player["status"] for player in self.players.values()]
        return {
            "players": len(states),
            "online": states.count("online"),
            "offline": states.count("offline"),
            "flapping": states.count("flapping"),
            "quarantined": sum(player["quarantined"] for player in self.players.values()),
        }

    def apply_text(self, text: str | bytes) -> None:
        self.apply(json.loads(text))

    def apply(self, message: dict[str, Any]) -> None:
        if message["type"] == "reset":
            self.resets += 1
        elif message["type"] == "snapshot":
            if self.whole:
                self.players = {}
            self.whole = not message["more"]
            self.players |= {player["player_id"]: player for player in message["players"]}
            self.cursor, self.told_counts = message["cursor"], message["counts"]
        elif message["type"] == "event":
            self.cursor = message["cursor"]
            if message["event"].startswith("player."):
                player_id = message["data"]["player_id"]
                if message["event"] == "player.deleted":
                    self.players.pop(player_id, None)
                else:
                    told = {name: message["data"][name] for name in FIELDS if name in message["data"]}
                    self.players[player_id] = self.players.get(player_id, {}) | told


@asynccontextmanager
async def operator(url: str, key: str | None, state: State | None = None, **options: Any) -> AsyncIterator[Operator]:
    """`url` is the hub's."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    options = {"subprotocols": [SUBPROTOCOL], "additional_headers": headers} | options
    address = url.replace("http://", "ws://") + "/ws/operator"
    async with connect(address, compression=None, ping_interval=None, proxy=None, **options) as connection:
        yield Operator(connection, state)
