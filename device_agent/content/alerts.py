"""Emergency messages over everything else on the screen."""

import math
from collections.abc import Iterable

from device_agent.players.base import Banner, Player
from hub.protocol.messages import Alert
from hub.protocol.times import read_time

MOST = 3  # alerts on one screen, the gravest; of more only their number is told
GRAVEST_FIRST = ("extreme", "severe", "moderate", "minor", "unknown")


class Alerts:
    """The alerts that the hub has raised, and those that this screen has shown."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._raised: dict[str, Alert] = {}
        self._shown: set[str] = set()
        self._drawn: Banner | None = None

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
        """Draw what stands at `now` (Unix milliseconds by the hub's clock), where that has changed; the ids that are
        seen for the first time. Raises PlayerError."""
        self._raised = {id: alert for id, alert in self._raised.items() if _left_s(alert, now) > 0}
        banner = _banner(sorted(self._raised.values(), key=_gravity))
        if banner != self._drawn:
            await self._player.show_banner(banner)
            self._drawn = banner
        before, self._shown = self._shown, set(self._raised)
        return sorted(self._shown - before)

    def changes_in_s(self, now: int) -> float:
        """Seconds until one of them ends; infinity when none does."""
        return min((_left_s(alert, now) for alert in self._raised.values()), default=math.inf)


def _banner(alerts: list[Alert]) -> Banner | None:
    if not alerts:
        return None
    first, *others = alerts[:MOST]
    texts = [first.message, *(f"{one.title}: {one.message}" for one in others)]
    if len(alerts) > MOST:
        texts.append(f"+ {len(alerts) - MOST}")
    return Banner(first.severity, first.title, "\n\n".join(texts))


def _gravity(alert: Alert) -> int:
    return GRAVEST_FIRST.index(alert.severity) if alert.severity in GRAVEST_FIRST else len(GRAVEST_FIRST)


def _left_s(alert: Alert, now: int) -> float:
    return math.inf if alert.expires_at is None else (read_time(alert.expires_at) - now) / 1000
