"""uvicorn, told what this hub needs: the player's socket class, bounded request heads, and draining before the end."""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import httptools
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hub.api.http.errors import answer_for
from hub.api.http.paths import plain
from hub.api.http.responses import HEADERS, wire
from hub.domain.addresses import authority
from hub.domain.errors import BadRequest, CannotStart, HubError, Unavailable
from hub.flow import Flow
from hub.sockets.player.registry import Registry
from hub.sockets.transport import FrameSocket, OperatorSocket, PlayerSocket, end_output

MAX_HEAD_BYTES = 65_536  # request line and headers; a browser's largest are a quarter of it
MAX_FRAMING_BYTES = 16_384  # around the pieces of a body, and its trailers: 3,000 chunks, however small
FRAMING_SHARE = 16  # and a byte more for as many of the body: chunks of 100 bytes go on for ever
SLICE_BYTES = 256  # parsed at once; nothing further is while a request waits for its turn
MAX_WAITING = 15  # requests behind the one being answered: as many of the shortest, of 18 bytes, end in one slice
HEAD_TIMEOUT_S = 10.0  # for a whole head to arrive
GOODBYE_S = 1.0  # for what is still being sent, either way, when the hub stops, and for the answer to a goodbye
LINGER_S = 2.0  # for a refused caller to read why and hang up
BACKLOG = 4_096  # connections the kernel holds for us while a fleet comes back
SOCKETS: dict[str, type[FrameSocket]] = {"/ws/player": PlayerSocket, "/ws/operator": OperatorSocket}
"""What speaks at which path; everything else is Starlette's."""

VERSIONS = "This hub speaks HTTP/1.1 and HTTP/1.0."
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+;=-]*)(:[0-9]{0,5})?")
"""`uri-host [":" port]` of RFC 9110, but for the comma: that is how two of them look when a proxy has joined them."""


