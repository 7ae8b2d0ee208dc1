"""A webhook receiver on loopback: a real server that notes what it is sent and answers as a test wants."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from standardwebhooks import Webhook

from tests.tcp_server import tcp_server
from tests.waiting import PATIENCE_S

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        message: dict[str, Any] = orjson.loads(self.body)
        return message

    @property
    def number(self) -> Any:
        """The `number` in the data, by which tests tell events apart."""
        return self.event["data"].get("number")

    def verified(self, secret: str) -> Any:
        return Webhook(secret).verify(self.body, self.headers)


def status(code: int, body: bytes = b"ok", **headers: str) -> Reply:
    async def reply(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} Said", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return reply


async def silence(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


class Receiver:
    """Answers 200, or with `replies` in turn, the last one for good. Requests wait in `heard`."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.replies = list(replies or [status(200)])
        self.heard: asyncio.Queue[Heard] = asyncio.Queue()
        self.hung_up = asyncio.Event()
        self._serving = tcp_server(self._talk, tls=tls)

    async def __aenter__(self) -> "Receiver":
        self.port = await self._serving.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._serving.__aexit__(*raised)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def next(self) -> Heard:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers["Content-Length"]))
            self.heard.put_nowait(Heard(head[0].split(" ")[1], headers, body))
            await (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
