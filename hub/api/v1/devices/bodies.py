"""What callers send about players, groups, commands, events and webhooks."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hub.api.v1.bodies import Changes, Id, Moment, Name, QueryId, Strict, TimeZone, Tolerant, Unescaped, example
from hub.domain.commands import MAX_TTL_S, STATES
from hub.domain.events import TYPES

State = Literal[
    "held",
    "queued",
    "sent",
    "acked",
    "succeeded",
    "failed",
    "rejected",
    "cancelled",
    "expired",
    "timed_out",
    "delivered",
]
assert State.__args__ == STATES  # type: ignore[attr-defined]  # the API names exactly the states that there are

MAX_MEMBERS = 10_000  # players of one group: what one batch can carry
MAX_EVENTS = 200  # names one webhook can listen to; there are fewer


# Players -------------------------------------------------------------------------------------------------------------


class PlayerFilter(Tolerant):
    status: Literal["online", "offline"] | None = None
    group_id: QueryId | None = Field(None, description="Members of this group only.")
    search: str | None = Field(None, max_length=100, description="Part of the name, in any case.")
    page: int | None = Field(None, ge=1, le=1_000_000, description="Which page; without page and per_page: all.")
    per_page: int | None = Field(None, ge=1, le=1_000, description="Players a page; 50 when only page is given.")


class NewPlayer(Strict):
    model_config = example(name="Lobby Display")

    name: Name


class DesiredSettings(Changes):
    """What a device is to be set to, now and after each reconnect; what is absent or null stays wished as it was."""

    model_config = example(volume=40, display_on=True)

    volume: int | None = Field(None, ge=0, le=100, strict=True)
    brightness: int | None = Field(None, ge=0, le=100, strict=True)
    display_on: bool | None = Field(None, strict=True)
    locked: bool | None = Field(None, strict=True, description="true with a `pin`, which unlocks it at the screen.")
    pin: str | None = Field(None, pattern=r"^[0-9]{4,8}$", description="4 to 8 digits.")

    @model_validator(mode="after")
    def _pin_with_the_lock(self) -> Self:
        if (self.pin is not None) != (self.locked is True):
            raise ValueError("must have a pin together with locked: true")
        return self


class PlayerChanges(Changes):
    model_config = example(name="Lobby Display", group_ids=[1])
    clears = frozenset({"location_id", "layout_id", "timezone"})

    name: Name | None = None
    group_ids: list[Id] | None = Field(None, max_length=1_000, description="All groups that it is to be a member of.")
    location_id: Id | None = Field(None, description="Where it stands; null: nowhere.")
    layout_id: Id | None = Field(None, description="Its own layout, before that of its groups; null: none.")
    timezone: TimeZone | None = Field(None, description="Its own time zone; null: that of its location or team.")
    quarantined: bool | None = Field(
        None,
        strict=True,
        description="true keeps it out. false lets it in again; needs the admin scope where the hub kept it out.",
    )
    settings: DesiredSettings | None = Field(None, description="What its device is to be set to.")
    reason: Name | None = Field(None, description="Why it is kept out; with `quarantined: true`.")

    @model_validator(mode="after")
    def _reason_of_a_quarantine(self) -> Self:
        if self.reason is not None and not self.quarantined:
            raise ValueError("must have a reason only together with quarantined: true")
        return self


class NewGroup(Strict):
    model_config = example(name="Lobby", player_ids=[1, 2])

    name: Name
    player_ids: list[Id] = Field([], max_length=MAX_MEMBERS)


class GroupChanges(Changes):
    model_config = example(player_ids=[1, 2, 3])
    clears = frozenset({"layout_id"})

    name: Name | None = None
    player_ids: list[Id] | None = Field(None, max_length=MAX_MEMBERS, description="All members from now on.")
    layout_id: Id | None = Field(None, description="The layout of members that have none of their own; null: none.")
    settings: DesiredSettings | None = Field(
        None, description="What the devices of all that are members then are to be set to."
    )


class PairingDecision(Strict):
    model_config = example(code="BCD-234", name="Lobby Display")

    code: str = Field(min_length=1, max_length=50, description="As the screen shows it; case and dashes do not matter.")
    name: Name | None = Field(None, description="Name of the new player; without one it is called by its model.")
    player_id: Id | None = Field(
        None, description="Instead of a new player: the one whose device this replaces, identity and history kept."
    )


# Commands ------------------------------------------------------------------------------------------------------------


class SpotCommand(Tolerant):
    """One of Spot's three commands. `POST /api/v1/commands` knows all."""

    model_config = example(command="reboot")

    command: Literal["reboot", "reload_content", "take_screenshot"]


