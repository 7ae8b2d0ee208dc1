"""Commands to one player."""

from typing import Any

from hub.api.http.endpoint import Call
from hub.api.http.origin import idempotency, origin
from hub.api.http.responses import Answer
from hub.domain.commands import FINAL
from hub.domain.errors import Conflict


async def send_player_command(call: Call) -> Answer:
    """Queue one of Spot's three commands. 202: it is stored, and goes out at once if the player is there."""
    accepted = await call.services.commands.send(
        origin(call), call.path["player_id"], call.body.command, idempotency=idempotency(call)
    )
    return await _accepted(call, accepted)


async def send_command(call: Call) -> Answer:
    """Queue any command of the catalogue. 202: it is stored, and goes out at once if the player is there.

    With `Prefer: wait=N`, 200 and the whole command when it is over in time.
    """
    body = call.body
    accepted = await call.services.commands.send(
        origin(call), body.player_id, body.command, body.payload, ttl_s=body.ttl_s, idempotency=idempotency(call)
    )
    return await _accepted(call, accepted)


async def _accepted(call: Call, accepted: dict[str, Any]) -> Answer:
    command_id = accepted["command_id"]
    headers = {"location": f"/api/v1/commands/{command_id}"}
    if call.prefer_wait:
        story = await call.services.commands.wait(call.actor, command_id, call.prefer_wait)
        accepted = {"command_id": command_id, "status": story["status"]}
        if story["status"] in FINAL:
            return Answer(200, accepted | {"command": story}, headers)
    return Answer(202, accepted, headers)


async def get_command(call: Call) -> Answer:
    """The whole story of one command, with its times and its evidence. `Prefer: wait=N` waits for its end."""
    commands, command_id = call.services.commands, call.path["command_id"]
    if call.prefer_wait:
        return Answer(200, {"data": await commands.wait(call.actor, command_id, call.prefer_wait)})
    return Answer(200, {"data": await commands.get(call.actor, command_id)})


async def list_commands(call: Call) -> Answer:
    """Commands, newest first."""
    query = call.query
    found = await call.services.commands.listing(
        call.actor,
        player_id=query.player_id,
        batch_id=query.batch_id,
        states=query.status,
        before=query.before,
        limit=query.limit,
    )
    following = found[-1]["id"] if len(found) == query.limit else None
    return Answer(200, {"data": found, "meta": {"next": following}})


async def cancel_command(call: Call) -> Answer:
    """Call a command back. 200: it will not run. 202: the player has it and is asked; the command's own result tells.
    409: it was over before."""
    command_id = call.path["command_id"]
    state = await call.services.commands.cancel(origin(call), command_id)
    if state == "cancelled":
        return Answer(200, {"command_id": command_id, "status": state, "message": "Command cancelled."})
    if state in FINAL:
        raise Conflict(f"This command is over: {state}.", code="command_over")
    message = "The player has this command and is asked to drop it."
    return Answer(202, {"command_id": command_id, "status": state, "message": message})
