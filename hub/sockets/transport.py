"""The bytes under a connection, of a player or an operator: handshake, frames, back-pressure.

uvicorn hands the upgraded TCP connection to a `FrameSocket`, an asyncio protocol without a task, queue or timer of its
own. WebSocket framing is the sans-I/O server of the `websockets` package. What is above sees only the seam: `send`,
`send_framed`, `ping`, `close`, `abort`, `buffered`, `drained`, `pause`, `resume`; what is below hears `on_text`,
`on_binary`, `on_life`, `on_lost`.
"""

import asyncio
import email.utils
import http
import json
import logging
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from hub.client_address import TrustedProxies
from hub.domain.errors import BadRequest, HubError
from hub.protocol.codec import MAX_TEXT_BYTES

BEARER_SUBPROTOCOL = "bearer."
CLOSE_TIMEOUT_S = 5  # for the other end to answer a close, or to read what is in front of it
REFUSALS = {
    401: 4001,
    403: 4003,
    429: 4029,
    503: 4150,
}  # HTTP answers as close codes, for clients that cannot read them

log = logging.getLogger(__name__)
_frames_log = logging.getLogger(__name__ + ".frames")
_frames_log.setLevel(logging.WARNING)  # never a line per message


class Connection(Protocol):
    """What is above a socket."""

    def on_text(self, data: bytes) -> None: ...
    def on_binary(self, data: bytes) -> None: ...
    def on_life(self) -> None: ...
    def on_lost(self) -> None: ...


class Door(Protocol):
    """Who lets connections of one kind in."""

    proxies: TrustedProxies

    async def admit(self, seam: Any, token: str | None, address: str | None) -> Connection: ...


