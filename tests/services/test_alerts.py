"""When alerts begin and end and whom they reach, on both databases."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import col, select

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import Conflict
from hub.domain.quotas import QUOTAS
from hub.domain.times import DAY, MINUTE, SECOND
from hub.services.alerts import SHOWN_LIMIT, Alerts
from hub.services.clock import Steady
from hub.store import events, players
from hub.store.database import Database
from hub.store.tables import Location, Player, PlayerGroup, Team
from tests.cast import player_of, team_owner

NOW = 1_774_795_800_000  # 2026-03-29T14:50:00Z


class Stage:
    def __init__(self, db: Database, owner: Actor) -> None:
        self.db, self.owner, self.now = db, owner, NOW
        self.bus = LocalBus()
        self.woken: list[int] = []
        self.bus.subscribe(("alerts", None), self.woken.append)
        self.alerts = self.node()

    def watched(self, running: Callable[[], int]) -> Alerts:
        """One that sees jumps of the clock, beside running time."""
        return Alerts(self.db, self.bus, clock=lambda: self.now, steady=Steady(running=running))

    def node(self) -> Alerts:
        """One more process on this database."""
        return Alerts(self.db, self.bus, clock=lambda: self.now)

    async def raise_(self, **fields: Any) -> int:
        targets = {kind: fields.pop(kind, []) for kind in ("player", "group", "location")}
        values = {"title": "Fire", "message": "Leave.", "severity": "extreme", "everyone": not any(targets.values())}
        made = await self.alerts.create(self.owner, targets=targets, face="signalbox", **values | fields)
        alert_id: int = made["id"]
        return alert_id

    async def shown(self, player: Player, alerts: Alerts | None = None) -> list[int]:
        assert player.id is not None
        return [one.id for one in await (alerts or self.alerts).live_for_player(player.team_id, player.id)]

    async def told(self) -> list[tuple[str, int, str | None]]:
        async with self.db.session() as session:
            rows = await events.after(session, self.owner.team_id, 0, 1_000)
        found = [(row.type, events.as_data(row)) for row in rows]
        return [(kind, data["alert_id"], data.get("reason")) for kind, data in found]

    async def content_version(self) -> int:
        async with self.db.session() as session:
            team = (await session.exec(select(Team).where(col(Team.id) == self.owner.team_id))).one()
        return team.content_version


@pytest.fixture
async def stage(db: Database) -> Stage:
    return Stage(db, await team_owner(db, "acme"))


async def test_an_alert_begins_and_ends_at_its_times_once_whichever_node_sees_it(stage: Stage) -> None:
    lobby = await player_of(stage.db, stage.owner)
    alert = await stage.raise_(starts_at=NOW + 1_000, ends_at=NOW + 5_000)
    other = stage.node()
    await stage.alerts.sweep()
    assert await stage.shown(lobby) == []
    before = await stage.content_version()

    stage.now = NOW + 1_000
    await stage.alerts.sweep()
    await other.sweep()
    assert await stage.shown(lobby) == [alert] == await stage.shown(lobby, other)
    assert await stage.content_version() == before + 1

    stage.now = NOW + 5_000
    assert await stage.shown(lobby) == []  # over by the clock, before any sweep
    await other.sweep()
    await stage.alerts.sweep()
    assert (await stage.alerts.get(stage.owner, alert))["status"] == "over"
    assert await stage.told() == [
        ("alert.created", alert, None),
        ("alert.triggered", alert, None),
        ("alert.cleared", alert, "ended"),
    ]
    assert await stage.content_version() == before + 2


async def test_an_alert_whose_time_passed_while_nobody_looked_is_never_shown(stage: Stage) -> None:
    alert = await stage.raise_(starts_at=NOW + 1_000, ends_at=NOW + 2_000)
    stage.now = NOW + 60_000
    await stage.alerts.sweep()
    assert [kind for kind, _, _ in await stage.told()] == ["alert.created", "alert.cleared"]
    assert (await stage.told())[-1] == ("alert.cleared", alert, "missed")


async def test_an_alert_reaches_players_their_groups_and_their_places_and_nobody_else(stage: Stage) -> None:
    named, member, there, away = [await player_of(stage.db, stage.owner, name) for name in "abcd"]
    stranger = await player_of(stage.db, await team_owner(stage.db, "other"))
    async with stage.db.transaction() as session:
        group = PlayerGroup(team_id=stage.owner.team_id, name="G", created_at=NOW)
        place = Location(team_id=stage.owner.team_id, name="Hall", timezone="UTC", created_at=NOW)
        session.add_all([group, place])
        await session.flush()
        await players.set_members(session, group.id or 0, [member.id or 0])
        there.location_id = place.id
        session.add(there)
    aimed = await stage.raise_(player=[named.id], group=[group.id], location=[place.id], severity="minor")
    everyone = await stage.raise_()
    for player in (named, member, there):
        assert await stage.shown(player) == [everyone, aimed]  # the graver first
    assert await stage.shown(away) == [everyone]
    assert await stage.shown(stranger) == []
    standing = await stage.alerts.live_for_team(stage.owner.team_id)
    assert [[one.id for one in standing.for_player(player.id or 0)] for player in (named, member, there, away)] == [
        [everyone, aimed], [everyone, aimed], [everyone, aimed], [everyone]]  # fmt: skip

    async with stage.db.transaction() as session:
        await players.set_members(session, group.id or 0, [away.id or 0])
    assert await stage.shown(member) == [everyone]
    assert await stage.shown(away) == [everyone, aimed]


async def test_every_node_wakes_a_team_whose_live_alerts_have_changed_and_no_other(stage: Stage) -> None:
    other = stage.node()
    await other.look()
    team = stage.owner.team_id
    alert = await stage.raise_()
    assert stage.woken == [team]
    await other.sweep()
    assert stage.woken == [team, team]
    await other.sweep()
    await stage.alerts.sweep()
    assert stage.woken == [team, team]
    await stage.alerts.update(stage.owner, alert, {"title": "Fire!"}, version=None, face="signalbox")
    await stage.alerts.delete(stage.owner, alert, face="signalbox")
    assert stage.woken == [team] * 4
    assert [kind for kind, _, _ in await stage.told()][-3:] == ["alert.updated", "alert.cleared", "alert.deleted"]


async def test_open_alerts_are_bounded_and_a_screen_gets_the_gravest(stage: Stage) -> None:
    lobby = await player_of(stage.db, stage.owner)
    numbers = [await stage.raise_(severity="minor") for _ in range(QUOTAS["alerts"].limits.unlimited - 1)]
    gravest = await stage.raise_(severity="extreme")
    with pytest.raises(Conflict, match="quota alerts"):
        await stage.raise_()
    assert await stage.shown(lobby) == [gravest, *reversed(numbers)][:SHOWN_LIMIT]
    await stage.alerts.clear(stage.owner, gravest, face="signalbox")
    assert await stage.raise_()


async def test_a_clock_that_was_ahead_for_a_moment_ends_no_alert(stage: Stage) -> None:
    lobby, ran = await player_of(stage.db, stage.owner), [0]
    alerts = stage.watched(lambda: ran[0])
    alert = await stage.raise_(ends_at=NOW + 30 * DAY)
    await alerts.sweep()
    for jump, passed in ((500 * DAY, 0), (0, 8 * SECOND), (-500 * DAY, 0), (0, MINUTE)):
        stage.now += jump + passed
        ran[0] += passed
        await alerts.sweep()
    assert await stage.shown(lobby) == [alert]
    assert (await alerts.get(stage.owner, alert))["cleared_at"] is None

    stage.now += 30 * DAY  # for good
    await alerts.sweep()
    stage.now, ran[0] = stage.now + 2 * MINUTE, ran[0] + 2 * MINUTE
    await alerts.sweep()
    assert (await alerts.get(stage.owner, alert))["cleared_at"] is not None
