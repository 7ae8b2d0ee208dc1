from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
Make = Callable[..., Awaitable[dict[str, Any]]]


async def refused(client: Client, method: str, path: str, body: dict[str, Any]) -> list[str]:
    """The fields of a 422."""
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 422, (body, answer.text)
    return list(answer.json()["errors"])


async def test_players_stand_at_locations(owner: Client, stranger: Client, make: Make) -> None:
    location = await make("locations", name="Berlin", timezone="Europe/Berlin", latitude=52.5, longitude=13.4)
    path = f"/api/v1/locations/{location['id']}"
    assert location == location | {"address": None, "players_count": 0, "player_ids": [], "version": 1}
    player = (await make("players", name="Lobby"))["id"]
    moved = await owner.patch(
        f"/api/v1/players/{player}", json={"location_id": location["id"], "timezone": "Asia/Kathmandu"}
    )
    assert (moved.json()["data"]["location_id"], moved.json()["data"]["timezone"]) == (location["id"], "Asia/Kathmandu")
    detail = (await owner.get(path)).json()["data"]
    assert detail == location | {"players_count": 1, "player_ids": [player]}
    [listed] = (await owner.get("/api/v1/locations", params={"search": "berl"})).json()["data"]
    assert listed == {name: detail[name] for name in listed}

    for body, fields in (
        ({"timezone": "Berlin"}, ["timezone"]),
        ({"timezone": "localtime"}, ["timezone"]),
        ({"timezone": "../../etc/passwd"}, ["timezone"]),
        ({"latitude": 91}, ["latitude"]),
        ({"longitude": -180.5}, ["longitude"]),
        ({"latitude": None}, ["latitude"]),
        ({"planet": "Mars"}, ["planet"]),
        ({"opening_hours": []}, ["opening_hours"]),
        ({"opening_hours": [{"days": ["someday"], "from": "08:00", "to": "20:00"}]}, ["opening_hours.0.days.0"]),
        ({"opening_hours": [{"days": ["mon"], "from": "26:00", "to": "20:00"}]}, ["opening_hours.0.from"]),
    ):
        assert await refused(owner, "PATCH", path, body) == fields
    assert await refused(owner, "POST", "/api/v1/locations", {"name": "x"}) == ["timezone"]
    assert await refused(owner, "PATCH", f"/api/v1/players/{player}", {"timezone": "Mars/Base"}) == ["timezone"]
    foreign = (await stranger.post("/api/v1/locations", json={"name": "x", "timezone": "UTC"})).json()["data"]["id"]
    assert await refused(owner, "PATCH", f"/api/v1/players/{player}", {"location_id": foreign}) == ["location_id"]
    assert (await owner.get(path)).json()["data"] == detail

    hours = [{"days": ["mon", "fri"], "from": "08:00", "to": "02:30"}]
    opened = await owner.patch(path, json={"opening_hours": [{"days": ["fri", "mon"], "from": "8:00", "to": "02:30"}]})
    assert opened.json()["data"] == detail | {"opening_hours": hours, "version": 2}
    assert (await owner.patch(path, json={"name": "Berlin"})).json()["data"]["opening_hours"] == hours
    always = await owner.patch(path, json={"opening_hours": None})
    assert always.json()["data"]["opening_hours"] is None

    cleared = await owner.patch(
        path, json={"latitude": None, "longitude": None, "timezone": "Europe/Vienna"}, headers={"if-match": '"v4"'}
    )
    assert cleared.json()["data"]["latitude"] is None
    assert (await owner.put(path, json={"address": "Alley 1"}, headers={"if-match": '"v1"'})).status_code == 412
    for method, change in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await stranger.request(method, path, json=change)).status_code == 404

    await make("holidays", date="2026-12-25", name="Christmas", location_id=location["id"])
    assert (await owner.delete(path)).json() == {"message": "Location deleted."}
    assert (await owner.get(path)).status_code == 404
    assert (await owner.get(f"/api/v1/players/{player}")).json()["data"]["location_id"] is None
    assert (await owner.get("/api/v1/holidays")).json()["data"] == []
    assert (await owner.patch(f"/api/v1/players/{player}", json={"timezone": None})).json()["data"]["timezone"] is None


