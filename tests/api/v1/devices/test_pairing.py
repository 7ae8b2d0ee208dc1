"""Pairing end to end: a device by OAuth's calls, an operator by ours."""

import asyncio
from typing import Any

import httpx2
import pytest
import segno

from tests.whole_hub import BASE, WholeHub

Client = httpx2.AsyncClient
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE = {"client_id": "player", "hardware_id": "b8:27:eb:4f:1a:02", "model": "Raspberry Pi 5", "name": "pi-lobby"}


async def ask(device: Client, **more: str) -> dict[str, Any]:
    answer = await device.post("/oauth/device_authorization", data={**DEVICE, **more})
    assert answer.status_code == 200, answer.text
    asked: dict[str, Any] = answer.json()
    return asked


async def poll(device: Client, asked: dict[str, Any], **headers: str) -> httpx2.Response:
    body = {"grant_type": GRANT, "device_code": asked["device_code"], "client_id": "player"}
    return await device.post("/oauth/token", data=body, headers=headers)


async def test_a_device_is_paired_from_its_first_request_to_its_token(
    hub: WholeHub, owner: Client, nobody: Client
) -> None:
    asked = await ask(nobody)
    assert asked["verification_uri_complete"] == f"{BASE}/pair?code={asked['user_code']}"
    waiting = await poll(nobody, asked)
    assert waiting.status_code == 400
    assert waiting.headers["cache-control"] == "no-store"
    assert waiting.json()["error"] == "authorization_pending"
    assert waiting.json()["message"] == waiting.json()["error_description"]

    typed = f"{asked['user_code'][:3].lower()}-{asked['user_code'][3:]}"
    seen = (await owner.get(f"/api/v1/players/pair/{typed}")).json()["data"]
    assert (seen["model"], seen["host_name"], seen["hardware_id"], seen["address"]) == (
        DEVICE["model"],
        DEVICE["name"],
        DEVICE["hardware_id"],
        "192.0.2.7",
    )
    approved = await owner.post("/api/v1/players/pair", json={"code": typed, "name": "Lobby Display"})
    assert approved.status_code == 200
    player = approved.json()["data"]["player_id"]
    assert approved.headers["location"] == f"/api/v1/players/{player}"

    token = await poll(nobody, asked)
    assert token.status_code == 200
    assert token.json()["token_type"] == "Bearer"
    assert token.json()["player_id"] == player
    assert (await hub.services.players.by_token(token.json()["access_token"]) or [None])[0] == player
    assert (await poll(nobody, asked)).json()["error"] == "invalid_grant"
    assert (await owner.get(f"/api/v1/players/{player}")).json()["data"]["paired"]


async def test_the_qr_code_leads_to_the_page_with_the_code_in_it(nobody: Client) -> None:
    asked = await ask(nobody)
    drawn = [[module == "1" for module in row] for row in asked["qr_code"]]
    expected = segno.make_qr(asked["verification_uri_complete"], error="m")
    assert drawn == [[bool(module) for module in row] for row in expected.matrix]


@pytest.mark.parametrize("decision", ["approve", "refuse"])
async def test_a_device_that_waits_is_answered_when_an_operator_decides(
    owner: Client, nobody: Client, decision: str
) -> None:
    asked = await ask(nobody)
    waiting = asyncio.create_task(poll(nobody, asked, prefer="wait=30"))
    if decision == "approve":
        await owner.post("/api/v1/players/pair", json={"code": asked["user_code"]})
        assert (await waiting).json()["token_type"] == "Bearer"
    else:
        await owner.delete(f"/api/v1/players/pair/{asked['user_code']}")
        assert (await waiting).json()["error"] == "access_denied"


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("signs.example.com", "http://signs.example.com"),
        ("[::1]:8080", "http://[::1]:8080"),
        *((wrong, BASE) for wrong in ("evil.example/x?", "a b", '"><script>', "")),
    ],
)
async def test_links_follow_the_address_that_was_called_unless_it_is_none(nobody: Client, host: str, base: str) -> None:
    answer = await nobody.post("/oauth/device_authorization", data=DEVICE, headers={"host": host})
    assert answer.json()["verification_uri"] == f"{base}/pair"


