"""Files of pictures taken apart: what makes the pixels, and beside it what else is wanted of a file.

What browsers pass over is passed over: side data that is broken, of a wrong checksum, in the wrong place or there for
the second time. What they mind makes the file refused.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from hub.services import colours
from hub.services.file_parts import Ranges

MAX_PARTS: Final = 500_000  # chunks or segments of a file: the largest picture in chunks of 1 KiB
MAX_SCANS: Final = 200  # of a JPEG; encoders that search for the smallest file try 64, most write 10
MAX_SCANNED: Final = 100 << 26  # samples that all scans of a JPEG pass: 100 times 8192 x 8192, seconds of work
MAX_SIDE_DATA: Final = 4 << 20  # bytes of a profile or of EXIF that are looked at; those of printing presses have 2 MB


class Refused(Exception):
    """Its text says to the person who chose the file why no screen shows it."""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise Refused for more pixels than are decoded."""
    if width * height > max_pixels:
        raise Refused(f"{width}x{height} pixels are too many: at most {max_pixels:,} in all.")


@dataclass(slots=True)
class Taken:
    """`pixels` is a file of what makes them; `otherwise` is another, for when they cannot be read from that. `twin` is
    `pixels` with other bytes in the place of those that are missing at its end: where the two pictures differ, the
    file has none."""

    pixels: BinaryIO
    otherwise: BinaryIO | None = None
    twin: BinaryIO | None = None
    exif: bytes = b""
    profiles: list[bytes] = field(default_factory=list)
    """Of colours, the first that can be read counts."""
    depth: int = 8
    """Bits of a channel in the file, where the decoder does not tell."""


def taken_apart(file: BinaryIO, name: str) -> Taken:
    """`name` is Pillow's of the format. Raises Refused."""
    if name == "PNG":
        return _Png(file).taken()
    if name == "JPEG":
        return _jpeg(file)
    if name == "GIF":
        return _gif(file)
    if name == "WEBP":
        return _webp(file)
    if name == "AVIF":
        return Taken(io.BytesIO(_without_exif(file.read())))
    return Taken(file)


# PNG

