"""Every table. Ids that clients see are integers except where a documented face wants its own form. Migrations in
`../migrations/` make exactly these tables.
"""

from sqlmodel import SQLModel

from hub.store.tables.analytics import Downtime, Export, Play, PlaySum
from hub.store.tables.commands import Batch, Command, IdempotencyKey
from hub.store.tables.content import Asset, Folder, StoredFile, UploadTicket
from hub.store.tables.events import DailyCount, Delivery, EventRow, Limit, Subscription, Webhook
from hub.store.tables.incidents import AlertRule, AlertRuleTarget, Incident, IncidentMail
from hub.store.tables.people import (
    AccountToken,
    ApiKey,
    ApiKeyUse,
    LoginPlace,
    Meta,
    OAuthClient,
    OAuthCode,
    OAuthGrant,
    OAuthToken,
    Team,
    User,
)
from hub.store.tables.playback import Campaign, Holiday, Layout, Playlist, PlaylistItem, Schedule, ScheduleTarget, Zone
from hub.store.tables.players import (
    Alert,
    AlertPart,
    AlertTarget,
    CapMessage,
    GroupMember,
    Licence,
    Location,
    Pairing,
    Player,
    PlayerGroup,
    PollingDevice,
    PresenceRow,
    Release,
    Screenshot,
    Session,
    Status,
    Upload,
)

__all__ = [
    "AccountToken",
    "Alert",
    "AlertPart",
    "AlertRule",
    "AlertRuleTarget",
    "AlertTarget",
    "ApiKey",
    "ApiKeyUse",
    "Asset",
    "Batch",
    "Campaign",
    "CapMessage",
    "Command",
    "DailyCount",
    "Delivery",
    "Downtime",
    "EventRow",
    "Export",
    "Folder",
    "GroupMember",
    "Holiday",
    "IdempotencyKey",
    "Incident",
    "IncidentMail",
    "Layout",
    "Licence",
    "Limit",
    "Location",
    "LoginPlace",
    "Meta",
    "OAuthClient",
    "OAuthCode",
    "OAuthGrant",
    "OAuthToken",
    "Pairing",
    "Play",
    "PlaySum",
    "Player",
    "PlayerGroup",
    "Playlist",
    "PlaylistItem",
    "PollingDevice",
    "PresenceRow",
    "Release",
    "Schedule",
    "ScheduleTarget",
    "Screenshot",
    "Session",
    "Status",
    "StoredFile",
    "Subscription",
    "Team",
    "Upload",
    "UploadTicket",
    "User",
    "Webhook",
    "Zone",
]

for _table in SQLModel.metadata.tables.values():
    # SQLite would give the number of a deleted newest row to the next one: a client's saved id would then mean another
    # player, and a cursor could skip an event.
    if _table.primary_key.columns.values()[0].autoincrement is True:
        _table.dialect_options["sqlite"]["autoincrement"] = True
