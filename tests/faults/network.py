"""A bad network on purpose: a relay between a player and its hub that swallows everything, or cuts and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PIECE_BYTES = 65_536


class Relay:
    """Passes bytes on while `passing`; connections that come while it does not are accepted and wait, as a SYN that is
    sent again waits for the network."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
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

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = {writer}
        self._writers.add(writer)
        try:
            await self._passing.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            ends.add(far_writer)
            self._writers.add(far_writer)
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                end.transport.abort()
            self._writers -= ends
            self._tasks.discard(task)

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
    server = await asyncio.start_server(made._accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        tasks = list(made._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
