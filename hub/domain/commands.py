"""What can be asked of a player, and the life of one such request.

Lifecycle. One row per player and command; every move is a conditional update on (state, version), so of two movers
one wins and the other changes nothing. No state is ever ahead of the facts:

    held      waits for its turn in a paced batch; its deadline has not started
    queued    stored, on disk; not on its way
    sent      claimed by one connection (node and epoch); a claim of any other connection counts as queued
    acked     in the player's own durable journal
    succeeded, failed, rejected      the player's word, with its evidence
    cancelled                        by the hub before it was sent, or by the player
    expired                          the deadline passed before the player took it
    timed_out                        the player took it and did not report within the command's time
    delivered                        handed to a polling player that cannot acknowledge

A result implies an acknowledgement. A result that comes late is the truth and replaces what the hub had assumed
(`expired`, `cancelled`, `timed_out`, and `failed` with `journal_lost`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import orjson
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.domain import evidence, wording
from hub.domain.errors import Invalid
from hub.domain.evidence import Judge, Lookup

Delivery = Literal["safe", "idempotent", "once"]

LIVE = ("held", "queued", "sent", "acked")
FINAL = ("succeeded", "failed", "rejected", "cancelled", "expired", "timed_out", "delivered")
STATES = LIVE + FINAL
RESULTS = ("succeeded", "failed", "rejected", "cancelled")

JOURNAL_LOST = "journal_lost"
"""Error code of a command that was acknowledged and then missing from the player's journal."""

SUPERSEDED = "superseded"
"""Error code of a command that was cancelled because what it was to set was set anew."""

MOVES: dict[str, dict[str, str]] = {
    # move: {from: to}
    "release": {"held": "queued"},
    "claim": {"queued": "sent"},
    "requeue": {"sent": "queued"},  # it never arrived
    "acknowledge": {"queued": "acked", "sent": "acked"},
    "cancel": {"held": "cancelled", "queued": "cancelled"},
    "supersede": {"queued": "cancelled"},  # by a newer one of the same command
    "overrule": {"held": "cancelled", "queued": "cancelled"},  # what it was to set was set anew
    "call_off": {"sent": "cancelled"},  # it never arrived, and was to be cancelled
    "reject": {"queued": "rejected"},
    "expire": {"queued": "expired", "sent": "expired", "acked": "timed_out"},
    "lose": {"acked": "failed", "sent": "failed"},
    "deliver": {"queued": "delivered"},
    "prove": {"delivered": "succeeded"},
}
"""The hub's own moves; the statements in `store` are made from this table. The player's results are the other moves,
see `accepts_result`."""


def accepts_result(state: str, error_code: str | None, *, acknowledged: bool) -> bool:
    """Whether a player's result still settles a row in `state` (with the row's own `error_code`).

    What the player itself said before is final; what the hub assumed is not. The hub itself cancels only what no player
    has acknowledged; a result implies an acknowledgement, so a cancelled row that has one is the player's word.
    """
    assumed = state in ("expired", "timed_out", "delivered") or (state == "cancelled" and not acknowledged)
    return state in LIVE or assumed or (state == "failed" and error_code == JOURNAL_LOST)


