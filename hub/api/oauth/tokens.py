"""The token endpoint, which all grants share, revocation, and the hub's description of itself."""

import base64
import binascii
from urllib.parse import unquote_plus

from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.api.oauth import device
from hub.api.oauth.shapes import DEVICE_GRANT
from hub.domain.access import SCOPES
from hub.domain.errors import BadRequest, Unauthenticated
from hub.services.oauth import Client

_NO_STORE = {"pragma": "no-cache"}
_METHODS = ["none", "client_secret_basic", "client_secret_post"]


async def token(call: Call) -> Answer:
    """Exchange a code for tokens, renew them, or ask for the token of a device that was approved.

    `authorization_code` takes `code`, `redirect_uri` and `code_verifier`; a code is good for one use within a minute,
    and its second use ends what came of the first. `refresh_token` takes `refresh_token`, which is used up by it: using
    one twice ends the whole grant. Clients name themselves by HTTP Basic or in the body; public ones have no secret.

    For devices (RFC 8628) the error is `authorization_pending` until somebody approves, or `slow_down` for a device
    that asks more often than its `interval`, which has grown by 5 s with each such answer. With `Prefer: wait=N` it is
    answered the moment an operator decides, after N seconds at the latest, and may then ask again at once: what it
    waited counts as its interval. `access_denied`,
    `expired_token` and `invalid_grant` are the end: the device asks for a new code.
    """
    body = call.body
    if body.grant_type == DEVICE_GRANT:
        return await device.token(call)
    if body.grant_type not in ("authorization_code", "refresh_token"):
        raise BadRequest("This grant_type is not known here.", code="unsupported_grant_type")
    client = await _client(call)
    if body.grant_type == "authorization_code":
        if body.code is None:
            raise BadRequest("The code field is required.")
        tokens = await call.services.oauth.exchange(client, body.code, body.redirect_uri, body.code_verifier)
    else:
        if body.refresh_token is None:
            raise BadRequest("The refresh_token field is required.")
        tokens = await call.services.oauth.refresh(client, body.refresh_token, body.scope)
    return Answer(200, tokens, _NO_STORE)


async def revoke(call: Call) -> Answer:
    """End the grant that an access or refresh token belongs to (RFC 7009). A token that is not known is no error."""
    await call.services.oauth.revoke(await _client(call), call.body.token)
    return Answer(200, {}, _NO_STORE)


async def metadata(call: Call) -> Answer:
    """What this authorization server can do, and where (RFC 8414)."""
    issuer = call.services.oauth.issuer(call.base_url)
    return Answer(
        200,
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": _METHODS,
            "revocation_endpoint_auth_methods_supported": _METHODS,
            "authorization_response_iss_parameter_supported": True,
        },
        {"cache-control": "public, max-age=300"},
    )


async def _client(call: Call) -> Client:
    """Who calls, by HTTP Basic or by the body, not by both. Raises Unauthenticated, BadRequest."""
    body = call.body
    header: bytes | None = dict(call.scope["headers"]).get(b"authorization")
    client_id, secret = body.client_id, body.client_secret
    if header is not None:
        if secret is not None:
            raise BadRequest("Prove who you are once, by the header or in the body.")
        named, secret = _basic(header)
        if client_id not in (None, named):
            raise BadRequest("The header and the body name different clients.")
        client_id = named
    client: Client = await call.services.oauth.client(client_id, secret)
    return client


def _basic(header: bytes) -> tuple[str, str]:
    scheme, _, value = header.partition(b" ")
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    name, colon, secret = text.partition(":")
    if scheme.lower() != b"basic" or not colon:
        raise Unauthenticated("The Authorization header is not one of HTTP Basic.", code="invalid_client")
    return unquote_plus(name), unquote_plus(secret)
