"""One command to a whole group."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import idempotency, origin
from hub.api.http.responses import Answer


async def send_group_command(call: Call) -> Answer:
    """Queue one of Spot's three commands for every player of the group that can do it."""
    answer = await call.services.batches.send(
        origin(call), call.path["group_id"], call.body.command, idempotency=idempotency(call)
    )
    return Answer(202, answer, {"location": f"/api/v1/batches/{answer['batch_id']}"})


async def send_batch(call: Call) -> Answer:
    """Queue a command for every player of a group that can do it: at once or paced, stopped after too many failures.

    The members are those of this moment. With `dry_run` nothing is sent, and 200 says who would get it.
    """
    body = call.body
    answer = await call.services.batches.send(
        origin(call),
        body.group_id,
        body.command,
        body.payload,
        ttl_s=body.ttl_s,
        rate_per_minute=body.rate_per_minute,
        max_failures=body.max_failures,
        dry_run=body.dry_run,
        idempotency=idempotency(call),
    )
    if body.dry_run:
        return Answer(200, answer)
    return Answer(202, answer, {"location": f"/api/v1/batches/{answer['batch_id']}"})


async def list_batches(call: Call) -> Answer:
    """Batches, newest first."""
    query = call.query
    found = await call.services.batches.listing(call.actor, before=query.before, limit=query.limit)
    following = found[-1]["id"] if len(found) == query.limit else None
    return Answer(200, {"data": found, "meta": {"next": following}})


async def get_batch(call: Call) -> Answer:
    """How far a batch is: its commands counted by state."""
    return Answer(200, {"data": await call.services.batches.get(call.actor, call.path["batch_id"])})


async def abort_batch(call: Call) -> Answer:
    """Call back what has not gone out yet. What has gone out runs to its own end."""
    return Answer(200, {"data": await call.services.batches.abort(origin(call), call.path["batch_id"])})
