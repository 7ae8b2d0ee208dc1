"""Versions of the player software."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one


async def list_releases(call: Call) -> Answer:
    """All releases, the newest version first. Devices are offered the newest that is active."""
    return many(await call.services.releases.listing(call.actor))


async def get_release(call: Call) -> Answer:
    """One release."""
    return one(await call.services.releases.get(call.actor, call.path["release_id"]))


async def create_release(call: Call) -> Answer:
    """A new release; the file itself lies elsewhere, and devices check it against `sha256`."""
    release = await call.services.releases.create(call.actor, changes_of(call.body), face=face(call))
    return one(release, 201, location=f"/api/v1/releases/{release['id']}")


async def change_release(call: Call) -> Answer:
    """Change what is given and leave the rest."""
    return one(
        await call.services.releases.update(
            call.actor, call.path["release_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def delete_release(call: Call) -> Answer:
    """Forget a release; devices that run it go on."""
    await call.services.releases.delete(call.actor, call.path["release_id"], face=face(call))
    return done("Release deleted.")
