"""Who gets through which route, over the route tables of all faces: a new route is in here by being in the table.

Requests are made from the OpenAPI document's own examples, with the ids of one team's things put in. What the document
cannot know stands in QUERIES, BODIES and FILES below. Refusals change nothing, so they share one hub, and everything
the owner's team has is compared before and after all of them.
"""

import io
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from hub.api.http.endpoint import OPERATORS, Endpoint
from hub.app import ENTRIES, openapi_document
from hub.domain.access import SCOPES
from tests.cap import info, message
from tests.scene import FAR_OFF, Scene, put_in, set_scene
from tests.whole_hub import WholeHub, whole_hub

PUBLIC = {
    # What stands in the request beside the Authorization header is the credential, or what is answered is public.
    "GET /api/v1/screenshots/{screenshot_id}/image": "the link's signature",
    "PUT /api/v1/uploads/{upload_id}": "the link's signature",
    "GET /api/v1/exports/{file}": "the link's signature",
    "GET /api/v1/assets/{asset_id}/download": "the link's signature, or a bearer",
    "GET /api/v1/assets/{asset_id}/thumbnail": "the link's signature, or a bearer",
    "POST /oauth/device_authorization": "none yet: a device asks to be let in",
    "POST /oauth/token": "the code in the body",
    "POST /oauth/revoke": "the token in the body",
    "GET /oauth/authorize": "a page on which a person signs in",
    "POST /oauth/authorize": "e-mail and password in the body",
    "GET /.well-known/oauth-authorization-server": "public",
    "POST /api/v1/authenticate": "the key in the query",
    "GET /api/v1/permissions": "public, more with a credential",
    "GET /api/v1/permissions/hasAll": "public, more with a credential",
    "GET /api/v1/permissions/hasAny": "public, more with a credential",
    "GET /api/v1/users": "empty without a credential",
    "GET /api/v1/users/{user}": "not found without a credential",
    "GET /api/v1/staff": "empty without a credential",
    "POST /api/auth/register": "none yet: somebody makes an account",
    "POST /api/auth/login": "e-mail and password in the body",
    "POST /api/device/register": "the uuid in the body",
    "POST /api/device/heartbeat": "the uuid in the body",
    "GET /api/device/playlist": "the uuid in the query",
    "GET /api/device/content/{content_id}/download": "the uuid in the query",
}
FOR_EVERYONE_IN_A_TEAM = {
    "GET /api/v1/me",
    "GET /api/v1/team",
    "GET /api/v1/team/limits",
    "GET /api/auth/user",
}
FOR_LOGINS = ["PATCH /api/v1/me", "POST /api/auth/logout"]  # of the account itself: a key may not
OF_NO_TEAM_YET = {
    # A device that waits belongs to whoever approves it.
    "GET /api/v1/players/pair/{code}",
    "DELETE /api/v1/players/pair/{code}",
    "POST /api/devices/pair",
}

LONG_AGO, SOON = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


BODIES: dict[str, dict[str, Any]] = {
    # Where the document's example would do something else than the test wants, or names what only the scene has.
    "POST /api/v1/players/pair": {"code": "", "player_id": 1},
    "POST /api/v1/api-keys": {"name": "Another", "scopes": ["read:players"]},
    "PATCH /api/v1/members/{user_id}": {"role": "viewer"},
    "PATCH /api/v1/teams/{team_id}": {"plan": "unlimited"},
    "PATCH /api/v1/api-keys/{key_id}": {"name": "Renamed acme"},
    "PATCH /api/v1/webhooks/{webhook_id}": {"status": "active"},
    "POST /api/v1/alerts": {"title": "Another", "message": "Hello.", "player_ids": [1], "starts_at": "2099-01-01"},
    "POST /api/v1/schedules": {
        "name": "Another",
        "playlist_id": 1,
        "targets": [{"id": "{player_id}", "type": "player"}],
    }
    | FAR_OFF,
    "POST /api/schedules": {"playlist_id": 1, "schedulable_type": "device", "schedulable_id": 1} | FAR_OFF,
}
QUERIES: dict[str, dict[str, Any]] = {
    "DELETE /api/v1/folders/{folder_id}": {"recursive": "true"},
    "DELETE /api/v1/keys": {"name": "{hangar_key}"},
    "GET /api/v1/plays": {"from": LONG_AGO, "to": SOON},
    "GET /api/v1/permissions/hasAll": {"permissions": "view_public_info"},
    "GET /api/v1/permissions/hasAny": {"permissions": "view_public_info"},
}


