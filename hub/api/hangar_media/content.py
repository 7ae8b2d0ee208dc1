"""Content: the same things as the assets of /api/v1."""

from typing import Any

from hub.api.hangar_media import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.http.uploads import new_content
from hub.api.v1.shapes import done, many, pages
from hub.domain.errors import Invalid


async def list_content(call: Call) -> Answer:
    """All content; with `page` or `per_page` a part of it."""
    page, per_page = pages(call.query)
    found, total = await call.services.content.listing(call.actor, page=page, per_page=per_page, base_url=call.base_url)
    return many([shapes.content(asset) for asset in found], total=total, page=page, per_page=per_page)


async def upload_content(call: Call) -> Answer:
    """New content: a file as multipart/form-data with the field `file`, or an address (youtube, web, livestream) in
    `source_url`, by the same form or as JSON. What a file is its content decides; one that is something else than
    `type` says is refused."""
    return await new_content(call, _told, _address)


def _told(asset: dict[str, Any]) -> Answer:
    return Answer(201, {"data": shapes.content(asset)})


async def _address(call: Call, fields: Any) -> Answer:
    if fields.source_url is None:
        raise Invalid.field("file", "is required, or a source_url with its type")
    if fields.type is None:
        raise Invalid.field("type", "is required")
    asset = await call.services.content.add_address(
        call.actor,
        name=fields.name,
        type=fields.type,
        url=fields.source_url,
        duration_s=fields.duration,
        face=face(call),
        base_url=call.base_url,
    )
    return _told(asset)


async def delete_content(call: Call) -> Answer:
    """Remove content, from all playlists too."""
    content = call.services.content
    number = await shapes.number(call.actor, call.path["content_id"], content.by_content_id)
    await content.delete(call.actor, number, face=face(call))
    return done("Content deleted.")
