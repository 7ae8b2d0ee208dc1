"""The device authorization grant (RFC 8628), and the page on which people enter a code."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hub.api.answer import Answer
from hub.api.endpoint import Call
from hub.api.oauth.shapes import DEVICE_GRANT
from hub.domain.errors import BadRequest


async def authorize(call: Call) -> Answer:
    """Ask for a code. The device shows it, an operator approves it, and the device meanwhile asks for its token.

    At most five devices of one address wait at a time. A device that asks again gives up its earlier code.
    """
    body = call.body
    return Answer(
        200,
        await call.services.pairing.authorize(
            body.client_id, body.hardware_id, body.model, call.address, call.base_url
        ),
    )


async def token(call: Call) -> Answer:
    """Ask for the token of an approved device; given once.

    Until then the error is `authorization_pending`, or `slow_down` for a device that asks more often than its
    `interval`, which has grown by 5 s with each such answer. `access_denied`, `expired_token` and `invalid_grant` are
    the end: the device asks for a new code.
    """
    body = call.body
    if body.grant_type != DEVICE_GRANT:
        raise BadRequest(f"The only grant here is {DEVICE_GRANT}.", code="unsupported_grant_type")
    if body.device_code is None:
        raise BadRequest("The device_code field is required.")
    return Answer(200, await call.services.pairing.redeem(body.device_code, body.client_id), {"pragma": "no-cache"})


def _source(kind: str, page: str) -> str:
    """The one inline element of this kind, as a Content-Security-Policy names it: by its hash."""
    content = page.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


_PAGE: Final = re.sub(r"\r\n", "\n", Path(__file__).with_name("pair.html").read_text("utf-8"))
_HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; script-src {_source('script', _PAGE)}; "
    f"style-src {_source('style', _PAGE)}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",  # the address may hold a code
    "x-content-type-options": "nosniff",
}


async def page(request: Request) -> Response:
    """Enter a code, see which device shows it, approve or refuse it."""
    return Response(_PAGE, media_type="text/html", headers=_HEADERS)
