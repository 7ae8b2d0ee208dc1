"""API keys of the team."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import done, many, one


async def list_keys(call: Call) -> Answer:
    """All keys that are not revoked, with their latest use; never the keys themselves."""
    return many(await call.services.access.keys(call.actor))


async def get_key(call: Call) -> Answer:
    """One key, with its latest use from each of the ten addresses and programs that used it last."""
    return one(await call.services.access.key(call.actor, call.path["key_id"]))


async def create_key(call: Call) -> Answer:
    """A new key, shown this once. It acts as the person who makes it; nobody grants what they lack.

    A key that is made with another key, or by a program, ends with that at the latest.
    """
    body = call.body
    key = await call.services.access.create_key(
        call.actor, name=body.name, scopes=body.scopes, expires_at=body.expires_ms, face=face(call)
    )
    return one(key, 201)


async def change_key(call: Call) -> Answer:
    """Another name or other scopes, from now on. Nobody grants what they lack."""
    body = call.body
    return one(
        await call.services.access.change_key(
            call.actor, call.path["key_id"], name=body.name, scopes=body.scopes, face=face(call)
        )
    )


async def rotate_key(call: Call) -> Answer:
    """A new secret for a key, shown this once. The old one is dead."""
    return one(await call.services.access.rotate_key(call.actor, call.path["key_id"], face=face(call)))


async def revoke_key(call: Call) -> Answer:
    """The key is dead at once, and so are all keys that were made with it; `message` says how many."""
    made = await call.services.access.revoke_key(call.actor, call.path["key_id"], face=face(call))
    besides = f", and {made} made with it" if made else ""
    return done(f"Key revoked{besides}.")
