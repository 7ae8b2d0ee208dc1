"""Draws plain pictures with the standard library alone: flat areas and text in a 5x7 bitmap font, as palette PNG.

Used for the screen of a simulated player, and for what a real one shows while it has no content.
"""

import colorsys
import struct
import zlib
from collections.abc import Sequence

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

ADVANCE = 6  # columns from one character to the next: five of the glyph and a gap
LINE = 9  # rows from one line to the next: seven of the glyph and a gap

# Space to tilde, seven rows a glyph from the top, two hexadecimal digits a row, the leftmost column is the bit 0x10.
_FONT = """
00000000000000 04040404040004 0a0a0a00000000 0a0a1f0a1f0a0a 040f140e051e04 18190204081303 0c12140815120d 04040800000000
02040808080402 08040202020408 0004150e150400 0004041f040400 000000000c0408 0000001f000000 00000000000c0c 00010204081000
0e11131519110e 040c040404040e 0e11010204081f 1f02040201110e 02060a121f0202 1f101e0101110e 0608101e11110e 1f010204080808
0e11110e11110e 0e11110f01020c 000c0c000c0c00 000c0c000c0408 02040810080402 00001f001f0000 08040201020408 0e110102040004
0e11010d15150e 0e1111111f1111 1e11111e11111e 0e11101010110e 1c12111111121c 1f10101e10101f 1f10101e101010 0e11101711110f
1111111f111111 0e04040404040e 0702020202120c 11121418141211 1010101010101f 111b1515111111 11111915131111 0e11111111110e
1e11111e101010 0e11111115120d 1e11111e141211 0f10100e01011e 1f040404040404 1111111111110e 11111111110a04 1111111515150a
11110a040a1111 1111110a040404 1f01020408101f 0e08080808080e 00100804020100 0e02020202020e 040a1100000000 0000000000001f
08040200000000 00000e010f110f 1010161911111e 00000e1010110e 01010d1311110f 00000e111f100e 0609081c080808 000f11110f010e
10101619111111 04000c0404040e 0200060202120c 10101214181412 0c04040404040e 00001a15151111 00001619111111 00000e1111110e
00001e111e1010 00000d130f0101 00001619101010 00000e100e011e 08081c08080906 0000111111130d 00001111110a04 0000111115150a
0000110a040a11 000011110f010e 00001f0204081f 02040408040402 04040404040404 08040402040408 00000815020000
"""
_GLYPHS = [bytes.fromhex(glyph) for glyph in _FONT.split()]
_UNKNOWN = bytes.fromhex("1f11111111111f")


def _glyph(character: str) -> bytes:
    return _GLYPHS[ord(character) - 32] if " " <= character <= "~" else _UNKNOWN


def plain(text: str) -> str:
    """Accents dropped, so that more names can be written in ASCII; what remains unknown is drawn as a box."""
    if text.isascii():
        return text
    import unicodedata  # a megabyte that most devices never need

    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def wrap(text: str, columns: int, rows: int) -> list[str]:
    """At most `rows` lines of at most `columns` characters, cut anywhere (paths have no spaces); dots mark loss."""
    columns = max(1, columns)
    lines = [
        line[at : at + columns] for line in text.splitlines() or [""] for at in range(0, max(1, len(line)), columns)
    ]
    if len(lines) > rows:
        lines = lines[:rows]
        lines[-1] = lines[-1][: max(0, columns - 3)] + "..."[:columns]
    return lines


