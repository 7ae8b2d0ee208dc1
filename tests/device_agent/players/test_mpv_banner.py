"""Emergency messages as mpv is told to draw them: the text as it was written, and nothing that it would obey."""

import re

from device_agent.players.base import Banner
from device_agent.players.mpv_banner import drawing


def drawn(title: str, message: str) -> tuple[list[str], list[str]]:
    """The rows of title and message, without what says how they look."""
    _, first, second = drawing(Banner("extreme", title, message)).split("\n")
    return tuple(re.sub(r"^\{[^}]*\}", "", line).split(r"\N") for line in (first, second))  # type: ignore[return-value]


def test_texts_are_drawn_as_they_were_written() -> None:
    for text in ("Alerte incendie\u00a0!", "東京\u3000本社", "ශ්\u200dරී", "می\u200cخواهم", "👩🏽\u200d🚒"):
        assert drawn(text, text) == ([text], [text])


def test_nothing_in_a_text_is_an_order() -> None:
    title, message = drawn("{\\b1}x", "a\\Nb\r\nc\t{d}\n\x1b\x9b\u202ee")
    assert title == ["\\{\\\u2060b1}x"]
    assert message == ["a\\\u2060Nb", "c \\{d}", "e"]


def test_rows_are_cut_at_spaces_that_may_break_and_between_signs() -> None:
    _, rows = drawn("x", "12\u00a0000 " * 30)
    assert all(re.fullmatch(r"12\u00a0000( 12\u00a0000)*", row) for row in rows)
    family = "👩\u200d👩\u200d👧"
    _, rows = drawn("x", family * 40)
    assert len(rows) > 1
    assert all(row.replace(family, "") == "" for row in rows)
