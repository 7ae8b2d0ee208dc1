"""A WebSocket to the hub: websockets' sans-I/O client on an asyncio transport.

Written on that layer, and not on websockets' own asyncio client, for three reasons: every incoming frame counts as life
here, also pings and pongs; a connection can be stalled and blackholed on purpose (see `faults`); and the client alone
would load another 2 MB of modules (see `lean`).
"""

import asyncio
import os
import ssl
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from device_agent.connection.slim_imports import (
    OPEN,
    ClientProtocol,
    Frame,
    InvalidStatus,
    Opcode,
    Subprotocol,
    parse_uri,
)
from hub.dial import NEXT_S
from hub.protocol.codec import MAX_TEXT_BYTES

SUBPROTOCOL = "signalbox.v1"
PATH = "/ws/player"

OPEN_S = 20.0
"""For DNS, TCP, TLS and the upgrade together, on a slow mobile link."""

CLOSE_S = 2.0
"""For the hub's half of the closing handshake, before the connection is cut."""

MAX_FRAGMENTS = 1024
"""Frames that may make up one message; the size limit alone would let empty ones go on for ever."""

HIGH_FRAMES = 64
"""Frames received and not yet handled at which reading pauses: the hub's window of 8 commands, with room."""

MAX_UNSENT_BYTES = 2 * 1024 * 1024
"""Unsent bytes at which the connection is given up: all uploads' windows together are 1 MB."""


class Refused(Exception):
    """The hub answered the upgrade with an HTTP status. `retry_after_s` is its Retry-After, if that names seconds."""

    def __init__(self, status: int, retry_after_s: float | None) -> None:
        super().__init__(f"refused with HTTP status {status}")
        self.status = status
        self.retry_after_s = retry_after_s


class Closed(Exception):
    """The connection is over. `code` is the one in the hub's close frame, None when there was none."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason or "connection lost")
        self.code = code
        self.reason = reason


def socket_url(hub_url: str) -> str:
    """The address of the player socket for a hub's base address (http or https). Raises ValueError."""
    parts = urlsplit(hub_url)
    extra = parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or extra:
        raise ValueError(f"A hub's address looks like https://hub.example.com, not {hub_url}")
    if not parts.hostname.isascii():  # Python would read it by IDNA 2003, and so find another host than a browser
        raise ValueError(f"Write the hub's name as the DNS has it (xn--...), not {parts.hostname}")
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path.rstrip('/')}{PATH}"


async def connect(hub_url: str, token: str, *, open_s: float = OPEN_S) -> "Wire":
    """An open connection. Raises Refused, Closed, OSError (ssl.SSLError among them) or TimeoutError."""
    uri = parse_uri(socket_url(hub_url))
    tls = trust() if uri.secure else None
    async with asyncio.timeout(open_s):
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(ClientProtocol(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MAX_TEXT_BYTES), token),
            uri.host,
            uri.port,
            ssl=tls,
            server_hostname=uri.host if tls else None,
            happy_eyeballs_delay=NEXT_S,
        )
        try:
            await wire.opened
        except BaseException:
            wire.abort()
            raise
    return wire


