"""The pairing card as mpv is told to draw it: all of it inside the card, and the card inside the screen."""

import re

import pytest

from device_agent.players.base import PairingCard
from device_agent.players.mpv_drawing import Canvas, extent
from device_agent.players.mpv_pairing import QR_SIZE, drawing

QR_CODE = ("1" * 29,) * 29


@pytest.mark.parametrize("screen", [(1920, 1080), (1080, 1920), (1024, 768), (1920, 360), (360, 1920), (800, 800)])
@pytest.mark.parametrize("qr_code", [QR_CODE, ()])
@pytest.mark.parametrize("uri", ["http://hub.example/pair", "https://signage.a-long-name.example:8443/pair" * 2])
def test_everything_is_inside_the_card_on_every_screen(
    screen: tuple[int, int], qr_code: tuple[str, ...], uri: str
) -> None:
    drawn = drawing(PairingCard("WMWMWM", uri, "pi, 4f1a02bc", qr_code), Canvas.of_screen(*screen))
    canvas = drawn.canvas
    assert canvas.width / canvas.height == pytest.approx(screen[0] / screen[1], rel=0.005)

    paper, *rest = drawn.events.split("\n")
    left, top = place(paper)
    width, height = (int(number) for number in re.findall(r"\}m 0 0 l (\d+) 0 \d+ (\d+)", paper)[0])
    assert left > 0
    assert top > 0
    assert left + width < canvas.width
    assert top + height < canvas.height
    texts = [line for line in rest if r"\p1" not in line]
    for line in texts:
        x, y = place(line)
        size = int(re.findall(r"\\fs(\d+)", line)[0])
        letters = re.sub(r"^\{[^}]*\}", "", line)
        taken = extent(letters) * size * 1.15 + len(letters) * 10 if r"\b1" in line else extent(letters) * size
        assert x > left
        assert x + taken < left + width
        assert y > top
        assert y + size < top + height
    if qr_code:
        x, y = place(rest[0])
        assert left < x
        assert top < y
        assert y + QR_SIZE < top + height
        assert all(place(line)[0] > x + QR_SIZE or place(line)[1] > y + QR_SIZE for line in texts)


def place(line: str) -> tuple[int, int]:
    x, y = re.findall(r"\\pos\((\d+),(\d+)\)", line)[0]
    return int(x), int(y)
