"""Quotas over the database: the last place is given once, whoever asks at that moment, and who is over one keeps what
there is."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from sqlmodel import select

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.commands import MAX_PAYLOAD_BYTES, IdempotencyKey
from hub.domain.errors import Conflict, Invalid, TooMany, Unavailable
from hub.domain.presence import Graces
from hub.domain.quotas import QUOTAS, Quotas
from hub.domain.times import HOUR, now_ms
from hub.services.batches import Batches
from hub.services.commands import Commands, Origin
from hub.services.layouts import Layouts
from hub.services.licences import Licences
from hub.services.pairing import PairingService
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.services.quotas import Places, TeamQuotas
from hub.services.webhooks import Webhooks
from hub.store.database import Database
from hub.store.quotas import COUNTED
from hub.store.tables import EventRow, PollingDevice
from tests.cast import player_of, team_owner
from tests.quotas import all_plans

FEW = all_plans(players=3, webhooks=3, layouts=3)
Make = Callable[[Database, Actor], Awaitable[Any]]


def players(db: Database) -> Players:
    return Players(db, LocalBus(), PresenceService(db, LocalBus(), "node", Graces()), quotas=FEW)


async def _player(db: Database, owner: Actor) -> None:
    await players(db).create(owner, name="Lobby", face="test")


async def _webhook(db: Database, owner: Actor) -> None:
    await Webhooks(db, LocalBus(), quotas=FEW).create(owner, "https://example.com/", ["*"], face="test")


async def _layout(db: Database, owner: Actor) -> None:
    await Layouts(db, LocalBus(), quotas=FEW).create(owner, name="Day", face="test")


async def used(db: Database, owner: Actor, name: str) -> int:
    told = await TeamQuotas(db, FEW, {}).describe(owner)
    number: int = next(quota["used"] for quota in told["quotas"] if quota["name"] == name)
    return number


async def told(db: Database) -> int:
    async with db.session() as session:
        return len(list(await session.exec(select(EventRow.id))))


@pytest.mark.parametrize(("name", "make"), [("players", _player), ("webhooks", _webhook), ("layouts", _layout)])
async def test_of_many_that_want_the_last_place_one_gets_it(
    db: Database, database_url: str, name: str, make: Make
) -> None:
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    other = Database(database_url)  # as of another process
    await other.start()
    await make(db, owner)
    await make(db, owner)
    outcomes = await asyncio.gather(
        *(make(place, owner) for place in (db, other) for _ in range(4)), return_exceptions=True
    )
    refusals = [outcome for outcome in outcomes if outcome is not None]
    assert len(refusals) == 7
    for refusal in refusals:
        assert isinstance(refusal, Conflict)
        assert refusal.code == "quota_exceeded"
        assert f"quota {name}" in refusal.message
        assert "at most 3" in refusal.message
    assert await used(db, owner, name) == 3
    events = await told(db)
    with pytest.raises(Conflict):
        await make(other, owner)
    assert await told(db) == events
    await make(other, stranger)
    await other.stop()


async def test_a_refused_pairing_leaves_the_device_waiting(db: Database) -> None:
    owner = await team_owner(db, "acme")
    bus = LocalBus()
    pairing = PairingService(db, bus, Licences(db, bus), quotas=FEW)
    lobby, *_ = [await player_of(db, owner) for _ in range(5)]  # more than are allowed by now: they stay
    asked = await pairing.authorize("player", hardware_id="pi-1", model=None, address="192.0.2.1", base_url="")
    async with db.transaction() as session:
        session.add(
            PollingDevice(
                player_id=900,
                uuid="u-1",
                pairing_code="ABC234",
                code_expires_at=now_ms() + HOUR,
                created_at=0,
                seen_at=0,
            )
        )
    for code in (asked["user_code"], "ABC234"):
        with pytest.raises(Conflict, match="quota players"):
            await pairing.approve(owner, code, face="test")
    await pairing.approve(owner, asked["user_code"], player_id=lobby.id, face="test")  # none more
    for _ in range(3):
        await _delete_one(db, owner)
    paired = await pairing.approve(owner, "ABC234", face="test")
    assert paired["player_id"] == 900
    assert await used(db, owner, "players") == 3


async def _delete_one(db: Database, owner: Actor) -> None:
    found, _ = await players(db).listing(owner)
    await players(db).delete(owner, found[-1]["id"], face="test")


async def test_every_quota_is_told_with_what_is_used(db: Database) -> None:
    owner = await team_owner(db, "acme")
    await player_of(db, owner)
    places = Places("uploads", 32)
    told = await TeamQuotas(db, Quotas(), {places.name: places.held}).describe(owner)
    assert told["plan"] == "unlimited"
    by_name = {quota["name"]: quota for quota in told["quotas"]}
    assert by_name.keys() == QUOTAS.keys()
    assert (by_name["players"]["used"], by_name["players"]["limit"]) == (1, QUOTAS["players"].limits.unlimited)
    assert {name for name, quota in by_name.items() if quota["used"] is not None} == COUNTED | {"uploads"}


async def test_of_many_commands_at_once_as_many_are_taken_as_there_is_room_for(db: Database, database_url: str) -> None:
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    numbers = [(await player_of(db, owner)).id or 0 for _ in range(4)]
    foreign = (await player_of(db, stranger)).id or 0
    other = Database(database_url)  # as of another process
    await other.start()
    limits = all_plans(commands_per_day=10)
    origin, group = Origin(owner, "test"), await _group(db, owner, numbers)
    services = [Commands(place, LocalBus(), quotas=limits) for place in (db, other)]

    outcomes = await asyncio.gather(
        *(service.send(origin, number, "reboot") for service in services for number in numbers * 3),
        return_exceptions=True,
    )
    refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(outcomes) - len(refusals) == 10
    for refusal in refusals:
        assert isinstance(refusal, TooMany)
        assert (refusal.code, refusal.retry_after) == ("quota_exceeded", 3_600)
        assert "quota commands_per_day" in refusal.message
    assert await used(db, owner, "commands_per_day") == len(await services[0].listing(owner)) == 10

    events = await told(db)
    batches = Batches(db, LocalBus(), services[0], quotas=limits)
    with pytest.raises(TooMany):
        await batches.send(origin, group, "reboot")
    assert await batches.send(origin, group, "reboot", dry_run=True)
    assert (await told(db), await batches.listing(owner)) == (events, [])
    await services[0].send(Origin(stranger, "test"), foreign, "reboot")
    await other.stop()


async def test_a_command_counts_by_its_payload_and_a_batch_by_its_players(db: Database) -> None:
    owner = await team_owner(db, "acme")
    numbers = [(await player_of(db, owner)).id or 0 for _ in range(3)]
    limits = all_plans(commands_per_day=1_000)
    origin, service = Origin(owner, "test"), Commands(db, LocalBus(), quotas=limits)
    batches = Batches(db, LocalBus(), service, quotas=limits)
    group, empty = await _group(db, owner, numbers), await _group(db, owner, [])
    full = {"x": "ä" * ((MAX_PAYLOAD_BYTES - len('{"x":""}')) // 2)}
    key = IdempotencyKey("nightly", "hash")

    spent = [0]
    for send in (
        lambda: service.send(origin, numbers[0], "reboot"),
        lambda: service.send(origin, numbers[0], "custom:x", {"x": "a" * 1_024}),
        lambda: service.send(origin, numbers[0], "custom:x", full),
        lambda: batches.send(origin, group, "custom:x", full),
        lambda: batches.send(origin, empty, "custom:x", full),
        lambda: batches.send(origin, group, "reboot", idempotency=key),
        lambda: batches.send(origin, group, "reboot", idempotency=key),
    ):
        await send()
        spent.append(await used(db, owner, "commands_per_day"))
    assert [after - before for before, after in pairwise(spent)] == [1, 2, 16, 64, 16, 4, 0]

    for payload in (full | {"y": 1}, {"x": full["x"] + "aa"}):
        with pytest.raises(Invalid) as refused:
            await service.send(origin, numbers[0], "custom:x", payload)
        assert list(refused.value.errors or ()) == ["payload"]
        for target in (group, empty):
            with pytest.raises(Invalid, match="invalid"):
                await batches.send(origin, target, "custom:x", payload)
    assert await used(db, owner, "commands_per_day") == spent[-1]


async def _group(db: Database, owner: Actor, numbers: list[int]) -> int:
    made = await players(db).create_group(owner, name=f"Of {len(numbers)}", player_ids=numbers, face="test")
    number: int = made["id"]
    return number


def test_places_are_held_by_team_and_given_back() -> None:
    places = Places("uploads", 8, all_plans(uploads=3))
    for _ in range(3):
        places.take(1, "free")
    with pytest.raises(TooMany, match="quota uploads"):
        places.take(1, "free")
    with places.taking(2, "free"), places.taking(2, "free"):
        assert (places.held(2), places.taken) == (2, 5)
        with pytest.raises(Unavailable) as refused, places.taking(3, "free"), places.taking(3, "free"):
            places.take(3, "free")
        assert (refused.value.code, refused.value.retry_after) == ("uploads_full", 10)
    places.give_back(1)
    places.take(1, "free")
    assert (places.held(1), places.held(2), places.taken) == (3, 0, 3)
