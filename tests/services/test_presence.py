"""Who is there, on both kinds of database, with a clock of our own: no lie after an outage, a restart or a jump."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain import presence as rules
from hub.domain.access import Actor
from hub.domain.errors import Unavailable
from hub.domain.presence import Device, Graces, Reason
from hub.domain.times import DAY, HOUR, MINUTE, SECOND, now_ms
from hub.services.players import Players
from hub.services.presence import SWEEP_LIMIT, PresenceService
from hub.store import events
from hub.store import presence as store
from hub.store import quotas as team_quotas
from hub.store.database import Database
from hub.store.statements import Statement, Unit
from tests.cast import player_of, team_owner
from tests.quotas import all_plans

DEVICE = Device("hw-1", "NUC", "12", None, "agent 1", "simulated", "1", ("reboot",))
GRACES = Graces()


class Stage:
    """A hub's presence service with a clock that only we move, and players of one team."""

    def __init__(self, db: Database, owner: Actor) -> None:
        self.db = db
        self.owner = owner
        self.now = now_ms()
        self.bus = LocalBus()
        self.service = self.start()
        self.tokens: dict[int, str] = {}
        self.epochs: dict[int, int] = {}

    def start(self) -> PresenceService:
        return PresenceService(self.db, self.bus, "hub", GRACES, clock=lambda: self.now)

    @property
    def players(self) -> Players:
        return Players(self.db, self.bus, self.service)

    async def player(self) -> int:
        player_id: int = (await self.players.create(self.owner, name="Lobby", face="test"))["id"]
        self.tokens[player_id] = await self.players.issue_token(self.owner, player_id, face="test")
        return player_id

    async def connect(self, player_id: int, hardware_id: str = DEVICE.hardware_id) -> bool:
        """Whether it was let in."""
        device = replace(DEVICE, hardware_id=hardware_id)
        connected = await self.service.connect(player_id, ids.digest(self.tokens[player_id]), "192.0.2.1", device)
        self.epochs[player_id] = connected.epoch
        return not connected.quarantined

    async def lift(self, player_id: int) -> None:
        await self.players.update(self.owner, player_id, {"quarantined": False}, version=None, face="test")

    async def lose(self, player_id: int, reason: Reason = "lost") -> None:
        await self.service.disconnect(player_id, self.owner.team_id, self.epochs[player_id], reason)

    async def pass_time(self, milliseconds: int) -> None:
        """With a sweep each second, as the supervised loop does it."""
        end = self.now + milliseconds
        while self.now < end:
            self.now = min(end, self.now + SECOND)
            await self.service.sweep()

    async def status(self, player_id: int) -> str:
        return str((await self.players.get(self.owner, player_id))["status"])

    async def told(self) -> list[str]:
        """The presence events so far."""
        async with self.db.session() as session:
            rows = await events.after(session, self.owner.team_id, 0, 1000)
        return [row.type for row in rows if row.type in ("player.online", "player.offline")]


@pytest.fixture
async def stage(db: Database) -> Stage:
    return Stage(db, await team_owner(db, "acme"))


@pytest.fixture
async def lost(stage: Stage) -> int:
    """A player that was connected and has vanished."""
    player_id = await stage.player()
    await stage.connect(player_id)
    await stage.lose(player_id)
    return player_id


async def test_a_lost_player_is_offline_after_its_grace(stage: Stage, lost: int) -> None:
    await stage.pass_time(GRACES.unclean - SECOND)
    assert await stage.status(lost) == "online"
    await stage.pass_time(SECOND)
    assert await stage.status(lost) == "offline"
    assert await stage.told() == ["player.online", "player.offline"]


async def test_a_return_in_the_moment_of_the_sweep_leaves_log_and_row_agreed(stage: Stage, lost: int) -> None:
    stage.now += GRACES.unclean
    sweeping = stage.db.submit(store.sweep, stage.now, SWEEP_LIMIT, GRACES.polling)
    await stage.connect(lost)
    await sweeping
    assert await stage.status(lost) == "online"
    assert (await stage.told())[-1] == "player.online"


