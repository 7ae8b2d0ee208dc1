"""All of OAuth 2.0 that the hub speaks so far: the device grant, by which players are paired."""

from starlette.routing import Route

from hub.api.endpoint import Endpoint
from hub.api.oauth import device
from hub.api.oauth.shapes import DeviceAuthorization, DeviceRequest, DeviceToken, TokenRequest, failure

_PAIRING = ("Pairing",)

ENTRIES = (
    Endpoint("POST", "/oauth/device_authorization", device.authorize, summary="Ask for a pairing code", tags=_PAIRING,
             needs_auth=False, body=DeviceRequest, form=True, failure=failure, answers={200: DeviceAuthorization},
             errors=(400, 429)),
    Endpoint("POST", "/oauth/token", device.token, summary="Ask for the player's token", tags=_PAIRING,
             needs_auth=False, body=TokenRequest, form=True, failure=failure, answers={200: DeviceToken},
             errors=(400, 429)),
)  # fmt: skip

PAGES = (Route("/pair", device.page),)
