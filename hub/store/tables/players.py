"""Players, their groups, what is known of them, and how they came in."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class PlayerGroup(SQLModel, table=True):
    __tablename__ = "player_group"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    name: str
    created_at: int = c.time()
    version: int = 1
    layout_id: int | None = c.maybe_number()


class Player(SQLModel, table=True):
    """A screen with its computer. `settings` is what it should have, `capabilities` what its last hello offered
    (null before the first hello: anything may be queued for it). `quarantined_by` is the name of a person or a key,
    null for the hub itself. `uuid` is the name of one that polls, AdCast's way. `wishes` counts what operators asked
    for in its settings, `wished` is a JSON object: by setting the number of the wish that it is of."""

    __tablename__ = "player"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    screen_id: str = Field(unique=True)
    name: str
    created_at: int = c.time()
    updated_at: int = c.time()
    version: int = 1
    token_digest: str | None = Field(default=None, unique=True)
    token_prefix: str | None = None
    token_issued_at: int | None = c.maybe_time()
    quarantined_at: int | None = c.maybe_time()
    quarantine_reason: str | None = None
    quarantined_by: str | None = None
    hardware_id: str | None = None
    model: str | None = None
    os_version: str | None = None
    app_version: str | None = None
    agent: str | None = None
    player_kind: str | None = None
    player_version: str | None = None
    capabilities: str | None = c.json(None)
    journal_id: str | None = None
    settings: str = c.json()
    wishes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    wished: str = Field(default="{}", sa_column=Column(Text, nullable=False, server_default="{}"))
    uuid: str | None = Field(default=None, index=True)
    location_id: int | None = c.maybe_number(index=True)
    layout_id: int | None = c.maybe_number(index=True)
    timezone: str | None = None


class GroupMember(SQLModel, table=True):
    __tablename__ = "group_member"
    group_id: int = c.key_of("player_group.id")
    player_id: int = Field(
        sa_column=Column(c.Id, ForeignKey("player.id", ondelete="CASCADE"), primary_key=True, index=True)
    )


class PresenceRow(SQLModel, table=True):
    """One row per player, made with it. Written on transitions only; see `hub.domain.presence`."""

    __tablename__ = "presence"
    player_id: int = c.key_of("player.id")
    team_id: int = c.number()
    online: bool = False
    since: int = c.time()
    epoch: int = 0
    node: str | None = None
    due_at: int | None = c.maybe_time()
    offline_due_at: int | None = c.maybe_time()
    reason: str | None = None
    flapping: bool = False
    history: str = c.json()
    session_id: str | None = None
    __table_args__ = (
        c.index_where("ix_presence_due", "due_at", where="due_at IS NOT NULL"),
        c.index_where("ix_presence_node", "node", where="node IS NOT NULL"),
        Index("ix_presence_team", "team_id", "online"),
    )


class Status(SQLModel, table=True):
    """The latest of what a player reports about itself, written in batches: never a reason to wait for a disk."""

    __tablename__ = "player_status"
    player_id: int = c.key_of("player.id")
    last_seen_at: int | None = c.maybe_time()
    address: str | None = None
    telemetry: str = c.json()
    telemetry_at: int | None = c.maybe_time(index=True)
    reported: str = c.json()


class Session(SQLModel, table=True):
    """One connection of a player, for uptime and history. `boot_id` and `agent_version` are what its hello said."""

    __tablename__ = "player_session"
    id: str = Field(primary_key=True)
    player_id: int = c.ref("player.id")
    epoch: int
    node: str
    address: str | None = None
    started_at: int = c.time()
    ended_at: int | None = c.maybe_time()
    reason: str | None = None
    boot_id: str | None = None
    agent_version: str | None = None
    __table_args__ = (
        Index("ix_session_player", "player_id", "started_at"),
        Index("ix_session_epoch", "player_id", "epoch"),
        c.index_where("ix_session_open", "node", where="ended_at IS NULL"),
    )


class Screenshot(SQLModel, table=True):
    """`asset_id` and `asset_name` are of what was shown when it was taken, as it was called then; None: not known."""

    __tablename__ = "screenshot"
    id: int | None = c.key()
    player_id: int = c.ref("player.id")
    team_id: int = c.number()
    command_id: str | None = None
    blob: str
    mime: str
    size: int
    sha256: str
    source: str
    captured_at: int = c.time()
    stored_at: int = c.time()
    asset_id: int | None = c.maybe_number()
    asset_name: str | None = None
    __table_args__ = (Index("ix_screenshot_player", "player_id", "stored_at"),)


class Upload(SQLModel, table=True):
    """A finished upload: a repeat of it gets the same id. `key` is player, kind, command and sha256."""

    __tablename__ = "upload"
    id: str = Field(primary_key=True)
    key: str = Field(unique=True)
    player_id: int = c.ref("player.id", index=True)
    kind: str
    blob: str
    mime: str
    size: int
    sha256: str
    screenshot_id: int | None = c.maybe_number()
    created_at: int = c.time(index=True)


class Pairing(SQLModel, table=True):
    """A device authorization (RFC 8628) in progress. Codes are kept as SHA-256. `user_id` and `credential` (`key 7`)
    are of who invited or approved: what they have opened ends with them."""

    __tablename__ = "pairing"
    id: int | None = c.key()
    device_digest: str = Field(unique=True)
    user_digest: str = Field(unique=True)
    hardware_id: str
    model: str | None = None
    host_name: str | None = None
    address: str | None = Field(default=None, index=True)
    created_at: int = c.time()
    expires_at: int = c.time(index=True)
    interval_s: int
    polled_at: int | None = c.maybe_time()
    state: str = "pending"
    player_id: int | None = c.ref("player.id", nullable=True)
    user_id: int | None = c.maybe_number()
    credential: str | None = None


class Location(SQLModel, table=True):
    """A place with its time zone (IANA name) and, for the weather, its degrees. `opening_hours`: null for always."""

    __tablename__ = "location"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    name: str
    address: str | None = None
    timezone: str
    latitude: float | None = None
    longitude: float | None = None
    opening_hours: str | None = c.json(None)
    created_at: int = c.time()
    version: int = 1


class PollingDevice(SQLModel, table=True):
    """A device that registered itself by uuid and polls (AdCast). `player_id` is reserved for the player that it
    becomes by pairing. `held` are the ids of the content that it has fetched and was not told to delete."""

    __tablename__ = "polling_device"
    player_id: int = Field(sa_column=Column(c.Id, primary_key=True, autoincrement=False))
    uuid: str = Field(unique=True)
    team_id: int | None = c.maybe_number()
    pairing_code: str | None = Field(default=None, unique=True)
    code_expires_at: int | None = c.maybe_time()
    model: str | None = None
    os_version: str | None = None
    app_version: str | None = None
    license_key: str | None = None
    address: str | None = Field(default=None, index=True)
    created_at: int = c.time()
    seen_at: int = c.time(index=True)
    revision: str | None = None
    held: str = c.json("[]")


class Licence(SQLModel, table=True):
    """A key that a polling device sends to be licensed; one device a key."""

    __tablename__ = "licence"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    key: str = Field(unique=True)
    note: str | None = None
    player_id: int | None = c.maybe_number(index=True)
    activated_at: int | None = c.maybe_time()
    created_at: int = c.time()
    version: int = 1


class Release(SQLModel, table=True):
    """A version of the player software. `active` ones are offered to devices, the newest first."""

    __tablename__ = "app_release"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    version_name: str
    url: str
    sha256: str
    size: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    notes: str = c.long_text()
    mandatory: bool = False
    active: bool = True
    created_at: int = c.time()
    version: int = 1
    __table_args__ = (UniqueConstraint("team_id", "version_name"),)


class Alert(SQLModel, table=True):
    """An emergency message. `everyone`, or the targets beside it."""

    __tablename__ = "alert"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    title: str
    message: str = c.long_text()
    severity: str
    everyone: bool = False
    starts_at: int = c.time()
    ends_at: int | None = c.maybe_time()
    triggered_at: int | None = c.maybe_time()
    cleared_at: int | None = c.maybe_time()
    created_at: int = c.time()
    version: int = 1
    __table_args__ = (
        c.index_where("ix_alert_pending", "starts_at", where="triggered_at IS NULL AND cleared_at IS NULL"),
        c.index_where("ix_alert_live", "ends_at", where="triggered_at IS NOT NULL AND cleared_at IS NULL"),
    )


class AlertTarget(SQLModel, table=True):
    """`kind` is player, group or location."""

    __tablename__ = "alert_target"
    alert_id: int = c.key_of("alert.id")
    kind: str = Field(primary_key=True)
    target_id: int = Field(sa_column=Column(c.Id, primary_key=True))


class AlertPart(SQLModel, table=True):
    """A part of a message from outside (`source`, in CAP sender,identifier,sent) that an alert shows or showed."""

    __tablename__ = "alert_part"
    team_id: int = c.key_of("team.id")
    source: str = Field(primary_key=True)
    part: str = Field(primary_key=True)
    alert_id: int = c.ref("alert.id", index=True)


class CapMessage(SQLModel, table=True):
    """A message of CAP that asks for nothing more: it was done whole, or another one took its place."""

    __tablename__ = "cap_message"
    team_id: int = c.key_of("team.id")
    source: str = Field(primary_key=True)
    settled_at: int = c.time(index=True)
