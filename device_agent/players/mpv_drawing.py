"""What the overlays that mpv draws have in common: the language of its subtitles (ASS), and texts that fit.

A drawing has the aspect ratio of the screen, so that a square stays one, and the same area on every screen, so that one
size of letters suits a portrait screen as well as a strip above a shelf. mpv scales it to the screen's pixels.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

AREA = 1920 * 1080  # of a canvas, in square units; on a screen of 16:9 a unit is a pixel of Full HD
LINE = 1.2  # of a text's size, from one line to the next
BOLD = 1.15  # of a text's width, that in bold
PLAIN = r"\bord0\shad0\3a&HFF&\4a&HFF&"  # without the box that texts of a moment have

# Widths of characters as parts of the text's size, those of DejaVu Sans rounded up; other fonts are narrower.
NARROW, MIDDLE, CAPITAL, WIDE, FULL = 0.36, 0.56, 0.69, 0.86, 1.0
_NARROW_ONES = frozenset(" !'(),-./:;I[\\]`fijlrt{|}")
_WIDE_ONES = frozenset("%@MWm")

_JOINERS = "\u200c\u200d\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # and tones of skin
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Canvas:
    """Size of a drawing, in its own units."""

    width: int = 1920
    height: int = 1080

    @classmethod
    def of_screen(cls, width_px: int, height_px: int) -> "Canvas":
        """The canvas of a screen; that of 16:9 while there is none."""
        if width_px <= 0 or height_px <= 0:
            return cls()
        scale: float = (AREA / (width_px * height_px)) ** 0.5
        return cls(max(1, round(width_px * scale)), max(1, round(height_px * scale)))

    def holding(self, width: int, height: int) -> "Canvas":
        """The same canvas, in smaller units if need be for something of that size to be inside."""
        scale = max(1.0, width / self.width, height / self.height)
        return Canvas(round(self.width * scale), round(self.height * scale))


@dataclass(frozen=True, slots=True)
class Drawing:
    canvas: Canvas
    events: str  # lines of ASS


def fitting(lines: list[str], width: float, height: float, largest: int, smallest: int) -> int:
    """The largest size in which the lines, wrapped to the width, fit into the height; `smallest` if none does."""
    for size in range(largest, smallest, -2):
        if sum(len(wrapped(line, width, size)) for line in lines) * size * LINE <= height:
            return size
    return smallest


def wrapped(line: str, width: float, size: int) -> list[str]:
    """The line in rows of at most that width, cut at spaces where there are any."""
    room = width / size
    rows = [""]
    for word in re.split(r"[ \t\r]+", line):
        if not word:
            continue
        if rows[-1] and extent(f"{rows[-1]} {word}") > room:
            rows.append("")
        while extent(word) > room and (end := _end_of_row(word, room)) < len(word):
            rows.append(word[:end])
            word = word[end:]
            rows.append("")
        rows[-1] += f" {word}" if rows[-1] else word
    return [row for row in rows if row] or [""]


def extent(text: str) -> float:
    """The text's width as a multiple of its size, rather too much than too little."""
    return sum(map(_width, text))


@lru_cache(1024)
def _width(sign: str) -> float:
    if sign.isascii():
        if sign in _NARROW_ONES:
            return NARROW
        return WIDE if sign in _WIDE_ONES else CAPITAL if sign.isupper() or sign in "&+<=>w~^#_" else MIDDLE
    import unicodedata  # a megabyte that most devices never need

    if unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0.0
    return FULL if unicodedata.east_asian_width(sign) in "WF" else CAPITAL


def _end_of_row(word: str, room: float) -> int:
    """Where a word is cut that no row holds: not before a mark or beside a joiner if possible, never at its start."""
    import unicodedata

    full, taken = 1, _width(word[0])
    while full < len(word) and (taken := taken + _width(word[full])) <= room:
        full += 1
    end = full
    while 0 < end < len(word) and (
        word[end] in _JOINERS or word[end - 1] == "\u200d" or unicodedata.category(word[end])[0] == "M"
    ):
        end -= 1
    return end or full


def shape(x: int, y: int, colour: str, path: str) -> str:
    """An opaque area; `colour` is RRGGBB, `path` relative to x and y."""
    return rf"{{\an7\pos({x},{y}){PLAIN}\1c{_bgr(colour)}\1a&H00&\p1}}{path}{{\p0}}"


def text(x: int, y: int, size: int, colour: str, rows: list[str], *, anchor: int = 7, style: str = "") -> str:
    """Rows of text; `anchor` tells which of their points is at x and y, as on a numeric keypad."""
    looks = rf"\an{anchor}\pos({x},{y}){PLAIN}\1c{_bgr(colour)}\1a&H00&\q2\fs{size}{style}"
    return f"{{{looks}}}" + r"\N".join(map(_plain, rows))


def _plain(text: str) -> str:
    """Text that ASS takes for nothing but text; what no text has (control characters) is left out."""
    return _CONTROLS.sub("", text).replace("\\", "\\\u2060").replace("{", "\\{")


def _bgr(colour: str) -> str:
    return f"&H{colour[4:]}{colour[2:4]}{colour[:2]}&"
