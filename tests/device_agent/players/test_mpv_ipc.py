"""The link against a scripted far end: literal lines, as mpv sends them and as it should not."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from device_agent.players.base import PlayerError
from device_agent.players.mpv_ipc import OPEN_REQUESTS, REPLY_BYTES, MpvLink


@dataclass
class Wire:
    """The link, what it reported, and mpv's end of the connection."""

    link: MpvLink
    events: "asyncio.Queue[dict[str, Any]]"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def asked(self) -> dict[str, Any]:
        request: dict[str, Any] = json.loads(await self.reader.readline())
        return request

    def say(self, line: bytes) -> None:
        self.writer.write(line + b"\n")


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    ours, theirs = socket.socketpair()
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    link = await MpvLink.over(ours, events.put_nowait)
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    yield Wire(link, events, reader, writer)
    await link.close()
    writer.transport.abort()


async def test_replies_find_their_requests_in_any_order(wire: Wire) -> None:
    first = asyncio.create_task(wire.link.request("get_property", "volume"))
    second = asyncio.create_task(wire.link.request("get_property", "path"))
    one, two = await wire.asked(), await wire.asked()
    assert (one["command"], two["command"]) == (["get_property", "volume"], ["get_property", "path"])
    wire.say(json.dumps({"request_id": two["request_id"], "error": "success", "data": "/a.png"}).encode())
    wire.say(json.dumps({"request_id": one["request_id"], "error": "success", "data": 40.0}).encode())
    assert (await first, await second) == (40.0, "/a.png")


async def test_a_refusal_is_an_error_with_mpvs_words(wire: Wire) -> None:
    asking = asyncio.create_task(wire.link.request("get_property", "path"))
    number = (await wire.asked())["request_id"]
    wire.say(json.dumps({"request_id": number, "error": "property unavailable"}).encode())
    with pytest.raises(PlayerError, match="property unavailable") as refused:
        await asking
    assert refused.value.code == "player_refused"


async def test_events_arrive_in_order_and_nonsense_is_skipped(wire: Wire) -> None:
    wire.say(b'{"event":"start-file","playlist_entry_id":1}')
    wire.say(b"\xff\xfe not json")
    wire.say(b'{"request_id":99,"error":"success"}')
    wire.say(b'{"event":"idle"}')
    assert [(await wire.events.get())["event"] for _ in range(2)] == ["start-file", "idle"]


async def test_without_an_answer_the_request_times_out_and_a_late_answer_is_ignored(wire: Wire) -> None:
    with pytest.raises(PlayerError) as refused:
        await wire.link.request("get_property", "volume", timeout=0.01)
    assert refused.value.code == "timeout"
    late = await wire.asked()
    wire.say(json.dumps({"request_id": late["request_id"], "error": "success", "data": 1}).encode())
    asking = asyncio.create_task(wire.link.request("get_property", "volume"))
    number = (await wire.asked())["request_id"]
    wire.say(json.dumps({"request_id": number, "error": "success", "data": 2}).encode())
    assert await asking == 2


async def test_when_mpv_goes_away_waiting_and_later_requests_fail(wire: Wire) -> None:
    asking = asyncio.create_task(wire.link.request("get_property", "volume"))
    await wire.asked()
    wire.writer.close()
    for call in (asking, wire.link.request("get_property", "volume")):
        with pytest.raises(PlayerError) as refused:
            await call
        assert refused.value.code == "player_down"
    assert (await wire.events.get())["event"] == "closed"


async def test_an_endless_line_ends_the_connection(wire: Wire) -> None:
    wire.say(b"x" * (2 * REPLY_BYTES + 1))
    assert (await wire.events.get())["event"] == "closed"


async def test_requests_in_flight_are_bounded(wire: Wire) -> None:
    waiting = [asyncio.create_task(wire.link.request("get_property", "volume")) for _ in range(OPEN_REQUESTS)]
    for _ in waiting:
        await wire.asked()
    with pytest.raises(PlayerError, match="too many"):
        await wire.link.request("get_property", "volume")
    wire.writer.close()
    assert all(isinstance(error, PlayerError) for error in await asyncio.gather(*waiting, return_exceptions=True))
