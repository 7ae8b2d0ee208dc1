"""The event log and who is told of it; allowances."""

from sqlalchemy import BigInteger, Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class EventRow(SQLModel, table=True):
    """The append-only log. On PostgreSQL an advisory lock makes its numbers become visible in order."""

    __tablename__ = "event"
    id: int | None = c.key()
    team_id: int = c.number()
    type: str
    at: int = c.time(index=True)
    player_id: int | None = c.maybe_number()
    data: str = c.json()
    actor_kind: str | None = None
    actor_id: int | None = None
    actor_name: str | None = None
    face: str | None = None
    address: str | None = None
    __table_args__ = (Index("ix_event_team", "team_id", "id"),)


class Webhook(SQLModel, table=True):
    """A receiver. While `old_secret` is good, deliveries are signed with it too. A replay makes the deliveries of the
    events past `replay_after`, up to `replay_upto`, anew; `replay_all`: those that arrived too."""

    __tablename__ = "webhook"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    url: str
    events: str = c.json("[]")
    secret: str
    created_at: int = c.time()
    failing_since: int | None = c.maybe_time()
    disabled_at: int | None = c.maybe_time()
    paused_at: int | None = c.maybe_time()
    version: int = 1
    old_secret: str | None = None
    old_secret_until: int | None = c.maybe_time()
    replay_after: int | None = c.maybe_number()
    replay_upto: int | None = c.maybe_number()
    replay_all: bool = False


class Subscription(SQLModel, table=True):
    """The names a webhook listens to, one a row, so that an event finds its receivers by index."""

    __tablename__ = "webhook_subscription"
    webhook_id: int = c.key_of("webhook.id")
    name: str = Field(primary_key=True)
    team_id: int = c.number()
    __table_args__ = (Index("ix_subscription_name", "team_id", "name"),)


class Delivery(SQLModel, table=True):
    """One event for one webhook, made with the event. `id` is the stable message id; `name` the event's name in the
    receiver's vocabulary. `next_at` is when it is due: for one under way (`taken_by` a node) the end of its lease, null
    once it is over. `last_*` tell of the last attempt, `last_ms` how long it took."""

    __tablename__ = "delivery"
    id: int | None = c.key()
    webhook_id: int = c.ref("webhook.id")
    event_id: int = c.number()
    name: str
    state: str = "pending"
    attempts: int = 0
    next_at: int | None = c.maybe_time()
    last_at: int | None = c.maybe_time()
    last_status: int | None = None
    last_error: str | None = None
    last_answer: str | None = None
    last_url: str | None = None
    last_ms: int | None = None
    taken_by: str | None = None
    delivered_at: int | None = c.maybe_time()
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        c.index_where("ix_delivery_taken", "taken_by", where="taken_by IS NOT NULL"),
        c.index_where("ix_delivery_failed", "webhook_id", "event_id", where="state = 'failed'"),
        c.index_where("ix_delivery_next", "webhook_id", "next_at", "id", where="next_at IS NOT NULL"),
    )


class DailyCount(SQLModel, table=True):
    """How often something of this kind has happened to a player or a team on the day that began at `day_at` (UTC)."""

    __tablename__ = "daily_count"
    kind: str = Field(primary_key=True)
    subject_id: int = Field(sa_column=Column(c.Id, primary_key=True, autoincrement=False))
    day_at: int = c.time(index=True)
    number: int = Field(sa_column=Column(BigInteger, nullable=False))


class Limit(SQLModel, table=True):
    """A paced allowance (guesses of pairing codes and the like): the theoretical arrival time of GCRA."""

    __tablename__ = "rate_limit"
    name: str = Field(primary_key=True)
    arrival_at: int = c.time(index=True)
