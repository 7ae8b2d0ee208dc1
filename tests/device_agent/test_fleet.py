"""Many players in one process."""

import asyncio

import pytest

from device_agent.connection.faults import Faults
from device_agent.fleet import Fleet, FleetOptions, Member, read_tokens
from device_agent.reports.logs import RecentLines
from hub.protocol.messages import Result, SettingsReport
from tests.waiting import PATIENCE_S


@pytest.fixture
async def fleet(hub, tmp_path):
    members = [Member(hub.token, f"Player {number}") for number in range(20)]
    fleet = Fleet(FleetOptions(hub_url=hub.url, state=tmp_path, tokens=members, faults=Faults()), RecentLines())
    running = asyncio.create_task(fleet.run())
    yield fleet
    fleet.stop()
    async with asyncio.timeout(PATIENCE_S):
        await running


async def test_every_player_is_a_machine_of_its_own(hub, fleet):
    connections = [await hub.welcomed() for _ in range(20)]
    hellos = [connection.hello for connection in connections]
    assert len({hello.boot_id for hello in hellos}) == len({hello.hardware_id for hello in hellos}) == 20
    for connection in connections:
        await connection.hear(SettingsReport)
    assert (fleet.summary()["connected"], fleet.summary()["connects"]) == (20, 20)


async def test_commands_reboots_and_losses_are_counted(hub, fleet):
    connections = [await hub.welcomed() for _ in range(20)]
    for connection in connections:
        await connection.command(f"c{connection.epoch}", "set_volume", {"volume": 1}, "idempotent")
    for connection in connections:
        await connection.hear(Result)
    rebooting, lost = connections[:2]
    await rebooting.command("r", "reboot", delivery="once")
    back = await hub.welcomed()
    assert back.hello.boot_id != rebooting.hello.boot_id
    (entry,) = [entry for entry in back.hello.journal if entry.id == "r"]
    assert entry.result.detail["boot_id_after"] == back.hello.boot_id
    lost.cut()
    again = await hub.welcomed()
    await again.hear(SettingsReport)
    summary = fleet.summary()
    assert summary["reboots"] == 1
    assert summary["losses"] >= 1
    assert summary["connects"] == 22
    assert summary["results"]["succeeded"] == 21


def test_a_line_is_a_token_and_a_name():
    assert read_tokens("# players\nt1 Lobby east\n\nt2\n") == [Member("t1", "Lobby east"), Member("t2", "Player 4")]


@pytest.mark.parametrize("text", ["", "# nobody\n", "t1 A\nt2 A\n"])
def test_a_list_without_players_or_with_twins_is_refused(text):
    with pytest.raises(ValueError):
        read_tokens(text)
