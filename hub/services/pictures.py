"""Looking into pictures: their size, whether they are whole, and a small copy that shows what a screen shows.

Pixels and metadata are read apart. The decoder is given only those parts of a file that make the pixels: a comment of
megabytes or a broken EXIF block says nothing against a picture that every screen shows. What is wanted of the metadata,
the colour profile and which way up the picture is, is read beside it, and where it cannot be read there is none.
"""

import io
import math
import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL import Image, ImageCms

from hub.domain import content as rules
from hub.domain.content import Kind

THUMBNAIL_SIDE: Final = 320  # pixels of the longer side

MAX_PARTS: Final = 500_000  # chunks or segments of a file: the largest picture in chunks of 1 KiB
MAX_SIDE_DATA: Final = 4 << 20  # bytes of a profile or of EXIF that are looked at; those of printing presses have 2 MB
BYTES_PER_PIXEL: Final = 8  # at most, of a file that is read as a whole: four channels of 16 bits, not compressed

_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP",
                   "image/bmp": "BMP", "image/avif": "AVIF"}  # fmt: skip
_READ_WHOLE: Final = frozenset({"WEBP", "AVIF"})  # by their decoders

_ORIENTATION: Final = 0x0112  # the EXIF tag
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture is to be turned for each EXIF orientation."""

_SRGB_GAMMA: Final = 0.45455  # as PNG writes it


@dataclass(frozen=True, slots=True)
class Picture:
    """As it is seen, the right way up. `thumbnail` is WebP in sRGB."""

    width: int
    height: int
    thumbnail: bytes


@dataclass(slots=True)
class _Metadata:
    exif: bytes = b""
    profile: bytes = b""
    gamma: float = _SRGB_GAMMA
    depth: int = 8
    """Bits of a channel in the file, where the decoder does not tell."""


def read(path: Path, kind: Kind, max_pixels: int) -> Picture:
    """Every pixel is decoded: only so a cut picture is told from a whole one. Raises Invalid on the field `file`."""
    try:
        with path.open("rb") as file:
            name = _FORMATS[kind.mime]
            if name in _READ_WHOLE and path.stat().st_size > max_pixels * BYTES_PER_PIXEL:
                raise _Refused(f"The file is too large for a picture of {max_pixels:,} pixels.")
            pixels, metadata = _taken_apart(file, name)
            with Image.open(pixels, formats=[name]) as picture:
                width, height = picture.size
                if width * height > max_pixels:
                    raise _Refused(f"{width}x{height} pixels are too many: at most {max_pixels:,} in all.")
                metadata.profile = metadata.profile or _bytes(picture.info.get("icc_profile"))
                metadata.exif = metadata.exif or _bytes(picture.info.get("exif"))
                orientation = _orientation(metadata.exif)
                thumbnail = _thumbnail(picture, metadata, orientation)
    except _Refused as error:
        raise rules.refused(str(error)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise rules.refused(f"The picture has too many pixels: at most {max_pixels:,} in all.") from None
    except Exception as error:  # a hostile file makes the decoder raise whatever it likes
        raise rules.refused(f"This picture is broken: it begins as {kind.mime} and cannot be read.") from error
    return Picture(*((height, width) if orientation >= 5 else (width, height)), thumbnail=thumbnail)


def size(path: Path, kind: Kind) -> tuple[int, int]:
    """Width and height as they are stored, from the head alone. Raises whatever the decoder does."""
    with path.open("rb") as file:
        pixels, _ = _taken_apart(file, _FORMATS[kind.mime])
        with Image.open(pixels, formats=[_FORMATS[kind.mime]]) as picture:
            return picture.size


def shrunk(png: bytes) -> bytes:
    """A thumbnail of a picture of our own making."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return _thumbnail(picture, _Metadata(), 1)


class _Refused(Exception):
    pass


# Small copies


