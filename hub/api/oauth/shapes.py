"""What OAuth 2.0 sends and receives: bodies by form or JSON, and errors as RFC 6749 writes them (section 5.2)."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hub.api.answer import Answer
from hub.api.errors import answer_for
from hub.domain.errors import HubError

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"

_WORDS: Final = frozenset(
    {
        "access_denied",
        "authorization_pending",
        "expired_token",
        "invalid_client",
        "invalid_grant",
        "slow_down",
        "unsupported_grant_type",
    }
)


def _printable(text: str) -> str:
    # People read it in a terminal and on a page before they approve: no control characters, no line breaks.
    if not text.isprintable():
        raise ValueError("Use printable characters only.")
    return text


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class DeviceRequest(BaseModel):
    """A device asks for a code. Parameters that are not listed are ignored, as RFC 6749 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"client_id": "player", "hardware_id": "b8:27:eb:4f:1a:02", "model": "Raspberry Pi 5"}]
        }
    )

    client_id: Word = Field(description="Always `player`.")
    hardware_id: Word = Field(description="What names this device for good, such as a serial number.")
    model: Word | None = Field(None, description="What an operator recognises the device by.")


class TokenRequest(BaseModel):
    """A device asks whether its code was approved."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grant_type": DEVICE_GRANT, "device_code": "wR9x..."}]})

    grant_type: Word = Field(description=f"Always `{DEVICE_GRANT}`.")
    device_code: Word | None = Field(None, description="The `device_code` that the device was given.")
    client_id: Word | None = Field(None, description="Always `player`.")


class DeviceAuthorization(BaseModel):
    device_code: str = Field(description="The device keeps it to itself and asks for its token with it.")
    user_code: str = Field(description="To show on the screen; typed in any case, with or without dashes.")
    verification_uri: str = Field(description="Where an operator types the code.")
    verification_uri_complete: str = Field(description="The same with the code in it, for a QR code.")
    expires_in: int = Field(description="Seconds until the code is void.")
    interval: int = Field(description="Seconds between two requests for the token.")


class DeviceToken(BaseModel):
    access_token: str = Field(description="The player's token, shown this once.")
    token_type: str
    player_id: int
    player_name: str


def failure(error: HubError) -> Answer:
    """An error in OAuth's words; `message` is there for clients of the rest of the API."""
    told = answer_for(error)
    if error.code in _WORDS:
        word = error.code
    else:
        word = "temporarily_unavailable" if error.status in (429, 503) else "invalid_request"
    text = " ".join(sentence for sentences in (error.errors or {}).values() for sentence in sentences) or error.message
    status = error.status if error.status in (429, 503) else 400
    return Answer(status, {"error": word, "error_description": text, "message": text}, told.headers)
