"""Whatever arrives at the port of a real hub, byte by byte: a clear answer or an end, nothing changed, nothing kept."""

import asyncio
import json
import os
import shutil
import sqlite3
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hub.protocol.codec import MAX_TEXT_BYTES
from hub.server import HEAD_TIMEOUT_S, MAX_HEAD_BYTES
from tests.faults.stage import Nursery, RemoteHub, remote_hub
from tests.faults.storm import Template
from tests.harness import CAPABILITIES
from tests.ports import free_port

END_S = 20.0  # for the hub to end a connection; its own limits are 5 s for a close and 10 s for a head
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

CLEAR = {1000, 1002, 1003, 1007, 1009, 4000, 4008, 4009, 4029}
"""Close codes that say what was wrong. 1011 and 1012 would say that something is wrong with the hub."""

HELLO = {
    "type": "hello",
    "agent": {"name": "fuzz", "version": "1"},
    "boot_id": "boot-1",
    "hardware_id": "hw-1",
    "clock": "2026-01-01T00:00:00Z",
    "capabilities": CAPABILITIES,
    "player": {"kind": "simulated", "version": "1"},
    "journal": [],
}


@dataclass(frozen=True, slots=True)
class Target:
    """The hub under attack, and what is needed to see whether it took harm."""

    hub: RemoteHub
    pid: int
    data: Path
    template: Template

    def stored(self) -> dict[str, list[Any]]:
        """Every row that a player could have written, but for those of its connection: that is presence's job."""
        db = sqlite3.connect(f"file:{self.data / 'hub.db'}?mode=ro", uri=True, timeout=10)
        try:
            tables = ("team", "api_key", "player", "command", "screenshot", "upload", "webhook", "player_group")
            rows = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
            rows["events"] = db.execute("SELECT type FROM event WHERE type NOT LIKE 'player.%line'").fetchall()
            return rows
        finally:
            db.close()

    def memory_kb(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise OSError("the kernel does not tell the memory of a process")


@pytest.fixture
async def target(born: Nursery, template: Template, tmp_path: Path) -> AsyncIterator[Target]:
    """A hub of its own; at the end it still answers, has written nothing, and stops when it is told to."""
    data = tmp_path / "hub"
    shutil.copytree(template.folder, data)
    port = free_port()
    async with born.attached():
        life = born.bear("hub", tmp_path / "hub.log", data=str(data), port=port)
        async with remote_hub(life, port, template.key) as hub:
            target = Target(hub, await life.born, data, template)
            before = _but_capabilities(target.stored())
            yield target
            assert await hub.healthy()
            assert _but_capabilities(target.stored()) == before
        assert await life.stop() == 0
    assert "Traceback" not in life.said()


def _but_capabilities(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What a hello says of the device is stored with the player, and is meant to be."""
    return rows | {"player": [row[:2] for row in rows["player"]]}


class Raw:
    """A TCP connection to the hub, without anything in between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """As far as the hub still listens."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def rest(self) -> bytes:
        """All that comes until the hub ends the connection. Raises TimeoutError when it does not."""
        received = b""
        async with asyncio.timeout(END_S):
            try:
                while data := await self.reader.read(65_536):
                    received += data
            except ConnectionError:
                pass
        return received


@asynccontextmanager
async def raw(target: Target) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.hub.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def upgraded(target: Target, *, hello: bool = True) -> AsyncIterator[Raw]:
    """A player's connection after the handshake, and after the welcome if it says hello."""
    async with raw(target) as connection:
        await connection.send(
            b"GET /ws/player HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: signalbox.v1\r\n"
            b"Authorization: Bearer " + target.template.token.encode() + b"\r\n\r\n"
        )
        head = await connection.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        if hello:
            await connection.send(frame(TEXT, json.dumps(HELLO).encode()))
            assert b'"welcome"' in (await _one_frame(connection.reader))[1]
        yield connection


def frame(opcode: int, data: bytes, *, fin: bool = True, masked: bool = True, length: int | None = None) -> bytes:
    """A frame as a client writes it; `length` is what its head claims."""
    size = len(data) if length is None else length
    first, mask = opcode | (0x80 if fin else 0), 0x80 if masked else 0
    if size < 126:
        head = bytes((first, mask | size))
    elif size < 65_536:
        head = bytes((first, mask | 126)) + struct.pack(">H", size)
    else:
        head = bytes((first, mask | 127)) + struct.pack(">Q", size)
    return head + (bytes(4) if masked else b"") + data  # a mask of zeros leaves the bytes as they are


async def _one_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """(opcode, data) of the hub's next frame."""
    async with asyncio.timeout(END_S):
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
        return first & 0x0F, await reader.readexactly(size)


async def ending(connection: Raw, *, polite: bool = True) -> int | None:
    """Read to the end: the hub's close code, None when it only hung up. `polite` answers a close, as a client does."""
    code = None
    try:
        while True:
            opcode, data = await _one_frame(connection.reader)
            if opcode == CLOSE:
                code = int.from_bytes(data[:2]) if data else 1000
                if polite:
                    await connection.send(frame(CLOSE, data[:2]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return code


# Frames --------------------------------------------------------------------------------------------------------------

MESSAGES = st.sampled_from(
    [
        "ack",
        "result",
        "telemetry",
        "upload",
        "settings",
        "event",
        "plays",
        "progress",
        "hello",
        "welcome",
        "nonsense",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["id", "status", "upload", "size", "sha256", "kind", "reported", "entries", "percent", "journal"]
)
OBJECTS = st.builds(
    lambda kind, fields: json.dumps({"type": kind} | fields).encode(),
    MESSAGES,
    st.dictionaries(NAMES, VALUES, max_size=4),
)
FRAMES = st.one_of(
    st.builds(frame, st.just(TEXT), OBJECTS),
    st.builds(frame, st.just(TEXT), st.binary(max_size=200)),
    st.builds(frame, st.just(TEXT), st.text(max_size=100).map(str.encode), fin=st.booleans()),
    st.builds(frame, st.just(BINARY), st.binary(max_size=300), fin=st.booleans()),
    st.builds(frame, st.just(CONTINUATION), st.binary(max_size=100), fin=st.booleans()),
    st.builds(frame, st.sampled_from([CLOSE, PING, PONG]), st.binary(max_size=130)),
    st.builds(frame, st.integers(0, 15), st.binary(max_size=50), masked=st.booleans()),
    st.builds(frame, st.just(TEXT), st.binary(max_size=20), length=st.integers(0, 2**63 - 1)),
    st.binary(min_size=1, max_size=100),
)


@pytest.mark.timeout(100)
async def test_a_fuzzed_stream_of_frames_ends_clearly_and_changes_nothing(target: Target) -> None:
    loop = asyncio.get_running_loop()

    async def attack(frames: Sequence[bytes], hello: bool) -> int | None:
        async with upgraded(target, hello=hello) as connection:
            await connection.send(b"".join(frames))
            connection.writer.write_eof()
            return await ending(connection, polite=False)

    @examples(
        max_examples=100,  # one player connects 120 times at once
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(FRAMES, min_size=1, max_size=8), st.booleans())
    def fuzz(frames: list[bytes], hello: bool) -> None:
        code = asyncio.run_coroutine_threadsafe(attack(frames, hello), loop).result(60)
        assert code is None or code in CLEAR, f"{code} after {frames}"

    await asyncio.to_thread(fuzz)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(TEXT, b"{", masked=False)], 1002),
        ([frame(TEXT, b"\xff\xfe")], 1007),
        ([frame(TEXT, b"no JSON")] * 20, 4000),
        ([frame(TEXT, b"x" * (MAX_TEXT_BYTES + 1))], 1009),
        ([frame(TEXT, b"", length=2**40)], 1009),
        ([frame(TEXT, b"x" * 1000, fin=False)] + [frame(CONTINUATION, b"x" * 60_000, fin=False)] * 6, 1009),
        ([frame(CONTINUATION, b"of nothing")], 1002),
        ([frame(TEXT, b"one", fin=False), frame(TEXT, b"another")], 1002),
        ([frame(0x3, b"reserved")], 1002),
        ([frame(PING, b"x" * 126)], 1002),
        ([frame(TEXT, json.dumps(HELLO).encode())], 4000),
        ([frame(BINARY, struct.pack(">IQ", 9, 0) + b"no such upload")] * 20, 4000),
    ],
)  # fmt: skip
async def test_each_broken_rule_has_its_close_code(target: Target, frames: list[bytes], code: int) -> None:
    async with upgraded(target) as connection:
        await connection.send(b"".join(frames))
        assert await ending(connection) == code


# Heads ---------------------------------------------------------------------------------------------------------------


async def test_a_head_that_never_ends_is_hung_up_on(target: Target) -> None:
    """Half a head, and one that comes a byte at a time: both have as long as a whole head has."""
    loop = asyncio.get_running_loop()

    async def half() -> float:
        async with raw(target) as connection:
            began = loop.time()
            await connection.send(b"GET /healthz HTTP/1.1\r\nHost: hub\r\nX-Slow: ")
            assert await connection.rest() == b""
            return loop.time() - began

    async def drip() -> float:
        async with raw(target) as connection:
            began = loop.time()
            await connection.send(b"GET /ws/player HTTP/1.1\r\nX-Slow: ")
            over = asyncio.create_task(connection.rest())
            while not over.done():
                await connection.send(b"x")
                await asyncio.wait({over}, timeout=0.25)
            assert over.result() == b""
            return loop.time() - began

    lasted = await asyncio.gather(half(), drip())
    assert min(lasted) > HEAD_TIMEOUT_S / 2  # it was the limit that ended it, not something else


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES + 70_000), b"400"),
        (b"GET /" + b"x" * (MAX_HEAD_BYTES + 70_000), b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 30_000, b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00 a TLS hello\r\n\r\n", b"400"),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET /ws/player HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"400"),
        (b"GET /ws/player HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n", b"426"),
        (b"POST /api/v1/commands HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", b"401"),
    ],
    ids=["header", "path", "headers", "tls", "nonsense", "half-upgrade", "no-upgrade", "no-key"],
)
async def test_a_bad_head_gets_a_clear_answer_and_the_end(target: Target, head: bytes, answer: bytes) -> None:
    async with raw(target) as connection:
        await connection.send(head)
        received = await connection.rest()
        assert received.split(b" ", 2)[1:2] == [answer], received[:200]


