"""A bad network on purpose: a relay between a player and its hub that swallows everything, or cuts and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.tcp_server import tcp_server

PIECE_BYTES = 65_536


class Relay:
    """Passes bytes on while `passing`; connections that come while it does not are accepted and wait, as a SYN that is
    sent again waits for the network."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def swallow(self) -> None:
        """From now on nothing arrives, in either direction, and no connection ends: a pulled cable."""
        self._passing.clear()

    def cut(self) -> None:
        """Every connection ends without a goodbye, and new ones wait."""
        self._passing.clear()
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        self._passing.set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._writers.add(writer)
        try:
            await self._passing.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            ends.add(far_writer)
            self._writers.add(far_writer)
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            for end in ends:
                end.transport.abort()
            self._writers -= ends

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE_BYTES):
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
        await self._passing.wait()
        writer.close()


@asynccontextmanager
async def relay(to_port: int) -> AsyncIterator[Relay]:
    made = Relay(to_port)
    async with tcp_server(made.talk) as made.port:
        yield made
