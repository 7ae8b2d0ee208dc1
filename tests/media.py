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
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000), 9)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*one) for one in chunks)


def png(rows: list[bytes], depth: int, colour: int, *more: tuple[bytes, bytes], width: int, late: bytes = b"") -> bytes:
    """A picture of these packed rows; `more` are chunks before its pixels, `late` is what stands after them."""
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", head), *more, (b"IDAT", data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*one) for one in chunks) + late + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    checked = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checked)


def gif(*blocks: bytes, palette: bytes, size: tuple[int, int] = (16, 16)) -> bytes:
    """Of two colours."""
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + palette + b"".join(blocks) + b";"


def gif_frame(left: int, top: int, width: int, height: int, pixels: bytes) -> bytes:
    """Pixels of colours 0 to 3, written in codes of three bits that say nothing of one another."""
    bits = "".join(f"{code:03b}"[::-1] for pixel in pixels for code in (4, pixel)) + f"{5:03b}"[::-1]
    data = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    blocks = b"".join(bytes((len(part),)) + part for part in (data[at : at + 255] for at in range(0, len(data), 255)))
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\2" + blocks + b"\0"


def icc(space: str, tags: dict[bytes, bytes], *, pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile, version 2.4, of these tags."""
    table, body = struct.pack(">I", len(tags)), b""
    first = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", first + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", first + len(body), b"", 0x02400000, b"mntr", space.encode().ljust(4), pcs)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _s15(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


def icc_xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(*values)


def icc_gamma(value: float) -> bytes:
    return struct.pack(">4sIIH", b"curv", 0, 1, round(value * 256))


def _s15(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))


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
