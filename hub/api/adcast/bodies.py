"""What AdCast's clients and players send. Fields that are not listed are ignored, as its document leaves room for more;
a field that is null counts as absent, but where null is a wish of its own.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from hub.api.v1.bodies import Email, Id, Name, Password, Tolerant, example


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


# Players -------------------------------------------------------------------------------------------------------------


def _printable(text: str | None) -> str | None:
    if text and not text.isprintable():
        raise ValueError("Use printable characters only.")
    return text


def _blank_is_absent(value: Any) -> Any:
    return None if value == "" else value


Uuid = Annotated[
    str,
    Field(min_length=1, max_length=200, description="The device's own name; it need not be an RFC 4122 one."),
    AfterValidator(_printable),
]
Words = Annotated[str | None, Field(max_length=100), BeforeValidator(_blank_is_absent), AfterValidator(_printable)]
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
