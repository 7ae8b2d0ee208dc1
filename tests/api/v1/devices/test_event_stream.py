"""The event log as a stream (text/event-stream), read as a browser's EventSource reads it."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from hub.api.v1.devices import events as module
from tests.harness import Hub, running_hub, settings
from tests.waiting import PATIENCE_S

STREAM = {"Accept": "text/event-stream"}


class Source:
    """What an EventSource keeps: the fields of each event, and the last id."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.last_id: str | None = None
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next event; comments are passed over. Raises StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = await anext(self._lines)
                if not line and "data" in fields:
                    self.last_id = fields["id"]
                    message: dict[str, Any] = orjson.loads(fields["data"])
                    assert (message["cursor"], message["event"]) == (fields["id"], fields["event"])
                    return message
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value

    async def opened(self) -> None:
        """Wait for the comment that says from where on everything is told."""
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(self._lines)).startswith(":")

    async def ended(self) -> None:
        with pytest.raises(StopAsyncIteration):
            while True:
                await self.next()


@asynccontextmanager
async def source(client: httpx2.AsyncClient, last_id: str | None = None, **query: Any) -> AsyncIterator[Source]:
    headers = STREAM | ({} if last_id is None else {"Last-Event-ID": last_id})
    async with client.stream("GET", "/api/v1/events", params=query, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream"
        one = Source(answer)
        await one.opened()
        yield one


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings(tmp_path)) as hub:
        yield hub


async def test_what_happens_comes_as_the_pages_have_it(hub: Hub) -> None:
    async with source(hub.client) as one:
        await hub.player("Lobby")
        event = await one.next()
    page = (await hub.client.get("/api/v1/events", params={"event": "player.created"})).json()
    assert page["data"] == [event]


async def test_the_last_id_resumes(hub: Hub) -> None:
    async with source(hub.client) as one:
        await hub.player("First")
        await one.next()
        last_id = one.last_id
    await hub.player("Second")
    async with source(hub.client, last_id) as again:
        told = [(await again.next())["event"] for _ in range(3)]
        assert told == ["token.issued", "player.created", "token.issued"]
    async with source(hub.client, after=last_id) as by_query:
        assert (await by_query.next())["event"] == "token.issued"


