"""The bytes under a connection, of a player or an operator: handshake, frames, limits, back-pressure.

uvicorn hands the upgraded TCP connection to a `FrameSocket`, an asyncio protocol without a task or queue of its own.
WebSocket framing is the sans-I/O server of the `websockets` package (`hub.sockets.framing`). What is above sees only
the seam: `send`, `send_framed`, `ping`, `close`, `abort`, `drained`, `pause`, `resume`, `buffered`; it hears `on_text`,
`on_binary`, `on_life`, `on_excess`, `on_lost`.

However much the other end sends, and however little it reads: frames, bytes and control frames have budgets of a
minute, messages a most of pieces, and unread output a most of bytes. What arrives before the 101 answer stays in the
kernel, and a read full of tiny frames is handled in turns, between which others have theirs.
"""

import asyncio
import email.utils
import http
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, OPEN
from websockets.typing import Subprotocol

from hub.client_address import TrustedProxies
from hub.domain.errors import BadRequest, HubError
from hub.domain.ratelimit import Minute
from hub.protocol.closecodes import CloseCode
from hub.protocol.codec import MAX_TEXT_BYTES
from hub.protocol.connection import MAX_REASON_BYTES
from hub.sockets.framing import Framing

BEARER_SUBPROTOCOL = "bearer."
CLOSE_TIMEOUT_S = 5  # for the other end to answer a close, or to read what is in front of it
SLICE_BYTES = 4_096  # parsed at once: at most 683 empty frames, some 5 ms
TURN_FRAMES = 256  # of one socket, after which the others have their turn
CONTROL_A_MINUTE = 600  # pings, pongs: ten a second, while libraries send one in 20 s; past it 4029
UNHEARD_BYTES = 1_048_576  # read and thrown away after a broken limit, so that our close is read: what is under way
PIECES = 1_024  # of one message: 256 bytes each for the largest; past it 4029
REFUSALS = {
    401: 4001,
    403: 4003,
    429: 4029,
    503: 4150,
}  # HTTP answers as close codes, for clients that cannot read them

_BAD_HEAD = "The request head cannot be read; it has no body, and at most 128 lines of at most 8 KiB."

log = logging.getLogger(__name__)


class _Hold(IntFlag):
    """Why nothing is read for now."""

    HANDSHAKE = 1  # not answered yet
    BUSY = 2  # what is above has enough to do
    TURN = 4  # others come first
    OVER = 8  # of one that is not listened to any more, enough has been thrown away


def end_output(transport: asyncio.Transport) -> bool:
    """Tell the other end that nothing follows, and go on reading; false where that cannot be done, as with TLS."""
    if not transport.can_write_eof():
        return False
    with suppress(OSError):  # the other end has gone, and the transport has not heard of it yet
        transport.write_eof()
    return True


@dataclass(frozen=True, slots=True)
class Budget:
    """What may arrive within a minute."""

    frames: Minute
    bytes: Minute
    control: Minute

    def wait(self, now: float) -> float:
        """Seconds until something of each is left."""
        return max(self.frames.wait(now), self.bytes.wait(now), self.control.wait(now))


class Connection(Protocol):
    """What is above a socket."""

    def share(self, budget: Budget) -> Budget:
        """What counts from now on: the budget that this connection has together with others, or the new one."""

    def on_text(self, data: bytes) -> None: ...
    def on_binary(self, data: bytes) -> None: ...
    def on_life(self) -> None: ...
    def on_excess(self, code: CloseCode, reason: str) -> None:
        """It sends too much or reads too little: to be closed so."""

    def on_lost(self) -> None: ...


class Door(Protocol):
    """Who lets connections of one kind in."""

    proxies: TrustedProxies

    @property
    def outbox_bytes(self) -> int:
        """Unread bytes at which a connection is too slow."""

    async def admit(self, seam: Any, token: str | None, address: str | None) -> Connection: ...


