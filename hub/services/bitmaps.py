"""BMP files of every header, depth, bit mask and run-length coding that screens show, decoded band by band."""

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from PIL import Image

from hub.services.picture_files import Refused, check_size

BAND: Final = 1 << 20  # bytes of rows that are looked at together
MAX_RUNS: Final = 2_000_000  # of one picture, seconds of work; one run holds up to 255 pixels, equal or not

_RGB, _RLE8, _RLE4, _MASKS, _MASKS_AND_ALPHA = 0, 1, 2, 3, 6
_PLAIN_MASKS: Final = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0x00FF00, 0x0000FF, 0)}


@dataclass(frozen=True, slots=True)
class _Head:
    width: int
    height: int
    is_upwards: bool
    """Whether the lowest row comes first."""
    depth: int
    coding: int
    offset: int
    masks: tuple[int, int, int, int]
    palette: bytes
    """Red, green and blue of 256 colours; black are those that the file lacks."""

    @property
    def stride(self) -> int:
        """Bytes of a row."""
        return (self.width * self.depth + 31) // 32 * 4


def decoded(file: BinaryIO, max_pixels: int) -> Image.Image:
    """The picture as P, RGB or RGBA. Raises Refused for what nobody shows or is too large, and struct.error for a head
    that is cut."""
    head = _head(file)
    check_size(head.width, head.height, max_pixels)
    file.seek(head.offset)
    if head.coding in (_RLE8, _RLE4):
        return _from_runs(file, head)
    mode = "P" if head.depth <= 8 else "RGBA" if head.masks[3] else "RGB"
    picture = Image.new(mode, (head.width, head.height))
    rows = max(1, BAND // head.stride)
    for first in range(0, head.height, rows):
        count = min(rows, head.height - first)
        data = file.read(head.stride * count)
        missing = head.stride * count - len(data)
        if missing >= 4:  # fewer may be the padding of the last row
            raise _cut()
        band = _band(data + bytes(missing), head, count)
        picture.paste(band, (0, head.height - first - count if head.is_upwards else first))
    if mode == "P":
        picture.putpalette(head.palette)
    return picture


def _head(file: BinaryIO) -> _Head:
    data = file.read(14 + 124)
    offset, size = struct.unpack_from("<II", data, 10)
    coding, colours, entry = _RGB, 0, 4
    if size == 12:  # of OS/2
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        entry = 3
    else:
        width, height, _, depth = struct.unpack_from("<iiHH", data, 18)
    if size >= 40:
        coding, _, _, _, colours = struct.unpack_from("<IIiiI", data, 30)
    after = 14 + size
    masks = _PLAIN_MASKS.get(depth, (0, 0, 0, 0))
    if coding in (_MASKS, _MASKS_AND_ALPHA):
        alpha = size >= 56 or coding == _MASKS_AND_ALPHA
        red, green, blue, clear = struct.unpack_from("<IIII", data, 54)
        masks = red, green, blue, clear if alpha else 0
        if size == 40:
            after += 16 if alpha else 12
    shown = {_RGB: (1, 2, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,)}
    if size != 64:  # where OS/2 has codings of its own
        shown |= dict.fromkeys((_MASKS, _MASKS_AND_ALPHA), (16, 32))
    if depth not in shown.get(coding, ()) or width <= 0 or height == 0:
        raise Refused(f"No screen shows a BMP of this make ({depth} bits a pixel, coding {coding}).")
    palette = b""
    if depth <= 8:
        room = max(0, offset - after) // entry
        file.seek(after)
        told = file.read(entry * min(colours or 1 << depth, 1 << depth, room))
        palette = bytes(told[at + part] for at in range(0, len(told) - 2, entry) for part in (2, 1, 0))
    return _Head(width, abs(height), height > 0, depth, coding, offset, masks, palette.ljust(768, b"\0"))


def _band(data: bytes, head: _Head, count: int) -> Image.Image:
    order = -1 if head.is_upwards else 1
    size = head.width, count
    if head.depth <= 8:
        packed = "P" if head.depth == 8 else f"P;{head.depth}"
        return Image.frombytes("P", size, data, "raw", packed, head.stride, order)
    if head.depth == 24:
        return Image.frombytes("RGB", size, data, "raw", "BGR", head.stride, order)
    cell = head.depth // 8
    number = int.from_bytes(data, "little")
    planes = []
    for mask in head.masks if head.masks[3] else head.masks[:3]:
        plane = _channel(number, len(data), cell, mask & (1 << head.depth) - 1)
        planes.append(Image.frombytes("L", size, plane, "raw", "L", head.stride // cell, order))
    return Image.merge("RGBA" if len(planes) == 4 else "RGB", planes)


def _channel(number: int, size: int, cell: int, mask: int) -> bytes:
    """What the mask takes out of each cell, from 0 to 255. `number` is all cells as one, its `size` in bytes: so they
    are shifted at once."""
    if not mask:
        return bytes(size // cell)
    lowest = (mask & -mask).bit_length() - 1
    bits = mask.bit_length() - lowest
    every = int.from_bytes(mask.to_bytes(cell, "little") * (size // cell), "little")
    values = ((number & every) >> lowest + max(0, bits - 8)).to_bytes(size, "little")[::cell]
    if bits >= 8:
        return values
    most = (1 << bits) - 1
    return values.translate(bytes(min(255, value * 255 // most) for value in range(256)))


def _from_runs(file: BinaryIO, head: _Head) -> Image.Image:
    """Pixels that no run has are black, as browsers show them."""
    width, height, wide = head.width, head.height, head.coding == _RLE8
    data = file.read(2 * (width * height + 2 * height) + BAND)
    darkest = min(range(256), key=lambda colour: sum(head.palette[3 * colour : 3 * colour + 3]))
    pixels = bytearray(bytes((darkest,)) * (width * height))
    at = x = y = 0
    for _ in range(MAX_RUNS):
        if y >= height:
            break
        if at + 2 > len(data):
            if (x, y) == (width, height - 1):
                break
            raise _cut()
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            run = bytes((value,)) * count if wide else bytes((value >> 4, value & 15)) * (count // 2 + 1)
        elif value == 0:
            x, y = 0, y + 1
            continue
        elif value == 1:
            break
        elif value == 2:
            if at + 2 > len(data):
                raise _cut()
            x, y, at = x + data[at], y + data[at + 1], at + 2
            if x > width or y >= height:
                raise _astray()
            continue
        else:
            count = value
            size = count if wide else (count + 1) // 2
            run = data[at : at + size]
            if len(run) < size:
                raise _cut()
            if not wide:
                run = bytes(half for both in run for half in (both >> 4, both & 15))
            at += size + size % 2
        if x >= width:
            raise _astray()
        count = min(count, width - x)
        pixels[y * width + x : y * width + x + count] = run[:count]
        x += count
    else:
        raise Refused("The picture is in too many pieces.")
    picture = Image.frombytes("P", (width, height), bytes(pixels), "raw", "P", 0, -1 if head.is_upwards else 1)
    picture.putpalette(head.palette)
    return picture


def _cut() -> Refused:
    return Refused("This BMP is cut: its last rows are missing.")


def _astray() -> Refused:
    return Refused("This BMP is broken: its runs lead out of it.")