class HubHttp(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to half heads, and with one reading of every request: an offer to
    upgrade that is not taken is ignored, and what another server could read in another way is refused.

    Whatever is refused is answered in its turn, in the shape of all errors, and is the last of its connection.

    Requests sent ahead are answered one by one: at most MAX_WAITING are parsed before their turn, none is begun before
    the caller has read enough of the answers so far, and meanwhile nothing more is received.
    """

    flow: Flow
    _unread = memoryview(b"")  # received and not parsed yet
    _answering: RequestResponseCycle | None = None  # begun last; `cycle` is what was parsed last
    _body_left_bytes = 0  # of a body of announced length: these begin no other request
    _in_head = True
    _in_body = False
    _overhead_bytes = 0  # received since the last end of a head or of a body, but for the body itself
    _body_bytes = 0
    _ends_line = False
    _head_timer: asyncio.TimerHandle | None = None
    _refusal: HubError | None = None
    _is_over = False  # the far end has closed

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = Flow(transport, self.loop)
        self._await_head()

    def eof_received(self) -> None:
        """The transport closes now. With TLS it does not say so, and tells the log of what is written after it."""
        self._forsake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._forsake()
        self.flow.lost()
        super().connection_lost(exc)

    def _forsake(self) -> None:
        """Nothing more is written, and nothing begun."""
        self._is_over = True
        self.pipeline.clear()
        self._unread = memoryview(b"")
        if self._answering is not None:
            self._leave(self._answering)

    def _leave(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True  # uvicorn writes nothing of its answer
        cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return  # where the next request begins is not known
        self._unset_keepalive_if_required()
        self._unread = memoryview(bytes(self._unread) + data if self._unread else data)
        self._read()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_idle() and (self.pipeline or self._unread) and not self.transport.is_closing():
            self._go_on()

    def _is_idle(self) -> bool:
        return self._answering is None or self._answering.response_complete

    def _has_room(self) -> bool:
        """Whether the next request may be parsed. A body that is being received always may: its answer waits for it."""
        return not self.pipeline and (self._in_body or not self._is_idle() or not self.flow.write_paused)

    def _read(self) -> None:
        self.flow.held = False
        while self._unread and self._has_room():
            size = max(SLICE_BYTES, self._body_left_bytes)
            piece, self._unread = self._unread[:size], self._unread[size:]
            self._parse(piece)
        if self.pipeline or self._unread:
            self.flow.held = True
            self.flow.pause_reading()

    def _parse(self, data: memoryview) -> None:
        self._ends_line = False
        self._overhead_bytes += len(data)
        try:
            # The parser tells HTTP/0.9 by what follows its one line, and of that nothing need come. But it ends the
            # target there: an end of a line by itself is then the last piece of one.
            end = bytes(data[-2:])
            text = len(data) - (2 if end == b"\r\n" else end.endswith((b"\r", b"\n")))
            self._feed(data[:text])
            self._ends_line = True
            if self.parser is not None:
                self._feed(data[text:])
        except httptools.HttpParserCallbackError as error:
            reason = error.__context__
            self._refuse(reason if isinstance(reason, HubError) else BadRequest())
        except httptools.HttpParserError as error:
            self._refuse(BadRequest(f"This cannot be read as HTTP/1.1: {error}.", code="bad_http"))
        else:
            limit = MAX_HEAD_BYTES if self._in_head else MAX_FRAMING_BYTES + self._body_bytes // FRAMING_SHARE
            if self._overhead_bytes > limit:
                what = "The head of a request" if self._in_head else "What stands between the pieces of a body"
                self._refuse(BadRequest(f"{what} has more than {limit:,} bytes.", code="head_too_large"))
            elif self._in_head and self.parser is not None and self.parser.get_http_version() == "0.9":
                self._refuse(BadRequest(VERSIONS, code="bad_http"))  # its requests are one line: no more will come

    def _feed(self, rest: memoryview) -> None:
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:  # the parser stops at each, behind the head
                if self._takes_offer():
                    self.handle_websocket_upgrade()
                    return
                rest = rest[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
                self.parser.feed_data(self._head_without_offer())

    # Callbacks of the parser; what they raise ends its work

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        if self._ends_line and not url:
            raise BadRequest(VERSIONS, code="bad_http")
        super().on_url(url)

    def on_headers_complete(self) -> None:
        self._end_head()
        self._overhead_bytes = self._body_bytes = 0
        self._check_head()
        self._body_left_bytes = int(b"".join(_values(self.headers, b"content-length")) or 0)
        super().on_headers_complete()
        self._in_body = True
        self.headers = []  # for trailers, which nobody asks for: as headers they would be believed

    def on_body(self, body: bytes) -> None:
        self._overhead_bytes -= len(body)
        self._body_bytes += len(body)
        self._body_left_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._overhead_bytes = self._body_bytes = 0
        self._in_body = False
        self._body_left_bytes = 0
        super().on_message_complete()

    # Answers, one by one

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def run(scope: Any, receive: Any, send: Any) -> None:
            async def write(message: Any) -> None:
                if self.flow.write_paused:
                    await self.flow.drain()
                if self._is_over or self.transport.is_closing():
                    self._leave(cycle)
                await send(message)

            try:
                await app(scope, receive, partial(self.flow.send, write))
            except BaseException:  # uvicorn may close it for that
                self.loop.call_soon(self._see_off)
                raise

        self._answering = cycle
        super()._start_asgi_task(cycle, run)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._see_off()
            return
        self._unset_keepalive_if_required()
        if not (self.flow.write_paused and (self.pipeline or self._unread)):
            self._go_on()

    def _go_on(self) -> None:
        """Begin what waits, or else read on, or end what was refused."""
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._hang_up(self._refusal)
            return
        if not self.pipeline:
            self.flow.held = False
            self.flow.resume_reading()
            self._read()
        if self._is_idle() and self._refusal is None and self.parser is not None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    # Ends

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._see_off()

    def _see_off(self) -> None:
        if self.transport.is_closing():
            self.flow.closing()

    # Offers to upgrade

    def _should_upgrade(self) -> bool:
        """uvicorn leaves every offer alone; `_feed` decides."""
        return True

    def _takes_offer(self) -> bool:
        """Whether the head that has been read is the handshake of a WebSocket, which has no body, at a path of one."""
        upgrades = _values(self.scope["headers"], b"upgrade")
        offered = [name.strip().lower() for value in upgrades for name in value.split(b",")]
        length = b"".join(_values(self.scope["headers"], b"content-length")).strip()
        return (
            b"websocket" in offered
            and self.scope["method"] == "GET"
            and self.scope["http_version"] == "1.1"
            and not length.strip(b"0")
            and not _values(self.scope["headers"], b"transfer-encoding")
            and self.config.ws_protocol_class is not None
            and self._socket_class() is not None
        )

    def _head_without_offer(self) -> bytes:
        """The same head for the parser to read again, as that of the plain request which it then is."""
        version = self.scope["http_version"].encode()
        lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.scope["headers"] if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _socket_class(self) -> type[FrameSocket] | None:
        return _socket_at(self.url)

    def handle_websocket_upgrade(self) -> None:
        self._end_head()
        self.flow.release()
        self._unread = memoryview(b"")
        self.ws_protocol_class: Any = self._socket_class()
        # Of several protocols that are offered the server chooses, and the socket hears of its own alone.
        others = [(name, value) for name, value in self.scope["headers"] if name != b"upgrade"]
        self.scope["headers"] = [*others, (b"upgrade", b"websocket")]
        super().handle_websocket_upgrade()
        self.parser: Any = None  # it refers back to us: a cycle that would hold its buffers until a collection

    # Refusals

    def _check_head(self) -> None:
        """Raises BadRequest: RFC 9112 says of these that a server must, or may, refuse them."""
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise BadRequest(VERSIONS, code="bad_http")
        if self.parser.get_method() == b"CONNECT":
            raise BadRequest("This is no proxy: CONNECT leads nowhere.", code="bad_http")
        hosts = _values(self.headers, b"host")
        if len(hosts) > 1 or (version == "1.1" and not hosts):
            raise BadRequest("A request has one Host header, neither none nor several.", code="bad_host")
        if hosts and not _HOST.fullmatch(hosts[0].strip()):
            raise BadRequest("The Host header is not a host with or without a port.", code="bad_host")
        codings = _values(self.headers, b"transfer-encoding")
        if codings and (version == "1.0" or [value.strip().lower() for value in codings] != [b"chunked"]):
            raise BadRequest("A Transfer-Encoding is chunked and nothing else, in HTTP/1.1.", code="bad_http")
        if version == "1.0":
            self.expect_100_continue = False  # it has no interim answers

    def _refuse(self, error: HubError) -> None:
        """Answer once everything before it is answered, then end the connection; nothing more is read from it."""
        self._end_head()
        self._unread = memoryview(b"")
        self._refusal = error
        cycle = self.cycle
        if self._in_body and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # it has not been started, and never will be
        elif self._in_body:
            if cycle.response_started:
                self._close()
                return
            cycle.disconnected = True  # whoever reads the body hears that there is no more
            cycle.message_event.set()
            self._hang_up(error)
            return
        if cycle is None or cycle.response_complete:
            self._hang_up(error)
        else:
            self.flow.pause_reading()

    def _hang_up(self, error: HubError) -> None:
        if self.transport.is_closing():
            return
        answer = answer_for(error)
        payload = answer.encoded()
        headers = [
            *self.server_state.default_headers,
            *wire({**HEADERS["own"], **answer.headers, "content-length": str(len(payload)), "connection": "close"}),
        ]
        lines = [STATUS_LINE[answer.status], *(name + b": " + value + b"\r\n" for name, value in headers), b"\r\n"]
        if self.parser.get_method() != b"HEAD":
            lines.append(payload)
        self.transport.write(b"".join(lines))
        if end_output(self.transport):
            # To close with bytes unread is a reset, which can overtake the answer.
            self.flow.held = False
            self.flow.resume_reading()
            self.loop.call_later(LINGER_S, self._close)
        else:
            self._close()

    def end_transfer(self, error: HubError) -> None:
        """Wait no longer for a caller who is still sending, or still reading; what the hub itself works on goes on."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        elif self._in_body and self._refusal is None:
            self._refuse(error)

    # The time for a head

    def _await_head(self) -> None:
        self._in_head = True
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self.flow.held:
            self._await_head()  # its rest may be here: it is the hub that has not read on
        elif self._in_head and not self.transport.is_closing():
            self._close()


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """All values of the header of this lower-case name, one a line."""
    return [value for found, value in headers if found == name]


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


def _socket_at(target: bytes) -> type[FrameSocket] | None:
    """What speaks at the path of a request target. Percent-encoding and a host in front are read, and slashes too many
    overlooked, as for every other path."""
    try:
        path = httptools.parse_url(target).path or b""
    except httptools.HttpParserInvalidURLError:
        return None
    return SOCKETS.get(plain(unquote(path.decode("latin-1"))))


class HubServer(Server):
    """Players are sent away and their ends written down before any connection is closed.

    `beside` are applications without a life of their own, served at other addresses meanwhile. `ready` is called once
    with the port that is listened on (the system's choice where the setting is 0). Without `signals` the process's own
    handlers stay, and `should_exit` ends it. Raises CannotStart. `superseded` says why it has ended by itself: another
    hub has taken its place.
    """

    def __init__(
        self,
        config: Config,
        ready: Callable[[int], None] | None = None,
        *,
        beside: Sequence[Config] = (),
        signals: bool = True,
    ) -> None:
        for each in (config, *beside):
            each.load()
        config.lifespan_class = Lifespan
        super().__init__(config)
        self._beside = beside
        self.superseded: str | None = None
        self._ready = ready
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals() if self._signals else nullcontext():
            yield
            self._captured_signals.clear()  # a stop on request is no failure: exit 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Addresses first: a hub that cannot have them must not have begun to write. Connections are taken last."""
        self.servers = []
        try:
            for config in (self.config, *self._beside):
                self.servers.append(await self._bound(config))
            await self.lifespan.startup()
        except BaseException:
            self._unbind()
            raise
        try:
            for config, server in zip((self.config, *self._beside), self.servers, strict=True):
                with _sentence_for(config):
                    await server.start_serving()
        except BaseException:
            self._unbind()
            await self.lifespan.shutdown()
            raise
        self.started = True
        if (superseded := self.lifespan.state.get("superseded")) is not None:
            superseded.add_done_callback(self._give_way)
        if self._ready is not None:
            self._ready(self.ports[0])

    def _give_way(self, superseded: "asyncio.Future[str]") -> None:
        self.superseded = superseded.result()
        self.should_exit = True

    @property
    def ports(self) -> list[int]:
        """Of the hub, and of what is served beside it."""
        return [server.sockets[0].getsockname()[1] for server in self.servers]

    async def _bound(self, config: Config) -> asyncio.Server:
        def connection() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        with _sentence_for(config):
            return await asyncio.get_running_loop().create_server(
                connection,
                config.host,
                config.port,
                ssl=config.ssl,
                ssl_handshake_timeout=HEAD_TIMEOUT_S if config.ssl else None,
                backlog=config.backlog,
                start_serving=False,
            )

    def _unbind(self) -> None:
        for server in self.servers:
            server.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._unbind()
        if (operators := self.lifespan.state.get("operators")) is not None:
            operators.drain()
            operators.services.feed.close()  # streams would go on for ever
            operators.services.pairing.close()
            operators.services.patience.end()
        registry: Registry | None = self.lifespan.state.get("registry")
        if registry is not None and not self.force_exit:
            await registry.drain()
        end = asyncio.get_running_loop().call_later(GOODBYE_S, self._end_goodbyes)
        try:
            await super().shutdown(sockets)
        finally:
            end.cancel()

    def _end_goodbyes(self) -> None:
        """Whoever is still here is slow, or gone without a word."""
        going = Unavailable("This hub is going away.", code="draining", retry_after=5)
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, HubHttp):
                connection.end_transfer(going)
            elif isinstance(connection, FrameSocket):
                connection.abort()


