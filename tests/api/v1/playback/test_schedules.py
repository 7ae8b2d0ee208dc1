from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from hub.domain.errors import NotFound
from hub.domain.playback import Target
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
Make = Callable[..., Awaitable[dict[str, Any]]]

CONDITIONS = [
    {"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"},
    {"type": "day_type", "operator": "eq", "value": "weekday"},
    {"type": "time_range", "operator": "between", "value": "09:00-17:00"},
]


async def test_a_schedule_is_made_changed_and_deleted(owner: Client, stranger: Client, make: Make) -> None:
    playlist = (await make("playlists", name="News"))["id"]
    layout = (await make("layouts", name="Main"))["id"]
    player = await make("players", name="Lobby")
    group = (await make("player-groups", name="All"))["id"]
    location = (await make("locations", name="Berlin", timezone="Europe/Berlin"))["id"]
    written = {
        "playlist_id": playlist,
        "days_of_week": [1, 2, 3, 4, 5],
        "start_time": "09:00",
        "end_time": "17:00",
        "start_date": "2026-04-01",
        "end_date": "2026-06-30",
        "priority": 10,
        "is_active": True,
        "conditions": CONDITIONS,
    }
    targets = [{"type": "device_group", "id": group}, {"type": "device", "id": player["id"]}]
    schedule = await make("schedules", **written, targets=[*targets, {"type": "location", "id": location}, *targets])
    assert schedule == schedule | written
    assert schedule["name"] == "News"
    assert schedule["schedule_id"].startswith("sch_")
    assert schedule["targets"] == [
        {"type": "player", "id": player["id"]},
        {"type": "group", "id": group},
        {"type": "location", "id": location},
    ]
    assert schedule["screen_ids"] == [player["screen_id"]]
    path = f"/api/v1/schedules/{schedule['id']}"
    assert (await owner.get(path)).json()["data"] == schedule
    assert (await owner.get("/api/v1/schedules")).json()["data"] == [schedule]
    queries: tuple[tuple[dict[str, Any], int], ...] = (
        ({"player_id": player["id"]}, 1),
        ({"player_id": 99_999}, 0),
        ({"is_active": "false"}, 0),
        ({"search": "EW", "page": 1, "per_page": 5}, 1),
        ({"page": 2, "per_page": 5}, 0),
    )
    for query, found in queries:
        assert len((await owner.get("/api/v1/schedules", params=query)).json()["data"]) == found, query

    changed = await owner.patch(
        path,
        json={"days_of_week": [7, 6], "end_time": None, "conditions": [], "layout_id": layout},
        headers={"if-match": '"v1"'},
    )
    assert changed.json()["data"] == schedule | changed.json()["data"] | {
        "days_of_week": [0, 6],
        "start_time": "09:00",
        "end_time": None,
        "conditions": [],
        "layout_id": layout,
        "playlist_id": None,
        "version": 2,
    }
    assert (await owner.patch(path, json={"priority": 1}, headers={"if-match": '"v1"'})).status_code == 412
    off = (await owner.put(path, json={"is_active": False, "days_of_week": []})).json()["data"]
    assert (off["is_active"], off["days_of_week"], off["priority"]) == (False, [], 10)

    for method, where, body in (
        ("GET", "", None),
        ("PATCH", "", {"priority": 1}),
        ("POST", "/assign", {"targets": []}),
        ("DELETE", "", None),
    ):
        assert (await stranger.request(method, path + where, json=body)).status_code == 404
    assert (await stranger.get("/api/v1/schedules")).json()["data"] == []

    assert (await owner.delete(path)).json() == {"message": "Schedule deleted."}
    assert (await owner.get(path)).status_code == 404


async def test_what_no_schedule_can_mean_is_refused(owner: Client, stranger: Client, make: Make) -> None:
    playlist = (await make("playlists", name="News"))["id"]
    layout = (await make("layouts", name="Main"))["id"]
    foreign = (await stranger.post("/api/v1/playlists", json={"name": "x"})).json()["data"]["id"]
    foreign_player = (await stranger.post("/api/v1/players", json={"name": "x"})).json()["data"]["id"]
    good = {"playlist_id": playlist}
    schedule = await make("schedules", **good, name="Good", start_date="2026-04-01")

    def condition(**fields: Any) -> dict[str, Any]:
        return {"conditions": [CONDITIONS[0], CONDITIONS[1] | fields]}

    for body, field in (
        ({"playlist_id": playlist, "layout_id": layout}, "playlist_id"),
        ({"playlist_id": foreign}, "playlist_id"),
        ({"layout_id": 99_999}, "layout_id"),
        (good | {"days_of_week": [8]}, "days_of_week.0"),
        (good | {"days_of_week": ["monday"]}, "days_of_week.0"),
        (good | {"start_time": "24:30"}, "start_time"),
        (good | {"start_time": 9}, "start_time"),
        (good | {"end_date": "tomorrow"}, "end_date"),
        (good | {"start_date": "2026-04-02", "end_date": "2026-04-01"}, "end_date"),
        (good | {"priority": 1_001}, "priority"),
        (good | {"priority": 1.5}, "priority"),
        (good | {"is_active": "yes"}, "is_active"),
        (good | condition(type="moon"), "conditions.1.type"),
        (good | condition(operator="~"), "conditions.1.operator"),
        (good | condition(operator="gt"), "conditions.1.operator"),
        (good | condition(value="monday"), "conditions.1.value"),
        (good | {"conditions": [CONDITIONS[1]] * 21}, "conditions"),
        (good | {"targets": [{"type": "player", "id": foreign_player}]}, "targets"),
        (good | {"targets": [{"type": "planet", "id": 1}]}, "targets.0.type"),
        (good | {"colour": "red"}, "colour"),
    ):
        for answer in (
            await owner.post("/api/v1/schedules", json=body),
            await owner.patch(f"/api/v1/schedules/{schedule['id']}", json=body),
        ):
            assert (answer.status_code, list(answer.json()["errors"])) == (422, [field]), body
    assert (await owner.post("/api/v1/schedules", json={"name": "x"})).status_code == 422
    answer = await owner.patch(f"/api/v1/schedules/{schedule['id']}", json={"end_date": "2026-03-31"})
    assert list(answer.json()["errors"]) == ["end_date"]
    assert (await owner.get("/api/v1/schedules")).json()["data"] == [schedule]


