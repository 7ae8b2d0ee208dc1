"""Folders of assets."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one


async def list_folders(call: Call) -> Answer:
    """All folders of the team, flat; `parent_id` makes the tree."""
    return many(await call.services.folders.listing(call.actor))


async def get_folder(call: Call) -> Answer:
    """One folder."""
    return one(await call.services.folders.get(call.actor, call.path["folder_id"]))


async def create_folder(call: Call) -> Answer:
    """A new folder; at most ten are inside one another."""
    body = call.body
    folder = await call.services.folders.create(call.actor, name=body.name, parent_id=body.parent_id, face=face(call))
    return one(folder, 201, location=f"/api/v1/folders/{folder['id']}")


async def change_folder(call: Call) -> Answer:
    """Rename a folder, or put it elsewhere with all that is in it."""
    return one(
        await call.services.folders.update(
            call.actor, call.path["folder_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def put_folder(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_folder(call)


async def delete_folder(call: Call) -> Answer:
    """Remove an empty folder. One that is not empty stays (409), unless `recursive=true` is to delete all that is in
    it, at most 1,000 assets and 1,000 folders in one call."""
    await call.services.folders.delete(
        call.actor, call.path["folder_id"], recursive=call.query.recursive, face=face(call)
    )
    return done("Folder deleted.")