def _thumbnail(picture: Image.Image, metadata: _Metadata, orientation: int) -> bytes:
    picture = _shrinkable(picture, metadata.depth)
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    small = _in_srgb(picture, metadata)
    if (turn := _TURNS.get(orientation)) is not None:
        small = small.transpose(turn)
    small.info = {}  # no word of the original goes along: its EXIF may say where it was taken
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80)
    return file.getvalue()


def _shrinkable(picture: Image.Image, depth: int) -> Image.Image:
    """The picture in a mode in which pixels may be mixed: L, LA, RGB, RGBA or CMYK."""
    info = dict(picture.info)
    key = info.get("transparency")  # the colour that is clear, as it is in the file
    if depth not in (1, 8) and picture.mode != "P" and isinstance(key, int | tuple):
        scaled = [_in_8_bits(value, depth) for value in (key if isinstance(key, tuple) else (key,))]
        info["transparency"] = tuple(scaled) if isinstance(key, tuple) else scaled[0]
    if picture.mode in (
        "I",
        "I;16",
        "I;16B",
        "I;16L",
        "I;16N",
        "F",
    ):  # converted as it is, all but the darkest is white
        picture = picture.point(lambda value: value * (1 / 256))
    if picture.mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "P", "PA"):
        picture = picture.convert("L" if picture.mode[0] in "1IF" else "RGB")
    picture.info = info
    if "transparency" in info or picture.mode == "PA":
        return picture.convert("RGBA")
    return picture.convert("RGB") if picture.mode == "P" else picture


def _in_8_bits(value: int, depth: int) -> int:
    return value * 255 // ((1 << depth) - 1) if depth < 8 else value >> (depth - 8)


