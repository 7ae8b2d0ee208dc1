"""Players and their tokens."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import PER_PAGE, done, many, one


async def list_players(call: Call) -> Answer:
    """All players of the team; with `page` or `per_page` a part of them."""
    query = call.query
    page, per_page = query.page or 1, query.per_page or (PER_PAGE if query.page else None)
    found, total = await call.services.players.listing(
        call.actor,
        online=None if query.status is None else query.status == "online",
        group_id=query.group_id,
        search=query.search,
        page=page,
        per_page=per_page,
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_player(call: Call) -> Answer:
    """One player in full, with what is known of its device."""
    return one(await call.services.players.get(call.actor, call.path["player_id"]))


async def create_player(call: Call) -> Answer:
    """A player without a device: issue a token for it, or pair a device with it."""
    player = await call.services.players.create(call.actor, name=call.body.name, face=face(call))
    return one(player, 201, location=f"/api/v1/players/{player['id']}")


async def change_player(call: Call) -> Answer:
    """Change what is given and leave the rest."""
    return one(
        await call.services.players.update(
            call.actor, call.path["player_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def put_player(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_player(call)


async def delete_player(call: Call) -> Answer:
    """Remove a player with its commands and screenshots. Its token is dead and its connection closed."""
    await call.services.players.delete(call.actor, call.path["player_id"], face=face(call))
    return done("Player deleted.")


async def issue_token(call: Call) -> Answer:
    """A new token for the player's device, shown this once. The old one is dead and its connection closed."""
    token = await call.services.players.issue_token(call.actor, call.path["player_id"], face=face(call))
    return Answer(201, {"token": token})


async def revoke_token(call: Call) -> Answer:
    """The player's token is dead and its connection closed; the player itself stays."""
    await call.services.players.revoke_token(call.actor, call.path["player_id"], face=face(call))
    return done("Token revoked.")
