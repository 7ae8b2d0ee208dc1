"""The table of connections and what the database says of them."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from hub.bus.local import LocalBus
from hub.domain.errors import HubError, Unavailable
from hub.domain.presence import CLONE_REPLACEMENTS, Device, Graces
from hub.services.presence import PresenceService
from hub.sockets.player.registry import CALM_S, POSTPONE_S, Return
from hub.store.database import Database
from hub.store.tables import Player as PlayerRow
from tests.harness import running_hub, settings

DEVICE = Device("hw-1", "NUC", "12", None, "agent 1", "simulated", "1", ("identify",))


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


async def test_a_connection_that_cannot_be_looked_after_ends_and_all_others_are_looked_after(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub, AsyncExitStack() as stack:
        players = [await hub.player(f"Screen {number}") for number in range(4)]
        sockets = [await stack.enter_async_context(hub.connected(token)) for _, token in players]
        connections = [hub.registry.get(player_id) for player_id, _ in players]
        for connection in connections:
            assert connection is not None
            connection.seen = True
        broken = connections[1]
        broken._session = None
        await hub.registry.sweep()
        assert (await sockets[1].closed())[0] == 1006
        assert [one.seen for one in connections if one is not broken] == [False] * 3
        await hub.command(players[3][0], "identify")
        await sockets[3].until("command")


async def test_a_player_that_was_being_let_in_when_the_hub_left_is_sent_away(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        _, token = await hub.player()
        arriving = asyncio.create_task(hub.registry.admit(None, token, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await hub.registry.drain()
        with pytest.raises(Unavailable) as refusal:
            await arriving
        assert refusal.value.code == "draining"


async def test_strangers_take_no_admission_and_are_paced_by_network(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, players={"admissions_per_s": 5})) as hub:
        _, token = await hub.player()
        _, late = await hub.player("Late")

        async def told(token: str | None, address: str) -> int:
            with pytest.raises(HubError) as refusal:
                await hub.registry.admit(None, token, address)  # type: ignore[arg-type]
            return refusal.value.status

        for credential in (None, "sbp_guess"):
            statuses = {await told(credential, f"2001:db8::{number:x}") for number in range(1_000)}
            assert statuses == {401, 429}
            assert await told(credential, "192.0.2.1") == 401  # of another network
        assert not hub.registry.pacing
        async with hub.connected(token):
            hub.registry.settings = replace(hub.registry.settings, admissions_per_s=0)
            assert await told(late, "192.0.2.1") == 503
            assert hub.registry.pacing
            assert await told(token, "2001:db8::1") == 503  # known, so no stranger whatever its network is


def test_a_return_that_does_not_end_is_one_no_more() -> None:
    players = Return()
    assert not players.going_on(5.0)
    for at in range(5, 1_000):
        players.refused(at)
        assert players.going_on(at + 1) == (at + 1 < 5 + POSTPONE_S)
    assert not players.going_on(999 + CALM_S)
    players.refused(999 + CALM_S)
    assert players.going_on(1_000 + CALM_S)
    assert not players.going_on(1_015 + CALM_S)


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
                told = (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]
                assert told["ip_address"] == believed


async def taken_over(database_url: str, player_id: int) -> None:
    """What another hub on the database leaves behind, that was there for a moment and took our players for lost."""
    db = Database(database_url)
    await db.start()
    other = PresenceService(db, LocalBus(), "hub", Graces())
    await other.recover()
    async with db.session() as session:
        player = await session.get(PlayerRow, player_id)
    assert player is not None
    assert player.token_digest is not None
    connected = await other.connect(player_id, player.token_digest, None, DEVICE)
    await other.disconnect(player_id, connected.team_id, connected.epoch, "drain")
    await db.stop()


async def test_a_connection_whose_row_another_hub_has_changed_is_closed(tmp_path: Path, database_url: str) -> None:
    async with running_hub(settings(tmp_path, database_url)) as hub:
        player_id, token = await hub.player()
        stays_id, stays_token = await hub.player("Stays")
        async with hub.connected(token) as player:
            await taken_over(database_url, player_id)
            async with hub.connected(stays_token) as stays:
                await hub.registry.audit()
                assert (await player.closed())[0] == 1012
                command_id = await hub.command(stays_id, "identify")
                assert (await stays.until("command"))["id"] == command_id
        async with hub.connected(token):
            await hub.registry.audit()
            told = (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]
            assert (told["status"], told["connected"]) == ("online", True)


async def test_a_command_finds_out_that_the_connection_is_the_rows_no_more(tmp_path: Path, database_url: str) -> None:
    async with running_hub(settings(tmp_path, database_url)) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token) as player:
            await taken_over(database_url, player_id)
            command_id = await hub.command(player_id, "identify")
            assert (await player.closed())[0] == 1012
        async with hub.connected(token) as player:
            assert (await player.until("command"))["id"] == command_id


async def test_a_player_whose_ends_could_not_be_written_is_no_copy_of_itself(tmp_path: Path, database_url: str) -> None:
    """A database that goes and comes takes connections with it, and the rows go on naming them."""

    def probe(point: str) -> None:
        if away and point == "before commit presence.disconnect":
            raise ConnectionResetError("away")

    away = [True]
    async with running_hub(settings(tmp_path, database_url), probe=probe) as hub:
        _, token = await hub.player()
        welcomed = 0
        while welcomed < 2 * CLONE_REPLACEMENTS:
            with suppress(ConnectionClosed):  # of the same commit as an end
                async with hub.connected(token) as player:
                    welcomed += 1
                    player.vanish()
        away.clear()
