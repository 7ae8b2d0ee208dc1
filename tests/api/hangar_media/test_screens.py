"""Hangar.Media's screens, content and schedules, by its ids and by our numbers."""

from typing import Any

import httpx2

from hub.domain.access import SCOPES
from tests.media import picture
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def told(client: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_screen_is_made_paired_by_its_code_renamed_and_deleted(
    hub: WholeHub, owner: Client, stranger: Client, nobody: Client
) -> None:
    made = (await told(owner, "POST", "/v1/screens", {"name": "Lobby Display"}, 201))["data"]
    code = made.pop("pairing_code")
    assert made.pop("pairing_code_expires_at")
    assert made == {**made, "name": "Lobby Display", "status": "offline", "ip_address": None, "last_seen_at": None}
    path = f"/v1/screens/{made['id']}"
    number = (await told(owner, "GET", "/api/v1/players"))["data"][0]["id"]
    assert await told(owner, "GET", path) == await told(owner, "GET", f"/v1/screens/{number}") == {"data": made}
    assert (await told(owner, "GET", "/v1/screens"))["meta"]["total"] == 1

    assert (await owner.get(f"/api/v1/players/pair/{code}")).status_code == 404  # it is shown by no device
    device = {"client_id": "player", "hardware_id": "b8:27", "pairing_code": f" {code[:3].lower()}-{code[3:]}"}
    asked = await nobody.post("/oauth/device_authorization", data=device)
    assert asked.status_code == 200, asked.text
    body = {"grant_type": GRANT, "device_code": asked.json()["device_code"]}
    assert (await nobody.post("/oauth/token", data=body)).json()["player_id"] == number
    used = await nobody.post("/oauth/device_authorization", data=device)
    assert (used.status_code, used.json()["error"]) == (400, "invalid_grant")
    path_of_code = f"/api/v1/players/{number}/pairing-code"
    first, second = [(await told(owner, "POST", path_of_code, status=201))["data"]["code"] for _ in range(2)]
    void = await nobody.post("/oauth/device_authorization", data=device | {"pairing_code": first})
    assert void.status_code == 400
    anew = await nobody.post("/oauth/device_authorization", data=device | {"pairing_code": second})
    assert anew.status_code == 200
    guesses = [await nobody.post("/oauth/device_authorization", data=device | {"pairing_code": "X"}) for _ in range(12)]
    assert {guess.status_code for guess in guesses} == {400, 429}

    assert (await told(owner, "PUT", path, {"name": "Entrance"}))["data"] == made | {"name": "Entrance"}
    for wrong in ({}, {"name": ""}, {"name": None}):
        assert "name" in (await told(owner, "PUT", path, wrong, 422))["errors"]
    for nowhere in ("/v1/screens/scr_0000000000000", "/v1/screens/0", "/v1/screens/lobby", f"/v1/screens/{2**63}"):
        await told(owner, "GET", nowhere, status=404)
    for where in (path, f"/v1/screens/{number}"):
        for method in ("GET", "PUT", "DELETE"):
            await told(stranger, method, where, {"name": "x"} if method == "PUT" else None, 404)
    assert await told(owner, "DELETE", path) == {"message": "Screen deleted."}
    await told(owner, "GET", path, status=404)


async def test_making_and_deleting_screens_needs_no_more_than_to_write_players(hub: WholeHub, owner: Client) -> None:
    writer = await hub.as_owner("write:players")
    made = (await told(writer, "POST", "/v1/screens", {"name": "Lobby Display"}, 201))["data"]
    assert made["pairing_code"]
    number = (await told(owner, "GET", "/api/v1/players"))["data"][0]["id"]
    await told(writer, "DELETE", f"/api/v1/players/{number}", status=403)  # the hub's own calls ask for `admin`
    await told(writer, "POST", "/api/v1/players", {"name": "Lobby Display"}, 403)
    await told(writer, "POST", f"/api/v1/players/{number}/pairing-code", status=403)
    reader = await hub.as_owner(*(SCOPES.keys() - {"write:players"}))
    await told(reader, "POST", "/v1/screens", {"name": "Lobby Display"}, 403)
    await told(reader, "DELETE", f"/v1/screens/{made['id']}", status=403)
    assert await told(writer, "DELETE", f"/v1/screens/{made['id']}") == {"message": "Screen deleted."}


async def test_content_is_uploaded_listed_and_deleted(owner: Client, stranger: Client, nobody: Client) -> None:
    files = {"file": ("promo.png", picture(), "image/png")}
    answer = await owner.post("/v1/content", data={"name": "Summer Promo"}, files=files)
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    assert made["id"].startswith("cnt_")
    assert (made["name"], made["type"], made["status"]) == ("Summer Promo", "image", "active")
    assert (await nobody.get(made["url"])).content == picture()
    news = {"name": "News", "type": "web", "source_url": "https://example.com/news"}
    assert (await told(owner, "POST", "/v1/content", news, 201))["data"]["url"] == news["source_url"]
    for wrong, field in (({}, "name"), ({"name": "x"}, "file"), (news | {"type": "image"}, "type")):
        assert field in (await told(owner, "POST", "/v1/content", wrong, 422))["errors"]
    wrong_type = await owner.post("/v1/content", data={"name": "x", "type": "video"}, files=files)
    assert wrong_type.status_code == 422
    listed = await told(owner, "GET", "/v1/content")
    assert {each["name"] for each in listed["data"]} == {"Summer Promo", "News"}
    assert (await told(stranger, "GET", "/v1/content"))["data"] == []
    await told(stranger, "DELETE", f"/v1/content/{made['id']}", status=404)
    assert await told(owner, "DELETE", f"/v1/content/{made['id']}") == {"message": "Content deleted."}
    await told(owner, "DELETE", f"/v1/content/{made['id']}", status=404)
    other = (await told(owner, "GET", "/api/v1/assets"))["data"][0]["id"]
    await told(owner, "DELETE", f"/v1/content/{other}")


async def test_a_schedule_is_assigned_to_many_screens(owner: Client, stranger: Client) -> None:
    playlist = (await told(owner, "POST", "/api/v1/playlists", {"name": "Lobby"}, 201))["data"]["id"]
    body = {"name": "Morning", "playlist_id": playlist, "days_of_week": [1, 2, 3, 4, 5], "start_time": "09:00"}
    made = (await told(owner, "POST", "/v1/schedules", body, 201))["data"]
    assert made == {**made, **body, "end_time": None, "is_active": True, "screen_ids": [], "conditions": []}
    assert made["id"].startswith("sch_")
    screens = [(await told(owner, "POST", "/v1/screens", {"name": f"Screen {n}"}, 201))["data"]["id"] for n in "12"]
    second = (await told(owner, "GET", "/api/v1/players"))["data"][1]["id"]
    path = f"/v1/schedules/{made['id']}/assign"
    both = (await told(owner, "POST", path, {"screen_ids": [screens[0], second]}))["data"]
    assert sorted(both["screen_ids"]) == sorted(screens)
    number = (await told(owner, "GET", "/api/v1/schedules"))["data"][0]["id"]
    one = await told(owner, "POST", f"/v1/schedules/{number}/assign", {"screen_ids": [screens[1]]})
    assert one["data"]["screen_ids"] == [screens[1]]
    assert (await told(owner, "GET", "/v1/schedules"))["data"] == [one["data"]]
    for wrong in ({}, {"screen_ids": ["scr_0000000000000"]}, {"screen_ids": [999]}, {"screen_ids": ["lobby"]}):
        await told(owner, "POST", path, wrong, 422)
    await told(stranger, "POST", path, {"screen_ids": []}, 404)
    assert "playlist_id" in (await told(owner, "POST", "/v1/schedules", {"playlist_id": 999}, 422))["errors"]
    assert (await told(owner, "POST", path, {"screen_ids": []}))["data"]["screen_ids"] == []
