"""Accounts: register, log in, log out, who am I."""

from typing import Any

from hub.api.adcast import shapes
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer


async def register_account(call: Call) -> Answer:
    """Make an account: a person, their team on the plan `free`, and a token that acts as them."""
    body = call.body
    made = await call.services.accounts.register(
        name=body.name,
        email=body.email,
        password=body.password,
        team_name=body.company_name,
        address=call.address,
        face=face(call),
    )
    return Answer(201, _logged_in(made))


async def log_in(call: Call) -> Answer:
    """A token for an account. It lives until its logout, or 30 days without a use, a year at most."""
    body = call.body
    made = await call.services.accounts.login(
        email=body.email, password=body.password, address=call.address, face=face(call)
    )
    return Answer(200, _logged_in(made))


async def log_out(call: Call) -> Answer:
    """End the token that this call came with, and no other. API keys are revoked elsewhere and are refused here."""
    await call.services.accounts.logout(call.actor, face=face(call))
    return Answer(200, {"message": "Logged out successfully."})


async def current_user(call: Call) -> Answer:
    """The person behind the token. An API key acts as the person who made it."""
    found = await call.services.accounts.who(call.actor)
    return Answer(200, {"user": shapes.user(found["user"]) | {"tenant": shapes.tenant(found["team"])}})


def _logged_in(made: dict[str, Any]) -> dict[str, Any]:
    return {"token": made["token"], "user": shapes.user(made["user"]), "tenant": shapes.tenant(made["team"])}
