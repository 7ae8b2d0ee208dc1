"""What a player's socket makes stored and remembered has an end, however often it sends and connects."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from hub.domain import presence
from hub.domain.ratelimit import Minute, Rule
from hub.sockets.budgets import KEPT_S, Budgets
from hub.sockets.operator import registry as operators
from hub.sockets.player import registry
from hub.sockets.transport import Budget, PlayerSocket
from hub.store import uploads as uploads_store
from tests.harness import Hub, running_hub, settings
from tests.media import picture
from tests.operator import operator
from tests.sockets.test_shares import two_teams


@pytest.fixture
async def either_hub(tmp_path: Path, database_url: str) -> AsyncIterator[Hub]:
    """A hub on either kind of database."""
    async with running_hub(settings(tmp_path, database_url)) as hub:
        yield hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings(tmp_path)) as hub:
        yield hub


async def refusal(hub: Hub, token: str) -> Response:
    """How a handshake with this token is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with hub.socket(token):
            pass
    return refused.value.response


async def detail(hub: Hub, player_id: int) -> dict[str, Any]:
    answer = await hub.client.get(f"/api/v1/players/{player_id}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def events(hub: Hub, kind: str) -> int:
    page = await hub.client.get("/api/v1/events", params={"event": kind, "limit": 1000})
    return len(page.json()["data"])


async def test_the_data_of_an_event_is_small(hub: Hub) -> None:
    _, token = await hub.player()
    async with hub.connected(token) as player:
        await player.send(type="event", name="storage.low", data={"x": "y" * 4_096})
        told = await player.until("error")
        assert (told["code"], told["message"]) == (
            "invalid_field",
            "data: must be a JSON object of at most 4096 bytes",
        )
        await player.send(type="event", name="storage.low", data={"x": "y" * 4_000})
        await hub.event("storage.low")
    assert await events(hub, "storage.low") == 1


async def test_events_of_a_day_have_an_end_that_no_new_connection_moves(
    either_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = either_hub
    monkeypatch.setattr(presence, "NOTICED_A_DAY", 3)
    player_id, token = await hub.player()
    _, other = await hub.player("Other")
    for _ in range(3):
        async with hub.connected(token) as player:
            await player.send(type="event", name="storage.low", data={})
            await player.send(type="event", name="picture.frozen", data={})
            await player.send(type="progress")  # refused: an answer comes when all before it is read
            await player.until("error")
    async with hub.connected(other) as player:
        await player.send(type="event", name="temperature.high", data={})
        await hub.event("temperature.high")
    assert await events(hub, "storage.low") + await events(hub, "picture.frozen") == 3
    assert (await detail(hub, player_id))["presence"]["picture_changing"]["value"] is False
    told = (await hub.client.get("/metrics")).text
    assert 'signalbox_device_events_total{outcome="stored"} 4.0' in told
    assert 'signalbox_device_events_total{outcome="dropped"} 3.0' in told


async def test_settings_that_a_player_reports_have_an_end(either_hub: Hub) -> None:
    hub = either_hub
    player_id, token = await hub.player()
    many = {f"k{number}": "v" * 20 for number in range(5_000)}
    async with hub.connected(token, settings={"volume": 10} | many) as player:
        for turn in range(3):
            await player.send(type="settings", reported={f"{name}-{turn}": value for name, value in many.items()})
            await hub.services.presence.flush()
        await player.send(
            type="settings", reported={"volume": 40, "large": "x" * 20_000}, failed={"brightness": "x" * 2_000}
        )
        while (told := await detail(hub, player_id))["reported"].get("volume") != 40:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert len(told["reported"]) <= presence.REPORTED_MOST
        assert "large" not in told["reported"]
        assert told["settings_failed"] == {"brightness": "x" * 500}
        await hub.services.presence.flush()
        assert (await detail(hub, player_id))["reported"]["volume"] == 40


@pytest.mark.parametrize("where", ["hello", "settings"])
async def test_a_player_cannot_write_the_hubs_own_notes(hub: Hub, where: str) -> None:
    player_id, token = await hub.player()
    notes = {"~picture": 5, "~failed": 5, "volume": 7}
    async with hub.connected(token, **({"settings": notes} if where == "hello" else {})) as player:
        if where == "settings":
            await player.send(type="settings", reported=notes)
        while (told := await detail(hub, player_id))["reported"].get("volume") != 7:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert told["settings_failed"] == {}
        assert told["presence"]["picture_changing"]["value"] is None


async def test_a_new_connection_begins_no_new_minute(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayerSocket, "FRAMES_A_MINUTE", 100)
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        for _ in range(60):
            await player.send(type="telemetry", volume=1)
        await player.send(type="progress")
        await player.until("error")
    async with hub.connected(token) as player:
        with pytest.raises(ConnectionClosed):
            for _ in range(60):
                await player.send(type="telemetry", volume=1)
            await player.until("command")
        assert (await player.closed())[0] == 4029
    response = await refusal(hub, token)
    assert response.status_code == 429
    assert b"sent_too_much" in response.body
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    _, other = await hub.player("Other")
    async with hub.connected(other):
        pass
    assert not (await detail(hub, player_id))["quarantined"]  # to knock is no flood


def test_what_is_remembered_of_budgets_goes_when_their_minute_is_over() -> None:
    budgets = Budgets()
    first = Budget(Minute(10), Minute(10), Minute(10))
    assert budgets.of(1, first) is first
    first.bytes.take(10, 100.0)
    assert budgets.wait(1, 130.0) == 30.0
    budgets.rest(1, 110.0)
    budgets.sweep(120.0)
    assert budgets.of(1, Budget(Minute(10), Minute(10), Minute(10))) is first
    budgets.sweep(110.0 + KEPT_S)
    assert len(budgets) == 1  # it is connected
    budgets.rest(1, 200.0)
    budgets.sweep(200.0 + KEPT_S)
    assert len(budgets) == 0


async def test_a_player_connects_so_often_and_no_more(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CONNECTIONS", Rule(3, 1, 3_600_000_000))
    _, token = await hub.player()
    _, other = await hub.player("Other")
    for _ in range(3):
        async with hub.connected(token) as player:
            await player.send(type="bye", reason="stopping")
            await player.closed()
    response = await refusal(hub, token)
    assert response.status_code == 429
    assert b"connects_too_often" in response.body
    assert int(response.headers["Retry-After"]) > 60
    async with hub.connected(other):
        pass


async def test_connections_of_a_day_leave_few_rows(either_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = either_hub
    monkeypatch.setattr(presence, "SESSIONS_A_DAY", 3)
    player_id, token = await hub.player()
    for _ in range(6):
        async with hub.connected(token) as player:
            await player.send(type="bye", reason="stopping")
            await player.closed()
        while (await detail(hub, player_id))["connected"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
    async with hub.connected(token):
        told = (await detail(hub, player_id))["presence"]
        assert (told["epoch"], told["connected"]["value"]) == (7, True)
        assert told["connected"]["since"] is not None  # its own row is there
    async with hub.services.players._db.session() as session:
        connection = await session.connection()
        rows = (await connection.execute(text("SELECT epoch FROM player_session ORDER BY epoch"))).all()
    assert [epoch for (epoch,) in rows] == [1, 2, 7]


async def test_uploads_of_a_day_have_an_end(either_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = either_hub
    monkeypatch.setattr(uploads_store, "A_DAY", 1)
    _, token = await hub.player()
    async with hub.connected(token) as player:
        for number, colour in enumerate(("red", "red", "blue"), 1):
            data = picture(color=colour)
            await player.send(
                type="upload", upload=number, kind="screenshot", mime="image/png", size=len(data),
                sha256=hashlib.sha256(data).hexdigest(), captured_at="2026-01-01T00:00:00Z", source="simulated",
            )  # fmt: skip
            if number == 1:
                await player.until("upload_ready")
                await player.connection.send(number.to_bytes(4) + (0).to_bytes(8) + data)
            if number < 3:
                await player.until("upload_done")  # the second is the first again
        assert (await player.until("upload_failed"))["code"] == "too_many_today"
    assert await events(hub, "screenshot.created") == 1


async def test_of_a_result_little_is_kept(either_hub: Hub) -> None:
    hub = either_hub
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        for status, size, expected in (
            ("succeeded", 40_000, ("failed", "detail_too_large")),
            ("failed", 40_000, ("failed", None)),
            ("succeeded", 20_000, ("succeeded", None)),
        ):
            command_id = await hub.command(player_id, "set_volume", {"volume": 30})
            await player.until("command")
            await player.send(type="ack", id=command_id)
            await player.result(command_id, status, volume=30, more="x" * size)
            await player.until("result_ok")
            story = await hub.story(command_id)
            assert (story["status"], story["error"] and story["error"]["code"]) == expected
            assert (story["detail"] is None) == (size > 32_768)


async def test_progress_of_one_team_keeps_none_of_another_from_its_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "PROGRESS_MOST", 1)
    async with two_teams(tmp_path) as (greedy, other), AsyncExitStack() as stack:
        (theirs, their_token), (ours, our_token) = await greedy.player(), await other.player()
        listeners = [await stack.enter_async_context(operator(hub.url, hub.key)) for hub in (greedy, other)]
        for listener in listeners:
            await listener.subscribe("commands")
        their_player = await stack.enter_async_context(greedy.connected(their_token))
        our_player = await stack.enter_async_context(other.connected(our_token))
        for number in range(3):
            command_id = await greedy.command(theirs, "identify", {"seconds": number + 1})
            await their_player.until("command")
            await their_player.send(type="ack", id=command_id)
            await their_player.send(type="progress", id=command_id, percent=1)
        command_id = await other.command(ours, "reboot")
        await our_player.until("command")
        await our_player.send(type="ack", id=command_id)
        await our_player.send(type="progress", id=command_id, percent=50)
        while not (now := await listeners[1].until("now")).get("commands"):
            pass
        assert [told["command_id"] for told in now["commands"]] == [command_id]
