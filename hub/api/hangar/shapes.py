"""Hangar's words: the names and bits of permissions, users, pages of results, and answers that may be cached."""

import hashlib
import re
from typing import Any, Final, NamedTuple

import orjson

from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.domain.access import Actor


class Permission(NamedTuple):
    """One of Hangar's permissions: its bit, and the scope of ours that gives it. `EVERYBODY` has it without a
    credential, `CALLERS` with any, `NOBODY` here at all: it is about projects, organizations or moderation."""

    bit: int
    given_by: str


EVERYBODY: Final = "everybody"
CALLERS: Final = "callers"
NOBODY: Final = "nobody"

PERMISSIONS: Final[dict[str, Permission]] = {
    "view_public_info": Permission(0, EVERYBODY),
    "edit_own_user_settings": Permission(1, CALLERS),
    "edit_api_keys": Permission(2, "admin"),
    "edit_subject_settings": Permission(4, "write:players"),
    "manage_subject_members": Permission(5, "admin"),
    "is_subject_owner": Permission(6, NOBODY),
    "is_subject_member": Permission(7, CALLERS),
    "create_project": Permission(8, NOBODY),
    "edit_page": Permission(9, "write:content"),
    "delete_project": Permission(10, NOBODY),
    "create_version": Permission(12, "write:content"),
    "edit_version": Permission(13, "write:content"),
    "delete_version": Permission(14, "write:content"),
    "edit_channels": Permission(15, "webhooks"),
    "create_organization": Permission(20, NOBODY),
    "post_as_organization": Permission(21, NOBODY),
    "delete_organization": Permission(22, NOBODY),
    "mod_notes_and_flags": Permission(24, NOBODY),
    "see_hidden": Permission(25, "read:content"),
    "is_staff": Permission(26, "admin"),
    "reviewer": Permission(27, NOBODY),
    "view_health": Permission(32, "read:players"),
    "view_ip": Permission(33, "read:players"),
    "view_stats": Permission(34, "read:analytics"),
    "view_logs": Permission(35, "read:players"),
    "manual_value_changes": Permission(40, NOBODY),
    "hard_delete_project": Permission(41, NOBODY),
    "hard_delete_version": Permission(42, NOBODY),
    "edit_all_user_settings": Permission(43, NOBODY),
    "restore_version": Permission(44, NOBODY),
    "restore_project": Permission(45, NOBODY),
}
"""Every name that Hangar's client knows. The bits are those of Hangar's own server."""

ROLES: Final = {"owner": 1, "admin": 2, "operator": 3, "viewer": 4}
"""Hangar numbers roles; these are ours."""

PAGE: Final = 25
"""Results of one page at most, as Hangar's client has it."""


def permissions_of(scopes: frozenset[str] | None) -> list[str]:
    """Names that these scopes give; None: of somebody without a credential."""
    held = {EVERYBODY} if scopes is None else {EVERYBODY, CALLERS, *scopes}
    return [name for name, permission in PERMISSIONS.items() if permission.given_by in held]


def held_by(caller: Actor | None) -> list[str]:
    return permissions_of(None if caller is None else caller.scopes)


def bits(names: list[str]) -> str:
    """Permissions as Hangar writes them in one word: a binary number, the lowest bit last."""
    return f"{sum(1 << PERMISSIONS[name].bit for name in names):b}"


def scopes_for(names: list[str]) -> list[str]:
    """The scopes that a key needs to have these permissions."""
    given_by = {PERMISSIONS[name].given_by for name in names}
    return sorted(given_by - {EVERYBODY, CALLERS, NOBODY})


def key(ours: dict[str, Any]) -> dict[str, Any]:
    return {
        "createdAt": ours["created_at"],
        "name": ours["name"],
        "tokenIdentifier": ours["prefix"],
        "permissions": permissions_of(frozenset(ours["scopes"])),
        "lastUsed": ours["last_used_at"],
    }


def user(member: dict[str, Any]) -> dict[str, Any]:
    return {
        "createdAt": member["created_at"],
        "name": member["name"],
        "tagline": None,
        "roles": [ROLES[member["role"]]],
        "projectCount": 0,
        "locked": member["locked"],
        "nameHistory": [],
        "avatarUrl": None,
        "isOrganization": False,
    }


def page(things: list[dict[str, Any]], limit: int, offset: int) -> dict[str, Any]:
    pagination = {"limit": limit, "offset": offset, "count": len(things)}
    return {"pagination": pagination, "result": things[offset : offset + limit]}


_TAGS = re.compile(r'(?:W/)?("[^"]*")|(\*)')


def cached(call: Call, body: dict[str, Any]) -> Answer:
    """What everybody may read may be kept for a minute and asked for again by its ETag; what a credential was needed
    for is kept nowhere."""
    if call.caller is not None:
        return Answer(200, body, {"vary": "authorization"})
    etag = f'"{hashlib.sha256(orjson.dumps(body)).hexdigest()[:16]}"'
    headers = {"cache-control": "public, max-age=60", "vary": "authorization", "etag": etag}
    wanted = dict(call.scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
    if any(etag == tag or star for tag, star in _TAGS.findall(wanted)):
        return Answer(304, None, headers)
    return Answer(200, body, headers)
