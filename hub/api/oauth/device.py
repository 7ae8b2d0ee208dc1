"""The device authorization grant (RFC 8628), and the page on which people enter a code."""

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import segno
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.api.oauth.pages import inline_source
from hub.domain.errors import BadRequest


async def authorize(call: Call) -> Answer:
    """Ask for a code. The device shows it, an operator approves it, and the device meanwhile asks for its token.

    At most five devices of one address wait at a time. A device that asks again gives up its earlier code. One that
    brings the `pairing_code` of a player has no need of an operator: its token is there at once.
    """
    body = call.body
    offer = await call.services.pairing.authorize(
        body.client_id,
        body.hardware_id,
        body.model,
        call.address,
        call.base_url,
        host_name=body.name,
        invitation=body.pairing_code,
    )
    return Answer(200, {**offer, "qr_code": _qr_code(offer["verification_uri_complete"])})


def _qr_code(text: str) -> list[str]:
    """The rows of a QR code that survives a reflection or a dead line of pixels (level M, up to 15 %)."""
    return ["".join("1" if dark else "0" for dark in row) for row in segno.make_qr(text, error="m").matrix]


async def token(call: Call) -> Answer:
    """The token of an approved device, given once; a device that would wait is answered when an operator decides."""
    body = call.body
    if body.device_code is None:
        raise BadRequest("The device_code field is required.")
    if call.prefer_wait:
        await _while_connected(call, call.services.pairing.decided(body.device_code, call.prefer_wait))
    return Answer(200, await call.services.pairing.redeem(body.device_code, body.client_id), {"pragma": "no-cache"})


async def _while_connected(call: Call, work: Coroutine[Any, Any, None]) -> None:
    """Raises ClientDisconnect when the caller goes meanwhile: a token that nobody receives would be lost."""
    working, gone = asyncio.create_task(work), asyncio.create_task(_disconnected(call.receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        await working
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_PAGE: Final = re.sub(r"\r\n", "\n", Path(__file__).with_name("pair.html").read_text("utf-8"))
_HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; script-src {inline_source('script', _PAGE)}; "
    f"style-src {inline_source('style', _PAGE)}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",  # the address may hold a code
    "x-content-type-options": "nosniff",
}


async def page(request: Request) -> Response:
    """Enter a code, see which device shows it, approve or refuse it."""
    return Response(_PAGE, media_type="text/html", headers=_HEADERS)
