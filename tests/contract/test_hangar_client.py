"""The Hangar API's own Python client against a running hub. It pins old libraries, so it lives in an environment of its
own, made once a session by the package installer as it is configured here."""

import asyncio
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.harness import running_hub, settings
from tests.requirements import missing

CLIENT = "hangar-api==2023.12"
SCRIPT = Path(__file__).with_name("hangar_script.py")


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the client."""
    folder = tmp_path_factory.mktemp("hangar_client")
    venv.create(folder)
    python = folder / "bin" / "python"
    quick = ["--quiet", "--no-compile", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", *quick, CLIENT]
    done = subprocess.run(install, capture_output=True, text=True, timeout=110)
    if done.returncode:
        missing("hangar-api", f"{CLIENT} cannot be installed: {done.stderr.strip()[-200:]}")
    return python


async def run(python: Path, host: str, key: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        python, SCRIPT, host, key, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen


async def test_the_client_does_all_that_it_can_here(interpreter: Path, tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        for host in (hub.url, hub.url + "/"):
            seen = await run(interpreter, host, hub.key)
            assert seen["expires_in"] == 600_000
            assert {"view_public_info", "edit_api_keys", "view_stats"} <= set(seen["permissions"])
            assert seen["bits"] & 0b111 == 0b111
            assert (seen["has_all"], seen["has_any"]) == (True, False)
            assert len(seen["made"]) == 73
            assert "from the client" in seen["listed"]
            assert seen["users"] == seen["staff"] == ["owner"]
            assert seen["user"] == "owner"
            assert seen["anonymous"] == ["view_public_info"]
            assert seen["token of a deleted key"] == "UnauthorizedException 401"
            assert seen["garbage"] == seen["altered"] == "UnauthorizedException 401"
            assert seen["deleted key"] == "UnauthorizedException 401"
            assert seen["badly formatted key"] == "BadRequestException 400"
