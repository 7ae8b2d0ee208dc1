"""Playlists. AdCast's document has no way to put content into them: `items` may come along, or be set by Spot's
`PATCH /api/v1/playlists/{id}/items`."""

from typing import Any

from hub.api.adcast import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import done


async def list_playlists(call: Call) -> Answer:
    """The playlists of the team without their items, 20 a page unless `per_page` says otherwise."""
    page, per_page = call.query.page, call.query.per_page
    found, total = await call.services.playlists.listing(call.actor, page=page, per_page=per_page)
    return shapes.listed([shapes.playlist(playlist) for playlist in found], total, page, per_page)


async def create_playlist(call: Call) -> Answer:
    """A new playlist. As the default it takes the place of the former one."""
    with shapes.told_as(asset_id="content_id"):
        playlist = await call.services.playlists.create(
            call.actor, **_fields(call.body), face=face(call), base_url=call.base_url
        )
    return _told(playlist, 201)


async def get_playlist(call: Call) -> Answer:
    """One playlist with its items and their content."""
    playlist_id = call.path["playlist_id"]
    return _told(await call.services.playlists.get(call.actor, playlist_id, base_url=call.base_url))


async def change_playlist(call: Call) -> Answer:
    """Change what is given and leave the rest; `items` are all items from then on, in this order."""
    with shapes.told_as(asset_id="content_id"):
        playlist = await call.services.playlists.update(
            call.actor, call.path["playlist_id"], _fields(call.body), face=face(call), base_url=call.base_url
        )
    return _told(playlist)


async def delete_playlist(call: Call) -> Answer:
    """Remove a playlist and the schedules that play it."""
    await call.services.playlists.delete(call.actor, call.path["playlist_id"], face=face(call))
    return done("Playlist deleted successfully.")


def _fields(body: Any) -> dict[str, Any]:
    fields: dict[str, Any] = body.model_dump(exclude_none=True, exclude={"items"})
    if body.items is not None:
        fields["items"] = [{"asset_id": item.content_id, "duration": item.duration} for item in body.items]
    return fields


def _told(playlist: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, {"playlist": shapes.playlist_detail(playlist)})