def label(entry: Endpoint) -> str:
    return f"{entry.method} {entry.template}"


GUARDED = [entry for entry in ENTRIES if entry.needs_auth]
FOR_PLAYERS = [entry for entry in GUARDED if not entry.callers & OPERATORS]
FOR_PEOPLE = [entry for entry in GUARDED if entry.callers & OPERATORS]
DOCUMENT = openapi_document()


async def call(client: httpx2.AsyncClient, entry: Endpoint, scene: Scene) -> httpx2.Response:
    names = scene.names
    missing = [name for name, _ in entry.parameters if name not in names]
    assert not missing, f"{label(entry)} is new: give the Scene of this test a {missing[0]}"
    path = entry.template.format(**names)
    if entry.multipart is not None and entry.body is None:
        return await client.post(path, files={"file": ("picture.png", picture(), "image/png")})
    if entry.texts:
        text = {"content": message(info()), "headers": {"content-type": entry.texts[0]}}
        return await client.request(entry.method, path, params={"everyone": "true"}, **text)
    body = body_of(entry)
    json = None if body is None else put_in(body, names)
    if label(entry) == "DELETE /api/v1/players/pair/{code}":
        path = path.replace(scene.code, scene.spare_code)
    return await client.request(entry.method, path, json=json, params=put_in(QUERIES.get(label(entry)), names))


def body_of(entry: Endpoint) -> Any:
    operation = DOCUMENT["paths"][entry.template][entry.method.lower()]
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return BODIES.get(label(entry), media.get("example"))


def names_anothers_thing(entry: Endpoint, scene: Scene) -> bool:
    """Whether the path or the body asks for something of the owner's team."""
    body = body_of(entry)
    return bool(entry.parameters) or (put_in(body, dict.fromkeys(scene.names, -1)) != body)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(file, "PNG")
    return file.getvalue()


VOLATILE = {"last_used_at", "last_address", "last_agent"}  # of keys
OF_THE_HUB = {"rate_limit", "meta", "sqlite_sequence"}


def possessions(folder: Path, team_id: int) -> dict[tuple[str, bool], list[tuple[Any, ...]]]:
    """By table, and whether it tells whose its rows are: the rows of the team, or all."""
    found = {}
    with sqlite3.connect(f"file:{folder / 'hub.db'}?mode=ro", uri=True, timeout=10) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
            kept = ", ".join(f'"{column}"' for column in columns if column not in VOLATILE)
            owner = {"team": "id"}.get(table, "team_id")
            owned = owner in columns
            where = f" WHERE {owner} = {team_id}" if owned else ""
            if table not in OF_THE_HUB:
                found[table, owned] = database.execute(f"SELECT {kept} FROM {table}{where}").fetchall()
    return found


def assert_kept(before: dict[tuple[str, bool], Any], after: dict[tuple[str, bool], Any]) -> None:
    """What tells whose it is is the same; the rest may have got rows of the stranger's, but lost and changed none."""
    for (table, owned), rows in before.items():
        if owned:
            assert (table, after[table, owned]) == (table, rows)
        else:
            assert (table, set(rows) - set(after[table, owned])) == (table, set())


def test_only_these_routes_are_open_to_anyone() -> None:
    assert {label(entry) for entry in ENTRIES if not entry.needs_auth} <= PUBLIC.keys()


def test_every_guarded_route_asks_for_a_scope() -> None:
    assert {label(entry) for entry in FOR_PEOPLE if entry.scope is None} <= FOR_EVERYONE_IN_A_TEAM.union(FOR_LOGINS)


@pytest.fixture
async def unpaced(tmp_path: Path) -> Any:
    async with whole_hub(tmp_path, rate_limits={"enabled": False}, accounts={"open_registration": True}) as running:
        yield running