class Payload(BaseModel):
    """The arguments of a command; unknown keys are refused, so that a typing error is not silently dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Payload):
    pass


class ScreenshotPayload(Payload):
    quality: int | None = Field(
        None, ge=1, le=100, strict=True, description="JPEG quality; without it PNG or the player's choice"
    )
    max_width: int | None = Field(None, ge=16, le=7680, strict=True, description="pixels")


class VolumePayload(Payload):
    volume: int = Field(ge=0, le=100, strict=True, description="per cent")


class DisplayPayload(Payload):
    on: bool = Field(strict=True)


class PlayPayload(Payload):
    """Exactly one of asset_id, playlist_id and url; it returns to the schedule after `duration_s`, or when it ends."""

    asset_id: int | None = Field(None, ge=1, le=2**53 - 1, strict=True)
    playlist_id: int | None = Field(None, ge=1, le=2**53 - 1, strict=True)
    url: AnyHttpUrl | None = None
    duration_s: int | None = Field(None, ge=1, le=86_400, strict=True, description="seconds")

    @model_validator(mode="after")
    def _one_source(self) -> "PlayPayload":
        if sum(source is not None for source in (self.asset_id, self.playlist_id, self.url)) != 1:
            raise ValueError("must have exactly one of asset_id, playlist_id and url")
        return self


class IdentifyPayload(Payload):
    seconds: int | None = Field(None, ge=1, le=3600, strict=True)


class LockPayload(Payload):
    pin: Annotated[str, Field(pattern=r"^[0-9]{4,8}$", description="4 to 8 digits")]


class LogsPayload(Payload):
    lines: int | None = Field(None, ge=1, le=100_000, strict=True)


class UpdatePayload(Payload):
    version: str = Field(min_length=1, max_length=64)
    url: AnyHttpUrl
    signature: str = Field(min_length=1, max_length=1024)


class CustomPayload(BaseModel):
    """Any object: the device's own configuration says what it means."""

    model_config = ConfigDict(extra="allow", frozen=True)


@dataclass(frozen=True, slots=True)
class Spec:
    """One line of the catalogue.

    start_within_s    how long the command may wait for the player before it expires
    finish_within_s   how long after the acknowledgement a result may take
    evidence          keys that the `detail` of a success must carry
    judge             whether they show what the success claims; None: nobody but the device can tell
    look_up           what the judge needs of the database
    setting           its success becomes the player's desired setting, so that a reconnect does not undo it; a younger
                      wish about one of its settings makes it pointless
    """

    name: str
    payload: type[BaseModel]
    delivery: Delivery
    start_within_s: int
    finish_within_s: int
    evidence: tuple[str, ...]
    scope: str = "write:players"
    aliases: tuple[str, ...] = ()
    judge: Judge | None = None
    look_up: Lookup | None = None
    setting: "Setting | None" = None


class Setting:
    """Desired settings as they follow from a payload: by name a key of the payload, or the value itself."""

    def __init__(self, *, keys: Mapping[str, str] = {}, values: Mapping[str, Any] = {}) -> None:
        self.names = frozenset({*keys, *values})
        self._keys, self._values = keys, values

    def __call__(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._values, **{name: payload[key] for name, key in self._keys.items()}}


_CATALOGUE = (
    Spec("reboot", Nothing, "once", 60, 600, ("boot_id_before", "boot_id_after", "seconds_away"),
         judge=evidence.rebooted, look_up="greetings"),
    Spec("restart_player", Nothing, "once", 60, 120, ("pid_before", "pid_after", "started_at"),
         judge=evidence.restarted),
    Spec("reload_content", Nothing, "idempotent", 300, 300, ("revision",), aliases=("refresh",),
         judge=evidence.reloaded),
    Spec("take_screenshot", ScreenshotPayload, "safe", 30, 60, ("screenshot_id", "sha256", "source", "captured_at"),
         aliases=("screenshot",), judge=evidence.photographed, look_up="screenshot"),
    Spec("set_volume", VolumePayload, "idempotent", 300, 60, ("volume",), judge=evidence.volume_set,
         setting=Setting(keys={"volume": "volume"})),
    Spec("set_display", DisplayPayload, "idempotent", 300, 60, ("on",), judge=evidence.display_set,
         setting=Setting(keys={"display_on": "on"})),
    Spec("play", PlayPayload, "idempotent", 60, 60, ("current_content",), judge=evidence.plays, look_up="name"),
    Spec("identify", IdentifyPayload, "safe", 30, 60, ("shown",), judge=evidence.identified),
    Spec("lock", LockPayload, "idempotent", 86_400, 60, ("locked",), judge=evidence.locked,
         setting=Setting(keys={"pin": "pin"}, values={"locked": True})),
    Spec("unlock", Nothing, "idempotent", 86_400, 60, ("locked",), judge=evidence.unlocked,
         setting=Setting(values={"locked": False, "pin": None})),
    Spec("clear_cache", Nothing, "idempotent", 300, 60, ("bytes_freed",), judge=evidence.freed),
    Spec("collect_logs", LogsPayload, "safe", 120, 300, ("upload_id",), judge=evidence.collected, look_up="logs"),
    Spec("update_agent", UpdatePayload, "once", 3600, 1800, ("version_before", "version_after"), scope="admin",
         judge=evidence.updated, look_up="greetings"),
)  # fmt: skip

