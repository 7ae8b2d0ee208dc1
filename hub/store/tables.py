"""Every table. Times are integers (Unix milliseconds), JSON is text that the hub wrote itself, ids that clients see are
integers except where a documented face wants its own form. Migrations in `migrations/` make exactly these tables.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

# SQLite numbers rows by itself only for INTEGER, PostgreSQL wants the width said.
Id = BigInteger().with_variant(Integer(), "sqlite")


def _key() -> Any:
    return Field(default=None, sa_column=Column(Id, primary_key=True, autoincrement=True))


def _ref(target: str, *, index: bool = False, nullable: bool = False, cascade: bool = True) -> Any:
    reference = ForeignKey(target, ondelete="CASCADE" if cascade else "SET NULL")
    column: Column[int] = Column(Id, reference, index=index, nullable=nullable)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def _time(*, index: bool = False) -> Any:
    return Field(sa_column=Column(BigInteger, nullable=False, index=index))


def _maybe_time(*, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(BigInteger, nullable=True, index=index))


def _json(default: str | None = "{}") -> Any:
    return Field(default=default, sa_column=Column(Text, nullable=default is None))


class Meta(SQLModel, table=True):
    """Facts about this database: `log_id` names its event log in cursors."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str


class Team(SQLModel, table=True):
    __tablename__ = "team"
    id: int | None = _key()
    name: str
    plan: str
    created_at: int = _time()


class User(SQLModel, table=True):
    __tablename__ = "users"  # `user` is a reserved word in PostgreSQL
    id: int | None = _key()
    team_id: int = _ref("team.id", index=True)
    name: str
    email: str = Field(unique=True)
    password_hash: str
    role: str
    created_at: int = _time()


class ApiKey(SQLModel, table=True):
    """A key is kept as SHA-256. `scopes` are separated by spaces."""

    __tablename__ = "api_key"
    id: int | None = _key()
    team_id: int = _ref("team.id", index=True)
    user_id: int | None = _ref("users.id", nullable=True, cascade=False)
    name: str
    prefix: str
    digest: str = Field(unique=True)
    scopes: str
    created_at: int = _time()
    expires_at: int | None = _maybe_time()
    revoked_at: int | None = _maybe_time()
    last_used_at: int | None = _maybe_time()
    last_address: str | None = None
    last_agent: str | None = None


class PlayerGroup(SQLModel, table=True):
    __tablename__ = "player_group"
    id: int | None = _key()
    team_id: int = _ref("team.id", index=True)
    name: str
    created_at: int = _time()
    version: int = 1


class Player(SQLModel, table=True):
    """A screen with its computer. `settings` is what it should have, `capabilities` what its last hello offered
    (null before the first hello: anything may be queued for it)."""

    __tablename__ = "player"
    id: int | None = _key()
    team_id: int = _ref("team.id", index=True)
    screen_id: str = Field(unique=True)
    name: str
    created_at: int = _time()
    updated_at: int = _time()
    version: int = 1
    token_digest: str | None = Field(default=None, unique=True)
    token_prefix: str | None = None
    token_issued_at: int | None = _maybe_time()
    quarantined_at: int | None = _maybe_time()
    hardware_id: str | None = None
    model: str | None = None
    os_version: str | None = None
    app_version: str | None = None
    agent: str | None = None
    player_kind: str | None = None
    player_version: str | None = None
    capabilities: str | None = _json(None)
    settings: str = _json()


class GroupMember(SQLModel, table=True):
    __tablename__ = "group_member"
    group_id: int = Field(sa_column=Column(Id, ForeignKey("player_group.id", ondelete="CASCADE"), primary_key=True))
    player_id: int = Field(
        sa_column=Column(Id, ForeignKey("player.id", ondelete="CASCADE"), primary_key=True, index=True)
    )


class PresenceRow(SQLModel, table=True):
    """One row per player, made with it. Written on transitions only; see `hub.domain.presence`."""

    __tablename__ = "presence"
    player_id: int = Field(sa_column=Column(Id, ForeignKey("player.id", ondelete="CASCADE"), primary_key=True))
    team_id: int = Field(sa_column=Column(Id, nullable=False))
    online: bool = False
    since: int = _time()
    epoch: int = 0
    node: str | None = None
    due_at: int | None = _maybe_time()
    offline_due_at: int | None = _maybe_time()
    reason: str | None = None
    flapping: bool = False
    history: str = _json()
    session_id: str | None = None
    __table_args__ = (
        Index(
            "ix_presence_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_presence_node", "node", sqlite_where=text("node IS NOT NULL"), postgresql_where=text("node IS NOT NULL")
        ),
        Index("ix_presence_team", "team_id", "online"),
    )


