"""What callers send about playlists, layouts, schedules, campaigns, locations and holidays."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from hub.api.v1.bodies import Changes, Id, Name, QueryId, Strict, TimeZone, Tolerant, example, prose
from hub.domain.opening_hours import MAX_HOURS
from hub.domain.playback import MAX_ITEM_S, MAX_ITEMS, MAX_TARGETS, MAX_ZONES, Target, Transition
from hub.domain.schedules import MAX_CONDITIONS, ConditionType, Operator

MAX_ASSIGNED = 10_000  # players or groups in one call: as many as one group can have
MAX_PIXELS = 32_768  # of a canvas, either way: a wall of eight 4K screens


def _text(value: Any) -> Any:
    """A number as it is written, without an exponent: whoever sends 30 for "30" means the same."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format(Decimal(repr(value)), "f")
    return value


Description = Annotated[str, Field(max_length=2_000), AfterValidator(prose)]
Text = Annotated[str, Field(max_length=200), AfterValidator(prose)]
Clock = Annotated[str, Field(max_length=8, examples=["09:00"], description="HH:MM in the player's time zone.")]
Day = Annotated[str, Field(max_length=10, json_schema_extra={"format": "date"})]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=MAX_PIXELS, strict=True)]
Yes = Annotated[bool, Field(strict=True)]
Price = Annotated[
    str,
    BeforeValidator(_text),
    Field(max_length=20, examples=["0.05"], description="Of one showing: a decimal number with at most six places."),
]


PageNumber = Annotated[int | None, Field(ge=1, le=1_000_000, description="Which page; without page and per_page: all.")]
PageSize = Annotated[int | None, Field(ge=1, le=1_000, description="How many a page; 50 when only page is given.")]
Search = Annotated[str | None, Field(max_length=100, description="Part of the name, in any case.")]


class SpotFilter(Tolerant):
    search: Search = None
    page: PageNumber = None
    per_page: PageSize = None


class Filter(Strict):
    search: Search = None
    page: PageNumber = None
    per_page: PageSize = None


# Playlists -----------------------------------------------------------------------------------------------------------


class NewItem(Tolerant):
    asset_id: Id | None = None
    asset_key: str | None = Field(None, max_length=200, description="Instead: the key that a direct upload was given.")
    duration: int | None = Field(
        None, ge=1, le=MAX_ITEM_S, strict=True, description="Seconds; without it as long as the asset itself."
    )
    campaign_id: Id | None = Field(None, description="Whose showings these are.")

    @model_validator(mode="after")
    def _names_an_asset(self) -> Self:
        if self.asset_id is None and self.asset_key is None:
            raise ValueError("must have either asset_id or asset_key")
        return self


Items = Annotated[list[NewItem], Field(max_length=MAX_ITEMS)]


class NewPlaylist(Tolerant):
    model_config = example(name="Summer Campaign", description="Q3 promotions")

    name: Name
    description: Description | None = None
    transition: Transition = "none"
    is_default: Yes = Field(False, description="What plays where nothing else does; the former default is none then.")
    items: list[NewItem] = Field([], max_length=MAX_ITEMS)


class PlaylistChanges(Changes):
    model_config = example(transition="fade", is_default=True)
    clears = frozenset({"description"})

    name: Name | None = None
    description: Description | None = Field(None, description="null: none.")
    transition: Transition | None = None
    is_default: Yes | None = None
    items: Items | None = Field(None, description="All items from now on, in this order.")


class ItemList(Tolerant):
    model_config = example(items=[{"asset_id": 1, "duration": 10}])

    items: list[NewItem] = Field(max_length=MAX_ITEMS, description="All items from now on, in this order.")


# Layouts -------------------------------------------------------------------------------------------------------------


class NewZone(Strict):
    name: Name | None = None
    x: Percent = 0
    y: Percent = 0
    width: Percent = 100
    height: Percent = 100
    playlist_id: Id | None = Field(None, description="What it plays.")
    asset_id: Id | None = Field(None, description="Or the one asset that it shows.")


