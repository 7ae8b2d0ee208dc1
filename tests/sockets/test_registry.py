"""The table of connections and what the database says of them."""

import asyncio
from pathlib import Path

import pytest

from hub.domain.errors import Unavailable
from tests.harness import running_hub, settings


async def test_a_connection_that_only_the_database_knows_is_ended(tmp_path: Path, database_url: str) -> None:
    """The row was committed and the answer lost: nobody holds this connection, and nobody else would end it."""

    def probe(point: str) -> None:
        if point == "after commit presence.connect" and not lost:
            lost.append(point)
            raise ConnectionResetError("the answer is lost")

    lost: list[str] = []
    config = settings(tmp_path, database_url, players={"unclean_grace_s": 0})
    async with running_hub(config, probe=probe) as hub:
        player_id, token = await hub.player()
        async with hub.socket(token) as player:
            await player.send_hello()
            assert (await player.closed())[0] == 1012
        await hub.event("player.online", player_id=player_id)
        await hub.registry.audit()
        await hub.event("player.offline", player_id=player_id)
        async with hub.connected(token):
            await hub.registry.audit()
            assert await hub.services.presence.held() == [(player_id, 1, 2)]


async def test_a_player_that_was_being_let_in_when_the_hub_left_is_sent_away(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        _, token = await hub.player()
        arriving = asyncio.create_task(hub.registry.admit(None, token, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await hub.registry.drain()
        with pytest.raises(Unavailable) as refusal:
            await arriving
        assert refusal.value.code == "draining"
