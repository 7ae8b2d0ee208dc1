"""What is answered about programs, and the manifest that players follow."""

from typing import Literal

from pydantic import BaseModel, Field

Kind = Literal["playlist", "layout", "nothing"]


class PlayingSchedule(BaseModel):
    id: int
    schedule_id: str
    name: str


class Playing(BaseModel):
    kind: Kind
    id: int | None = Field(description="The playlist's or the layout's; null for nothing.")
    name: str | None
    schedule: PlayingSchedule | None = Field(description="The schedule that says so, when one does.")


class Reason(BaseModel):
    code: str = Field(
        description="schedule, player_layout, group_layout, default_playlist or nothing: what the player plays by."
    )
    message: str


class Other(BaseModel):
    """Something that could play and does not."""

    kind: Literal["schedule", "player_layout", "group_layout", "default_playlist"]
    id: int = Field(description="The schedule's, the layout's or the playlist's.")
    name: str
    code: str = Field(
        description="switched_off, empty, not_yet, over, other_day, day_type, other_time, time_range, weather, "
        "scheduled, outranked or passed_over."
    )
    message: str


class StandingAlert(BaseModel):
    id: int
    title: str
    severity: str


class Weather(BaseModel):
    celsius: float | None
    word: str | None
    read_at: str


class Program(BaseModel):
    """What a player shows at one moment, and why."""

    at: str
    timezone: str
    local_time: str = Field(description="The same moment by the player's wall clock.")
    playing: Playing
    reason: Reason
    others: list[Other] = Field(description="What else is for this player, in the order in which it would come.")
    schedules_for_others: int = Field(description="Schedules of the team that are not for this player.")
    alerts: list[StandingAlert] = Field(description="Laid over whatever plays.")
    next_change_at: str | None = Field(description="When something else plays, while the weather stays as it is.")
    weather: Weather | None = Field(description="At the player's location, when it is known.")
    revision: str = Field(description="Of the manifest that the player should follow now.")
    reported_revision: str | None = Field(description="Of the one that it last said it follows.")
    in_step: bool
    reported_content: str | None = Field(
        description="What the player says is on its screen: a `play` command shows here and nowhere else."
    )


class Step(BaseModel):
    """What plays; with a condition, only while all parts of it hold, and else the fallback."""

    kind: Kind
    playlist_id: int = Field(0, description="Only of a playlist.")
    layout_id: int = Field(0, description="Only of a layout.")
    schedule_id: int | None
    condition: list[str] = Field([], description="Names of conditions that must all hold. Only where there are any.")
    fallback: "Step | None" = Field(None, description="Only beside a condition.")


class NamedStep(Step):
    name: str | None
    fallback: "NamedStep | None" = None


class Window(NamedStep):
    """From one moment to before another."""

    from_: str = Field(alias="from")
    to: str


class Timeline(BaseModel):
    timezone: str
    from_: str = Field(alias="from")
    to: str = Field(description="Earlier than asked for when there are too many windows or fallbacks.")
    windows: list[Window] = Field(description="Without gaps, in order.")


class ManifestWindow(Step):
    from_: str = Field(alias="from")
    to: str


class ManifestItem(BaseModel):
    id: int
    asset_id: int
    duration_s: int | None = Field(description="Null: as long as the asset lasts.")
    campaign_id: int | None


class ManifestPlaylist(BaseModel):
    name: str
    transition: str
    items: list[ManifestItem]


class ManifestZone(BaseModel):
    """A part of the layout, in percent of its canvas. A later zone lies in front."""

    id: int
    name: str
    x: float
    y: float
    width: float
    height: float
    playlist_id: int | None
    asset_id: int | None


class ManifestLayout(BaseModel):
    name: str
    width: int
    height: int
    zones: list[ManifestZone]


class ManifestAsset(BaseModel):
    type: str
    name: str
    url: str = Field(description="Of a file: to be fetched with the player's own token. Else the address to open.")
    sha256: str | None = Field(description="Of a file's bytes; null for an address, as are size and type.")
    size: int | None
    mime_type: str | None
    duration_s: int | None


class ManifestAlert(BaseModel):
    id: str
    title: str
    message: str
    severity: str
    from_: str = Field(alias="from")
    to: str | None


class AskedContent(BaseModel):
    """What a `play` command is to show: its playlist with all assets of that, or its one asset."""

    playlists: dict[str, ManifestPlaylist] = Field(description="By id. Empty for an asset.")
    assets: dict[str, ManifestAsset] = Field(description="By id.")


class Manifest(BaseModel):
    """Everything that a player needs to go on by itself until `valid_until`."""

    revision: str = Field(description="The ETag. It changes when the player would do something else, or once a day.")
    generated_at: str
    valid_until: str
    timezone: str
    timeline: list[ManifestWindow] = Field(description="Without gaps, from the beginning of the player's day.")
    conditions: dict[str, bool] = Field(description="Whether each condition of the timeline holds now.")
    playlists: dict[str, ManifestPlaylist] = Field(description="By id.")
    layouts: dict[str, ManifestLayout] = Field(description="By id.")
    assets: dict[str, ManifestAsset] = Field(description="By id.")
    alerts: list[ManifestAlert] = Field(
        description="Emergency messages. A connected player hears of them at once, by `alert`."
    )
