"""Layouts: a picture divided into zones, and who has it."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one, pages


async def list_layouts(call: Call) -> Answer:
    """All layouts of the team, without their zones; with `page` or `per_page` a part of them."""
    page, per_page = pages(call.query)
    found, total = await call.services.layouts.listing(
        call.actor, search=call.query.search, page=page, per_page=per_page
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_layout(call: Call) -> Answer:
    """One layout with its zones, from the back to the front, and who has it."""
    return one(await call.services.layouts.get(call.actor, call.path["layout_id"]))


async def create_layout(call: Call) -> Answer:
    """A new layout."""
    layout = await call.services.layouts.create(call.actor, **call.body.model_dump(exclude_none=True), face=face(call))
    return one(layout, 201, location=f"/api/v1/layouts/{layout['id']}")


async def change_layout(call: Call) -> Answer:
    """Change what is given and leave the rest; `zones` replace all zones."""
    return one(
        await call.services.layouts.update(
            call.actor, call.path["layout_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def put_layout(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_layout(call)


async def delete_layout(call: Call) -> Answer:
    """Remove a layout and the schedules that show it. Players and groups that had it have none."""
    await call.services.layouts.delete(call.actor, call.path["layout_id"], face=face(call))
    return done("Layout deleted.")


async def assign_layout(call: Call) -> Answer:
    """Give the layout to players and to groups. A player's own layout comes before that of its group. To take it away,
    change the player or the group: `{"layout_id": null}`."""
    assigned = await call.services.layouts.assign(
        call.actor,
        call.path["layout_id"],
        player_ids=call.body.player_ids or [],
        group_ids=call.body.group_ids or [],
        face=face(call),
    )
    return Answer(200, {"message": "Layout assigned.", "assigned": assigned})
