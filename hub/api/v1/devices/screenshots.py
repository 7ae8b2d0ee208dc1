"""What screens show."""

from starlette.responses import StreamingResponse

from hub.api.answer import Answer
from hub.api.endpoint import Call


async def get_screenshot(call: Call) -> Answer:
    """The newest picture of a player: its address, not its bytes. `take_screenshot` makes a new one."""
    return Answer(
        200, await call.services.screenshots.latest(call.actor, call.path["player_id"], base_url=call.base_url)
    )


async def get_picture(call: Call) -> StreamingResponse:
    """The picture behind a link, which is all the credential there is. 403: not our link; 410: its hour is over."""
    query = call.query
    picture = await call.services.screenshots.image(call.path["screenshot_id"], query.expires, query.signature)
    headers = {
        "content-length": str(picture.size),
        "etag": f'"{picture.etag}"',
        "cache-control": "private, max-age=3600",  # what one number shows never changes
        "content-security-policy": "sandbox; default-src 'none'",  # a picture, whatever its bytes may claim
    }
    return StreamingResponse(picture.pieces, media_type=picture.mime, headers=headers)


async def get_upload(call: Call) -> StreamingResponse:
    """What a player uploaded on `collect_logs`, as a file to save."""
    content = await call.services.uploads.content(call.actor, call.path["upload_id"])
    headers = {
        "content-length": str(content.size),
        "etag": f'"{content.etag}"',
        "content-disposition": f'attachment; filename="{call.path["upload_id"]}.txt"',
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "private, no-store",
    }
    return StreamingResponse(content.pieces, media_type="text/plain; charset=utf-8", headers=headers)
