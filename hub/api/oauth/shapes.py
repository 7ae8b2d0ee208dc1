"""What OAuth 2.0 sends and receives: bodies by form or JSON, and errors as RFC 6749 writes them (section 5.2)."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hub.api.http.errors import answer_for
from hub.api.http.responses import Answer
from hub.domain.errors import HubError
from hub.domain.text import is_line

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"

_WORDS: Final = frozenset(
    {
        "access_denied",
        "authorization_pending",
        "expired_token",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "slow_down",
        "unsupported_grant_type",
    }
)


def _line(text: str) -> str:
    # People read it in a terminal and on a page before they approve: no control characters, no line breaks.
    if not is_line(text):
        raise ValueError("must be one line, without control characters and overrides of direction")
    return text


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]


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
    name: Word | None = Field(None, description="What the device is called in its network: its host name.")
    pairing_code: Word | None = Field(
        None, description="The code of a player that waits for its device; then nobody has to approve."
    )


Uri = Annotated[str, Field(max_length=500)]
Scopes = Annotated[str, Field(max_length=500, description="Scopes with spaces between them.")]


class TokenRequest(BaseModel):
    """What is needed depends on `grant_type`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grant_type": DEVICE_GRANT, "device_code": "wR9x..."}]})

    grant_type: Word = Field(description=f"`authorization_code`, `refresh_token` or `{DEVICE_GRANT}`.")
    client_id: Word | None = Field(None, description="For devices always `player`.")
    client_secret: Word | None = Field(None, description="Of a confidential client that does not use HTTP Basic.")
    code: Word | None = Field(None, description="The `code` that came to the redirect URI.")
    redirect_uri: Uri | None = Field(None, description="The one that the code was asked for with.")
    code_verifier: Word | None = Field(None, description="The secret behind the `code_challenge` (RFC 7636).")
    refresh_token: Word | None = None
    scope: Scopes | None = Field(None, description="With a refresh token: less than was granted.")
    device_code: Word | None = Field(None, description="The `device_code` that the device was given.")


class RevocationRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "sbr_...", "client_id": "app_..."}]})

    token: Word
    token_type_hint: Word | None = Field(None, description="Not needed: the hub knows its tokens by their form.")
    client_id: Word | None = None
    client_secret: Word | None = Field(None, description="Of a confidential client that does not use HTTP Basic.")


class Authorization(BaseModel):
    """An authorization request (RFC 6749, section 4.1.1, with PKCE). What is missing or wrong the hub tells itself."""

    response_type: Annotated[str, Field(max_length=50)] | None = Field(None, description="`code`.")
    client_id: Annotated[str, Field(max_length=200)] | None = None
    redirect_uri: Uri | None = Field(None, description="Exactly one of the client's.")
    scope: Scopes | None = Field(None, description="Scopes with spaces between them; without it all of the client's.")
    state: Annotated[str, Field(max_length=1_000)] | None = Field(None, description="Comes back with the answer.")
    code_challenge: Annotated[str, Field(max_length=200)] | None = Field(None, description="Of RFC 7636.")
    code_challenge_method: Annotated[str, Field(max_length=50)] | None = Field(None, description="`S256`.")


class AuthorizationForm(Authorization):
    """The request again, and the person's part."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"client_id": "app_...", "redirect_uri": "https://editor.example.com/cb"}]}
    )

    email: Annotated[str, Field(max_length=254)] | None = None
    password: Annotated[str, Field(max_length=200)] | None = None
    ticket: Annotated[str, Field(max_length=1_000)] | None = None
    decision: Annotated[str, Field(max_length=10)] | None = Field(None, description="`allow`; all else is a refusal.")


class DeviceAuthorization(BaseModel):
    device_code: str = Field(description="The device keeps it to itself and asks for its token with it.")
    user_code: str = Field(description="To show on the screen; typed in any case, with or without dashes.")
    verification_uri: str = Field(description="Where an operator types the code.")
    verification_uri_complete: str = Field(description="The same with the code in it, for a QR code.")
    qr_code: list[str] = Field(
        description="The QR code of `verification_uri_complete`: a text a row, of `1` for a dark module and `0` for a "
        "light one. The light margin of four modules around it is not part of it."
    )
    expires_in: int = Field(description="Seconds until the code is void.")
    interval: int = Field(description="Seconds between two requests for the token.")


class Tokens(BaseModel):
    access_token: str = Field(description="For a device its player's token. Shown this once.")
    token_type: str
    expires_in: int | None = Field(None, description="Seconds; absent for devices, whose tokens last.")
    refresh_token: str | None = Field(None, description="Good for 90 days and one use.")
    scope: str | None = Field(None, description="What the access token may do.")
    player_id: int | None = Field(None, description="For devices.")
    player_name: str | None = Field(None, description="For devices.")


class Nothing(BaseModel):
    """An empty object."""


class Metadata(BaseModel):
    """RFC 8414."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    device_authorization_endpoint: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    grant_types_supported: list[str]
    code_challenge_methods_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]
    authorization_response_iss_parameter_supported: bool


def failure(error: HubError) -> Answer:
    """An error in OAuth's words; `message` is there for clients of the rest of the API."""
    told = answer_for(error)
    if error.code in _WORDS:
        word = error.code
    else:
        word = "temporarily_unavailable" if error.status in (429, 503) else "invalid_request"
    text = " ".join(sentence for sentences in (error.errors or {}).values() for sentence in sentences) or error.message
    status = error.status if error.status in (401, 429, 503) else 400
    headers = dict(told.headers)
    if status == 401:  # RFC 6749 (5.2): with the scheme by which a client may prove itself
        headers["www-authenticate"] = 'Basic realm="OAuth clients", charset="UTF-8"'
    return Answer(status, {"error": word, "error_description": text, "message": text}, headers)
