"""Texts as people write them, in any script: kept as they came, to the character. What is no text is refused.

No-break and ideographic spaces, joiners and their opposite (Persian, Sinhala, families of emoji), marks of direction,
signs newer than this program: all of it is text. Not taken are

- control characters; line breaks and tabs where a text has several lines are none
- overrides, embeddings and isolates of direction: they make a reader see something else than what is there, and what
  one of them opens may go on behind the text. The marks (LRM, RLM, ALM), which right-to-left text needs, do neither
- lone surrogates and noncharacters, which no other program takes (RFC 7493)
- where something must be seen, a text of which nothing is

What is refused does not depend on Python's tables of characters, so that a new one need not wait for a new Python.
"""

import re
import unicodedata
from typing import Final

_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_DIRECTIONS: Final = r"\u202a-\u202e\u2066-\u2069"
_NO_CHARACTERS: Final = r"\ud800-\udfff\ufdd0-\ufdef" + "".join(
    rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(17)
)
# Unicode's Default_Ignorable_Code_Point, whole blocks of it, and two blanks that are symbols by the tables.
_UNSEEN: Final = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Joiners, variants, tones of skin and tags belong to the character before them, as marks do.
_CONTINUES: Final = re.compile(
    r"[\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\U000e0100-\U000e01ef]"
)
_MARKS_MOST: Final = 32  # characters that one visible sign is made of; a family of four with skins has eleven

_REFUSED = re.compile(f"[{_CONTROLS}{_DIRECTIONS}{_NO_CHARACTERS}]")
_BREAK = re.compile(r"\r\n|\n|\t")
_SEEN = re.compile(rf"[^\s{_UNSEEN}{_CONTROLS}]")
_HIDDEN = re.compile(f"[{_UNSEEN}{_CONTROLS}{_DIRECTIONS}{_NO_CHARACTERS}]")
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BLANKS = re.compile(rf"[ \u200b{_CONTROLS}]+")  # ZERO WIDTH SPACE too, which alone is kept: Thai has no other
_TERMINAL = re.compile(rf"[{_CONTROLS}{_DIRECTIONS}\ud800-\udfff]")


def is_line(text: str) -> bool:
    """Whether it may be kept as a text of one line."""
    return not _REFUSED.search(text)


def is_prose(text: str) -> bool:
    """Whether it may be kept as a text of several lines, with tabs."""
    return is_line(_BREAK.sub("", text))


def is_seen(text: str) -> bool:
    """Whether anything of it is to be seen."""
    return _SEEN.search(text) is not None


def is_plain(text: str) -> bool:
    """Whether nothing of it is hidden: for words that are compared by people, such as addresses."""
    return not _HIDDEN.search(text)


def trimmed(text: str) -> str:
    """Without spaces and line breaks (those of the keyboard alone) around it."""
    return text.strip(" \t\r\n")


def one_line(text: str) -> str:
    """What somebody else wrote, in one line that may be kept: control characters are as good as spaces, and blanks in
    a row are one."""
    blank = _BLANKS.sub(lambda found: " " if found[0].strip("\u200b") else found[0], text)
    return _REFUSED.sub("", blank).strip(" ")


def some_lines(text: str) -> str:
    """The same for several lines; empty ones are left out."""
    return "\n".join(line for line in map(one_line, _LINE_BREAK.split(text)) if is_seen(line))


def visible(text: str, characters: int) -> str:
    """What a stranger wrote, in one line of at most so many characters, all of which are to be seen."""
    return cut(one_line(_HIDDEN.sub(" ", text)), characters).strip(" ")


def without_refused(text: str) -> str:
    return _REFUSED.sub("", text)


def cut(text: str, characters: int) -> str:
    """Its beginning, at most so many characters, and no sign of writing taken apart where that can be."""
    end = characters
    while end and end < len(text) and _continues(text, end):
        end -= 1
    return text[: end if end > characters - _MARKS_MOST and end else characters]


def _continues(text: str, at: int) -> bool:
    mark = unicodedata.category(text[at]).startswith("M")
    return mark or _CONTINUES.match(text[at]) is not None or text[at - 1] == "\u200d"


def for_terminal(text: str, keep: str = "") -> str:
    """Text from anywhere for a terminal or a log: what could move the cursor, colour, turn or forge lines is written
    as `\\u001b`. Valid inside JSON too. `keep` may name line breaks and tabs."""
    return _TERMINAL.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)
