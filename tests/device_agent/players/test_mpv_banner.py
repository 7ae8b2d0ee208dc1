"""Emergency messages as mpv is told to draw them: the text as it was written, and nothing that it would obey."""

import re

import pytest

from device_agent.players.base import Banner
from device_agent.players.mpv_banner import drawing
from device_agent.players.mpv_drawing import LINE, Canvas, extent


def drawn(title: str, message: str) -> tuple[list[str], list[str]]:
    """The rows of title and message, without what says how they look."""
    _, first, second = drawing(Banner("extreme", title, message), Canvas()).events.split("\n")
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


@pytest.mark.parametrize("screen", [(1920, 1080), (1080, 1920), (1024, 768), (1920, 360), (360, 1920), (800, 800)])
@pytest.mark.parametrize("severity", ["extreme", "minor"])
@pytest.mark.parametrize("message", ["Leave.", "Leave by the stairs.\n" * 8, "W" * 300, "東京本社 " * 60])
def test_every_row_is_inside_the_area(screen: tuple[int, int], severity: str, message: str) -> None:
    canvas = Canvas.of_screen(*screen)
    drawn = drawing(Banner(severity, "Fire drill in the north building", message), canvas)
    assert drawn.canvas == canvas
    area, title, text = drawn.events.split("\n")
    top = place(area)[1]
    assert f" {canvas.width} {canvas.height - top} " in area  # down to the lower edge
    assert r"\1a&H00&" in area  # nothing shines through

    edge = top
    for line, above in ((title, 0.0), (text, 0.5)):
        x, y = place(line)
        size = int(re.findall(r"\\fs(\d+)", line)[0])
        rows = re.sub(r"^\{[^}]*\}", "", line).split(r"\N")
        width = max(map(extent, rows)) * size * (1.15 if r"\b1" in line else 1)
        height = len(rows) * size * LINE
        assert width / 2 <= min(x, canvas.width - x)
        assert y - height * above >= edge - 1
        edge = round(y + height * (1 - above))
        assert edge <= canvas.height


def place(line: str) -> tuple[int, int]:
    x, y = re.findall(r"\\pos\((\d+),(\d+)\)", line)[0]
    return int(x), int(y)
