"""Webhooks and their deliveries."""

from typing import Any

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one
from hub.domain.times import parse


async def list_webhooks(call: Call) -> Answer:
    """All webhooks of the team, without their secrets."""
    return many(await call.services.webhooks.list(call.actor))


async def create_webhook(call: Call) -> Answer:
    """Register a receiver. Its secret, with which every delivery is signed, is shown this once."""
    body = call.body
    return one(await call.services.webhooks.create(call.actor, body.url, body.events, face=face(call)), 201)


async def get_webhook(call: Call) -> Answer:
    """One webhook, without its secret."""
    return one(await call.services.webhooks.get(call.actor, call.path["webhook_id"]))


async def change_webhook(call: Call) -> Answer:
    """Another address, other events, pause or go on. What waits for it goes to the new address too."""
    return one(
        await call.services.webhooks.update(
            call.actor, call.path["webhook_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def rotate_secret(call: Call) -> Answer:
    """A new secret, shown this once. Until the old one ends, deliveries are signed with both."""
    return one(
        await call.services.webhooks.rotate(
            call.actor, call.path["webhook_id"], overlap_s=call.body.overlap_s, face=face(call)
        )
    )


async def retire_secret(call: Call) -> Answer:
    """End the old secret now: the receiver knows the new one."""
    return one(await call.services.webhooks.retire_secret(call.actor, call.path["webhook_id"], face=face(call)))


async def ping_webhook(call: Call) -> Answer:
    """Send the event `webhook.ping` to this receiver. `Prefer: wait=N` waits for the first attempt and tells of it."""
    delivery = await call.services.webhooks.ping(
        call.actor, call.path["webhook_id"], wait_s=call.prefer_wait, face=face(call)
    )
    return _sent(call, delivery)


async def list_deliveries(call: Call) -> Answer:
    """What was sent to a receiver and how it answered, of the newest event first."""
    query = call.query
    page = await call.services.webhooks.deliveries(
        call.actor, call.path["webhook_id"], state=query.state, before=query.before, limit=query.limit
    )
    return Answer(200, page)


async def get_delivery(call: Call) -> Answer:
    """One delivery with what was sent."""
    return one(await call.services.webhooks.delivery(call.actor, call.path["webhook_id"], call.path["delivery_id"]))


async def redeliver(call: Call) -> Answer:
    """Make a delivery again, whatever came of it, under its old `webhook-id`. `Prefer: wait=N` as with a ping."""
    delivery = await call.services.webhooks.redeliver(
        call.actor, call.path["webhook_id"], call.path["delivery_id"], wait_s=call.prefer_wait, face=face(call)
    )
    return _sent(call, delivery)


async def replay(call: Call) -> Answer:
    """Send all events since a time that did not arrive, also those of a time when the webhook was disabled. They are
    made by and by; `replaying` of the webhook says whether some are still to be made."""
    body = call.body
    webhook = await call.services.webhooks.replay(
        call.actor, call.path["webhook_id"], since=parse(body.since), everything=body.all, face=face(call)
    )
    return one(webhook, 202)


def _sent(call: Call, delivery: dict[str, Any]) -> Answer:
    path = f"/api/v1/webhooks/{call.path['webhook_id']}/deliveries/{delivery['id']}"
    return one(delivery, 200 if delivery["attempts"] else 202, location=path)


async def delete_webhook(call: Call) -> Answer:
    """Remove a receiver with everything still on its way to it."""
    await call.services.webhooks.delete(call.actor, call.path["webhook_id"], face=face(call))
    return done("Webhook deleted.")
