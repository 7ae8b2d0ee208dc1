import sqlite3
from pathlib import Path

import httpx2
import pytest

from hub.domain.times import now_ms, rfc3339
from tests.whole_hub import WholeHub, whole_hub

Client = httpx2.AsyncClient


async def made(owner: Client, **body: object) -> dict[str, object]:
    answer = await owner.post("/api/v1/api-keys", json={"name": "Wall", "scopes": ["read:players"], **body})
    assert answer.status_code == 201, answer.text
    key: dict[str, object] = answer.json()["data"]
    return key


async def status_with(hub: WholeHub, key: object) -> int:
    return (await hub.client(str(key)).get("/api/v1/players")).status_code


async def test_a_key_is_shown_once_and_works(hub: WholeHub, owner: Client) -> None:
    key = await made(owner)
    assert await status_with(hub, key["key"]) == 200
    listed = await owner.get("/api/v1/api-keys")
    assert str(key["key"]) not in listed.text
    [found] = [one for one in listed.json()["data"] if one["id"] == key["id"]]
    assert str(key["key"]).startswith(found["prefix"])
    assert found["scopes"] == ["read:players"]


async def test_a_rotated_key_has_a_new_secret_and_the_same_rights(hub: WholeHub, owner: Client) -> None:
    key = await made(owner)
    assert await status_with(hub, key["key"]) == 200
    rotated = (await owner.post(f"/api/v1/api-keys/{key['id']}/rotate")).json()["data"]
    assert rotated["id"] == key["id"]
    assert await status_with(hub, key["key"]) == 401
    assert await status_with(hub, rotated["key"]) == 200


async def test_a_revoked_key_is_dead_and_off_the_list(hub: WholeHub, owner: Client) -> None:
    key = await made(owner)
    assert await status_with(hub, key["key"]) == 200
    assert (await owner.delete(f"/api/v1/api-keys/{key['id']}")).json() == {"message": "Key revoked."}
    assert await status_with(hub, key["key"]) == 401
    assert key["id"] not in [one["id"] for one in (await owner.get("/api/v1/api-keys")).json()["data"]]
    assert (await owner.delete(f"/api/v1/api-keys/{key['id']}")).status_code == 404
    assert (await owner.post(f"/api/v1/api-keys/{key['id']}/rotate")).status_code == 404


async def test_nobody_grants_or_rotates_what_they_lack(hub: WholeHub, owner: Client) -> None:
    admin = await hub.as_owner("admin", "read:players")
    answer = await admin.post("/api/v1/api-keys", json={"name": "More", "scopes": ["write:players"]})
    assert answer.status_code == 403
    strong = await made(owner, scopes=["write:players"])
    assert (await admin.post(f"/api/v1/api-keys/{strong['id']}/rotate")).status_code == 403


async def test_scopes_must_exist(owner: Client) -> None:
    for scopes in (["fly"], [], "admin", [5], ["admin"] * 21):
        answer = await owner.post("/api/v1/api-keys", json={"name": "K", "scopes": scopes})
        assert answer.status_code == 422, scopes


@pytest.mark.parametrize("given", ["2099-12-31T23:59:59Z", "2099-12-31T23:59:59", "2100-01-01T00:59:59+01:00"])
async def test_a_key_may_have_an_end(owner: Client, given: str) -> None:
    assert (await made(owner, expires_at=given))["expires_at"] == "2099-12-31T23:59:59Z"


async def test_an_end_lies_in_the_future_and_is_a_time(owner: Client) -> None:
    for given in ("soon", "2020-01-01T00:00:00Z", "2026-02-30", rfc3339(now_ms() - 1000), 5, "", "9999999999"):
        answer = await owner.post(
            "/api/v1/api-keys", json={"name": "K", "scopes": ["read:players"], "expires_at": given}
        )
        assert answer.status_code == 422, given
        assert list(answer.json()["errors"]) == ["expires_at"]


async def test_a_key_is_renamed_and_narrowed_without_a_new_secret(hub: WholeHub, owner: Client) -> None:
    key = await made(owner, scopes=["read:players", "webhooks"])
    assert await status_with(hub, key["key"]) == 200
    path = f"/api/v1/api-keys/{key['id']}"
    changed = (await owner.patch(path, json={"name": "Hooks", "scopes": ["webhooks"]})).json()["data"]
    assert (changed["name"], changed["scopes"], changed["prefix"]) == ("Hooks", ["webhooks"], key["prefix"])
    assert await status_with(hub, key["key"]) == 403
    for body in ({}, {"scopes": []}, {"scopes": ["fly"]}, {"name": ""}, {"key": "x"}):
        assert (await owner.patch(path, json=body)).status_code == 422, body
    assert (await (await hub.as_stranger()).patch(path, json={"name": "x"})).status_code == 404
    weak = await hub.as_owner("admin", "webhooks")
    assert (await weak.patch(path, json={"scopes": ["read:players"]})).status_code == 403
    assert (await weak.patch(path, json={"name": "Theirs"})).json()["data"]["name"] == "Theirs"
    kinds = [event["event"] for event in (await owner.get("/api/v1/events")).json()["data"]]
    assert kinds.count("key.updated") == 2


async def test_a_key_tells_who_used_it_and_a_stop_loses_none_of_it(hub: WholeHub, owner: Client) -> None:
    key = await made(owner)
    path = f"/api/v1/api-keys/{key['id']}"
    assert (await owner.get(path)).json()["data"]["uses"] == []
    for number in range(12):
        using = hub.client(str(key["key"]))
        answer = await using.get("/api/v1/players", headers={"User-Agent": f"program {number}"})
        assert answer.status_code == 200
    shown = (await owner.get(path)).json()["data"]
    assert {use["agent"] for use in shown["uses"]} == {f"program {number}" for number in range(2, 12)}
    assert {use["address"] for use in shown["uses"]} == {shown["last_address"]}
    assert (shown["last_agent"], shown["name"]) == ("program 11", "Wall")
    assert str(key["key"]) not in str(shown)
    assert (await (await hub.as_stranger()).get(path)).status_code == 404
    assert (await hub.client(str(key["key"])).get(path)).status_code == 403
    await owner.delete(path)
    assert (await owner.get(path)).status_code == 404


async def test_uses_are_stored_at_a_clean_stop(tmp_path: Path) -> None:
    async with whole_hub(tmp_path) as running:
        key = await made(await running.as_owner())
        await running.client(str(key["key"])).get("/api/v1/players", headers={"User-Agent": "the last one"})
    with sqlite3.connect(tmp_path / "hub.db") as database:
        uses = database.execute("SELECT agent FROM api_key_use WHERE key_id = ?", (key["id"],)).fetchall()
    assert uses == [("the last one",)]
