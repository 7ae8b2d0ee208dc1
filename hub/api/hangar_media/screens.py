"""Screens: what the rest of the hub calls players."""

from hub.api.hangar_media import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import done, many, pages
from hub.domain.errors import Invalid

SCOPE = "write:players"  # this document knows no `admin`: whoever changes screens makes and deletes them too


async def list_screens(call: Call) -> Answer:
    """All screens; with `page` or `per_page` a part of them."""
    page, per_page = pages(call.query)
    found, total = await call.services.players.listing(call.actor, page=page, per_page=per_page)
    return many([shapes.screen(player) for player in found], total=total, page=page, per_page=per_page)


async def create_screen(call: Call) -> Answer:
    """A screen that waits for its device. The device is started with `device-agent pair --code` and the `pairing_code`
    within a day; one that polls shows a code of its own instead."""
    services = call.services
    player = await services.players.create(call.actor, name=call.body.name, face=face(call), scope=SCOPE)
    invitation = await services.pairing.invite(call.actor, player["id"], scope=SCOPE)
    code = {"pairing_code": invitation["code"], "pairing_code_expires_at": invitation["expires_at"]}
    return Answer(201, {"data": shapes.screen(player) | code}, {"location": f"/v1/screens/{player['screen_id']}"})


async def get_screen(call: Call) -> Answer:
    """One screen."""
    return Answer(200, {"data": shapes.screen(await call.services.players.get(call.actor, await _number(call)))})


async def change_screen(call: Call) -> Answer:
    """Change what is given and leave the rest."""
    changes = call.body.model_dump(exclude_none=True)
    if not changes:
        raise Invalid.field("name", "is required")
    player = await call.services.players.update(call.actor, await _number(call), changes, version=None, face=face(call))
    return Answer(200, {"data": shapes.screen(player)})


async def delete_screen(call: Call) -> Answer:
    """Remove a screen. Its token is dead and its connection closed."""
    await call.services.players.delete(call.actor, await _number(call), face=face(call), scope=SCOPE)
    return done("Screen deleted.")


async def _number(call: Call) -> int:
    return await shapes.number(call.actor, call.path["screen_id"], call.services.players.by_screen_id)
