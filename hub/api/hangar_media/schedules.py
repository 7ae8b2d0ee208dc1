"""Schedules: a playlist at certain times, assigned to screens by a call of its own."""

from hub.api.hangar_media import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import many, pages


async def list_schedules(call: Call) -> Answer:
    """All schedules; with `page` or `per_page` a part of them."""
    page, per_page = pages(call.query)
    found, total = await call.services.schedules.listing(call.actor, page=page, per_page=per_page)
    return many([shapes.schedule(each) for each in found], total=total, page=page, per_page=per_page)


async def create_schedule(call: Call) -> Answer:
    """A new schedule. It plays nowhere until it is assigned. Times are in the time zone of each screen."""
    fields = call.body.model_dump(exclude_none=True)
    made = await call.services.schedules.create(call.actor, fields, face=face(call))
    return Answer(201, {"data": shapes.schedule(made)})


async def assign_schedule(call: Call) -> Answer:
    """From now on the schedule is for these screens and nothing else; none takes it from all."""
    schedules = call.services.schedules
    number = await shapes.number(call.actor, call.path["schedule_id"], schedules.by_schedule_id)
    made = await schedules.assign_players(call.actor, number, call.body.screen_ids, face=face(call))
    return Answer(200, {"data": shapes.schedule(made)})