@asynccontextmanager
async def serving(config: Config, *, beside: Sequence[Config] = ()) -> AsyncIterator[tuple[HubServer, int]]:
    """Serve in the running loop while the block lasts: (server, port). Raises what stops the start."""
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = HubServer(config, bound.set_result, beside=beside, signals=False)
    task = asyncio.create_task(server.serve())
    task.add_done_callback(lambda _: bound.cancel())
    try:
        yield server, await bound
    except asyncio.CancelledError:
        if bound.cancelled():
            task.result()
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
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    sockets: bool = True,
) -> Config:
    """With or without the WebSockets of players and operators. Raises CannotStart when certificate and key cannot be
    used."""
    tls = None if tls_cert is None or tls_key is None else _tls(tls_cert, tls_key)
    return Config(
        app,
        host=host,
        port=port,
        http=HubHttp,
        ws="websockets-sansio" if sockets else "none",
        ws_per_message_deflate=False,
        ws_max_size=262_144,
        backlog=BACKLOG,
        loop=loop,
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # our own rule reads them, see hub.api.http.auth
        server_header=False,
        timeout_graceful_shutdown=10,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )


@contextmanager
def _sentence_for(config: Config) -> Iterator[None]:
    """Why an address cannot be listened on."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: no name that DNS could have
        if isinstance(error, socket.gaierror):
            reason = "there is no such host"
        elif isinstance(error, OSError) and error.errno is not None:
            reason = os.strerror(error.errno).lower()
        else:
            reason = "this is no host and port"
        where = authority(config.host, config.port)
        raise CannotStart(f"The hub cannot listen on {where}: {reason}.") from None


def _tls(cert: Path, key: Path) -> ssl.SSLContext:
    """What the hub shows to whoever connects. Raises CannotStart; never asks for a password."""

    def ask() -> str:
        raise CannotStart(f"server.tls_key: {key} is encrypted, and nobody is there to be asked for its password.")

    for name, path in (("tls_cert", cert), ("tls_key", key)):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise CannotStart(f"server.{name}: {path} cannot be read: {error.strerror}.") from None
    try:
        ssl.create_default_context(cafile=cert)
    except ssl.SSLError:
        raise CannotStart(f"server.tls_cert: {cert} is not a certificate in PEM.") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, ask)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise CannotStart(f"server.tls_key: {key} is not the key of the certificate {cert}.") from None
        if error.reason is None or error.reason == "NO_START_LINE":
            raise CannotStart(f"server.tls_key: {key} is not a private key in PEM.") from None
        reason = error.reason.lower().replace("_", " ")
        raise CannotStart(f"server.tls_cert, server.tls_key: {cert} and {key} cannot be used: {reason}.") from None
    return context
