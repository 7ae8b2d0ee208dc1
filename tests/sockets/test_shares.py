"""One team takes all that it can; another uploads, connects and reads as if nothing were. Over real connections."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from hub.services.teams import create_team
from hub.sockets.player.registry import CONNECTIONS_MOST
from hub.store.database import Database
from tests.end_to_end.test_large_files import recording
from tests.harness import Hub, make_team, running_hub, settings
from tests.media import picture
from tests.operator import operator
from tests.quotas import settings_of

BOUNDARY = b"x-part"
OPENING = b'--x-part\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


@asynccontextmanager
async def two_teams(folder: Path, **groups: Any) -> AsyncIterator[tuple[Hub, Hub]]:
    """The hub as the greedy team has it, and as the other one has it."""
    config = settings(folder, **groups)
    greedy = await make_team(config.database_url)
    db = Database(config.database_url)
    await db.start()
    _, key = await create_team(db, name="Other", email="other@example.com", password="correct horse battery")
    await db.stop()
    async with running_hub(config, greedy) as hub:
        other = Hub(hub._server, hub.port, key)
        async with other.client:
            yield hub, other


class Drip:
    """An upload that never ends. `status` is 100 when it has a place, else that of the refusal."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, key: str | None) -> None:
        self.reader, self.writer = reader, writer
        self.head = (
            f"{'PUT' if key is None else 'POST'} {path} HTTP/1.1\r\nhost: hub\r\nexpect: 100-continue\r\n"
            "content-length: 1000000\r\n"
        )
        self.head += (
            "content-type: image/png\r\n"
            if key is None
            else f"authorization: Bearer {key}\r\ncontent-type: multipart/form-data; boundary=x-part\r\n"
        )

    async def begin(self) -> tuple[int, dict[str, Any]]:
        """(status, the body of a refusal)."""
        self.writer.write(self.head.encode() + b"\r\n")
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status = int(head.split()[1])
            if status == 100:
                self.writer.write(OPENING + b"\x89PNG")
                return status, {}
            length = next(int(line[16:]) for line in head.lower().split("\r\n") if line.startswith("content-length: "))
            return status, json.loads(await self.reader.readexactly(length))


@asynccontextmanager
async def drips(hub: Hub, number: int) -> AsyncIterator[list[tuple[int, dict[str, Any]]]]:
    """So many slow uploads, by form and by signed address in turn; what became of each."""
    async with AsyncExitStack() as stack:
        outcomes = []
        for turn in range(number):
            path, key = "/api/v1/assets", hub.key
            if turn % 2:
                asked = {"filename": "a.png", "mime_type": "image/png"}
                made = (await hub.client.post("/api/v1/assets/upload-url", json=asked)).json()
                path, key = made["upload_url"].partition(str(hub.port))[2], None
            reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            stack.push_async_callback(_closed, writer)
            outcomes.append(await Drip(reader, writer, path, key).begin())
        yield outcomes


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def upload(client: httpx2.AsyncClient) -> httpx2.Response:
    return await client.post("/api/v1/assets", files={"file": ("a.png", picture(), "image/png")})


async def test_dripping_uploads_of_one_team_leave_places_to_the_others(tmp_path: Path) -> None:
    async with two_teams(tmp_path) as (greedy, other):
        async with drips(greedy, 40) as outcomes:
            answer = await upload(other.client)
            assert answer.status_code == 201, answer.text
            asked = {"filename": "b.png", "mime_type": "image/png"}
            url = (await other.client.post("/api/v1/assets/upload-url", json=asked)).json()["upload_url"]
            assert (await put(other, url)).status_code in (200, 201)

            let_in = [status for status, _ in outcomes if status == 100]
            refused = [(status, body) for status, body in outcomes if status != 100]
            assert len(let_in) == 16
            assert {status for status, _ in refused} == {429}
            assert {body["code"] for _, body in refused} == {"quota_exceeded"}
            assert "quota uploads" in refused[0][1]["message"]
            assert "at most 16" in refused[0][1]["message"]
        await once_let_in(lambda: upload(greedy.client), 201)


async def test_sockets_streams_and_waits_of_one_team_leave_places_to_the_others(tmp_path: Path) -> None:
    few = settings_of(operator_sockets=3, event_streams=3, waiting_requests=3)
    async with two_teams(tmp_path, quotas=few) as (greedy, other), AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(operator(greedy.url, greedy.key))
            stream = greedy.client.stream("GET", "/api/v1/events", headers={"accept": "text/event-stream"})
            answer = await stack.enter_async_context(stream)
            assert answer.status_code == 200
        with pytest.raises(InvalidStatus) as refused:
            await stack.enter_async_context(operator(greedy.url, greedy.key))
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["retry-after"] == "30"
        assert b"quota operator_sockets" in refused.value.response.body
        full = await greedy.client.get("/api/v1/events", headers={"accept": "text/event-stream"})
        assert (full.status_code, full.json()["code"]) == (429, "quota_exceeded")

        waiting = {asyncio.create_task(long_poll(greedy)) for _ in range(4)}
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        [answer] = [task.result() for task in done]
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")

        told = (await greedy.client.get("/api/v1/team/limits")).json()["data"]
        used = {quota["name"]: (quota["used"], quota["limit"]) for quota in told["quotas"]}
        assert {used[name] for name in few} == {(3, 3)}

        async with operator(other.url, other.key) as there:
            await there.subscribe("players")
            async with other.client.stream("GET", "/api/v1/events", headers={"accept": "text/event-stream"}) as answer:
                assert answer.status_code == 200
                polled = asyncio.create_task(long_poll(other))
                player_id, token = await other.player("Lobby")
                assert (await there.until("event", event="player.created"))["data"]["player_id"] == player_id
                assert (await polled).status_code == 200
                async with other.connected(token):
                    await there.until("event", event="player.online")
        await greedy.player("Hall")
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 3
        assert (await long_poll(greedy, 1)).status_code == 200
        await stack.aclose()
        await once_let_in(lambda: stream_status(greedy), 200)