class FrameSocket(asyncio.Protocol):
    """uvicorn's `ws` class. Subclasses say which door of the application's state lets in, and what is spoken."""

    __slots__ = (
        "_connection",
        "_connections",
        "_door",
        "_fragments",
        "_gone",
        "_loop",
        "_paused",
        "_protocol",
        "_tasks",
        "_text",
        "_transport",
        "_writable",
    )

    DOOR: ClassVar[str]
    SUBPROTOCOL: ClassVar[Subprotocol]
    MAX_BYTES: ClassVar[int]

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._connections: set[Any] = server_state.connections
        self._tasks: set[asyncio.Task[Any]] = server_state.tasks
        self._door: Door = app_state[self.DOOR]
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(
            subprotocols=[self.SUBPROTOCOL],
            select_subprotocol=_select_subprotocol,
            max_size=self.MAX_BYTES,
            logger=_frames_log,
        )
        self._connection: Connection | None = None
        self._paused = False  # the network takes no more for now
        self._writable: asyncio.Event | None = None  # of those who wait for it
        self._fragments: list[bytes] | None = None
        self._text = False
        self._gone = False
        self._transport: asyncio.Transport

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._connections.discard(self)
        self.resume_writing()
        self._fragments = None
        if self._connection is not None:
            self._connection.on_lost()
            self._connection = None
        self._protocol.parser.close()  # else a cycle holds its buffers until a collection

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                task = self._loop.create_task(self._handshake(event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif isinstance(event, Frame) and self._connection is not None:
                self._frame(event)
        self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def shutdown(self) -> None:
        """uvicorn is going down; whoever is still here was not drained in time."""
        self.close(1012, "service restart")

    def pause_writing(self) -> None:
        """The outbox is bounded by bytes (`buffered`), looked at with every send; asyncio's own mark is for `drained`
        alone."""
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # The seam

    @property
    def buffered(self) -> int:
        """Bytes that were sent and that the network has not taken yet."""
        return self._transport.get_write_buffer_size()

    def send(self, text: str) -> None:
        """Nothing once the connection is closing: an answer may come after the player's goodbye."""
        if self._protocol.state is OPEN:
            self._protocol.send_text(text.encode())
            self._flush()

    def send_framed(self, frame: bytes) -> None:
        """A whole frame that `framed` has made, the same bytes for many."""
        if self._protocol.state is OPEN and not self._gone:
            self._transport.write(frame)

    async def drained(self) -> None:
        """Return once the network has taken most of what was sent, or the connection is gone."""
        if self._paused and not self._gone:
            self._writable = self._writable or asyncio.Event()
            await self._writable.wait()

    def ping(self) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye; the TCP connection ends with the answer, or without one some seconds later."""
        if self._gone:
            return
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
            self._loop.call_later(CLOSE_TIMEOUT_S, self.abort)
        else:
            self.abort()

    def abort(self) -> None:
        """End the TCP connection now, whatever is still unsent."""
        if not self._gone:
            self._transport.abort()

    def pause(self) -> None:
        if not self._gone:
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._gone:
            self._transport.resume_reading()

    # Inside

    def _flush(self) -> None:
        if self._gone:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
        if self._protocol.close_expected() and self._transport.get_write_buffer_size() == 0:
            self._transport.close()

    def _frame(self, frame: Frame) -> None:
        connection = self._connection
        assert connection is not None
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is not Opcode.CONT:
                self._text = frame.opcode is Opcode.TEXT
                if frame.fin:
                    self._message(connection, bytes(frame.data))
                    return
                self._fragments = []
            assert self._fragments is not None  # the parser refuses a continuation of nothing
            self._fragments.append(bytes(frame.data))
            connection.on_life()
            if frame.fin:
                message, self._fragments = b"".join(self._fragments), None
                self._message(connection, message)
        elif frame.opcode in (Opcode.PING, Opcode.PONG):
            connection.on_life()

    def _message(self, connection: Connection, data: bytes) -> None:
        if self._text:
            connection.on_text(data)
        else:
            connection.on_binary(data)

    async def _handshake(self, request: Request) -> None:
        """Check the credential, then answer 101 or the reason why not."""
        response = self._protocol.accept(request)
        if response.status_code != 101:
            self._answer(_refusal(BadRequest(response.body.decode().strip()), response.status_code))
            return
        token, in_subprotocol = _token(request)
        refusal: HubError | None = None
        connection = None
        try:
            connection = await self._door.admit(self, token, self._address(request))
        except HubError as error:
            refusal = error
        except Exception:
            log.exception("a handshake failed")
            refusal = HubError("Something went wrong on the hub.", code="internal")
        if self._gone or self._transport.is_closing():
            if connection is not None:
                connection.on_lost()
            return
        if refusal is not None and not in_subprotocol:
            self._answer(_refusal(refusal, refusal.status))
            return
        self._protocol.send_response(response)
        if refusal is not None:
            self._flush()
            self.close(REFUSALS.get(refusal.status, 1011), refusal.message)
            return
        self._connection = connection
        self._flush()

    def _answer(self, response: Response) -> None:
        if not self._gone:
            self._protocol.send_response(response)
            self._flush()
            self._transport.close()

    def _address(self, request: Request) -> str | None:
        peer = self._transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else None
        proxies = self._door.proxies
        return proxies.client(address, request.headers.get_all(proxies.header))


class PlayerSocket(FrameSocket):
    """For `/ws/player`."""

    __slots__ = ()
    DOOR = "registry"
    SUBPROTOCOL = Subprotocol("signalbox.v1")
    MAX_BYTES = MAX_TEXT_BYTES


class OperatorSocket(FrameSocket):
    """For `/ws/operator`."""

    __slots__ = ()
    DOOR = "operators"
    SUBPROTOCOL = Subprotocol("signalbox.operator.v1")
    MAX_BYTES = 65_536  # the largest is a command with its payload


def _select_subprotocol(protocol: ServerProtocol, offered: Any) -> Subprotocol | None:
    """The only one that the socket speaks; the library calls this as its own method."""
    [spoken] = protocol.available_subprotocols or ()
    if spoken not in offered:
        raise NegotiationError(f"offer the subprotocol {spoken}")
    return spoken


def _token(request: Request) -> tuple[str | None, bool]:
    """(the token, whether it came as a subprotocol, which is how a browser must send it)."""
    if "token" in parse_qs(urlsplit(request.path).query) or "access_token" in parse_qs(urlsplit(request.path).query):
        return None, False  # an address ends up in logs and histories
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip(), False
    offered = [name.strip() for line in request.headers.get_all("Sec-WebSocket-Protocol") for name in line.split(",")]
    for name in offered:
        if name.startswith(BEARER_SUBPROTOCOL):
            return name.removeprefix(BEARER_SUBPROTOCOL), True
    return None, False


def _refusal(error: HubError, status: int) -> Response:
    answer: dict[str, Any] = {"message": error.message}
    if status != 401:
        answer["code"] = error.code
    body = json.dumps(answer).encode()
    headers = Headers()
    headers["Date"] = email.utils.formatdate(usegmt=True)
    headers["Connection"] = "close"
    headers["Content-Length"] = str(len(body))
    headers["Content-Type"] = "application/json"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(status, http.HTTPStatus(status).phrase, headers, body)
