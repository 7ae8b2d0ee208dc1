"""The smallest receiver of webhooks: it notes when which player's event has arrived, and says 200."""

import asyncio
import time
from typing import Any

import orjson

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Ears:
    """`heard` gets (player id, `time.perf_counter` of the request's last byte)."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
        self.server: Any = None

    @property
    def port(self) -> int:
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        self.server.close()


class _Request(asyncio.Protocol):
    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._data = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        start = lowered.index(b"content-length:") + 15
        if len(body) >= int(lowered[start:].split(b"\r\n", 1)[0]):
            self._ears.heard.put_nowait((orjson.loads(body)["data"]["player_id"], time.perf_counter()))
            self._transport.write(OK)
            self._transport.close()


async def listen() -> Ears:
    ears = Ears()
    ears.server = await asyncio.get_running_loop().create_server(lambda: _Request(ears), "127.0.0.1", 0)
    return ears