Zones = Annotated[list[NewZone], Field(max_length=MAX_ZONES)]


class NewLayout(Strict):
    model_config = example(name="Main", zones=[{"name": "News", "x": 0, "y": 80, "width": 100, "height": 20}])

    name: Name
    description: Description | None = None
    width: Pixels = Field(1920, description="Of the canvas, in pixels.")
    height: Pixels = 1080
    zones: list[NewZone] = Field(
        [], max_length=MAX_ZONES, description="In percent of the canvas; a later one lies in front of those before."
    )


class LayoutChanges(Changes):
    model_config = example(name="Main")
    clears = frozenset({"description"})

    name: Name | None = None
    description: Description | None = Field(None, description="null: none.")
    width: Pixels | None = None
    height: Pixels | None = None
    zones: Zones | None = Field(None, description="All zones from now on.")


class Assignment(Tolerant):
    model_config = example(player_ids=[1, 2], group_ids=[1])

    player_ids: list[Id] | None = Field(None, max_length=MAX_ASSIGNED)
    group_ids: list[Id] | None = Field(None, max_length=MAX_ASSIGNED, description="All who are or become members.")


# Schedules -----------------------------------------------------------------------------------------------------------


class NewTarget(Strict):
    type: Literal["player", "device", "screen", "group", "device_group", "location"]
    id: Id

    def read(self) -> Target:
        return Target.read(self.type, self.id)


class NewCondition(Strict):
    type: ConditionType
    operator: Operator
    value: Annotated[str, BeforeValidator(_text), Field(max_length=50)] = Field(
        examples=["30", "weekday", "09:00-17:00"],
        description="A temperature, or a word such as rain; weekday, weekend or holiday; a time range.",
    )
    unit: str | None = Field(None, max_length=20, description="Of a temperature: celsius (the default) or fahrenheit.")


Days = Annotated[
    list[Annotated[int, Field(ge=0, le=7, strict=True)]],
    Field(max_length=14, description="1 (Monday) to 6 (Saturday), 0 or 7 for Sunday; none: every day."),
]
Priority = Annotated[int, Field(ge=-1_000, le=1_000, strict=True)]
Conditions = Annotated[list[NewCondition], Field(max_length=MAX_CONDITIONS)]
Targets = Annotated[list[NewTarget], Field(max_length=MAX_TARGETS)]


class ScheduleFilter(Filter):
    is_active: bool | None = None
    player_id: QueryId | None = Field(None, description="Only those that name this player itself.")


class NewSchedule(Strict):
    model_config = example(
        name="Morning",
        playlist_id=1,
        days_of_week=[1, 2, 3, 4, 5],
        start_time="09:00",
        end_time="17:00",
        targets=[{"type": "player", "id": 1}],
    )

    name: Name | None = Field(None, description="Without one it is called as what it plays.")
    playlist_id: Id | None = None
    layout_id: Id | None = Field(None, description="Instead of a playlist.")
    days_of_week: Days = Field([])
    start_time: Clock | None = None
    end_time: Clock | None = Field(None, description="Not after the start: until then on the next day.")
    start_date: Day | None = None
    end_date: Day | None = Field(None, description="The last day.")
    priority: Priority = Field(0, description="The highest wins.")
    is_active: Yes = True
    conditions: Conditions = Field([], description="All must hold.")
    targets: list[NewTarget] = Field([], max_length=MAX_TARGETS)


class ScheduleChanges(Changes):
    model_config = example(is_active=False)
    clears = frozenset({"start_time", "end_time", "start_date", "end_date"})

    name: Name | None = None
    playlist_id: Id | None = Field(None, description="From now on this playlist, and no layout.")
    layout_id: Id | None = Field(None, description="From now on this layout, and no playlist.")
    days_of_week: Days | None = None
    start_time: Clock | None = Field(None, description="null: from the beginning of the day.")
    end_time: Clock | None = Field(None, description="null: until its end.")
    start_date: Day | None = Field(None, description="null: from now on.")
    end_date: Day | None = Field(None, description="null: for ever.")
    priority: Priority | None = None
    is_active: Yes | None = None
    conditions: Conditions | None = Field(None, description="All of them from now on.")
    targets: Targets | None = Field(None, description="All of them from now on.")


