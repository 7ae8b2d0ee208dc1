"""Direct uploads to signed URLs."""

from hub.api.http import requests
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import one

# What clients put there that were told nothing; the content decides anyway.
_NO_TYPE = ("", "application/octet-stream", "application/x-www-form-urlencoded")


async def create_upload_url(call: Call) -> Answer:
    """A signed URL to PUT one file to. The asset exists once its bytes are there and are what was announced; it can
    then be found by `asset_key`."""
    body = call.body
    made = await call.services.direct_uploads.issue(
        call.actor,
        filename=body.filename,
        mime=body.mime_type,
        size=body.size,
        sha256=body.sha256,
        name=body.name,
        folder_id=body.folder_id,
        face=face(call),
        base_url=call.base_url,
    )
    return Answer(200, made)


async def put_upload(call: Call) -> Answer:
    """The file of an upload URL, which is all the credential there is. The same bytes once more are answered with the
    same asset (200). 403: not our URL; 409: it was used for other bytes, or the team has
    no room for it; 410: it was to be used earlier."""
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = requests.declared_length(dict(call.scope["headers"]))
    ticket = await call.services.direct_uploads.check(
        call.path["upload_id"],
        call.query.expires,
        call.query.signature,
        media_type=None if media_type in _NO_TYPE else media_type,
        length=length,
    )
    content = call.services.content
    async with content.receiving(ticket.team_id, length or 0) as incoming:
        async for piece in requests.pieces(call.receive, dict(call.scope["headers"]), content.max_bytes):
            await incoming.write(piece)
        asset, is_new = await call.services.direct_uploads.redeem(ticket, incoming, base_url=call.base_url)
    return one(asset, 201 if is_new else 200, location=f"/api/v1/assets/{asset['id']}")
