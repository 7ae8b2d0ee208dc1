"""Holidays: days that count as days off in the conditions of schedules."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one, pages


async def list_holidays(call: Call) -> Answer:
    """All holidays of the team by date; with `page` or `per_page` a part of them."""
    query = call.query
    page, per_page = pages(query)
    found, total = await call.services.locations.holidays(
        call.actor, first=query.first, last=query.last, location_id=query.location_id, page=page, per_page=per_page
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_holiday(call: Call) -> Answer:
    """One holiday."""
    return one(await call.services.locations.holiday(call.actor, call.path["holiday_id"]))


async def create_holiday(call: Call) -> Answer:
    """A new holiday, everywhere or at one location."""
    body = call.body
    holiday = await call.services.locations.create_holiday(
        call.actor, day=body.date, name=body.name, location_id=body.location_id, face=face(call)
    )
    return one(holiday, 201, location=f"/api/v1/holidays/{holiday['id']}")


async def change_holiday(call: Call) -> Answer:
    """Change what is given and leave the rest."""
    return one(
        await call.services.locations.update_holiday(
            call.actor, call.path["holiday_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def put_holiday(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_holiday(call)


async def delete_holiday(call: Call) -> Answer:
    """Remove a holiday: the day is an ordinary one again."""
    await call.services.locations.delete_holiday(call.actor, call.path["holiday_id"], face=face(call))
    return done("Holiday deleted.")
