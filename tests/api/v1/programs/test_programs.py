"""What a player shows, from an operator's side and from the player's own."""

import hashlib
import io
from typing import Any

import httpx2
from PIL import Image

from hub.domain.program import MAX_ASKED
from hub.services.players import Players
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient


async def made(owner: Client, noun: str, **body: Any) -> dict[str, Any]:
    answer = await owner.post(f"/api/v1/{noun}", json=body)
    assert answer.status_code == 201, answer.text
    thing: dict[str, Any] = answer.json()["data"]
    return thing


async def uploaded(owner: Client, name: str, colour: str) -> tuple[int, bytes]:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "PNG")
    answer = await owner.post(
        "/api/v1/assets", files={"file": (f"{name}.png", file.getvalue(), "image/png")}, data={"name": name}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["id"], file.getvalue()


async def as_player(hub: WholeHub, player_id: int) -> Client:
    players: Players = hub.services.players
    return hub.client(await players.issue_token(hub.owner, player_id, face="signalbox"))


async def explained(client: Client, player_id: int, **query: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/players/{player_id}/program", params=query)
    assert answer.status_code == 200, answer.text
    program: dict[str, Any] = answer.json()["data"]
    return program


async def test_a_player_is_told_what_to_show_and_people_are_told_why(
    hub: WholeHub, owner: Client, stranger: Client, player: int
) -> None:
    poster, poster_bytes = await uploaded(owner, "Poster", "teal")
    unused, _ = await uploaded(owner, "Unused", "red")
    site = await made(owner, "assets", name="News", type="web", source_url="https://example.com/news", duration_s=30)
    berlin = await made(owner, "locations", name="Berlin", timezone="Europe/Berlin")
    group = await made(owner, "player-groups", name="Lobbies", player_ids=[player])
    items = [{"asset_id": poster, "duration": 10}, {"asset_id": site["id"]}]
    standard = await made(owner, "playlists", name="Standard", is_default=True, items=items)
    morning = await made(owner, "playlists", name="Morning", transition="fade", items=items[:1])
    wall = await made(owner, "layouts", name="Wall", zones=[
        {"name": "Left", "x": 0, "y": 0, "width": 50, "height": 100, "playlist_id": morning["id"]},
        {"name": "Right", "x": 50, "y": 0, "width": 50, "height": 100, "asset_id": site["id"]},
    ])  # fmt: skip
    opened = await owner.patch(f"/api/v1/players/{player}", json={"location_id": berlin["id"]})
    assert opened.json()["data"]["playlist"] == {"id": standard["id"], "name": "Standard"}

    program = await explained(owner, player)
    assert program["playing"] == {"kind": "playlist", "id": standard["id"], "name": "Standard", "schedule": None}
    assert program["reason"]["code"] == "default_playlist"
    assert (program["timezone"], program["reported_revision"], program["in_step"]) == ("Europe/Berlin", None, False)

    schedule = await made(
        owner, "schedules", name="Breakfast", playlist_id=morning["id"], start_time="06:00", end_time="10:00",
        start_date="2027-03-28", targets=[{"type": "group", "id": group["id"]}],
    )  # fmt: skip
    await made(
        owner, "schedules", name="Hot days", layout_id=wall["id"], priority=5,
        conditions=[{"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"}],
        targets=[{"type": "player", "id": player}],
    )  # fmt: skip
    dawn = await explained(owner, player, at="2027-03-28T04:00:00Z")  # 06:00 there, on the day the clocks jump
    assert dawn["local_time"] == "2027-03-28T06:00:00+02:00"
    assert dawn["playing"]["schedule"] == {
        "id": schedule["id"], "schedule_id": schedule["schedule_id"], "name": "Breakfast"
    }  # fmt: skip
    assert dawn["next_change_at"] == "2027-03-28T08:00:00Z"
    assert [(one["kind"], one["code"]) for one in dawn["others"]] == [
        ("schedule", "weather"), ("default_playlist", "scheduled")
    ]  # fmt: skip
    assert (await explained(owner, player, at="2027-03-28T03:59:00Z"))["playing"]["id"] == standard["id"]

    windows = (await owner.get(f"/api/v1/players/{player}/timeline", params={"days": 2})).json()["data"]
    (window,) = windows["windows"]
    assert (window["kind"], window["name"], window["condition"]) == ("layout", "Wall", ["weather gt 30 celsius"])
    assert (window["fallback"]["playlist_id"], window["fallback"]["name"]) == (standard["id"], "Standard")
    assert (window["from"], window["to"]) == (windows["from"], windows["to"])

    screen = await as_player(hub, player)
    answer = await screen.get("/api/v1/player/manifest")
    manifest = answer.json()
    assert answer.headers["etag"] == f'"{manifest["revision"]}"'
    assert manifest["revision"] == (await explained(owner, player))["revision"]
    assert manifest["conditions"] == {"weather gt 30 celsius": False}
    assert set(manifest["playlists"]) == {str(standard["id"]), str(morning["id"])}
    assert [item["asset_id"] for item in manifest["playlists"][str(standard["id"])]["items"]] == [poster, site["id"]]
    assert [zone["asset_id"] for zone in manifest["layouts"][str(wall["id"])]["zones"]] == [None, site["id"]]
    assert manifest["assets"][str(site["id"])]["url"] == "https://example.com/news"
    file = manifest["assets"][str(poster)]
    assert (file["sha256"], file["size"]) == (hashlib.sha256(poster_bytes).hexdigest(), len(poster_bytes))

    same = await screen.get("/api/v1/player/manifest", headers={"If-None-Match": f'"x", {answer.headers["etag"]}'})
    assert (same.status_code, same.content) == (304, b"")
    assert (await screen.get(file["url"])).content == poster_bytes
    part = await screen.get(file["url"], headers={"Range": "bytes=5-9", "If-Range": f'"{file["sha256"]}"'})
    assert (part.status_code, part.content) == (206, poster_bytes[5:10])
    assert (await screen.get(f"/api/v1/player/assets/{unused}")).status_code == 404

    await owner.patch(f"/api/v1/playlists/{standard['id']}", json={"name": "Standard, renamed"})
    changed = await screen.get("/api/v1/player/manifest", headers={"If-None-Match": answer.headers["etag"]})
    assert changed.json()["revision"] != manifest["revision"]
    other = await made(owner, "players", name="Elsewhere")
    assert (await owner.get("/api/v1/players")).status_code == 200
    untouched = changed.json()["revision"]
    await made(owner, "schedules", playlist_id=morning["id"], targets=[{"type": "player", "id": other["id"]}])
    assert (await screen.get("/api/v1/player/manifest")).json()["revision"] == untouched

    for path in ("program", "timeline"):
        assert (await stranger.get(f"/api/v1/players/{player}/{path}")).status_code == 404
        assert (await screen.get(f"/api/v1/players/{player}/{path}")).status_code == 403
    assert (await owner.get("/api/v1/player/manifest")).status_code == 403
    assert (await owner.get(f"/api/v1/player/assets/{poster}")).status_code == 403
    far = await owner.get(f"/api/v1/players/{player}/program", params={"at": "2999-01-01T00:00:00Z"})
    assert (far.status_code, list(far.json()["errors"])) == (422, ["at"])


async def test_a_layout_is_assigned_and_goes_with_its_group(owner: Client, hub: WholeHub, player: int) -> None:
    poster, _ = await uploaded(owner, "Poster", "teal")
    zones = [{"x": 0, "y": 0, "width": 100, "height": 100, "asset_id": poster}]
    first = await made(owner, "layouts", name="First", zones=zones)
    second = await made(owner, "layouts", name="Second", zones=zones)
    group = await made(owner, "player-groups", name="Lobbies")
    await owner.patch(f"/api/v1/layouts/{first['id']}/assign", json={"group_ids": [group["id"]]})
    assert (await explained(owner, player))["playing"]["kind"] == "nothing"
    await owner.patch(f"/api/v1/players/{player}", json={"group_ids": [group["id"]]})
    assert (await explained(owner, player))["playing"]["name"] == "First"
    await owner.patch(f"/api/v1/layouts/{second['id']}/assign", json={"player_ids": [player]})
    program = await explained(owner, player)
    assert (program["playing"]["name"], program["reason"]["code"]) == ("Second", "player_layout")
    assert [(one["name"], one["code"]) for one in program["others"]] == [("First", "outranked")]
    shown = await hub.services.programs.now(player)
    assert (shown["playlist"], shown["asset_ids"]) == (None, [poster])
    await owner.delete(f"/api/v1/assets/{poster}")
    assert (await explained(owner, player))["playing"]["kind"] == "nothing"


async def test_very_many_schedules_that_ask_about_the_weather_are_answered_with_a_bounded_chain(
    owner: Client, player: int
) -> None:
    site = await made(owner, "assets", name="News", type="web", source_url="https://example.com/news", duration_s=30)
    news = await made(owner, "playlists", name="News", items=[{"asset_id": site["id"]}])
    hot = [{"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"}]
    for number in range(260):
        await made(owner, "schedules", name=f"Hot {number}", playlist_id=news["id"], conditions=hot,
                   targets=[{"type": "player", "id": player}])  # fmt: skip
    assert (await explained(owner, player))["playing"]["kind"] == "nothing"
    answer = await owner.get(f"/api/v1/players/{player}/timeline")
    assert answer.status_code == 200, answer.text
    (window,) = answer.json()["data"]["windows"]
    depth = 0
    while "fallback" in window:
        window, depth = window["fallback"], depth + 1
    assert (depth, window["kind"]) == (MAX_ASKED, "nothing")
