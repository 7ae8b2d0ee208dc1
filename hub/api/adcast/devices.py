"""Devices, for those who look after them."""

from typing import Any

from hub.api.adcast import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face, origin
from hub.api.http.responses import Answer
from hub.api.v1.shapes import done
from hub.domain.errors import Invalid, NotFound


async def list_devices(call: Call) -> Answer:
    """The devices of the team, 20 a page unless `per_page` says otherwise."""
    page, per_page = call.query.page, call.query.per_page
    found, total = await call.services.players.listing(call.actor, page=page, per_page=per_page)
    return shapes.listed([shapes.device(player) for player in found], total, page, per_page)


async def pair_device(call: Call) -> Answer:
    """Take in the device that shows this code, whether it polls or connects. One that polls is
    online when it was just heard; one that connects fetches its token itself, and is online then."""
    body = call.body
    try:
        paired = await call.services.pairing.approve(call.actor, body.pairing_code, name=body.name, face=face(call))
    except NotFound as error:
        raise Invalid.field("pairing_code", "is of no device that waits", code=error.code) from None
    device = {"id": paired["player_id"], "name": paired["name"], "uuid": paired["uuid"] or paired["screen_id"]}
    return Answer(200, {"device": device | {"status": "online" if paired["online"] else "offline"}})


async def get_device(call: Call) -> Answer:
    """One device, with what it last said of itself."""
    player = await call.services.players.get(call.actor, call.path["device_id"])
    return Answer(200, {"device": shapes.device_detail(player)})


async def change_device(call: Call) -> Answer:
    """Change what is given and leave the rest. The group given takes the place of all that the device was in."""
    body = call.body
    changes: dict[str, Any] = {}
    if body.name is not None:
        changes["name"] = body.name
    if "device_group_id" in body.model_fields_set:
        changes["group_ids"] = [] if body.device_group_id is None else [body.device_group_id]
    if not changes:
        raise Invalid.field("body", "must have at least one of name, device_group_id")
    with shapes.told_as(group_ids="device_group_id"):
        player = await call.services.players.update(
            call.actor, call.path["device_id"], changes, version=None, face=face(call)
        )
    return Answer(200, {"device": shapes.device_detail(player)})


async def delete_device(call: Call) -> Answer:
    """Remove a device. One that polls has to register again; one that connects has lost its token."""
    await call.services.players.delete(call.actor, call.path["device_id"], face=face(call))
    return done("Device deleted successfully.")


async def send_device_command(call: Call) -> Answer:
    """Queue a command: one that connects gets it at once, one that polls with its next heartbeat.

    `refresh` and `screenshot` are known beside the names of the catalogue. What becomes of it is told at
    `GET /api/v1/commands/{command_id}`.
    """
    body = call.body
    with shapes.told_as(command="type"):
        sent = await call.services.commands.send(origin(call), call.path["device_id"], body.type, body.payload)
    command = {
        **shapes.command_ids(sent["command_id"]),
        "type": body.type,
        "payload": body.payload or {},
        "status": "pending",
    }
    return Answer(200, {"message": "Command sent.", "command": command})


async def lock_device(call: Call) -> Answer:
    """Lock a device with a PIN. One that polls hears of it with each heartbeat until it is unlocked."""
    await call.services.polling.lock(origin(call), call.path["device_id"], call.body.pin)
    return done("Device locked.")


async def unlock_device(call: Call) -> Answer:
    """Unlock a device."""
    await call.services.polling.lock(origin(call), call.path["device_id"], None)
    return done("Device unlocked.")