class Status(SQLModel, table=True):
    """The latest of what a player reports about itself, written in batches: never a reason to wait for a disk."""

    __tablename__ = "player_status"
    player_id: int = Field(sa_column=Column(Id, ForeignKey("player.id", ondelete="CASCADE"), primary_key=True))
    last_seen_at: int | None = _maybe_time()
    address: str | None = None
    telemetry: str = _json()
    telemetry_at: int | None = _maybe_time()
    reported: str = _json()


class Session(SQLModel, table=True):
    """One connection of a player, for uptime and history."""

    __tablename__ = "player_session"
    id: str = Field(primary_key=True)
    player_id: int = _ref("player.id")
    epoch: int
    node: str
    address: str | None = None
    started_at: int = _time()
    ended_at: int | None = _maybe_time()
    reason: str | None = None
    __table_args__ = (
        Index("ix_session_player", "player_id", "started_at"),
        Index(
            "ix_session_open", "node", sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")
        ),
    )


class Batch(SQLModel, table=True):
    """One command to many players; `rate_per_minute` paces it, `max_failures` aborts it."""

    __tablename__ = "batch"
    id: str = Field(primary_key=True)
    team_id: int = _ref("team.id", index=True)
    group_id: int | None = None
    command: str
    payload: str = _json()
    created_at: int = _time()
    created_by: str
    rate_per_minute: int | None = None
    max_failures: int | None = None
    ttl_s: int
    release_at: int | None = _maybe_time()
    aborted_at: int | None = _maybe_time()
    __table_args__ = (
        Index(
            "ix_batch_release",
            "release_at",
            sqlite_where=text("release_at IS NOT NULL"),
            postgresql_where=text("release_at IS NOT NULL"),
        ),
    )


