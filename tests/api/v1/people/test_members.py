"""The team's people: added, changed, locked, removed; and what that does to their credentials."""

from typing import Any

import httpx2

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
PASSWORD = "a long password"


async def added(owner: Client, name: str, role: str, password: str | None = PASSWORD) -> dict[str, Any]:
    body = {"name": name, "email": f"{name.lower()}@acme.example", "role": role}
    answer = await owner.post("/api/v1/members", json=body | ({"password": password} if password else {}))
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/members/{answer.json()['data']['id']}"
    member: dict[str, Any] = answer.json()["data"]
    return member


async def logged_in(hub: WholeHub, name: str, password: str = PASSWORD) -> Client:
    answer = await hub.client().post(
        "/api/auth/login", json={"email": f"{name.lower()}@acme.example", "password": password}
    )
    assert answer.status_code == 200, answer.text
    return hub.client(answer.json()["token"])


async def status(client: Client, path: str = "/api/v1/me") -> int:
    return (await client.get(path)).status_code


async def test_a_role_decides_what_its_credentials_may_do_from_one_moment_to_the_next(
    hub: WholeHub, owner: Client
) -> None:
    member = await added(owner, "Ada", "admin")
    assert "password" not in member
    ada = await logged_in(hub, "Ada")
    made = await ada.post("/api/v1/api-keys", json={"name": "Ada's", "scopes": ["admin", "read:players", "webhooks"]})
    assert made.json()["data"]["user_id"] == member["id"]
    key = hub.client(made.json()["data"]["key"])
    assert (await key.get("/api/v1/me")).json()["data"]["scopes"] == ["admin", "read:players", "webhooks"]
    assert await status(ada, "/api/v1/webhooks") == 200

    path = f"/api/v1/members/{member['id']}"
    changed = await owner.patch(path, json={"role": "viewer"}, headers={"if-match": '"v1"'})
    assert (changed.json()["data"]["role"], changed.headers["etag"]) == ("viewer", '"v2"')
    me = (await ada.get("/api/v1/me")).json()["data"]
    assert (me["role"], me["scopes"]) == ("viewer", ["read:content", "read:players"])
    assert (me["credential"], me["user"]["email"]) == ("login", "ada@acme.example")
    assert (await key.get("/api/v1/me")).json()["data"]["scopes"] == ["read:players"]
    assert await status(ada, "/api/v1/webhooks") == await status(key, "/api/v1/webhooks") == 403
    assert (await owner.patch(path, json={"role": "admin"}, headers={"if-match": '"v1"'})).status_code == 412

    assert (await owner.patch(path, json={"locked": True})).json()["data"]["locked"] is True
    assert await status(ada) == await status(key) == 401
    login = {"email": "ada@acme.example", "password": PASSWORD}
    assert (await hub.client().post("/api/auth/login", json=login)).status_code == 401
    await owner.patch(path, json={"locked": False})
    assert await status(ada) == await status(key) == 200

    given = (await owner.patch(path, json={"reset_password": True})).json()["data"]["password"]
    assert await status(ada) == 401  # a new password ends every login, and no key
    assert await status(key) == 200
    again = await logged_in(hub, "Ada", given)

    assert (await owner.delete(path)).json() == {"message": "Member removed."}
    assert await status(again) == await status(key) == 401
    assert (await owner.get(path)).status_code == 404
    assert made.json()["data"]["id"] not in [one["id"] for one in (await owner.get("/api/v1/api-keys")).json()["data"]]


async def test_a_one_time_password_is_shown_once_and_changed_by_its_person(hub: WholeHub, owner: Client) -> None:
    member = await added(owner, "Vera", "viewer", password=None)
    assert len(member["password"]) == 16
    listed = (await owner.get("/api/v1/members")).json()["data"]
    assert [(one["name"], one["role"]) for one in listed] == [("Owner", "owner"), ("Vera", "viewer")]
    assert "password" not in listed[1]
    vera, elsewhere = await logged_in(hub, "Vera", member["password"]), await logged_in(hub, "Vera", member["password"])
    for body, fault in (
        ({"password": "another password"}, "body"),
        ({"password": "another password", "current_password": "wrong"}, "current_password"),
        ({"password": "short", "current_password": member["password"]}, "password"),
        ({}, "body"),
    ):
        answer = await vera.patch("/api/v1/me", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [fault])
    own = {"name": "Vera V.", "password": "another password", "current_password": member["password"]}
    assert (await vera.patch("/api/v1/me", json=own)).json()["data"]["user"]["name"] == "Vera V."
    assert (await status(vera), await status(elsewhere)) == (200, 401)
    await logged_in(hub, "Vera", "another password")
    assert (await owner.patch("/api/v1/me", json={"name": "x"})).status_code == 403  # a key is not the person
    itself = f"/api/v1/members/{(await owner.get('/api/v1/me')).json()['data']['user']['id']}"
    for body in ({"reset_password": True}, {"password": "another password"}):
        answer = await owner.patch(itself, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "own_password")
    assert await status(vera, "/api/v1/members") == 403


