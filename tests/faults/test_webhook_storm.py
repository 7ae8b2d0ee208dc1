"""The storm for webhooks at a size that every build can bear; in full it is a command, see `webhooks.py`."""

from pathlib import Path

from tests.faults.stage import Nursery
from tests.faults.webhook_storm import WebhookStorm

GROWTH_MB = (
    96  # of a hub from its start to a few hundred deliveries at once; a leak of events would show in the full run
)


async def test_every_event_reaches_every_receiver_whatever_dies(born: Nursery, tmp_path: Path) -> None:
    async with born.attached():
        report = await WebhookStorm(born, tmp_path, events=300, kills=5, restarts=1, seed=7).run()
    assert report.violations == []
    assert len(report.kills) == 5
    assert report.failures.total() > 0
    for life in report.memory_mb:
        assert not life or max(life) - min(life) < GROWTH_MB
