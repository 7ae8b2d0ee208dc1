"""The canvas of a screen, and the measures of texts on it."""

import pytest

from device_agent.players.mpv_drawing import AREA, Canvas, extent, wrapped


@pytest.mark.parametrize("screen", [(1920, 1080), (3840, 2160), (1080, 1920), (1024, 768), (1920, 360), (64, 64)])
def test_a_canvas_has_the_aspect_ratio_of_the_screen_and_one_area(screen: tuple[int, int]) -> None:
    canvas = Canvas.of_screen(*screen)
    assert canvas.width / canvas.height == pytest.approx(screen[0] / screen[1], rel=0.002)
    assert canvas.width * canvas.height == pytest.approx(AREA, rel=0.002)


def test_without_a_screen_it_is_that_of_full_hd() -> None:
    assert Canvas.of_screen(0, 0) == Canvas.of_screen(1920, 1080) == Canvas(1920, 1080)


def test_in_smaller_units_it_holds_what_is_larger() -> None:
    assert Canvas(1080, 1920).holding(1000, 1900) == Canvas(1080, 1920)
    assert Canvas(1080, 1920).holding(1620, 100) == Canvas(1620, 2880)


def test_wide_letters_are_wider_than_narrow_ones_and_marks_have_no_width() -> None:
    assert extent("iiii") < extent("nnnn") < extent("NNNN") < extent("WWWW") < extent("東東東東")
    assert extent("e\u0301") == extent("e")


def test_no_row_is_wider_than_the_room() -> None:
    for line in ("Leave by the stairs at once", "W" * 50, "short " + "W" * 50 + " short", "東京" * 30, "", " "):
        rows = wrapped(line, 400, 40)
        assert all(extent(row) * 40 <= 400 for row in rows)
        assert "".join(rows).replace(" ", "") == line.replace(" ", "")


def test_a_room_narrower_than_a_letter_still_takes_one_in_each_row() -> None:
    assert wrapped("WWW", 1, 40) == ["W", "W", "W"]
