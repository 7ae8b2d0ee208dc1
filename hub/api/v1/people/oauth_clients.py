"""Programs of third parties, and what people have allowed them."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one


async def list_oauth_clients(call: Call) -> Answer:
    """All programs that may ask people of the team for access."""
    return many(await call.services.oauth_clients.listing(call.actor))


async def get_oauth_client(call: Call) -> Answer:
    """One program."""
    return one(await call.services.oauth_clients.get(call.actor, call.path["client_number"]))


async def create_oauth_client(call: Call) -> Answer:
    """Register a program. One that can keep a secret (`confidential`) gets its `client_secret`, shown this once.

    It then sends people to `/oauth/authorize`, with PKCE, and gets tokens from `/oauth/token`; all addresses are at
    `/.well-known/oauth-authorization-server`.
    """
    body = call.body
    client = await call.services.oauth_clients.create(
        call.actor,
        name=body.name,
        redirect_uris=body.redirect_uris,
        scopes=body.scopes,
        confidential=body.confidential,
        face=face(call),
    )
    return one(client, 201, location=f"/api/v1/oauth-clients/{client['id']}")


async def change_oauth_client(call: Call) -> Answer:
    """Change what is given, for what is asked from now on; what people have allowed stays until it is ended."""
    return one(
        await call.services.oauth_clients.update(
            call.actor, call.path["client_number"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def delete_oauth_client(call: Call) -> Answer:
    """Remove a program. All its tokens are dead at once."""
    await call.services.oauth_clients.delete(call.actor, call.path["client_number"], face=face(call))
    return done("Client deleted.")


async def list_oauth_grants(call: Call) -> Answer:
    """What people of the team have allowed to which program."""
    return many(await call.services.oauth.grants(call.actor))


async def end_oauth_grant(call: Call) -> Answer:
    """Take back what a person has allowed. The program's tokens for that person are dead at once."""
    await call.services.oauth.end_grant(call.actor, call.path["grant_id"], face=face(call))
    return done("Grant ended.")
