"""One command to many players: frozen members, pace, abort, dry run."""

import asyncio
from typing import Any

import pytest

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.commands import IdempotencyKey, Outcome
from hub.domain.errors import Conflict, NotFound, Unavailable
from hub.domain.presence import Graces
from hub.domain.times import now_ms
from hub.services.batches import Batches
from hub.services.commands import Commands, Origin
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.store import batches as store
from hub.store import players as player_store
from hub.store.commands import MAX_LIVE
from hub.store.database import Database
from tests.cast import player_of, team_owner


class Stage:
    def __init__(self, db: Database, owner: Actor, players: list[int], group_id: int) -> None:
        bus = LocalBus()
        self.db, self.owner, self.players, self.group_id = db, owner, players, group_id
        self.origin = Origin(owner, "test")
        self.commands = Commands(db, bus)
        self.batches = Batches(db, bus, self.commands)
        self.registry = Players(db, bus, PresenceService(db, bus, "node", Graces()))

    async def states(self, batch_id: str) -> dict[str, int]:
        counts: dict[str, int] = (await self.batches.get(self.owner, batch_id))["counts"]
        return {state: number for state, number in counts.items() if number}

    async def fail(self, command_id: str, player_id: int) -> None:
        await self.commands.record(player_id, Outcome(command_id, "failed", None, "x", "x", None, now_ms()))


@pytest.fixture
async def stage(db: Database) -> Stage:
    return await _stage(db)


async def _stage(db: Database) -> Stage:
    owner = await team_owner(db, "team")
    players = [(await player_of(db, owner, f"P{number}")).id or 0 for number in range(5)]
    bus = LocalBus()
    registry = Players(db, bus, PresenceService(db, bus, "node", Graces()))
    group = await registry.create_group(owner, name="All", player_ids=players, face="test")
    return Stage(db, owner, players, group["id"])


async def send(stage: Stage, **options: Any) -> dict[str, Any]:
    return await stage.batches.send(stage.origin, stage.group_id, "reboot", **options)


async def test_every_member_gets_a_command_of_its_own(stage: Stage) -> None:
    answer = await send(stage)
    assert [command["player_id"] for command in answer["commands"]] == stage.players
    assert await stage.states(answer["batch_id"]) == {"queued": 5}


async def test_members_are_those_of_the_moment_of_sending(stage: Stage) -> None:
    answer = await send(stage)
    await stage.registry.update_group(stage.owner, stage.group_id, {"player_ids": []}, version=None, face="test")
    assert await stage.states(answer["batch_id"]) == {"queued": 5}
    assert (await send(stage))["commands"] == []


async def test_a_repeated_request_gets_the_first_answer_though_the_group_is_gone(stage: Stage) -> None:
    key = IdempotencyKey("nightly", "hash")
    first = await send(stage, idempotency=key)
    await stage.registry.delete_group(stage.owner, stage.group_id, face="test")
    assert await send(stage, idempotency=key) == first
    with pytest.raises(Conflict):
        await send(stage, idempotency=IdempotencyKey("nightly", "other"))


async def test_a_dry_run_tells_who_would_and_stores_nothing(stage: Stage) -> None:
    answer = await send(stage, dry_run=True)
    assert [about["player_id"] for about in answer["would_send"]] == stage.players
    assert await stage.commands.listing(stage.owner) == []


async def test_pace_holds_commands_until_their_turn_and_their_deadline_starts_then(stage: Stage) -> None:
    answer = await send(stage, rate_per_minute=60)
    batch_id = answer["batch_id"]
    assert await stage.states(batch_id) == {"held": 4, "queued": 1}
    later = now_ms() + 2_500
    released = await stage.db.write(store.release, later)
    assert len(released) == 2
    assert await stage.states(batch_id) == {"held": 2, "queued": 3}
    story = await stage.commands.get(stage.owner, released[0]["id"])
    assert story["expires_at"] > (await stage.commands.get(stage.owner, answer["command_id"]))["expires_at"]
    await stage.db.write(store.release, later + 60_000)
    assert await stage.states(batch_id) == {"queued": 5}
    assert await stage.db.write(store.release, later + 120_000) == []


