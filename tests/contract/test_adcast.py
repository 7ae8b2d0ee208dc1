"""AdCast's calls as its document has them, from `adcast.json`, replayed in its order on one running hub:
on SQLite, and on PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest

from hub.domain.access import SCOPES
from tests.contract.replay import Call, Client, assert_answered, calls, send
from tests.media import picture
from tests.whole_hub import WholeHub, whole_hub

CALLS = calls("adcast")
BODIES = {call["id"]: call["body"] for call in CALLS}
UUID = BODIES["device.register"]["uuid"]
SETTINGS: dict[str, Any] = {"rate_limits": {"enabled": False}, "accounts": {"open_registration": True}}


class Scene:
    """A team with what the document's examples name: playlist 1, group 2 and device 5, and one more of everything for
    each call that needs its own."""

    def __init__(self, hub: WholeHub, owner: Client, stranger: Client) -> None:
        self.hub = hub
        self.owner = owner
        self.stranger = stranger
        self.nobody = hub.client()
        self.made = 0

    async def post(self, path: str, body: Any, client: Client | None = None) -> Any:
        answer = await (client or self.owner).post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def code(self, uuid: str | None = None) -> str:
        self.made += 1
        body = BODIES["device.register"] | {"uuid": uuid or f"device-{self.made}"}
        code: str = (await self.post("/api/device/register", body, self.nobody))["pairing_code"]
        return code

    async def device(self, uuid: str | None = None) -> int:
        """A device of whose state everything is known."""
        uuid = uuid or f"device-{self.made + 1}"
        body = {"pairing_code": await self.code(uuid), "name": "Lobby Display"}
        number: int = (await self.post("/api/devices/pair", body))["device"]["id"]
        await self.post("/api/device/heartbeat", BODIES["device.heartbeat"] | {"uuid": uuid}, self.nobody)
        return number

    async def content(self) -> int:
        form = {"name": "Summer Promo", "type": "image", "duration": "30"}
        answer = await self.owner.post("/api/content", data=form, files={"file": ("promo.png", picture(), "image/png")})
        number: int = answer.json()["content"]["id"]
        return number

    async def playlist(self, *content: int) -> int:
        items = [{"content_id": each, "duration": 30} for each in content]
        body = {"name": "Lobby Playlist", "transition": "fade", "items": items}
        number: int = (await self.post("/api/playlists", body))["playlist"]["id"]
        return number

    async def schedule(self) -> int:
        number: int = (await self.post("/api/schedules", BODIES["schedules.create"]))["schedule"]["id"]
        return number

    async def named(self, call: Call, status: int) -> int:
        """What the path of a call names."""
        if call["id"] == "device.download":
            return self.address if status == 302 else self.shown
        noun = call["path"].partition("{")[2].partition("_id}")[0]
        if not noun:
            return 0
        if noun == "playlist":
            return await self.playlist(await self.content())
        number: int = await getattr(self, noun)()
        return number

    async def body(self, call: Call) -> Any:
        """The document's body, but for what can be used only once."""
        if call["id"] == "devices.pair":
            return call["body"] | {"pairing_code": (await self.code()).lower()}
        if call["id"] == "content.create":
            return call["body"] | {"type": "image"}
        if call["id"] == "device.register":  # that one is paired by now, and has no code any more
            return call["body"] | {"uuid": "another-device"}
        return call["body"]

    async def logged_in(self) -> Client:
        return self.hub.client((await self.post("/api/auth/login", BODIES["auth.login"], self.nobody))["token"])

    async def lacking(self, call: Call) -> Client:
        """Somebody of the team who lacks the right, or a player, who has none at all."""
        if call["scope"]:
            return await self.hub.as_owner(*sorted(SCOPES.keys() - {call["scope"]}))
        return self.hub.client(self.token)

    async def set(self) -> None:
        """The device of the document shows one thing, has deleted another, and fetched what it needs."""
        old, self.shown = await self.content(), await self.content()
        playlist = await self.playlist(old)
        for number in "12":
            await self.post("/api/v1/player-groups", {"name": f"Group {number}"})
        while await self.device() < 5:
            pass
        await self.schedule()
        page = {"name": "News", "type": "web", "source_url": "https://example.com/", "duration": 10}
        self.address = (await self.post("/api/v1/assets", page))["data"]["id"]
        zones = [{"playlist_id": playlist}, {"asset_id": self.address}]
        layout = (await self.post("/api/v1/layouts", {"name": "Lobby", "zones": zones}))["data"]["id"]
        device = await self.device(UUID)
        (await self.owner.patch(f"/api/v1/players/{device}", json={"layout_id": layout})).raise_for_status()
        await self.fetch(old)
        items = [{"content_id": self.shown}]
        (await self.owner.put(f"/api/playlists/{playlist}", json={"items": items})).raise_for_status()
        await self.fetch(self.shown)

    async def agent(self) -> None:
        player = (await self.post("/api/v1/players", {"name": "Agent"}, self.stranger))["data"]["id"]
        self.token = (await self.post(f"/api/v1/players/{player}/token", {}, self.stranger))["token"]

    async def fetch(self, content: int) -> None:
        answer = await self.nobody.get(f"/api/device/content/{content}/download", params={"uuid": UUID})
        assert answer.status_code == 200, answer.text


async def test_adcasts_document_is_kept(tmp_path: Path, database_url: str, subtests: pytest.Subtests) -> None:
    async with whole_hub(tmp_path, database_url, **SETTINGS) as hub, hub.served():
        scene = Scene(hub, await hub.as_owner(), await hub.as_stranger())
        await scene.set()
        await scene.agent()
        for call in CALLS:
            for documented in call["answers"]:
                with subtests.test(f"{call['id']} {documented['status']} {documented['when']}"):
                    await assert_kept(scene, call, documented)


async def assert_kept(scene: Scene, call: Call, documented: dict[str, Any]) -> None:
    status = documented["status"]
    named = await scene.named(call, status)
    body = documented["sends"] if "sends" in documented else await scene.body(call)
    file = picture() if call["form"] and "sends" not in documented else None
    by_uuid = call["path"].startswith("/api/device/")
    match documented["when"]:
        case "no valid credential":
            answer = await send(scene.nobody, call, named, body, file=file)
        case "insufficient permissions":
            answer = await send(await scene.lacking(call), call, named, body, file=file)
        case "unknown or another team's" if by_uuid and body:
            answer = await send(scene.nobody, call, named, body | {"uuid": "somebody else"})
        case "unknown or another team's" if by_uuid and "{" not in call["path"]:
            answer = await send(scene.nobody, call, named, body, uuid="somebody else")
        case "unknown or another team's" if by_uuid:
            answer = await send(scene.nobody, call, named + 1000, body)
        case "unknown or another team's":
            assert_answered(await send(scene.owner, call, named + 1000, body, file=file), documented)
            answer = await send(scene.stranger, call, named, body, file=file)
        case _ if call["id"] in ("auth.logout", "auth.user"):
            answer = await send(await scene.logged_in(), call, named, body)
        case _:
            caller = scene.nobody if by_uuid else scene.owner
            answer = await send(caller, call, named, body, file=file)
    assert_answered(answer, documented)
