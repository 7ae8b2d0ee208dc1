"""Frames made once and sent to many."""

from websockets.frames import Frame, Opcode


def framed(text: bytes) -> bytes:
    """A text frame as a server sends it."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)
