"""What is to be shown, where and when: playlists, layouts, schedules, campaigns."""

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class Playlist(SQLModel, table=True):
    __tablename__ = "playlist"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    name: str
    description: str | None = c.long_text(nullable=True)
    transition: str = "none"
    is_default: bool = False
    created_at: int = c.time()
    updated_at: int = c.time()
    version: int = 1
    __table_args__ = (c.index_where("ix_playlist_default", "team_id", where="is_default", unique=True),)


class PlaylistItem(SQLModel, table=True):
    __tablename__ = "playlist_item"
    id: int | None = c.key()
    playlist_id: int = c.ref("playlist.id")
    asset_id: int = c.ref("asset.id", index=True)
    position: int
    duration_s: int | None = None
    campaign_id: int | None = c.ref("campaign.id", index=True, nullable=True, cascade=False)
    __table_args__ = (Index("ix_item_playlist", "playlist_id", "position"),)


class Layout(SQLModel, table=True):
    """A picture divided into zones. `width` and `height` are of the canvas, in pixels."""

    __tablename__ = "layout"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    name: str
    description: str | None = c.long_text(nullable=True)
    width: int = 1920
    height: int = 1080
    created_at: int = c.time()
    updated_at: int = c.time()
    version: int = 1


class Zone(SQLModel, table=True):
    """A part of a layout, in percent of the canvas; it plays one playlist or shows one asset."""

    __tablename__ = "layout_zone"
    id: int | None = c.key()
    layout_id: int = c.ref("layout.id", index=True)
    name: str
    position: int
    x: float = 0.0
    y: float = 0.0
    width: float = 100.0
    height: float = 100.0
    playlist_id: int | None = c.ref("playlist.id", index=True, nullable=True, cascade=False)
    asset_id: int | None = c.ref("asset.id", index=True, nullable=True, cascade=False)


class Schedule(SQLModel, table=True):
    """A playlist or a layout at certain times. `days` is a JSON list of 0..6 (Monday is 0), empty for every day; times
    are HH:MM and dates YYYY-MM-DD in the player's zone; `conditions` a JSON list. `activated_at` is since when it
    plays somewhere; null while it does not."""

    __tablename__ = "schedule"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    schedule_id: str = Field(unique=True)
    name: str
    playlist_id: int | None = c.ref("playlist.id", index=True, nullable=True)
    layout_id: int | None = c.ref("layout.id", index=True, nullable=True)
    days: str = c.json("[]")
    start_time: str | None = None
    end_time: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    priority: int = 0
    is_active: bool = True
    conditions: str = c.json("[]")
    activated_at: int | None = c.maybe_time()
    created_at: int = c.time()
    updated_at: int = c.time()
    version: int = 1


class ScheduleTarget(SQLModel, table=True):
    """`kind` is player, group or location."""

    __tablename__ = "schedule_target"
    schedule_id: int = c.key_of("schedule.id")
    kind: str = Field(primary_key=True)
    target_id: int = Field(sa_column=Column(c.Id, primary_key=True))
    __table_args__ = (Index("ix_schedule_target", "kind", "target_id"),)


class Holiday(SQLModel, table=True):
    """A day that counts as one of rest, for the day type of conditions: everywhere, or at one location."""

    __tablename__ = "holiday"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    day: str
    name: str
    location_id: int | None = c.ref("location.id", index=True, nullable=True)
    version: int = 1


class Campaign(SQLModel, table=True):
    """Something an advertiser pays for. The price is in millionths of the currency's unit, for each showing."""

    __tablename__ = "campaign"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    name: str
    advertiser: str | None = None
    currency: str = "EUR"
    price_micros: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    start_date: str | None = None
    end_date: str | None = None
    created_at: int = c.time()
    version: int = 1
