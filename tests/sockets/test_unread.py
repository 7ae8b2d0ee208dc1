"""Callers that ask and do not read: what waits for them is bounded, and so is how long."""

import asyncio
import heapq
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import pytest

from hub import flow
from hub.app import create_app
from hub.flow import HIGH_WATER_BYTES, IDLE_S, LOOK_S, PIECE_BYTES, SLOWEST, Flow
from hub.server import HubHttp, configure, serving
from tests.certificates import pem_file
from tests.end_to_end.test_large_files import recording
from tests.harness import Hub, make_team, running_hub, settings
from tests.raw_http import answers
from tests.waiting import PATIENCE_S

SIZE = 4 << 20  # of a file: far above what both ends of a connection take while nobody reads


@asynccontextmanager
async def hub_with_a_file(folder: Path) -> AsyncIterator[tuple[Hub, str]]:
    """(a hub, where a file of SIZE bytes can be had)."""
    async with running_hub(settings(folder)) as hub:
        yield hub, await file_of(hub, folder)


async def file_of(hub: Hub, folder: Path) -> str:
    path = folder / "large.wav"
    recording(path, SIZE, b"end")
    made = await hub.client.post("/api/v1/assets", files={"file": ("large.wav", path.read_bytes())})
    assert made.status_code == 201, made.text
    return f"/api/v1/assets/{made.json()['data']['id']}/download"


def request(hub: Hub, path: str, *more: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: hub", f"Authorization: Bearer {hub.key}", *more, "", ""]
    return "\r\n".join(lines).encode()


T = TypeVar("T")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(hub: Hub, tls: ssl.SSLContext | None = None) -> tuple[Streams, HubHttp]:
    """A caller who takes little before it reads, and the hub's end of the connection."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", hub.port))
    reader, writer = await asyncio.open_connection(sock=small, limit=1, ssl=tls, server_hostname=tls and "127.0.0.1")
    return (reader, writer), await until(lambda: hub_end(hub, writer))


def hub_end(hub: Hub, writer: asyncio.StreamWriter) -> HubHttp | None:
    address = writer.get_extra_info("sockname")
    found = [one for one in hub._server.server_state.connections if getattr(one, "client", None) == address]
    return found[0] if found else None


async def until(found: Callable[[], T | None]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        while not (it := found()):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.001)
    return it


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has time to spare."""
    monkeypatch.setattr(flow, "IDLE_S", 0.0)
    monkeypatch.setattr(flow, "LOOK_S", 0.0)


async def gone(hub: Hub, streams: Streams) -> None:
    """The hub has ended the connection by a reset, which leaves nothing in the kernel, and works for it no more."""
    reader, writer = streams
    await until(lambda: hub_end(hub, writer) is None and not hub._server.server_state.tasks)
    with pytest.raises(ConnectionResetError):
        await reader.read()


# What waits


async def test_little_of_an_answer_waits_for_its_reader(tmp_path: Path) -> None:
    """Of a file, and of what the hub has made as a whole."""
    async with hub_with_a_file(tmp_path) as (hub, file):
        for path in (file, "/openapi.json", "/docs/api"):
            (reader, writer), end = await connected(hub)
            writer.write(request(hub, path, "Connection: close"))
            await until(lambda end=end: end.flow.write_paused)
            assert end.transport.get_write_buffer_size() <= HIGH_WATER_BYTES + PIECE_BYTES
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SIZE)
            async with asyncio.timeout(PATIENCE_S):
                [answer] = answers(await reader.read())
            assert answer.status == 200
            assert len(answer.body) == int(answer.headers["content-length"]) > 4 * PIECE_BYTES
            writer.close()


async def test_a_socket_gets_the_connection_as_it_was(tmp_path: Path) -> None:
    """Its own limits count what waits in the hub, beside what the kernel takes by itself."""
    async with running_hub(settings(tmp_path)) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token):
            transport = hub.registry.get(player_id)._seam._transport
            assert transport.get_write_buffer_limits()[1] > HIGH_WATER_BYTES
            assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 0


# How long it waits


async def test_whoever_does_not_read_is_cut_off(tmp_path: Path, soon: None) -> None:
    """A file, what the hub has made as a whole, and many small answers."""
    async with hub_with_a_file(tmp_path) as (hub, file):
        for asked in (request(hub, file), request(hub, "/openapi.json"), request(hub, "/docs/limits") * 100):
            streams, _ = await connected(hub)
            streams[1].write(asked)
            await gone(hub, streams)
            assert (await hub.client.get("/healthz")).status_code == 200


async def test_whoever_does_not_read_over_tls_is_cut_off(tmp_path: Path, soon: None) -> None:
    config = settings(tmp_path)
    key = await make_team(config.database_url)
    pem = pem_file(tmp_path, "127.0.0.1")
    trust = ssl.create_default_context(cafile=str(pem))
    tls = configure(create_app(config), host="127.0.0.1", port=0, tls_cert=pem, tls_key=pem)
    async with serving(tls) as (server, port):
        hub = Hub(server, port, key)
        async with hub.client:
            streams, _ = await connected(hub, trust)
            streams[1].write(request(hub, "/openapi.json"))
            await gone(hub, streams)