class Canvas:
    """A picture of `width` x `height` pixels with at most 256 colours; whatever lies outside is cut off."""

    def __init__(self, width: int, height: int, background: Colour) -> None:
        self.width = width
        self.height = height
        self._colours: dict[Colour, int] = {background: 0}
        self._pixels = bytearray(width * height)

    def _ink(self, colour: Colour) -> int:
        return self._colours.setdefault(colour, len(self._colours))

    def rectangle(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        left, right = max(0, x), min(self.width, x + width)
        if left >= right:
            return
        line = bytes([self._ink(colour)]) * (right - left)
        for row in range(max(0, y), min(self.height, y + height)):
            at = row * self.width
            self._pixels[at + left : at + right] = line

    def text(self, x: int, y: int, text: str, scale: int, colour: Colour, paper: Colour) -> None:
        """One line with its upper left corner at (x, y); `paper` fills the cells behind it."""
        if not 0 <= x < self.width:
            return
        ink, blank = bytes([self._ink(colour)]) * scale, bytes([self._ink(paper)]) * scale
        cells = [b"".join(ink if bits & mask else blank for mask in (16, 8, 4, 2, 1, 0)) for bits in range(32)]
        glyphs = [_glyph(character) for character in plain(text)[: self.width // scale]]
        for row in range(7):
            line = b"".join([cells[glyph[row]] for glyph in glyphs])[: self.width - x]
            for at_row in range(y + row * scale, y + row * scale + scale):
                if 0 <= at_row < self.height:
                    at = at_row * self.width + x
                    self._pixels[at : at + len(line)] = line

    def png(self) -> bytes:
        width, height = self.width, self.height
        rows = b"".join([b"\0" + self._pixels[at : at + width] for at in range(0, width * height, width)])
        palette = b"".join(bytes(colour) for colour in self._colours)
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            (
                _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),  # 8 bits, palette
                _chunk(b"PLTE", palette),
                _chunk(b"IDAT", zlib.compress(rows, 1)),  # flat areas: higher levels cost time and gain little
                _chunk(b"IEND", b""),
            )
        )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def colour_of(name: str, brightness: float = 0.4) -> Colour:
    """A colour that belongs to this name, so that a wall of screens can be told apart."""
    hue = zlib.crc32(name.encode()) % 360 / 360
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, brightness)
    return round(red * 255), round(green * 255), round(blue * 255)


def card(
    title: str,
    facts: Sequence[tuple[str, str]] = (),
    *,
    overlay: str | None = None,
    width: int = 640,
    background: Colour | None = None,
) -> bytes:
    """A 16:9 PNG: the title in a band, labelled facts below it, and `overlay` in a box over everything."""
    height = max(1, width * 9 // 16)
    base = background or colour_of(title)
    dim: Colour = (base[0] // 2 + 115, base[1] // 2 + 115, base[2] // 2 + 115)
    unit = max(1, width // 320)
    margin = 8 * unit
    canvas = Canvas(width, height, base)

    band = (base[0] * 2 // 3, base[1] * 2 // 3, base[2] * 2 // 3)
    canvas.rectangle(0, 0, width, 40 * unit, band)
    room = max(1, (width - 2 * margin) // ADVANCE)
    scale = next((s for s in (3 * unit, 2 * unit) if len(title) * s <= room), unit)
    canvas.text(margin, (40 * unit - 7 * scale) // 2, wrap(title, room // scale, 1)[0], scale, WHITE, band)

    longest = max((len(label) for label, _ in facts), default=0)
    label_columns = longest + 2 if longest else 0
    y = 50 * unit
    for label, value in facts:
        canvas.text(margin, y, label, unit, dim, base)
        for line in wrap(value, room // unit - label_columns, 3):
            canvas.text(margin + label_columns * ADVANCE * unit, y, line, unit, WHITE, base)
            y += LINE * unit
        y += 5 * unit

    if overlay:
        _overlay(canvas, overlay, unit)
    return canvas.png()


def _overlay(canvas: Canvas, text: str, unit: int) -> None:
    margin = 8 * unit
    columns = (canvas.width - 6 * margin) // ADVANCE
    scale = 2 * unit if max(map(len, text.splitlines()), default=0) * 2 * unit <= columns else unit
    lines = wrap(text, columns // scale, 6)
    width = max(map(len, lines)) * ADVANCE * scale + 2 * margin
    height = len(lines) * LINE * scale + 2 * margin
    x, y = (canvas.width - width) // 2, (canvas.height - height) // 2
    canvas.rectangle(x - unit, y - unit, width + 2 * unit, height + 2 * unit, WHITE)
    canvas.rectangle(x, y, width, height, BLACK)
    for number, line in enumerate(lines):
        canvas.text(max(0, x + margin), y + margin + number * LINE * scale, line, scale, WHITE, BLACK)
