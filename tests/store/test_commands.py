"""The life of a command in the database, on both kinds."""

import asyncio
from typing import Any

import orjson
import pytest

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.commands import IdempotencyKey, Outcome
from hub.domain.errors import Conflict, Invalid, NotFound, Unauthenticated, Unavailable
from hub.domain.presence import Device, Graces
from hub.domain.times import now_ms
from hub.services.access import Access
from hub.services.commands import Commands, Origin
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.services.teams import create_team, prepare
from hub.store import commands as store
from hub.store import events
from hub.store.database import Database

DEVICE = Device("hw-1", "NUC", "12", None, "agent 1", "simulated", "1", ("reboot", "set_volume", "take_screenshot"))


class Cast:
    """One team with one player, and the services around it."""

    def __init__(self, db: Database, actor: Actor, player_id: int, token: str) -> None:
        self.db = db
        self.bus = LocalBus()
        self.actor = actor
        self.origin = Origin(actor, "test")
        self.player_id = player_id
        self.token = token
        self.commands = Commands(db, self.bus)
        self.presence = PresenceService(db, self.bus, "node-1", Graces())

    async def connect(self) -> int:
        from hub.domain import ids

        return (await self.presence.connect(self.player_id, ids.digest(self.token), "127.0.0.1", DEVICE)).epoch

    async def state(self, command_id: str) -> str:
        story = await self.commands.get(self.actor, command_id)
        return str(story["status"])

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.db.session() as session:
            rows = await events.after(session, self.actor.team_id, 0, 1000)
        return [(row.type, orjson.loads(row.data)) for row in rows]


@pytest.fixture
async def cast(db: Database) -> Cast:
    await prepare(db)
    _, key = await create_team(db, name="Team", email="owner@example.com", password="correct horse")
    bus = LocalBus()
    actor = await Access(db, bus).authenticate(key, address="127.0.0.1", agent="test")
    assert actor is not None
    players = Players(db, bus, PresenceService(db, bus, "node-1", Graces()))
    player = await players.create(actor, name="Lobby", face="test")
    token = await players.issue_token(actor, player["id"], face="test")
    return Cast(db, actor, player["id"], token)


def result(command_id: str, status: str = "succeeded", **detail: Any) -> Outcome:
    return Outcome(command_id, status, detail, None, None, None, now_ms())


async def test_a_command_goes_from_queued_to_succeeded_with_an_event_at_each_step(cast: Cast) -> None:
    epoch = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 40})
    command_id = sent["command_id"]
    assert await cast.state(command_id) == "queued"
    [claimed] = await cast.commands.claim(cast.player_id, "node-1", epoch, 8)
    assert (claimed.id, claimed.payload, claimed.delivery) == (command_id, {"volume": 40}, "idempotent")
    assert await cast.state(command_id) == "sent"
    await cast.commands.acknowledge(cast.player_id, command_id)
    assert await cast.state(command_id) == "acked"
    await cast.commands.record(cast.player_id, result(command_id, volume=40))
    assert await cast.state(command_id) == "succeeded"
    told = [(kind, data["status"]) for kind, data in await cast.events() if kind.startswith("command.")]
    assert told == [
        ("command.queued", "queued"),
        ("command.sent", "sent"),
        ("command.acknowledged", "acked"),
        ("command.finished", "succeeded"),
    ]


async def test_a_connection_that_is_not_the_current_one_claims_nothing(cast: Cast) -> None:
    old = await cast.connect()
    new = await cast.connect()
    await cast.commands.send(cast.origin, cast.player_id, "reboot")
    for node, epoch in (("node-1", old), ("node-2", new)):
        with pytest.raises(Unavailable) as refusal:
            await cast.commands.claim(cast.player_id, node, epoch, 8)
        assert refusal.value.code == "moved"
    assert len(await cast.commands.claim(cast.player_id, "node-1", new, 8)) == 1


async def test_commands_are_claimed_in_the_order_they_were_asked_for(cast: Cast) -> None:
    epoch = await cast.connect()
    sent = await asyncio.gather(
        *(cast.commands.send(cast.origin, cast.player_id, "take_screenshot") for _ in range(30))
    )
    first = await cast.commands.claim(cast.player_id, "node-1", epoch, 8)
    rest = await cast.commands.claim(cast.player_id, "node-1", epoch, 100)
    assert [row.id for row in first + rest] == [answer["command_id"] for answer in sent]


