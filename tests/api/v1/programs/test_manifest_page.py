"""What the page of the player protocol says of the manifest and its files: the fields, the example, the commands."""

import asyncio
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from device_agent.content.program import Program
from hub.api.v1.programs import answers
from hub.protocol.times import read_time
from tests.harness import running_hub, settings
from tests.media import picture
from tests.protocol.test_reference_page import rows, section
from tests.requirements import require

PARTS: dict[str, type[BaseModel]] = {
    "The manifest": answers.Manifest,
    "A window of the timeline, and without `from` and `to` a fallback": answers.ManifestWindow,
    "A playlist": answers.ManifestPlaylist,
    "An item of a playlist": answers.ManifestItem,
    "A layout": answers.ManifestLayout,
    "A zone of a layout": answers.ManifestZone,
    "An asset": answers.ManifestAsset,
    "An alert": answers.ManifestAlert,
}
FIELDS = section("### What is in it")
EXAMPLE: dict[str, Any] = json.loads(
    section("### A manifest, word by word").partition("```json\n")[2].partition("```")[0]
)


@pytest.mark.parametrize("title", PARTS)
def test_every_field_is_described(title: str) -> None:
    table = re.search(rf"^{re.escape(title)}:\n\n((?:\|.*\n)+)", FIELDS, re.MULTILINE)
    assert table, f"the page has no table of {title!r}"
    names = {field.alias or name for name, field in PARTS[title].model_fields.items()}
    assert {name.strip("`") for name, *_ in rows(table[1])} == names


def test_no_part_is_left_out() -> None:
    assert len(re.findall(r"^\| field ", FIELDS, re.MULTILINE)) == len(PARTS)


def test_the_example_is_a_manifest_that_the_agent_follows() -> None:
    answers.Manifest.model_validate(EXAMPLE, strict=True, extra="forbid")
    program = Program(json.dumps(EXAMPLE).encode(), ("image", "web"))
    night, hot, later = (program.at(read_time(window["from"]))[0] for window in EXAMPLE["timeline"])
    assert (night.playlist_id, hot.playlist_id, hot.layout_id, later.items) == (2, 2, None, ())


async def test_its_commands_fetch_the_manifest_and_a_file(tmp_path: Path) -> None:
    require("curl")
    whole = picture(size=(1920, 1080))
    async with running_hub(settings(tmp_path / "hub")) as hub:
        made = await hub.client.post("/api/v1/assets", files={"file": ("poster.png", whole, "image/png")})
        asset_id = made.json()["data"]["id"]
        items = [{"asset_id": asset_id, "duration": 10}]
        await hub.client.post("/api/v1/playlists", json={"name": "Standard", "is_default": True, "items": items})
        player_id, token = await hub.player()
        asked = {"player_id": player_id, "command": "play", "payload": {"asset_id": asset_id}}
        command_id = (await hub.client.post("/api/v1/commands", json=asked)).json()["command_id"]
        blocks = re.findall(r"^```sh\n(.*?)^```", section("## The manifest and its files"), re.MULTILINE | re.DOTALL)
        lines = "".join(blocks).replace("http://hub.local:8080", hub.url).replace("/assets/7", f"/assets/{asset_id}")
        lines = lines.replace("cmd_01JQH3V6Z0", command_id)
        shell = await asyncio.create_subprocess_exec(
            "sh", "-euc", lines.replace("curl", "curl -fsS"), cwd=tmp_path, env=os.environ | {"TOKEN": token},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told = (await shell.communicate())[0].decode()
    manifest, length = json.JSONDecoder().raw_decode(told)
    assert json.loads(told[length:])["assets"] == manifest["assets"]
    assert shell.returncode == 0
    asset = manifest["assets"][str(asset_id)]
    assert asset["url"].endswith(f"/api/v1/player/assets/{asset_id}")
    assert read(tmp_path / "poster.png") == whole
    assert asset["sha256"] == hashlib.sha256(whole).hexdigest()
    assert read(tmp_path / "rest") == whole[1_000:]


def read(path: Path) -> bytes:
    return path.read_bytes()
