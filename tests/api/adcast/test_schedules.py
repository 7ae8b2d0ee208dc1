"""AdCast's playlists and their schedules."""

from typing import Any

import httpx2

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient


async def told(client: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_playlists_are_filled_made_the_default_and_deleted(owner: Client, stranger: Client) -> None:
    news = {"name": "News", "type": "web", "source_url": "https://example.com/news", "duration": 20}
    content = (await told(owner, "POST", "/api/content", news, 201))["content"]
    first = (await told(owner, "POST", "/api/playlists", {"name": "First", "is_default": True}, 201))["playlist"]
    assert first == {
        "id": first["id"],
        "name": "First",
        "transition": "none",
        "is_default": True,
        "items_count": 0,
        "items": [],
    }
    body = {"name": "Morning Playlist", "transition": "fade", "is_default": False}
    path = f"/api/playlists/{(await told(owner, 'POST', '/api/playlists', body, 201))['playlist']['id']}"
    items = [{"content_id": content["id"]}, {"content_id": content["id"], "duration": 5}]
    changed = (await told(owner, "PUT", path, {"is_default": True, "items": items}))["playlist"]
    assert changed == (await told(owner, "GET", path))["playlist"] | {"items": changed["items"]}
    assert [(item["order"], item["duration"], item["content"]["name"]) for item in changed["items"]] == [
        (1, 20, "News"),
        (2, 5, "News"),
    ]
    listed = await told(owner, "GET", "/api/playlists")
    assert [(each["is_default"], each["items_count"]) for each in listed["data"]] == [(False, 0), (True, 2)]
    assert listed["meta"]["per_page"] == 20

    errors = (await told(owner, "PUT", path, {"items": [{"content_id": 999}]}, 422))["errors"]
    assert list(errors) == ["items.0.content_id"]
    await told(owner, "POST", "/api/playlists", {"name": "x", "transition": "explode"}, 422)
    for method in ("GET", "PUT", "DELETE"):
        await told(stranger, method, path, {"name": "x"} if method == "PUT" else None, 404)
    assert await told(owner, "DELETE", path) == {"message": "Playlist deleted successfully."}


async def test_schedules_have_one_target_for_those_who_know_one(
    hub: WholeHub, owner: Client, stranger: Client, player: int
) -> None:
    playlist = (await told(owner, "POST", "/api/playlists", {"name": "Lobby"}, 201))["playlist"]["id"]
    group = (await told(owner, "POST", "/api/v1/player-groups", {"name": "Lobby"}, 201))["data"]["id"]
    body = {
        "playlist_id": playlist, "schedulable_type": "device", "schedulable_id": player,
        "days_of_week": [1, 2, 3, 4, 5], "start_time": "09:00", "end_time": "17:00", "start_date": "2026-04-01",
        "end_date": "2026-06-30", "priority": 10, "is_active": True,
        "conditions": [
            {"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"},
            {"type": "day_type", "operator": "eq", "value": "weekday"},
            {"type": "time_range", "operator": "between", "value": "09:00-17:00"},
        ],
    }  # fmt: skip
    made = (await told(owner, "POST", "/api/schedules", body, 201))["schedule"]
    assert made == body | {
        "id": made["id"],
        "name": "Lobby",
        "schedulables": [{"type": "device", "id": player}],
    }
    path = f"/api/schedules/{made['id']}"
    assert (await told(owner, "GET", "/api/schedules"))["data"] == [made]
    off = (await told(owner, "PUT", path, {"is_active": False, "end_time": None, "priority": None}))["schedule"]
    assert off == made | {"is_active": False, "end_time": None}
    moved = (await told(owner, "PUT", path, {"schedulable_type": "group", "schedulable_id": group}))["schedule"]
    assert moved["schedulables"] == [{"type": "group", "id": group}]

    several = {"targets": [{"type": "player", "id": player}, {"type": "group", "id": group}]}
    await told(owner, "PATCH", f"/api/v1/schedules/{made['id']}", several)
    seen = (await told(owner, "GET", "/api/schedules"))["data"][0]
    assert {(each["type"], each["id"]) for each in seen["schedulables"]} == {("device", player), ("group", group)}
    await told(owner, "PATCH", f"/api/v1/schedules/{made['id']}", {"targets": []})
    assert (await told(owner, "GET", "/api/schedules"))["data"][0]["schedulable_type"] is None

    for wrong, field in (
        ({"schedulable_type": "group"}, "schedulable_id"),
        ({"schedulable_type": "device", "schedulable_id": 999}, "schedulable_id"),
        ({"playlist_id": 999}, "playlist_id"),
        ({"start_time": "25:00"}, "start_time"),
    ):
        assert field in (await told(owner, "PUT", path, wrong, 422))["errors"]
    await told(owner, "POST", "/api/schedules", {"playlist_id": playlist}, 422)
    assert (await told(stranger, "GET", "/api/schedules"))["data"] == []
    for method in ("PUT", "DELETE"):
        await told(stranger, method, path, {"priority": 1} if method == "PUT" else None, 404)
    assert await told(owner, "DELETE", path) == {"message": "Schedule deleted successfully."}
    await told(owner, "DELETE", path, status=404)
