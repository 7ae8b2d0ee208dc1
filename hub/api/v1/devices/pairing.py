"""Approving devices that show a code. Codes that lead nowhere are paced, for each address and each team."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import done


async def inspect_device(call: Call) -> Answer:
    """Which device shows this code. Look before you approve."""
    return Answer(200, {"data": await call.services.pairing.inspect(call.actor, call.path["code"])})


async def approve_device(call: Call) -> Answer:
    """Let the device in, as a new player or as the new device of an existing one, which keeps identity and history.

    The device fetches its token within seconds; an existing player's old token is dead then.
    """
    body = call.body
    approved = await call.services.pairing.approve(
        call.actor, body.code, name=body.name, player_id=body.player_id, face=face(call)
    )
    return Answer(200, {"data": approved}, {"location": f"/api/v1/players/{approved['player_id']}"})


async def invite_device(call: Call) -> Answer:
    """A code with which one device becomes this player, good once and for a day: `device-agent pair --code`. Devices
    send it as `pairing_code` to `/oauth/device_authorization`. An earlier code of the player is void then."""
    invitation = await call.services.pairing.invite(call.actor, call.path["player_id"])
    return Answer(201, {"data": invitation})


async def refuse_device(call: Call) -> Answer:
    """Turn the device away."""
    await call.services.pairing.deny(call.actor, call.path["code"])
    return done("Device refused.")
