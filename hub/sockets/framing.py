"""WebSocket framing of the server's end, without I/O: whole messages, text that is UTF-8, one subprotocol."""

import logging
from typing import Any

from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

_log = logging.getLogger(__name__)
_log.setLevel(logging.WARNING)  # never a line per message


class Framing(ServerProtocol):
    """Of a message in pieces the last frame is the whole: it comes as TEXT or BINARY with all bytes. The pieces before
    it come as they are, without `fin`.

    `pieces` is how many of the message under way have arrived, `most_pieces` the most of any message so far.
    """

    def __init__(self, subprotocol: Subprotocol, max_bytes: int) -> None:
        super().__init__(
            subprotocols=[subprotocol], select_subprotocol=_select_subprotocol, max_size=max_bytes, logger=_log
        )
        self.pieces = self.most_pieces = 0
        self._whole = bytearray()
        self._opcode = Opcode.TEXT

    @property
    def said_goodbye(self) -> bool:
        """Whether the other end has sent a close frame that could be read."""
        return self.close_rcvd is not None and self.parser_exc is None

    def recv_frame(self, frame: Frame) -> None:
        """The library's step after each frame. Raises UnicodeDecodeError, which its parser turns into a close with
        1007, before whatever stands behind the frame is looked at."""
        super().recv_frame(frame)
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        if not frame.fin:
            self.pieces += 1
            self.most_pieces = max(self.most_pieces, self.pieces)
            self._whole += frame.data
            return
        if self.pieces:
            frame.data = bytes(self._whole + frame.data)
            frame.opcode = self._opcode
            self.pieces = 0
            self._whole = bytearray()
        if frame.opcode is Opcode.TEXT:
            try:
                bytes(frame.data).decode()
            except UnicodeDecodeError:
                self.events.pop()
                raise


def _select_subprotocol(protocol: ServerProtocol, offered: Any) -> Subprotocol | None:
    """The only one that the socket speaks; the library calls this as its own method."""
    [spoken] = protocol.available_subprotocols or ()
    if spoken not in offered:
        raise NegotiationError(f"offer the subprotocol {spoken}")
    return spoken