CATALOGUE: dict[str, Spec] = {spec.name: spec for spec in _CATALOGUE}
SETTERS: tuple[str, ...] = tuple(spec.name for spec in _CATALOGUE if spec.setting is not None)
ALIASES: dict[str, str] = {alias: spec.name for spec in _CATALOGUE for alias in spec.aliases}

_CUSTOM = re.compile(r"custom:[a-z0-9][a-z0-9_-]{0,39}")
MAX_TTL_S = 7 * 86_400
PLAY_DAYS = 8  # in which a `play` command may wait for its player and then last
POLLED_WITHIN_S = 300  # a player that polls asks each minute or two: what is over before that would never reach it
MAX_DETAIL_BYTES = 32_768  # of a result: 4 KiB of a program's output, each byte of which may be written as six
MAX_PAYLOAD_BYTES = (
    16 * 1024
)  # of JSON; what is larger is content, and an asset. Each player's command has its own copy
WEIGHED_BYTES = 1024  # of a payload, which count as one command


def lookup(name: str) -> Spec:
    """The catalogue's line for a command name or alias. Raises Invalid for an unknown one."""
    name = ALIASES.get(name, name)
    spec = CATALOGUE.get(name)
    if spec is None and _CUSTOM.fullmatch(name):
        # The device's configuration decides how a custom command may repeat; the hub assumes the strictest.
        spec = Spec(name, CustomPayload, "once", 60, 60, ("exit_status", "output"), judge=evidence.exited)
    if spec is None:
        what = f"names an unknown command: {name[:60]}.{_nearest(name)}"
        raise Invalid.field("command", what, code="unknown_command")
    return spec


def _nearest(name: str) -> str:
    """What may have been meant, and all that there are."""
    near = get_close_matches(name[:60].lower(), [*CATALOGUE, *ALIASES], 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"{meant} There are {', '.join(sorted(CATALOGUE))}, and custom:NAME"


def time_to_start(spec: Spec, ttl_s: int | None, *, polls: bool) -> int:
    """Seconds that a command may wait for its player: what its sender said, else the command's own, which is never too
    short for a player that polls."""
    return ttl_s or (max(spec.start_within_s, POLLED_WITHIN_S) if polls else spec.start_within_s)


def check_payload(spec: Spec, payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """The payload as it goes to the player, in JSON of at most MAX_PAYLOAD_BYTES. Raises Invalid with a text per
    field."""
    try:
        model = spec.payload.model_validate(payload or {})
    except ValidationError as error:
        raise wording.invalid(error, "payload") from None
    checked = model.model_dump(mode="json", exclude_none=True)
    if len(orjson.dumps(checked)) > MAX_PAYLOAD_BYTES:
        raise Invalid.field("payload", f"must have at most {MAX_PAYLOAD_BYTES} bytes of JSON")
    return checked


def weight(payload: str) -> int:
    """As how many commands one with this payload (JSON) counts: each begun kibibyte is one."""
    return -(-len(payload.encode()) // WEIGHED_BYTES)


def supersedes(spec: Spec) -> bool:
    """Whether a newer queued command of this kind makes older queued ones pointless."""
    return spec.delivery == "idempotent" and not spec.name.startswith("custom:")


def setters_of(settings: Iterable[str]) -> frozenset[str]:
    """The commands that set one of these settings."""
    wanted = frozenset(settings)
    return frozenset(name for name in SETTERS if (setting := CATALOGUE[name].setting) and setting.names & wanted)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's own name for a request, and the hash of the request it goes with."""

    key: str
    request: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer that the first request with this key got."""

    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A player's result, as the store takes it; times in Unix ms. `boot_id` is of the boot in which it finished,
    `revision` of the manifest that the player was last told of."""

    id: str
    status: str
    detail: Mapping[str, Any] | None
    error_code: str | None
    error_message: str | None
    started_at: int | None
    finished_at: int
    boot_id: str | None = None
    revision: str | None = None