async def test_time_in_which_the_hub_was_down_is_no_absence(stage: Stage, lost: int) -> None:
    """Stopped with a goodbye, and started again after every grace: players had nowhere to come back to."""
    other = await stage.player()
    await stage.connect(other)
    await stage.lose(other, "drain")
    stage.now += 10 * MINUTE
    stage.service = stage.start()
    await stage.service.recover()
    await stage.pass_time(GRACES.crash - SECOND)
    await stage.connect(other)
    await stage.pass_time(SECOND)
    assert (await stage.status(lost), await stage.status(other)) == ("offline", "online")
    assert await stage.told() == ["player.online", "player.online", "player.offline"]


async def test_time_in_which_nobody_looked_is_no_absence(stage: Stage, lost: int) -> None:
    """The database was away, or the machine asleep: the grace begins anew."""
    stage.now += HOUR
    await stage.service.sweep()
    await stage.pass_time(GRACES.crash - SECOND)
    assert await stage.status(lost) == "online"
    await stage.pass_time(SECOND)
    assert await stage.status(lost) == "offline"


async def test_a_clock_that_jumps_back_keeps_nobody_online(stage: Stage, lost: int) -> None:
    stage.now -= HOUR
    await stage.pass_time(GRACES.crash + SECOND)
    assert await stage.status(lost) == "offline"


async def test_after_a_quarantine_only_what_follows_its_lifting_counts(stage: Stage) -> None:
    player_id = await stage.player()
    assert [await stage.connect(player_id, name) for name in ("good", "copy", "good")] == [True, True, False]
    await stage.lift(player_id)
    assert await stage.connect(player_id, "good")  # not the third of before
    assert [await stage.connect(player_id, name) for name in ("copy", "good")] == [True, False]


async def test_replacements_of_before_the_lifting_are_no_evidence_after_it(stage: Stage) -> None:
    """Two devices whose hardware ids are one, as those of copied cards."""
    player_id = await stage.player()
    assert [await stage.connect(player_id) for _ in range(6)] == [True] * 5 + [False]
    await stage.lift(player_id)
    assert [await stage.connect(player_id) for _ in range(5)] == [True] * 4 + [False]


async def test_lifting_what_is_not_there_forgets_nothing(stage: Stage) -> None:
    player_id = await stage.player()
    assert [await stage.connect(player_id, name) for name in ("good", "copy")] == [True, True]
    await stage.lift(player_id)
    assert not await stage.connect(player_id, "good")


async def test_a_new_token_is_no_copy_of_the_old_one(stage: Stage) -> None:
    """Its owner has seen the copy first, and gives the good device another token."""
    player_id = await stage.player()
    assert [await stage.connect(player_id, name) for name in ("good", "copy")] == [True, True]
    stage.tokens[player_id] = await stage.players.issue_token(stage.owner, player_id, face="test")
    assert await stage.connect(player_id, "good")


async def test_what_a_player_reports_survives_a_database_that_is_away(database_url: str) -> None:
    def probe(point: str) -> None:
        if away and point == "before commit presence.report":
            raise ConnectionResetError("gone")

    away: list[bool] = []
    db = Database(database_url, probe=probe)
    await db.start()
    stage = Stage(db, await team_owner(db, "acme"))
    player_id = await stage.player()
    await stage.connect(player_id)
    stage.service.report(player_id, telemetry={"volume": 10, "cpu_percent": 5}, reported={"locked": True})
    away.append(True)
    with pytest.raises(Unavailable):
        await stage.service.flush()
    stage.service.report(player_id, telemetry={"volume": 20})
    away.clear()
    await stage.service.flush()
    told = await stage.players.get(stage.owner, player_id)
    assert told["telemetry"] == {"volume": 20, "cpu_percent": 5}
    assert told["reported"] == {"locked": True}
    await db.stop()