async def test_too_many_failures_stop_what_is_left(stage: Stage) -> None:
    answer = await send(stage, rate_per_minute=60, max_failures=1)
    await stage.db.write(store.release, now_ms() + 1_500)
    queued = [one for one in await stage.commands.listing(stage.owner) if one["status"] == "queued"]
    assert len(queued) == 2
    for one in queued:
        await stage.fail(one["id"], one["player_id"])
    await stage.batches.check()
    assert await stage.states(answer["batch_id"]) == {"failed": 2, "cancelled": 3}
    assert (await stage.batches.get(stage.owner, answer["batch_id"]))["status"] == "aborted"


async def test_a_pace_looks_at_the_failures_itself(stage: Stage) -> None:
    """The one who counts failures may have died between a result and the count."""
    answer = await send(stage, rate_per_minute=60, max_failures=0)
    await stage.fail(answer["command_id"], stage.players[0])
    await stage.db.write(store.release, now_ms() + 60_000)
    assert await stage.states(answer["batch_id"]) == {"failed": 1, "cancelled": 4}


async def test_an_abort_calls_back_what_has_not_gone_out(stage: Stage) -> None:
    answer = await send(stage)
    story = await stage.batches.abort(stage.origin, answer["batch_id"])
    assert (story["status"], story["counts"]["cancelled"]) == ("aborted", 5)


async def test_another_teams_batch_and_group_are_not_there(stage: Stage) -> None:
    answer = await send(stage)
    stranger = await team_owner(stage.db, "other")
    with pytest.raises(NotFound):
        await stage.batches.get(stranger, answer["batch_id"])
    with pytest.raises(NotFound):
        await stage.batches.abort(Origin(stranger, "test"), answer["batch_id"])
    with pytest.raises(NotFound):
        await stage.batches.send(Origin(stranger, "test"), stage.group_id, "reboot")


async def test_a_member_deleted_in_the_moment_of_sending_is_no_fault_of_the_hubs(sqlite_db: Database) -> None:
    stage = await _stage(sqlite_db)
    async with sqlite_db.transaction() as session:
        sending = asyncio.create_task(send(stage))
        while not sqlite_db._writer._queue.qsize():  # type: ignore[attr-defined]  # noqa: ASYNC110  (it reads first)
            await asyncio.sleep(0)
        await player_store.remove(session, await player_store.get(session, stage.owner.team_id, stage.players[0]))
    with pytest.raises(Unavailable) as refusal:
        await sending
    assert refusal.value.retry_after
    answer = await send(stage)
    assert await stage.states(answer["batch_id"]) == {"queued": 4}


async def test_a_batch_is_judged_again_when_the_database_was_away(database_url: str) -> None:
    def probe(point: str) -> None:
        if away and point == "before commit batches.check_failures":
            away.clear()
            raise ConnectionResetError("gone")

    away: list[bool] = []
    db = Database(database_url, probe=probe)
    await db.start()
    stage = await _stage(db)
    answer = await send(stage, max_failures=0)
    await stage.fail(answer["commands"][0]["command_id"], stage.players[0])
    away.append(True)
    with pytest.raises(Unavailable):
        await stage.batches.check()
    await stage.batches.check()
    assert await stage.states(answer["batch_id"]) == {"failed": 1, "cancelled": 4}
    await db.stop()


async def test_a_member_whose_queue_is_full_is_passed_over(stage: Stage) -> None:
    full, *others = stage.players
    await asyncio.gather(*(stage.commands.send(stage.origin, full, "reboot") for _ in range(MAX_LIVE)))
    answer = await send(stage)
    assert [command["player_id"] for command in answer["commands"]] == others
    assert [(one["player_id"], one["reason"]) for one in answer["skipped"]] == [
        (full, "has too many unfinished commands")
    ]
