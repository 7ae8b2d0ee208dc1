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


async def test_behind_a_proxy_only_addresses_are_believed(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, server={"trusted_proxies": ["127.0.0.0/8"]})) as hub:
        player_id, token = await hub.player()
        for claim, believed in (
            ("203.0.113.7", "203.0.113.7"),
            ("192.0.2.1, ::ffff:203.0.113.8", "203.0.113.8"),
            ("<script>, 127.0.0.9", "127.0.0.9"),
        ):
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": claim}
            async with hub.socket(None, additional_headers=headers) as player:
                await player.hello()
                await hub.services.presence.flush()
                told = (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]
                assert told["ip_address"] == believed
