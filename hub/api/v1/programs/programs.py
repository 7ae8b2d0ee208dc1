"""What players show and why, for operators."""

from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.api.v1.shapes import one
from hub.domain.times import parse


async def get_program(call: Call) -> Answer:
    """What the player shows now or at a moment, why, and why the other things that are for it do not play."""
    at = call.query.at
    found = await call.services.programs.explain(call.actor, call.path["player_id"], parse(at) if at else None)
    return one(found)


async def get_timeline(call: Call) -> Answer:
    """What the player shows in its coming days. Windows whose schedule asks about the weather have a fallback."""
    return one(await call.services.programs.timeline(call.actor, call.path["player_id"], call.query.days))
