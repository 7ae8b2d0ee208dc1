"""Playlists and their items."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one, pages


async def list_playlists(call: Call) -> Answer:
    """All playlists of the team, without their items; with `page` or `per_page` a part of them."""
    page, per_page = pages(call.query)
    found, total = await call.services.playlists.listing(
        call.actor, search=call.query.search, page=page, per_page=per_page
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_playlist(call: Call) -> Answer:
    """One playlist with its items and their assets."""
    playlist_id = call.path["playlist_id"]
    return one(await call.services.playlists.get(call.actor, playlist_id, base_url=call.base_url))


async def create_playlist(call: Call) -> Answer:
    """A new playlist. Spot's clients create it empty; `items`, `transition` and `is_default` may come along."""
    playlist = await call.services.playlists.create(
        call.actor, **call.body.model_dump(exclude_none=True), face=face(call), base_url=call.base_url
    )
    return one(playlist, 201, location=f"/api/v1/playlists/{playlist['id']}")


async def change_playlist(call: Call) -> Answer:
    """Change what is given and leave the rest."""
    return one(
        await call.services.playlists.update(
            call.actor,
            call.path["playlist_id"],
            changes_of(call.body),
            version=call.version,
            face=face(call),
            base_url=call.base_url,
        )
    )


async def put_playlist(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_playlist(call)


async def replace_items(call: Call) -> Answer:
    """These items in this order and no others; none clears the playlist."""
    return await change_playlist(call)


async def delete_playlist(call: Call) -> Answer:
    """Remove a playlist and the schedules that play it. Zones that play it stay, and are empty."""
    await call.services.playlists.delete(call.actor, call.path["playlist_id"], face=face(call))
    return done("Playlist deleted.")
