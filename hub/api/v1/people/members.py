"""The people of the team."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one


async def list_members(call: Call) -> Answer:
    """Everybody in the team, with their roles."""
    return many(await call.services.members.listing(call.actor))


async def get_member(call: Call) -> Answer:
    """One person of the team."""
    return one(await call.services.members.get(call.actor, call.path["user_id"]))


async def create_member(call: Call) -> Answer:
    """Add a person. Without a `password` the hub makes one for the first login and answers it, this once.

    Nobody gives a role above their own, and only owners make owners.
    """
    body = call.body
    member = await call.services.members.create(
        call.actor, name=body.name, email=body.email, role=body.role, password=body.password, face=face(call)
    )
    return one(member, 201, location=f"/api/v1/members/{member['id']}")


async def change_member(call: Call) -> Answer:
    """Change what is given and leave the rest. Keys and logins of the person hold what their role gives, from now on.

    The last owner can be neither locked nor given another role (409).
    """
    return one(
        await call.services.members.update(
            call.actor, call.path["user_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def delete_member(call: Call) -> Answer:
    """Remove a person. Every key and login of theirs is dead. The last owner stays (409)."""
    await call.services.members.delete(call.actor, call.path["user_id"], face=face(call))
    return done("Member removed.")