def trust() -> ssl.SSLContext:
    """The system's authorities, looked up one by one as they are needed where the system keeps them so: reading the
    whole bundle would take 2.5 MB."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = ssl.get_default_verify_paths()
    if paths.capath and paths.openssl_cafile_env not in os.environ and any(Path(paths.capath).glob("*.0")):
        context.load_verify_locations(capath=paths.capath)
    else:
        context.load_default_certs()
    return context


class Wire(asyncio.Protocol):
    """One connection. `recv` waits; everything else acts at once, and does nothing once the connection is over."""

    def __init__(self, protocol: ClientProtocol, token: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._token = token
        self._transport: asyncio.Transport | None = None
        self._frames: deque[str | bytes | None] = deque()
        self._arrived = asyncio.Event()
        self._gone = self._loop.create_future()
        self._fragments: list[bytes] = []
        self._text = False
        self._paused = False
        self._held = False  # reading was paused from outside
        self._silent = False
        self._delay_s = 0.0
        self._delayed: deque[tuple[float, bytes]] = deque()
        self.opened: asyncio.Future[None] = self._loop.create_future()

    # --- for the link ---

    async def recv(self) -> str | bytes | None:
        """The next message; None for a frame without content for us, a ping or a pong. Raises Closed, after all
        messages that came before the end."""
        while not self._frames:
            if self._gone.done():
                raise self._ending()
            self._arrived.clear()
            await self._arrived.wait()
        frame = self._frames.popleft()
        self._set_reading()
        return frame

    def send(self, message: str | bytes) -> None:
        """A text or a binary frame."""
        if self._protocol.state is not OPEN:
            return
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()

    def ping(self) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    async def close(self, code: int, reason: str = "") -> None:
        """Say why, wait a little for the hub to agree, and be gone."""
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(self._gone)
        except TimeoutError:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Be gone at once, without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    # --- for faults ---

    def hold_reading(self, held: bool) -> None:
        """Leave what arrives in the kernel, as a process that hangs does."""
        self._held = held
        self._set_reading()

    def blackhole(self) -> None:
        """Neither send nor hear anything from now on, and leave the connection open: what a pulled cable looks like."""
        self._silent = True

    def delay(self, seconds: float) -> None:
        """Every frame leaves this much later, in the same order."""
        self._delay_s = seconds

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {self._token}"
        request.headers["User-Agent"] = "signalbox-device-agent"
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self._silent:
            return
        self._protocol.receive_data(data)
        self._flush()
        self._take_events()

    def eof_received(self) -> None:
        if self._silent:
            return
        self._protocol.receive_eof()
        self._flush()
        self._take_events()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.receive_eof()
        if not self._gone.done():
            self._gone.set_result(None)
        if not self.opened.done():
            self.opened.set_exception(exc or Closed(None, "closed during the upgrade"))
            self.opened.exception()  # retrieved, also when nobody waits for it any more
        self._arrived.set()

    # --- inside ---

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            elif not self.opened.done():
                self._take_response()
        if self._protocol.handshake_exc is not None and not self.opened.done():
            self.opened.set_exception(Closed(None, str(self._protocol.handshake_exc)))
        self._set_reading()

    def _take_response(self) -> None:
        refusal = self._protocol.handshake_exc
        if isinstance(refusal, InvalidStatus):
            retry_after = refusal.response.headers.get("Retry-After", "")
            self.opened.set_exception(
                Refused(refusal.response.status_code, float(retry_after) if retry_after.isdecimal() else None)
            )
        elif refusal is None and self._protocol.subprotocol == SUBPROTOCOL:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(Closed(None, str(refusal or f"the other end does not speak {SUBPROTOCOL}")))

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is not Opcode.CONT:
                self._text = frame.opcode is Opcode.TEXT
            self._fragments.append(bytes(frame.data))
            if not frame.fin:
                if len(self._fragments) > MAX_FRAGMENTS:
                    self.abort()
                return
            data = b"".join(self._fragments)
            self._fragments.clear()
            # Text that is not UTF-8 stays bytes: the codec refuses it with a reason, like any other bad text.
            self._frames.append(_decoded(data) if self._text else data)
        elif frame.opcode is not Opcode.CLOSE:
            self._frames.append(None)
        self._arrived.set()

    def _ending(self) -> Closed:
        received = self._protocol.close_rcvd
        if received is not None:
            return Closed(received.code, received.reason)
        failure = self._protocol.parser_exc
        return Closed(None, "" if failure is None or isinstance(failure, EOFError) else str(failure))

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._silent:
                continue
            if self._delay_s:
                self._delayed.append((self._loop.time() + self._delay_s, data))
                if len(self._delayed) == 1:
                    self._loop.call_later(self._delay_s, self._write_delayed)
            else:
                self._write(data)

    def _write_delayed(self) -> None:
        now = self._loop.time()
        while self._delayed and self._delayed[0][0] <= now:
            _, data = self._delayed.popleft()
            if not self._silent:
                self._write(data)
        if self._delayed:
            self._loop.call_at(self._delayed[0][0], self._write_delayed)

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not data:
            transport.close()
        elif transport.get_write_buffer_size() + len(data) > MAX_UNSENT_BYTES:
            transport.abort()
        else:
            transport.write(data)

    def _set_reading(self) -> None:
        paused = self._held or len(self._frames) >= HIGH_FRAMES
        if paused == self._paused or self._transport is None or self._transport.is_closing():
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def _decoded(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