async def test_a_stream_in_which_nothing_waits_goes_on(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a request that waits end."""
    monkeypatch.setattr("hub.api.v1.devices.events.KEEP_ALIVE_S", 0.01)
    stream = {"accept": "text/event-stream"}
    async with (
        running_hub(settings(tmp_path)) as hub,
        asyncio.timeout(PATIENCE_S),
        hub.client.stream("GET", "/api/v1/events", headers=stream) as answer,
    ):
        waiting = asyncio.create_task(
            hub.client.get("/api/v1/events?after=latest&event=player.created", headers={"prefer": "wait=25"})
        )
        heard = 0
        async for line in answer.aiter_lines():
            heard += line == ": still here"
            if heard == 20:
                await hub.player()
            if line.startswith("event: player.created"):
                break
        assert heard >= 20
        assert (await waiting).json()["data"][0]["event"] == "player.created"


# The pace


class Clock:
    """An event loop's clock and timers, which a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, int, Callable[[], None], asyncio.TimerHandle]] = []
        self._loop = asyncio.new_event_loop()
        self._loop.close()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.now + delay, call, (), self._loop)
        heapq.heappush(self.timers, (self.now + delay, len(self.timers), call, handle))
        return handle

    def due(self) -> int:
        """How many timers wait."""
        return sum(not handle.cancelled() for *_, handle in self.timers)

    def move(self, seconds: float) -> None:
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            when, _, call, handle = heapq.heappop(self.timers)
            self.now = max(self.now, when)
            if not handle.cancelled():
                call()
        self.now = end


class Wire(asyncio.Transport):
    """A connection whose other end takes as much as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or 65_536

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True


class Reader:
    """It reads so many bytes of `flow` each second, of an answer without end."""

    def __init__(self) -> None:
        self.clock, self.wire = Clock(), Wire()
        self.flow = Flow(self.wire, self.clock)  # type: ignore[arg-type]

    def read(self, seconds: int, pace: int) -> bool:
        """Whether it is still connected then."""
        for _ in range(seconds):
            if not self.flow.write_paused:
                while self.wire.waiting <= self.wire.high:
                    self.wire.waiting += PIECE_BYTES
                self.flow.pause_writing()
            self.clock.move(1)
            self.wire.waiting -= min(self.wire.waiting, pace)
            if self.wire.waiting <= self.wire.high // 4:
                self.flow.resume_writing()
            assert self.clock.due() <= 1
        return not self.wire.aborted


@pytest.mark.parametrize("pace", [SLOWEST + 100, 10_000, 200_000, 50_000_000])
def test_a_slow_reader_that_keeps_the_pace_is_read_to_for_hours(pace: int) -> None:
    assert Reader().read(7_200, pace)


@pytest.mark.parametrize("pace", [0, 1, SLOWEST // 2, SLOWEST - 100])
def test_who_is_slower_is_cut_off(pace: int) -> None:
    reader = Reader()
    assert reader.read(int(IDLE_S - LOOK_S), pace)
    assert not reader.read(7_200, pace)


def test_what_was_read_faster_before_is_no_credit() -> None:
    reader = Reader()
    assert reader.read(600, 1_000_000)
    assert reader.read(40, 0)
    assert reader.read(5, 1_000_000)
    assert not reader.read(int(IDLE_S + LOOK_S), 0)


def test_nothing_is_counted_while_nothing_waits_or_the_hub_stands_still() -> None:
    reader = Reader()
    assert reader.clock.due() == 0
    assert reader.read(40, 0)
    reader.flow.resume_writing()
    reader.clock.move(3_600)
    assert reader.clock.due() == 0
    reader.flow.pause_writing()
    reader.clock.now += 3_600  # and no timer was called
    reader.clock.move(0)
    assert reader.clock.due() == 1
    assert not reader.wire.aborted


class Left(asyncio.Protocol):
    """It writes an answer that waits, closes, and leaves the rest to its flow."""

    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self.flow = Flow(transport, asyncio.get_running_loop())
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        transport.write(bytes(HIGH_WATER_BYTES + PIECE_BYTES))
        transport.close()
        self.waiting = transport.get_write_buffer_size()
        self.flow.closing()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.flow.lost()
        self.over.set_result(exc)


async def test_what_is_left_at_the_end_does_not_hold_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """To close goes on sending, for ever where nobody takes it."""
    monkeypatch.setattr(flow, "IDLE_S", 0.0)
    monkeypatch.setattr(flow, "SLOWEST", 1e9)
    protocols = []

    def made() -> Left:
        protocols.append(Left())
        return protocols[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(made, "127.0.0.1", 0)
    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        small.setblocking(False)
        await loop.sock_connect(small, server.sockets[0].getsockname())
        await until(lambda: protocols)
        async with asyncio.timeout(PATIENCE_S):
            await protocols[0].over
        assert protocols[0].waiting > 0
    server.close()
