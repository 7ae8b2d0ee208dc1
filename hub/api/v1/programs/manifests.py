"""What a player fetches for itself."""

from starlette.responses import Response

from hub.api.http.endpoint import Call
from hub.api.http.files import send
from hub.api.http.responses import Answer


async def get_manifest(call: Call) -> Answer:
    """The player's own manifest: its timeline for 14 days, and all that is needed to follow it offline. Ask with
    If-None-Match; 304 means that nothing changed."""
    player = call.actor
    manifest = await call.services.programs.manifest(player.team_id, player.id, call.base_url)
    tag = f'"{manifest["revision"]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    known = (each.strip().removeprefix("W/") for each in call.request.headers.get("if-none-match", "").split(","))
    if tag in known:
        return Answer(304, None, headers)
    return Answer(200, manifest, headers)


async def get_asked_content(call: Call) -> Answer:
    """What a `play` command that names an asset or a playlist is to show, as the manifest would have it. 404: there is
    no such command of this player, it was called off, or nothing is left of what it names."""
    player = call.actor
    found = await call.services.programs.asked(player.team_id, player.id, call.path["command_id"], call.base_url)
    return Answer(200, found, {"cache-control": "private, no-store"})


async def get_player_asset(call: Call) -> Answer | Response:
    """The file of an asset that the player's manifest or one of its latest `play` commands names, whole or in part
    (`Range`)."""
    player, asset_id = call.actor, call.path["asset_id"]
    await call.services.programs.check_asset(player.team_id, player.id, asset_id)
    return await send(call, await call.services.downloads.file(player.team_id, asset_id))