_GREY, _COLOUR, _INDEXED = 0, 2, 3  # kinds of colour to which tRNS means something
_KEY_BYTES: Final = {_GREY: 2, _COLOUR: 6}  # of the colour that is clear
_SIDE: Final = frozenset({b"tRNS", b"eXIf", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP"})


class _Png:
    """Head, palette, pixels and end make the picture. Of the chunks beside them those of _SIDE are looked at, which
    stand before the pixels, and of each the first."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._parts = Ranges(file)
        self._side: dict[bytes, bytes] = {}
        self._palette = b""
        self._head = b""
        self._pixels: tuple[int, int] | None = None
        """Where the last chunk of pixels that is not empty begins, and its bytes."""

    def taken(self) -> Taken:
        self._parts.add(0, 8)
        at = 8
        for _ in range(MAX_PARTS):
            self._file.seek(at)
            start = self._file.read(8)
            if len(start) < 8:
                break
            length, kind = int.from_bytes(start[:4], "big"), start[4:]
            self._take(kind, at, length)
            at += 12 + length
            if kind == b"IEND":
                break
        else:
            raise Refused("The picture is in too many pieces.")
        return Taken(
            self._parts.reader(),
            self._unchecked().reader(),
            exif=self._side.get(b"eXIf", b""),
            profiles=list(filter(None, self._profiles())),
            depth=self._head[8],
        )

    def _unchecked(self) -> Ranges:
        """Without the last byte of the checksum of the pixels, which browsers do not ask for: Pillow has all rows
        before it misses that. Without the others too it would stop at rows that are still to be written."""
        if self._pixels is None or not self._pixels[1]:
            return self._parts
        at, length = self._pixels
        parts = self._parts.replaced(at, at + 4, (length - 1).to_bytes(4, "big"))
        return parts.replaced(at + 7 + length, at + 8 + length, b"")

    def _take(self, kind: bytes, at: int, length: int) -> None:
        if kind == b"IHDR":
            if self._head:
                raise Refused("This PNG is broken: it has two heads.")
            self._head = (self._checked(kind, length) if length == 13 else None) or b""
            if not self._head or self._head[10:12] != b"\0\0":
                raise Refused("This PNG is broken: its head cannot be read.")
            self._parts.add(at, at + 12 + length)
        elif not self._head:
            raise Refused("This PNG is broken: it has no head.")
        elif kind == b"IDAT":
            if self._pixels is None:
                self._before_pixels()
            if length or self._pixels is None:
                self._pixels = at, length
            self._parts.add(at, at + 12 + length)
        elif kind == b"PLTE":
            self._take_palette(length)
        elif kind == b"IEND":
            self._parts.add(at, at + 12 + length)
        elif kind in _SIDE and kind not in self._side and self._pixels is None and length <= MAX_SIDE_DATA:
            data = self._checked(kind, length)
            if data is not None and (kind != b"tRNS" or self._means(data)):
                self._side[kind] = data

    def _checked(self, kind: bytes, length: int) -> bytes | None:
        data, checksum = self._file.read(length), self._file.read(4)
        return data if checksum == zlib.crc32(kind + data).to_bytes(4, "big") else None

    def _take_palette(self, length: int) -> None:
        if self._head[9] != _INDEXED:
            return  # a suggestion
        if length > 768 or not (data := self._checked(b"PLTE", length)) or len(data) < 3:
            raise Refused("This PNG is broken: its palette cannot be read.")
        self._palette = data[: len(data) // 3 * 3]  # of two the second, as players have it; browsers show neither

    def _means(self, data: bytes) -> bool:
        """Whether this tRNS says anything of such a picture."""
        if (colour := self._head[9]) == _INDEXED:
            return self._palette != b"" and len(data) <= 256
        return colour in _KEY_BYTES and len(data) >= _KEY_BYTES[colour]

    def _before_pixels(self) -> None:
        colour = self._head[9]
        if colour == _INDEXED:
            if not self._palette:
                raise Refused("This PNG is broken: it has no palette.")
            self._put(b"PLTE", self._palette + self._palette[-3:] * ((1 << self._head[8]) - len(self._palette) // 3))
        if clear := self._side.get(b"tRNS"):
            self._put(b"tRNS", clear[: _KEY_BYTES.get(colour, 256)])

    def _put(self, kind: bytes, data: bytes) -> None:
        self._parts.put(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    def _profiles(self) -> list[bytes | None]:
        """In the order in which they count (PNG, third edition, section 4.3)."""
        side, found = self._side, list[bytes | None]()
        if (told := side.get(b"cICP", b""))[2:] == b"\0\1":
            if told[1] in colours.HDR:
                return []
            found.append(colours.by_number(*told[:2]))
        if b"iCCP" in side:
            found.append(_inflated(side[b"iCCP"].partition(b"\0")[2][1:]))
        is_srgb = len(srgb := side.get(b"sRGB", b"")) == 1 and srgb[0] <= 3
        gamma = int.from_bytes(side.get(b"gAMA", b""), "big") / 100_000 if len(side.get(b"gAMA", b"")) == 4 else 0
        if gamma and not is_srgb:
            points = list(colours.BT709)
            if len(told := side.get(b"cHRM", b"")) == 32:
                numbers = [value / 100_000 for value in struct.unpack(">8I", told)]
                points = list(zip(numbers[::2], numbers[1::2], strict=True))
            found.append(colours.by_gamma(points, gamma))
        return found


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_SIDE_DATA)
    except zlib.error:
        return b""


# JPEG

_JFIF, _EXIF_AND_XMP, _PROFILE, _ADOBE, _COMMENT, _SCAN = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xDA
_HEADS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_START, _FIRST_WITH_LENGTH = 0xD8, 0xC0
_END: Final = b"\xff\xd9"
_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_CONTROL: Final = b"\xf9"  # the extension of a GIF that says which colour of the next frame is clear
_OTHER_PIXELS: Final = bytes(number * 151 % 251 for number in range(4_096))  # of no pattern, and no marker among them


def _jpeg(file: BinaryIO) -> Taken:
    """Segments before the first scan. Of the applications', JFIF's and Adobe's tell how colours are stored."""
    taken, parts, profile, area = Taken(file), Ranges(file), dict[int, bytes](), 0
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
                taken.exif = taken.exif or data
            if marker == _PROFILE and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
                profile[data[12]] = data[14:]
        elif marker == _JFIF:
            if end - at >= 16 and file.read(5) == b"JFIF\0":
                parts.add(at, end)
        elif marker == _ADOBE:
            if end - at >= 16 and file.read(5) == b"Adobe":
                parts.add(at, end)
        elif not (_JFIF < marker < 0xF0 or marker == _COMMENT):
            if marker in _HEADS:
                size = file.read(5)
                if size[1:3] == b"\0\0":
                    raise Refused("This JPEG says only behind its pixels how high it is, which no screen reads.")
                area = max(area, _area(size))
            parts.add(at, end)
        at = end
    else:
        raise Refused("The picture is in too many pieces.")
    parts.add(at, None)
    has_end, samples = _scans(file, at, area)
    if not has_end:
        samples *= 3  # decoded twice more, to find what is missing
        twin = parts.copy()
        twin.put(_OTHER_PIXELS + _END)
        taken.twin = twin.reader()
        parts.put(_END)
    if samples > MAX_SCANNED:
        raise Refused("This JPEG has more scans than its size allows: the picture would be decoded for too long.")
    if profile:
        taken.profiles.append(b"".join(profile[number] for number in sorted(profile))[:MAX_SIDE_DATA])
    taken.pixels = parts.reader()
    return taken


def _scans(file: BinaryIO, at: int, area: int) -> tuple[bool, int]:
    """Whether the end is marked, and how many samples are passed before it: each scan goes through the whole picture,
    however few bytes it has. The way from marker to marker is the decoder's."""
    scans = samples = 0
    for _ in range(MAX_PARTS):
        found = _next_marker(file, at)
        if found is None:
            return False, samples
        at, marker = found[0] + 2, found[1]
        if marker == _END[1]:
            return True, samples
        if marker < _FIRST_WITH_LENGTH or marker == _START:
            continue
        file.seek(at)
        head = file.read(7)
        if marker in _HEADS:
            area = max(area, _area(head[2:]))
        elif marker == _SCAN and len(head) > 2:
            scans += 1
            samples += head[2] * area
            if scans > MAX_SCANS:
                raise Refused(f"This JPEG has too many scans: at most {MAX_SCANS}.")
        at += max(2, int.from_bytes(head[:2], "big"))
    raise Refused("The picture is in too many pieces.")


def _area(head: bytes) -> int:
    """Pixels of all blocks, by what follows the length in a head."""
    height, width = (int.from_bytes(head[at : at + 2], "big") for at in (1, 3))
    return -(-height // 8) * -(-width // 8) * 64


def _next_marker(file: BinaryIO, at: int) -> tuple[int, int] | None:
    """Where it stands, and which it is; those that only divide the pixels are passed over."""
    file.seek(at)
    data = b""
    while piece := file.read(4_096):
        data = data[-1:] + piece
        if found := _MARKER.search(data):
            return file.tell() - len(data) + found.start(), data[found.start() + 1]
    return None


# GIF


def _gif(file: BinaryIO) -> Taken:
    """Of what stands before the first frame only how it is shown: decoders take time for comments of many blocks."""
    parts = Ranges(file)
    file.seek(0)
    head = file.read(13)
    at = 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)
    parts.add(0, at)
    start, is_extension, is_kept = at, False, False
    for _ in range(MAX_PARTS):
        file.seek(at)
        mark = file.read(2)
        if is_extension:  # a block of it, the last of which is empty
            at += 1 + (mark[0] if mark else 0)
            is_extension = mark[:1] not in (b"", b"\0")
            if is_kept and not is_extension:
                parts.add(start, at)
        elif mark[:1] == b"!":
            start, at, is_extension, is_kept = at, at + 2, True, mark[1:] == _CONTROL
        elif mark[:1] in (b"", b",", b";"):
            break
        else:
            at += 1
    else:
        raise Refused("The picture is in too many pieces.")
    parts.add(at, None)
    return Taken(parts.reader())


# WebP


def _webp(file: BinaryIO) -> Taken:
    """Where all chunks are there, the size of the whole is made theirs: some programs leave out the byte that makes the
    last one even, or count one that is not there."""
    file_size = file.seek(0, io.SEEK_END)
    file.seek(0)
    told, at = 8 + int.from_bytes(file.read(8)[4:], "little"), 12
    if not 0 <= told - file_size <= 1:
        return Taken(file)
    for _ in range(MAX_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        at += 8 + int.from_bytes(head[4:], "little")
        if at == file_size or at % 2 == 0:
            continue
        at += 1
    else:
        raise Refused("The picture is in too many pieces.")
    if at != file_size or (at == told and at % 2 == 0):
        return Taken(file)
    parts = Ranges(file)
    parts.add(0, 4)
    parts.put((at + at % 2 - 8).to_bytes(4, "little"))
    parts.add(8, None)
    parts.put(bytes(at % 2))
    return Taken(parts.reader())


# AVIF

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
