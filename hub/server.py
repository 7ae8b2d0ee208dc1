"""uvicorn, told what this hub needs: the player's socket class, bounded request heads, and draining before the end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any, Literal
from urllib.parse import unquote

import httptools
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.sockets.registry import Registry
from hub.sockets.transport import FrameSocket, OperatorSocket, PlayerSocket

MAX_HEAD_BYTES = 65_536  # request line and headers; a browser's largest are a quarter of it
HEAD_TIMEOUT_S = 10.0  # for a whole head to arrive
BACKLOG = 4_096  # connections the kernel holds for us while a fleet comes back
SOCKETS: dict[str, type[FrameSocket]] = {"ws/player": PlayerSocket, "ws/operator": OperatorSocket}
"""What speaks at which path, written as the route table reads paths; everything else is Starlette's."""


class HubHttp(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with an end to half heads; player sockets get their own class."""

    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            # The last piece may carry a body too; only a head that has not ended yet counts as too large.
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self.send_400_response("Request head too large")
                self._end_head()
                return
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request head too large")
            self._end_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        return super()._should_upgrade() and _socket_at(self.url) is not None

    def handle_websocket_upgrade(self) -> None:
        self._end_head()
        self.ws_protocol_class: Any = _socket_at(self.url)
        super().handle_websocket_upgrade()
        self.parser: Any = None  # it refers back to us: a cycle that would hold its buffers until a collection

    def _await_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self._in_head and not self.transport.is_closing():
            self.transport.close()


def _socket_at(target: bytes) -> type[FrameSocket] | None:
    """What speaks at the path of a request target. Doubled leading slashes and trailing ones are overlooked, and
    percent-encoding and a host in front are read, as for every other path."""
    try:
        path = httptools.parse_url(target).path or b""
    except httptools.HttpParserInvalidURLError:
        return None
    return SOCKETS.get(unquote(path.decode("latin-1")).strip("/"))


class HubServer(Server):
    """Players are sent away and their ends written down before any connection is closed.

    `ready` is called once with the port that is listened on (the system's choice where the setting is 0). Without
    `signals` the process's own handlers stay, and `should_exit` ends it.
    """

    def __init__(self, config: Config, ready: Callable[[int], None] | None = None, *, signals: bool = True) -> None:
        super().__init__(config)
        self._ready = ready
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals() if self._signals else nullcontext():
            yield
            self._captured_signals.clear()  # a stop on request is no failure: exit 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if (operators := self.lifespan.state.get("operators")) is not None:
            operators.drain()
            operators.services.feed.close()  # streams would go on for ever
        registry: Registry | None = self.lifespan.state.get("registry")
        if registry is not None and not self.force_exit:
            await registry.drain()
        await super().shutdown(sockets)


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[tuple[HubServer, int]]:
    """Serve in the running loop while the block lasts: (server, port). Raises OSError when it cannot listen."""
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = HubServer(config, bound.set_result, signals=False)
    task = asyncio.create_task(server.serve())
    task.add_done_callback(lambda _: bound.cancel())
    try:
        yield server, await bound
    except asyncio.CancelledError:
        if bound.cancelled():
            raise OSError(f"cannot start on {config.host}:{config.port}") from None
        raise
    finally:
        server.should_exit = True
        await asyncio.wait([task])


def configure(
    app: Any,
    *,
    host: str,
    port: int,
    loop: Literal["auto", "asyncio", "uvloop"] = "auto",
    tls_cert: str | None = None,
    tls_key: str | None = None,
) -> Config:
    return Config(
        app,
        host=host,
        port=port,
        http=HubHttp,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=262_144,
        backlog=BACKLOG,
        loop=loop,
        lifespan="on",
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # our own rule reads them, see hub.api.auth
        server_header=False,
        timeout_graceful_shutdown=10,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
