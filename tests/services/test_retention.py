"""What is forgotten, and what never is."""

import pytest

from hub.bus.local import LocalBus
from hub.domain.errors import NotFound
from hub.domain.presence import Graces
from hub.domain.times import DAY, HOUR, MINUTE, SECOND, now_ms
from hub.services.analytics import Analytics
from hub.services.batches import Batches
from hub.services.clock import Age
from hub.services.commands import Commands, Origin
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.services.retention import Retention
from hub.store import commands, retention
from hub.store.database import Database
from tests.cast import player_of, team_owner


async def test_finished_commands_go_and_unfinished_ones_stay_however_old(db: Database) -> None:
    owner = await team_owner(db, "team")
    player = await player_of(db, owner)
    service = Commands(db, LocalBus())
    finished = await service.send(Origin(owner, "test"), player.id or 0, "reboot")
    waiting = await service.send(Origin(owner, "test"), player.id or 0, "take_screenshot")
    await service.cancel(Origin(owner, "test"), finished["command_id"])
    assert await db.write(retention.forget, "commands", now_ms() - DAY) is False
    assert len(await service.listing(owner)) == 2
    await db.write(retention.forget, "commands", now_ms() + DAY)
    assert [one["id"] for one in await service.listing(owner)] == [waiting["command_id"]]


async def test_a_batch_goes_when_none_of_its_commands_is_left(db: Database) -> None:
    owner = await team_owner(db, "team")
    player = await player_of(db, owner)
    bus = LocalBus()
    service = Commands(db, bus)
    batches = Batches(db, bus, service)
    players = Players(db, bus, PresenceService(db, bus, "node", Graces()))
    group = await players.create_group(owner, name="All", player_ids=[player.id or 0], face="test")
    batch_id = (await batches.send(Origin(owner, "test"), group["id"], "reboot"))["batch_id"]
    await batches.abort(Origin(owner, "test"), batch_id)
    await db.write(retention.forget, "batches", now_ms() + DAY)
    assert (await batches.get(owner, batch_id))["total"] == 1
    await db.write(retention.forget, "commands", now_ms() + DAY)
    await db.write(retention.forget, "batches", now_ms() - DAY)
    assert (await batches.get(owner, batch_id))["total"] == 0
    await db.write(retention.forget, "batches", now_ms() + DAY)
    with pytest.raises(NotFound):
        await batches.get(owner, batch_id)


async def test_old_events_go_and_numbers_are_never_used_again(db: Database) -> None:
    from hub.store import events

    owner = await team_owner(db, "team")
    player = await player_of(db, owner)
    service = Commands(db, LocalBus())
    await service.send(Origin(owner, "test"), player.id or 0, "reboot")
    async with db.session() as session:
        before = await events.newest(session)
    await db.write(retention.forget, "events", now_ms() + DAY)
    await db.write(commands.expire, now_ms() + DAY, 10)
    async with db.session() as session:
        [left] = await events.after(session, owner.team_id, 0, 10)
    assert (left.id or 0) > before


async def test_every_kind_can_be_forgotten_on_both_databases(db: Database) -> None:
    for kind in retention.KINDS:
        assert await db.write(retention.forget, kind, now_ms()) is False


class Clocks:
    """Of one machine: `now` is the wall clock, `ran` what has passed, both in ms."""

    def __init__(self, now: int) -> None:
        self.now, self.ran = now, 0

    def passes(self, ms: int) -> None:
        self.now += ms
        self.ran += ms

    async def age(self, db: Database) -> Age:
        """As the hub starts with these clocks."""
        age = Age(db, clock=lambda: self.now, running=lambda: self.ran)
        await age.start()
        return age


async def test_a_start_with_the_clock_far_ahead_deletes_nothing(db: Database) -> None:
    owner = await team_owner(db, "team")
    player = await player_of(db, owner)
    service, keeping = Commands(db, LocalBus()), Retention(db, dict.fromkeys(("commands", "events"), 90))
    sent = await service.send(Origin(owner, "test"), player.id or 0, "reboot")
    await service.cancel(Origin(owner, "test"), sent["command_id"])
    clocks = Clocks(now_ms())
    before = await clocks.age(db)
    clocks.passes(MINUTE)
    await before.keep()

    clocks.now += 500 * DAY
    ahead = await clocks.age(db)
    clocks.passes(22 * SECOND)
    await keeping.run(ahead.now())
    await ahead.keep()
    clocks.now -= 500 * DAY
    await keeping.run(ahead.now())
    assert [one["id"] for one in await service.listing(owner)] == [sent["command_id"]]

    clocks.now += 500 * DAY  # it was switched off for so long
    later = await clocks.age(db)
    for _ in range(2):
        clocks.passes(12 * HOUR)
        await later.keep()
    await keeping.run(later.now())
    assert await service.listing(owner) == []


async def test_what_a_hub_before_this_rule_left_is_as_old_as_its_last_sign_of_life(db: Database) -> None:
    clocks = Clocks(now_ms())
    await Analytics(db, "hub", 90, clock=lambda: clocks.now).beat()
    lived = clocks.now
    clocks.now += 500 * DAY
    assert (await clocks.age(db)).now() == lived