class Command(SQLModel, table=True):
    """One row per player and command. `due_at` is the next instant at which time alone moves it."""

    __tablename__ = "command"
    id: str = Field(primary_key=True)
    team_id: int = Field(sa_column=Column(Id, nullable=False))
    player_id: int = Field(sa_column=Column(Id, ForeignKey("player.id", ondelete="CASCADE"), nullable=False))
    batch_id: str | None = None
    command: str
    payload: str = _json()
    delivery: str
    state: str
    version: int = 1
    finish_within_s: int
    created_at: int = _time()
    expires_at: int | None = _maybe_time()
    due_at: int | None = _maybe_time()
    node: str | None = None
    epoch: int | None = None
    sent_at: int | None = _maybe_time()
    acked_at: int | None = _maybe_time()
    finished_at: int | None = _maybe_time()
    started_at: int | None = _maybe_time()
    detail: str | None = _json(None)
    error_code: str | None = None
    error_message: str | None = None
    cancel_requested_at: int | None = _maybe_time()
    superseded_by: str | None = None
    late: bool = False
    actor_kind: str
    actor_id: int
    actor_name: str
    face: str
    address: str | None = None
    __table_args__ = (
        # What a connecting player drains and reconciles; finished rows, the great majority, are not in it.
        Index(
            "ix_command_live",
            "player_id",
            "id",
            sqlite_where=text("state IN ('held', 'queued', 'sent', 'acked')"),
            postgresql_where=text("state IN ('held', 'queued', 'sent', 'acked')"),
        ),
        Index(
            "ix_command_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_command_cancel",
            "player_id",
            sqlite_where=text("cancel_requested_at IS NOT NULL"),
            postgresql_where=text("cancel_requested_at IS NOT NULL"),
        ),
        Index("ix_command_team", "team_id", "id"),
        Index("ix_command_player", "player_id", "id"),
        Index(
            "ix_command_batch",
            "batch_id",
            "state",
            sqlite_where=text("batch_id IS NOT NULL"),
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
    )


class IdempotencyKey(SQLModel, table=True):
    """The winner's answer for a (team, key), kept 24 hours; `request` is a hash of method, path and body."""

    __tablename__ = "idempotency_key"
    team_id: int = Field(sa_column=Column(Id, primary_key=True))
    key: str = Field(primary_key=True)
    request: str
    status: int
    answer: str
    created_at: int = _time(index=True)


class EventRow(SQLModel, table=True):
    """The append-only log. On PostgreSQL an advisory lock makes its numbers become visible in order."""

    __tablename__ = "event"
    id: int | None = _key()
    team_id: int = Field(sa_column=Column(Id, nullable=False))
    type: str
    at: int = _time(index=True)
    player_id: int | None = Field(default=None, sa_column=Column(Id, nullable=True))
    data: str = _json()
    actor_kind: str | None = None
    actor_id: int | None = None
    actor_name: str | None = None
    face: str | None = None
    address: str | None = None
    __table_args__ = (Index("ix_event_team", "team_id", "id"),)


class Webhook(SQLModel, table=True):
    __tablename__ = "webhook"
    id: int | None = _key()
    team_id: int = _ref("team.id", index=True)
    url: str
    events: str = _json("[]")
    secret: str
    created_at: int = _time()
    failing_since: int | None = _maybe_time()
    disabled_at: int | None = _maybe_time()


class Subscription(SQLModel, table=True):
    """The names a webhook listens to, one a row, so that an event finds its receivers by index."""

    __tablename__ = "webhook_subscription"
    webhook_id: int = Field(sa_column=Column(Id, ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True))
    name: str = Field(primary_key=True)
    team_id: int = Field(sa_column=Column(Id, nullable=False))
    __table_args__ = (Index("ix_subscription_name", "team_id", "name"),)


class Delivery(SQLModel, table=True):
    """One event for one webhook, made with the event. `id` is the stable message id; `name` the event's name in the
    receiver's vocabulary. `next_at` is when it is due: for one under way the end of its lease, null once it is over."""

    __tablename__ = "delivery"
    id: int | None = _key()
    webhook_id: int = _ref("webhook.id")
    event_id: int = Field(sa_column=Column(Id, nullable=False))
    name: str
    state: str = "pending"
    attempts: int = 0
    next_at: int | None = _maybe_time()
    last_at: int | None = _maybe_time()
    last_status: int | None = None
    last_error: str | None = None
    last_answer: str | None = None
    delivered_at: int | None = _maybe_time()
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        Index(
            "ix_delivery_next",
            "webhook_id",
            "next_at",
            "id",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
    )


class Screenshot(SQLModel, table=True):
    __tablename__ = "screenshot"
    id: int | None = _key()
    player_id: int = _ref("player.id")
    team_id: int = Field(sa_column=Column(Id, nullable=False))
    command_id: str | None = None
    blob: str
    mime: str
    size: int
    sha256: str
    source: str
    captured_at: int = _time()
    stored_at: int = _time()
    __table_args__ = (Index("ix_screenshot_player", "player_id", "stored_at"),)


class Upload(SQLModel, table=True):
    """A finished upload: a repeat of it gets the same id. `key` is player, kind, command and sha256."""

    __tablename__ = "upload"
    id: str = Field(primary_key=True)
    key: str = Field(unique=True)
    player_id: int = _ref("player.id", index=True)
    kind: str
    blob: str
    mime: str
    size: int
    sha256: str
    screenshot_id: int | None = Field(default=None, sa_column=Column(Id, nullable=True))
    created_at: int = _time(index=True)


class Pairing(SQLModel, table=True):
    """A device authorization (RFC 8628) in progress. Codes are kept as SHA-256."""

    __tablename__ = "pairing"
    id: int | None = _key()
    device_digest: str = Field(unique=True)
    user_digest: str = Field(unique=True)
    hardware_id: str
    model: str | None = None
    address: str | None = Field(default=None, index=True)
    created_at: int = _time()
    expires_at: int = _time(index=True)
    interval_s: int
    polled_at: int | None = _maybe_time()
    state: str = "pending"
    player_id: int | None = _ref("player.id", nullable=True)


class Limit(SQLModel, table=True):
    """A paced allowance (guesses of pairing codes and the like): the theoretical arrival time of GCRA."""

    __tablename__ = "rate_limit"
    name: str = Field(primary_key=True)
    arrival_at: int = _time(index=True)


for _table in SQLModel.metadata.tables.values():
    # SQLite would give the number of a deleted newest row to the next one: a client's saved id would then mean another
    # player, and a cursor could skip an event.
    if _table.primary_key.columns.values()[0].autoincrement is True:
        _table.dialect_options["sqlite"]["autoincrement"] = True
