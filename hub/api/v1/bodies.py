"""What callers send to /api/v1: bodies and queries, with their limits.

Spot's calls ignore what they do not know, since clients in the field may send more than the document says. Our own
refuse it, so that a typing error is not taken for a wish. In changes, null means the same as absent: leave it as it is.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hub.api.reading import MAX_INTEGER
from hub.domain.commands import MAX_TTL_S, STATES
from hub.domain.times import parse

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
MAX_SCOPES = 20
MAX_EVENTS = 50  # names one webhook can listen to; there are fewer

Id = Annotated[int, Field(ge=1, le=MAX_INTEGER, strict=True)]
QueryId = Annotated[int, Field(ge=1, le=MAX_INTEGER)]


def _not_blank(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("Use printable characters, and not spaces alone.")
    return text.strip()


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_not_blank)]


def _moment(text: str) -> str:
    try:
        parse(text)
    except (ValueError, OverflowError):
        raise ValueError("Give a time as RFC 3339 has it, such as 2027-01-01T00:00:00Z.") from None
    return text


Moment = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"}), AfterValidator(_moment)]


class Tolerant(BaseModel):
    """Ignores what it does not know (Spot's routes)."""

    model_config = ConfigDict(extra="ignore")


class Strict(BaseModel):
    """Refuses what it does not know (our own routes)."""

    model_config = ConfigDict(extra="forbid")


class Changes(Strict):
    """Some of these; what is absent or null stays as it is."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError(f"Give at least one of {', '.join(type(self).model_fields)}.")
        return self


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


# Players -------------------------------------------------------------------------------------------------------------


class PlayerFilter(Tolerant):
    status: Literal["online", "offline"] | None = None
    group_id: QueryId | None = Field(None, description="Members of this group only.")
    search: str | None = Field(None, max_length=100, description="Part of the name, in any case.")
    page: int | None = Field(None, ge=1, le=1_000_000, description="Which page; without page and per_page: all.")
    per_page: int | None = Field(None, ge=1, le=1_000, description="Players a page; 50 when only page is given.")


class NewPlayer(Strict):
    model_config = _example(name="Lobby Display")

    name: Name


class PlayerChanges(Changes):
    model_config = _example(name="Lobby Display", group_ids=[1])

    name: Name | None = None
    group_ids: list[Id] | None = Field(None, max_length=1_000, description="All groups that it is to be a member of.")
    quarantined: Literal[False] | None = Field(None, description="false lets it in again; needs the admin scope.")


class NewGroup(Strict):
    model_config = _example(name="Lobby", player_ids=[1, 2])

    name: Name
    player_ids: list[Id] = Field([], max_length=MAX_MEMBERS)


class GroupChanges(Changes):
    model_config = _example(player_ids=[1, 2, 3])

    name: Name | None = None
    player_ids: list[Id] | None = Field(None, max_length=MAX_MEMBERS, description="All members from now on.")


class PairingDecision(Strict):
    model_config = _example(code="BCD-234", name="Lobby Display")

    code: str = Field(min_length=1, max_length=50, description="As the screen shows it; case and dashes do not matter.")
    name: Name | None = Field(None, description="Name of the new player; without one it is called by its model.")
    player_id: Id | None = Field(
        None, description="Instead of a new player: the one whose device this replaces, identity and history kept."
    )


# Commands ------------------------------------------------------------------------------------------------------------


class SpotCommand(Tolerant):
    """One of Spot's three commands. `POST /api/v1/commands` knows all."""

    model_config = _example(command="reboot")

    command: Literal["reboot", "reload_content", "take_screenshot"]


class _Instruction(Strict):
    command: str = Field(min_length=1, max_length=60, description="A name of the catalogue, or custom:NAME.")
    payload: dict[str, Any] | None = Field(None, description="The command's arguments.")
    ttl_s: int | None = Field(
        None, ge=1, le=MAX_TTL_S, strict=True, description="Seconds it may wait for the player; else the command's own."
    )


class NewCommand(_Instruction):
    model_config = _example(player_id=1, command="set_volume", payload={"volume": 40})

    player_id: Id


class NewBatch(_Instruction):
    model_config = _example(group_id=1, command="reboot", rate_per_minute=10, max_failures=3)

    group_id: Id
    rate_per_minute: int | None = Field(
        None, ge=1, le=100_000, strict=True, description="Players a minute; without it all at once."
    )
    max_failures: int | None = Field(
        None, ge=0, le=MAX_MEMBERS, strict=True, description="More failures than this stop the rest."
    )
    dry_run: bool = Field(False, strict=True, description="Only say who would get it, and who not and why.")


class CommandFilter(Strict):
    player_id: QueryId | None = None
    batch_id: str | None = Field(None, max_length=64)
    status: list[State] = Field([], max_length=len(STATES), description="Repeat it for several.")
    before: str | None = Field(None, max_length=64, description="`meta.next` of the page before.")
    limit: int = Field(50, ge=1, le=500)


# The rest ------------------------------------------------------------------------------------------------------------


class EventFilter(Strict):
    after: str | None = Field(None, max_length=64, description="A cursor; without one from the beginning.")
    limit: int = Field(100, ge=1, le=1_000)


class ImageLink(Tolerant):
    expires: str = Field("", max_length=20, description="As the link has it.")
    signature: str = Field("", max_length=128, description="As the link has it.")


class NewKey(Strict):
    model_config = _example(
        name="Dashboard", scopes=["read:players", "write:players"], expires_at="2030-01-01T00:00:00Z"
    )

    name: Name
    scopes: list[Annotated[str, Field(max_length=40)]] = Field(
        min_length=1, max_length=MAX_SCOPES, description="Nobody grants what they lack."
    )
    expires_at: Moment | None = Field(None, description="Without it the key lives until it is revoked.")

    @property
    def expires_ms(self) -> int | None:
        return None if self.expires_at is None else parse(self.expires_at)


class NewWebhook(Tolerant):
    model_config = _example(url="https://example.com/webhooks/spot", events=["player.online", "player.offline"])

    url: str = Field(min_length=1, max_length=2_000, description="HTTPS; plain HTTP to networks that are allowed.")
    events: list[Annotated[str, Field(max_length=64)]] = Field(
        min_length=1, max_length=MAX_EVENTS, description="Event names, or * for all."
    )


def changes_of(body: Changes) -> dict[str, Any]:
    return body.model_dump(exclude_none=True)
