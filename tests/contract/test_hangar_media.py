"""Hangar.Media's calls as its document has them, from `hangar_media.json`, replayed in its order on one running hub:
on SQLite, and on PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest

from hub.domain.access import SCOPES
from tests.contract.replay import Call, Client, assert_answered, calls, send
from tests.media import picture
from tests.whole_hub import WholeHub, whole_hub

CALLS = calls("hangar_media")
BODIES = {call["id"]: call["body"] for call in CALLS}


class Scene:
    """A team with one of everything, and one more for each call that needs its own."""

    def __init__(self, hub: WholeHub, owner: Client, stranger: Client) -> None:
        self.hub = hub
        self.owner = owner
        self.stranger = stranger

    async def post(self, path: str, body: Any) -> Any:
        answer = await self.owner.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def screen(self) -> str:
        """A screen whose device is there."""
        player = await self.post("/api/v1/players", {"name": "Lobby Display"})
        await self.hub.connect(player["id"])
        await self.hub.services.presence.flush()
        return str(player["screen_id"])

    async def content(self) -> str:
        files = {"file": ("promo.png", picture(), "image/png")}
        answer = await self.owner.post("/v1/content", data={"name": "Summer Promo"}, files=files)
        return str(answer.json()["data"]["id"])

    async def schedule(self) -> str:
        made = await self.post("/v1/schedules", BODIES["schedules.create"])
        await self.post(f"/v1/schedules/{made['id']}/assign", {"screen_ids": [self.named_screen]})
        return str(made["id"])

    async def set(self) -> None:
        await self.post("/api/v1/playlists", {"name": "Lobby"})
        self.named_screen = await self.screen()
        for make in (self.screen, self.content, self.schedule):
            await make()

    async def named(self, call: Call) -> str:
        noun = call["path"].partition("{")[2].partition("_id}")[0]
        return str(await getattr(self, noun)()) if noun else ""


async def test_hangar_medias_document_is_kept(tmp_path: Path, database_url: str, subtests: pytest.Subtests) -> None:
    async with whole_hub(tmp_path, database_url, rate_limits={"enabled": False}) as hub, hub.served():
        scene = Scene(hub, await hub.as_owner(), await hub.as_stranger())
        await scene.set()
        for call in CALLS:
            for documented in call["answers"]:
                with subtests.test(f"{call['id']} {documented['status']} {documented['when']}"):
                    await assert_kept(scene, call, documented)


async def assert_kept(scene: Scene, call: Call, documented: dict[str, Any]) -> None:
    named = await scene.named(call)
    body = documented["sends"] if "sends" in documented else call["body"]
    if call["id"] == "schedules.assign" and "sends" not in documented:
        body = {"screen_ids": [scene.named_screen]}
    file = None
    if call["form"] and "sends" not in documented:
        body, file = body | {"type": "image"}, picture()
    match documented["when"]:
        case "no valid credential":
            answer = await send(scene.hub.client(), call, named, body, file=file)
        case "insufficient permissions":
            teammate = await scene.hub.as_owner(*sorted(SCOPES.keys() - {call["scope"]}))
            answer = await send(teammate, call, named, body, file=file)
        case "unknown or another team's":
            nowhere = await send(scene.owner, call, named[:4] + "0" * 13, body, file=file)
            assert_answered(nowhere, documented)
            answer = await send(scene.stranger, call, named, body, file=file)
        case _:
            answer = await send(scene.owner, call, named, body, file=file)
    assert_answered(answer, documented)
