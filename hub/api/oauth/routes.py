"""OAuth 2.0: the device grant, by which players are paired; the authorization code, for programs of third parties."""

from typing import Any

from starlette.routing import Route

from hub.api.http.endpoint import Endpoint
from hub.api.oauth import authorize, device, tokens
from hub.api.oauth.shapes import (
    Authorization,
    AuthorizationForm,
    DeviceAuthorization,
    DeviceRequest,
    Metadata,
    Nothing,
    RevocationRequest,
    TokenRequest,
    Tokens,
    failure,
)

_PAIRING, _OAUTH = ("Pairing",), ("OAuth 2.0",)
_OPEN: dict[str, Any] = {"needs_auth": False}
_FORM: dict[str, Any] = {**_OPEN, "form": True, "failure": failure}
_PAGES: dict[str, Any] = {**_OPEN, "produces": "text/html", "answers": dict.fromkeys((200, 303, 400, 404, 429, 503))}

ENTRIES = (
    Endpoint("POST", "/oauth/device_authorization", device.authorize, summary="Ask for a pairing code", tags=_PAIRING,
             **_FORM, body=DeviceRequest, answers={200: DeviceAuthorization}, errors=(400, 429)),
    Endpoint("POST", "/oauth/token", tokens.token, summary="Ask for tokens", tags=_OAUTH, **_FORM, body=TokenRequest,
             waits=True, answers={200: Tokens}, errors=(400, 401, 429)),
    Endpoint("POST", "/oauth/revoke", tokens.revoke, summary="Revoke a token", tags=_OAUTH, **_FORM,
             body=RevocationRequest, answers={200: Nothing}, errors=(400, 401)),
    Endpoint("GET", "/oauth/authorize", authorize.ask, summary="Ask a person for access", tags=_OAUTH, **_PAGES,
             query=Authorization),
    Endpoint("POST", "/oauth/authorize", authorize.answer, summary="Sign in and decide", tags=_OAUTH, form=True,
             **{**_PAGES, "answers": {**_PAGES["answers"], 401: None, 410: None}}, body=AuthorizationForm),
    Endpoint("GET", "/.well-known/oauth-authorization-server", tokens.metadata, summary="What OAuth can do here",
             tags=_OAUTH, **_OPEN, answers={200: Metadata}),
)  # fmt: skip

PAGES = (Route("/pair", device.page),)
