"""What is answered about alerts, releases and licences."""

from typing import Literal

from pydantic import BaseModel, Field

from hub.domain.alerts import Severity, State


class Alert(BaseModel):
    id: int
    title: str
    message: str
    severity: Severity
    everyone: bool
    player_ids: list[int]
    group_ids: list[int]
    location_ids: list[int]
    status: State
    starts_at: str
    ends_at: str | None = Field(description="null: until somebody clears it.")
    triggered_at: str | None
    cleared_at: str | None
    created_at: str
    version: int


class CapReceived(BaseModel):
    result: Literal["raised", "updated", "cleared", "known", "ignored"]
    reason: str | None = Field(None, description="Why it, or a part of it, is not shown.")
    alert: Alert | None = Field(None, description="What it became, or was before: the first of `alerts`.")
    alerts: list[Alert] = Field([], description="One for each thing that the message says, each with its own area.")


class Release(BaseModel):
    id: int
    version_name: str
    url: str
    sha256: str
    size: int | None = Field(description="In bytes.")
    notes: str
    mandatory: bool
    active: bool
    created_at: str
    version: int


class Licence(BaseModel):
    id: int
    key: str
    note: str | None
    player_id: int | None = Field(description="Who holds it; null: the first device that sends the key.")
    activated_at: str | None
    created_at: str
    version: int
