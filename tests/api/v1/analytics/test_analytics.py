import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from hub.domain.analytics import QUARTER
from hub.domain.times import DAY, HOUR, MINUTE, now_ms, rfc3339
from hub.store.tables import Campaign
from tests.whole_hub import BASE, WholeHub

Client = httpx2.AsyncClient

AT = "/api/v1/analytics"
SPOTS_BODY = {"from": "2026-05-01T18:20:08", "to": "2052-05-24"}
JANUARY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-31T23:59:59Z"}


def play(number: int, at: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"play-{number}",
        "asset_id": 1,
        "started_at": rfc3339(at),
        "duration_s": 10,
        "completed": True,
    } | more


async def device(hub: WholeHub, player_id: int) -> Client:
    """A client with the player's own token."""
    return hub.client(await hub.services.players.issue_token(hub.owner, player_id, face="signalbox"))


async def campaign(hub: WholeHub, name: str, price_micros: int) -> int:
    row = Campaign(team_id=hub.owner.team_id, name=name, price_micros=price_micros, created_at=now_ms())
    async with hub.services.players._db.transaction() as session:
        session.add(row)
        await session.flush()
    assert row.id is not None
    return row.id


async def test_what_players_show_is_told_as_numbers_to_their_team_alone(
    hub: WholeHub, owner: Client, stranger: Client, player: int
) -> None:
    summer = await campaign(hub, "Summer", 50_000)
    winter = await campaign(hub, "Winter", 0)
    client = await device(hub, player)
    now = now_ms()
    began = now - 2 * DAY - now % QUARTER
    entries = [
        play(1, began, layout_id=4, campaign_id=summer),
        play(2, began + MINUTE, campaign_id=summer),
        play(3, began + DAY, completed=False),
        play(4, now + MINUTE),
        play(5, now - 100 * DAY),
    ]
    answer = await client.post("/api/v1/plays", json={"entries": entries})
    assert answer.json() == {"stored": 4, "repeated": 0, "dropped": 1}
    answer = await client.post("/api/v1/plays", json={"entries": entries})
    assert answer.json() == {"stored": 0, "repeated": 4, "dropped": 1}

    span: dict[str, Any] = {"from": rfc3339(began), "to": rfc3339(now)}
    told = (await owner.get(f"{AT}/playback", params=span)).json()
    assert told["meta"] == {"granularity": "day"}
    assert [row["plays"] for row in told["data"]] in ([2, 1, 0], [2, 1])  # two days touch three, but at midnight
    assert sum(row["duration_seconds"] for row in told["data"]) == 30
    only: dict[str, Any] = {"layout_id": 4, "player_id": player, "granularity": "hour", "timezone": "Asia/Kathmandu"}
    told = (await owner.get(f"{AT}/playback", params=span | only)).json()
    assert sum(row["plays"] for row in told["data"]) == 1
    assert len(told["data"]) == 49
    assert all(row["period"].endswith(":15:00Z") for row in told["data"])

    told = (await owner.get(f"{AT}/impressions", params=span)).json()
    assert [(row["campaign"], row["impressions"], row["revenue"]) for row in told["data"]] == [
        ("Summer", 2, 0.1),
        ("Winter", 0, 0.0),
    ]
    assert told["totals"]["revenue"] == 0.1
    told = (await owner.get(f"{AT}/impressions", params=span | {"campaign_id": summer})).json()
    assert [row["campaign_id"] for row in told["data"]] == [summer]
    for number, status in ((summer, 409), (winter, 200)):  # what was earned stays in the money it was earned in
        answer = await owner.patch(f"/api/v1/campaigns/{number}", json={"currency": "JPY"})
        assert answer.status_code == status
    assert (await owner.patch(f"/api/v1/campaigns/{summer}", json={"currency": "EUR", "price": 1})).status_code == 200
    again = (await owner.get(f"{AT}/impressions", params=span | {"campaign_id": summer})).json()
    assert again == told

    page = (await owner.get("/api/v1/plays", params={"limit": 1})).json()
    assert [row["player"] for row in page["data"]] == ["Lobby Display"]
    rest = (await owner.get("/api/v1/plays", params={"before": page["meta"]["next"], "from": span["from"]})).json()
    assert [row["started_at"] for row in rest["data"]] == [rfc3339(began + at) for at in (DAY, MINUTE, 0)]
    assert rest["meta"]["next"] is None
    assert (await owner.get("/api/v1/plays", params={"campaign_id": summer, **span})).json()["data"][0]["campaign"]

    # Nothing of all this is another team's, whichever ids it asks for.
    theirs: dict[str, Any] = {"player_id": player, "layout_id": 4}
    assert not any(row["plays"] for row in (await stranger.get(f"{AT}/playback", params=span)).json()["data"])
    assert not any(row["plays"] for row in (await stranger.get(f"{AT}/playback", params=span | theirs)).json()["data"])
    assert (await stranger.get("/api/v1/plays", params=span | {"player_id": player})).json()["data"] == []
    assert (await stranger.get(f"{AT}/impressions", params=span | {"campaign_id": summer})).json()["data"] == []
    assert (await stranger.get(f"{AT}/players/uptime", params=span)).json()["data"] == []

    assert (await owner.post("/api/v1/plays", json={"entries": entries})).status_code == 403
    assert (await client.get("/api/v1/plays")).status_code == 403
    assert (await client.get(f"{AT}/summary")).status_code == 403


