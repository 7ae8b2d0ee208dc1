"""Real programs that some tests need, and foreign packages that they install for themselves. A missing one skips its
tests, unless HUB_TEST_REQUIRE names it (a list with commas, or `all`): then the tests fail, so that a build cannot be
green by skipping."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

PROGRAMS: dict[str, tuple[str, ...]] = {
    "mpv": ("mpv",),
    "xvfb": ("Xvfb",),
    "postgres": ("postgres",),
    "ffmpeg": ("ffmpeg",),
    "nats": ("nats-server",),
    "curl": ("curl",),
    "node": ("node",),
    "php": ("php",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
}


def require(program: str) -> str:
    """The path of `program` (a key of PROGRAMS); skips or fails the calling test when it is not installed."""
    path = _find(program)
    if path is None:
        missing(program, f"{program} is not installed (looked for {', '.join(PROGRAMS[program])})")
    return path


def missing(name: str, reason: str) -> NoReturn:
    """Skips or fails the calling test, which needs `name`."""
    required = {one.strip() for one in os.environ.get("HUB_TEST_REQUIRE", "").split(",")}
    if required & {"all", name}:
        pytest.fail(reason + ", and HUB_TEST_REQUIRE asks for it")
    pytest.skip(reason)


def _find(program: str) -> str | None:
    folders = [os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    if program == "postgres":  # Debian keeps the server's own programs off the path
        folders += [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    for name in PROGRAMS[program]:
        if path := shutil.which(name, path=os.pathsep.join(folders)):
            return path
    return None
