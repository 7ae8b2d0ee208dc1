"""Proof of play on the wire."""

from pathlib import Path

from hub.domain.times import DAY, now_ms, rfc3339
from tests.harness import running_hub, settings


async def test_plays_are_acknowledged_once_they_are_stored_and_count_once(tmp_path: Path, database_url: str) -> None:
    now = now_ms()
    entry = {"asset_id": 7, "started_at": rfc3339(now - 1000), "duration_s": 10, "completed": True}
    entries = [{"id": f"p{number}", **entry} for number in range(300)]
    entries += [{"id": "from-the-past", **entry, "started_at": rfc3339(now - 2000 * DAY)}]
    async with running_hub(settings(tmp_path, database_url)) as hub:
        _, token = await hub.player()
        for batch in ("b1", "b2"):
            async with hub.connected(token) as player:
                await player.send(type="plays", batch=batch, entries=entries)
                assert await player.until("plays_ok") == {"type": "plays_ok", "batch": batch}
                listed = (await hub.client.get("/api/v1/plays", params={"limit": 1000})).json()["data"]
                assert len(listed) == 300
        metrics = (await hub.client.get("/metrics")).text
    told = dict(line.split() for line in metrics.splitlines() if line.startswith("signalbox_plays_total"))
    assert {name.partition('"')[2].partition('"')[0]: float(value) for name, value in told.items()} == {
        "stored": 300,
        "repeated": 300,
        "dropped": 2,
    }
