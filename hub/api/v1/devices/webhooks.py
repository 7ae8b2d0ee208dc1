"""Webhook registrations."""

from hub.api.answer import Answer
from hub.api.endpoint import Call
from hub.api.origin import face
from hub.api.v1.shapes import done, many, one


async def list_webhooks(call: Call) -> Answer:
    """All webhooks of the team, without their secrets."""
    return many(await call.services.webhooks.list(call.actor))


async def create_webhook(call: Call) -> Answer:
    """Register a receiver. Its secret, with which every delivery is signed, is shown this once."""
    body = call.body
    return one(await call.services.webhooks.create(call.actor, body.url, body.events, face=face(call)), 201)


async def delete_webhook(call: Call) -> Answer:
    """Remove a receiver with everything still on its way to it."""
    await call.services.webhooks.delete(call.actor, call.path["webhook_id"], face=face(call))
    return done("Webhook deleted.")
