"""The Hangar face: keys for JWTs, one's own keys, permissions, people."""

import json

import httpx2
import pytest

from hub.api.hangar.bodies import PermissionName
from hub.api.hangar.shapes import PERMISSIONS
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
AUTHENTICATE = "/api/v1/authenticate"


async def jwt_for(nobody: Client, key: str) -> str:
    answer = await nobody.post(AUTHENTICATE, params={"apiKey": key})
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["token"]
    return token


def with_header(hub: WholeHub, value: str) -> Client:
    client = hub.client()
    client.headers["authorization"] = value
    return client


async def test_a_key_is_exchanged_for_a_jwt_that_every_form_of_the_header_carries(
    hub: WholeHub, owner: Client, nobody: Client
) -> None:
    made = (await owner.post("/api/v1/api-keys", json={"name": "Bot", "scopes": ["read:players"]})).json()["data"]
    answer = await nobody.post(AUTHENTICATE, params={"apiKey": made["key"]}, headers={"accept": "application/json"})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["expiresIn"] == 600_000
    assert '"expiresIn":600000}' in answer.text  # an integer: clients refuse 600000.0
    token = answer.json()["token"]
    for value in (f"Bearer {token}", f"HangarAuth {token}", f"hangarauth {token}", token):
        client = with_header(hub, value)
        assert (await client.get("/api/v1/permissions")).json()["permissions"][-1] == "view_logs"
        assert (await client.get("/api/v1/players")).status_code == 200  # on the other faces too
        assert (await client.get("/api/v1/webhooks")).status_code == 403
    for value in (made["key"], f"Basic {token}", f"{token[:-2]}xx", f"Bearer {token}.x", "HangarAuth"):
        refused = await with_header(hub, value).get("/api/v1/permissions")
        assert (refused.status_code, refused.json()) == (401, {"message": "Unauthenticated."}), value
    await owner.delete(f"/api/v1/api-keys/{made['id']}")
    assert (await with_header(hub, token).get("/api/v1/permissions")).status_code == 401


async def test_what_is_no_key_and_what_is_no_good_key_are_told_apart(nobody: Client) -> None:
    for query in ({}, {"apiKey": ""}, {"apiKey": "yourKey"}, {"apiKey": "1|abc+/="}, {"apiKey": "x" * 5000}):
        answer = await nobody.post(AUTHENTICATE, params=query)
        assert (answer.status_code, answer.json()["message"]) == (400, "Badly formatted API key.")
    unknown = "0dd0a7a2-7d1c-4c70-8a4f-7e7c5f6a8f10.6f8f57cb-5e16-4f1e-9a63-0f4d1a1d3f55"
    answer = await nobody.post(AUTHENTICATE, params={"apiKey": unknown})
    assert (answer.status_code, answer.json()["message"]) == (401, "Api key missing or invalid.")
    assert (await nobody.get(AUTHENTICATE, params={"apiKey": unknown})).status_code == 405


async def test_own_keys_are_made_listed_and_deleted_by_name(hub: WholeHub, owner: Client, nobody: Client) -> None:
    answer = await owner.post("/api/v1/keys", json={"name": "dashboard", "permissions": ["view_stats", "is_staff"]})
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("text/plain")
    key = answer.text
    assert [len(part) for part in key.split(".")] == [36, 36]
    [listed] = [one for one in (await owner.get("/api/v1/keys")).json() if one["name"] == "dashboard"]
    assert listed["tokenIdentifier"] == key[:36]
    assert {"view_stats", "is_staff", "edit_api_keys"} <= set(listed["permissions"])
    assert "view_health" not in listed["permissions"]
    # The same key is a Bearer everywhere, and is one of ours in our own list.
    [ours] = [one for one in (await owner.get("/api/v1/api-keys")).json()["data"] if one["name"] == "dashboard"]
    assert ours["scopes"] == ["admin", "read:analytics"]
    assert (await hub.client(key).get("/api/v1/keys")).status_code == 200
    token = await jwt_for(nobody, key)
    weak = with_header(hub, token)

    for name, permissions, status in (
        ("dashboard", ["view_stats"], 409),
        ("four", [], 422),
        ("x" * 37, ["view_stats"], 422),
        ("other", ["fly"], 422),
        ("other", ["hard_delete_project"], 403),
    ):
        refused = await owner.post("/api/v1/keys", json={"name": name, "permissions": permissions})
        assert refused.status_code == status, name
    assert (await weak.post("/api/v1/keys", json={"name": "other", "permissions": ["view_health"]})).status_code == 403
    plain = await owner.post("/api/v1/keys", json={"name": "plain", "permissions": ["view_public_info"]})
    assert (await hub.client(plain.text).get("/api/v1/players")).status_code == 403
    assert (await hub.client(plain.text).get("/api/v1/keys")).status_code == 403

    gone = await owner.delete("/api/v1/keys", params={"name": "dashboard"})
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await weak.get("/api/v1/permissions")).status_code == 401
    assert (await nobody.post(AUTHENTICATE, params={"apiKey": key})).status_code == 401
    assert (await owner.delete("/api/v1/keys", params={"name": "dashboard"})).status_code == 404
    assert (await owner.delete("/api/v1/keys")).status_code == 422


async def test_keys_of_others_are_neither_listed_nor_deleted(hub: WholeHub, owner: Client, stranger: Client) -> None:
    await owner.post("/api/v1/keys", json={"name": "dashboard", "permissions": ["view_stats"]})
    person = {"name": "Ada", "email": "ada@acme.example", "role": "admin", "password": "a long password"}
    await owner.post("/api/v1/members", json=person)
    ada = hub.client((await hub.client().post("/api/auth/login", json=person)).json()["token"])
    for other in (ada, stranger):
        assert "dashboard" not in [key["name"] for key in (await other.get("/api/v1/keys")).json()]
        assert (await other.delete("/api/v1/keys", params={"name": "dashboard"})).status_code == 404
    await owner.post("/api/v1/api-keys", json={"name": "dashboard", "scopes": ["webhooks"]})
    assert (await owner.delete("/api/v1/keys", params={"name": "dashboard"})).status_code == 409
    assert len([key for key in (await owner.get("/api/v1/keys")).json() if key["name"] == "dashboard"]) == 2