async def test_a_success_without_its_evidence_is_a_failure(cast: Cast) -> None:
    epoch = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "reboot")
    await cast.commands.claim(cast.player_id, "node-1", epoch, 8)
    same = {"boot_id_before": "a", "boot_id_after": "a", "seconds_away": 1}
    await cast.commands.record(cast.player_id, result(sent["command_id"], **same))
    story = await cast.commands.get(cast.actor, sent["command_id"])
    assert story["status"] == "failed"
    assert story["error"]["code"] == "evidence_contradicted"


async def test_a_screenshot_that_was_never_stored_is_no_success(cast: Cast) -> None:
    sent = await cast.commands.send(cast.origin, cast.player_id, "take_screenshot")
    claim = {"screenshot_id": "99", "sha256": "00", "source": "mpv", "captured_at": "2026-01-01T00:00:00Z"}
    await cast.commands.record(cast.player_id, result(sent["command_id"], **claim))
    assert (await cast.commands.get(cast.actor, sent["command_id"]))["error"]["code"] == "no_evidence"


async def test_a_late_result_replaces_what_the_hub_had_assumed(cast: Cast) -> None:
    epoch = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 5}, ttl_s=1)
    command_id = sent["command_id"]
    await cast.commands.claim(cast.player_id, "node-1", epoch, 8)
    rows = await cast.db.write(store.expire, now_ms() + 2_000, 100)
    assert [row["state"] for row in rows] == ["expired"]
    assert await cast.commands.cancels(cast.player_id) == [command_id]
    await cast.commands.record(cast.player_id, result(command_id, volume=5))
    story = await cast.commands.get(cast.actor, command_id)
    assert (story["status"], story["late"]) == ("succeeded", True)
    assert await cast.commands.cancels(cast.player_id) == []
    finished = [data for kind, data in await cast.events() if kind == "command.finished"]
    assert [data["status"] for data in finished] == ["expired", "succeeded"]
    assert finished[1]["late"] is True


async def test_the_players_own_result_is_final(cast: Cast) -> None:
    sent = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 5})
    await cast.commands.record(cast.player_id, result(sent["command_id"], "failed"))
    await cast.commands.record(cast.player_id, result(sent["command_id"], volume=5))
    assert await cast.state(sent["command_id"]) == "failed"
    assert sum(kind == "command.finished" for kind, _ in await cast.events()) == 1


async def test_an_acknowledged_command_without_a_result_times_out(cast: Cast) -> None:
    epoch = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 5})
    await cast.commands.claim(cast.player_id, "node-1", epoch, 8)
    await cast.commands.acknowledge(cast.player_id, sent["command_id"])
    assert await cast.db.write(store.expire, now_ms() + 59_000, 100) == []
    [row] = await cast.db.write(store.expire, now_ms() + 61_000, 100)
    assert row["state"] == "timed_out"


async def test_a_newer_idempotent_command_takes_the_place_of_older_queued_ones(cast: Cast) -> None:
    older = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 5})
    other = await cast.commands.send(cast.origin, cast.player_id, "take_screenshot")
    newer = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 6})
    story = await cast.commands.get(cast.actor, older["command_id"])
    assert (story["status"], story["superseded_by"]) == ("cancelled", newer["command_id"])
    assert await cast.state(other["command_id"]) == "queued"


async def test_reconciliation_requeues_what_never_arrived_and_fails_what_was_lost(cast: Cast) -> None:
    first = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "reboot")
    acked = await cast.commands.send(cast.origin, cast.player_id, "reboot")
    await cast.commands.claim(cast.player_id, "node-1", first, 8)
    await cast.commands.acknowledge(cast.player_id, acked["command_id"])
    second = await cast.connect()
    args = {"requeue": [sent["command_id"]], "acked": [], "lost": [acked["command_id"]]}
    await cast.commands.reconcile(cast.player_id, second, **args)
    assert await cast.state(sent["command_id"]) == "queued"
    story = await cast.commands.get(cast.actor, acked["command_id"])
    assert (story["status"], story["error"]["code"]) == ("failed", "journal_lost")