async def test_the_summary_counts_the_day_of_the_zone_that_asks(hub: WholeHub, owner: Client, player: int) -> None:
    empty = (await owner.get(f"{AT}/summary")).json()
    assert empty == {"data": {"active_players": 0, "plays_today": 0, "average_uptime": 0.0}}
    await hub.connect(player)
    await owner.post("/api/v1/players", json={"name": "Away"})
    client = await device(hub, player)
    now = now_ms()
    hours_back = [play(number, now - number * HOUR) for number in range(30)]
    await client.post("/api/v1/plays", json={"entries": hours_back})
    for name, offset in (("Etc/GMT-14", 14), ("Etc/GMT+11", -11), ("UTC", 0)):
        local = datetime.now(UTC) + timedelta(hours=offset)
        told = (await owner.get(f"{AT}/summary", params={"timezone": name})).json()["data"]
        assert told["plays_today"] in (local.hour + 1, local.hour + 2), name
        assert told["active_players"] == 1
        assert 0 < told["average_uptime"] <= 100
    answer = await owner.get(f"{AT}/summary", params={"timezone": "Europe/Nowhere"})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["timezone"]


async def test_spots_ranges_are_read_from_query_and_body_in_all_their_forms(hub: WholeHub, owner: Client) -> None:
    async def ask(path: str, query: dict[str, Any], body: Any = None) -> httpx2.Response:
        content = None if body is None else json.dumps(body)
        headers = {"content-type": "application/json", "accept": "application/json"}
        return await owner.request("GET", f"{AT}/{path}", params=query, content=content, headers=headers)

    both = {"player_id": "1", "layout_id": "1", "granularity": "day"}
    told = (await ask("playback", JANUARY | both, SPOTS_BODY | {"player_id": 16, "granularity": "hour"})).json()
    assert told["meta"]["granularity"] == "day"
    assert [row["period"] for row in told["data"]] == [f"2026-01-{day:02d}T00:00:00Z" for day in range(1, 32)]
    assert told["data"][0] == {"period": "2026-01-01T00:00:00Z", "plays": 0, "duration_seconds": 0}
    told = (await ask("playback", {}, SPOTS_BODY | {"player_id": 16, "layout_id": 16, "granularity": "week"})).json()
    assert told["data"][0]["period"] == "2026-04-27T00:00:00Z"
    assert rfc3339(now_ms() - 7 * DAY) < told["data"][-1]["period"] < rfc3339(now_ms() + DAY + MINUTE)
    hours = SPOTS_BODY | {"from": rfc3339(now_ms() - 9 * DAY), "granularity": "hour"}
    assert len((await ask("playback", {}, hours)).json()["data"]) in (10 * 24, 10 * 24 + 1)  # with one day to come
    assert len((await ask("playback", {}, hours | {"from": "2052-01-01T00:01:00Z"})).json()["data"]) <= 1
    answer = await ask("playback", {}, hours | {"from": "2020-01-01"})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["granularity"]

    player = (await owner.post("/api/v1/players", json={"name": "New"})).json()["data"]["id"]
    for since in ("2026-01-01T00:00:00.000000", "2026-01-02T00:00:00.000000+0000", "2026-01-01"):
        answer = await ask("players/uptime", {"from": since, "to": "2026-01-03"})
        assert answer.status_code == 200, since
        [row] = answer.json()["data"]
        assert row == {
            "player_id": player,
            "name": "New",
            "online_percentage": 0.0,
            "offline_percentage": 0.0,
            "unknown_percentage": 100.0,  # it did not exist then
        }
    assert (await ask("impressions", JANUARY, SPOTS_BODY | {"campaign_id": 16})).json()["totals"]["impressions"] == 0

    for query, field in (
        ({"from": "2026-01-02", "to": "2026-01-01"}, "to"),
        ({"from": "2026-01-02"}, "to"),
        ({"to": "2026-01-02"}, "from"),
        ({"from": "yesterday", "to": "2026-01-02"}, "from"),
        ({"from": "1969-12-31", "to": "2026-01-02"}, "from"),
        ({"from": "2026-01-01", "to": "9999-12-31"}, "to"),
        ({"from": "0001-01-01T00:00:00+23:59", "to": "2026-01-02"}, "from"),
        (JANUARY | {"granularity": "minute"}, "granularity"),
        (JANUARY | {"player_id": "-1"}, "player_id"),
        (JANUARY | {"player_id": str(2**64)}, "player_id"),
    ):
        answer = await ask("playback", query)
        assert answer.status_code == 422, query
        assert list(answer.json()["errors"]) == [field]
    assert (await ask("impressions", {"from": "2026-01-01", "to": "9999-12-31"})).status_code == 422
    assert (await owner.get("/api/v1/plays", params={"before": "x"})).status_code == 422
    assert (await owner.get("/api/v1/plays", params={"to": "1970-01-01"})).status_code == 200

    rest = await hub.as_owner("read:players", "read:content", "admin")
    for path in ("summary", "playback", "playback/export", "players/uptime", "impressions"):
        answer = await rest.get(f"{AT}/{path}", params=JANUARY)
        assert answer.status_code == 403
        assert answer.json()["message"] == "This API key lacks the required scope: read:analytics."


