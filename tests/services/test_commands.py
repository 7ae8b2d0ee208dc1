"""What callers of the command service see; the life of a command itself is in tests/store/test_commands.py."""

import asyncio

import pytest

from hub.bus.local import LocalBus
from hub.domain.commands import Outcome
from hub.domain.times import DAY, MINUTE, SECOND, now_ms
from hub.services import commands
from hub.services.clock import Steady
from hub.services.commands import Commands, Origin
from hub.store import commands as store
from hub.store.database import Database
from tests.cast import player_of, team_owner


async def test_who_waited_in_vain_is_told_how_it_stands_now(db: Database) -> None:
    owner = await team_owner(db, "team")
    player_id = (await player_of(db, owner)).id or 0
    service = Commands(db, LocalBus())
    command_id = (await service.send(Origin(owner, "test"), player_id, "reboot"))["command_id"]
    waiting = asyncio.create_task(service.wait(owner, command_id, 1))
    while not service._bus._listeners:  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0)
    await db.write(store.acknowledge, player_id, command_id, 1)  # on another node, whose wake-up was lost
    assert (await waiting)["status"] == "acked"


async def test_progress_is_the_word_of_the_commands_own_player(sqlite_db: Database) -> None:
    owner = await team_owner(sqlite_db, "team")
    player_id = (await player_of(sqlite_db, owner)).id or 0
    stranger = (await player_of(sqlite_db, await team_owner(sqlite_db, "other"))).id or 0
    service = Commands(sqlite_db, LocalBus())
    command_id = (await service.send(Origin(owner, "test"), player_id, "reboot"))["command_id"]
    await service.progress(player_id, command_id, 40, "half way")
    await service.progress(stranger, command_id, 99, "not mine")
    assert (await service.get(owner, command_id))["progress"] == {"percent": 40, "note": "half way"}


async def test_a_command_that_ended_makes_no_progress(sqlite_db: Database) -> None:
    owner = await team_owner(sqlite_db, "team")
    player_id = (await player_of(sqlite_db, owner)).id or 0
    bus = LocalBus()
    heard: list[str] = []
    bus.subscribe(("progress", None), lambda told: heard.append(told["note"]))
    service, restarted = Commands(sqlite_db, bus), Commands(sqlite_db, LocalBus())
    command_id = (await service.send(Origin(owner, "test"), player_id, "reboot"))["command_id"]
    await service.progress(player_id, command_id, 40, "running")
    await service.record(player_id, Outcome(command_id, "rejected", None, "busy", None, None, 1))
    for one in (service, restarted):
        await one.progress(player_id, command_id, 41, "still running")
        assert (await one.get(owner, command_id))["progress"] is None
    assert heard == ["running"]


async def test_progress_of_what_has_ended_or_is_anothers_is_not_told_after_a_restart_either(
    sqlite_db: Database,
) -> None:
    owner = await team_owner(sqlite_db, "team")
    player_id = (await player_of(sqlite_db, owner)).id or 0
    stranger = (await player_of(sqlite_db, await team_owner(sqlite_db, "other"))).id or 0
    before = Commands(sqlite_db, LocalBus())
    ended, runs = [(await before.send(Origin(owner, "test"), player_id, "reboot"))["command_id"] for _ in range(2)]
    await before.record(player_id, Outcome(ended, "rejected", None, "busy", None, None, 1))
    bus = LocalBus()
    heard: list[tuple[str, int]] = []
    bus.subscribe(("progress", None), lambda told: heard.append((told["command_id"], told["percent"])))
    restarted = Commands(sqlite_db, bus)
    for number in range(3):
        await restarted.progress(player_id, ended, number, None)
        await restarted.progress(stranger, runs, number, None)
        await restarted.progress(player_id, "cmd_unknown", number, None)
    assert heard == []
    await asyncio.gather(*(restarted.progress(player_id, runs, number, None) for number in range(5)))
    assert heard[-1] == (runs, 4)
    assert (await restarted.get(owner, runs))["progress"] == {"percent": 4, "note": None}
    await restarted.record(player_id, Outcome(runs, "rejected", None, "busy", None, None, 1))
    told = len(heard)
    await restarted.progress(player_id, runs, 5, None)
    assert len(heard) == told


async def test_remembered_progress_is_bounded_and_the_latest_stays(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PROGRESS_LIMIT", 3)
    monkeypatch.setattr(commands, "ENDED_LIMIT", 3)
    owner = await team_owner(sqlite_db, "team")
    player_id = (await player_of(sqlite_db, owner)).id or 0
    service = Commands(sqlite_db, LocalBus())
    command_id = (await service.send(Origin(owner, "test"), player_id, "reboot"))["command_id"]
    others = [(await service.send(Origin(owner, "test"), player_id, "identify"))["command_id"] for _ in range(3)]
    await service.progress(player_id, command_id, 10, None)
    for other in others[:2]:
        await service.progress(player_id, other, 50, None)
    await service.progress(player_id, command_id, 20, None)
    await service.progress(player_id, others[2], 50, None)
    assert (await service.get(owner, command_id))["progress"] == {"percent": 20, "note": None}
    told = [(await service.get(owner, one))["progress"] for one in (command_id, *others)]
    assert told.count(None) == 1
    for number in range(5):
        await service.progress(player_id, f"cmd_{number}", 50, None)
    assert len(service._ended) == 3


async def test_no_players_progress_takes_the_place_of_anothers(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PROGRESS_LIMIT", 3)
    owner, greedy = await team_owner(db, "team"), await team_owner(db, "greedy")
    player_id = (await player_of(db, owner)).id or 0
    theirs = (await player_of(db, greedy)).id or 0
    service = Commands(db, LocalBus())
    command_id = (await service.send(Origin(owner, "test"), player_id, "reboot"))["command_id"]
    await service.progress(player_id, command_id, 50, "half")
    for number in range(5):
        other = (await service.send(Origin(greedy, "test"), theirs, "set_volume", {"volume": number}))["command_id"]
        await db.write(store.acknowledge, theirs, other, now_ms())
        await service.progress(theirs, other, 1, None)
        await service.progress(theirs, f"cmd_{number}", 1, None)
    assert (await service.get(owner, command_id))["progress"] == {"percent": 50, "note": "half"}


async def test_a_clock_that_was_ahead_for_a_moment_expires_nothing(db: Database) -> None:
    owner = await team_owner(db, "team")
    player_id = (await player_of(db, owner)).id or 0
    now, ran = [now_ms()], [0]
    service = Commands(db, LocalBus(), clock=lambda: now[0], steady=Steady(running=lambda: ran[0]))
    sent = await service.send(Origin(owner, "test"), player_id, "lock", {"pin": "1234"}, ttl_s=86_400)
    await service.sweep()
    for jump, passed in ((500 * DAY, 0), (0, 8 * SECOND), (-500 * DAY, 0), (0, MINUTE)):
        now[0] += jump + passed
        ran[0] += passed
        await service.sweep()
    assert (await service.get(owner, sent["command_id"]))["status"] == "queued"
    now[0], ran[0] = now[0] + DAY, ran[0] + DAY
    await service.sweep()
    assert (await service.get(owner, sent["command_id"]))["status"] == "expired"