async def test_what_never_arrived_and_was_cancelled_meanwhile_is_not_sent_again(cast: Cast) -> None:
    first = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "reboot")
    await cast.commands.claim(cast.player_id, "node-1", first, 8)
    assert await cast.commands.cancel(cast.origin, sent["command_id"]) == "sent"
    second = await cast.connect()
    await cast.commands.reconcile(cast.player_id, second, requeue=[sent["command_id"]], acked=[], lost=[])
    assert await cast.state(sent["command_id"]) == "cancelled"
    assert await cast.commands.claim(cast.player_id, "node-1", second, 8) == []
    assert await cast.commands.cancels(cast.player_id) == []


async def test_a_reconciliation_of_an_older_connection_leaves_newer_claims_alone(cast: Cast) -> None:
    first = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "reboot")
    second = await cast.connect()
    await cast.commands.claim(cast.player_id, "node-1", second, 8)
    await cast.commands.reconcile(cast.player_id, first, requeue=[sent["command_id"]], acked=[], lost=[])
    assert await cast.state(sent["command_id"]) == "sent"


async def test_one_idempotency_key_makes_one_command_however_many_race(cast: Cast) -> None:
    key = IdempotencyKey("order-17", "hash")
    answers = await asyncio.gather(
        *(cast.commands.send(cast.origin, cast.player_id, "reboot", idempotency=key) for _ in range(20))
    )
    assert len({answer["command_id"] for answer in answers}) == 1
    assert len(await cast.commands.listing(cast.actor, player_id=cast.player_id)) == 1
    with pytest.raises(Conflict):
        await cast.commands.send(cast.origin, cast.player_id, "reboot", idempotency=IdempotencyKey("order-17", "other"))


async def test_a_refused_command_leaves_its_idempotency_key_free(cast: Cast) -> None:
    await cast.connect()
    key = IdempotencyKey("order-18", "hash")
    with pytest.raises(Invalid):
        await cast.commands.send(cast.origin, cast.player_id, "clear_cache", idempotency=key)
    answer = await cast.commands.send(cast.origin, cast.player_id, "reboot", idempotency=key)
    assert await cast.state(answer["command_id"]) == "queued"


async def test_unknown_players_and_commands_are_refused_and_change_nothing(cast: Cast) -> None:
    with pytest.raises(NotFound):
        await cast.commands.send(cast.origin, 10_000, "reboot")
    with pytest.raises(Invalid):
        await cast.commands.send(cast.origin, cast.player_id, "explode")
    with pytest.raises(Invalid):
        await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 101})
    assert await cast.commands.listing(cast.actor) == []


async def test_commands_queued_before_the_first_hello_are_rejected_when_the_player_cannot_do_them(cast: Cast) -> None:
    sent = await cast.commands.send(cast.origin, cast.player_id, "clear_cache")
    await cast.connect()
    assert await cast.state(sent["command_id"]) == "rejected"


async def test_a_queued_command_is_cancelled_at_once_and_a_sent_one_is_asked_for(cast: Cast) -> None:
    queued = await cast.commands.send(cast.origin, cast.player_id, "reboot")
    assert await cast.commands.cancel(cast.origin, queued["command_id"]) == "cancelled"
    epoch = await cast.connect()
    sent = await cast.commands.send(cast.origin, cast.player_id, "reboot")
    await cast.commands.claim(cast.player_id, "node-1", epoch, 8)
    assert await cast.commands.cancel(cast.origin, sent["command_id"]) == "sent"
    assert await cast.commands.cancels(cast.player_id) == [sent["command_id"]]


async def test_success_becomes_the_desired_setting(cast: Cast) -> None:
    sent = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 33})
    await cast.commands.record(cast.player_id, result(sent["command_id"], volume=33))
    from hub.domain import ids

    connected = await cast.presence.connect(cast.player_id, ids.digest(cast.token), None, DEVICE)
    assert connected.settings == {"volume": 33}


async def test_waiting_ends_with_the_result(cast: Cast) -> None:
    sent = await cast.commands.send(cast.origin, cast.player_id, "set_volume", {"volume": 33})
    waiting = asyncio.create_task(cast.commands.wait(cast.actor, sent["command_id"], 30))
    await asyncio.sleep(0)
    await cast.commands.record(cast.player_id, result(sent["command_id"], volume=33))
    assert (await waiting)["status"] == "succeeded"


async def test_a_revoked_token_registers_no_connection(cast: Cast) -> None:
    players = Players(cast.db, cast.bus, cast.presence)
    await players.revoke_token(cast.actor, cast.player_id, face="test")
    with pytest.raises(Unauthenticated):
        await cast.connect()
