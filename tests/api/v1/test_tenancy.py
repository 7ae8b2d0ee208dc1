"""Who gets through which route, made from the route table: a new route is in here by being in the table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from hub.api.endpoint import Endpoint
from hub.api.oauth.routes import ENTRIES as OAUTH
from hub.api.v1.routes import ENTRIES as V1
from hub.domain.access import SCOPES
from tests.whole_hub import WholeHub

PUBLIC = {
    "GET /api/v1/screenshots/{screenshot_id}/image",  # the link's signature is the credential
    "POST /oauth/device_authorization",
    "POST /oauth/token",
}
OF_NO_TEAM_YET = "/api/v1/players/pair/{code}"  # a device that waits belongs to whoever approves it


@dataclass
class Scene:
    """One of everything, all of the owner's team and named so."""

    player_id: int
    group_id: int
    webhook_id: int
    key_id: int
    command_id: str
    batch_id: str
    upload_id: str
    code: str


BODIES: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "POST /api/v1/players": lambda scene: {"name": "Another"},
    "PATCH /api/v1/players/{player_id}": lambda scene: {"name": "Renamed acme"},
    "PUT /api/v1/players/{player_id}": lambda scene: {"name": "Renamed acme"},
    "POST /api/v1/players/pair": lambda scene: {"code": scene.code, "player_id": scene.player_id},
    "POST /api/v1/players/{player_id}/commands": lambda scene: {"command": "reboot"},
    "POST /api/v1/commands": lambda scene: {"player_id": scene.player_id, "command": "identify"},
    "POST /api/v1/player-groups": lambda scene: {"name": "Another"},
    "PATCH /api/v1/player-groups/{group_id}": lambda scene: {"name": "Renamed acme"},
    "PUT /api/v1/player-groups/{group_id}": lambda scene: {"name": "Renamed acme"},
    "POST /api/v1/player-groups/{group_id}/commands": lambda scene: {"command": "reboot"},
    "POST /api/v1/batches": lambda scene: {"group_id": scene.group_id, "command": "identify"},
    "POST /api/v1/api-keys": lambda scene: {"name": "Another", "scopes": ["read:players"]},
    "POST /api/v1/webhooks": lambda scene: {"url": "https://example.com/", "events": ["*"]},
}
NAMES_ANOTHERS_THING = {"POST /api/v1/players/pair", "POST /api/v1/commands", "POST /api/v1/batches"}


def label(entry: Endpoint) -> str:
    return f"{entry.method} {entry.template}"


GUARDED = [entry for entry in V1 if entry.needs_auth]
each_route = pytest.mark.parametrize("entry", GUARDED, ids=label)


async def set_scene(hub: WholeHub, owner: httpx2.AsyncClient) -> Scene:
    async def made(path: str, **body: Any) -> Any:
        answer = await owner.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    player = (await made("/api/v1/players", name="Acme lobby"))["data"]["id"]
    await hub.shoot(player)
    logs = await hub.upload(player, "logs", "text/plain", b"acme started\n")
    group = (await made("/api/v1/player-groups", name="Acme group", player_ids=[player]))["data"]["id"]
    webhook = (await made("/api/v1/webhooks", url="https://acme.example.com/", events=["player.online"]))["data"]["id"]
    key = (await made("/api/v1/api-keys", name="Acme key", scopes=["read:players"]))["data"]["id"]
    command = (await made("/api/v1/commands", player_id=player, command="identify"))["command_id"]
    batch = (await made("/api/v1/batches", group_id=group, command="identify"))["batch_id"]
    asked = await hub.client().post(
        "/oauth/device_authorization", data={"client_id": "player", "hardware_id": "acme-pi"}
    )
    return Scene(player, group, webhook, key, command, batch, logs, asked.json()["user_code"])


async def call(client: httpx2.AsyncClient, entry: Endpoint, scene: Scene) -> httpx2.Response:
    path = entry.template.format(**vars(scene))
    body = BODIES[label(entry)](scene) if entry.body else None
    return await client.request(entry.method, path, json=body)


def test_only_these_routes_are_open_to_anyone() -> None:
    assert {label(entry) for entry in (*V1, *OAUTH) if not entry.needs_auth} == PUBLIC


def test_every_guarded_route_asks_for_a_scope() -> None:
    assert [label(entry) for entry in GUARDED if entry.scope is None] == []


@each_route
async def test_each_caller_gets_as_far_as_its_rights(hub: WholeHub, owner: httpx2.AsyncClient, entry: Endpoint) -> None:
    scene = await set_scene(hub, owner)
    before = await everything(hub)

    nobody = await call(hub.client(), entry, scene)
    assert (nobody.status_code, nobody.json()) == (401, {"message": "Unauthenticated."})

    player_token = await hub.services.players.issue_token(hub.owner, scene.player_id, face="signalbox")
    assert (await call(hub.client(player_token), entry, scene)).status_code == 401

    teammate = await hub.as_owner(*(SCOPES.keys() - {entry.scope}))
    refused = await call(teammate, entry, scene)
    assert refused.status_code == 403
    assert refused.json()["message"] == f"This API key lacks the required scope: {entry.scope}."

    stranger = await call(await hub.as_stranger(), entry, scene)
    if entry.template == OF_NO_TEAM_YET:
        assert stranger.is_success
        return
    if entry.parameters or label(entry) in NAMES_ANOTHERS_THING:
        assert stranger.status_code == 404
    else:
        assert stranger.is_success
        assert "acme" not in stranger.text.lower()
    assert await everything(hub) == before

    assert (await call(owner, entry, scene)).is_success


async def everything(hub: WholeHub) -> list[Any]:
    """What the owner's team has, but for what using it changes: tokens, keys and when they were used."""
    owner = await hub.as_owner()
    told: list[Any] = []
    for path in ("players", "player-groups", "commands", "webhooks"):
        found = (await owner.get(f"/api/v1/{path}")).json()["data"]
        told.append([{name: value for name, value in one.items() if name != "paired"} for one in found])
    return told
