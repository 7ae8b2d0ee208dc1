"""What is answered to AdCast's clients and players, for the reference. Times are RFC 3339 in UTC."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from hub.api.v1.answers import Meta
from hub.domain.content import AssetStatus, AssetType
from hub.domain.playback import Transition
from hub.domain.schedules import ConditionType, Operator, Unit

Status = Literal["online", "offline"]


class Tenant(BaseModel):
    id: int
    name: str
    plan: str


class User(BaseModel):
    id: int
    name: str
    email: str
    role: str = Field(description="tenant_admin, admin, operator or viewer.")


class UserWithTenant(User):
    tenant: Tenant


class LoggedIn(BaseModel):
    token: str = Field(description="For `Authorization: Bearer`; shown this once.")
    user: User
    tenant: Tenant


class CurrentUser(BaseModel):
    user: UserWithTenant


# Devices -------------------------------------------------------------------------------------------------------------


class Device(BaseModel):
    id: int
    name: str
    uuid: str = Field(description="The name that it polls under; of a player that connects, its screen id.")
    status: Status
    model: str | None
    os_version: str | None
    app_version: str | None
    last_seen_at: str | None
    ip_address: str | None
    device_group_id: int | None = Field(description="The first of its groups.")


class DeviceDetail(Device):
    storage_total_mb: float | None
    storage_used_mb: float | None
    storage_free_mb: float | None
    wifi_signal: int | None = Field(description="dBm")
    volume: int | None
    is_locked: bool
    screen_on: bool | None
    uptime_seconds: int | None
    current_content: str | None


class PairedDevice(BaseModel):
    id: int
    name: str
    uuid: str
    status: Status


class Paired(BaseModel):
    device: PairedDevice


class Devices(BaseModel):
    data: list[Device]
    meta: Meta


class OneDevice(BaseModel):
    device: DeviceDetail


class SentCommand(BaseModel):
    id: int
    command_id: str = Field(description="Its id in all other calls.")
    type: str
    payload: dict[str, Any]
    status: Literal["pending"]


class CommandSent(BaseModel):
    message: str
    command: SentCommand


# Content and playlists -----------------------------------------------------------------------------------------------


class Content(BaseModel):
    id: int
    name: str
    type: AssetType
    status: AssetStatus
    file_size_mb: float | None = Field(description="Of a file.")
    file_hash: str | None = Field(description="SHA-256 of a file, in hexadecimal.")
    duration: int | None
    download_url: str = Field(description="A link to the file, good for an hour, or the address.")
    thumbnail_url: str | None
    source_url: str | None


class ContentList(BaseModel):
    data: list[Content]
    meta: Meta


class OneContent(BaseModel):
    content: Content


class Playlist(BaseModel):
    id: int
    name: str
    transition: Transition
    is_default: bool
    items_count: int


class Item(BaseModel):
    id: int
    content_id: int
    order: int
    duration: int | None = Field(description="Seconds; null: until it ends by itself.")
    content: Content


class PlaylistWithItems(Playlist):
    items: list[Item]


class Playlists(BaseModel):
    data: list[Playlist]
    meta: Meta


class OnePlaylist(BaseModel):
    playlist: PlaylistWithItems


# Schedules -----------------------------------------------------------------------------------------------------------


class Schedulable(BaseModel):
    type: Literal["device", "group", "location"]
    id: int


class Condition(BaseModel):
    type: ConditionType
    operator: Operator
    value: str
    unit: Unit | None = None


class Schedule(BaseModel):
    id: int
    name: str
    playlist_id: int | None = Field(description="null: it shows a layout, which AdCast has no word for.")
    schedulable_type: Literal["device", "group", "location"] | None = Field(description="Of the first target.")
    schedulable_id: int | None
    schedulables: list[Schedulable] = Field(description="All targets; other interfaces may set several.")
    days_of_week: list[int] = Field(description="1 (Monday) to 6 (Saturday), 0 for Sunday; none: every day.")
    start_time: str | None
    end_time: str | None
    start_date: str | None
    end_date: str | None
    priority: int
    is_active: bool
    conditions: list[Condition]


class Schedules(BaseModel):
    data: list[Schedule]
    meta: Meta


class OneSchedule(BaseModel):
    schedule: Schedule


# Players -------------------------------------------------------------------------------------------------------------


class Registered(BaseModel):
    device_id: int
    pairing_code: str | None = Field(description="To show on the screen; null once the device is paired.")
    paired: bool
    device_name: str | None
    is_locked: bool
    lock_pin: str | None
    license_activated: bool


class PendingCommand(BaseModel):
    id: int
    command_id: str = Field(description="Its id in all other calls.")
    type: str
    payload: dict[str, Any]


class EmergencyAlert(BaseModel):
    id: int
    title: str
    message: str
    severity: str
    triggered_at: str
    ends_at: str | None


class AppUpdate(BaseModel):
    version: str
    url: str
    sha256: str
    notes: str
    mandatory: bool


class Beat(BaseModel):
    status: Literal["ok"]
    has_update: bool = Field(description="Whether there is another playlist than the one fetched last.")
    is_locked: bool
    lock_pin: str | None
    has_pending_commands: bool
    pending_commands: list[PendingCommand]
    emergency_alerts: list[EmergencyAlert]
    app_update: AppUpdate | None


class PlayerItem(BaseModel):
    id: int
    content_id: int
    name: str
    type: AssetType
    download_url: str
    duration: int | None = Field(description="Seconds; null: until it ends by itself.")
    file_hash: str | None = Field(description="SHA-256 of a file, in hexadecimal.")
    order: int


class PlayerPlaylist(BaseModel):
    id: int
    name: str
    transition: Transition
    items: list[PlayerItem]


class Program(BaseModel):
    playlist: PlayerPlaylist | None
    content_to_download: list[PlayerItem] = Field(description="Files to fetch, in this order; `id` is the content's.")
    content_to_delete: list[int] = Field(description="Content that it needs no more.")
    show_watermark: bool
