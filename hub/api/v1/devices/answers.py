"""What is answered about players, groups, commands, events and webhooks."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from hub.api.v1.devices.bodies import State


class Player(BaseModel):
    id: int
    screen_id: str
    name: str
    status: Literal["online", "offline"]
    status_since: str
    last_seen_at: str | None
    ip_address: str | None = Field(description="As the device tells it; where it tells none, that of its connection.")
    model: str | None
    os_version: str | None
    app_version: str | None
    group_ids: list[int]
    quarantined: bool = Field(description="Kept out, by the hub or by somebody.")
    paired: bool = Field(description="Whether a device holds its token, or polls as this player.")
    uuid: str | None = Field(description="The name that it polls under; null for one that connects.")


class Software(BaseModel):
    kind: str
    version: str | None


class Fact(BaseModel):
    value: bool | None = Field(description="null: the device has said nothing of it.")
    since: str | None = Field(description="null where that is not known, as while a player may yet come back.")


class Presence(BaseModel):
    epoch: int = Field(description="Rises with every connection.")
    connected: Fact
    agent_healthy: Fact = Field(description="Connected, and its agent answers pings.")
    picture_changing: Fact = Field(description="Neither black nor frozen, as the device saw last.")


class Quarantine(BaseModel):
    since: str
    reason: str | None = Field(description="`cloned` or `flooding` where the hub did it, else what was given.")
    by: str | None = Field(description="Who did it; null for the hub itself.")


class PlayerDetail(Player):
    layout: dict[str, Any] | None = Field(description="id and name of its layout: its own, or that of a group.")
    playlist: dict[str, Any] | None
    layout_id: int | None = Field(description="Its own layout.")
    location_id: int | None
    timezone: str | None = Field(description="Its own; without one that of its location, then its team's.")
    group_id: int | None = Field(description="The first of its groups.")
    created_at: str
    updated_at: str
    version: int
    hardware_id: str | None
    agent: str | None
    player: Software | None = Field(description="The program that plays.")
    capabilities: list[str] | None = Field(description="Commands that it can do; null before its first connection.")
    settings: dict[str, Any] = Field(description="What it should have.")
    reported: dict[str, Any] = Field(description="What it says it has.")
    settings_failed: dict[str, str] = Field(description="Which of `settings` it could not apply, and why.")
    telemetry: dict[str, Any]
    telemetry_at: str | None
    connection_address: str | None = Field(description="Where its latest connection came from.")
    connected: bool = Field(
        description="A connection is open now. A player that has just lost its own is still online."
    )
    suspect: bool = Field(description="Connected, but a ping has gone unanswered.")
    presence: Presence
    quarantine: Quarantine | None
    token_prefix: str | None
    last_screenshot_at: str | None


class Token(BaseModel):
    token: str = Field(description="Shown this once.")


class Group(BaseModel):
    id: int
    name: str
    players_count: int
    layout_id: int | None = Field(description="The layout of members that have none of their own.")
    created_at: str


class GroupDetail(Group):
    player_ids: list[int]
    version: int


class PairingRequest(BaseModel):
    status: Literal["pending", "approved", "denied", "redeemed"]
    model: str | None
    host_name: str | None = Field(description="What the device is called in its network.")
    hardware_id: str = Field(description="The device shows the last eight characters on its screen.")
    address: str | None
    requested_at: str
    expires_at: str


class PairingApproved(PairingRequest):
    player_id: int
    screen_id: str
    uuid: str | None
    name: str
    online: bool = Field(description="Whether it is there already: a device that polls and was just heard.")


class Invitation(BaseModel):
    code: str = Field(description="For the device, in any case.")
    expires_at: str


class Requester(BaseModel):
    kind: str
    id: int
    name: str
    face: str | None = Field(description="The API document whose call it was.")
    address: str | None


class Failure(BaseModel):
    code: str
    message: str | None


class Progress(BaseModel):
    percent: int | None
    note: str | None


class Command(BaseModel):
    id: str
    player_id: int
    batch_id: str | None
    command: str
    payload: dict[str, Any]
    status: State
    created_at: str
    expires_at: str | None = Field(description="The player must have taken it by then.")
    sent_at: str | None
    acknowledged_at: str | None = Field(description="When it was in the player's own journal.")
    started_at: str | None
    finished_at: str | None
    progress: Progress | None = Field(description="How far it is, while the player tells.")
    cancel_requested_at: str | None
    detail: dict[str, Any] | None = Field(description="The evidence of what was done.")
    error: Failure | None
    late: bool = Field(description="The result came after the hub had given up.")
    superseded_by: str | None
    requested_by: Requester


class CommandAccepted(BaseModel):
    command_id: str
    status: State


class CommandFinished(BaseModel):
    command_id: str
    status: State
    command: Command


class CommandCancelled(BaseModel):
    command_id: str
    status: State
    message: str


class Target(BaseModel):
    player_id: int
    name: str
    status: Literal["online", "offline"]


class Skipped(Target):
    reason: str


class Sent(BaseModel):
    player_id: int
    command_id: str


class BatchAccepted(BaseModel):
    batch_id: str
    command_id: str | None = Field(description="The first of `commands`; null where the group has no players.")
    commands: list[Sent]
    skipped: list[Skipped]


class BatchTried(BaseModel):
    would_send: list[Target]
    skipped: list[Skipped]


class Batch(BaseModel):
    id: str
    command: str
    group_id: int | None
    status: Literal["running", "finished", "aborted"]
    total: int
    counts: dict[State, int]
    rate_per_minute: int | None
    max_failures: int | None
    created_at: str
    created_by: str
    aborted_at: str | None


class CurrentItem(BaseModel):
    asset_id: int
    name: str = Field(description="As it was called then.")


class Screenshot(BaseModel):
    id: int
    player_id: int
    url: str = Field(description="A link to the picture that needs no credential, good for an hour.")
    captured_at: str
    source: str
    mime: str
    size: int
    sha256: str
    command_id: str | None
    current_item: CurrentItem | None = Field(
        description="The asset that the player showed when the picture was taken; null where it did not tell, or "
        "showed none of the team's."
    )


class Event(BaseModel):
    cursor: str
    event: str
    timestamp: str
    data: dict[str, Any]
    actor: Requester | None = None


class Webhook(BaseModel):
    id: int
    url: str
    events: list[str]
    status: Literal["active", "failing", "paused", "disabled"]
    created_at: str
    failing_since: str | None
    disabled_at: str | None = Field(description="Since when nothing is sent, after days of failures or an answer 410.")
    paused_at: str | None
    old_secret_until: str | None = Field(description="Until then deliveries are signed with the old secret too.")
    replaying: bool = Field(description="Whether a redelivery of many is still going on.")
    version: int


class WebhookSecret(Webhook):
    secret: str = Field(description="Shown this once.")


class Attempt(BaseModel):
    at: str
    url: str | None
    duration_ms: int | None
    status: int | None = Field(description="Of the answer; null: there was none.")
    error: str | None = Field(description="What was wrong, in words.")
    answer: str | None = Field(description="The answer's body, the first 4 KiB.")


class Delivery(BaseModel):
    id: int
    message_id: str = Field(description="The header webhook-id of each attempt.")
    event: str
    cursor: str = Field(description="The event's place in the log.")
    timestamp: str | None = Field(description="Of the event; null once the log has forgotten it.")
    state: Literal["pending", "delivered", "failed"]
    attempts: int = Field(description="Since it was made, or made again.")
    next_attempt_at: str | None = Field(description="While one is under way: when it counts as lost.")
    delivered_at: str | None
    last_attempt: Attempt | None


class DeliveryDetail(Delivery):
    body: str | None = Field(description="What is sent, to the byte.")