def _in_srgb(picture: Image.Image, metadata: _Metadata) -> Image.Image:
    """RGB or RGBA, in the colours that a screen without any profile shows."""
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    colours = picture.convert(picture.mode[:-1]) if alpha is not None else picture
    converted = _by_profile(colours, metadata.profile) if metadata.profile else None
    if converted is None:
        converted = colours.convert("RGB")
        if abs(metadata.gamma - _SRGB_GAMMA) > 0.02:
            converted = converted.point([_from_gamma(value, metadata.gamma) for value in range(256)] * 3)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image | None:
    """None where the profile cannot be read, or is for other colours than the picture has: then nobody minds it."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if picture.mode == "L" and space == "RGB":
            picture = picture.convert("RGB")
        if {"L": "GRAY"}.get(picture.mode, picture.mode) != space:
            return None
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # as above: the bytes are a stranger's
        return None


def _from_gamma(value: int, gamma: float) -> int:
    light = math.pow(value / 255, 1 / gamma)
    encoded = 12.92 * light if light <= 0.0031308 else 1.055 * math.pow(light, 1 / 2.4) - 0.055
    return round(encoded * 255)


def _bytes(value: Any) -> bytes:
    return value[:MAX_SIDE_DATA] if isinstance(value, bytes) else b""


def _orientation(exif: bytes) -> int:
    """1 to 8 as EXIF counts; 1 is the right way up."""
    try:
        found = Image.Exif()
        found.load(exif)
        value = found.get(_ORIENTATION, 1)
    except Exception:  # as above
        return 1
    return int(value) if value in _TURNS else 1


# Files taken apart


def _taken_apart(file: BinaryIO, name: str) -> tuple[BinaryIO, _Metadata]:
    """(what makes the pixels, what else is wanted of the file)."""
    if name == "PNG":
        return _png(file)
    if name == "JPEG":
        return _jpeg(file)
    if name == "AVIF":
        return io.BytesIO(_without_exif(file.read())), _Metadata()
    return file, _Metadata()


def _png(file: BinaryIO) -> tuple[BinaryIO, _Metadata]:
    """Chunks that a reader must understand begin with a capital letter; of the others, only tRNS changes pixels."""
    metadata, parts = _Metadata(), _Ranges(file)
    parts.add(0, 8)
    at = 8
    for _ in range(MAX_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IHDR":
            metadata.depth = (file.read(9) + bytes(9))[8]
        elif kind == b"eXIf" and length <= MAX_SIDE_DATA:
            metadata.exif = file.read(length)
        elif kind == b"iCCP" and length <= MAX_SIDE_DATA:
            metadata.profile = _inflated(file.read(length).partition(b"\0")[2][1:])
        elif kind == b"gAMA" and length == 4:
            metadata.gamma = int.from_bytes(file.read(4), "big") / 100_000 or _SRGB_GAMMA
        if kind[0] & 0x20 == 0 or kind == b"tRNS":
            parts.add(at, at + 12 + length)
        at += 12 + length
        if kind == b"IEND":
            break
    else:
        raise _Refused("The picture is in too many pieces.")
    return parts.reader(), metadata


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_SIDE_DATA)
    except zlib.error:
        return b""


_JFIF, _EXIF_AND_XMP, _PROFILE, _ADOBE, _COMMENT, _SCAN = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xDA


def _jpeg(file: BinaryIO) -> tuple[BinaryIO, _Metadata]:
    """Segments before the first scan. Of the applications', JFIF's and Adobe's tell how colours are stored."""
    metadata, parts, profile = _Metadata(), _Ranges(file), {}
    parts.add(0, 2)
    at = 2
    for _ in range(MAX_PARTS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _SCAN:
            break
        marker = head[1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        end = at + 2 + int.from_bytes(head[2:], "big")
        if marker in (_EXIF_AND_XMP, _PROFILE):
            data = file.read(end - at - 4)
            if marker == _EXIF_AND_XMP and data.startswith(b"Exif\0\0"):
                metadata.exif = metadata.exif or data
            if marker == _PROFILE and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
                profile[data[12]] = data[14:]
        elif marker in (_JFIF, _ADOBE) or not (_JFIF < marker < 0xF0 or marker == _COMMENT):
            parts.add(at, end)
        at = end
    else:
        raise _Refused("The picture is in too many pieces.")
    parts.add(at, None)
    metadata.profile = b"".join(profile[number] for number in sorted(profile))[:MAX_SIDE_DATA]
    return parts.reader(), metadata


_EXIF_ITEM: Final = re.compile(rb"(infe[\x02\x03].{3}.{4}(?:.{2})?)Exif", re.DOTALL)


def _without_exif(data: bytes) -> bytes:
    """An AVIF file in which the EXIF item is of a kind that nobody knows. What turns an AVIF is a property of the
    picture; its EXIF must be passed over, and a broken one would stop the decoder."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"meta" and size >= 8:
            meta = _EXIF_ITEM.sub(rb"\1none", data[at : at + size])
            return data[:at] + meta + data[at + size :]
        if size < 8:
            break
        at += size
    return data


class _Ranges:
    """Parts of a file, which `reader` reads as if they were all of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._ranges: list[tuple[int, int]] = []

    def add(self, start: int, end: int | None) -> None:
        """Up to before `end`, or to the end of the file."""
        start, end = min(start, self._size), self._size if end is None else min(end, self._size)
        if self._ranges and self._ranges[-1][1] == start:
            start = self._ranges.pop()[0]
        self._ranges.append((start, end))

    def reader(self) -> BinaryIO:
        return io.BufferedReader(_Parts(self._file, self._ranges), 65_536)


class _Parts(io.RawIOBase):
    def __init__(self, file: BinaryIO, ranges: Sequence[tuple[int, int]]) -> None:
        self._file = file
        self._ranges = ranges
        self._starts = [0, *accumulate(end - start for start, end in ranges)]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._starts[-1]:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        start, _ = self._ranges[number]
        self._file.seek(start + self._at - self._starts[number])
        data = self._file.read(min(self._starts[number + 1] - self._at, len(buffer)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
