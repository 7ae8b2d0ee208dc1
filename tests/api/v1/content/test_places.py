"""Files on their way out have places, of the team whose they are, whoever asks and however."""

from typing import Any

import httpx2
import pytest

from hub.domain.quotas import QUOTAS
from hub.domain.times import DAY, now_ms, rfc3339
from tests.media import picture
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
UUID = "6f9f2f0e-4f4d-4a36-9d4b-6d4dfb1c9b57"


async def answered(client: Client, method: str, url: str, **more: Any) -> dict[str, Any]:
    answer = await client.request(method, url, **more)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def files(hub: WholeHub, owner: Client, nobody: Client, player: int) -> dict[str, tuple[Client, str]]:
    """(who asks, the address) of a file of each kind, by each way to it."""
    form = {"file": ("a.png", picture(), "image/png")}
    asset = (await answered(owner, "POST", "/api/v1/assets", files=form))["data"]
    path = f"/api/v1/assets/{asset['id']}"
    items = [{"asset_id": asset["id"], "duration": 5}]
    await answered(owner, "POST", "/api/v1/playlists", json={"name": "All", "is_default": True, "items": items})
    token = await hub.services.players.issue_token(hub.owner, player, face="signalbox")
    code = (await answered(nobody, "POST", "/api/device/register", json={"uuid": UUID}))["pairing_code"]
    await answered(owner, "POST", "/api/devices/pair", json={"pairing_code": code, "name": "Polls"})
    await hub.shoot(player)
    shot = (await answered(owner, "GET", f"/api/v1/players/{player}/screenshot"))["url"]
    logs = await hub.upload(player, "logs", "text/plain", b"line")
    span = {"from": rfc3339(now_ms() - DAY), "to": rfc3339(now_ms())}
    export = (await answered(owner, "GET", "/api/v1/analytics/playback/export", params=span))["url"]
    while (await nobody.get(export)).status_code == 202:
        pass
    return {
        "asset": (owner, f"{path}/download"),
        "asset by link": (nobody, asset["url"]),
        "thumbnail": (owner, f"{path}/thumbnail"),
        "thumbnail by link": (nobody, asset["thumbnail_url"]),
        "asset of a player": (hub.client(token), f"/api/v1/player/assets/{asset['id']}"),
        "asset of a device that polls": (nobody, f"/api/device/content/{asset['id']}/download?uuid={UUID}"),
        "screenshot": (nobody, shot),
        "logs": (owner, f"/api/v1/uploads/{logs}"),
        "export": (nobody, export),
    }


async def test_each_file_takes_a_place_of_its_team_and_gives_it_back(
    hub: WholeHub, stranger: Client, files: dict[str, tuple[Client, str]]
) -> None:
    places, team = hub.services.outgoing.places, hub.owner.team_id
    room = places.room(team, hub.owner.plan)
    places.take(team, hub.owner.plan, room)
    for name, (client, url) in files.items():
        refused = await client.get(url)
        assert (name, refused.status_code) == (name, 503), refused.text
        assert refused.headers["retry-after"] == str(QUOTAS["downloads"].retry_after)
        assert "files on their way out" in refused.json()["message"]
    made = await stranger.post("/api/v1/assets", files={"file": ("b.png", picture(), "image/png")})
    assert (await stranger.get(f"/api/v1/assets/{made.json()['data']['id']}/download")).status_code == 200
    places.give_back(team, room)
    for name, (client, url) in files.items():
        answer = await client.get(url)
        assert (name, answer.status_code) == (name, 200)
        if tag := answer.headers.get("etag"):
            assert (await client.get(url, headers={"if-none-match": tag})).status_code in (200, 304)
        assert (await client.head(url)).status_code == 200
        assert (await client.get(url, headers={"range": "bytes=0-1"})).status_code in (200, 206)
        assert places.taken == 0, name


async def test_what_needs_no_bytes_needs_no_place(hub: WholeHub, files: dict[str, tuple[Client, str]]) -> None:
    client, url = files["asset"]
    tag = (await client.get(url)).headers["etag"]
    places, team = hub.services.outgoing.places, hub.owner.team_id
    places.take(team, hub.owner.plan, places.room(team, hub.owner.plan))
    assert (await client.get(url, headers={"if-none-match": tag})).status_code == 304
    assert (await client.head(url)).status_code == 200
    assert (await client.get(url, headers={"range": "bytes=999999-"})).status_code == 416
