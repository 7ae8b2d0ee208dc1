"""Pictures are read back with Pillow, which shares nothing with the code that draws them."""

import io

import pytest
from PIL import Image

from device_agent.players import picture


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image.convert("RGB")


def rows_of(image: Image.Image) -> list[str]:
    """White pixels as `#`, everything else as `.`."""
    return [
        "".join("#" if image.getpixel((x, y)) == picture.WHITE else "." for x in range(image.width))
        for y in range(image.height)
    ]


def test_letters_are_drawn_pixel_by_pixel() -> None:
    canvas = picture.Canvas(13, 7, picture.BLACK)
    canvas.text(0, 0, "T7", 1, picture.WHITE, picture.BLACK)
    assert rows_of(opened(canvas.png())) == [
        "#####.#####..",
        "..#.......#..",
        "..#......#...",
        "..#.....#....",
        "..#....#.....",
        "..#....#.....",
        "..#....#.....",
    ]


def test_every_printable_character_has_a_glyph_of_its_own() -> None:
    drawn = set()
    for code in range(32, 127):
        canvas = picture.Canvas(6, 7, picture.BLACK)
        canvas.text(0, 0, chr(code), 1, picture.WHITE, picture.BLACK)
        drawn.add(canvas.png())
    assert len(drawn) == 95


def test_accents_are_dropped_and_what_remains_unknown_is_a_box() -> None:
    assert picture.plain("Zürich Café") == "Zurich Cafe"
    canvas = picture.Canvas(6, 7, picture.BLACK)
    canvas.text(0, 0, "漢", 1, picture.WHITE, picture.BLACK)
    assert rows_of(opened(canvas.png()))[0] == "#####."


def test_scaled_text_covers_whole_blocks() -> None:
    canvas = picture.Canvas(24, 21, picture.BLACK)
    canvas.text(0, 0, "-", 3, picture.WHITE, picture.BLACK)
    image = opened(canvas.png())
    assert rows_of(image)[9:12] == ["#" * 15 + "." * 9] * 3
    assert sum(row.count("#") for row in rows_of(image)) == 45


def test_what_lies_outside_is_cut_off() -> None:
    canvas = picture.Canvas(10, 4, picture.BLACK)
    canvas.text(7, 1, "WWWW", 2, picture.WHITE, picture.BLACK)
    canvas.text(11, 0, "W", 1, picture.WHITE, picture.BLACK)
    canvas.rectangle(-5, -5, 8, 7, (200, 0, 0))
    image = opened(canvas.png())
    assert image.size == (10, 4)
    assert image.getpixel((2, 1)) == (200, 0, 0)
    assert image.getpixel((3, 2)) == picture.BLACK


@pytest.mark.parametrize("width", [1, 16, 100, 320, 641, 1920])
def test_a_card_has_the_width_asked_for_and_the_shape_of_a_screen(width: int) -> None:
    image = opened(picture.card("Lobby", [("Playing", "x" * 500)], overlay="one\ntwo", width=width))
    assert image.size == (width, max(1, width * 9 // 16))


def test_the_background_belongs_to_the_name() -> None:
    corner = (639, 359)
    lobby, again, bar = (opened(picture.card(name)).getpixel(corner) for name in ("Lobby", "Lobby", "Bar"))
    assert lobby == again == picture.colour_of("Lobby")
    assert lobby != bar


def test_long_values_are_wrapped_and_their_loss_is_marked() -> None:
    assert picture.wrap("abcdefgh", 3, 5) == ["abc", "def", "gh"]
    assert picture.wrap("abcdefghijk", 5, 2) == ["abcde", "fg..."]
    assert picture.wrap("", 5, 2) == [""]
    assert picture.wrap("one\n\ntwo", 5, 3) == ["one", "", "two"]
