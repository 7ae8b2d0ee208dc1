"""Spot's calls as its document has them, from `spot.json`, replayed in its order on one running hub:
on SQLite, and on PostgreSQL."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hub.domain.access import SCOPES
from hub.domain.analytics import Showing
from tests.contract.replay import Call, Client, assert_answered, calls
from tests.media import picture
from tests.whole_hub import WholeHub, whole_hub

CALLS = calls("spot")
JANUARY = 1_767_700_800_000  # 2026-01-06T12:00:00Z, within the document's examples


class Scene:
    """A team with what the document's examples name, player 1 and group 1 and so on, and one more of everything for
    each call that needs its own."""

    def __init__(self, hub: WholeHub, owner: Client, stranger: Client) -> None:
        self.hub = hub
        self.owner = owner
        self.stranger = stranger

    async def post(self, path: str, body: Any) -> int:
        answer = await self.owner.post(f"/api/v1/{path}", json=body)
        assert answer.is_success, answer.text
        number: int = answer.json()["data"]["id"]
        return number

    async def player(self) -> int:
        """The first one: in a group, with a layout, its device there, and a picture of it taken."""
        return 1

    async def new_player(self) -> None:
        player = await self.post("players", {"name": "Lobby Display"})
        await self.hub.connect(player)
        await self.hub.shoot(player)

    async def group(self) -> int:
        return await self.post("player-groups", {"name": "Lobby", "player_ids": [1]})

    async def asset(self) -> int:
        file = ("promo-banner.jpg", picture("JPEG"), "image/jpeg")
        answer = await self.owner.post("/api/v1/assets", files={"file": file}, data={"folder_id": "1"})
        assert answer.is_success, answer.text
        number: int = answer.json()["data"]["id"]
        return number

    async def layout(self) -> int:
        return await self.post("layouts", {"name": "Main"})

    async def playlist(self) -> int:
        return await self.post("playlists", {"name": "Summer Campaign", "description": "Q3 promotions"})

    async def webhook(self) -> int:
        events = ["player.online", "player.offline"]
        return await self.post("webhooks", {"url": "https://example.com/webhooks/spot", "events": events})

    async def set(self) -> None:
        await self.post("folders", {"name": "Promo"})
        campaign = await self.post("campaigns", {"name": "Summer", "price": "0.01"})
        for make in (
            self.new_player,
            self.new_player,
            self.group,
            self.asset,
            self.layout,
            self.playlist,
            self.webhook,
        ):
            await make()
        (await self.owner.patch("/api/v1/layouts/1/assign", json={"player_ids": [1]})).raise_for_status()
        shown = [Showing("one", 1, 1, 1, None, campaign, JANUARY, 10_000, True)]
        await self.hub.services.analytics.record(1, self.hub.owner.team_id, shown)

    async def named(self, call: Call) -> int:
        noun = call["path"].partition("{")[2].partition("_id}")[0]
        return int(await getattr(self, noun)()) if noun else 0


def path_of(call: Call, named: int) -> str:
    return re.sub(r"\{[a-z_]+\}", str(named), call["path"])


async def test_spots_document_is_kept(tmp_path: Path, database_url: str, subtests: pytest.Subtests) -> None:
    kept = {"plays_retention_days": 36_500, "sums_retention_days": 36_500}
    settings: dict[str, Any] = {"rate_limits": {"enabled": False}, "analytics": kept}
    async with whole_hub(tmp_path, database_url, **settings) as hub, hub.served():
        scene = Scene(hub, await hub.as_owner(), await hub.as_stranger())
        await scene.set()
        for call in CALLS:
            for documented in call["answers"]:
                with subtests.test(f"{call['id']} {documented['status']} {documented['when']}"):
                    await assert_kept(scene, call, documented)


async def assert_kept(scene: Scene, call: Call, documented: dict[str, Any]) -> None:
    named = await scene.named(call)

    async def send(client: Client, number: int = named) -> Any:
        wrong = documented["when"] == "invalid body"
        body = {} if wrong else call["body"]
        return await client.request(
            call["method"],
            path_of(call, number),
            params={} if wrong else call["query"],
            headers=call["headers"],
            content=None if body is None else json.dumps(body),
        )

    match documented["when"]:
        case "no valid bearer":
            answer = await send(scene.hub.client())
        case "scope missing":
            answer = await send(await scene.hub.as_owner(*sorted(SCOPES.keys() - {call["scope"]})))
        case "unknown id or other team":
            assert_answered(await send(scene.owner, named + 1_000), documented)
            answer = await send(scene.stranger)
        case _:
            answer = await send(scene.owner)
    assert_answered(answer, documented)


async def test_what_a_body_asks_counts_where_the_query_says_nothing(owner: Client) -> None:
    query = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-31T23:59:59Z"}
    body = {"from": "2026-05-01T18:20:08", "to": "2026-05-24", "granularity": "week"}
    answer = await owner.request("GET", "/api/v1/analytics/playback", params=query, json=body)
    periods = [row["period"] for row in answer.json()["data"]]
    assert (periods[0][:4], periods[-1][:7]) == ("2025", "2026-01")  # the week of January 1 begins in December
    assert answer.json()["meta"]["granularity"] == "week"
    answer = await owner.request("GET", "/api/v1/analytics/playback", json=body)
    assert answer.json()["data"][-1]["period"].startswith("2026-05")


async def test_a_browsers_preflight_passes(hub: WholeHub) -> None:
    headers = {
        "origin": "https://dashboard.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, accept",
    }
    for call in CALLS:
        answer = await hub.client().options(path_of(call, 16), headers=headers)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert call["method"] in answer.headers["access-control-allow-methods"]


async def test_the_slashes_that_spots_samples_escape_are_read_as_slashes(owner: Client) -> None:
    body = {"url": "https:\\/\\/example.com\\/webhooks\\/spot", "events": ["player.online"]}
    answer = await owner.post("/api/v1/webhooks", json=body)
    assert answer.status_code == 201
    assert answer.json()["data"]["url"] == "https://example.com/webhooks/spot"