async def test_a_cursor_that_leads_nowhere_is_refused(hub: Hub) -> None:
    log_id = await hub.services.events.log_id()
    for cursor in ("other-1", "nonsense", f"{log_id}-99999999", "x" * 500):
        answer = await hub.client.get("/api/v1/events", headers=STREAM | {"Last-Event-ID": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_cursor")


async def test_only_what_was_asked_for_and_may_be_seen_is_told(hub: Hub) -> None:
    made = await hub.client.post("/api/v1/api-keys", json={"name": "Weak", "scopes": ["read:players"]})
    player_id, _ = await hub.player("First")
    async with hub.as_(made.json()["data"]["key"]) as weak, source(weak, player_id=player_id) as one:
        await hub.player("Second")  # another player, and tokens are for admins
        await hub.command(player_id, "identify")
        await hub.client.patch(f"/api/v1/players/{player_id}", json={"name": "Renamed"})
        assert [(await one.next())["event"] for _ in range(2)] == ["command.queued", "player.updated"]
    async with source(hub.client, event=["player.deleted"]) as only:
        await hub.player("Third")
        await hub.client.delete(f"/api/v1/players/{player_id}")
        assert (await only.next())["event"] == "player.deleted"


async def ending(hub: Hub) -> httpx2.AsyncClient:
    """A caller whose key ends within seconds: whole ones, at least one of which is left."""
    ends_at = datetime.fromtimestamp(int(time.time()) + 3, UTC).isoformat()
    body = {"name": "Guest", "scopes": ["read:players"], "expires_at": ends_at}
    return hub.as_((await hub.client.post("/api/v1/api-keys", json=body)).json()["data"]["key"])


async def over(client: httpx2.AsyncClient) -> None:
    """Return when the credential has ended, as every call says."""
    async with asyncio.timeout(PATIENCE_S):
        while (await client.get("/api/v1/me")).status_code == 200:
            pass


async def test_nothing_is_told_after_the_end_of_a_key(hub: Hub) -> None:
    async with await ending(hub) as guest, source(guest) as one:
        waiting = asyncio.create_task(
            guest.get("/api/v1/events", params={"after": "latest"}, headers={"Prefer": "wait=30"})
        )
        await over(guest)
        await hub.player("Lobby")
        with pytest.raises(StopAsyncIteration):
            await one.next()
        assert (await waiting).json()["data"] == []


async def test_a_call_that_waits_is_told_nothing_after_a_revocation(hub: Hub) -> None:
    body = {"name": "Guest", "scopes": ["read:players"]}
    made = (await hub.client.post("/api/v1/api-keys", json=body)).json()["data"]
    after = (await hub.client.get("/api/v1/events", params={"after": "latest"})).json()["meta"]["next"]
    async with hub.as_(made["key"]) as guest:
        waiting = asyncio.create_task(
            guest.get("/api/v1/events", params={"after": after}, headers={"Prefer": "wait=30"})
        )
        async with asyncio.timeout(PATIENCE_S):
            while not hub.services.waits.taken:
                await hub.client.get("/healthz")
        await hub.client.delete(f"/api/v1/api-keys/{made['id']}")
        await hub.player("Lobby")
        assert (await waiting).json() == {"data": [], "meta": {"next": after}}


async def test_a_revoked_key_ends_its_stream(hub: Hub) -> None:
    made = (await hub.client.post("/api/v1/api-keys", json={"name": "Old", "scopes": ["read:players"]})).json()["data"]
    async with hub.as_(made["key"]) as client, source(client) as one:
        await hub.client.delete(f"/api/v1/api-keys/{made['id']}")
        await one.ended()


async def test_a_slow_reader_ends_and_goes_on_where_it_was(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    player_id, _ = await hub.player()
    notice = partial(hub.services.presence.noticed, player_id, "picture.black")
    numbers: list[int] = []

    async def read_to_the_end(stream: Source) -> None:
        with suppress(StopAsyncIteration):
            while True:
                numbers.append((await stream.next())["data"]["detail"]["number"])

    async with source(hub.client) as one:
        await notice({"number": 0})
        numbers.append((await one.next())["data"]["detail"]["number"])
        monkeypatch.setattr(module, "WAITING", 0)  # how many events wait for a reader
        reading = asyncio.create_task(read_to_the_end(one))
        written = 1
        while not reading.done():  # the first of them may be read from the past, for which nobody is too slow
            await notice({"number": written})
            written += 1
        await reading
        last_id = one.last_id
    assert len(numbers) < written
    monkeypatch.undo()
    async with source(hub.client, last_id) as again:
        while len(numbers) < written:
            numbers.append((await again.next())["data"]["detail"]["number"])
    assert numbers == list(range(written))


async def test_streams_end_when_the_hub_stops(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with running_hub(settings(tmp_path)) as hub:
            client = await stack.enter_async_context(hub.as_(hub.key))
            one = await stack.enter_async_context(source(client))
        await one.ended()


async def test_readers_that_hang_up_while_their_past_is_read_write_nothing_into_the_log(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    """Statements are cancelled then, wherever they are, and connections to the database given up."""
    await hub.player("Lobby")
    cursor = (await hub.client.get("/api/v1/events", params={"limit": 1})).json()["meta"]["next"]
    request = (
        f"GET /api/v1/events?after={cursor} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {hub.key}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    ).encode()

    async def hang_up(turns: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(request)
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.transport.abort()

    for turns in range(0, 240, 4):
        await asyncio.gather(*(hang_up(turns + more) for more in range(4)))
    assert (await hub.client.get("/api/v1/players")).status_code == 200
    while hub._server.server_state.tasks:
        await asyncio.wait(tuple(hub._server.server_state.tasks), timeout=PATIENCE_S)
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