async def test_holidays_are_kept_by_date_everywhere_or_at_a_location(
    owner: Client, stranger: Client, make: Make
) -> None:
    location = (await make("locations", name="Berlin", timezone="Europe/Berlin"))["id"]
    christmas = await make("holidays", date="2026-12-25", name="Christmas")
    women = await make("holidays", date="2026-03-08", name="Women's Day", location_id=location)
    assert (await owner.get("/api/v1/holidays")).json()["data"] == [women, christmas]
    for query, found in (
        ({"from": "2026-03-09"}, [christmas]),
        ({"to": "2026-03-08"}, [women]),
        ({"location_id": location}, [women]),
        ({"page": 2, "per_page": 1}, [christmas]),
    ):
        assert (await owner.get("/api/v1/holidays", params=query)).json()["data"] == found
    assert (await owner.get("/api/v1/holidays", params={"from": "soon"})).status_code == 422

    path = f"/api/v1/holidays/{women['id']}"
    assert await refused(owner, "PATCH", path, {"date": "2026-02-29"}) == ["date"]
    assert await refused(owner, "POST", "/api/v1/holidays", {"date": "20261225", "name": "x"}) == ["date"]
    foreign = (await stranger.post("/api/v1/locations", json={"name": "x", "timezone": "UTC"})).json()["data"]["id"]
    assert await refused(owner, "PATCH", path, {"location_id": foreign}) == ["location_id"]
    changed = (await owner.patch(path, json={"location_id": None, "date": "2027-03-08"})).json()["data"]
    assert changed == women | {"location_id": None, "date": "2027-03-08", "version": 2}
    assert (await owner.put(path, json={"name": "x"}, headers={"if-match": '"v1"'})).status_code == 412
    for method, change in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await stranger.request(method, path, json=change)).status_code == 404
    assert (await owner.delete(path)).json() == {"message": "Holiday deleted."}
    assert (await owner.get(path)).status_code == 404


async def test_campaigns_have_a_price_for_each_showing(
    hub: WholeHub, owner: Client, stranger: Client, make: Make
) -> None:
    campaign = await make("campaigns", name="Cola", advertiser="Cola Ltd", currency="usd", price="0.0525")
    assert (campaign["currency"], campaign["price"], campaign["start_date"]) == ("USD", "0.0525", None)
    path = f"/api/v1/campaigns/{campaign['id']}"
    assert (await owner.get(path)).json()["data"] == campaign
    assert (await owner.get("/api/v1/campaigns", params={"search": "ltd"})).json()["data"] == [campaign]

    for sent, told in ((0.07, "0.07"), (2, "2.00"), ("0.000001", "0.000001"), ("0", "0.00"), (1e-5, "0.00001")):
        changed = await owner.patch(path, json={"price": sent})
        assert changed.json()["data"]["price"] == told
    for body, fields in (
        ({"price": "-1"}, ["price"]),
        ({"price": "0.0000001"}, ["price"]),
        ({"price": "NaN"}, ["price"]),
        ({"price": 1e300}, ["price"]),
        ({"price": "1."}, ["price"]),
        ({"price": "Infinity"}, ["price"]),
        ({"price": "1e999999999"}, ["price"]),
        ({"price": True}, ["price"]),
        ({"price": "1000001"}, ["price"]),
        ({"currency": "XXX"}, ["currency"]),
        ({"start_date": "2026-02-02", "end_date": "2026-02-01"}, ["end_date"]),
        ({"start_date": "now"}, ["start_date"]),
    ):
        assert await refused(owner, "PATCH", path, body) == fields
    dated = (await owner.patch(path, json={"start_date": "2026-02-02", "advertiser": None})).json()["data"]
    assert (dated["start_date"], dated["advertiser"]) == ("2026-02-02", None)
    assert await refused(owner, "PATCH", path, {"end_date": "2026-02-01"}) == ["end_date"]
    assert (await owner.put(path, json={"name": "x"}, headers={"if-match": '"v1"'})).status_code == 412
    for method, change in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await stranger.request(method, path, json=change)).status_code == 404

    asset = (await make("assets", name="Cola", type="web", source_url="https://example.com/"))["id"]
    playlist = await make("playlists", name="News", items=[{"asset_id": asset, "campaign_id": campaign["id"]}])
    assert (await owner.delete(path)).json() == {"message": "Campaign deleted."}
    assert (await owner.get(path)).status_code == 404
    after = (await owner.get(f"/api/v1/playlists/{playlist['id']}")).json()["data"]
    assert (after["items"][0]["campaign_id"], after["version"]) == (None, 2)


@pytest.mark.parametrize(
    ("scope", "events"),
    [
        ("read:content", {"playlist.created", "layout.created", "schedule.created", "holiday.created"}),
        ("read:analytics", {"campaign.created"}),
        ("read:players", {"location.created"}),
    ],
)
async def test_events_are_heard_by_those_who_may_see_what_they_tell_of(
    hub: WholeHub, make: Make, scope: str, events: set[str]
) -> None:
    playlist = (await make("playlists", name="News"))["id"]
    await make("schedules", playlist_id=playlist)
    await make("layouts", name="Main")
    await make("locations", name="Berlin", timezone="Europe/Berlin")
    await make("holidays", date="2026-12-25", name="Christmas")
    await make("campaigns", name="Cola")
    reader = await hub.as_owner("read:players", scope)
    heard = {event["event"] for event in (await reader.get("/api/v1/events")).json()["data"]}
    assert heard - {"location.created"} == events - {"location.created"}
