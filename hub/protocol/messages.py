"""Every message of `signalbox.v1`, one frozen dataclass each; a field's name is its name on the wire.

Player to hub: Hello, then Ack, Progress, Result, Telemetry, Plays, DeviceEvent, Upload, SettingsReport, Bye.
Hub to player: Welcome, then Command, Cancel, ResultOk, PlaysOk, UploadReady, UploadCredit, UploadDone, UploadFailed,
Sync, Settings, Alert, Drain, Error. The class attribute `type` is the name on the wire. A field that defaults to None
is optional: None is never sent, and a received null reads as absent. Constructing a message checks nothing;
`codec.decode` and `codec.check` do, by the limits written here. Times are wire strings (see `times`).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from hub.protocol.fields import (
    Code,
    Count,
    Id,
    JsonObject,
    Label,
    Many,
    Name,
    Noticed,
    Number,
    Percent,
    Prose,
    RowId,
    Seconds,
    Sha256,
    Text,
    Time,
    UInt32,
    Url,
    Whole,
)

Delivery = Literal["safe", "idempotent", "once"]
Status = Literal["succeeded", "failed", "rejected", "cancelled"]
JournalState = Literal["accepted", "running", "finished"]
UploadKind = Literal["screenshot", "logs"]

EVENT_NAMES = (
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
"""What devices report today. The frame of another name is well-formed: whether it is refused is the hub's decision."""


# Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfo:
    """The program that speaks this protocol."""

    name: Name
    version: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerInfo:
    """The program that shows the pictures, such as mpv."""

    kind: Name
    version: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """Why a command did not succeed: a code for programs, a message for people."""

    code: Code
    message: Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One showing of one asset. `id` is unique for the player; `completed` is false when it was cut short."""

    id: Id
    asset_id: RowId
    playlist_id: RowId | None = None
    layout_id: RowId | None = None
    schedule_id: RowId | None = None
    campaign_id: RowId | None = None
    started_at: Time
    duration_s: Seconds
    completed: bool


# Player to hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a command, repeated on every connection until `result_ok`."""

    type: ClassVar[str] = "result"
    id: Id
    status: Status
    detail: JsonObject | None = None
    error: ErrorInfo | None = None
    started_at: Time | None = None
    finished_at: Time
    boot_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A command whose outcome the hub has not confirmed. A finished entry carries its result, for the same id."""

    id: Id
    state: JournalState
    result: Result | None = None

    def __post_init__(self) -> None:
        if self.state == "finished" and self.result is None:
            raise ValueError("result: a finished entry must carry its result")
        if self.result is not None and self.result.id != self.id:
            raise ValueError("result: must be for the entry's own id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First message: who is there and what it has not yet settled. `clock` is the device's own idea of the time."""

    type: ClassVar[str] = "hello"
    agent: AgentInfo
    boot_id: Id
    hardware_id: Id
    clock: Time
    capabilities: Annotated[list[Name], Many(100)]
    player: PlayerInfo
    model: Label | None = None
    os_version: Label | None = None
    app_version: Label | None = None
    journal: Annotated[list[JournalEntry], Many(1000)]
    new_journal: bool | None = None
    journal_id: Id | None = None
    revision: Id | None = None
    settings: JsonObject | None = None
    ip_address: Annotated[str, Text(64)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The command is in the player's durable journal."""

    type: ClassVar[str] = "ack"
    id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running command is; at most one a second for each command."""

    type: ClassVar[str] = "progress"
    id: Id
    percent: Percent | None = None
    note: Annotated[str, Text(500)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Readings of now. The latest value wins, an absent one stays as it was, and none is ever queued."""

    type: ClassVar[str] = "telemetry"
    ip_address: Annotated[str, Text(64)] | None = None
    wifi_signal: Annotated[int, Whole(-200, 100)] | None = None
    storage_total_mb: Annotated[float, Number(0, 1e12)] | None = None
    storage_used_mb: Annotated[float, Number(0, 1e12)] | None = None
    storage_free_mb: Annotated[float, Number(0, 1e12)] | None = None
    screen_on: bool | None = None
    volume: Percent | None = None
    uptime_seconds: Count | None = None
    current_content: Annotated[str, Text(1024)] | None = None
    cpu_percent: Annotated[float, Number(0, 100)] | None = None
    memory_used_mb: Annotated[float, Number(0, 1e12)] | None = None
    temperature_c: Annotated[float, Number(-100, 250)] | None = None
    clock: Time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plays:
    """Proof of play, kept by the player until `plays_ok`; the hub drops entry ids it already has."""

    type: ClassVar[str] = "plays"
    batch: Id
    entries: Annotated[list[Play], Many(500)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    """Something the device noticed by itself, such as `player.crashed` or `storage.low`."""

    type: ClassVar[str] = "event"
    name: Code
    data: Noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Announces a binary upload of `size` bytes; the hub answers with `upload_ready`, `upload_done` or
    `upload_failed`. `upload` is unique within the connection, `source` says where the picture was taken."""

    type: ClassVar[str] = "upload"
    upload: UInt32
    kind: UploadKind
    command: Id | None = None
    mime: Name
    size: RowId
    sha256: Sha256
    captured_at: Time
    source: Code
    asset_id: RowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsReport:
    """What the device has now, and which desired settings it could not apply (name: reason)."""

    type: ClassVar[str] = "settings"
    reported: JsonObject
    failed: Annotated[dict[str, Prose], Many(100)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """A clean goodbye: the player counts as offline at once. Not sent when the hub said `drain`."""

    type: ClassVar[str] = "bye"
    reason: Literal["rebooting", "shutdown", "updating", "stopping"]


# Hub to player


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An emergency message over everything else, or its end."""

    type: ClassVar[str] = "alert"
    id: Id
    action: Literal["raise", "clear"]
    title: Label
    message: Prose
    severity: Code
    expires_at: Time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The connection is accepted. `epoch` rises with every connection of this player; `screenshot_s` 0 switches
    periodic screenshots off; without `revision` the hub has no manifest for this player yet."""

    type: ClassVar[str] = "welcome"
    player_id: RowId
    name: Label
    session: Id
    epoch: Count
    server_time: Time
    heartbeat_s: Annotated[int, Whole(1, 3600)]
    telemetry_s: Annotated[int, Whole(0, 86_400)]
    screenshot_s: Annotated[int, Whole(0, 86_400)]
    chunk_bytes: Annotated[int, Whole(1, 65_536)]
    window: Annotated[int, Whole(1, 64)]
    revision: Id | None = None
    settings: JsonObject
    alerts: Annotated[list[Alert], Many(100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Do this. Not to be started after `expires_at`, judged by the hub's clock (see `journal.in_time`)."""

    type: ClassVar[str] = "command"
    id: Id
    command: Name
    payload: JsonObject
    delivery: Delivery
    expires_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Do not do this after all; repeated until a `result`."""

    type: ClassVar[str] = "cancel"
    id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOk:
    """The outcome is durable at the hub: drop it, keep the id for 48 hours so that it never runs again."""

    type: ClassVar[str] = "result_ok"
    id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaysOk:
    """The batch is durable at the hub."""

    type: ClassVar[str] = "plays_ok"
    batch: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReady:
    """Send from this offset; more than 0 resumes an earlier attempt."""

    type: ClassVar[str] = "upload_ready"
    upload: UInt32
    received: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadCredit:
    """Everything before `received` is stored: the window moves on."""

    type: ClassVar[str] = "upload_credit"
    upload: UInt32
    received: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDone:
    """The upload is stored under this id."""

    type: ClassVar[str] = "upload_done"
    upload: UInt32
    id: Id
    url: Url


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFailed:
    """The upload is over and nothing of it is kept as a result."""

    type: ClassVar[str] = "upload_failed"
    upload: UInt32
    code: Code
    message: Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """The manifest changed: fetch this revision over HTTP."""

    type: ClassVar[str] = "sync"
    revision: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Converge to these settings and report. `name` is the player's, for the screen."""

    type: ClassVar[str] = "settings"
    desired: JsonObject
    name: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """This node is going away: close, and reconnect after the delay."""

    type: ClassVar[str] = "drain"
    reconnect_after_ms: Annotated[int, Whole(0, 3_600_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Something the player sent was refused. `ref` is the id, batch or upload number it was about, if readable."""

    type: ClassVar[str] = "error"
    code: Code
    message: Prose
    ref: Id | None = None


PlayerMessage = Hello | Ack | Progress | Result | Telemetry | Plays | DeviceEvent | Upload | SettingsReport | Bye
HubMessage = (
    Welcome
    | Command
    | Cancel
    | ResultOk
    | PlaysOk
    | UploadReady
    | UploadCredit
    | UploadDone
    | UploadFailed
    | Sync
    | Settings
    | Alert
    | Drain
    | Error
)
Message = PlayerMessage | HubMessage
