import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.requirements import require

QUADRANTS = {"red": (210, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "yellow": (230, 210, 40)}


@dataclass(frozen=True)
class XScreen:
    """An X server without a monitor or a window manager; `display` is its name."""

    display: str
    framebuffer: Path

    def look(self) -> Image.Image:
        """What a monitor would show, read from the server's own memory (an XWD file), not asked of the player."""
        data = self.framebuffer.read_bytes()
        header = struct.unpack_from(">20I", data)
        header_bytes, width, height, line_bytes, colours = (header[i] for i in (0, 4, 5, 12, 19))
        pixels = data[header_bytes + 12 * colours :]
        return Image.frombytes("RGB", (width, height), pixels, "raw", "BGRX", line_bytes)


@contextmanager
def x_server(folder: Path, size: str) -> Iterator[XScreen]:
    """A screen of that size, as 1280x720."""
    ours, theirs = os.pipe()
    server = subprocess.Popen(
        [
            *(require("xvfb"), "-displayfd", str(theirs), "-screen", "0", f"{size}x24"),
            *("-nolisten", "tcp", "-noreset", "-fbdir", str(folder)),
        ],
        pass_fds=[theirs],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    try:
        with os.fdopen(ours) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb ended without opening a display"
        yield XScreen(f":{number}", folder / "Xvfb_screen0")
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def x_screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XScreen]:
    with x_server(tmp_path_factory.mktemp("framebuffer"), "1280x720") as screen:
        yield screen


@pytest.fixture
def quadrants(tmp_path: Path) -> str:
    """The path of a 1920x1080 picture: red, green above blue, yellow."""
    image = Image.new("RGB", (1920, 1080))
    for number, colour in enumerate(QUADRANTS.values()):
        image.paste(colour, (number % 2 * 960, number // 2 * 540, number % 2 * 960 + 960, number // 2 * 540 + 540))
    path = tmp_path / "quadrants.png"
    image.save(path)
    return str(path)