async def test_a_fleets_telemetry_shares_its_commits(database_url: str) -> None:
    batches: list[int] = []
    db = Database(database_url, observe=lambda units, _seconds: batches.append(units))
    await db.start()
    stage = Stage(db, await team_owner(db, "acme"))
    fleet = [await stage.player() for _ in range(60)]
    await asyncio.gather(*(stage.connect(player_id) for player_id in fleet))
    for player_id in fleet:
        stage.service.report(player_id, telemetry={"volume": player_id})
    batches.clear()
    await stage.service.flush()
    await db.write(nothing)
    assert sum(batches) > 60
    assert len(batches) <= 10
    assert (await stage.players.get(stage.owner, fleet[-1]))["telemetry"] == {"volume": fleet[-1]}
    await db.stop()


async def test_a_player_deleted_while_connected_is_forgotten(stage: Stage) -> None:
    player_id = await stage.player()
    await stage.connect(player_id)
    assert stage.service.last_seen(player_id) is not None
    await stage.players.delete(stage.owner, player_id, face="test")
    await stage.lose(player_id, "revoked")
    assert stage.service.last_seen(player_id) is None


async def test_the_database_tells_which_connections_a_node_has(stage: Stage) -> None:
    there, away = await stage.player(), await stage.player()
    await stage.connect(there)
    await stage.connect(away)
    await stage.lose(away)
    assert await stage.service.held() == [(there, stage.owner.team_id, 1)]


async def test_the_last_values_of_a_player_that_went_are_written(stage: Stage) -> None:
    player_id = await stage.player()
    await stage.connect(player_id)
    stage.now += SECOND
    stage.service.saw(player_id, stage.now)
    stage.service.report(player_id, telemetry={"volume": 10})
    await stage.lose(player_id, "bye")
    await stage.service.flush()
    assert stage.service.last_seen(player_id) is None
    seen = (await stage.db.write(status, player_id))[0]
    assert (seen["last_seen_at"], orjson.loads(seen["telemetry"])) == (stage.now, {"volume": 10})


STATUS = Statement("SELECT last_seen_at, telemetry FROM player_status WHERE player_id = :player_id")


def status(player_id: int) -> Unit:
    return (yield STATUS(player_id=player_id))


def nothing() -> Unit:
    return None
    yield


async def test_events_of_a_day_are_bounded_by_player_and_team_through_restarts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rules, "NOTICED_A_DAY", 3)
    outcomes: list[str] = []

    def start() -> PresenceService:
        quotas = all_plans(device_events_per_day=5)
        return PresenceService(
            stage.db, stage.bus, "hub", GRACES, outcomes.append, quotas=quotas, clock=lambda: stage.now
        )

    async def tell(service: PresenceService, player_id: int, number: int) -> list[str]:
        outcomes.clear()
        for _ in range(number):
            await service.noticed(player_id, "storage.low", {})
        return list(outcomes)

    first, second = await stage.player(), await stage.player()
    other = await player_of(stage.db, await team_owner(stage.db, "other"))
    service = start()
    assert await tell(service, first, 5) == ["stored"] * 3 + ["dropped"] * 2
    assert await tell(start(), first, 1) == ["dropped"]
    assert await tell(service, second, 4) == ["stored"] * 2 + ["dropped"] * 2  # of the team
    assert await tell(service, other.id or 0, 1) == ["stored"]
    assert [record.args for record in caplog.records if record.name == "hub.services.presence"] == [
        ("player", first), ("player", first), ("team", stage.owner.team_id),
    ]  # fmt: skip
    async with stage.db.session() as session:
        used = await stage.db.run(session, team_quotas.usage(stage.owner.team_id, ["device_events_per_day"], stage.now))
    assert used == {"device_events_per_day": 5}
    stage.now += DAY
    assert await tell(service, first, 4) == ["stored"] * 3 + ["dropped"]


async def test_what_waits_for_the_database_is_as_small_as_what_is_stored(stage: Stage) -> None:
    player_id = await stage.player()
    for turn in range(20):
        stage.service.report(player_id, reported={f"{turn}-{number}": "v" for number in range(rules.REPORTED_MOST)})
    assert len(stage.service.heard(player_id).reported) == rules.REPORTED_MOST
    await stage.service.flush()
    told = await stage.players.get(stage.owner, player_id)
    assert set(told["reported"]) == {f"19-{number}" for number in range(rules.REPORTED_MOST)}
