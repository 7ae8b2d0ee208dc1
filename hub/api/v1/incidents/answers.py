"""What is answered about alert rules and incidents."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from hub.domain.alerts import Severity
from hub.domain.incidents import Kind, Reason, Status


class AlertRule(BaseModel):
    id: int
    name: str
    kind: Kind
    severity: Severity
    offline_minutes: int | None
    free_mb: int | None
    free_percent: float | None
    celsius: float | None
    seconds: int | None
    window_minutes: int | None
    min_commands: int | None
    failed_percent: float | None
    for_minutes: int
    everyone: bool
    player_ids: list[int]
    group_ids: list[int]
    location_ids: list[int]
    emails: list[str]
    enabled: bool
    created_at: str
    version: int


class Mail(BaseModel):
    address: str
    about: Literal["opened", "resolved"]
    state: Literal["pending", "sent", "failed", "withheld"] = Field(
        description="sent: the mail server has taken it; withheld: the rule, or the team, had too many within an hour."
    )
    attempts: int
    sent_at: str | None
    next_at: str | None = Field(description="When it is tried next.")
    last_error: str | None


class Incident(BaseModel):
    id: int
    rule_id: int
    rule_name: str
    kind: Kind
    severity: Severity
    status: Status
    title: str
    message: str
    player_id: int | None = Field(description="Null: it concerns the whole team.")
    name: str | None = Field(description="Of the player, as it was called when the incident opened.")
    screen_id: str | None
    measured: dict[str, Any] = Field(description="What was measured when it opened.")
    began_at: str = Field(description="Since when its condition has held.")
    opened_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    acknowledged_note: str | None
    resolved_at: str | None
    resolved_by: str | None
    resolved_note: str | None
    reason: Reason | None = Field(description="It is over, a person has resolved it, or nobody watches any more.")
    mails: list[Mail]
