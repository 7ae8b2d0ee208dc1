"""HTTP/1.1 byte by byte, for tests of what an ordinary client would never send."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from tests.waiting import PATIENCE_S


@dataclass(frozen=True)
class Received:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def exchange(port: int, *pieces: bytes) -> list[Received]:
    """Send the pieces, each in packets of its own, and read until the hub hangs up: all its answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            try:
                await writer.drain()
            except ConnectionError:
                break  # it has had enough
            await asyncio.sleep(0)  # the hub, in the same loop, gets to read this one alone
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_S):
            return answers(await reader.read())
    finally:
        writer.close()


def answers(data: bytes) -> list[Received]:
    """All that stand in `data`, one behind the other, to its last byte."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = start.split(" ", 2)
        assert version == "HTTP/1.1", start
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        assert len(data) >= length, "an answer breaks off"
        found.append(Received(int(status), headers, data[:length]))
        data = data[length:]
    return found
