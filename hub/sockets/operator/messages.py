"""What is said on `/ws/operator`: flat JSON objects with a `type`, as on the players' socket.

Unknown fields are ignored, so that a client written for a later hub is understood. `TO_HUB` and `FROM_HUB` are what the
manual's page is held to.
"""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hub.domain import wording
from hub.domain.commands import MAX_TTL_S
from hub.domain.errors import sentence
from hub.domain.events import Topic

Ref = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=1, le=2**53 - 1)]


class Unread(Exception):
    """A message that the feed does not take. `ref` is the message's own, where it could be read."""

    def __init__(self, code: str, message: str, ref: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.ref = ref


CODES = {
    "not_json": "The text is no JSON object.",
    "unknown_type": "There is no message of this `type` in this direction.",
    "invalid_field": "A field is missing, has the wrong type or is over its limit; the message names it.",
    "binary": "Only text frames are taken.",
    "busy": "Too many messages of this connection wait to be worked on; send it again.",
}
"""Every `code` of an `error` beside those of the API, and when."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Subscribe(_Message):
    """Listen to these topics; it takes the place of an earlier one."""

    type: Literal["subscribe"]
    topics: list[Topic] = Field(min_length=1, max_length=4)
    after: str | None = Field(None, max_length=64, description="A cursor to go on from.")
    ref: Ref | None = None


class Command(_Message):
    """Queue a command for one player or a group. Needs write:players, or what the command asks for."""

    type: Literal["command"]
    ref: Ref
    player_id: Number | None = None
    group_id: Number | None = None
    command: str = Field(min_length=1, max_length=60)
    payload: dict[str, Any] | None = None
    ttl_s: int | None = Field(None, ge=1, le=MAX_TTL_S)
    idempotency_key: str | None = Field(None, min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")


class Ping(_Message):
    """Answered by `pong`, for clients that cannot send WebSocket pings."""

    type: Literal["ping"]
    ref: Ref | None = None


SpooledFile = Subscribe | Command | Ping
TO_HUB: dict[str, type[_Message]] = {"subscribe": Subscribe, "command": Command, "ping": Ping}
FROM_HUB: dict[str, tuple[str, ...]] = {
    "snapshot": ("cursor", "players", "counts", "more"),
    "event": ("cursor", "event", "timestamp", "data", "actor"),
    "now": ("players", "commands"),
    "reset": (),
    "accepted": ("ref", "command_id", "batch_id"),
    "refused": ("ref", "code", "message", "errors", "retry_after"),
    "pong": ("ref",),
    "error": ("code", "message", "ref", "errors", "retry_after"),
}
"""Messages of the hub with their fields."""

_READERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(model) for name, model in TO_HUB.items()}


def read(data: bytes) -> SpooledFile:
    """The message in a text frame. Raises Unread."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Unread("not_json", "A message is a JSON object.") from None
    if not isinstance(raw, dict):
        raise Unread("not_json", "A message is a JSON object.")
    ref = raw.get("ref")
    ref = ref if isinstance(ref, str) and 1 <= len(ref) <= 64 else None
    kind = raw.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise Unread("unknown_type", f"Send one of {', '.join(TO_HUB)}.", ref)
    try:
        message: SpooledFile = reader.validate_python(raw)
    except ValidationError as error:
        found = wording.invalid(error).errors or {}
        raise Unread("invalid_field", next(text for texts in found.values() for text in texts)[:300], ref) from None
    if isinstance(message, Command) and (message.player_id is None) == (message.group_id is None):
        raise Unread("invalid_field", sentence("player_id", "must be there, or group_id, but not both"), ref)
    return message


def said(kind: str, **fields: Any) -> bytes:
    """A message of the hub, as text."""
    return orjson.dumps({"type": kind} | fields)
