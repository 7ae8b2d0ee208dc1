import json
import re
from datetime import UTC, datetime, timedelta

import httpx2

from hub.api.docs import manual
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
PATH = "/api/v1/alerts"


def soon(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_an_alert_is_raised_changed_cleared_and_deleted(owner: Client, player: int) -> None:
    group = (await owner.post("/api/v1/player-groups", json={"name": "G"})).json()["data"]["id"]
    body = {"title": "Fire", "message": "Leave.\nBy the stairs.", "severity": "Extreme", "player_ids": [player]}
    created = await owner.post(PATH, json=body)
    assert created.status_code == 201
    path, alert = created.headers["location"], created.json()["data"]
    assert (alert["severity"], alert["status"], alert["ends_at"]) == ("extreme", "live", None)
    assert (await owner.get(path)).json()["data"] == alert

    changed = await owner.patch(path, json={"group_ids": [group]}, headers={"if-match": created.headers["etag"]})
    assert (changed.json()["data"]["player_ids"], changed.json()["data"]["group_ids"]) == ([player], [group])
    assert (await owner.patch(path, json={"title": "x"}, headers={"if-match": '"v1"'})).status_code == 412
    await owner.patch(path, json={"player_ids": []})
    await owner.delete(f"/api/v1/player-groups/{group}")
    renamed = (await owner.patch(path, json={"title": "Fire!"})).json()["data"]
    assert (renamed["title"], renamed["group_ids"], renamed["everyone"]) == ("Fire!", [], False)
    nobody = await owner.patch(path, json={"everyone": False})
    assert (nobody.status_code, list(nobody.json()["errors"])) == (422, ["everyone"])
    everyone = (await owner.patch(path, json={"everyone": True})).json()["data"]
    assert (everyone["everyone"], everyone["player_ids"], everyone["group_ids"]) == (True, [], [])
    aimed = (await owner.patch(path, json={"player_ids": [player]})).json()["data"]
    assert (aimed["everyone"], aimed["player_ids"]) == (False, [player])
    begun = await owner.patch(path, json={"starts_at": soon(days=1)})
    assert (begun.status_code, begun.json()["code"]) == (409, "alert_begun")
    moved = (await owner.patch(path, json={"ends_at": soon(hours=1)})).json()["data"]
    assert (moved["status"], moved["ends_at"] > moved["starts_at"]) == ("live", True)

    for _ in range(2):
        cleared = (await owner.post(path + "/clear")).json()["data"]
        assert cleared["status"] == "over"
    assert (await owner.patch(path, json={"title": "x"})).json()["code"] == "alert_over"
    later = (await owner.post(PATH, json={**body, "starts_at": soon(days=1)})).json()["data"]
    assert later["status"] == "scheduled"
    found = {state: (await owner.get(PATH, params={"status": state})).json() for state in ("scheduled", "live", "over")}
    assert {state: [one["id"] for one in page["data"]] for state, page in found.items()} == {
        "scheduled": [later["id"]], "live": [], "over": [alert["id"]]}  # fmt: skip
    page = (await owner.get(PATH, params={"page": 2, "per_page": 1})).json()
    assert ([one["id"] for one in page["data"]], page["meta"]["total"]) == ([alert["id"]], 2)

    assert (await owner.delete(path)).json() == {"message": "Alert deleted."}
    assert (await owner.get(path)).status_code == 404
    log = (await owner.get("/api/v1/events", params={"limit": 1000})).json()["data"]
    told = [(one["event"], one["data"].get("reason")) for one in log if one["data"].get("alert_id") == alert["id"]]
    assert told == [("alert.created", None), ("alert.triggered", None), *[("alert.updated", None)] * 6,
                    ("alert.cleared", "cleared"), ("alert.deleted", None)]  # fmt: skip


async def test_what_cannot_be_an_alert_is_refused_with_the_field_named(owner: Client, player: int) -> None:
    good = {"title": "Fire", "message": "Leave.", "severity": "severe", "everyone": True}
    assert (await owner.post(PATH, json=good)).status_code == 201
    for change, field in (
        ({"title": " "}, "title"),
        ({"message": "a\x07b"}, "message"),
        ({"message": "x" * 1_001}, "message"),
        ({"severity": "terrible"}, "severity"),
        ({"everyone": False}, "everyone"),
        ({"player_ids": [player]}, "everyone"),
        ({"everyone": False, "player_ids": [999]}, "player_ids"),
        ({"everyone": False, "group_ids": [999]}, "group_ids"),
        ({"everyone": False, "location_ids": [999]}, "location_ids"),
        ({"player_ids": [0]}, "player_ids.0"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"ends_at": "2026-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "9999-12-31T23:59:59-23:00"}, "ends_at"),
        ({"starts_at": soon(days=2), "ends_at": soon(days=1)}, "ends_at"),
        ({"colour": "red"}, "colour"),
    ):
        answer = await owner.post(PATH, json=good | change)
        assert (answer.status_code, list(answer.json().get("errors", {}))) == (422, [field]), change
    assert (await owner.get(PATH)).json()["meta"]["total"] == 1


async def test_alerts_are_the_teams_own_and_raising_them_needs_the_right(
    hub: WholeHub, owner: Client, stranger: Client, player: int
) -> None:
    path = (await owner.post(PATH, json={"title": "Fire", "message": "Go.", "everyone": True})).headers["location"]
    viewer = await hub.as_owner("read:players")
    assert (await viewer.get(path)).status_code == 200
    assert (await viewer.post(path + "/clear")).status_code == 403
    assert (await stranger.get(PATH)).json()["data"] == []
    for answer in (
        await stranger.get(path),
        await stranger.patch(path, json={"title": "x"}),
        await stranger.post(path + "/clear"),
        await stranger.delete(path),
    ):
        assert answer.status_code == 404
    named = await stranger.post(PATH, json={"title": "Fire", "message": "Go.", "player_ids": [player]})
    assert (named.status_code, list(named.json()["errors"])) == (422, ["player_ids"])
    assert (await owner.get(path)).json()["data"]["status"] == "live"


async def test_the_first_alert_of_the_manual_is_raised_on_a_hub_that_has_nothing_yet(owner: Client) -> None:
    (body,) = re.findall(r"/api/v1/alerts \\\n +--json '(.*)'", manual.source("alerts"))
    raised = await owner.post(PATH, json=json.loads(body))
    assert raised.status_code == 201, raised.text
    (clearing,) = re.findall(r"POST \$HUB_URL(/api/v1/alerts/\d+/clear)", manual.source("alerts"))
    assert (await owner.post(clearing)).status_code == 200
    nobody = await owner.post(PATH, json={**json.loads(body), "everyone": False})
    assert nobody.status_code == 422
    assert "everyone" in nobody.json()["errors"]
