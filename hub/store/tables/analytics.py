"""Proof of play, and its sums."""

from sqlalchemy import BigInteger, Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class Play(SQLModel, table=True):
    """One showing of one asset, as the player proved it. `entry` is the player's own id: told twice, kept once.

    `campaign_id` is of the team's own campaigns only, and `revenue_micros` its price when the play was stored."""

    __tablename__ = "play"
    id: int | None = c.key()
    team_id: int = c.number()
    player_id: int = c.number()
    entry: str
    asset_id: int = c.number()
    playlist_id: int | None = c.maybe_number()
    layout_id: int | None = c.maybe_number()
    schedule_id: int | None = c.maybe_number()
    campaign_id: int | None = c.maybe_number()
    started_at: int = c.time()
    duration_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    revenue_micros: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    completed: bool
    stored_at: int = c.time()
    __table_args__ = (
        UniqueConstraint("player_id", "entry"),
        Index("ix_play_team", "team_id", "started_at"),
        Index("ix_play_player", "player_id", "started_at"),
    )


class PlaySum(SQLModel, table=True):
    """Plays of a quarter of an hour (days begin at one in every time zone), by `dimension`: the whole team, or one
    player, layout or campaign."""

    __tablename__ = "play_sum"
    team_id: int = Field(sa_column=Column(c.Id, primary_key=True))
    dimension: str = Field(primary_key=True)
    dimension_id: int = Field(sa_column=Column(c.Id, primary_key=True))
    quarter_at: int = Field(sa_column=Column(BigInteger, primary_key=True, index=True))
    plays: int = Field(sa_column=Column(BigInteger, nullable=False))
    duration_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    revenue_micros: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class Downtime(SQLModel, table=True):
    """A time in which the hub itself was not there to see: unknown, not offline."""

    __tablename__ = "hub_downtime"
    id: int | None = c.key()
    node: str
    started_at: int = c.time(index=True)
    ended_at: int = c.time()


class Export(SQLModel, table=True):
    """A CSV file in the making, or made. `state` is pending, ready or failed."""

    __tablename__ = "export"
    id: str = Field(primary_key=True)
    team_id: int = c.ref("team.id", index=True)
    kind: str
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    state: str = "pending"
    blob: str | None = None
    size: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    rows: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    error: str | None = None
    created_at: int = c.time()
    claimed_until: int | None = c.maybe_time()
    expires_at: int = c.time(index=True)
    __table_args__ = (c.index_where("ix_export_pending", "created_at", where="state = 'pending'"),)
