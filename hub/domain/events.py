"""The event log's vocabulary. An event is a fact that others may hear, written in the transaction of its change.

Telemetry, last-seen times and progress are not events: they have a latest value and no history.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hub.domain.access import Actor
from hub.domain.errors import Invalid

PLAYER_TYPES = (
    "player.created",
    "player.updated",
    "player.deleted",
    "player.paired",
    "player.online",
    "player.offline",
    "player.flapping",
    "player.cloned",
    "player.quarantined",
    "player.crashed",
)
DEVICE_TYPES = (
    "player.crashed",
    "picture.black",
    "picture.frozen",
    "picture.recovered",
    "storage.low",
    "temperature.high",
    "clock.skewed",
    "download.failed",
    "alert.shown",
)
"""What a device notices by itself."""

COMMAND_TYPES = (
    "command.queued",
    "command.sent",
    "command.acknowledged",
    "command.finished",
)
TYPES = (
    *PLAYER_TYPES,
    *DEVICE_TYPES[1:],
    *COMMAND_TYPES,
    "batch.updated",
    "screenshot.created",
    "key.created",
    "key.updated",
    "key.rotated",
    "key.revoked",
    "member.created",
    "member.updated",
    "member.deleted",
    "login.started",
    "login.ended",
    "team.updated",
    "token.issued",
    "token.revoked",
    "content.published",
    "content.updated",
    "content.deleted",
    "folder.created",
    "folder.updated",
    "folder.deleted",
    "playlist.created",
    "playlist.updated",
    "playlist.deleted",
    "layout.created",
    "layout.updated",
    "layout.assigned",
    "layout.deleted",
    "schedule.created",
    "schedule.updated",
    "schedule.deleted",
    "schedule.activated",
    "location.created",
    "location.updated",
    "location.deleted",
    "holiday.created",
    "holiday.updated",
    "holiday.deleted",
    "campaign.created",
    "campaign.updated",
    "campaign.deleted",
    "group.created",
    "group.updated",
    "group.deleted",
    "webhook.created",
    "webhook.updated",
    "webhook.rotated",
    "webhook.redelivered",
    "webhook.ping",
    "webhook.deleted",
    "webhook.disabled",
    "alert.created",
    "alert.updated",
    "alert.deleted",
    "alert.triggered",
    "alert.acknowledged",
    "alert.cleared",
    "rule.created",
    "rule.updated",
    "rule.deleted",
    "release.created",
    "release.updated",
    "release.deleted",
    "licence.created",
    "licence.updated",
    "licence.activated",
    "licence.deleted",
    "client.created",
    "client.updated",
    "client.deleted",
    "grant.created",
    "grant.revoked",
)
"""Every type the hub writes."""

SCREEN_ALIASES: dict[str, str] = {"screen." + name.partition(".")[2]: name for name in PLAYER_TYPES}
"""`screen.online` is `player.online` in the other vocabulary; a webhook hears the name it subscribed to."""

SUBSCRIBABLE = frozenset((*TYPES, *SCREEN_ALIASES, "*"))


def names_of(event_type: str) -> tuple[str, str]:
    """(the type, its name in the other vocabulary or itself): what it is subscribed to by, beside `*`."""
    family, _, what = event_type.partition(".")
    return event_type, f"screen.{what}" if family == "player" else event_type


Topic = Literal["players", "commands", "screenshots", "events"]
TOPICS: tuple[Topic, ...] = ("players", "commands", "screenshots", "events")
"""What a listener of the feed may ask for; `events` is everything."""

_TOPIC_OF: dict[str, Topic] = {
    "player": "players",
    "picture": "players",
    "storage": "players",
    "temperature": "players",
    "clock": "players",
    "download": "players",
    "group": "players",
    "command": "commands",
    "batch": "commands",
    "screenshot": "screenshots",
}

_SCOPE_OF = {"webhook": "webhooks", "key": "admin", "token": "admin",
             "licence": "admin", "client": "admin", "member": "admin", "login": "admin", "grant": "admin",
             "team": "admin",
             "content": "read:content", "folder": "read:content", "playlist": "read:content",
             "layout": "read:content", "schedule": "read:content", "holiday": "read:content",
             "campaign": "read:analytics"}  # fmt: skip


def scope_of(event_type: str) -> str:
    """What whoever reads of such an event in the log or the feed must hold."""
    return _SCOPE_OF.get(event_type.partition(".")[0], "read:players")


def topics_of(event_type: str) -> frozenset[Topic]:
    """The topics that such an event belongs to."""
    topic = _TOPIC_OF.get(event_type.partition(".")[0])
    return frozenset({"events"} if topic is None else {"events", topic})


@dataclass(frozen=True, slots=True)
class Log:
    """A database's event log. A database that went back in time goes on with another log: `earlier` are those before
    it, oldest first, each with the number of its last delivery."""

    id: str
    earlier: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        """The database's own, whatever became of its logs."""
        return self.earlier[0][0] if self.earlier else self.id

    def message_id(self, delivery_id: int) -> str:
        """By which a receiver knows the delivery: the same at each attempt and after a restore, and never that of
        another one, though the number may have been given out before the restore."""
        log_id = next((name for name, last in self.earlier if delivery_id <= last), self.id)
        return f"msg_{delivery_id}" if log_id == self.name else f"msg_{log_id}_{delivery_id}"


def number_of(cursor: str, log_id: str, field: str = "after") -> int:
    """The number in a cursor `<log id>-<number>`. Raises Invalid (`field`) for one of another log."""
    name, _, number = cursor.rpartition("-")
    if name != log_id or not number.isascii() or not number.isdigit() or len(number) > 18:
        raise Invalid.field(field, "must be a cursor of this hub's log", code="unknown_cursor")
    return int(number)


@dataclass(frozen=True, slots=True)
class Event:
    """One row to be. `data` is a JSON object; ids of what it is about are inside it as well, as clients read them.

    Who did it is the audit trail's: the actor, and `face`, the API document whose call it was.
    """

    type: str
    team_id: int
    at: int
    data: Mapping[str, Any]
    player_id: int | None = None
    actor: Actor | None = None
    face: str | None = None
