"""A TCP server inside a test: what a far end says, line by line, and nothing of it left when the test is over."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(talk: Talk, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that talks so to each caller. A caller who hangs up ends his talk; any other error of a talk
    is raised at the end, when all connections are closed."""
    talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks[asyncio.create_task(hold(reader, writer))] = writer

    server = await asyncio.start_server(accept, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, writer in talks.items():
            task.cancel()
            writer.transport.abort()
        ends = await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.gather(*(writer.wait_closed() for writer in talks.values()), return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
