"""Accounts as AdCast's document has them: register, log in, log out, who am I."""

from pathlib import Path
from typing import Any

import httpx2

from tests.whole_hub import WholeHub, whole_hub

Client = httpx2.AsyncClient

JOHN = {
    "name": "John Doe",
    "email": "john@example.com",
    "password": "securepassword123",
    "company_name": "My Digital Signage Co",
}
LOGIN = {"email": JOHN["email"], "password": JOHN["password"]}


async def registered(nobody: Client, **changes: Any) -> dict[str, Any]:
    answer = await nobody.post("/api/auth/register", json=JOHN | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_an_account_from_its_registration_to_its_logout(hub: WholeHub, nobody: Client, owner: Client) -> None:
    made = await registered(nobody)
    assert made["user"] == {
        "id": made["user"]["id"],
        "name": "John Doe",
        "email": "john@example.com",
        "role": "tenant_admin",
    }
    assert made["tenant"] == {"id": made["tenant"]["id"], "name": "My Digital Signage Co", "plan": "free"}
    number, _, secret = made["token"].partition("|")
    assert number.isdigit()
    assert len(secret) == 40

    john = hub.client(made["token"])
    shown = await john.get("/api/auth/user")
    assert shown.json() == {"user": made["user"] | {"tenant": made["tenant"]}}
    assert shown.headers["cache-control"] == "no-cache, private"

    again = (await nobody.post("/api/auth/login", json=LOGIN | {"email": "  JOHN@Example.com "})).json()
    assert again["user"]["id"] == made["user"]["id"]
    assert again["token"] != made["token"]

    # The whole API takes the token, for John's own team and no other.
    assert (await john.post("/api/v1/players", json={"name": "Lobby"})).status_code == 201
    assert [player["name"] for player in (await john.get("/api/v1/players")).json()["data"]] == ["Lobby"]
    assert (await owner.get("/api/v1/players")).json()["data"] == []

    answer = await john.post("/api/auth/logout")
    assert (answer.status_code, answer.json()) == (200, {"message": "Logged out successfully."})
    for path in ("/api/auth/user", "/api/v1/players"):
        refused = await john.get(path)
        assert (refused.status_code, refused.json()) == (401, {"message": "Unauthenticated."})
    assert (await hub.client(again["token"]).get("/api/auth/user")).status_code == 200

    kinds = [event["event"] for event in (await hub.client(again["token"]).get("/api/v1/events")).json()["data"]]
    assert kinds == ["member.created", "login.started", "login.started", "player.created", "login.ended"]


async def test_wrong_credentials_are_told_in_one_sentence_and_then_paced(hub: WholeHub, nobody: Client) -> None:
    await registered(nobody)
    for email, password in ((LOGIN["email"], "securepassword124"), ("nobody@example.com", LOGIN["password"])):
        answer = await nobody.post("/api/auth/login", json={"email": email, "password": password})
        assert (answer.status_code, answer.json()) == (401, {"message": "Invalid credentials."})
    for _ in range(9):
        answer = await nobody.post("/api/auth/login", json=LOGIN | {"password": "wrong"})
    assert answer.status_code == 401
    refused = await nobody.post("/api/auth/login", json=LOGIN)  # the right password, but guessing is over
    assert refused.status_code == 429
    assert refused.json()["message"] == "Too many requests."
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    other = await nobody.post("/api/auth/login", json=LOGIN | {"email": "another@example.com"})
    assert other.status_code == 401  # another account has its own pace


async def test_what_is_wrong_with_a_registration_is_told_by_field(nobody: Client) -> None:
    await registered(nobody)
    taken = await nobody.post("/api/auth/register", json=JOHN | {"email": "John@example.com"})
    assert taken.status_code == 422
    assert taken.json()["errors"] == {"email": ["The email field has already been taken."]}
    for field, value in (
        ("password", "seven77"),
        ("password", "x" * 201),
        ("email", "john"),
        ("email", "a@b@c.example"),
        ("email", 5),
        ("name", " "),
        ("company_name", None),
        ("company_name", "x" * 101),
    ):
        answer = await nobody.post("/api/auth/register", json=JOHN | {"email": "new@example.com", field: value})
        assert answer.status_code == 422, (field, value)
        assert list(answer.json()["errors"]) == [field]
    empty = await nobody.post("/api/auth/register", json={})
    assert sorted(empty.json()["errors"]) == ["company_name", "email", "name", "password"]
    assert (await nobody.post("/api/auth/login", json={"email": "x@example.com"})).status_code == 422
    for text in (f'{{"email": "{LOGIN["email"]}"', "[]", '"x"'):
        broken = await nobody.post("/api/auth/login", content=text, headers={"content-type": "application/json"})
        assert broken.status_code in (400, 422)


async def test_an_api_key_acts_as_its_person_and_is_not_logged_out(hub: WholeHub, nobody: Client) -> None:
    john = hub.client((await registered(nobody))["token"])
    made = (await john.post("/api/v1/api-keys", json={"name": "Wall", "scopes": ["read:players"]})).json()["data"]
    key = hub.client(made["key"])
    assert (await key.get("/api/auth/user")).json()["user"]["email"] == JOHN["email"]
    refused = await key.post("/api/auth/logout")
    assert (refused.status_code, refused.json()["message"]) == (403, "This action is unauthorized.")
    assert (await key.get("/api/v1/players")).status_code == 200


async def test_registration_is_closed_unless_it_is_opened_and_then_tells_nothing(tmp_path: Path) -> None:
    async with whole_hub(tmp_path) as hub:
        known = (await (await hub.as_owner()).get("/api/auth/user")).json()["user"]["email"]
        for email in (JOHN["email"], known):
            answer = await hub.client().post("/api/auth/register", json=JOHN | {"email": email})
            assert answer.status_code == 403
            assert answer.json() == {
                "message": "Registration is closed here; whoever runs this hub makes accounts.",
                "code": "registration_closed",
            }
        assert (await (await hub.as_owner()).get("/api/v1/players")).json()["data"] == []
