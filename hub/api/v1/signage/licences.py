"""Licences of devices."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one


async def list_licences(call: Call) -> Answer:
    """All licences, with the players that hold them."""
    return many(await call.services.licences.listing(call.actor))


async def get_licence(call: Call) -> Answer:
    """One licence."""
    return one(await call.services.licences.get(call.actor, call.path["licence_id"]))


async def create_licence(call: Call) -> Answer:
    """A licence for one device: the first of the team's that sends its key."""
    body = call.body
    licence = await call.services.licences.create(call.actor, key=body.key, note=body.note, face=face(call))
    return one(licence, 201, location=f"/api/v1/licences/{licence['id']}")


async def change_licence(call: Call) -> Answer:
    """Change the note, or give the licence to another player: the one that held it is licensed no more."""
    return one(
        await call.services.licences.update(
            call.actor, call.path["licence_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def delete_licence(call: Call) -> Answer:
    """Take a licence back: its key licenses nobody any more."""
    await call.services.licences.delete(call.actor, call.path["licence_id"], face=face(call))
    return done("Licence deleted.")
