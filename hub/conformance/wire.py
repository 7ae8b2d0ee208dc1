"""A WebSocket of either end on asyncio streams, frame by frame: also the frames that a well-behaved library hides."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

MOST_HEARD = 256  # frames that wait to be looked at; then reading pauses
LINGER_S = 2.0  # for the other end to notice that we are gone
READ_BYTES = 65_536
HUGE_BYTES = 1_048_576  # a frame above the protocol's limit must arrive to be told of; one above this is not read

QUIET_LOG = logging.getLogger(__name__)
QUIET_LOG.setLevel(logging.ERROR)  # the library tells of every connection


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame: `text` and `binary` are whole messages, pieces put together. `fetched` is no frame: the kit's own notice
    of a file that was served beside the connection."""

    kind: Literal["text", "binary", "ping", "pong", "fetched"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over. `code` is the one of the other end's close frame, None without one; `defect` is what was
    wrong with its frames by RFC 6455."""

    code: int | None
    reason: str
    defect: str = ""


class Wire:
    """An open connection. `hear` waits; the others act at once, and do nothing once the connection is over."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: ServerProtocol | ClientProtocol
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = protocol
        self._heard: asyncio.Queue[Heard | Ended] = asyncio.Queue(MOST_HEARD)
        self._pieces: list[bytes] = []
        self._whole: Literal["text", "binary"] = "text"
        self._mute = False  # what still arrives is lost
        self._said_eof = False
        self.ended: Ended | None = None
        self._reading = asyncio.create_task(self._read())

    async def hear(self) -> Heard | Ended:
        """The next frame, or for ever the end."""
        if self.ended is not None:
            return self.ended
        heard = await self._heard.get()
        if isinstance(heard, Ended):
            self.ended = heard
        return heard

    def notice(self, heard: Heard) -> None:
        """Put in something that did not come over this connection, if there is room."""
        with suppress(asyncio.QueueFull):
            self._heard.put_nowait(heard)

    def say(self, text: str, pieces: int = 1) -> None:
        """A text message, in one frame or in several of about the same size."""
        data = text.encode(errors="surrogatepass")
        size = max(1, -(-len(data) // pieces))
        frames = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for number, piece in enumerate(frames):
            last = number == len(frames) - 1
            self._frame(Frame(Opcode.TEXT if number == 0 else Opcode.CONT, piece, fin=last))

    def say_bytes(self, data: bytes, *, text: bool = False) -> None:
        """A binary message; as `text` bytes that need not be UTF-8."""
        self._frame(Frame(Opcode.TEXT if text else Opcode.BINARY, data))

    def ping(self, data: bytes) -> None:
        self._frame(Frame(Opcode.PING, data))

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye."""
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    async def cut(self) -> None:
        """End the TCP connection without a goodbye. What was sent arrives; what the other end still sends is lost."""
        self._mute = True
        with suppress(OSError):
            self._say_eof()
        await self.leave()

    async def leave(self) -> None:
        """Wait a little for the other end to go too, and be gone."""
        self._mute = True
        while not self._heard.empty():
            self._heard.get_nowait()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await asyncio.shield(self._reading)
        self.abort()
        await asyncio.gather(self._reading, return_exceptions=True)

    def deafen(self) -> None:
        """Neither read nor answer anything from now on, and leave the connection open: as a pulled cable looks."""
        self._mute = True
        with suppress(RuntimeError):
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def abort(self) -> None:
        """Be gone at once."""
        self._writer.transport.abort()

    def _frame(self, frame: Frame) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_frame(frame)
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._writer.is_closing() or self._said_eof:
                return
            if data:
                self._writer.write(data)
            else:
                self._say_eof()

    def _say_eof(self) -> None:
        if self._writer.can_write_eof() and not self._writer.is_closing() and not self._said_eof:
            self._said_eof = True
            self._writer.write_eof()

    async def _read(self) -> None:
        try:
            self._flush()
            await self._take_events()  # what came together with the end of the handshake
            while data := await self._reader.read(READ_BYTES):
                self._protocol.receive_data(data)
                self._flush()
                await self._take_events()
        except OSError:
            pass
        if self._protocol.state is OPEN:
            self._protocol.receive_eof()
        self._flush()
        goodbye, failure = self._protocol.close_rcvd, self._protocol.parser_exc
        defect = "" if failure is None or isinstance(failure, EOFError) else str(failure)
        self._writer.close()
        end = Ended(goodbye.code if goodbye else None, goodbye.reason if goodbye else "", defect)
        if self._mute:
            self.ended = end
        else:
            await self._heard.put(end)

    async def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if not isinstance(event, Frame) or self._mute:
                continue
            if event.opcode is Opcode.PING:
                await self._heard.put(Heard("ping", bytes(event.data)))
            elif event.opcode is Opcode.PONG:
                await self._heard.put(Heard("pong", bytes(event.data)))
            elif event.opcode is not Opcode.CLOSE:
                if event.opcode is not Opcode.CONT:
                    self._whole = "text" if event.opcode is Opcode.TEXT else "binary"
                self._pieces.append(bytes(event.data))
                if event.fin:
                    whole, self._pieces = b"".join(self._pieces), []
                    await self._heard.put(Heard(self._whole, whole))
