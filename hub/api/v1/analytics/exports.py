"""Plays as files."""

from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.api.streaming import Held, send_file


async def export_playback(call: Call) -> Answer:
    """All plays of the range as a CSV file. Answers at once with a link that is good for an hour; the file is made
    meanwhile."""
    return Answer(200, await call.services.exports.ask(call.actor, call.query.span(), base_url=call.base_url))


async def get_export(call: Call) -> Answer | Held:
    """The file behind a link, which is all the credential there is: UTF-8, RFC 4180, a head line.

    202: it is still in the making; come back after `Retry-After`. 403: not our link. 410: its hour is over.
    """
    name = call.path["file"]
    content = await call.services.exports.file(name, call.query.expires, call.query.signature)
    if content is None:
        return Answer(202, {"message": "The file is in the making.", "status": "pending"}, {"retry-after": "2"})
    headers = {
        "content-type": content.mime,
        "content-length": str(content.size),
        "etag": f'"{content.etag}"',
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "private, no-store",
    }
    return await send_file(call, content.team_id, content.pieces, headers)
