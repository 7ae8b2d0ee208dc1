"""The bytes of assets."""

from starlette.responses import Response

from hub.api.http.endpoint import Call
from hub.api.http.files import send
from hub.api.http.responses import Answer
from hub.services.downloads import Download


async def download_asset(call: Call) -> Answer | Response:
    """The file of an asset, whole or in part (`Range`), or the way to its address (302). Either a credential or the
    query of a signed link is needed. 403: not our link; 410: its hour is over."""
    query = call.query
    found: Download = await call.services.downloads.download(
        call.caller, call.path["asset_id"], query.expires, query.signature
    )
    return await send(call, found)


async def get_thumbnail(call: Call) -> Answer | Response:
    """A small picture of an asset, at most 320 pixels a side, by a credential or a signed link."""
    query = call.query
    found: Download = await call.services.downloads.thumbnail(
        call.caller, call.path["asset_id"], query.expires, query.signature
    )
    return await send(call, found)
