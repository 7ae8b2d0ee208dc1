"""The real mpv where there is no screen, where nobody wants one, and where it comes later."""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from device_agent.players.base import Banner, PlayerError
from device_agent.players.mpv import MpvPlayer
from tests.device_agent.players.conftest import QUADRANTS, XScreen
from tests.requirements import require
from tests.waiting import PATIENCE_S

BANNER = Banner("extreme", "Fire alarm", "Leave the building.")
NOWHERE = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}


def mpv(environment: Mapping[str, str], args: Sequence[str] = ()) -> MpvPlayer:
    return MpvPlayer("Lobby", binary=require("mpv"), environment=environment, args=args)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("environment", "args", "why"),
    [
        ({}, (), "DISPLAY is not set, nor WAYLAND_DISPLAY, and no DRM device can be used"),
        ({"DISPLAY": ":99999"}, (), "DISPLAY=:99999 cannot be opened"),
        ({"WAYLAND_DISPLAY": "none"}, (), "WAYLAND_DISPLAY=none cannot be opened"),
        ({"DISPLAY": ":99999"}, ("--vo=x11",), "--vo=x11 cannot be opened"),
    ],
)
async def test_without_a_screen_it_says_so_and_claims_nothing(
    environment: dict[str, str], args: tuple[str, ...], why: str, quadrants: str, caplog: pytest.LogCaptureFixture
) -> None:
    player = mpv(NOWHERE | environment, args)
    try:
        await player.start()
        assert warnings(caplog) == [f"mpv has no screen: {why}; nothing is to be seen"]
        await player.show_banner(None)
        for _ in range(2):
            for call in (player.play(quadrants), player.show_text("Lobby", 60), player.show_banner(BANNER)):
                with pytest.raises(PlayerError) as refused:
                    await call
                assert (refused.value.code, refused.value.message) == ("no_screen", f"mpv has no screen: {why}.")
            assert await player.current() is None
            assert (await player.screenshot()).source == "mpv"
            assert await player.set_volume(30) == 30
            await player.restart()
    finally:
        await player.stop()


async def test_where_nobody_wants_a_screen_none_is_missed(quadrants: str, caplog: pytest.LogCaptureFixture) -> None:
    player = mpv(NOWHERE, ("--vo=null",))
    try:
        await player.start()
        assert await player.play(quadrants) == quadrants
        await player.show_text("Lobby", 60)
        assert await player.current() == quadrants
        assert warnings(caplog) == []
    finally:
        await player.stop()


class Heard(logging.Handler):
    """What is logged, to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(record.getMessage())


async def test_a_screen_that_comes_later_is_used(
    quadrants: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_agent.players.mpv.CHECK_S", 0.05)
    heard = Heard()
    logger = logging.getLogger("device_agent.players.mpv")
    logger.addHandler(heard)
    screen = XScreen(f":{1000 + os.getpid()}", tmp_path / "Xvfb_screen0")  # a number that no other server has
    player = mpv(NOWHERE | {"DISPLAY": screen.display})
    server: asyncio.subprocess.Process | None = None
    try:
        await player.start()
        assert heard.lines.get_nowait().startswith(f"mpv has no screen: DISPLAY={screen.display} ")
        with pytest.raises(PlayerError, match="mpv has no screen"):
            await player.play(quadrants)
        server = await asyncio.create_subprocess_exec(
            *(require("xvfb"), screen.display, "-screen", "0", "1280x720x24"),
            *("-nolisten", "tcp", "-noreset", "-fbdir", str(tmp_path)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        # The next line: not one for each look.
        assert await asyncio.wait_for(heard.lines.get(), PATIENCE_S) == "mpv has a screen now"
        assert await player.play(quadrants) == quadrants
        await asyncio.wait_for(until_red(screen), PATIENCE_S)
    finally:
        logger.removeHandler(heard)
        await player.stop()
        if server is not None:
            server.terminate()
            await server.wait()


async def until_red(screen: XScreen) -> None:
    """X shows a picture a frame or two after the call."""
    while True:
        pixel = screen.look().getpixel((100, 100))
        assert isinstance(pixel, tuple)
        if all(abs(a - b) <= 12 for a, b in zip(pixel, QUADRANTS["red"], strict=True)):
            return
        await asyncio.sleep(0.02)