async def test_permissions_follow_from_scopes(hub: WholeHub, owner: Client, nobody: Client) -> None:
    everybodys = await nobody.get("/api/v1/permissions")
    assert everybodys.json() == {
        "type": "global",
        "permissionBinString": "1",
        "permissions": ["view_public_info"],
    }
    reader = await hub.as_owner("read:players")
    mine = (await reader.get("/api/v1/permissions")).json()
    assert mine["permissions"] == [
        "view_public_info",
        "edit_own_user_settings",
        "is_subject_member",
        "view_health",
        "view_ip",
        "view_logs",
    ]
    assert int(mine["permissionBinString"], 2) == sum(1 << bit for bit in (0, 1, 7, 32, 33, 35))
    for client, wanted, has_all, has_any in (
        (reader, ["view_health", "view_ip"], True, True),
        (reader, ["view_health", "edit_api_keys"], False, True),
        (owner, ["view_health", "edit_api_keys"], True, True),
        (owner, ["reviewer"], False, False),
        (nobody, ["view_public_info"], True, True),
        (nobody, ["view_public_info", "view_health"], False, True),
    ):
        for path, expected in (("hasAll", has_all), ("hasAny", has_any)):
            answer = await client.get(f"/api/v1/permissions/{path}", params={"permissions": wanted})
            assert answer.json() == {"type": "global", "result": expected}, (wanted, path)
    for query, status in (({}, 422), ({"permissions": "fly"}, 422), ({"permissions": "reviewer", "slug": "x"}, 404)):
        assert (await owner.get("/api/v1/permissions/hasAll", params=query)).status_code == status
    assert (await owner.get("/api/v1/permissions", params={"organization": "x"})).status_code == 404


async def test_what_everybody_may_read_is_cached_and_what_few_may_is_not(owner: Client, nobody: Client) -> None:
    for path in ("/api/v1/permissions", "/api/v1/users", "/api/v1/staff"):
        first = await nobody.get(path)
        assert first.headers["cache-control"] == "public, max-age=60"
        assert first.headers["vary"] == "authorization"
        etag = first.headers["etag"]
        for tags in (etag, f'"x", W/{etag}', "*"):
            again = await nobody.get(path, headers={"if-none-match": tags})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert (await nobody.get(path, headers={"if-none-match": '"x"'})).status_code == 200
        mine = await owner.get(path, headers={"if-none-match": etag})
        assert (mine.status_code, mine.headers["cache-control"]) == (200, "no-store")
        assert "etag" not in mine.headers


async def test_people_are_those_of_the_callers_team(
    hub: WholeHub, owner: Client, stranger: Client, nobody: Client
) -> None:
    for number in range(3):
        role = "admin" if number == 0 else "viewer"
        person = {"name": f"Person {number:02}", "email": f"p{number}@acme.example", "role": role, "password": "x" * 8}
        await owner.post("/api/v1/members", json=person)
    users = (await owner.get("/api/v1/users")).json()
    assert users["pagination"] == {"limit": 25, "offset": 0, "count": 4}
    assert [user["name"] for user in users["result"]] == ["Owner", "Person 00", "Person 01", "Person 02"]
    assert [user["roles"] for user in users["result"]] == [[1], [2], [4], [4]]
    second = await owner.get("/api/v1/users", params={"pagination": json.dumps({"limit": 1, "offset": 1})})
    assert [user["name"] for user in second.json()["result"]] == ["Person 00"]
    assert second.json()["pagination"] == {"limit": 1, "offset": 1, "count": 4}
    found = await owner.get("/api/v1/users", params={"query": "person", "limit": 2, "sort": "name"})
    assert [user["name"] for user in found.json()["result"]] == ["Person 00", "Person 01"]
    assert [user["name"] for user in (await owner.get("/api/v1/staff")).json()["result"]] == ["Owner", "Person 00"]
    assert (await owner.get("/api/v1/users/person%2001")).json()["name"] == "Person 01"
    assert "email" not in (await owner.get("/api/v1/users/Owner")).text
    assert (await stranger.get("/api/v1/users/Person%2001")).status_code == 404
    assert (await nobody.get("/api/v1/users/Owner")).status_code == 404
    assert (await nobody.get("/api/v1/users")).json()["result"] == []
    for page in ("{", "[]", '{"limit": 26}', '{"limit": 0}', '{"offset": -1}', '{"limit": true}', '{"limit": "5"}'):
        refused = await owner.get("/api/v1/users", params={"pagination": page})
        assert (refused.status_code, list(refused.json()["errors"])) == (422, ["pagination"]), page


def test_every_permission_that_clients_know_has_its_place() -> None:
    assert set(PermissionName.__args__) == PERMISSIONS.keys()
    assert len({permission.bit for permission in PERMISSIONS.values()}) == len(PERMISSIONS) == 31


@pytest.mark.parametrize("path", ["//api/v1/authenticate", "/api/v1/authenticate/"])
async def test_a_slash_too_many_in_the_clients_host_does_no_harm(hub: WholeHub, nobody: Client, path: str) -> None:
    answer = await nobody.post(f"http://hub.test:8080{path}?apiKey=yourKey")
    assert (answer.status_code, answer.json()["message"]) == (400, "Badly formatted API key.")
