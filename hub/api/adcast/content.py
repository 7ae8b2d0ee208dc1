"""Content: what there is to show. It has the same numbers as the assets of /api/v1."""

from typing import Any

from hub.api.adcast import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.http.uploads import new_content
from hub.api.v1.shapes import done
from hub.domain.content import ADDRESS_TYPES
from hub.domain.errors import Invalid


async def list_content(call: Call) -> Answer:
    """The content of the team, 20 a page unless `per_page` says otherwise."""
    query = call.query
    found, total = await call.services.content.listing(
        call.actor,
        type=query.type,
        status=query.status,
        search=query.search,
        page=query.page,
        per_page=query.per_page,
        base_url=call.base_url,
    )
    return shapes.listed([shapes.content(asset) for asset in found], total, query.page, query.per_page)


async def create_content(call: Call) -> Answer:
    """New content: a file (video, image, audio) as multipart/form-data, or an address (youtube, web, livestream) in
    `source_url`, by the same form or as JSON. What a file is its content decides; one that is something else than
    `type` says is refused."""
    return await new_content(call, lambda asset: _told(asset, 201), _address, _check)


def _check(fields: Any) -> None:
    if fields.type in ADDRESS_TYPES:
        raise Invalid.field("type", f"{fields.type} is for addresses: send one in source_url")


async def _address(call: Call, fields: Any) -> Answer:
    if fields.type not in ADDRESS_TYPES:
        raise Invalid.field("file", f"is required for the type {fields.type}: send it as multipart/form-data")
    if fields.source_url is None:
        raise Invalid.field("source_url", "is required")
    asset = await call.services.content.add_address(
        call.actor,
        name=fields.name,
        type=fields.type,
        url=fields.source_url,
        duration_s=fields.duration,
        face=face(call),
        base_url=call.base_url,
    )
    return _told(asset, 201)


async def get_content(call: Call) -> Answer:
    """One piece of content."""
    return _told(await call.services.content.get(call.actor, call.path["content_id"], base_url=call.base_url))


async def change_content(call: Call) -> Answer:
    """Change what is given and leave the rest. The file itself never changes: send another one."""
    changes = call.body.model_dump(exclude_none=True)
    if "duration" in changes:
        changes["duration_s"] = changes.pop("duration")
    asset = await call.services.content.update(
        call.actor, call.path["content_id"], changes, version=None, face=face(call), base_url=call.base_url
    )
    return _told(asset)


async def delete_content(call: Call) -> Answer:
    """Remove content, from all playlists too. Its file goes unless other content has the same."""
    await call.services.content.delete(call.actor, call.path["content_id"], face=face(call))
    return done("Content deleted successfully.")


def _told(asset: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, {"content": shapes.content(asset)})