class _Instruction(Strict):
    command: str = Field(min_length=1, max_length=60, description="A name of the catalogue, or custom:NAME.")
    payload: dict[str, Any] | None = Field(None, description="The command's arguments.")
    ttl_s: int | None = Field(
        None, ge=1, le=MAX_TTL_S, strict=True, description="Seconds it may wait for the player; else the command's own."
    )


class NewCommand(_Instruction):
    model_config = example(player_id=1, command="set_volume", payload={"volume": 40})

    player_id: Id


class NewBatch(_Instruction):
    model_config = example(group_id=1, command="reboot", rate_per_minute=10, max_failures=3)

    group_id: Id
    rate_per_minute: int | None = Field(
        None, ge=1, le=100_000, strict=True, description="Players a minute; without it all at once."
    )
    max_failures: int | None = Field(
        None, ge=0, le=MAX_MEMBERS, strict=True, description="More failures than this stop the rest."
    )
    dry_run: bool = Field(False, strict=True, description="Only say who would get it, and who not and why.")


class BatchFilter(Strict):
    before: str | None = Field(None, max_length=64, description="`meta.next` of the page before.")
    limit: int = Field(50, ge=1, le=100)


class CommandFilter(Strict):
    player_id: QueryId | None = None
    batch_id: str | None = Field(None, max_length=64)
    status: list[State] = Field([], max_length=len(STATES), description="Repeat it for several.")
    before: str | None = Field(None, max_length=64, description="`meta.next` of the page before.")
    limit: int = Field(50, ge=1, le=500)


# The rest ------------------------------------------------------------------------------------------------------------


def _known_event(name: str) -> str:
    if name not in TYPES:
        raise ValueError("must be the name of an event")
    return name


class EventFilter(Strict):
    after: str | None = Field(None, max_length=64, description="A cursor; without one from the beginning.")
    event: list[Annotated[str, Field(max_length=64), AfterValidator(_known_event)]] = Field(
        [], max_length=50, description="Only events of this name; repeat it for several."
    )
    player_id: QueryId | None = Field(None, description="Only what concerns this player.")
    limit: int = Field(100, ge=1, le=1_000)


class ImageLink(Tolerant):
    expires: str = Field("", max_length=20, description="As the link has it.")
    signature: str = Field("", max_length=128, description="As the link has it.")


EventNames = Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MAX_EVENTS)]


class NewWebhook(Tolerant):
    model_config = example(url="https://example.com/webhooks/spot", events=["player.online", "player.offline"])

    url: Unescaped = Field(
        min_length=1, max_length=2_000, description="HTTPS; plain HTTP to networks that are allowed."
    )
    events: EventNames = Field(description="Event names, or * for all.")


class WebhookChanges(Changes):
    model_config = example(events=["player.online", "player.offline", "command.finished"])

    url: Unescaped | None = Field(None, min_length=1, max_length=2_000)
    events: EventNames | None = Field(None, description="All that it listens to from now on.")
    status: Literal["active", "paused"] | None = Field(
        None, description="paused: what happens waits for it. active: it is sent, also after the webhook was disabled."
    )


class Rotation(Strict):
    model_config = example(overlap_s=86_400)

    overlap_s: int = Field(
        86_400, ge=0, le=604_800, strict=True, description="Seconds for which the old secret signs as well."
    )


class Replay(Strict):
    model_config = example(since="2026-03-29T00:00:00Z")

    since: Moment
    all: bool = Field(False, strict=True, description="Also what has arrived.")


class DeliveryFilter(Strict):
    state: Literal["pending", "delivered", "failed"] | None = None
    before: str | None = Field(None, max_length=64, description="`meta.next` of the page before.")
    limit: int = Field(50, ge=1, le=500)