class FrameSocket(asyncio.Protocol):
    """uvicorn's `ws` class. Subclasses say which door of the application's state lets in, and what is spoken."""

    __slots__ = (
        "_arrived",
        "_budget",
        "_closing",
        "_connection",
        "_connections",
        "_door",
        "_ending",
        "_gone",
        "_holds",
        "_loop",
        "_over",
        "_paused",
        "_protocol",
        "_tasks",
        "_transport",
        "_unheard",
        "_writable",
    )

    DOOR: ClassVar[str]
    SUBPROTOCOL: ClassVar[Subprotocol]
    MAX_BYTES: ClassVar[int]  # of a message
    FRAMES_A_MINUTE: ClassVar[int]
    BYTES_A_MINUTE: ClassVar[int]

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._connections: set[Any] = server_state.connections
        self._tasks: set[asyncio.Task[Any]] = server_state.tasks
        self._door: Door = app_state[self.DOOR]
        self._loop = asyncio.get_running_loop()
        self._protocol = Framing(self.SUBPROTOCOL, self.MAX_BYTES)
        self._connection: Connection | None = None
        self._arrived = b""  # and not parsed yet
        self._holds = _Hold(0)
        self._budget = Budget(Minute(self.FRAMES_A_MINUTE), Minute(self.BYTES_A_MINUTE), Minute(CONTROL_A_MINUTE))
        self._unheard = Minute(UNHEARD_BYTES)
        self._over = False  # a limit was broken: nothing is heard any more
        self._closing = False  # we have said goodbye: what still comes is handled no more
        self._ending: asyncio.TimerHandle | None = None
        self._paused = False  # the network takes no more for now
        self._writable: asyncio.Event | None = None  # of those who wait for it
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
        self._arrived = b""
        if self._ending is not None:
            self._ending.cancel()
        if self._connection is not None:
            self._connection.on_lost()
            self._connection = None
        self._protocol.parser.close()  # else a cycle holds its buffers until a collection

    def data_received(self, data: bytes) -> None:
        self._arrived = self._arrived + data if self._arrived else data
        self._turn()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def shutdown(self) -> None:
        """uvicorn is going down; whoever is still here was not drained in time."""
        self.close(1012, "service restart")

    def pause_writing(self) -> None:
        """The outbox is bounded by bytes (`buffered`), looked at with every write; asyncio's own mark is for `drained`
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
            self._write(frame)
            self._look_at_output()

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
        self._closing = True
        if self._protocol.state is not OPEN:
            self.abort()
            return
        reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        if self._over:
            self._protocol.fail(code, reason)
        else:
            self._protocol.send_close(code, reason)
        self._flush()

    def abort(self) -> None:
        """End the TCP connection now, whatever is still unsent."""
        if not self._gone:
            self._transport.abort()

    def pause(self) -> None:
        self._hold(_Hold.BUSY)

    def resume(self) -> None:
        self._release(_Hold.BUSY)

    # Inside: what arrives

    def _hold(self, why: _Hold) -> None:
        if not self._holds and not self._gone and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds |= why

    def _release(self, why: _Hold) -> None:
        if not self._holds & why:
            return
        self._holds &= ~why
        if not self._holds and not self._gone and not self._transport.is_closing():
            self._transport.resume_reading()
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Parse and handle what has arrived, slice by slice, until it is the turn of others."""
        data, self._arrived = self._arrived, b""
        at = frames = 0
        while at < len(data) and not self._holds:
            frames += self._take(data[at : at + SLICE_BYTES])
            at += SLICE_BYTES
            self._flush()
            if frames >= TURN_FRAMES and at < len(data):
                self._hold(_Hold.TURN)
                self._loop.call_soon(self._release, _Hold.TURN)
        if not self._over and not self._gone:
            self._arrived = data[at:]

    def _take(self, piece: bytes) -> int:
        """The number of frames that have ended in this piece."""
        protocol, now = self._protocol, self._loop.time()
        if not (self._unheard if self._over else self._budget.bytes).take(len(piece), now):
            self._excess(CloseCode.FLOODING, "too many bytes within a minute")
            self._hold(_Hold.OVER)
            return 0
        connecting = protocol.state is CONNECTING and not protocol.eof_sent
        protocol.receive_data(piece)
        events = protocol.events_received()
        if connecting:
            self._asked(events)
            return 0
        control = sum(isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG) for event in events)
        if not self._budget.control.take(control, now):
            self._excess(CloseCode.FLOODING, "too many pings within a minute")
        elif not self._budget.frames.take(len(events), now):
            self._excess(CloseCode.FLOODING, "too many frames within a minute")
        elif protocol.most_pieces > PIECES:
            self._excess(CloseCode.FLOODING, "too many pieces of one message")
        for event in events:
            if self._closing or self._over or self._connection is None:
                break
            if isinstance(event, Frame):
                self._frame(self._connection, event)
        return len(events)

    def _asked(self, events: list[Any]) -> None:
        """The request for a socket has arrived, or something that is none."""
        for event in events:
            if isinstance(event, Request):
                self._hold(_Hold.HANDSHAKE)
                task = self._loop.create_task(self._handshake(event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return
        if self._protocol.handshake_exc is not None:
            self._protocol.data_to_send()  # the library's words, where it has any
            self._transport.write(_refusal(BadRequest(_BAD_HEAD), 400).serialize())
            self._transport.close()

    @staticmethod
    def _frame(connection: Connection, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            connection.on_text(bytes(frame.data))
        elif frame.opcode is Opcode.BINARY and frame.fin:
            connection.on_binary(bytes(frame.data))
        elif frame.opcode is not Opcode.CLOSE:
            connection.on_life()

    # Inside: what leaves

    def _flush(self) -> None:
        """Write what the protocol has to say, and see to the end once it has said the last."""
        if self._gone:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._write(data)
            else:
                end_output(self._transport)
        self._look_at_output()
        if self._protocol.state is OPEN or (self._protocol.state is CONNECTING and not self._protocol.eof_sent):
            return
        if self._ending is None:
            self._ending = self._loop.call_later(CLOSE_TIMEOUT_S, self.abort)
        # Whoever had no goodbye of its own to say may still be sending: to close now would reset the connection, and
        # take our last words from it. It hears that we have ended, and ends too.
        if self._protocol.eof_sent and (self._protocol.said_goodbye or not self._transport.can_write_eof()):
            self._transport.close()

    def _write(self, data: bytes) -> None:
        """Nothing once the transport is closing, as it is when the other end has gone: it would say so in the log."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def _look_at_output(self) -> None:
        if self._protocol.state is OPEN and self._transport.get_write_buffer_size() > self._door.outbox_bytes:
            self._excess(CloseCode.TOO_SLOW, "too slow to read")

    def _excess(self, code: CloseCode, reason: str) -> None:
        """Once. Whoever breaks a limit is closed, and not listened to any more."""
        if self._over:
            return
        self._over = True
        if self._connection is not None:
            self._connection.on_excess(code, reason)
        if self._protocol.state is OPEN:
            self.close(code, reason)
        elif not self._protocol.eof_sent:
            self._protocol.fail(code, reason)

    async def _handshake(self, request: Request) -> None:
        """Check the credential, then answer 101 or the reason why not."""
        response = self._protocol.accept(request)
        if response.status_code != 101:
            answer = _refusal(BadRequest(response.body.decode().strip()), response.status_code)
            if "Allow" in response.headers:
                answer.headers["Allow"] = response.headers["Allow"]
            self._answer(answer)
            return
        token, in_subprotocol = _token(request)
        refusal: HubError | None = None
        connection: Connection | None = None
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
        self._flush()
        if refusal is not None:
            self.close(REFUSALS.get(refusal.status, 1011), refusal.message)
        else:
            assert connection is not None
            self._connection = connection
            self._budget = connection.share(self._budget)
        self._release(_Hold.HANDSHAKE)

    def _answer(self, response: Response) -> None:
        if not self._gone:
            self._protocol.send_response(response)
            self._flush()
            self._release(_Hold.HANDSHAKE)

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
    FRAMES_A_MINUTE = 12_000  # 200 a second, which a player that answers full windows without a pause does not reach
    BYTES_A_MINUTE = 134_217_728  # four uploads of 20 MB of logs at once, and as much again as a screenshot each


class OperatorSocket(FrameSocket):
    """For `/ws/operator`."""

    __slots__ = ()
    DOOR = "operators"
    SUBPROTOCOL = Subprotocol("signalbox.operator.v1")
    MAX_BYTES = 65_536  # the largest is a command with its payload
    FRAMES_A_MINUTE = 6_000  # the 600 messages of a minute in ten pieces each
    BYTES_A_MINUTE = 41_943_040  # the 600 messages of a minute, as large as they may be


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
