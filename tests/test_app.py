"""The whole hub when the ground gives way: refusals that say so, and recovery by itself."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import select
from websockets.exceptions import InvalidStatus

from hub.domain.times import HOUR, now_ms
from hub.store.database import Database
from hub.store.tables import Alert, Team
from tests.harness import make_team, running_hub, settings
from tests.postgres import PostgresServer
from tests.waiting import PATIENCE_S


async def test_an_alert_that_was_raised_while_the_clock_was_ahead_is_live_at_once(tmp_path: Path) -> None:
    config = settings(tmp_path)
    key = await make_team(config.database_url)
    db, ahead = Database(config.database_url), now_ms() + 2 * HOUR
    await db.start()
    async with db.transaction() as session:
        team_id = (await session.exec(select(Team.id))).one() or 0
        session.add(
            Alert(team_id=team_id, title="Fire", severity="severe", everyone=True, starts_at=ahead, created_at=ahead)
        )
    await db.stop()
    async with running_hub(config, key) as hub, asyncio.timeout(PATIENCE_S):
        while (await hub.client.get("/api/v1/alerts")).json()["data"][0]["status"] == "scheduled":
            pass
        [alert] = (await hub.client.get("/api/v1/alerts")).json()["data"]
        assert (alert["title"], alert["status"]) == ("Fire", "live")


async def test_a_database_that_goes_and_returns(tmp_path: Path, own_postgres: PostgresServer) -> None:
    async with (
        running_hub(settings(tmp_path, own_postgres.database())) as hub,
        hub.as_("sbk_unknown00_" + "x" * 32) as nobody,
    ):
        idle_id, idle_token = await hub.player("Idle")
        busy_id, busy_token = await hub.player("Busy")
        async with hub.connected(idle_token) as idle, hub.connected(busy_token) as busy:
            command_id = await hub.command(busy_id, "set_volume", {"volume": 5})
            await busy.until("command")
            await asyncio.to_thread(own_postgres.down)

            calls = [
                hub.client.get("/api/v1/players"),
                hub.client.get(f"/api/v1/commands/{command_id}"),
                hub.client.post("/api/v1/commands", json={"player_id": idle_id, "command": "identify"}),
                hub.client.post("/api/v1/players", json={"name": "Another"}),
                hub.client.patch(f"/api/v1/players/{idle_id}", json={"name": "Renamed"}),
                hub.client.get("/api/v1/events"),
                hub.client.get("/readyz"),
                nobody.get("/api/v1/players"),
            ]
            for answer in await asyncio.gather(*calls):
                assert answer.status_code == 503, f"{answer.request.url}: {answer.text}"
                assert "retry-after" in answer.headers or answer.request.url.path == "/readyz"
            await busy.result(command_id, volume=5)
            assert (await busy.closed())[0] == 1012
            with pytest.raises(InvalidStatus) as refusal:
                async with hub.socket(busy_token):
                    pass
            assert refusal.value.response.status_code == 503

            await asyncio.to_thread(own_postgres.up)
            while (await hub.client.get("/readyz")).status_code != 200:
                pass
            journal = [
                {
                    "id": command_id,
                    "state": "finished",
                    "result": {
                        "id": command_id,
                        "status": "succeeded",
                        "detail": {"volume": 5},
                        "finished_at": "2026-01-01T00:00:01Z",
                        "boot_id": "boot-1",
                    },
                }
            ]
            async with hub.connected(busy_token, journal=journal) as again:
                assert (await again.until("result_ok"))["id"] == command_id
                assert (await hub.story(command_id))["status"] == "succeeded"
                other = await hub.command(idle_id, "identify")
                assert (await idle.until("command"))["id"] == other
                log = (await hub.client.get("/api/v1/events", params={"limit": 1000})).json()["data"]
                assert not [event for event in log if event["event"] == "player.offline"]
