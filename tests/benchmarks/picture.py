"""Screenshots for uploads: real PNG files of a wanted size, each with bytes of its own."""

import random
import struct
import zlib


def screenshot(size: int) -> bytes:
    """A PNG of about `size` bytes: noise, which no compression makes smaller."""
    width = 512
    height = max(1, size // (width * 3))
    chance = random.Random(1)
    rows = b"".join(b"\0" + chance.randbytes(width * 3) for _ in range(height))
    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def distinct(png: bytes, label: str) -> bytes:
    """The same picture with a comment in it, so that no two uploads are the same."""
    end = len(png) - 12  # the closing chunk
    return png[:end] + _chunk(b"tEXt", b"Comment\0" + label.encode()) + png[end:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
