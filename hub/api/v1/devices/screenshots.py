"""What screens show."""

from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.api.streaming import Held, send_file


async def get_screenshot(call: Call) -> Answer:
    """The newest picture of a player: its address, not its bytes. `take_screenshot` makes a new one."""
    return Answer(
        200, await call.services.screenshots.latest(call.actor, call.path["player_id"], base_url=call.base_url)
    )


async def get_picture(call: Call) -> Held:
    """The picture behind a link, which is all the credential there is. 403: not our link; 410: its hour is over."""
    query = call.query
    picture = await call.services.screenshots.image(call.path["screenshot_id"], query.expires, query.signature)
    headers = {
        "content-type": picture.mime,
        "content-length": str(picture.size),
        "etag": f'"{picture.etag}"',
        "cache-control": "private, max-age=3600",  # what one number shows never changes
        "content-security-policy": "sandbox; default-src 'none'",  # a picture, whatever its bytes may claim
    }
    return await send_file(call, picture.team_id, picture.pieces, headers)


async def get_upload(call: Call) -> Held:
    """What a player uploaded on `collect_logs`, as a file to save."""
    content = await call.services.uploads.content(call.actor, call.path["upload_id"])
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(content.size),
        "etag": f'"{content.etag}"',
        "content-disposition": f'attachment; filename="{call.path["upload_id"]}.txt"',
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "private, no-store",
    }
    return await send_file(call, content.team_id, content.pieces, headers)
