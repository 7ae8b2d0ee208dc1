"""How fast an answer leaves an HTTP connection, and the end of one that nobody takes.

What waits to leave is bounded to a piece of the answer and a mark, here and in the kernel: the rest of an answer is
made, or read from the disk, as its reader goes on. A reader has the pace of whoever sends a file.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl

from hub.api.http.requests import IDLE_S, SLOWEST

HIGH_WATER_BYTES: Final = 32_768  # waiting in the hub, at which no more is written; goes on at a quarter of it
PIECE_BYTES: Final = 65_536  # written at once, so that at most 96 KiB wait: at the slowest pace that is within a minute
UNSENT_BYTES: Final = 65_536  # in the kernel and not on its way; without a bound it takes up to 4 MiB a connection
LOOK_S: Final = 10.0  # between two looks at an answer that waits

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Flow(FlowControl):
    """uvicorn's, with an end for connections whose output waits: of SLOWEST bytes a second over any minute, and of
    what is left when the hub has closed them. Nothing is counted while nothing waits, as in a stream of events.

    While `held` nothing more is received, though uvicorn goes on reading whenever somebody asks for a body.
    """

    held = False

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(transport)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._spare_s = IDLE_S  # how long its reader may go on without taking anything
        self._waiting_bytes = 0  # at the last look
        self._looked_at = 0.0
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        self._bound_kernel(UNSENT_BYTES)

    def release(self) -> None:
        """Leave the transport as it was found, to another protocol."""
        self._stop()
        self._transport.set_write_buffer_limits()
        self._bound_kernel(0)

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._timer is None:
            self._waiting_bytes = self._transport.get_write_buffer_size()
            self._looked_at = self._loop.time()
            self._timer = self._loop.call_later(LOOK_S, self._look)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._timer is not None and not self._is_closing:
            self._count()
            self._stop()

    def closing(self) -> None:
        """The transport was closed, by us: it goes on sending what waits, for as long as that may take."""
        if self._is_closing:
            return
        self._is_closing = True
        self._stop()
        waiting = self._transport.get_write_buffer_size()
        if waiting or self._transport.get_extra_info("sslcontext") is not None:  # what TLS has waiting is not seen
            self._timer = self._loop.call_later(IDLE_S + waiting / SLOWEST, self._reset)

    def lost(self) -> None:
        """The connection has ended; nobody waits any more."""
        self._is_closing = True
        self._stop()
        super().resume_writing()

    async def send(self, send: Send, message: Message) -> None:
        """Send a part of an answer in pieces, each when the one before has left, and return when more may come."""
        while len(message.get("body", b"")) > PIECE_BYTES:
            body = memoryview(message["body"])
            await send({"type": message["type"], "body": body[:PIECE_BYTES], "more_body": True})
            await self._taken()
            message = {**message, "body": body[PIECE_BYTES:]}
        await send(message)
        if message.get("more_body", False):
            await self._taken()

    async def _taken(self) -> None:
        """Most of what was written has left. At least a turn of the loop, in which we hear of the end of a connection:
        below TLS it may have ended already, where nothing is ever paused again."""
        await asyncio.sleep(0)
        await self.drain()

    def _look(self) -> None:
        self._count()
        if self._spare_s > 0:
            self._timer = self._loop.call_later(LOOK_S, self._look)
        else:
            self._timer = None
            self._reset()

    def _count(self) -> None:
        now, waiting = self._loop.time(), self._transport.get_write_buffer_size()
        taken = max(0, self._waiting_bytes - waiting)
        passed = min(now - self._looked_at, LOOK_S)  # for longer it was the hub that stood still
        self._spare_s = min(IDLE_S, self._spare_s - passed + taken / SLOWEST)
        self._waiting_bytes, self._looked_at = waiting, now

    def _reset(self) -> None:
        """End the connection without what waits, here and in the kernel, which would offer it for minutes yet."""
        self._set(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _bound_kernel(self, unsent_bytes: int) -> None:
        """0: as the system has it."""
        option: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # not on Windows
        if option is not None:
            self._set(socket.IPPROTO_TCP, option, unsent_bytes)

    def _set(self, level: int, option: int, value: int | bytes) -> None:
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):  # no TCP, or ended already
                connection.setsockopt(level, option, value)