def _screen(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """In one sentence for both ways, where pydantic has one for each."""
    try:
        return read(value)
    except ValidationError:
        raise ValueError("must name a player by its number or by its id, such as scr_01JARW8K9BXYZ") from None


ScreenId = Annotated[Annotated[str, Field(max_length=40, pattern="^scr_[0-9A-Z]{1,30}$")] | Id, WrapValidator(_screen)]


class ScheduleAssignment(Strict):
    model_config = example(screen_ids=["scr_01JARW8K9BXYZ"])

    screen_ids: list[ScreenId] | None = Field(None, max_length=MAX_TARGETS, description="Players, in either way.")
    targets: Targets | None = Field(None, description="Instead: players, groups and locations.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.screen_ids is None) == (self.targets is None):
            raise ValueError("must have either screen_ids or targets")
        return self


# Campaigns -----------------------------------------------------------------------------------------------------------


class NewCampaign(Strict):
    model_config = example(name="Summer", advertiser="Example Ltd", currency="EUR", price="0.05")

    name: Name
    advertiser: Text | None = None
    currency: str = Field("EUR", min_length=3, max_length=3, description="ISO 4217.")
    price: Price = "0"
    start_date: Day | None = None
    end_date: Day | None = None


class CampaignChanges(Changes):
    model_config = example(price="0.07")
    clears = frozenset({"advertiser", "start_date", "end_date"})

    name: Name | None = None
    advertiser: Text | None = Field(None, description="null: none.")
    currency: str | None = Field(None, min_length=3, max_length=3, description="ISO 4217.")
    price: Price | None = None
    start_date: Day | None = Field(None, description="null: none.")
    end_date: Day | None = Field(None, description="null: none.")


# Locations and holidays ----------------------------------------------------------------------------------------------

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class NewHours(Strict):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(min_length=1, max_length=7)
    from_: Clock = Field(alias="from", description="HH:MM in the location's time zone.")
    to: Clock = Field(description="Not after `from`: until then on the next day.")


Hours = Annotated[list[NewHours], Field(max_length=MAX_HOURS)]


class NewLocation(Strict):
    model_config = example(
        name="Berlin",
        timezone="Europe/Berlin",
        latitude=52.52,
        longitude=13.405,
        opening_hours=[{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "20:00"}],
    )

    name: Name
    timezone: TimeZone
    address: Text | None = None
    latitude: Latitude | None = Field(None, description="For the weather, with the longitude.")
    longitude: Longitude | None = None
    opening_hours: Hours | None = Field(None, description="Without them it is always open.")


class LocationChanges(Changes):
    model_config = example(timezone="Europe/Vienna")
    clears = frozenset({"address", "latitude", "longitude", "opening_hours"})

    name: Name | None = None
    timezone: TimeZone | None = None
    address: Text | None = Field(None, description="null: none.")
    latitude: Latitude | None = Field(None, description="null in both: none.")
    longitude: Longitude | None = None
    opening_hours: Hours | None = Field(None, description="All of them from now on; null: always open.")


class HolidayFilter(Strict):
    first: Day | None = Field(None, alias="from", description="The first day.")
    last: Day | None = Field(None, alias="to", description="The last day.")
    location_id: QueryId | None = Field(None, description="Only those of this location alone.")
    page: PageNumber = None
    per_page: PageSize = None


class NewHoliday(Strict):
    model_config = example(date="2026-12-25", name="Christmas Day")

    date: Day
    name: Name
    location_id: Id | None = Field(None, description="Only there; without it everywhere.")


class HolidayChanges(Changes):
    model_config = example(name="Boxing Day")
    clears = frozenset({"location_id"})

    date: Day | None = None
    name: Name | None = None
    location_id: Id | None = Field(None, description="null: everywhere.")
