"""Emergency messages as mpv draws them: an overlay in the language of its subtitles (ASS), of coloured areas and text.

Made to be read from across a room: white on a colour that tells how grave it is, as large as the text allows. Grave
ones take the whole screen, the others a band at the bottom.
"""

import re

from device_agent.players.base import Banner

WIDTH, HEIGHT = 1920, 1080  # of the drawing, whatever the screen's
MARGIN = 90
COLOURS = {"extreme": "B00020", "severe": "B84300", "moderate": "7A5C00", "minor": "1F4E79", "unknown": "333333"}
GRAVE = ("extreme", "severe")
LARGEST = 96  # height of a line of the message
SMALLEST = 34
CHARACTER = 0.52  # of its height, an average one's width
PLAIN = r"\bord0\shad0\3a&HFF&\4a&HFF&"  # without the box that texts of a moment have
LINE = 1.2  # of its height, from one line to the next

_JOINERS = "\u200c\u200d\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # and tones of skin
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def drawing(banner: Banner) -> str:
    top = 0 if banner.severity in GRAVE else HEIGHT * 3 // 5
    colour = COLOURS.get(banner.severity, COLOURS["unknown"])
    title_size = _fitting([banner.title], HEIGHT // 4, LARGEST * 5 // 4) if top == 0 else 72
    title_height = round(title_size * LINE * _rows(banner.title, title_size))
    room = HEIGHT - top - title_height - MARGIN * 3 // 2
    size = _fitting(banner.message.split("\n"), room, LARGEST if top == 0 else 60)
    area = f"m 0 {top} l {WIDTH} {top} {WIDTH} {HEIGHT} 0 {HEIGHT}"
    style = rf"{PLAIN}\1c&HFFFFFF&\q2"
    middle = top + MARGIN // 2 + title_height + room // 2
    title, message = _wrapped(banner.title, title_size), [_wrapped(line, size) for line in banner.message.split("\n")]
    return "\n".join(
        (
            rf"{{\an7\pos(0,0){PLAIN}\1c{bgr(colour)}\1a&H08&\p1}}{area}{{\p0}}",
            rf"{{\an8\pos({WIDTH // 2},{top + MARGIN // 2}){style}\b1\fs{title_size}}}{title}",
            rf"{{\an5\pos({WIDTH // 2},{middle}){style}\fs{size}}}" + r"\N".join(message),
        )
    )


def _fitting(lines: list[str], height: int, largest: int) -> int:
    """The largest size in which the lines fit into the height."""
    for size in range(largest, SMALLEST, -2):
        if sum(_rows(line, size) for line in lines) * size * LINE <= height:
            return size
    return SMALLEST


def _columns(size: int) -> int:
    return max(8, int((WIDTH - 2 * MARGIN) / (size * CHARACTER)))


def _rows(line: str, size: int) -> int:
    return len(_cut(line, _columns(size)))


def _wrapped(line: str, size: int) -> str:
    return r"\N".join(map(plain, _cut(line, _columns(size))))


def _cut(line: str, columns: int) -> list[str]:
    """The line in rows of at most so many characters, cut at spaces where there are any."""
    rows = [""]
    for word in re.split(r"[ \t\r]+", line):
        if not word:
            continue
        while len(word) > columns:
            end = _between_signs(word, columns)
            rows.append(word[:end])
            word = word[end:]
        if rows[-1] and len(rows[-1]) + 1 + len(word) > columns:
            rows.append("")
        rows[-1] += f" {word}" if rows[-1] else word
    return [row for row in rows if row] or [""]


def _between_signs(word: str, columns: int) -> int:
    """Where the word may be cut, after at most so many characters: not before a mark or beside a joiner if possible."""
    import unicodedata  # a megabyte that most devices never need

    end = columns
    while end and (word[end] in _JOINERS or word[end - 1] == "\u200d" or unicodedata.category(word[end])[0] == "M"):
        end -= 1
    return end or columns


def plain(text: str) -> str:
    """Text that ASS takes for nothing but text; what no text has (control characters) is left out."""
    return _CONTROLS.sub("", text).replace("\\", "\\\u2060").replace("{", "\\{")


def bgr(colour: str) -> str:
    return f"&H{colour[4:]}{colour[2:4]}{colour[:2]}&"
