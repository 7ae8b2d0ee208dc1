"""Schedules: a playlist at certain times on a device, a group or at a location."""

from typing import Any

from hub.api.adcast import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import done
from hub.domain.errors import Invalid
from hub.domain.playback import Target

CLEARED = frozenset({"start_time", "end_time", "start_date", "end_date"})
"""Fields that null empties; everywhere else it means the same as absent."""


async def list_schedules(call: Call) -> Answer:
    """The schedules of the team, 20 a page unless `per_page` says otherwise."""
    page, per_page = call.query.page, call.query.per_page
    found, total = await call.services.schedules.listing(call.actor, page=page, per_page=per_page)
    return shapes.listed([shapes.schedule(schedule) for schedule in found], total, page, per_page)


async def create_schedule(call: Call) -> Answer:
    """A new schedule. Times are in the time zone of each device; one that ends before it begins goes on after midnight.
    Of several that hold at once the one of the highest priority plays."""
    with shapes.told_as(targets="schedulable_id"):
        schedule = await call.services.schedules.create(
            call.actor, _fields(call.body), [_target(call.body)], face=face(call)
        )
    return Answer(201, {"schedule": shapes.schedule(schedule)})


async def change_schedule(call: Call) -> Answer:
    """Change what is given and leave the rest. A target given takes the place of all that the schedule has."""
    body = call.body
    given = body.schedulable_type is not None, body.schedulable_id is not None
    if any(given) and not all(given):
        name = "schedulable_id" if given[0] else "schedulable_type"
        raise Invalid.field(name, "is required: schedulable_type and schedulable_id go together")
    targets = [_target(body)] if all(given) else None
    with shapes.told_as(targets="schedulable_id"):
        schedule = await call.services.schedules.update(
            call.actor, call.path["schedule_id"], _fields(body), targets, face=face(call)
        )
    return Answer(200, {"schedule": shapes.schedule(schedule)})


async def delete_schedule(call: Call) -> Answer:
    """Remove a schedule; what it played stays."""
    await call.services.schedules.delete(call.actor, call.path["schedule_id"], face=face(call))
    return done("Schedule deleted successfully.")


def _fields(body: Any) -> dict[str, Any]:
    given: dict[str, Any] = body.model_dump(exclude_unset=True, exclude={"schedulable_type", "schedulable_id"})
    return {name: value for name, value in given.items() if value is not None or name in CLEARED}


def _target(body: Any) -> Target:
    return Target.read(body.schedulable_type, body.schedulable_id)
