"""AdCast's devices from their first registration to their last heartbeat, as its clients and its players call."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.media import picture
from tests.whole_hub import BASE, WholeHub, whole_hub

Client = httpx2.AsyncClient
UUID = "unique-device-id-abc123"


async def told(client: Client, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
    answer = await client.request(method, path, json=body, **more)
    assert answer.status_code == status, answer.text
    return answer.json()


async def heartbeat(device: Client, **readings: Any) -> Any:
    return await told(device, "POST", "/api/device/heartbeat", {"uuid": UUID, **readings})


async def paired(owner: Client, device: Client, uuid: str = UUID) -> int:
    registered = await told(device, "POST", "/api/device/register", {"uuid": uuid, "model": "Mi Box", "more": [1]})
    body = {"pairing_code": registered["pairing_code"].lower(), "name": "Lobby Display"}
    found = await told(owner, "POST", "/api/devices/pair", body)
    number: int = found["device"]["id"]
    assert found == {"device": {"id": number, "name": "Lobby Display", "uuid": uuid, "status": "online"}}
    assert number == registered["device_id"]
    return number


async def test_a_device_that_polls_is_paired_watched_commanded_locked_and_deleted(
    hub: WholeHub, owner: Client, stranger: Client, nobody: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "hub")
    number = await paired(owner, nobody)
    path = f"/api/devices/{number}"
    used = await owner.post("/api/devices/pair", json={"pairing_code": "222222"})
    assert used.status_code == 422
    assert list(used.json()["errors"]) == ["pairing_code"]

    first = await heartbeat(
        nobody, ip_address="192.168.1.100", wifi_signal=-45, storage_total_mb=16000, storage_used_mb=2400.5, volume=80,
        screen_on=True, uptime_seconds=86400, current_content="Summer Promo", unknown="ignored",
    )  # fmt: skip
    assert first == {
        "status": "ok",
        "has_update": True,
        "is_locked": False,
        "lock_pin": None,
        "has_pending_commands": False,
        "pending_commands": [],
        "emergency_alerts": [],
        "app_update": None,
    }
    device = (await told(owner, "GET", path))["device"]
    assert device | {"last_seen_at": ""} == {
        "id": number, "name": "Lobby Display", "uuid": UUID, "status": "online", "model": "Mi Box", "os_version": None,
        "app_version": None, "last_seen_at": "", "ip_address": "192.168.1.100", "device_group_id": None,
        "storage_total_mb": 16000, "storage_used_mb": 2400.5, "storage_free_mb": None, "wifi_signal": -45, "volume": 80,
        "is_locked": False, "screen_on": True, "uptime_seconds": 86400, "current_content": "Summer Promo",
    }  # fmt: skip
    await heartbeat(nobody, current_content=None, volume=None)
    again = (await told(owner, "GET", path))["device"]
    assert (again["current_content"], again["volume"]) == (None, 80)

    sent = await told(owner, "POST", path + "/command", {"type": "refresh"})
    assert sent["message"] == "Command sent."
    number, command_id = sent["command"].pop("id"), sent["command"].pop("command_id")
    assert sent["command"] == {"type": "refresh", "payload": {}, "status": "pending"}
    assert (await told(owner, "GET", f"/api/v1/commands/{command_id}"))["data"]["command"] == "reload_content"
    await told(owner, "POST", path + "/command", {"type": "set_volume", "payload": {"volume": 50}})
    handed = await heartbeat(nobody)
    assert handed["has_pending_commands"]
    assert [(each["type"], each["payload"]) for each in handed["pending_commands"]] == [
        ("refresh", {}),
        ("set_volume", {"volume": 50}),
    ]
    first = handed["pending_commands"][0]
    assert (first["id"], first["command_id"]) == (number, command_id)
    assert 0 < number < 2**53
    assert (await heartbeat(nobody, volume=50))["pending_commands"] == []
    stories = (await told(owner, "GET", "/api/v1/commands"))["data"]
    assert {story["command"]: story["status"] for story in stories} == {
        "reload_content": "delivered",
        "set_volume": "succeeded",
    }
    for wrong, field in (
        ({"type": "explode"}, "type"),
        ({"type": "set_volume", "payload": {"volume": 500}}, "payload.volume"),
    ):
        assert field in (await told(owner, "POST", path + "/command", wrong, 422))["errors"]

    assert await told(owner, "POST", path + "/lock", {"pin": "1234"}) == {"message": "Device locked."}
    assert (await told(owner, "GET", path))["device"]["is_locked"]
    locked = await heartbeat(nobody)
    assert (locked["is_locked"], locked["lock_pin"]) == (True, "1234")
    assert await told(owner, "POST", path + "/unlock") == {"message": "Device unlocked."}
    assert (await heartbeat(nobody))["lock_pin"] is None

    group = (await told(owner, "POST", "/api/v1/player-groups", {"name": "Lobby"}, 201))["data"]["id"]
    changed = await told(owner, "PUT", path, {"name": "Main Entrance", "device_group_id": group})
    assert (changed["device"]["name"], changed["device"]["device_group_id"]) == ("Main Entrance", group)
    assert (await told(owner, "PUT", path, {"device_group_id": None}))["device"]["device_group_id"] is None
    assert "device_group_id" in (await told(owner, "PUT", path, {"device_group_id": 999}, 422))["errors"]
    await told(owner, "PUT", path, {"other": 1}, 422)

    for method, where, body in (
        ("GET", path, None), ("PUT", path, {"name": "x"}), ("POST", path + "/command", {"type": "reboot"}),
        ("POST", path + "/lock", {"pin": "1234"}), ("DELETE", path, None),
    ):  # fmt: skip
        assert await told(stranger, method, where, body, 404) == {"message": "Not found.", "code": "not_found"}
    assert (await told(stranger, "GET", "/api/devices"))["meta"]["total"] == 0

    await told(owner, "POST", "/api/v1/players", {"name": "Agent"}, 201)
    listed = await told(owner, "GET", "/api/devices?per_page=1&page=2")
    assert listed["meta"] == {"current_page": 2, "last_page": 2, "total": 2, "per_page": 1}
    assert listed["data"][0]["uuid"].startswith("scr_")
    assert await told(owner, "DELETE", path) == {"message": "Device deleted successfully."}
    gone = await told(nobody, "POST", "/api/device/heartbeat", {"uuid": UUID}, 404)
    assert gone["message"] == "Device not registered."
    events = (await told(owner, "GET", "/api/v1/events"))["data"]
    assert {"player.paired", "player.online", "command.finished"} <= {event["event"] for event in events}
    for secret in (UUID, "1234"):
        assert secret not in caplog.text + str(events)


async def test_a_device_hears_of_alerts_and_of_new_software(owner: Client, nobody: Client) -> None:
    number = await paired(owner, nobody)
    alert = {"title": "Fire", "message": "Leave the building.", "severity": "Extreme", "player_ids": [number]}
    made = (await told(owner, "POST", "/api/v1/alerts", alert, 201))["data"]
    offer = {"version": "2.1.0", "url": "https://example.com/player.apk", "sha256": "a" * 64, "notes": "Faster."}
    rest = {name: value for name, value in offer.items() if name != "version"}
    await told(owner, "POST", "/api/v1/releases", {"version_name": "2.1.0", **rest}, 201)
    answer = await heartbeat(nobody)
    assert [(each["id"], each["title"]) for each in answer["emergency_alerts"]] == [(made["id"], "Fire")]
    assert answer["app_update"] == offer | {"mandatory": False}
    await told(nobody, "POST", "/api/device/register", {"uuid": UUID, "app_version": "2.1.0"})
    await told(owner, "POST", f"/api/v1/alerts/{made['id']}/clear")
    answer = await heartbeat(nobody)
    assert (answer["emergency_alerts"], answer["app_update"]) == ([], None)


async def test_a_device_that_connects_is_paired_by_the_same_call(hub: WholeHub, owner: Client, nobody: Client) -> None:
    asked = await nobody.post("/oauth/device_authorization", data={"client_id": "player", "hardware_id": "b8:27"})
    found = await told(owner, "POST", "/api/devices/pair", {"pairing_code": asked.json()["user_code"]})
    assert found["device"]["uuid"].startswith("scr_")
    seen = (await told(owner, "GET", f"/api/v1/players/{found['device']['id']}"))["data"]
    assert seen["uuid"] is None


async def test_what_a_device_shows_is_its_alone_to_fetch_and_kept_in_step(
    hub: WholeHub, owner: Client, stranger: Client, nobody: Client
) -> None:
    query = {"uuid": UUID}
    nothing: dict[str, Any] = {
        "playlist": None,
        "content_to_download": [],
        "content_to_delete": [],
        "show_watermark": False,
    }
    await told(nobody, "POST", "/api/device/register", {"uuid": UUID})
    assert await told(nobody, "GET", "/api/device/playlist", params=query) == nothing
    assert not (await heartbeat(nobody))["has_update"]
    await paired(owner, nobody)
    assert (await told(nobody, "GET", "/api/device/playlist", params=query))["playlist"] is None
    assert not (await heartbeat(nobody))["has_update"]

    bytes_of = {name: picture(color=name) for name in ("teal", "navy", "red")}
    made = {}
    for name, data in bytes_of.items():
        fields = {"name": name, "type": "image", "source_url": "", "duration": "30"}
        answer = await owner.post("/api/content", data=fields, files={"file": (f"{name}.png", data, "image/png")})
        assert answer.status_code == 201, answer.text
        made[name] = answer.json()["content"]
    news = {"name": "News", "type": "web", "source_url": "https://example.com/news"}
    made["news"] = (await told(owner, "POST", "/api/content", news, 201))["content"]
    items = [{"content_id": made["teal"]["id"], "duration": 7}, {"content_id": made["news"]["id"]}]
    body = {"name": "Lobby", "transition": "fade", "is_default": True, "items": items}
    playlist = (await told(owner, "POST", "/api/playlists", body, 201))["playlist"]

    assert (await heartbeat(nobody))["has_update"]
    program = await told(nobody, "GET", "/api/device/playlist", params=query)
    where = f"{BASE}/api/device/content/{made['teal']['id']}/download?uuid={UUID}"
    shown = {
        "id": playlist["items"][0]["id"],
        "content_id": made["teal"]["id"],
        "name": "teal",
        "type": "image",
        "download_url": where,
        "duration": 7,
        "file_hash": made["teal"]["file_hash"],
        "order": 1,
    }
    assert program["playlist"]["items"][0] == shown
    assert program["playlist"]["items"][1]["download_url"] == "https://example.com/news"
    assert program["content_to_download"] == [shown | {"id": made["teal"]["id"], "duration": 30}]
    assert not (await heartbeat(nobody))["has_update"]

    part = await nobody.get(where, headers={"range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, bytes_of["teal"][:8])
    whole = await nobody.get(where)
    assert (whole.status_code, whole.content) == (200, bytes_of["teal"])
    known = await nobody.get(where, headers={"if-none-match": whole.headers["etag"]})
    assert known.status_code == 304
    on = await nobody.get(f"/api/device/content/{made['news']['id']}/download", params=query)
    assert (on.status_code, on.headers["location"]) == (302, "https://example.com/news")
    elsewhere = f"/api/device/content/{made['navy']['id']}/download"
    assert (await nobody.get(elsewhere, params=query)).status_code == 404
    other = await nobody.get(f"/api/device/content/{made['teal']['id']}/download", params={"uuid": "other"})
    assert (other.status_code, other.json()["message"]) == (404, "Device not registered.")
    assert (await told(nobody, "GET", "/api/device/playlist", params=query))["content_to_download"] == []

    await told(owner, "PUT", f"/api/playlists/{playlist['id']}", {"items": [{"content_id": made["navy"]["id"]}]})
    assert (await heartbeat(nobody))["has_update"]
    program = await told(nobody, "GET", "/api/device/playlist", params=query)
    assert [each["name"] for each in program["content_to_download"]] == ["navy"]
    assert program["content_to_delete"] == [made["teal"]["id"]]
    assert (await nobody.get(where)).status_code == 404

    await paired(stranger, nobody, "their-device")
    theirs = await told(nobody, "GET", "/api/device/playlist", params={"uuid": "their-device"})
    assert theirs["playlist"] is None
    assert (await nobody.get(elsewhere, params={"uuid": "their-device"})).status_code == 404


async def test_without_polling_a_uuid_opens_nothing(tmp_path: Path) -> None:
    async with whole_hub(tmp_path, polling={"enabled": False}) as hub:
        device = hub.client()
        for method, path, body in (
            ("POST", "/api/device/register", {"uuid": UUID}), ("POST", "/api/device/heartbeat", {"uuid": UUID}),
            ("GET", f"/api/device/playlist?uuid={UUID}", None),
            ("GET", f"/api/device/content/1/download?uuid={UUID}", None),
        ):  # fmt: skip
            assert (await told(device, method, path, body, 404))["code"] == "polling_off"
