"""Schedules: a playlist or a layout at certain times."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one, pages
from hub.domain.playback import Target


async def list_schedules(call: Call) -> Answer:
    """All schedules of the team; with `page` or `per_page` a part of them."""
    query = call.query
    page, per_page = pages(query)
    found, total = await call.services.schedules.listing(
        call.actor,
        search=query.search,
        is_active=query.is_active,
        target=None if query.player_id is None else Target("player", query.player_id),
        page=page,
        per_page=per_page,
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_schedule(call: Call) -> Answer:
    """One schedule."""
    return one(await call.services.schedules.get(call.actor, call.path["schedule_id"]))


async def create_schedule(call: Call) -> Answer:
    """A new schedule of a playlist or a layout. Times are in the time zone of each player: a window that ends before it
    begins goes on after midnight and belongs to the day on which it began; equal times are 24 hours."""
    fields = call.body.model_dump(exclude_none=True, exclude={"targets"})
    targets = [target.read() for target in call.body.targets]
    schedule = await call.services.schedules.create(call.actor, fields, targets, face=face(call))
    return one(schedule, 201, location=f"/api/v1/schedules/{schedule['id']}")


async def change_schedule(call: Call) -> Answer:
    """Change what is given and leave the rest; lists are replaced as a whole."""
    fields = changes_of(call.body)
    fields.pop("targets", None)
    targets = None if call.body.targets is None else [target.read() for target in call.body.targets]
    return one(
        await call.services.schedules.update(
            call.actor, call.path["schedule_id"], fields, targets, version=call.version, face=face(call)
        )
    )


async def put_schedule(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_schedule(call)


async def delete_schedule(call: Call) -> Answer:
    """Remove a schedule; what it played stays."""
    await call.services.schedules.delete(call.actor, call.path["schedule_id"], face=face(call))
    return done("Schedule deleted.")


async def assign_schedule(call: Call) -> Answer:
    """From now on the schedule is for these and no others; an empty list takes it from all."""
    schedules, schedule_id, body = call.services.schedules, call.path["schedule_id"], call.body
    if body.targets is None:
        return one(await schedules.assign_players(call.actor, schedule_id, body.screen_ids, face=face(call)))
    targets = [target.read() for target in body.targets]
    return one(await schedules.assign(call.actor, schedule_id, targets, face=face(call)))
