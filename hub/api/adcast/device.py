"""What players call that poll. Their uuid is all the credential there is; see the README."""

from starlette.responses import Response

from hub.api.adcast import shapes
from hub.api.http.endpoint import Call
from hub.api.http.files import send
from hub.api.http.responses import Answer


async def register_device(call: Call) -> Answer:
    """Say who you are, at each start: the same uuid is the same device. Until somebody has paired it, it shows the
    `pairing_code`, which lives a day from the last registration.

    A licence that is not known, or is another device's, is no error: `license_activated` is false.
    """
    body = call.body
    return Answer(
        200,
        await call.services.polling.register(
            body.uuid,
            model=body.model,
            os_version=body.os_version,
            app_version=body.app_version,
            license_key=body.license_key,
            address=call.address,
        ),
    )


async def send_heartbeat(call: Call) -> Answer:
    """Say how you are, about once a minute: after 90 seconds of silence a player counts as offline.

    The commands in the answer are handed over by it and come no second time: a lost answer loses them.
    """
    given = call.body.model_dump(exclude={"uuid"}, exclude_unset=True)
    readings = {name: value for name, value in given.items() if value is not None or name == "current_content"}
    beat = await call.services.polling.heartbeat(call.body.uuid, readings, call.address)
    commands = [shapes.pending(command) for command in beat["commands"]]
    return Answer(
        200,
        {
            "status": "ok",
            "has_update": beat["has_update"],
            "is_locked": beat["is_locked"],
            "lock_pin": beat["lock_pin"],
            "has_pending_commands": bool(commands),
            "pending_commands": commands,
            "emergency_alerts": [shapes.emergency(alert) for alert in beat["alerts"]],
            "app_update": shapes.app_update(beat["release"]),
        },
    )


async def get_playlist(call: Call) -> Answer:
    """What the device is to show now, what of it and of the next two weeks it has yet to fetch, and what it may delete.

    A piece of content counts as fetched once its download has begun. `playlist` is null where nothing is to be shown.
    """
    uuid = call.query.uuid
    found = await call.services.polling.playlist(uuid, call.base_url, call.address)
    where = shapes.Downloads(found["base_url"], uuid)
    return Answer(
        200,
        {
            "playlist": found["playlist"] and shapes.player_playlist(found["playlist"], where),
            "content_to_download": [
                shapes.to_download(asset, order, where) for order, asset in enumerate(found["to_download"], 1)
            ],
            "content_to_delete": found["to_delete"],
            "show_watermark": found["watermark"],
        },
    )


async def download_content(call: Call) -> Answer | Response:
    """A file that the device is to show, whole or in part (`Range`), or the way to its address (302). 404: it is none
    of what the device shows."""
    found = await call.services.polling.download(call.query.uuid, call.path["content_id"], call.address)
    return await send(call, found)
