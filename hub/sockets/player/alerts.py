"""The alerts that one connection has been told of: what differs is said, and nothing twice."""

from collections.abc import Sequence
from dataclasses import replace

from hub.domain.alerts import Raised
from hub.domain.times import rfc3339
from hub.protocol import messages as m


class ShownAlerts:
    """`shown` are the alerts that the player stands at."""

    __slots__ = ("shown",)

    def __init__(self) -> None:
        self.shown: dict[str, m.Alert] = {}

    def changes(self, live: Sequence[Raised]) -> list[m.Alert]:
        """What to say so that the player shows `live` and nothing else; afterwards it is taken for said."""
        wanted = {message.id: message for message in map(_message, live)}
        ended = [replace(old, action="clear") for id, old in self.shown.items() if id not in wanted]
        raised = [message for id, message in wanted.items() if self.shown.get(id) != message]
        self.shown = wanted
        return ended + raised


def _message(alert: Raised) -> m.Alert:
    return m.Alert(
        id=str(alert.id),
        action="raise",
        title=alert.title,
        message=alert.message,
        severity=alert.severity,
        expires_at=None if alert.ends_at is None else rfc3339(alert.ends_at),
    )
