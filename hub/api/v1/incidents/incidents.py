"""Incidents."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import many, one


async def list_incidents(call: Call) -> Answer:
    """What the alert rules have found, the newest first, a page at a time."""
    query = call.query
    found, total = await call.services.incidents.listing(call.actor, **query.model_dump())
    return many(found, total=total, page=query.page, per_page=query.per_page)


async def get_incident(call: Call) -> Answer:
    """One incident, with the fate of the mail about it."""
    return one(await call.services.incidents.get(call.actor, call.path["incident_id"]))


async def acknowledge_incident(call: Call) -> Answer:
    """You take care of it. Who did so first stays named."""
    return one(
        await call.services.incidents.acknowledge(call.actor, call.path["incident_id"], call.body.note, face=face(call))
    )


async def resolve_incident(call: Call) -> Answer:
    """It is done with, and while the same condition goes on, the rule opens no other. Again, it changes nothing."""
    return one(
        await call.services.incidents.resolve(call.actor, call.path["incident_id"], call.body.note, face=face(call))
    )
