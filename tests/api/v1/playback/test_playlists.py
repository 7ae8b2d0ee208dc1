import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from PIL import Image

from hub.domain.playback import MAX_ITEMS
from hub.store.tables import Team
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
Make = Callable[..., Awaitable[dict[str, Any]]]


async def said(owner: Client, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """What the event log says of such things, oldest first."""
    events = (await owner.get("/api/v1/events", params={"limit": 1000})).json()["data"]
    return [(event["event"], event["data"]) for event in events if event["event"].partition(".")[0] in kinds]


async def address(make: Make, name: str) -> int:
    asset = await make("assets", name=name, type="web", source_url=f"https://example.com/{name}", duration_s=20)
    number: int = asset["id"]
    return number


async def test_a_playlist_is_made_filled_found_changed_and_deleted(owner: Client, make: Make) -> None:
    playlist = await make("playlists", name=" Summer Campaign ", description="Q3 promotions")
    assert playlist == playlist | {
        "name": "Summer Campaign",
        "description": "Q3 promotions",
        "transition": "none",
        "is_default": False,
        "items": [],
        "items_count": 0,
        "version": 1,
    }
    path = f"/api/v1/playlists/{playlist['id']}"
    first, second = await address(make, "one"), await address(make, "two")
    campaign = (await make("campaigns", name="Cola"))["id"]

    wanted = [{"asset_id": second, "duration": 10, "campaign_id": campaign}, {"asset_id": first}, {"asset_id": second}]
    filled = await owner.patch(path + "/items", json={"items": wanted})
    detail = filled.json()["data"]
    assert [(item["order"], item["asset_id"], item["duration"]) for item in detail["items"]] == [
        (1, second, 10),
        (2, first, None),
        (3, second, None),
    ]
    assert [item["campaign_id"] for item in detail["items"]] == [campaign, None, None]
    assert detail["items"][1]["asset"] == (await owner.get(f"/api/v1/assets/{first}")).json()["data"]
    assert filled.headers["etag"] == '"v2"'
    assert (await owner.get(path)).json()["data"] == detail

    [listed] = (await owner.get("/api/v1/playlists")).json()["data"]
    assert listed == {name: value for name, value in detail.items() if name != "items"}
    assert listed["items_count"] == 3

    late = await owner.patch(path, json={"name": "Late"}, headers={"if-match": '"v1"'})
    assert late.status_code == 412
    changed = await owner.patch(path, json={"transition": "fade", "description": None}, headers={"if-match": '"v2"'})
    assert changed.json()["data"] == changed.json()["data"] | {"transition": "fade", "description": None, "version": 3}
    assert len((await owner.put(path, json={"name": "Autumn"})).json()["data"]["items"]) == 3

    cleared = await owner.patch(path + "/items", json={"items": []})
    assert cleared.json()["data"]["items"] == []

    assert (await owner.delete(path)).json() == {"message": "Playlist deleted."}
    assert (await owner.get(path)).status_code == 404
    assert (await owner.delete(path)).status_code == 404
    assert [(kind, data.get("changed")) for kind, data in await said(owner, "playlist")] == [
        ("playlist.created", None),
        ("playlist.updated", ["items"]),
        ("playlist.updated", ["description", "transition"]),
        ("playlist.updated", ["name"]),
        ("playlist.updated", ["items"]),
        ("playlist.deleted", None),
    ]


async def test_items_that_cannot_be_leave_the_list_as_it_was(
    hub: WholeHub, owner: Client, stranger: Client, make: Make
) -> None:
    asset = await address(make, "one")
    playlist = await make("playlists", name="News", items=[{"asset_id": asset, "duration": 5}])
    path = f"/api/v1/playlists/{playlist['id']}"
    foreign = (
        await stranger.post("/api/v1/assets", json={"name": "x", "type": "web", "source_url": "https://example.com"})
    ).json()["data"]["id"]
    foreign_campaign = (await stranger.post("/api/v1/campaigns", json={"name": "x"})).json()["data"]["id"]
    good = {"asset_id": asset}

    for items, field in (
        ([good, {"asset_id": foreign}], "items.1.asset_id"),
        ([good, {"asset_id": 99_999}], "items.1.asset_id"),
        ([{"asset_key": "no such key"}], "items.0.asset_key"),
        ([good | {"campaign_id": foreign_campaign}], "items.0.campaign_id"),
        ([{"duration": 5}], "items.0"),
        ([good | {"duration": 0}], "items.0.duration"),
        ([good | {"duration": 86_401}], "items.0.duration"),
        ([good | {"duration": "5"}], "items.0.duration"),
        ([asset], "items.0"),
        (["1"], "items.0"),
        ([good] * (MAX_ITEMS + 1), "items"),
        ({"asset_id": asset}, "items"),
    ):
        answer = await owner.patch(path + "/items", json={"items": items})
        assert answer.status_code == 422, (items, answer.text)
        assert list(answer.json()["errors"]) == [field]
    assert (await owner.patch(path + "/items", json={})).status_code == 422
    for body in ({"transition": "explode"}, {"is_default": 1}, {"name": " "}, {}, {"description": "x" * 2_001}):
        assert (await owner.patch(path, json=body)).status_code == 422
    assert (await owner.get(path)).json()["data"] == playlist

    for method, where in (("GET", ""), ("PATCH", ""), ("PATCH", "/items"), ("DELETE", "")):
        change = {"items": list[int]()} if method == "PATCH" else None
        assert (await stranger.request(method, path + where, json=change)).status_code == 404
    assert (await stranger.get("/api/v1/playlists")).json()["data"] == []
    assert (await owner.get(path)).json()["data"] == playlist

    full = await owner.patch(path + "/items", json={"items": [good] * MAX_ITEMS})
    assert full.json()["data"]["items_count"] == MAX_ITEMS


async def test_an_item_may_name_its_asset_by_the_key_of_the_upload(owner: Client, make: Make) -> None:
    ticket = (
        await owner.post("/api/v1/assets/upload-url", json={"filename": "a.png", "mime_type": "image/png"})
    ).json()
    ticket = ticket.get("data", ticket)
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(file, "PNG")
    stored = await owner.put(ticket["upload_url"], content=file.getvalue(), headers={"content-type": "image/png"})
    assert stored.is_success, stored.text

    playlist = await make("playlists", name="By key", items=[{"asset_key": ticket["asset_key"], "duration": 7}])

    [item] = playlist["items"]
    assert (item["asset"]["key"], item["duration"]) == (ticket["asset_key"], 7)
    assert item["asset"]["url"].startswith("http://hub.test:8080/")


async def test_there_is_one_default_at_a_time_even_in_a_race(owner: Client, make: Make) -> None:
    first = await make("playlists", name="First", is_default=True)
    second = await make("playlists", name="Second", is_default=True)

    async def defaults() -> list[str]:
        listed = (await owner.get("/api/v1/playlists")).json()["data"]
        return [playlist["name"] for playlist in listed if playlist["is_default"]]

    assert await defaults() == ["Second"]
    assert ("playlist.updated", first["id"], ["is_default"]) in [
        (kind, data["playlist_id"], data.get("changed")) for kind, data in await said(owner, "playlist")
    ]

    answers = await asyncio.gather(
        *(owner.patch(f"/api/v1/playlists/{one['id']}", json={"is_default": True}) for one in (first, second) * 3),
        *(owner.post("/api/v1/playlists", json={"name": f"New {n}", "is_default": True}) for n in range(3)),
    )
    assert all(answer.is_success for answer in answers)
    assert len(await defaults()) == 1

    [default] = [one for one in (await owner.get("/api/v1/playlists")).json()["data"] if one["is_default"]]
    await owner.patch(f"/api/v1/playlists/{default['id']}", json={"is_default": False})
    assert await defaults() == []


async def test_with_a_playlist_go_its_schedules_and_its_place_in_zones(owner: Client, make: Make) -> None:
    playlist = await make("playlists", name="News")
    schedule = await make("schedules", name="Morning", playlist_id=playlist["id"])
    layout = await make("layouts", name="Main", zones=[{"playlist_id": playlist["id"]}])

    await owner.delete(f"/api/v1/playlists/{playlist['id']}")

    assert (await owner.get(f"/api/v1/schedules/{schedule['id']}")).status_code == 404
    emptied = (await owner.get(f"/api/v1/layouts/{layout['id']}")).json()["data"]
    assert emptied["zones"][0]["playlist_id"] is None
    assert emptied["version"] == layout["version"] + 1
    told = [(kind, data["name"]) for kind, data in await said(owner, "playlist", "layout", "schedule")][-3:]
    assert told == [("layout.updated", "Main"), ("schedule.deleted", "Morning"), ("playlist.deleted", "News")]


async def test_a_change_of_what_is_shown_wakes_those_who_wait_for_it(
    hub: WholeHub, owner: Client, make: Make, subtests: pytest.Subtests
) -> None:
    """Every change of this page of the API that players may see raises the team's content version and is published."""
    heard: list[object] = []
    services: Any = hub.services.playlists
    services._bus.subscribe(("content", hub.owner.team_id), heard.append)
    player = (await owner.post("/api/v1/players", json={"name": "Lobby"})).json()["data"]["id"]
    playlist = (await make("playlists", name="News"))["id"]
    layout = (await make("layouts", name="Main"))["id"]
    location = (await make("locations", name="Berlin", timezone="Europe/Berlin"))["id"]
    holiday = (await make("holidays", date="2026-12-25", name="Christmas"))["id"]
    schedule = (await make("schedules", playlist_id=playlist))["id"]
    group = (await make("player-groups", name="All"))["id"]

    async def version() -> int:
        async with services._db.session() as session:
            team = await session.get(Team, hub.owner.team_id)
            number: int = team.content_version
            return number

    for method, path, body in (
        ("PATCH", f"playlists/{playlist}", {"transition": "zoom"}),
        ("PATCH", f"playlists/{playlist}/items", {"items": []}),
        ("PATCH", f"layouts/{layout}", {"width": 1080}),
        ("PATCH", f"layouts/{layout}/assign", {"player_ids": [player]}),
        ("PATCH", f"schedules/{schedule}", {"priority": 5}),
        ("POST", f"schedules/{schedule}/assign", {"targets": []}),
        ("PATCH", f"locations/{location}", {"timezone": "Europe/Vienna"}),
        ("PATCH", f"holidays/{holiday}", {"date": "2026-12-26"}),
        ("PATCH", f"players/{player}", {"location_id": location}),
        ("PATCH", f"players/{player}", {"timezone": "Asia/Tokyo"}),
        ("PATCH", f"player-groups/{group}", {"player_ids": [player]}),
        ("PATCH", f"player-groups/{group}", {"layout_id": layout}),
        ("DELETE", f"schedules/{schedule}", None),
        ("DELETE", f"holidays/{holiday}", None),
        ("DELETE", f"layouts/{layout}", None),
        ("DELETE", f"locations/{location}", None),
        ("DELETE", f"playlists/{playlist}", None),
        ("DELETE", f"player-groups/{group}", None),
    ):
        with subtests.test(f"{method} {path}"):
            before = await version()
            heard.clear()
            answer = await owner.request(method, f"/api/v1/{path}", json=body)
            assert answer.is_success, answer.text
            assert await version() > before
            assert heard
    before = await version()
    assert (await owner.patch(f"/api/v1/players/{player}", json={"name": "Door"})).is_success
    assert await version() == before