async def test_a_replacement_device_keeps_the_players_identity(owner: Client, nobody: Client, player: int) -> None:
    asked = await ask(nobody)
    body = {"code": asked["user_code"], "player_id": player}
    assert (await owner.post("/api/v1/players/pair", json=body)).json()["data"]["name"] == "Lobby Display"
    assert (await poll(nobody, asked)).json()["player_id"] == player
    assert len((await owner.get("/api/v1/players")).json()["data"]) == 1


async def test_a_refused_device_is_told(owner: Client, nobody: Client) -> None:
    asked = await ask(nobody)
    assert (await owner.delete(f"/api/v1/players/pair/{asked['user_code']}")).json() == {"message": "Device refused."}
    assert (await poll(nobody, asked)).json()["error"] == "access_denied"
    again = await owner.post("/api/v1/players/pair", json={"code": asked["user_code"]})
    assert again.status_code == 409


async def test_bodies_may_be_json(owner: Client, nobody: Client) -> None:
    asked = (await nobody.post("/oauth/device_authorization", json=DEVICE)).json()
    answer = await nobody.post("/oauth/token", json={"grant_type": GRANT, "device_code": asked["device_code"]})
    assert answer.json()["error"] == "authorization_pending"


async def test_every_refusal_is_in_oauths_words(nobody: Client) -> None:
    async def error(path: str, **request: Any) -> tuple[int, str]:
        answer = await nobody.post(path, **request)
        body = answer.json()
        assert set(body) == {"error", "error_description", "message"}
        assert body["error_description"]
        return answer.status_code, body["error"]

    ask_path, token_path = "/oauth/device_authorization", "/oauth/token"
    assert await error(ask_path) == (400, "invalid_request")
    assert await error(ask_path, data={**DEVICE, "client_id": "x"}) == (400, "invalid_client")
    assert await error(ask_path, data={**DEVICE, "hardware_id": "x" * 201}) == (400, "invalid_request")
    assert await error(ask_path, json={**DEVICE, "model": "\x1b[2J"}) == (400, "invalid_request")
    assert await error(ask_path, json=[1]) == (400, "invalid_request")
    assert await error(ask_path, content=b"{", headers={"content-type": "application/json"}) == (
        400,
        "invalid_request",
    )
    assert await error(ask_path, content=b"x", headers={"content-type": "text/plain"}) == (400, "invalid_request")
    assert await error(token_path, data={"grant_type": "password"}) == (400, "unsupported_grant_type")
    assert await error(token_path, data={"grant_type": GRANT}) == (400, "invalid_request")
    assert await error(token_path, data={"grant_type": GRANT, "device_code": "x"}) == (400, "invalid_grant")
    assert await error(token_path, data={"grant_type": GRANT, "device_code": "x", "client_id": "y"}) == (
        400,
        "invalid_client",
    )


async def test_a_sixth_device_of_one_address_is_told_when_to_come_back(nobody: Client) -> None:
    for number in range(5):
        await ask(nobody, hardware_id=f"pi-{number}")
    answer = await nobody.post("/oauth/device_authorization", data={**DEVICE, "hardware_id": "pi-6"})
    assert answer.status_code == 429
    assert answer.json()["error"] == "temporarily_unavailable"
    assert 0 < int(answer.headers["retry-after"]) <= 900


async def test_guessing_is_slowed_down(owner: Client) -> None:
    answers = [await owner.get(f"/api/v1/players/pair/XXXX{number:02}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [404] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_the_page_for_people_is_there_and_loads_nothing_from_elsewhere(nobody: Client) -> None:
    answer = await nobody.get("/pair", params={"code": "BCD234"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "http" not in answer.text.replace("http-equiv", "")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
