from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

Client = httpx2.AsyncClient
Make = Callable[..., Awaitable[dict[str, Any]]]

FULL = {"x": 0.0, "y": 0.0, "width": 100.0, "height": 100.0}


async def test_a_layout_is_made_divided_changed_and_deleted(owner: Client, stranger: Client, make: Make) -> None:
    playlist = (await make("playlists", name="News"))["id"]
    asset = (await make("assets", name="Logo", type="web", source_url="https://example.com/logo"))["id"]
    third = {"y": 0, "height": 100, "width": 33.33333}
    layout = await make(
        "layouts",
        name="Main",
        width=1080,
        height=1920,
        zones=[
            {"playlist_id": playlist},
            {"name": "Corner", "x": 90, "y": 90, "width": 10, "height": 10, "asset_id": asset},
            {"x": 66.66667, **third},
        ],
    )
    zones = [{name: value for name, value in zone.items() if name != "id"} for zone in layout["zones"]]
    assert zones == [
        {"name": "Zone 1", "playlist_id": playlist, "asset_id": None, **FULL},
        {"name": "Corner", "playlist_id": None, "asset_id": asset, "x": 90, "y": 90, "width": 10, "height": 10},
        {"name": "Zone 3", "playlist_id": None, "asset_id": None, "x": 66.6667, **third, "width": 33.3333},
    ]
    path = f"/api/v1/layouts/{layout['id']}"
    assert (await owner.get(path)).json()["data"] == layout
    [listed] = (await owner.get("/api/v1/layouts")).json()["data"]
    assert {name: layout[name] for name in listed} == listed
    assert (listed["zones_count"], listed["width"]) == (3, 1080)

    foreign = (await stranger.post("/api/v1/playlists", json={"name": "x"})).json()["data"]["id"]
    for zone, field in (
        ({"playlist_id": foreign}, "zones.0.playlist_id"),
        ({"asset_id": 99_999}, "zones.0.asset_id"),
        ({"playlist_id": playlist, "asset_id": asset}, "zones.0.asset_id"),
        ({"x": 50, "width": 50.01}, "zones.0.width"),
        ({"y": 100}, "zones.0.height"),
        ({"height": 0}, "zones.0.height"),
        ({"x": -1}, "zones.0.x"),
        ({"x": 101}, "zones.0.x"),
        ({"colour": "red"}, "zones.0.colour"),
        (5, "zones.0"),
    ):
        answer = await owner.patch(path, json={"name": "Broken", "zones": [zone]})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field]), zone
    assert (await owner.patch(path, json={"zones": [{}] * 21})).status_code == 422
    assert (await owner.get(path)).json()["data"] == layout

    late = await owner.patch(path, json={"zones": []}, headers={"if-match": '"v9"'})
    assert late.status_code == 412
    emptied = (await owner.put(path, json={"zones": []}, headers={"if-match": '"v1"'})).json()["data"]
    assert (emptied["zones"], emptied["version"], emptied["name"]) == ([], 2, "Main")

    for method, where, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "Mine"}),
        ("DELETE", "", None),
        ("PATCH", "/assign", {"player_ids": [1]}),
    ):
        assert (await stranger.request(method, path + where, json=body)).status_code == 404
    assert (await stranger.get("/api/v1/layouts")).json()["data"] == []

    schedule = await make("schedules", layout_id=layout["id"])
    assert schedule["name"] == "Main"
    assert (await owner.delete(path)).json() == {"message": "Layout deleted."}
    assert (await owner.get(path)).status_code == 404
    assert (await owner.get(f"/api/v1/schedules/{schedule['id']}")).status_code == 404


async def test_a_layout_is_assigned_to_players_and_groups_and_taken_away(
    owner: Client, stranger: Client, make: Make
) -> None:
    one, two, three = [(await make("players", name=name))["id"] for name in ("One", "Two", "Three")]
    group = (await make("player-groups", name="Lobby", player_ids=[two, three]))["id"]
    main, other = (await make("layouts", name="Main"))["id"], (await make("layouts", name="Other"))["id"]
    foreign = (await stranger.post("/api/v1/players", json={"name": "x"})).json()["data"]["id"]

    async def shown(player: int) -> dict[str, Any] | None:
        layout: dict[str, Any] | None = (await owner.get(f"/api/v1/players/{player}")).json()["data"]["layout"]
        return layout

    path = f"/api/v1/layouts/{main}/assign"
    for body, fields in (
        ({}, {"player_ids", "group_ids"}),
        ({"player_ids": [], "group_ids": None}, {"player_ids", "group_ids"}),
        ({"player_ids": [one, foreign]}, {"player_ids"}),
        ({"player_ids": [one], "group_ids": [99_999]}, {"group_ids"}),
        ({"player_ids": ["1"]}, {"player_ids.0"}),
        ({"player_ids": [2**63]}, {"player_ids.0"}),
    ):
        answer = await owner.patch(path, json=body)
        assert (answer.status_code, set(answer.json()["errors"])) == (422, fields), body
    assert await shown(one) is None

    answer = await owner.patch(path, json={"player_ids": [one, two, one], "group_ids": [group]})
    assert answer.json() == {"message": "Layout assigned.", "assigned": 3}
    assert [await shown(player) for player in (one, three)] == [{"id": main, "name": "Main"}] * 2
    detail = (await owner.get(f"/api/v1/layouts/{main}")).json()["data"]
    assert (detail["player_ids"], detail["group_ids"]) == ([one, two], [group])
    [listed] = (await owner.get("/api/v1/player-groups")).json()["data"]
    assert listed["layout_id"] == main

    changed = await owner.patch(f"/api/v1/players/{three}", json={"layout_id": other})
    assert changed.json()["data"]["layout"] == {"id": other, "name": "Other"}
    taken = await owner.patch(f"/api/v1/players/{three}", json={"layout_id": None})
    assert (taken.json()["data"]["layout_id"], taken.json()["data"]["layout"]["id"]) == (None, main)
    changed_group = await owner.patch(f"/api/v1/player-groups/{group}", json={"layout_id": None})
    assert changed_group.json()["data"]["layout_id"] is None
    assert await shown(three) is None

    strangers_layout = (await stranger.post("/api/v1/layouts", json={"name": "x"})).json()["data"]["id"]
    for noun, number in (("players", one), ("player-groups", group)):
        answer = await owner.patch(f"/api/v1/{noun}/{number}", json={"layout_id": strangers_layout})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["layout_id"])

    await owner.patch(f"/api/v1/player-groups/{group}", json={"layout_id": main})
    version = (await owner.get(f"/api/v1/players/{one}")).json()["data"]["version"]
    await owner.delete(f"/api/v1/layouts/{main}")
    after = (await owner.get(f"/api/v1/players/{one}")).json()["data"]
    assert (after["layout"], after["layout_id"], after["version"]) == (None, None, version + 1)
    assert (await owner.get(f"/api/v1/player-groups/{group}")).json()["data"]["layout_id"] is None
