"""What happens between the row of a new connection and its welcome, and must not be lost there."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.harness import Hub, Player, running_hub, settings


def finished(command_id: str, **detail: Any) -> dict[str, Any]:
    result = {
        "id": command_id,
        "status": "succeeded",
        "detail": detail,
        "finished_at": "2026-01-01T00:00:00Z",
        "boot_id": "boot-1",
    }
    return {"id": command_id, "state": "finished", "result": result}


class Interruption:
    """Something that is done the moment after the row of a connection is committed, before anybody hears of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.what: Any = None
        self.done: Future[Any] | None = None

    def __call__(self, step: str) -> None:
        if step == "after commit presence.connect" and self.what is not None:
            what, self.what = self.what, None
            self.done = asyncio.run_coroutine_threadsafe(what(), self._loop)


@asynccontextmanager
async def interrupted_hub(folder: Path) -> AsyncIterator[tuple[Hub, Interruption]]:
    interruption = Interruption()
    async with running_hub(settings(folder), probe=interruption) as hub:
        yield hub, interruption


async def half_done(hub: Hub, token: str, player_id: int) -> str:
    """A command that the player took before its connection ended."""
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "reboot")
        await player.until("command")
        await player.send(type="ack", id=command_id)
        await hub.event("command.acknowledged", command_id=command_id)
        player.vanish()
    return command_id


async def greeted(player: Player, command_id: str) -> None:
    await player.hello(journal=[{"id": command_id, "state": "running"}])


async def test_the_welcome_knows_a_volume_that_was_set_while_the_hub_was_away(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token) as player:
            first = await hub.command(player_id, "set_volume", {"volume": 30})
            await player.until("command")
            await player.result(first, volume=30)
            await player.until("result_ok")
            second = await hub.command(player_id, "set_volume", {"volume": 70})
            await player.until("command")
            player.vanish()
        async with hub.socket(token) as player:
            welcome = await player.hello(journal=[finished(second, volume=70)])
            assert welcome["settings"] == {"volume": 70}


async def test_a_command_that_comes_while_its_player_is_being_greeted_goes_out(tmp_path: Path) -> None:
    async with interrupted_hub(tmp_path) as (hub, interruption):
        player_id, token = await hub.player()
        running = await half_done(hub, token, player_id)
        interruption.what = lambda: hub.command(player_id, "identify")
        async with hub.socket(token) as player:
            await greeted(player, running)
            command = await player.until("command")
            assert interruption.done is not None
            assert command["id"] == await asyncio.wrap_future(interruption.done)


async def test_a_cancellation_that_comes_while_its_player_is_being_greeted_is_passed_on(tmp_path: Path) -> None:
    async with interrupted_hub(tmp_path) as (hub, interruption):
        player_id, token = await hub.player()
        running = await half_done(hub, token, player_id)
        interruption.what = lambda: hub.client.delete(f"/api/v1/commands/{running}")
        async with hub.socket(token) as player:
            await greeted(player, running)
            assert await player.until("cancel") == {"type": "cancel", "id": running}
