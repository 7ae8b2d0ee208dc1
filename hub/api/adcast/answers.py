"""What is answered to AdCast's clients and players, for the reference. Times are RFC 3339 in UTC."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from hub.api.v1.answers import Meta

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
    id: str
    type: str
    payload: dict[str, Any]
    status: Literal["pending"]


class CommandSent(BaseModel):
    message: str
    command: SentCommand


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
    id: str
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
