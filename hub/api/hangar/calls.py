"""Hangar's calls: keys for JWTs, one's own keys, permissions, people."""

from typing import Any

from starlette.responses import PlainTextResponse, Response

from hub.api.hangar import shapes
from hub.api.http.auth import user_agent
from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.domain import ids
from hub.domain.errors import Conflict, Forbidden, NotFound


async def authenticate_key(call: Call) -> Answer:
    """Exchange an API key for a JWT. It is good for ten minutes, and no longer than its key; then ask again."""
    token, expires_in = await call.services.tokens.exchange(
        call.query.apiKey, address=call.address, agent=user_agent(dict(call.scope["headers"]))
    )
    return Answer(200, {"token": token, "expiresIn": expires_in})


async def create_own_key(call: Call) -> Response:
    """A new key of yours, as text, shown this once. It acts as you; ask for permissions that you have yourself."""
    body = call.body
    lacking = sorted(set(body.permissions) - set(shapes.held_by(call.actor)))
    if lacking:
        raise Forbidden(f"Nobody grants what they lack: {', '.join(lacking)}.", code="missing_permission")
    if any(key["name"] == body.name for key in await call.services.access.keys(call.actor, own=True)):
        raise Conflict("You have a key of this name.", code="name_taken")
    made = await call.services.access.create_key(
        call.actor,
        name=body.name,
        scopes=shapes.scopes_for(body.permissions),
        expires_at=None,
        face=face(call),
        secret=ids.identified_key(),
    )
    return PlainTextResponse(made["key"], 201)


async def list_own_keys(call: Call) -> Answer:
    """Your keys, without their secrets."""
    return Answer(200, [shapes.key(key) for key in await call.services.access.keys(call.actor, own=True)])


async def delete_own_key(call: Call) -> Answer:
    """The key of yours that has this name is dead, and every JWT that came of it."""
    found = [key for key in await call.services.access.keys(call.actor, own=True) if key["name"] == call.query.name]
    if not found:
        raise NotFound
    if len(found) > 1:
        raise Conflict("You have several keys of this name; revoke them by their ids.", code="name_ambiguous")
    await call.services.access.revoke_key(call.actor, found[0]["id"], face=face(call))
    return Answer(204)


async def show_permissions(call: Call) -> Answer:
    """What you may do; without a credential what everybody may."""
    _global(call)
    names = shapes.held_by(call.caller)
    return shapes.cached(call, {"type": "global", "permissionBinString": shapes.bits(names), "permissions": names})


async def has_all(call: Call) -> Answer:
    """Whether you have every one of these permissions."""
    _global(call)
    result = set(call.query.permissions) <= set(shapes.held_by(call.caller))
    return shapes.cached(call, {"type": "global", "result": result})


async def has_any(call: Call) -> Answer:
    """Whether you have one of these permissions at least."""
    _global(call)
    result = not set(call.query.permissions).isdisjoint(shapes.held_by(call.caller))
    return shapes.cached(call, {"type": "global", "result": result})


async def show_users(call: Call) -> Answer:
    """The people of your team; without a credential nobody, since none of them is public."""
    wanted = (call.query.query or "").casefold()
    people = [member for member in await _people(call) if wanted in member["name"].casefold()]
    return _page(call, people)


async def get_staff(call: Call) -> Answer:
    """Those of your team's people who run it: owners and admins."""
    return _page(call, [member for member in await _people(call) if member["role"] in ("owner", "admin")])


async def get_user(call: Call) -> Answer:
    """One person of your team, by name."""
    name = call.path["user"].casefold()
    for member in await _people(call):
        if member["name"].casefold() == name:
            return shapes.cached(call, shapes.user(member))
    raise NotFound


async def _people(call: Call) -> list[dict[str, Any]]:
    if call.caller is None:
        return []
    found: list[dict[str, Any]] = await call.services.members.colleagues(call.caller)
    return found


def _page(call: Call, people: list[dict[str, Any]]) -> Answer:
    query = call.query
    return shapes.cached(call, shapes.page([shapes.user(member) for member in people], query.limit, query.offset))


def _global(call: Call) -> None:
    """Permissions in a project or an organization: neither exists here."""
    if call.query.slug or call.query.organization:
        raise NotFound
