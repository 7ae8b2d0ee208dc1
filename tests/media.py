"""Pictures, films and sounds for the tests, made as they are needed."""

import io
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from tests.requirements import require


def picture(kind: str = "PNG", size: tuple[int, int] = (64, 48), color: str = "teal", **options: Any) -> bytes:
    """A picture of one colour, in a format by Pillow's name."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, kind, **options)
    return file.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A few hundred bytes that claim to be a picture of this size, zeros all through as far as they go."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def film(path: Path, *options: str, seconds: int = 2, size: str = "320x180") -> bytes:
    """A film with sound, in the format of the path's ending. Skips the test when ffmpeg is not installed."""
    return _made(path, "-f", "lavfi", "-i", f"testsrc=size={size}:rate=5:duration={seconds}", *_tone(seconds), *options)


def sound(path: Path, *options: str, seconds: int = 2) -> bytes:
    return _made(path, *_tone(seconds), *options)


def _tone(seconds: int) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=duration={seconds}"]


def _made(path: Path, *options: str) -> bytes:
    subprocess.run([require("ffmpeg"), "-v", "error", "-y", *options, str(path)], check=True, timeout=60)
    return path.read_bytes()