async def test_nobody_rises_above_themselves(hub: WholeHub, owner: Client) -> None:
    boss = await added(owner, "Olga", "owner")
    member = await added(owner, "Ada", "admin")
    ada = await logged_in(hub, "Ada")
    new = {"name": "New", "email": "new@acme.example", "role": "owner"}
    assert (await ada.post("/api/v1/members", json=new)).json()["code"] == "owners_only"
    assert (await ada.patch(f"/api/v1/members/{member['id']}", json={"role": "owner"})).status_code == 403
    for body in ({"locked": True}, {"reset_password": True}, {"name": "x"}, {"role": "viewer"}):
        assert (await ada.patch(f"/api/v1/members/{boss['id']}", json=body)).status_code == 403
    assert (await ada.delete(f"/api/v1/members/{boss['id']}")).status_code == 403
    # A key with few scopes makes nobody who has more, and takes nobody's account over.
    weak = await hub.as_owner("admin")
    for body in (new | {"role": "viewer"}, new | {"role": "admin"}):
        assert (await weak.post("/api/v1/members", json=body)).json()["code"] == "missing_scope"
    assert (await weak.patch(f"/api/v1/members/{member['id']}", json={"reset_password": True})).status_code == 403
    assert len((await owner.get("/api/v1/members")).json()["data"]) == 3


async def test_a_team_keeps_an_owner(hub: WholeHub, owner: Client) -> None:
    [first] = (await owner.get("/api/v1/members")).json()["data"]
    path = f"/api/v1/members/{first['id']}"
    for answer in (
        await owner.delete(path),
        await owner.patch(path, json={"locked": True}),
        await owner.patch(path, json={"role": "admin"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    second = await added(owner, "Olga", "owner")
    await owner.patch(f"/api/v1/members/{second['id']}", json={"locked": True})
    assert (await owner.delete(path)).status_code == 409  # an owner that cannot log in does not count
    await owner.patch(f"/api/v1/members/{second['id']}", json={"locked": False})
    assert (await owner.delete(path)).status_code == 200
    assert await status(owner) == 401


async def test_people_of_another_team_are_not_there(hub: WholeHub, owner: Client, stranger: Client) -> None:
    member = await added(owner, "Ada", "viewer")
    path = f"/api/v1/members/{member['id']}"
    for answer in (
        await stranger.get(path),
        await stranger.patch(path, json={"locked": True}),
        await stranger.delete(path),
    ):
        assert answer.status_code == 404
    assert [one["name"] for one in (await stranger.get("/api/v1/members")).json()["data"]] == ["Owner"]
    taken = {"name": "Ada", "email": "ADA@acme.example", "role": "viewer"}
    assert list((await stranger.post("/api/v1/members", json=taken)).json()["errors"]) == ["email"]
    for field, value in (("role", "tenant_admin"), ("role", None), ("email", "x"), ("password", "short"), ("age", 5)):
        answer = await owner.post("/api/v1/members", json={"name": "B", "email": "b@c", "role": "viewer", field: value})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    kinds = [event["event"] for event in (await owner.get("/api/v1/events")).json()["data"]]
    assert [kind for kind in kinds if kind.startswith("member.")] == ["member.created"]


async def test_the_team_has_a_name_a_plan_and_a_time_zone(hub: WholeHub, owner: Client, stranger: Client) -> None:
    team = (await owner.get("/api/v1/team")).json()["data"]
    assert (team["name"], team["plan"], team["timezone"]) == ("acme", "unlimited", "UTC")
    changed = await owner.patch("/api/v1/team", json={"name": "Acme", "timezone": "Europe/Berlin"})
    assert (changed.json()["data"]["name"], changed.json()["data"]["timezone"]) == ("Acme", "Europe/Berlin")
    for zone in ("Mars/Olympus", "../etc/passwd", "Europe", "/etc/localtime", "", 5):
        answer = await owner.patch("/api/v1/team", json={"timezone": zone})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["timezone"]), zone
    assert (await owner.patch("/api/v1/team", json={"plan": "free"})).status_code == 422
    reader = await hub.as_owner("read:players")
    assert (await reader.get("/api/v1/team")).json()["data"]["timezone"] == "Europe/Berlin"
    assert (await reader.patch("/api/v1/team", json={"name": "x"})).status_code == 403
    assert (await stranger.get("/api/v1/team")).json()["data"]["name"] == "other"
