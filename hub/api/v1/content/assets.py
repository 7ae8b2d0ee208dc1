"""Assets: what there is to show."""

from typing import Any

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.http.uploads import new_content
from hub.api.v1.bodies import changes_of
from hub.api.v1.content.bodies import given
from hub.api.v1.shapes import PER_PAGE, done, many, one
from hub.domain.content import ADDRESS_TYPES
from hub.domain.errors import Invalid


async def list_assets(call: Call) -> Answer:
    """All assets of the team; with `page` or `per_page` a part of them."""
    query = call.query
    page, per_page = query.page or 1, query.per_page or (PER_PAGE if query.page else None)
    found, total = await call.services.content.listing(
        call.actor,
        type=query.type,
        status=query.status,
        search=query.search,
        folder_id=query.folder_id,
        page=page,
        per_page=per_page,
        base_url=call.base_url,
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_asset(call: Call) -> Answer:
    """One asset."""
    return one(await call.services.content.get(call.actor, call.path["asset_id"], base_url=call.base_url))


async def create_asset(call: Call) -> Answer:
    """A new asset: a file as multipart/form-data, or an address (youtube, web, livestream) as JSON or a form.

    What a file is its content decides; one that is something else than `type` says is refused. With `asset_key`, the
    asset that a direct upload became gets its name, folder and duration, and the answer is 200; 409 while the upload
    is not complete.
    """
    return await new_content(call, _told, _without_file)


def _told(asset: dict[str, Any]) -> Answer:
    return one(asset, 201, location=f"/api/v1/assets/{asset['id']}")


async def _without_file(call: Call, body: object) -> Answer:
    fields = given(body, "name", "type", "source_url", "duration_s", "folder_id")
    key = getattr(body, "asset_key", None)
    if key is not None:
        if extra := fields.keys() & {"type", "source_url"}:
            raise Invalid.field(min(extra), "is not taken here: the upload has it already")
        return one(
            await call.services.direct_uploads.confirm(call.actor, key, fields, face=face(call), base_url=call.base_url)
        )
    if fields.get("type") not in ADDRESS_TYPES and "source_url" not in fields:
        raise Invalid.field("file", "is required, or a source_url with its type")
    for name in ("name", "type", "source_url"):
        if name not in fields:
            raise Invalid.field(name, "is required")
    fields["url"] = fields.pop("source_url")
    asset = await call.services.content.add_address(call.actor, **fields, face=face(call), base_url=call.base_url)
    return _told(asset)


async def change_asset(call: Call) -> Answer:
    """Change what is given and leave the rest. The file itself never changes: upload another one."""
    return one(
        await call.services.content.update(
            call.actor,
            call.path["asset_id"],
            changes_of(call.body),
            version=call.version,
            face=face(call),
            base_url=call.base_url,
        )
    )


async def put_asset(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_asset(call)


async def delete_asset(call: Call) -> Answer:
    """Remove an asset, from all playlists and zones too. Its file goes unless another asset has the same."""
    await call.services.content.delete(call.actor, call.path["asset_id"], face=face(call))
    return done("Asset deleted.")
