"""What is answered about playlists, layouts, schedules, campaigns, locations and holidays."""

from typing import Literal

from pydantic import BaseModel, Field

from hub.api.v1.content.answers import Asset
from hub.domain.playback import Transition
from hub.domain.schedules import ConditionType, Operator, Unit


class PlaylistItem(BaseModel):
    id: int
    asset_id: int
    order: int = Field(description="From 1.")
    duration: int | None = Field(description="Seconds; null: as long as the asset itself.")
    campaign_id: int | None
    asset: Asset


class Playlist(BaseModel):
    id: int
    name: str
    description: str | None
    transition: Transition
    is_default: bool = Field(description="Whether it plays where nothing else does.")
    items_count: int
    created_at: str
    updated_at: str
    version: int


class PlaylistDetail(Playlist):
    items: list[PlaylistItem]


class LayoutZone(BaseModel):
    id: int
    name: str
    x: float
    y: float
    width: float
    height: float
    playlist_id: int | None
    asset_id: int | None


class Layout(BaseModel):
    id: int
    name: str
    description: str | None
    width: int
    height: int
    zones_count: int
    created_at: str
    updated_at: str
    version: int


class LayoutDetail(Layout):
    zones: list[LayoutZone]
    player_ids: list[int] = Field(description="The players that have it themselves.")
    group_ids: list[int] = Field(description="The groups that have it.")


class Assigned(BaseModel):
    message: str
    assigned: int = Field(description="The number of different players.")


class ScheduleTarget(BaseModel):
    type: Literal["player", "group", "location"]
    id: int


class ScheduleCondition(BaseModel):
    type: ConditionType
    operator: Operator
    value: str
    unit: Unit | None = None


class Schedule(BaseModel):
    id: int
    schedule_id: str
    name: str
    playlist_id: int | None
    layout_id: int | None
    days_of_week: list[int] = Field(description="0 (Sunday) to 6 (Saturday); none: every day.")
    start_time: str | None
    end_time: str | None
    start_date: str | None
    end_date: str | None
    priority: int
    is_active: bool
    conditions: list[ScheduleCondition]
    targets: list[ScheduleTarget]
    screen_ids: list[str] = Field(description="The players among the targets.")
    created_at: str
    updated_at: str
    version: int


class Campaign(BaseModel):
    id: int
    name: str
    advertiser: str | None
    currency: str
    price: str = Field(description="Of one showing, as a decimal number.")
    start_date: str | None
    end_date: str | None
    created_at: str
    version: int


class OpeningHours(BaseModel):
    days: list[str]
    from_: str = Field(alias="from", description="HH:MM in the location's time zone.")
    to: str = Field(description="Not after `from`: until then on the next day.")


class Location(BaseModel):
    id: int
    name: str
    address: str | None
    timezone: str
    latitude: float | None
    longitude: float | None
    opening_hours: list[OpeningHours] | None = Field(description="Null: always open.")
    players_count: int
    created_at: str
    version: int


class LocationDetail(Location):
    player_ids: list[int]


class Holiday(BaseModel):
    id: int
    date: str
    name: str
    location_id: int | None = Field(description="Null: everywhere.")
    version: int
