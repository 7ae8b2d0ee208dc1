"""The smallest HTTP client that keeps a connection alive: one question at a time, a future for each answer."""

import asyncio
from typing import Any

ANSWER_LIMIT_S = 60.0


class Http(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: Any = None
        self._data = b""
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("the server hung up"))

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        """(status, body) of the answer."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._data = b""
        self._transport.write(request)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        self._data += data
        head = self._data.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self._data.lower().find(b"content-length: ", 0, head + 4) + 16
        length = int(self._data[start : self._data.index(b"\r\n", start)])
        body = self._data[head + 4 :]
        if len(body) >= length and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result((int(self._data[9:12]), body))

    def close(self) -> None:
        self._transport.close()


async def connect_http(port: int) -> Http:
    _, http = await asyncio.get_running_loop().create_connection(Http, "127.0.0.1", port)
    return http
