"""Spot's calls as its document has them, from `spot.json`: for each call its answers, with what leads to them.

`match` exact: this body and no other. `partial`: these keys with values of these types, in an answer that may hold
more; null in the document stands for a value that may be missing. Messages of errors hold to the letter.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hub.domain.access import SCOPES
from tests.contract.replay import assert_holds
from tests.media import picture
from tests.whole_hub import WholeHub

CALLS = json.loads(Path(__file__).with_name("spot.json").read_text())
CASES = [pytest.param(call, id=call["id"]) for call in CALLS]


async def thing(hub: WholeHub, owner: httpx2.AsyncClient, call: dict[str, Any]) -> int:
    """What the call's path names, made so that the call succeeds; what its body names has the numbers of the first."""
    player: int = (await owner.post("/api/v1/players", json={"name": "Lobby Display"})).json()["data"]["id"]
    await hub.connect(player)
    await hub.shoot(player)
    group = await owner.post("/api/v1/player-groups", json={"name": "Lobby", "player_ids": [player]})
    webhook = {"url": "https://example.com/webhooks/spot", "events": ["player.online", "player.offline"]}
    made = await owner.post("/api/v1/webhooks", json=webhook)
    if call["id"].startswith(("layouts.", "playlists.")):
        return await content(owner, call)
    named: int = player
    if "{group_id}" in call["path"]:
        named = group.json()["data"]["id"]
    elif "{webhook_id}" in call["path"]:
        named = made.json()["data"]["id"]
    elif "/assets" in call["path"]:
        folder = (await owner.post("/api/v1/folders", json={"name": "Promo"})).json()["data"]["id"]
        file = ("promo-banner.jpg", picture("JPEG"), "image/jpeg")
        asset = await owner.post("/api/v1/assets", files={"file": file}, data={"folder_id": str(folder)})
        named = asset.json()["data"]["id"]
    return named


async def content(owner: httpx2.AsyncClient, call: dict[str, Any]) -> int:
    page = {"name": "Promo", "type": "web", "source_url": "https://example.com/promo"}
    for path, body in (("assets", page), ("players", {"name": "Entrance"})):
        (await owner.post(f"/api/v1/{path}", json=body)).raise_for_status()
    made = await owner.post(
        f"/api/v1/{call['id'].partition('.')[0]}", json={"name": "Main", "description": "All of it"}
    )
    number: int = made.json()["data"]["id"]
    return number


def path_of(call: dict[str, Any], number: int) -> str:
    return re.sub(r"\{[a-z_]+\}", str(number), call["path"])


async def send(client: httpx2.AsyncClient, call: dict[str, Any], number: int, body: Any) -> httpx2.Response:
    path = path_of(call, number)
    content = None if body is None else json.dumps(body)
    return await client.request(call["method"], path, params=call["query"], headers=call["headers"], content=content)


@pytest.mark.parametrize("call", CASES)
async def test_spots_document_is_kept(
    hub: WholeHub, owner: httpx2.AsyncClient, call: dict[str, Any], subtests: pytest.Subtests
) -> None:
    for documented in call["answers"]:
        with subtests.test(f"{documented['status']} {documented['when']}"):
            await assert_kept(hub, owner, call, documented)


async def assert_kept(
    hub: WholeHub, owner: httpx2.AsyncClient, call: dict[str, Any], documented: dict[str, Any]
) -> None:
    number = await thing(hub, owner, call)
    match documented["when"]:
        case "no valid bearer":
            answer = await send(hub.client(), call, number, call["body"])
        case "scope missing":
            rest = sorted(SCOPES.keys() - {call["scope"]})
            answer = await send(await hub.as_owner(*rest), call, number, call["body"])
        case "unknown id or other team":
            stranger = await hub.as_stranger()
            assert (await send(owner, call, number + 1000, call["body"])).status_code == documented["status"]
            answer = await send(stranger, call, number, call["body"])
        case "invalid body":
            answer = await send(owner, call, number, {})
        case _:
            answer = await send(owner, call, number, call["body"])
    assert answer.status_code == documented["status"]
    if documented["match"] == "exact":
        assert answer.json() == documented["body"]
    else:
        assert_holds(documented["body"], answer.json())
    headers = documented.get("headers", CALLS[0]["answers"][1]["headers"])
    assert {name: answer.headers.get(name) for name in headers} == headers


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


async def test_the_slashes_that_spots_samples_escape_are_read_as_slashes(owner: httpx2.AsyncClient) -> None:
    body = {"url": "https:\\/\\/example.com\\/webhooks\\/spot", "events": ["player.online"]}
    answer = await owner.post("/api/v1/webhooks", json=body)
    assert answer.status_code == 201
    assert answer.json()["data"]["url"] == "https://example.com/webhooks/spot"
