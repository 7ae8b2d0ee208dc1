"""Emergency messages over everything else on the screen."""

import math
from collections.abc import Iterable

from device_agent.players.base import Player
from hub.protocol.messages import Alert
from hub.protocol.times import read_time

REDRAW_S = 3600.0
"""How long an alert without an end is asked to stay. It is drawn again with every telemetry, which is sooner."""


class Alerts:
    """The alerts that the hub has raised, and those that this screen has shown."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._raised: dict[str, Alert] = {}
        self._shown: set[str] = set()

    def replace(self, alerts: Iterable[Alert]) -> None:
        """What a `welcome` says: all that stand now."""
        self._raised = {alert.id: alert for alert in alerts if alert.action == "raise"}

    def take(self, alert: Alert) -> None:
        """One that is raised or cleared now."""
        if alert.action == "raise":
            self._raised[alert.id] = alert
        else:
            self._raised.pop(alert.id, None)

    async def draw(self, now: int) -> list[str]:
        """Draw what stands at `now` (Unix milliseconds by the hub's clock), or wipe the last one off; the ids that are
        seen for the first time. Raises PlayerError."""
        left_s = {id: _left_s(alert, now) for id, alert in self._raised.items()}
        standing = [alert for id, alert in self._raised.items() if left_s[id] > 0]
        if not standing and not self._shown:
            return []
        text = "\n\n".join(f"{alert.title}\n{alert.message}" for alert in standing)
        seconds = min([REDRAW_S, *(left_s[alert.id] for alert in standing)]) if standing else 0.0
        await self._player.show_text(text, seconds)
        before, self._shown = self._shown, {alert.id for alert in standing}
        return sorted(self._shown - before)


def _left_s(alert: Alert, now: int) -> float:
    return math.inf if alert.expires_at is None else (read_time(alert.expires_at) - now) / 1000
