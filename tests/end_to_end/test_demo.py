"""The first thing a newcomer runs, to its end, with a real mpv."""

import re
from pathlib import Path

import pytest

from tests.end_to_end.programs import Programs
from tests.requirements import require

TOUR = (
    r"^hub +listens on http://127\.0\.0\.1:\d+, on an empty database$",
    r"^players +three agents, each driving a mpv player$",
    r"^paired +Lobby, by the code \S{6} that its agent showed$",
    r"^paired +Window, by the code \S{6} that its agent showed$",
    r"^online +Cafeteria ",
    r"^command +identify for Lobby: succeeded, it shows: ",
    r"^command +set_volume for Cafeteria: succeeded, read back: 35 %$",
    r"^command +take_screenshot for Window: succeeded, taken from mpv$",
    r"^picture +1280 x 720, \d+ bytes",
    r"^killed +the agent of Cafeteria",
    r"^offline +Cafeteria ",
    r"^online +Cafeteria ",
)


@pytest.mark.timeout(180)
async def test_the_demo_shows_everything_and_leaves_nothing_behind(run: Programs, tmp_path: Path) -> None:
    require("mpv")
    own = tmp_path / "tmp"
    own.mkdir()
    demo = await run.hub("demo", "--once", TMPDIR=str(own))
    assert await demo.end() == 0, demo.text()
    told = iter(demo.lines)
    missing = [pattern for pattern in TOUR if not any(re.search(pattern, line) for line in told)]  # in this order
    assert not missing, demo.text()
    assert list(own.glob("signalbox-demo-*")) == []
