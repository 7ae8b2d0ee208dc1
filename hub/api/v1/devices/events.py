"""The event log."""

from hub.api.answer import Answer
from hub.api.endpoint import Call


async def list_events(call: Call) -> Answer:
    """Events past a cursor, oldest first, of the kinds that the caller's scopes let it see.

    `meta.next` is the cursor to go on from, also when nothing came. `Prefer: wait=N` waits for the first event.
    """
    query = call.query
    page = await call.services.events.page(call.actor, after=query.after, limit=query.limit, wait_s=call.prefer_wait)
    return Answer(200, page)
