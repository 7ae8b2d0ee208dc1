"""The first thing a newcomer runs, to its end, with a real mpv."""

import asyncio
import re
import signal
from pathlib import Path

import pytest

from tests.end_to_end.programs import Programs
from tests.requirements import require

TOUR = (
    r"^hub +listens on http://127\.0\.0\.1:\d+, on an empty database$",
    r"^players +three agents, each driving a mpv player without a window: no DISPLAY is set$",
    r"^command +identify for Lobby: succeeded, it shows: ",
    r"^command +set_volume for Cafeteria: succeeded, read back: 35 %$",
    r"^command +take_screenshot for Window: succeeded, taken from mpv$",
    r"^picture +\d+ x \d+, \d+ bytes",
    r"^killed +the agent of Cafeteria",
    r"^offline +Cafeteria ",
    r"^online +Cafeteria ",
)

PAIRING = (r"^paired +{name}, by the code \S{{6}} that its agent showed$", r"^online +{name} ")


@pytest.mark.timeout(180)
async def test_the_demo_shows_everything_and_its_commands_work(run: Programs, tmp_path: Path) -> None:
    require("mpv")
    require("curl")
    own = tmp_path / "tmp"
    own.mkdir()
    demo = await run.hub("demo", TMPDIR=str(own), DISPLAY="", WAYLAND_DISPLAY="")
    await demo.line("The hub is yours at")
    told = iter(demo.lines)
    missing = [pattern for pattern in TOUR if not any(re.search(pattern, line) for line in told)]  # in this order
    assert not missing, demo.text()
    for name in ("Lobby", "Cafeteria", "Window"):
        told = iter(demo.lines)
        assert all(any(re.search(pattern.format(name=name), line) for line in told) for pattern in PAIRING), demo.text()
    for expected in ('"name":"Window"', '"url":', '"status":"succeeded"'):
        command = (await demo.line(r"^  (curl .*)"))[1]
        assert expected in await output(f"{command} --silent --show-error --fail"), command
    command = (await demo.line(r"^  (\S+hub watch .*)"))[1]
    assert "Usage" in await output(f"{command} --help")
    demo.process.send_signal(signal.SIGINT)
    assert await demo.end() == 0, demo.text()
    assert list(own.glob("signalbox-demo-*")) == []


async def test_an_interrupted_demo_leaves_nothing_behind_and_touches_no_other_hub(
    run: Programs, tmp_path: Path
) -> None:
    own = tmp_path / "tmp"
    own.mkdir()
    theirs = {"HUB_DATABASE__URL": f"sqlite:///{tmp_path}/theirs.db", "HUB_BLOBS__URL": (tmp_path / "files").as_uri()}
    demo = await run.hub("demo", "--once", TMPDIR=str(own), PATH="", **theirs)  # simulated players
    await demo.line("^paired ")
    demo.process.send_signal(signal.SIGINT)
    assert await demo.end() == 130, demo.text()
    assert demo.lines[-1] == "Stopped."
    assert [path.name for path in own.parent.glob("*")] == ["tmp"]  # whatever the shell is set for
    assert list(own.glob("signalbox-demo-*")) == []


async def output(command: str) -> str:
    process = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, command
    return out.decode()
