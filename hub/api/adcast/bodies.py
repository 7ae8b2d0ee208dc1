"""What AdCast's clients and players send. Fields that are not listed are ignored, as its document leaves room for more;
a field that is null counts as absent, but where null is a wish of its own.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hub.api.v1.bodies import Email, Id, Name, Password, Tolerant, example, line
from hub.api.v1.content.bodies import MAX_DURATION_S, Title
from hub.api.v1.playback.bodies import Clock, Conditions, Day, Days, Priority, Yes
from hub.domain.content import MAX_ADDRESS, AssetStatus, AssetType
from hub.domain.playback import MAX_ITEM_S, MAX_ITEMS, Transition


def _line(text: str | None) -> str | None:
    return text and line(text)


def _blank_is_absent(value: Any) -> Any:
    return None if value == "" else value


class Registration(Tolerant):
    model_config = example(
        name="John Doe",
        email="john@example.com",
        password="securepassword123",
        company_name="My Digital Signage Co",
    )

    name: Name
    email: Email
    password: Password
    company_name: Name


class Login(Tolerant):
    model_config = example(email="john@example.com", password="securepassword123")

    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Annotated[str, Field(min_length=1, max_length=200)]


class Pages(Tolerant):
    page: int = Field(1, ge=1, le=1_000_000)
    per_page: int = Field(20, ge=1, le=1_000)


# Devices -------------------------------------------------------------------------------------------------------------


class Pair(Tolerant):
    model_config = example(pairing_code="4A7X2B", name="Lobby Display")

    pairing_code: str = Field(min_length=1, max_length=50, description="As the screen shows it, in any case.")
    name: Name | None = Field(None, description="Without one the device is called by its model.")


class DeviceChanges(Tolerant):
    model_config = example(name="Lobby Display - Main Entrance", device_group_id=2)

    name: Name | None = None
    device_group_id: Id | None = Field(
        None, description="The one group that it is to be a member of; null takes it out of all."
    )


class DeviceCommand(Tolerant):
    model_config = example(type="set_volume", payload={"volume": 50})

    type: str = Field(
        min_length=1, max_length=60, description="reboot, set_volume, refresh, screenshot, or any other command."
    )
    payload: dict[str, Any] | None = None


class Lock(Tolerant):
    model_config = example(pin="1234")

    pin: str = Field(pattern=r"^[0-9]{4,8}$", description="4 to 8 digits.")


# Content and playlists -----------------------------------------------------------------------------------------------


class ContentFilter(Pages):
    type: AssetType | None = None
    status: AssetStatus | None = None
    search: str | None = Field(None, max_length=100, description="Part of the name, in any case.")


class NewContent(Tolerant):
    model_config = example(name="News", type="web", source_url="https://example.com/news", duration=30)

    name: Title
    type: AssetType
    source_url: Annotated[str | None, Field(max_length=MAX_ADDRESS), BeforeValidator(_blank_is_absent)] = Field(
        None, description="Of youtube, web and livestream."
    )
    duration: int | None = Field(None, ge=1, le=MAX_DURATION_S, description="Seconds.")


class ContentChanges(Tolerant):
    model_config = example(name="Updated Name", duration=15)

    name: Title | None = None
    duration: int | None = Field(None, ge=1, le=MAX_DURATION_S, description="Seconds.")


class NewItem(Tolerant):
    content_id: Id
    duration: int | None = Field(
        None, ge=1, le=MAX_ITEM_S, description="Seconds; without it as long as the content itself."
    )


Items = Annotated[list[NewItem], Field(max_length=MAX_ITEMS)]


class NewPlaylist(Tolerant):
    model_config = example(name="Morning Playlist", transition="fade", is_default=False)

    name: Name
    transition: Transition | None = None
    is_default: Yes | None = Field(None, description="Whether it plays where nothing else does.")
    items: Items | None = None


class PlaylistChanges(Tolerant):
    model_config = example(name="Lobby Playlist", transition="fade", is_default=True)

    name: Name | None = None
    transition: Transition | None = None
    is_default: Yes | None = None
    items: Items | None = Field(None, description="All items from now on, in this order.")


# Schedules -----------------------------------------------------------------------------------------------------------

Schedulable = Literal["device", "group", "device_group", "location"]


class NewSchedule(Tolerant):
    model_config = example(
        playlist_id=1,
        schedulable_type="device",
        schedulable_id=5,
        days_of_week=[1, 2, 3, 4, 5],
        start_time="09:00",
        end_time="17:00",
        start_date="2026-04-01",
        end_date="2026-06-30",
        priority=10,
        is_active=True,
        conditions=[
            {"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"},
            {"type": "day_type", "operator": "eq", "value": "weekday"},
            {"type": "time_range", "operator": "between", "value": "09:00-17:00"},
        ],
    )

    name: Name | None = Field(None, description="Without one it is called as its playlist.")
    playlist_id: Id
    schedulable_type: Schedulable
    schedulable_id: Id
    days_of_week: Days | None = None
    start_time: Clock | None = None
    end_time: Clock | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    priority: Priority | None = None
    is_active: Yes | None = None
    conditions: Conditions | None = Field(None, description="All must hold.")


class ScheduleChanges(Tolerant):
    model_config = example(is_active=False)

    name: Name | None = None
    playlist_id: Id | None = None
    schedulable_type: Schedulable | None = None
    schedulable_id: Id | None = None
    days_of_week: Days | None = None
    start_time: Clock | None = Field(None, description="null: from the beginning of the day.")
    end_time: Clock | None = Field(None, description="null: until its end.")
    start_date: Day | None = Field(None, description="null: from now on.")
    end_date: Day | None = Field(None, description="null: for ever.")
    priority: Priority | None = None
    is_active: Yes | None = None
    conditions: Conditions | None = Field(None, description="All of them from now on.")


# Players -------------------------------------------------------------------------------------------------------------


Uuid = Annotated[
    str,
    Field(min_length=1, max_length=200, description="The device's own name; it need not be an RFC 4122 one."),
    AfterValidator(line),
]
Words = Annotated[str | None, Field(max_length=100), BeforeValidator(_blank_is_absent), AfterValidator(_line)]
Megabytes = Annotated[float | None, Field(ge=0, le=1e12)]


class DeviceRegistration(Tolerant):
    model_config = example(
        uuid="unique-device-id-abc123",
        model="Xiaomi Mi Box S",
        os_version="11",
        app_version="2.0.0",
        license_key="ADCAST-XXXX-YYYY",
    )

    uuid: Uuid
    model: Words = None
    os_version: Words = None
    app_version: Words = None
    license_key: Words = None


class Heartbeat(Tolerant):
    model_config = example(
        uuid="unique-device-id-abc123",
        ip_address="192.168.1.100",
        wifi_signal=-45,
        storage_total_mb=16000,
        storage_used_mb=2400,
        storage_free_mb=13600,
        screen_on=True,
        volume=80,
        uptime_seconds=86400,
        current_content="Summer Promo",
    )

    uuid: Uuid
    ip_address: Annotated[str | None, Field(max_length=64)] = None
    wifi_signal: int | None = Field(None, ge=-200, le=100, description="dBm")
    storage_total_mb: Megabytes = None
    storage_used_mb: Megabytes = None
    storage_free_mb: Megabytes = None
    screen_on: bool | None = None
    volume: int | None = Field(None, ge=0, le=100, description="Per cent.")
    uptime_seconds: int | None = Field(None, ge=0, le=2**53)
    current_content: str | None = Field(None, max_length=1_024, description="null: nothing is shown.")


class OfDevice(Tolerant):
    uuid: Uuid
