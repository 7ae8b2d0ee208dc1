"""What a hub that stops still owes to those who wait for it, who send, and who read."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hub.server import HubHttp
from tests.harness import running_hub, settings
from tests.raw_http import answers
from tests.receiver import Receiver, silence
from tests.waiting import PATIENCE_S

LONG = {"Prefer": "wait=30"}  # what is under way has ten seconds until it is cancelled, with an error in the log


@pytest.fixture(autouse=True)
def nothing_is_logged_as_an_error(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Iterator[None]:
    gc.collect()  # futures that tests before this one left to nobody are told of when they are collected
    before = len(caplog.get_records("setup"))
    yield
    assert capsys.readouterr().err == ""  # where uvicorn writes
    said = [*caplog.get_records("setup")[before:], *caplog.get_records("call")]
    assert [record.getMessage() for record in said if record.levelno >= logging.ERROR] == []


async def test_requests_that_wait_answer_with_what_they_know(tmp_path: Path) -> None:
    async with Receiver(silence) as receiver, AsyncExitStack() as stack:
        async with running_hub(settings(tmp_path, webhooks={"allow_networks": ["127.0.0.0/8"]})) as hub:
            client = await stack.enter_async_context(hub.as_(hub.key))
            player_id, _ = await hub.player()
            earlier = await hub.command(player_id, "identify")
            webhook = await client.post("/api/v1/webhooks", json={"url": receiver.url, "events": ["player.created"]})
            begun = (await client.get("/api/v1/events", params={"after": "latest"})).json()["meta"]["next"]
            body = {"player_id": player_id, "command": "reboot"}
            calls = [
                client.post("/api/v1/commands", json=body, headers=LONG),
                client.post(f"/api/v1/players/{player_id}/commands", json={"command": "reboot"}, headers=LONG),
                client.get(f"/api/v1/commands/{earlier}", headers=LONG),
                client.get("/api/v1/events", params={"after": begun, "event": "player.online"}, headers=LONG),
                client.post(f"/api/v1/webhooks/{webhook.json()['data']['id']}/ping", headers=LONG),
            ]
            waiting = [asyncio.create_task(call) for call in calls]
            await receiver.heard.get()
            while hub.services.waits.taken < len(calls):  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0)
        sent, spot, story, page, ping = await asyncio.gather(*waiting)
        for answer in (sent, spot):
            assert answer.status_code == 202, answer.text
            assert answer.json()["command_id"] == answer.headers["location"].rpartition("/")[2]
            assert answer.json()["status"] == "queued"
        assert (story.status_code, story.json()["data"]["status"]) == (200, "queued")
        assert (page.status_code, page.json()["data"]) == (200, [])
        assert int(page.json()["meta"]["next"].partition("-")[2]) > int(begun.partition("-")[2])
        assert (ping.status_code, ping.json()["data"]["state"]) == (202, "pending")


async def test_a_stream_ends_and_whoever_waits_anew_is_not_held(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with running_hub(settings(tmp_path)) as hub:
            client = await stack.enter_async_context(hub.as_(hub.key))
            stream = client.stream("GET", "/api/v1/events", headers={"accept": "text/event-stream"})
            answer = await stack.enter_async_context(stream)
            lines = answer.aiter_lines()
            assert await anext(lines) == ": from here on"
            hub.services.patience.end()
            page = await client.get("/api/v1/events", params={"after": "latest"}, headers=LONG)
            assert (page.status_code, page.json()["data"]) == (200, [])
        assert [line async for line in lines] == [""]  # and a whole end, no broken one


async def test_whoever_is_still_sending_is_told_to_come_back(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        head = f"POST /api/v1/players HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {hub.key}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(head.encode() + b"Content-Length: 17\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            await reader.readuntil(b"100 Continue\r\n\r\n")
        reading = asyncio.create_task(reader.read())
        reading.add_done_callback(lambda _: writer.close())
    [refusal] = answers(await reading)
    assert (refusal.status, refusal.json["code"], refusal.headers["retry-after"]) == (503, "draining", "5")


async def test_nobody_who_reads_slowly_holds_it_up(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, running_hub(settings(tmp_path)) as hub:
        _, writer = await asyncio.open_connection("127.0.0.1", hub.port, limit=1)
        stack.callback(writer.close)
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: hub\r\n\r\n" * 50)  # more than all buffers hold
        while not any(  # noqa: ASYNC110 - no event tells of it
            one.flow.write_paused for one in hub._server.server_state.connections if isinstance(one, HubHttp)
        ):
            await asyncio.sleep(0)
