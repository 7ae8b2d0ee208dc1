"""Alerts on their way to connected players."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub.domain.alerts import Raised
from hub.sockets.player.alerts import ShownAlerts
from tests.harness import Hub, running_hub, settings
from tests.waiting import PATIENCE_S


def test_a_board_says_what_differs_and_nothing_twice() -> None:
    board = ShownAlerts()
    fire = Raised(1, "Fire", "Leave.", "extreme", 0, None)
    flood = Raised(2, "Flood", "Climb.", "severe", 0, 1_774_795_800_000)
    assert [(one.id, one.action) for one in board.changes([fire])] == [("1", "raise")]
    assert board.changes([fire]) == []
    louder = Raised(1, "Fire!", "Leave.", "extreme", 0, None)
    assert [(one.id, one.title) for one in board.changes([louder, flood])] == [("1", "Fire!"), ("2", "Flood")]
    assert [(one.id, one.action) for one in board.changes([flood])] == [("1", "clear")]
    assert board.shown["2"].expires_at == "2026-03-29T14:50:00Z"


async def test_players_hear_of_their_alerts_and_of_nobody_elses(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub, asyncio.timeout(PATIENCE_S):
        _, lobby_token = await hub.player("Lobby")
        bar_id, bar_token = await hub.player("Bar")
        group = (await hub.client.post("/api/v1/player-groups", json={"name": "G", "player_ids": [bar_id]})).json()
        async with hub.connected(lobby_token) as lobby, hub.connected(bar_token) as bar:
            fire = await raised(hub, title="Fire", everyone=True)
            for player in (lobby, bar):
                heard = await player.until("alert")
                assert heard == {"type": "alert", "id": str(fire), "action": "raise", "title": "Fire",
                                 "message": "Leave.", "severity": "extreme"}  # fmt: skip
            await hub.client.patch(f"/api/v1/alerts/{fire}", json={"group_ids": [group["data"]["id"]]})
            assert (await lobby.until("alert"))["action"] == "clear"

            async with hub.connected(bar_token, hardware_id="hw-1") as again:
                flood = await raised(hub, title="Flood", player_ids=[bar_id])
                assert (await again.until("alert"))["id"] == str(flood)
            async with hub.socket(bar_token) as again:
                welcome = await again.hello()
                assert [one["title"] for one in welcome["alerts"]] == ["Flood", "Fire"]
                # Who leaves a group of the alert shows it no longer, and nobody has to say so to the alert.
                await hub.client.patch(f"/api/v1/players/{bar_id}", json={"group_ids": []})
                await hub.registry.refresh_alerts()
                heard = await again.until("alert")
                assert (heard["id"], heard["action"]) == (str(fire), "clear")
                await hub.client.delete(f"/api/v1/alerts/{flood}")
                heard = await again.until("alert")
                assert (heard["id"], heard["action"]) == (str(flood), "clear")
            async with hub.socket(lobby_token) as again:
                assert (await again.hello())["alerts"] == []
                soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
                storm = await raised(hub, title="Storm", everyone=True, starts_at=soon)
                assert (await again.until("alert"))["id"] == str(storm)  # it begins by itself


async def raised(hub: Hub, **fields: Any) -> int:
    body = {"message": "Leave.", "severity": "Extreme", **fields}
    made = await hub.client.post("/api/v1/alerts", json=body)
    assert made.status_code == 201, made.text
    alert_id: int = made.json()["data"]["id"]
    return alert_id
