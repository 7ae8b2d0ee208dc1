"""uvicorn, told what this hub needs: the player's socket class, bounded request heads, and draining before the end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.sockets.registry import Registry
from hub.sockets.transport import FrameSocket, OperatorSocket, PlayerSocket

MAX_HEAD_BYTES = 65_536  # request line and headers; a browser's largest are a quarter of it
HEAD_TIMEOUT_S = 10.0  # for a whole head to arrive
BACKLOG = 4_096  # connections the kernel holds for us while a fleet comes back
SOCKETS: dict[bytes, type[FrameSocket]] = {b"/ws/player": PlayerSocket, b"/ws/operator": OperatorSocket}
"""What speaks at which path; everything else is Starlette's."""


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

    def handle_websocket_upgrade(self) -> None:
        self._end_head()
        if (socket := SOCKETS.get(self.url.partition(b"?")[0])) is not None:
            self.ws_protocol_class: Any = socket
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


class Lifespan:
    """The hub's start and end, in the server's own task: what stops a start is raised to whoever started it, where
    uvicorn's own would write a traceback and exit."""

    should_exit = False  # uvicorn asks after the start

    def __init__(self, config: Config) -> None:
        self.state: dict[str, Any] = {}
        self._life = config.app.router.lifespan_context(config.app)  # type: ignore[union-attr]

    async def startup(self) -> None:
        self.state.update(await self._life.__aenter__())

    async def shutdown(self) -> None:
        await self._life.__aexit__(None, None, None)


class HubServer(Server):
    """Players are sent away and their ends written down before any connection is closed.

    `ready` is called once with the port that is listened on (the system's choice where the setting is 0). Without
    `signals` the process's own handlers stay, and `should_exit` ends it. Raises CannotStart. `superseded` says why it
    has ended by itself: another hub has taken its place.
    """

    def __init__(self, config: Config, ready: Callable[[int], None] | None = None, *, signals: bool = True) -> None:
        config.load()
        config.lifespan_class = Lifespan
        super().__init__(config)
        self.superseded: str | None = None
        self._ready = ready
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals() if self._signals else nullcontext():
            yield
            self._captured_signals.clear()  # a stop on request is no failure: exit 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if (superseded := self.lifespan.state.get("superseded")) is not None:
            superseded.add_done_callback(self._give_way)
        if self.started and self._ready is not None:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    def _give_way(self, superseded: "asyncio.Future[str]") -> None:
        self.superseded = superseded.result()
        self.should_exit = True

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
    """Serve in the running loop while the block lasts: (server, port). Raises OSError when it cannot listen, and what
    stops the start of the application."""
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = HubServer(config, bound.set_result, signals=False)
    task = asyncio.create_task(server.serve())
    task.add_done_callback(lambda _: bound.cancel())
    try:
        yield server, await bound
    except asyncio.CancelledError:
        if bound.cancelled():
            if (error := task.exception()) is not None:
                raise error from None
            raise OSError(f"cannot start on {config.host}:{config.port}") from None
        raise
    finally:
        server.should_exit = True
        await asyncio.wait([task])


def configure(app: Any, *, host: str, port: int, tls_cert: str | None = None, tls_key: str | None = None) -> Config:
    return Config(
        app,
        host=host,
        port=port,
        http=HubHttp,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=262_144,
        backlog=BACKLOG,
        loop="uvloop",
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # our own rule reads them, see hub.api.auth
        server_header=False,
        timeout_graceful_shutdown=10,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
