"""Clients that common generators make of /openapi.json, in Python and in TypeScript, at work on a running hub."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.api.docs import manual
from hub.app import openapi_document
from tests.harness import Hub, running_hub, settings
from tests.requirements import missing, require

GENERATOR = ("openapi-python-client==0.29.1", "ruamel.yaml==0.19.1", "typer==0.27.3")
"""Kept apart, since its typer is older than ours; all else that it needs is in the test environment."""
CONFIG = """\
post_hooks: []
content_type_overrides:
  application/cap+xml: application/octet-stream
  application/xml: application/octet-stream
  text/xml: application/octet-stream
"""
HERE = Path(__file__).parent
SEEN = {
    "playlist": ["Morning", [[True, 10]]],
    "schedule": [True, "07:00", "player"],
    "command": ["succeeded", {"volume": 40}],
}


def documented(generator: str) -> list[str]:
    """The options that the manual gives to the generator."""
    found = re.search(rf"^{generator} (.*)$", manual.source("calling"), re.MULTILINE)
    assert found, f"the manual has no line with {generator}"
    return shlex.split(found[1])


async def run(folder: Path, *command: str | Path, **environment: str) -> str:
    """What the program prints in this folder. Fails with what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out + err).decode()[-4_000:]
    return out.decode()


async def seen(hub: Hub, folder: Path, *command: str | Path, **environment: str) -> dict[str, Any]:
    """What a script saw that worked on this hub, beside a player that does as it is told."""
    player_id, token = await hub.player()
    async with hub.connected(token) as player, asyncio.TaskGroup() as both:
        script = both.create_task(run(folder, *command, hub.url, hub.key, str(player_id), **environment))
        told = both.create_task(player.until("command"))
        await asyncio.wait((script, told), return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            await player.send(type="ack", id=told.result()["id"])
            await player.result(told.result()["id"], **told.result()["payload"])
    found: dict[str, Any] = json.loads(script.result())
    return found


def written(client: Path) -> set[str]:
    """The calls of a Python client, each of which is a module."""
    return {path.stem for path in client.glob("api/*/*.py")} - {"__init__"}


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generator of Python clients, made once a session by the package installer."""
    folder = tmp_path_factory.mktemp("generator")
    quick = ["--quiet", "--no-compile", "--disable-pip-version-check", "--no-deps"]
    install = [sys.executable, "-m", "pip", "install", *quick, "--target", str(folder), *GENERATOR]
    done = subprocess.run(install, capture_output=True, text=True, timeout=110)
    if done.returncode:
        missing("openapi-python-client", f"{GENERATOR[0]} cannot be installed: {done.stderr.strip()[-200:]}")
    return folder


async def test_a_generated_python_client_has_every_call_and_works(generator: Path, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(orjson.dumps(openapi_document()))
    (tmp_path / "config.yml").write_text(CONFIG)
    generate = (sys.executable, "-m", "openapi_python_client", *documented("openapi-python-client"))
    await run(tmp_path, *generate, "--config", "config.yml", "--fail-on-warning", PYTHONPATH=str(generator))
    calls = {call["operationId"] for path in openapi_document()["paths"].values() for call in path.values()}
    assert written(tmp_path / "signalbox") == calls
    async with running_hub(settings(tmp_path / "hub")) as hub:
        assert await seen(hub, tmp_path, sys.executable, HERE / "script.py", PYTHONPATH=str(tmp_path)) == SEEN


async def test_a_generated_typescript_client_is_sound_and_works(tmp_path: Path) -> None:
    node = require("node")
    packages = HERE / "typescript" / "node_modules"
    if not packages.exists():
        missing("openapi-typescript", "openapi-typescript is not installed: run npm ci in tests/clients/typescript")
    for name in ("package.json", "script.ts"):
        shutil.copy(HERE / "typescript" / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "openapi.json").write_bytes(orjson.dumps(openapi_document()))
    await run(tmp_path, node, packages / "openapi-typescript" / "bin" / "cli.js", *documented("npx openapi-typescript"))
    strict = ("--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022")
    await run(tmp_path, node, packages / "typescript" / "bin" / "tsc", *strict, "script.ts")
    async with running_hub(settings(tmp_path / "hub")) as hub:
        assert await seen(hub, tmp_path, node, "script.js") == SEEN
