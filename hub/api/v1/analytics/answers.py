"""What analytics answer."""

from typing import Literal

from pydantic import BaseModel, Field


class Summary(BaseModel):
    active_players: int = Field(description="Online now.")
    plays_today: int
    average_uptime: float = Field(description="Mean of the players' uptime in the last 24 hours, percent.")


class Period(BaseModel):
    period: str = Field(description="Its beginning; the first may begin before the range.")
    plays: int
    duration_seconds: float


class PlaybackMeta(BaseModel):
    granularity: Literal["hour", "day", "week"]


class Playback(BaseModel):
    data: list[Period]
    meta: PlaybackMeta


class Uptime(BaseModel):
    player_id: int
    name: str
    online_percentage: float
    offline_percentage: float
    unknown_percentage: float = Field(
        description="The hub itself was away, the player rebooted as planned, or it did not exist yet."
    )


class CampaignImpressions(BaseModel):
    campaign_id: int
    campaign: str | None = Field(description="Null when it was deleted.")
    impressions: int
    revenue: float = Field(description="At the prices of their times.")
    currency: str | None


class Revenue(BaseModel):
    currency: str | None
    revenue: float


class ImpressionTotals(BaseModel):
    impressions: int
    revenue: float = Field(description="Of all currencies together.")
    by_currency: list[Revenue]


class Impressions(BaseModel):
    data: list[CampaignImpressions]
    totals: ImpressionTotals


class ExportAsked(BaseModel):
    url: str = Field(description="Where the file will be; the link is all the credential it takes.")
    expires_at: str
    status: Literal["pending", "ready"]


class ExportPending(BaseModel):
    message: str
    status: Literal["pending"]


class Play(BaseModel):
    id: int
    started_at: str
    duration_seconds: float
    completed: bool
    player_id: int
    player: str | None = Field(description="Its name; null when it was deleted, as for the others.")
    asset_id: int
    asset: str | None
    playlist_id: int | None
    layout_id: int | None
    schedule_id: int | None
    campaign_id: int | None
    campaign: str | None


class PlaysTaken(BaseModel):
    stored: int
    repeated: int = Field(description="Known already.")
    dropped: int = Field(description="Of a time that cannot be, or too long ago.")
