"""Which request targets lead to a socket, and what all others are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.domain.ids import PLAYER_TOKEN_PREFIX
from tests.harness import Hub, running_hub, settings
from tests.waiting import PATIENCE_S


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings(tmp_path)) as hub:
        yield hub


async def knock(
    hub: Hub, target: str, token: str | None, *, kind: str = "player", more: str = "", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a socket: (status, headers, body)."""
    protocol = {"player": "signalbox.v1", "operator": "signalbox.operator.v1"}[kind]
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    try:
        writer.write(
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {protocol}\r\n{authorization}{more}\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split()[1]), headers, body
    finally:
        writer.close()


TARGETS = (
    "/ws/{}",
    "/ws/{}/",
    "//ws/{}",
    "///ws/{}//",
    "/ws/{}?x=1",
    "/%77s/{}",
    "http://hub.example:8080/ws/{}",
    "http://[::1]/ws/{}/?x",
)
NOWHERE = ("/", "/ws", "/ws/players", "/ws//player", "/ws/player/7", "/api/ws/player", "http://hub.example/ws/nowhere")


@pytest.mark.parametrize("kind", ["player", "operator"])
async def test_what_rest_overlooks_in_a_path_the_socket_overlooks(hub: Hub, kind: str) -> None:
    _, token = await hub.player()
    good = token if kind == "player" else hub.key
    for target in TARGETS:
        assert (await knock(hub, target.format(kind), good, kind=kind))[0] == 101, target
        status, _, body = await knock(hub, target.format(kind), "wrong", kind=kind)
        assert (status, json.loads(body)) == (401, {"message": "Unauthenticated."}), target


async def test_an_unknown_path_is_404_in_the_one_error_shape(hub: Hub) -> None:
    _, token = await hub.player()
    for target in NOWHERE:
        status, headers, body = await knock(hub, target, token)
        plain = await hub.client.get(target if target.startswith("/") else "/ws/nowhere")
        assert (status, plain.status_code) == (404, 404), target
        assert headers["content-type"].startswith("application/json"), target
        assert json.loads(body) == plain.json(), target
        assert json.loads(body)["message"]


async def test_a_token_in_the_address_is_refused_however_the_address_is_written(hub: Hub) -> None:
    _, token = await hub.player()
    for target in (f"//ws/player?token={token}", f"http://hub.example/ws/player/?access_token={token}"):
        assert (await knock(hub, target, None))[0] == 401


async def test_a_refusal_says_what_would_be_taken(hub: Hub) -> None:
    _, token = await hub.player()
    status, headers, body = await knock(hub, "/ws/player", token, method="POST")
    assert (status, set(headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert json.loads(body)["message"]
    status, headers, body = await knock(hub, "/ws/player", token, more=f"Cookie: {'x' * 9_000}\r\n")
    assert (status, headers["content-type"], json.loads(body)["code"]) == (400, "application/json", "bad_request")


async def test_a_hub_without_a_team_says_nothing_about_a_token(tmp_path: Path) -> None:
    """It was started in another folder by mistake: a player that it refused would show a code over its content."""
    async with running_hub(settings(tmp_path), key="none") as hub:
        status, headers, body = await knock(hub, "/ws/player", f"{PLAYER_TOKEN_PREFIX}{'x' * 40}")
        assert (status, json.loads(body)["code"]) == (503, "no_team")
        assert headers["retry-after"] == "10"