async def test_readers_of_one_teams_files_leave_places_to_the_others(tmp_path: Path) -> None:
    """They take a little and then nothing, through a signed link and with a key."""
    async with two_teams(tmp_path, quotas=settings_of(downloads=3)) as (greedy, other), AsyncExitStack() as stack:
        recording(tmp_path / "large.wav", 4 << 20, b"end")
        form = {"file": ("large.wav", (tmp_path / "large.wav").read_bytes())}
        large = (await greedy.client.post("/api/v1/assets", files=form)).json()["data"]
        small = (await upload(greedy.client)).json()["data"]
        for path in (f"/api/v1/assets/{large['id']}/download", *[large["url"].partition(str(greedy.port))[2]] * 2):
            await stack.enter_async_context(unread(greedy, path))

        told = (await greedy.client.get("/api/v1/team/limits")).json()["data"]["quotas"]
        assert [(quota["used"], quota["limit"]) for quota in told if quota["name"] == "downloads"] == [(3, 3)]
        for url in (small["url"], small["thumbnail_url"]):
            async with greedy.as_(None) as nobody:
                refused = await nobody.get(url)
            assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
            assert refused.headers["retry-after"] == "10"

        theirs = (await upload(other.client)).json()["data"]
        async with other.as_(None) as nobody:
            assert (await nobody.get(theirs["url"])).status_code == 200
        await stack.aclose()
        await once_let_in(lambda: greedy.client.get(f"/api/v1/assets/{small['id']}/download"), 200)


@asynccontextmanager
async def unread(hub: Hub, path: str) -> AsyncIterator[None]:
    """A download of which nobody reads more than the first bytes of its head."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", hub.port))
    reader, writer = await asyncio.open_connection(sock=narrow, limit=1)
    credential = "" if "?" in path else f"authorization: Bearer {hub.key}\r\n"
    writer.write(f"GET {path} HTTP/1.1\r\nhost: hub\r\n{credential}\r\n".encode())
    async with asyncio.timeout(60):
        assert await reader.readexactly(12) == b"HTTP/1.1 200"
    yield
    writer.transport.abort()


async def put(hub: Hub, url: str) -> httpx2.Response:
    async with hub.as_(None) as nobody:
        return await nobody.put(url, content=picture())


async def once_let_in(call: Callable[[], Awaitable[httpx2.Response]], status: int) -> None:
    """Call until the hub has seen that those who had the places are gone."""
    answer = await call()
    while answer.status_code == 429:
        answer = await call()
    assert answer.status_code == status


async def stream_status(hub: Hub) -> httpx2.Response:
    async with hub.client.stream("GET", "/api/v1/events", headers={"accept": "text/event-stream"}) as answer:
        return answer


async def long_poll(hub: Hub, seconds: int = 25) -> httpx2.Response:
    headers = {"prefer": f"wait={seconds}"}
    return await hub.client.get("/api/v1/events", params={"after": "latest"}, headers=headers)


async def test_uploads_of_one_teams_players_leave_room_to_the_others(tmp_path: Path) -> None:
    async with two_teams(tmp_path, quotas=settings_of(player_uploads=1_000_000)) as (greedy, other):
        players = [await team.player() for team in (greedy, other)]
        async with greedy.connected(players[0][1]) as theirs, other.connected(players[1][1]) as ours:
            await theirs.send(**announcement(1, 900_000))
            await theirs.until("upload_ready")
            await theirs.send(**announcement(2, 900_000))
            refused = await theirs.until("upload_failed")
            assert (refused["upload"], refused["code"]) == (2, "quota_exceeded")
            assert "quota player_uploads" in refused["message"]
            await ours.send(**announcement(1, 900_000))
            await ours.until("upload_ready")


async def test_one_player_has_few_connections_at_one_time(tmp_path: Path) -> None:
    async with two_teams(tmp_path) as (greedy, other), AsyncExitStack() as stack:
        _, token = await greedy.player()
        for _ in range(CONNECTIONS_MOST):
            await stack.enter_async_context(greedy.socket(token))  # none says hello
        with pytest.raises(InvalidStatus) as refused:
            await stack.enter_async_context(greedy.socket(token))
        assert refused.value.response.status_code == 429
        assert b"too_many_connections" in refused.value.response.body
        _, ours = await other.player()
        async with other.connected(ours):
            pass


def announcement(number: int, size: int) -> dict[str, Any]:
    return {
        "type": "upload",
        "upload": number,
        "kind": "logs",
        "mime": "text/plain",
        "size": size,
        "sha256": hashlib.sha256(bytes([number])).hexdigest(),
        "captured_at": "2026-03-29T14:50:00Z",
        "source": "simulated",
    }
