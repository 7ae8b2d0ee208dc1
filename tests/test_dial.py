"""A host of several addresses is reached when one of them answers, whatever the others do."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from device_agent.connection import pairing
from device_agent.connection.websocket import connect
from device_agent.content.http_get import Get
from hub import client
from hub.bus.local import LocalBus
from hub.dial import dial
from hub.services.weather import Weather
from hub.services.webhook_client import DeliveryError, WebhookClient
from tests.black_hole import HOST, REACHED, SWALLOWS, black_hole
from tests.device_agent.far_hub import far_hub
from tests.ports import free_port
from tests.tcp_server import tcp_server
from tests.waiting import PATIENCE_S

LOOPBACK = [ip_network("127.0.0.0/8")]
SHORT_S = 0.05  # for what nobody answers
ANSWER = b'{"current": {"temperature_2m": 21, "weather_code": 0}}'


@asynccontextmanager
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of HOST, with an HTTP server behind its last address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(ANSWER)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + ANSWER)
        await writer.drain()

    async with tcp_server(answer, REACHED) as port:
        with black_hole(port, monkeypatch):
            yield f"http://{HOST}:{port}"


async def test_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(monkeypatch) as url:
        outbound = WebhookClient(LOOPBACK, PATIENCE_S)
        try:
            assert (await outbound.post(f"{url}/hook", {}, b"")).status == 200
        finally:
            await outbound.close()


async def test_a_webhook_goes_to_none_of_the_addresses_that_are_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(monkeypatch) as url:
        outbound = WebhookClient([ip_network(f"{SWALLOWS}/32")], 1)
        try:
            with pytest.raises(DeliveryError, match="No answer within 1 s"):
                await outbound.post(f"{url}/hook", {}, b"")
        finally:
            await outbound.close()


async def test_the_agents_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    async with far_hub() as hub:
        port = int(hub.url.rpartition(":")[2])
        with black_hole(port, monkeypatch):
            wire = await connect(f"http://{HOST}:{port}", hub.token, open_s=PATIENCE_S)
            wire.abort()


async def test_the_agents_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str) -> bytes:
        with Get(f"{url}/file", {}, timeout_s=PATIENCE_S) as answer:
            return answer.read_all(1_000)

    async with served(monkeypatch) as url:
        assert await asyncio.to_thread(get, url) == ANSWER


async def test_the_agents_pairing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(monkeypatch) as url:
        status, _ = await pairing.post(f"{url}/oauth/token", {})
        assert status == 200


async def test_calls_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(monkeypatch) as url:
        assert "current" in await asyncio.to_thread(client.call, "GET", url, "key", "/api/v1/players")


async def test_what_the_command_line_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(monkeypatch) as url:
        with pytest.raises(client.Refused, match="The hub answered 200"):
            await client.watch(url, "key")


async def test_the_weather(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(monkeypatch) as url:
        weather = Weather(LocalBus(), url + "/{latitude}/{longitude}", timeout_s=PATIENCE_S)
        weather.sky((1.0, 2.0))
        await weather.refresh()
        assert weather.sky((1.0, 2.0)) is not None


def test_none_that_answers_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:
        bound.bind((REACHED, 0))
        port = bound.getsockname()[1]
        with black_hole(port, monkeypatch), pytest.raises(TimeoutError, match="did not answer within"):
            dial(HOST, port, SHORT_S)


def test_none_that_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        dial("127.0.0.1", free_port(), PATIENCE_S)


def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror):
        dial("nowhere.example", 80, PATIENCE_S)
