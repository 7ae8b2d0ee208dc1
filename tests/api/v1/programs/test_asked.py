"""`play` for any asset or playlist of the team: judged when it is sent, told to its player alone."""

from typing import Any

import httpx2
import pytest

from tests.api.v1.programs.test_programs import as_player, made, uploaded
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient


async def asked(owner: Client, player: int, **payload: Any) -> httpx2.Response:
    return await owner.post("/api/v1/commands", json={"player_id": player, "command": "play", "payload": payload})


async def told(screen: Client, answer: httpx2.Response) -> httpx2.Response:
    return await screen.get(f"/api/v1/player/commands/{answer.json()['command_id']}/content")


async def test_a_player_gets_what_it_is_asked_to_play_and_nobody_else_does(
    hub: WholeHub, owner: Client, player: int
) -> None:
    poster, data = await uploaded(owner, "Poster", "teal")
    other, _ = await uploaded(owner, "Other", "red")
    site = await made(owner, "assets", name="News", type="web", source_url="https://example.com/news", duration_s=30)
    items = [{"asset_id": poster, "duration": 10}, {"asset_id": site["id"]}]
    extra = await made(owner, "playlists", name="Extra", items=items)
    second = await made(owner, "players", name="Elsewhere")
    screen, elsewhere = await as_player(hub, player), await as_player(hub, second["id"])
    assert (await screen.get(f"/api/v1/player/assets/{poster}")).status_code == 404

    sent = await asked(owner, player, asset_id=poster, duration_s=60)
    assert sent.status_code == 202
    content = (await told(screen, sent)).json()
    assert (content["playlists"], list(content["assets"])) == ({}, [str(poster)])
    file = content["assets"][str(poster)]
    assert (file["name"], file["type"], file["size"]) == ("Poster", "image", len(data))
    assert (await screen.get(file["url"])).content == data
    assert (await screen.get(f"/api/v1/player/assets/{other}")).status_code == 404
    for client, expected in ((elsewhere, 404), (owner, 403), (hub.client(), 401)):
        assert (await told(client, sent)).status_code == expected
    assert (await elsewhere.get(file["url"])).status_code == 404

    sent = await asked(owner, second["id"], playlist_id=extra["id"])
    content = (await told(elsewhere, sent)).json()
    manifests_words = {"id", "asset_id", "duration_s", "campaign_id"}
    told_items = content["playlists"][str(extra["id"])]["items"]
    assert [(item["asset_id"], item["duration_s"]) for item in told_items] == [(poster, 10), (site["id"], 30)]
    assert set(told_items[0]) == manifests_words
    assert content["assets"][str(site["id"])]["url"] == "https://example.com/news"
    assert (await elsewhere.get(file["url"])).content == data  # through the playlist
    await owner.delete(f"/api/v1/commands/{sent.json()['command_id']}")
    assert (await told(elsewhere, sent)).status_code == 404  # called off
    assert (await elsewhere.get(file["url"])).status_code == 404


async def test_what_was_deleted_before_the_player_asked_is_not_found(hub: WholeHub, owner: Client, player: int) -> None:
    poster, _ = await uploaded(owner, "Poster", "teal")
    screen = await as_player(hub, player)
    sent = await asked(owner, player, asset_id=poster)
    assert (await owner.delete(f"/api/v1/assets/{poster}")).status_code == 200
    assert (await told(screen, sent)).status_code == 404
    address = await owner.post(
        "/api/v1/commands",
        json={"player_id": player, "command": "play", "payload": {"url": "https://example.com/a.mp4"}},
    )
    reboot = await owner.post("/api/v1/commands", json={"player_id": player, "command": "reboot"})
    for answer in (address, reboot):  # name nothing of the hub's
        assert (await told(screen, answer)).status_code == 404


@pytest.mark.parametrize("group", [False, True], ids=["one player", "a group, also tried"])
async def test_what_the_team_does_not_have_or_cannot_show_is_refused_at_once(
    owner: Client, stranger: Client, player: int, group: bool
) -> None:
    theirs, _ = await uploaded(stranger, "Theirs", "red")
    their_list = await made(stranger, "playlists", name="Theirs", items=[{"asset_id": theirs}])
    empty = await made(owner, "playlists", name="Empty")
    members = await made(owner, "player-groups", name="Lobbies", player_ids=[player])
    for payload, code, text in (
        ({"asset_id": 99}, "invalid", "names an unknown asset."),
        ({"asset_id": theirs}, "invalid", "names an unknown asset."),
        ({"asset_id": 2**53 - 1}, "invalid", "names an unknown asset."),
        ({"playlist_id": 99}, "invalid", "names an unknown playlist."),
        ({"playlist_id": their_list["id"]}, "invalid", "names an unknown playlist."),
        ({"playlist_id": empty["id"]}, "unplayable", "names a playlist in which there is nothing to show."),
    ):
        field = f"payload.{next(iter(payload))}"
        for more in ({}, {"dry_run": True}) if group else ({},):
            body = {"command": "play", "payload": payload}
            if group:
                answer = await owner.post("/api/v1/batches", json=body | {"group_id": members["id"]} | more)
            else:
                answer = await owner.post("/api/v1/commands", json=body | {"player_id": player})
            assert (answer.status_code, answer.json()["code"]) == (422, code), payload
            assert answer.json()["errors"] == {field: [f"The {field} field {text}"]}
    assert (await owner.get("/api/v1/commands")).json()["data"] == []
