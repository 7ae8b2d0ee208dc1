"""Connected players hear of a new manifest, and only those whose manifest it is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hub.services.teams import create_team
from hub.store.database import Database
from hub.store.tables import Schedule
from hub.store.teams import touch_content
from tests.harness import Hub, make_team, running_hub, settings


async def site_playlist(hub: Hub, name: str, **more: Any) -> int:
    body = {"name": name, "type": "web", "source_url": f"https://example.com/{name}", "duration_s": 30}
    asset = (await hub.client.post("/api/v1/assets", json=body)).json()["data"]["id"]
    items = [{"asset_id": asset, "duration": 10}]
    made = await hub.client.post("/api/v1/playlists", json={"name": name, "items": items} | more)
    playlist_id: int = made.json()["data"]["id"]
    return playlist_id


async def scheduled(hub: Hub, name: str, player_id: int) -> int:
    body = {"playlist_id": await site_playlist(hub, name), "targets": [{"type": "player", "id": player_id}]}
    made = await hub.client.post("/api/v1/schedules", json=body)
    schedule_id: int = made.json()["data"]["id"]
    return schedule_id


async def program(hub: Hub, player_id: int) -> dict[str, Any]:
    data: dict[str, Any] = (await hub.client.get(f"/api/v1/players/{player_id}/program")).json()["data"]
    return data


async def test_a_new_manifest_is_told_to_the_players_whose_it_is(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        lobby, token = await hub.player("Lobby")
        hall, other_token = await hub.player("Hall")
        async with hub.socket(token) as player, hub.socket(other_token) as other:
            before = (await player.hello())["revision"]
            unchanged = (await other.hello(revision="rev-of-yesterday"))["revision"]
            assert before == unchanged == (await program(hub, lobby))["revision"]

            playlist = await site_playlist(hub, "menu")
            body = {"playlist_id": playlist, "targets": [{"type": "player", "id": lobby}]}
            assert (await hub.client.post("/api/v1/schedules", json=body)).status_code == 201
            revision = (await player.until("sync"))["revision"]
            assert revision != before
            assert revision == (await program(hub, lobby))["revision"]

            await site_playlist(hub, "standard", is_default=True)  # what the other one shows
            assert (await other.receive()) == {"type": "sync", "revision": (await program(hub, hall))["revision"]}

            assert "job activations" in {task.get_name() for task in asyncio.all_tasks()}  # which looks every 15 s
            await hub.services.programs.activate()
            told = await hub.event("schedule.activated", name="menu")
            assert (told["data"]["player_ids"], told["data"]["playlist_id"]) == ([lobby], playlist)
            await hub.services.presence.flush(everything=True)
            assert (await program(hub, hall))["reported_revision"] == "rev-of-yesterday"
            revision = (await program(hub, lobby))["revision"]
            await player.send(type="settings", reported={"revision": revision})
            await player.send(type="event", name="storage.low", data={})
            await hub.event("storage.low")  # what was sent before it has been taken
            await hub.services.presence.flush(everything=True)
            assert (await program(hub, lobby))["in_step"]


async def test_what_cannot_be_read_of_one_team_keeps_no_other_from_its_sync(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(tmp_path)
    first = await make_team(config.database_url)
    db = Database(config.database_url)
    await db.start()
    _, second = await create_team(db, name="Other", email="other@example.com", password="correct horse battery")
    try:
        async with running_hub(config, first) as hub:
            beside = Hub(hub._server, hub.port, second)
            lobby, token = await hub.player("Lobby")
            async with beside.client, hub.socket(token) as player:
                await player.hello()
                number = await scheduled(hub, "menu", lobby)
                await player.until("sync")
                async with db.transaction() as session:
                    schedule = await session.get(Schedule, number)
                    assert schedule is not None
                    schedule.conditions = "no JSON"
                    await touch_content(session, schedule.team_id)

                hall, other_token = await beside.player("Hall")
                async with beside.socket(other_token) as other:
                    await other.hello()
                    await scheduled(beside, "special", hall)
                    revision = (await other.until("sync"))["revision"]
                    assert revision == (await program(beside, hall))["revision"]
                    await beside.services.programs.activate()
                    assert (await beside.event("schedule.activated"))["data"]["player_ids"] == [hall]
    finally:
        await db.stop()
    assert caplog.text.count("the look at the manifests of team 1 failed") == 1