# Memory --------------------------------------------------------------------------------------------------------------

FLOOD_BYTES = 64 << 20
MARGIN_KB = 8 << 10
"""What a flood may leave behind: an eighth of it, so that nothing of it can have been kept."""


async def test_a_flood_leaves_no_memory_behind(target: Target) -> None:
    await _flood(target, FLOOD_BYTES // 8)  # what is loaded and set up with the first of each kind is not the flood's
    await _settled(target)
    before = target.memory_kb()
    for _ in range(8):
        await _flood(target, FLOOD_BYTES // 8)
    await _settled(target)
    assert target.memory_kb() - before < MARGIN_KB


async def _flood(target: Target, size: int) -> None:
    """`size` bytes of what a hub must read and forget, and as much again of what it need not even read."""
    noise = os.urandom(MAX_TEXT_BYTES // 4).hex().encode()
    legal = frame(TEXT, b'{"type":"telemetry","volume":5,"unheard_of":"' + noise + b'"}')
    async with upgraded(target) as connection:
        for _ in range(size // len(legal)):
            await connection.send(legal)
        await connection.send(frame(PING, b"read it all?"))
        while (await _one_frame(connection.reader))[0] != PONG:
            pass
        await connection.send(frame(TEXT, noise, fin=False))  # and never the rest
    async with upgraded(target) as connection:
        upload = {"type": "upload", "upload": 1, "kind": "logs", "mime": "text/plain", "size": size}
        upload |= {"sha256": os.urandom(32).hex(), "captured_at": HELLO["clock"], "source": "fuzz"}
        await connection.send(frame(TEXT, json.dumps(upload).encode()))
        assert b"upload_ready" in (await _one_frame(connection.reader))[1]
        for offset in range(0, 4 * 65_536, 65_536):
            await connection.send(frame(BINARY, struct.pack(">IQ", 1, offset) + os.urandom(65_536)))
    for hello in (True, False):
        async with upgraded(target, hello=hello) as connection:
            await connection.send(frame(TEXT, os.urandom(size // 4)))
    for garbage in (b"GET / HTTP/1.1\r\nX: " + b"x" * (size // 4), os.urandom(size // 4)):
        async with raw(target) as connection:
            await connection.send(garbage)


async def _settled(target: Target) -> None:
    """Nobody is connected any more, so what belongs to a connection is gone."""
    while True:
        metrics = (await target.hub.client.get("/metrics")).text
        if "players_connected 0.0" in metrics:
            return
        await asyncio.sleep(0.05)  # an end of a connection is seen in the figures only
