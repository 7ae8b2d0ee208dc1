"""Locations of players."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one, pages


async def list_locations(call: Call) -> Answer:
    """All locations of the team; with `page` or `per_page` a part of them."""
    page, per_page = pages(call.query)
    found, total = await call.services.locations.listing(
        call.actor, search=call.query.search, page=page, per_page=per_page
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_location(call: Call) -> Answer:
    """One location with the ids of its players."""
    return one(await call.services.locations.get(call.actor, call.path["location_id"]))


async def create_location(call: Call) -> Answer:
    """A new location. To put a player there, change the player: `{"location_id": 1}`."""
    location = await call.services.locations.create(
        call.actor, **call.body.model_dump(exclude_none=True), face=face(call)
    )
    return one(location, 201, location=f"/api/v1/locations/{location['id']}")


async def change_location(call: Call) -> Answer:
    """Change what is given and leave the rest."""
    return one(
        await call.services.locations.update(
            call.actor, call.path["location_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def put_location(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_location(call)


async def delete_location(call: Call) -> Answer:
    """Remove a location with its holidays. Its players stay, and stand nowhere."""
    await call.services.locations.delete(call.actor, call.path["location_id"], face=face(call))
    return done("Location deleted.")
