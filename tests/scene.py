"""One of everything that a team can have, made through the API, and its ids put into the document's examples."""

from dataclasses import dataclass
from typing import Any

import httpx2

from hub.store.database import Database
from hub.store.tables import Incident, OAuthGrant
from tests.whole_hub import WholeHub

FAR_OFF = {"is_active": False, "start_date": "2099-01-01", "end_date": "2099-12-31"}
"""Of schedules: no job of the hub touches one meanwhile."""


@dataclass
class Scene:
    """One of everything, all of the owner's team and named so. Named as the paths and bodies name them."""

    player_id: int
    group_id: int
    webhook_id: int
    delivery_id: int
    key_id: int
    command_id: str
    batch_id: str
    upload_id: str
    code: str
    folder_id: int
    asset_id: int
    playlist_id: int
    layout_id: int
    schedule_id: int
    campaign_id: int
    location_id: int
    holiday_id: int
    alert_id: int
    rule_id: int
    incident_id: int
    release_id: int
    licence_id: int
    user_id: int
    client_number: int
    grant_id: int
    hangar_key: str
    spare_code: str
    pairing_code: str
    screen_id: str
    team_id: int

    @property
    def names(self) -> dict[str, Any]:
        """Every name under which a path or a body may ask for one of these."""
        own = dict(vars(self))
        aliases = {
            "device_id": self.player_id,
            "schedulable_id": self.player_id,
            "content_id": self.asset_id,
            "device_group_id": self.group_id,
            "parent_id": self.folder_id,
        }
        return own | aliases


def put_in(example: Any, names: dict[str, Any], name: str = "") -> Any:
    """The example with the scene's ids in place of the document's."""
    if isinstance(example, dict):
        return {key: put_in(value, names, key) for key, value in example.items()}
    if isinstance(example, list):
        few = example[:1] if name.endswith("_ids") else example
        return [put_in(value, names, name.removesuffix("s")) for value in few]
    if isinstance(example, str) and example.startswith("{"):
        return names[example[1:-1]]
    return names[name] if name in names and type(example) is type(names[name]) else example


async def set_scene(hub: WholeHub, owner: httpx2.AsyncClient, turn: int = 0) -> Scene:
    async def made(path: str, **body: Any) -> Any:
        answer = await owner.post(f"/api/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def new(path: str, **body: Any) -> int:
        number: int = (await made(path, **body))["data"]["id"]
        return number

    nobody = hub.client()
    player = (await made("players", name="Acme lobby"))["data"]
    player_id = player["id"]
    await hub.shoot(player_id)
    logs = await hub.upload(player_id, "logs", "text/plain", b"acme started\n")
    group = await new("player-groups", name=f"Acme group {turn}", player_ids=[player_id])
    folder_id = await new("folders", name=f"Acme folder {turn}")
    asset = await new("assets", name="Acme news", type="web", source_url="https://acme.example.com/news", duration_s=30)
    playlist = await new("playlists", name="Acme playlist")
    client_number = await new(
        "oauth-clients",
        name="Acme editor",
        redirect_uris=["https://acme.example.com/callback"],
        scopes=["read:players"],
    )
    keys = {"name": f"acme-hangar-{turn}", "permissions": ["view_stats"]}
    assert (await owner.post("/api/v1/keys", json=keys)).status_code == 201

    async def code() -> str:
        asked = {"client_id": "player", "hardware_id": f"acme-pi-{len(codes)}-{turn}"}
        answer = await nobody.post("/oauth/device_authorization", data=asked)
        codes.append(answer.json()["user_code"])
        return codes[-1]

    webhook_id = await new("webhooks", url="https://acme.example.com/", events=["player.online"])
    pinged = await owner.post(f"/api/v1/webhooks/{webhook_id}/ping", headers={"prefer": "wait=20"})
    # Nobody answers there; paused, it is not tried again while a test looks.
    assert (await owner.patch(f"/api/v1/webhooks/{webhook_id}", json={"status": "paused"})).is_success

    codes: list[str] = []
    polling = await nobody.post("/api/device/register", json={"uuid": f"acme-uuid-{turn}"})
    user_id = await new("members", name="Acme reader", email=f"reader{turn}@acme.example.com", role="viewer")
    return Scene(
        player_id=player_id,
        group_id=group,
        webhook_id=webhook_id,
        delivery_id=pinged.json()["data"]["id"],
        key_id=await new("api-keys", name="Acme key", scopes=["read:players"]),
        command_id=(await made("commands", player_id=player_id, command="identify"))["command_id"],
        batch_id=(await made("batches", group_id=group, command="identify"))["batch_id"],
        upload_id=logs,
        code=await code(),
        folder_id=folder_id,
        asset_id=asset,
        playlist_id=playlist,
        layout_id=await new("layouts", name="Acme layout"),
        schedule_id=await new("schedules", name="Acme schedule", playlist_id=playlist, **FAR_OFF),
        campaign_id=await new("campaigns", name="Acme campaign", price="0.05"),
        location_id=await new("locations", name="Acme place", timezone="Europe/Berlin"),
        holiday_id=await new("holidays", name="Acme day", date=f"2099-12-{25 - turn}"),
        alert_id=await new("alerts", title="Acme", message="Acme", player_ids=[player_id], starts_at="2099-01-01"),
        rule_id=(rule_id := await new("alert-rules", name="Acme rule", kind="picture_black", everyone=True)),
        incident_id=await found(hub.db, player_id, rule_id, hub.owner.team_id),
        release_id=await new(
            "releases", version_name=f"9.{turn}", url="https://acme.example.com/player.apk", sha256="0" * 64
        ),
        licence_id=await new("licences", note="Acme"),
        user_id=user_id,
        client_number=client_number,
        grant_id=await granted(hub.db, client_number, user_id, hub.owner.team_id),
        hangar_key=f"acme-hangar-{turn}",
        spare_code=await code(),
        pairing_code=polling.json()["pairing_code"],
        screen_id=player["screen_id"],
        team_id=hub.owner.team_id,
    )


async def found(db: Database, player_id: int, rule_id: int, team_id: int) -> int:
    """An incident as the watch over players leaves it; how one opens is tested elsewhere."""
    words = {"rule_name": "Acme rule", "kind": "picture_black", "severity": "minor", "title": "Acme", "message": "Acme"}
    incident = Incident(
        team_id=team_id, rule_id=rule_id, player_id=player_id, status="open", began_at=1, opened_at=1, **words
    )
    async with db.transaction() as session:
        session.add(incident)
    assert incident.id is not None
    return incident.id


async def granted(db: Database, client_number: int, user_id: int, team_id: int) -> int:
    """A grant as a person's consent leaves it; how consent is given is tested elsewhere."""
    grant = OAuthGrant(client_id=client_number, user_id=user_id, team_id=team_id, scopes="read:players", created_at=1)
    async with db.transaction() as session:
        session.add(grant)
    assert grant.id is not None
    return grant.id