async def test_plays_that_cannot_be_read_change_nothing(hub: WholeHub, owner: Client, player: int) -> None:
    client = await device(hub, player)
    good = play(1, now_ms())
    for bad in (
        {"id": "two words"},
        {"asset_id": 0},
        {"asset_id": 2**63},
        {"started_at": "soon"},
        {"duration_s": -1},
        {"duration_s": 1.5},
        {"completed": "yes"},
        {"surprise": 1},
    ):
        answer = await client.post("/api/v1/plays", json={"entries": [good, good | bad]})
        assert answer.status_code == 422, bad
        assert [name.partition(".")[2].partition(".")[0] for name in answer.json()["errors"]] == ["1"]
    assert (await client.post("/api/v1/plays", json={"entries": [good] * 501})).status_code == 422
    assert (await client.post("/api/v1/plays", json={"entries": []})).status_code == 422
    assert (await owner.get("/api/v1/plays")).json()["data"] == []


async def test_an_export_is_a_link_that_needs_no_key(hub: WholeHub, owner: Client, nobody: Client, player: int) -> None:
    client = await device(hub, player)
    now = now_ms()
    await client.post("/api/v1/plays", json={"entries": [play(number, now - number * MINUTE) for number in range(3)]})
    await owner.patch(f"/api/v1/players/{player}", json={"name": "=HYPERLINK(1)"})
    asked = (await owner.get(f"{AT}/playback/export", params={"from": rfc3339(now - DAY), "to": rfc3339(now)})).json()
    assert asked["url"].startswith(f"{BASE}/api/v1/exports/exp_")
    file = await nobody.get(asked["url"])
    assert file.status_code == 200
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"].startswith('attachment; filename="exp_')
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["started_at"] for row in rows] == [rfc3339(now - number * MINUTE) for number in (2, 1, 0)]
    assert {row["player"] for row in rows} == {"'=HYPERLINK(1)"}
    assert {row["duration_seconds"] for row in rows} == {"10"}
    assert (await nobody.get(asked["url"][:-1])).status_code == 403
    assert (await nobody.get(asked["url"].replace("expires=", "expires=1"))).status_code == 403
    assert (await nobody.get(asked["url"].partition("?")[0])).status_code == 403
    assert (
        await owner.get(f"{AT}/playback/export", params={"from": "2026-01-02", "to": "2026-01-01"})
    ).status_code == 422