async def test_a_schedule_is_assigned_and_loses_what_is_deleted(
    hub: WholeHub, owner: Client, stranger: Client, make: Make
) -> None:
    players = [await make("players", name=name) for name in ("One", "Two", "Three")]
    group = (await make("player-groups", name="All"))["id"]
    location = (await make("locations", name="Berlin", timezone="Europe/Berlin"))["id"]
    schedule = await make("schedules", playlist_id=(await make("playlists", name="News"))["id"])
    assert schedule["targets"] == []
    path = f"/api/v1/schedules/{schedule['id']}"
    one, two, three = players
    foreign = (await stranger.post("/api/v1/players", json={"name": "x"})).json()["data"]

    answer = await owner.post(path + "/assign", json={"screen_ids": [two["screen_id"], one["id"]]})
    assert answer.json()["data"]["screen_ids"] == [one["screen_id"], two["screen_id"]]
    answer = await owner.post(path + "/assign", json={"screen_ids": [three["screen_id"]]})
    assert answer.json()["data"]["targets"] == [{"type": "player", "id": three["id"]}]

    for body, field in (
        ({"screen_ids": [one["screen_id"], foreign["screen_id"]]}, "screen_ids"),
        ({"screen_ids": [foreign["id"]]}, "screen_ids"),
        ({"screen_ids": ["scr_0"]}, "screen_ids"),
        ({"targets": [{"type": "location", "id": 99_999}]}, "targets"),
        ({"targets": [], "screen_ids": []}, "body"),
        ({}, "body"),
    ):
        answer = await owner.post(path + "/assign", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field]), body

    everything = [("player", three["id"]), ("group", group), ("location", location)]
    answer = await owner.post(path + "/assign", json={"targets": [{"type": kind, "id": n} for kind, n in everything]})
    assert len(answer.json()["data"]["targets"]) == 3
    for gone in (f"players/{three['id']}", f"player-groups/{group}", f"locations/{location}"):
        assert (await owner.delete(f"/api/v1/{gone}")).is_success
    left = (await owner.get(path)).json()["data"]
    assert (left["targets"], left["screen_ids"]) == ([], [])

    schedules = hub.services.schedules
    assert await schedules.by_schedule_id(hub.owner, schedule["schedule_id"]) == schedule["id"]
    for actor, number in ((hub.stranger, schedule["schedule_id"]), (hub.owner, "sch_0")):
        try:
            await schedules.by_schedule_id(actor, number)
        except NotFound:
            continue
        raise AssertionError(number)
    assert Target.read("screen", 1) == Target("player", 1)


async def test_midnight_as_an_end_is_the_same_on_every_face(owner: Client, make: Make) -> None:
    playlist = (await make("playlists", name="News"))["id"]
    player = (await make("players", name="Lobby"))["id"]
    target = {"schedulable_type": "device", "schedulable_id": player}
    for end in ("23:59:59", "24:00:00", "24:00", "00:00"):
        told = []
        for path, more in (("/api/v1/schedules", {}), ("/api/schedules", target), ("/v1/schedules", {})):
            body = {"name": "Late", "playlist_id": playlist, "start_time": "20:00", "end_time": end, **more}
            answer = await owner.post(path, json=body)
            assert answer.status_code == 201, (path, end, answer.text)
            told.append((answer.json().get("data") or answer.json()["schedule"])["end_time"])
        assert told == ["00:00"] * 3
    place = (await make("locations", name="Bar", timezone="Europe/Berlin"))["id"]
    hours = [{"days": ["fri"], "from": "20:00", "to": "23:59:59"}]
    kept = await owner.patch(f"/api/v1/locations/{place}", json={"opening_hours": hours})
    assert kept.json()["data"]["opening_hours"] == [{"days": ["fri"], "from": "20:00", "to": "00:00"}]