async def test_nobody_gets_past_what_their_credential_allows(unpaced: WholeHub, tmp_path: Path) -> None:
    hub, owner = unpaced, await unpaced.as_owner()
    scene = await set_scene(hub, owner)
    token = await hub.services.players.issue_token(hub.owner, scene.player_id, face="signalbox")
    theirs = await hub.services.players.create(hub.stranger, name="Elsewhere", face="signalbox")
    their_token = await hub.services.players.issue_token(hub.stranger, theirs["id"], face="signalbox")
    nobody, player, their_player = hub.client(), hub.client(token), hub.client(their_token)
    teammates = {scope: await hub.as_owner(*(SCOPES.keys() - {scope})) for scope in SCOPES}
    stranger = await hub.as_stranger()
    before = possessions(tmp_path, hub.owner.team_id)

    for entry in GUARDED:
        answer = await call(nobody, entry, scene)
        assert (label(entry), answer.status_code, answer.json()) == (label(entry), 401, {"message": "Unauthenticated."})
    for entry in FOR_PEOPLE:
        answer = await call(player, entry, scene)
        assert (label(entry), answer.status_code) == (label(entry), 403)
        if entry.scope is not None:
            refused = await call(teammates[entry.scope], entry, scene)
            assert (label(entry), refused.status_code) == (label(entry), 403)
            words = {f"This API key lacks the required scope: {entry.scope}.", "This action is unauthorized."}
            assert refused.json()["message"] in words
    for entry in FOR_PLAYERS:
        answer = await call(owner, entry, scene)
        assert (label(entry), answer.status_code) == (label(entry), 403)
        answer = await call(their_player, entry, scene)
        assert (label(entry), "acme" in answer.text.lower()) == (label(entry), False)
        assert answer.is_success or answer.status_code in (404, 422)
    for entry in FOR_PEOPLE:
        if label(entry) in OF_NO_TEAM_YET:
            continue
        answer = await call(stranger, entry, scene)
        told = f"{label(entry)}: {answer.status_code} {answer.text}"
        assert "acme" not in answer.text.lower(), told
        if label(entry) in FOR_LOGINS:
            assert answer.status_code == 403, told
        elif entry.parameters:
            assert answer.status_code == 404, told
        elif entry.method != "GET" and names_anothers_thing(entry, scene):
            assert answer.status_code in (404, 422), told
        else:
            assert answer.is_success or answer.status_code == 404, told
    for entry in ENTRIES:
        if not entry.needs_auth and entry.method == "GET":
            for client in (nobody, stranger):
                if not {name for name, _ in entry.parameters} <= scene.names.keys():
                    continue
                assert "acme" not in (await call(client, entry, scene)).text.lower(), label(entry)
    assert_kept(before, possessions(tmp_path, hub.owner.team_id))


async def test_the_owner_gets_through_every_route(unpaced: WholeHub, tmp_path: Path) -> None:
    hub, owner = unpaced, await unpaced.as_owner()
    order = {"GET": 0, "PATCH": 1, "PUT": 2, "POST": 3, "DELETE": 4}
    for turn, face in enumerate(({"own", "spot", "hangar"}, {"adcast"}, {"hangar_media"})):
        scene = await set_scene(hub, owner, turn)
        entries = [entry for entry in FOR_PEOPLE[::-1] if entry.owner in face and label(entry) not in FOR_LOGINS]
        # Of things that hold each other those are deleted first that stand later in the table, or deeper in a path.
        entries = sorted(entries, key=lambda entry: (order[entry.method], -entry.path.count("/")))
        for entry in entries:
            answer = await call(owner, entry, scene)
            assert answer.is_success or answer.status_code == 302, (
                f"{label(entry)}: {answer.status_code} {answer.text}\nIs it new? What it needs stands in this file."
            )
    account = DOCUMENT["paths"]["/api/auth/register"]["post"]["requestBody"]["content"]["application/json"]["example"]
    person = hub.client((await hub.client().post("/api/auth/register", json=account)).json()["token"])
    by_label = {label(entry): entry for entry in GUARDED}
    for wanted in FOR_LOGINS:
        assert (await call(person, by_label[wanted], scene)).is_success
