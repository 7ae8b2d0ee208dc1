"""Groups of players."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one


async def list_groups(call: Call) -> Answer:
    """All groups of the team, with the number of their players."""
    return many(await call.services.players.groups(call.actor))


async def get_group(call: Call) -> Answer:
    """One group with the ids of its players."""
    return one(await call.services.players.group(call.actor, call.path["group_id"]))


async def create_group(call: Call) -> Answer:
    """A new group."""
    body = call.body
    group = await call.services.players.create_group(
        call.actor, name=body.name, player_ids=body.player_ids, face=face(call)
    )
    return one(group, 201, location=f"/api/v1/player-groups/{group['id']}")


async def change_group(call: Call) -> Answer:
    """Rename a group, replace its members, or give all of them a layout."""
    return one(
        await call.services.players.update_group(
            call.actor, call.path["group_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def put_group(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_group(call)


async def delete_group(call: Call) -> Answer:
    """Remove a group; its players stay."""
    await call.services.players.delete_group(call.actor, call.path["group_id"], face=face(call))
    return done("Group deleted.")
