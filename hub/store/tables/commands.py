"""Commands, and the batches that carry one to many players."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index
from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class Batch(SQLModel, table=True):
    """One command to many players; `rate_per_minute` paces it, `max_failures` aborts it."""

    __tablename__ = "batch"
    id: str = Field(primary_key=True)
    team_id: int = c.ref("team.id")
    group_id: int | None = None
    command: str
    payload: str = c.json()
    created_at: int = c.time()
    created_by: str
    rate_per_minute: int | None = None
    max_failures: int | None = None
    ttl_s: int
    release_at: int | None = c.maybe_time()
    aborted_at: int | None = c.maybe_time()
    __table_args__ = (
        Index("ix_batch_team", "team_id", "id"),
        c.index_where("ix_batch_release", "release_at", where="release_at IS NOT NULL"),
    )


class Command(SQLModel, table=True):
    """One row per player and command. `due_at` is the next instant at which time alone moves it, `wish` the number of
    what it asks for in the player's settings."""

    __tablename__ = "command"
    id: str = Field(primary_key=True)
    team_id: int = c.number()
    player_id: int = Field(sa_column=Column(c.Id, ForeignKey("player.id", ondelete="CASCADE"), nullable=False))
    batch_id: str | None = None
    command: str
    payload: str = c.json()
    delivery: str
    state: str
    version: int = 1
    finish_within_s: int
    created_at: int = c.time()
    expires_at: int | None = c.maybe_time()
    due_at: int | None = c.maybe_time()
    node: str | None = None
    epoch: int | None = None
    sent_at: int | None = c.maybe_time()
    acked_at: int | None = c.maybe_time()
    finished_at: int | None = c.maybe_time()
    started_at: int | None = c.maybe_time()
    detail: str | None = c.json(None)
    error_code: str | None = None
    error_message: str | None = None
    cancel_requested_at: int | None = c.maybe_time()
    superseded_by: str | None = None
    late: bool = False
    wish: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    actor_kind: str
    actor_id: int
    actor_name: str
    face: str
    address: str | None = None
    __table_args__ = (
        # What a connecting player drains and reconciles; finished rows, the great majority, are not in it.
        c.index_where("ix_command_live", "player_id", "id", where="state IN ('held', 'queued', 'sent', 'acked')"),
        c.index_where("ix_command_due", "due_at", where="due_at IS NOT NULL"),
        c.index_where("ix_command_cancel", "player_id", where="cancel_requested_at IS NOT NULL"),
        Index("ix_command_team", "team_id", "id"),
        Index("ix_command_player", "player_id", "id"),
        c.index_where("ix_command_batch", "batch_id", "state", where="batch_id IS NOT NULL"),
        # How a team's latest commands ended, without a look at the rows themselves.
        c.index_where("ix_command_finished", "team_id", "finished_at", "state", where="finished_at IS NOT NULL"),
    )


class IdempotencyKey(SQLModel, table=True):
    """The winner's answer for a (team, key), kept 24 hours; `request` is a hash of method, path and body."""

    __tablename__ = "idempotency_key"
    team_id: int = Field(sa_column=Column(c.Id, primary_key=True))
    key: str = Field(primary_key=True)
    request: str
    status: int
    answer: str
    created_at: int = c.time(index=True)
