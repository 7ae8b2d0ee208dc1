"""Every way to make something that a quota counts, with no place left: refused by the quota's name, nothing done."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from sqlmodel import SQLModel

import hub.store.tables  # noqa: F401
from hub.domain.quotas import QUOTAS, Limits
from hub.store import quotas
from hub.store.quotas import COUNTED
from tests.media import picture
from tests.quotas import settings_of
from tests.whole_hub import WholeHub, whole_hub

Client = httpx2.AsyncClient

MEASURED = {"player_bytes", "mails_per_hour", "plays_per_day", "device_events_per_day", "uploads", "player_uploads",
            "operator_sockets", "event_streams", "waiting_requests", "deliveries", "downloads"}  # fmt: skip
"""Tested where they are: in tests of uploads, mails, plays, webhooks and sockets."""


def file(color: str) -> dict[str, Any]:
    return {"file": ("a.png", picture(color=color), "image/png")}


RULE = {"name": "Black", "kind": "picture_black", "everyone": True}

WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ("players", "/api/v1/players", {"json": {"name": "Lobby"}}),
    ("players", "/v1/screens", {"json": {"name": "Lobby"}}),
    ("players", "/api/v1/players/pair", {"json": {"code": "{code}"}}),
    ("players", "/api/v1/players/pair", {"json": {"code": "{polling}"}}),
    ("players", "/api/devices/pair", {"json": {"pairing_code": "{polling}", "name": "Lobby"}}),
    ("groups", "/api/v1/player-groups", {"json": {"name": "All"}}),
    ("members", "/api/v1/members", {"json": {"name": "Ann", "email": "ann@acme.example", "role": "viewer"}}),
    ("api_keys", "/api/v1/api-keys", {"json": {"name": "Wall", "scopes": ["read:players"]}}),
    ("api_keys", "/api/v1/keys", {"json": {"name": "wallboard", "permissions": ["view_stats"]}}),
    ("oauth_clients", "/api/v1/oauth-clients",
     {"json": {"name": "Editor", "redirect_uris": ["https://acme.example/"], "scopes": ["read:players"]}}),
    ("webhooks", "/api/v1/webhooks", {"json": {"url": "https://acme.example/", "events": ["player.online"]}}),
    ("alert_rules", "/api/v1/alert-rules", {"json": RULE}),
    ("alerts", "/api/v1/alerts", {"json": {"title": "Fire", "message": "Leave", "everyone": True}}),
    ("licences", "/api/v1/licences", {"json": {}}),
    ("releases", "/api/v1/releases",
     {"json": {"version_name": "9", "url": "https://acme.example/player.apk", "sha256": "0" * 64}}),
    ("assets", "/api/v1/assets", {"json": {"name": "News", "type": "web", "source_url": "https://acme.example/"}}),
    ("assets", "/api/v1/assets", {"files": file("red")}),
    ("stored_bytes", "/api/v1/assets", {"files": file("green")}),
    ("stored_bytes", "/v1/content", {"files": file("blue"), "data": {"name": "News", "type": "image"}}),
    ("stored_bytes", "/api/content", {"files": file("white"), "data": {"name": "News", "type": "image"}}),
    ("folders", "/api/v1/folders", {"json": {"name": "News"}}),
    ("playlists", "/api/v1/playlists", {"json": {"name": "Day"}}),
    ("playlists", "/api/playlists", {"json": {"name": "Day"}}),
    ("playlist_items", "/api/v1/playlists", {"json": {"name": "Day", "items": [{"asset_id": "{asset}"}]}}),
    ("playlist_items", "/api/playlists", {"json": {"name": "Day", "items": [{"content_id": "{asset}"}]}}),
    ("playlist_items", "PATCH /api/v1/playlists/{playlist}/items", {"json": {"items": [{"asset_id": "{asset}"}]}}),
    ("playlist_items", "PATCH /api/v1/playlists/{playlist}", {"json": {"items": [{"asset_id": "{asset}"}] * 2}}),
    ("playlist_items", "PUT /api/v1/playlists/{playlist}", {"json": {"items": [{"asset_id": "{asset}"}] * 3}}),
    ("layouts", "/api/v1/layouts", {"json": {"name": "Wall"}}),
    ("schedules", "/api/v1/schedules", {"json": {"name": "Day", "playlist_id": "{playlist}"}}),
    ("schedule_targets", "/api/v1/schedules",
     {"json": {"name": "Day", "playlist_id": "{playlist}", "is_active": False,
               "targets": [{"type": "group", "id": "{group}"}]}}),
    ("schedule_targets", "/api/v1/schedules/{schedule}/assign",
     {"json": {"targets": [{"type": "group", "id": "{group}"}]}}),
    ("locations", "/api/v1/locations", {"json": {"name": "Berlin", "timezone": "Europe/Berlin"}}),
    ("holidays", "/api/v1/holidays", {"json": {"name": "Day", "date": "2099-12-25"}}),
    ("campaigns", "/api/v1/campaigns", {"json": {"name": "Soap"}}),
    ("paced_batches", "/api/v1/batches",
     {"json": {"group_id": "{group}", "command": "identify", "rate_per_minute": 1}}),
    ("commands_per_day", "/api/v1/commands", {"json": {"player_id": "{player}", "command": "identify"}}),
    ("commands_per_day", "/api/v1/players/{player}/commands", {"json": {"command": "reboot"}}),
    ("commands_per_day", "/api/devices/{player}/command", {"json": {"type": "refresh"}}),
    ("commands_per_day", "/api/devices/{player}/lock", {"json": {"pin": "1234"}}),
    ("commands_per_day", "/api/devices/{player}/unlock", {}),
    ("commands_per_day", "/api/v1/batches", {"json": {"group_id": "{group}", "command": "identify"}}),
    ("commands_per_day", "/api/v1/player-groups/{group}/commands", {"json": {"command": "reboot"}}),
    ("upload_urls", "/api/v1/assets/upload-url", {"json": {"filename": "a.png", "mime_type": "image/png"}}),
]  # fmt: skip


def test_every_quota_has_a_test() -> None:
    assert {name for name, *_ in WAYS} | MEASURED | {"exports"} == QUOTAS.keys()
    assert QUOTAS.keys() == COUNTED | MEASURED


UNCOUNTED = {
    "play": "plays_per_day bounds those of each day, forgotten after days",
    "command": "commands_per_day bounds those of each day, forgotten after days; none is open for over a week",
    "idempotency_key": "as many as requests, forgotten after a day",
    "event": "as many as requests; device_events_per_day bounds those of devices; forgotten after days",
    "webhook_subscription": "names of events of a webhook",
    "incident": "one a rule and player, forgotten after days",
    "account_token": "a hundred of each person",
    "oauth_code": "as many as requests, good for minutes",
    "oauth_grant": "each takes a person's consent, of a client of the team",
    "presence": "one a player",
    "screenshot": "bytes of each player are bounded",
    "polling_device": "one a player",
    "alert_part": "one an alert and message",
    "cap_message": "as many as messages, forgotten after days",
}


def test_every_table_of_a_team_is_counted_or_said_why_not() -> None:
    owned = {name for name, each in SQLModel.metadata.tables.items() if "team_id" in each.columns}
    counted = {statement.named.partition("FROM ")[2].split()[0] for statement in quotas._USED.values()}
    assert owned <= counted | UNCOUNTED.keys()
    assert UNCOUNTED.keys() <= owned
    assert not counted & UNCOUNTED.keys()


async def placed(nobody: Client, value: Any, places: dict[str, Any]) -> Any:
    """The body with what it needs: a code of a device that waits, or the id of something that is there."""
    if isinstance(value, dict):
        return {key: await placed(nobody, each, places) for key, each in value.items()}
    if isinstance(value, list):
        return [await placed(nobody, each, places) for each in value]
    if value == "{code}":
        asked = {"client_id": "player", "hardware_id": f"pi-{secrets.token_hex(4)}"}
        return (await nobody.post("/oauth/device_authorization", data=asked)).json()["user_code"]
    if value == "{polling}":
        return (await nobody.post("/api/device/register", json={"uuid": str(uuid4())})).json()["pairing_code"]
    return places.get(value, value) if isinstance(value, str) else value


async def test_without_a_place_each_way_is_refused_by_name_and_does_nothing(hub: WholeHub, owner: Client) -> None:
    limits = hub.services.players._quotas._limits  # one for all services
    nobody = hub.client()
    group = (await owner.post("/api/v1/player-groups", json={"name": "All"})).json()["data"]["id"]
    player = {"name": "Hall"}
    number = (await owner.post("/api/v1/players", json=player)).json()["data"]["id"]
    await owner.patch(f"/api/v1/players/{number}", json={"group_ids": [group]})
    playlist = (await owner.post("/api/v1/playlists", json={"name": "Day"})).json()["data"]["id"]
    page = {"name": "News", "type": "web", "source_url": "https://acme.example/"}
    asset = (await owner.post("/api/v1/assets", json=page)).json()["data"]["id"]
    play = {"name": "Day", "playlist_id": playlist, "is_active": False}  # or it would begin by itself, which is told
    schedule = (await owner.post("/api/v1/schedules", json=play)).json()["data"]["id"]
    places = {"{group}": group, "{playlist}": playlist, "{asset}": asset, "{schedule}": schedule, "{player}": number}

    async def used(name: str) -> int:
        told = (await owner.get("/api/v1/team/limits")).json()["data"]
        return next(quota["used"] for quota in told["quotas"] if quota["name"] == name)

    for name, where_to, about in WAYS:
        method, _, path = where_to.rpartition(" ")
        method = method or "POST"
        for place, number in places.items():
            path = path.replace(place, str(number))
        call = about | ({"json": await placed(nobody, about["json"], places)} if "json" in about else {})
        before, last = await used(name), await hub.services.events.newest()
        allowed, limits[name] = limits[name], Limits(0, 0, 0, 0)
        answer = await owner.request(method, path, **call)
        where = f"{name} at {path}: {answer.status_code} {answer.text}"
        assert answer.status_code == (429 if QUOTAS[name].passing else 409), where
        assert answer.json()["code"] == "quota_exceeded", where
        assert f"quota {name} " in answer.json()["message"], where
        assert (await used(name), await hub.services.events.newest()) == (before, last), where
        limits[name] = allowed
        answer = await owner.request(method, path, **call)
        assert answer.is_success, f"{name} at {path}: {answer.status_code} {answer.text}"
        assert await used(name) > before, name


async def test_limits_are_read_from_the_settings_and_told_to_everybody_of_the_team(tmp_path: Path) -> None:
    async with whole_hub(tmp_path, quotas={"webhooks": {"unlimited": 1}, **settings_of(folders=0)}) as hub:
        owner = await hub.as_owner()
        hook = {"url": "https://acme.example/", "events": ["player.online"]}
        assert (await owner.post("/api/v1/webhooks", json=hook)).status_code == 201
        full = await owner.post("/api/v1/webhooks", json=hook)
        assert "at most 1 webhooks" in full.json()["message"]
        assert (await owner.post("/api/v1/folders", json={"name": "News"})).status_code == 409
        told = (await owner.get("/api/v1/team/limits")).json()["data"]
        limits = {quota["name"]: quota["limit"] for quota in told["quotas"]}
        assert (told["plan"], limits["webhooks"], limits["folders"]) == ("unlimited", 1, 0)
        assert limits["players"] == QUOTAS["players"].limits.unlimited
        reader = await hub.as_owner("read:players")
        assert (await reader.get("/api/v1/team/limits")).status_code == 200


async def test_a_file_that_finds_no_room_is_refused_before_it_comes_or_as_it_comes(tmp_path: Path) -> None:
    async with whole_hub(tmp_path, quotas=settings_of(stored_bytes=1_500_000)) as hub:
        owner = await hub.as_owner()

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield bytes(100_000)

        async def asked() -> str:
            body = {"filename": "a.png", "mime_type": "image/png"}
            url: str = (await owner.post("/api/v1/assets/upload-url", json=body)).json()["upload_url"]
            return url

        for content in (bytes(2_000_000), chunks()):
            refused = await hub.client().put(await asked(), content=content)
            assert (refused.status_code, refused.json()["code"]) == (409, "quota_exceeded")
        assert list((tmp_path / "incoming").iterdir()) == []
        assert (await hub.client().put(await asked(), content=picture())).status_code == 201
