"""A relay in front of a hub that changes what the hub says: a wrong hub, made of a right one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Frames = list[dict[str, Any]]


def as_it_is(message: dict[str, Any]) -> Frames:
    return [message]


@dataclass
class Relay:
    """`down` makes of a message of the hub those that arrive; `up` of the player's those that the hub hears; `code`
    of the hub's close code the one that is told, 0 for none."""

    hub_url: str
    down: Callable[[dict[str, Any]], Frames] = as_it_is
    up: Callable[[dict[str, Any]], Frames] = as_it_is
    code: Callable[[int], int] = lambda code: code
    url: str = ""

    async def serve(self, player: ServerConnection) -> None:
        request = player.request
        assert request is not None
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(", ")
        bearer = next((f"Bearer {one[7:]}" for one in offered if one.startswith("bearer.")), "")
        authorization = request.headers.get("Authorization", bearer)
        async with connect(
            f"ws{self.hub_url.removeprefix('http')}/ws/player",
            subprotocols=["signalbox.v1"], additional_headers={"Authorization": authorization},
            compression=None, ping_interval=None, proxy=None,
        ) as hub:  # fmt: skip
            both = {
                asyncio.create_task(self._pass(player, hub, self.up)),
                asyncio.create_task(self._pass(hub, player, self.down)),
            }
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for one in both:
                one.cancel()
            with suppress(ConnectionClosed):
                if hub.close_code is not None and (code := self.code(hub.close_code)) not in (1005, 1006):
                    if code:
                        await player.close(code)
                    else:
                        player.transport.abort()

    async def _pass(
        self,
        here: ServerConnection | ClientConnection,
        there: ServerConnection | ClientConnection,
        change: Callable[[dict[str, Any]], Frames],
    ) -> None:
        with suppress(ConnectionClosed):
            async for data in here:
                if isinstance(data, bytes):
                    await there.send(data)
                    continue
                try:
                    message = json.loads(data)
                    changed = change(message) if isinstance(message, dict) else None
                except ValueError:
                    changed = None
                if changed is None:
                    await there.send(data)
                for one in changed or ():
                    await there.send(json.dumps(one))


@asynccontextmanager
async def relay(hub_url: str, **changes: Any) -> AsyncIterator[Relay]:
    made = Relay(hub_url, **changes)
    async with serve(
        made.serve, "127.0.0.1", 0, subprotocols=["signalbox.v1"], compression=None, ping_interval=None, max_size=2**20
    ) as server:
        made.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield made
