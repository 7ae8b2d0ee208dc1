"""What the watch over players opens and resolves, on both databases where they decide; time is the test's own."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlmodel import col, select

from hub.domain.commands import Outcome
from hub.domain.errors import Conflict, Invalid, NotFound
from hub.domain.times import DAY, HOUR, MINUTE, SECOND, now_ms, rfc3339
from hub.services.analytics import Analytics
from hub.services.commands import Origin
from hub.services.incident_monitor import BITE, IN_TURN, PAGE, RECOUNT_MS, SETTLED_MS
from hub.store import events, retention
from hub.store.database import Database
from hub.store.tables import Incident
from tests.cast import team_owner
from tests.watched import GRACE, NOW, Stage


@pytest.fixture
async def stage(sqlite_db: Database) -> Stage:
    return await watched(sqlite_db)


@pytest.fixture
async def on_both(db: Database) -> Stage:
    """The same on each database, for what the database decides."""
    return await watched(db)


async def watched(db: Database) -> Stage:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.look()
    return stage


# Away ----------------------------------------------------------------------------------------------------------------


async def test_who_is_away_for_longer_than_the_rule_allows_in_opening_hours_opens_one_incident(on_both: Stage) -> None:
    stage = on_both
    shop = await stage.locations.create(
        stage.owner,
        name="Shop",
        timezone="Europe/Berlin",
        opening_hours=[{"days": ["mon", "tue"], "from": "08:00", "to": "20:00"}],
        face="test",
    )
    lobby = await stage.player(location_id=shop["id"])
    rule = await stage.rule("player_offline", offline_minutes=30)
    await stage.player("Never there", online=False)
    await stage.look()
    stage.now = NOW + 12 * HOUR - 10 * MINUTE  # ten minutes before it closes
    await stage.leave(lobby)
    since = stage.now
    for after in (0, 10 * MINUTE, 6 * HOUR, 6 * HOUR, 19 * MINUTE):
        await stage.look(after=after)
        assert await stage.found() == []
    await stage.look(after=MINUTE)
    [incident] = await stage.found()
    assert incident == incident | {
        "rule_id": rule,
        "player_id": lobby,
        "kind": "player_offline",
        "severity": "severe",
        "status": "open",
        "title": "Lobby is offline",
        "measured": {"offline_since": rfc3339(since), "offline_minutes": 30},
        "began_at": rfc3339(since),
        "opened_at": rfc3339(stage.now),
    }
    await stage.look(stage.node(), after=MINUTE)
    await stage.connect(lobby)
    await stage.look()
    assert await stage.states() == [("resolved", "recovered")]
    number = incident["id"]
    assert await stage.told() == [("alert.triggered", number, None), ("alert.cleared", number, "recovered")]


async def test_a_return_in_time_and_a_new_absence_begin_to_count_anew(stage: Stage) -> None:
    lobby = await stage.player()
    await stage.rule("player_offline", offline_minutes=10)
    await stage.leave(lobby)
    await stage.look()
    stage.now += 9 * MINUTE
    await stage.connect(lobby)
    await stage.leave(lobby)  # there and away again between two looks
    await stage.look(after=9 * MINUTE)
    assert await stage.found() == []
    await stage.look(after=MINUTE)
    stage.now += MINUTE
    await stage.connect(lobby)
    await stage.leave(lobby)
    await stage.look()
    assert await stage.states() == [("resolved", "recovered")]
    await stage.look(after=10 * MINUTE)
    assert await stage.states() == [("resolved", "recovered"), ("open", None)]


async def test_time_in_which_the_hub_was_away_is_nobody_elses(on_both: Stage) -> None:
    stage = on_both
    lobby = await stage.player()
    await stage.rule("player_offline", offline_minutes=10)
    analytics = Analytics(stage.db, "hub", 90, clock=stage.clock)
    await stage.leave(lobby)
    stage.now += 5 * MINUTE
    await stage.look()
    await analytics.beat()
    stage.now += HOUR
    await analytics.beat()  # the hub is back
    restarted = stage.node()
    await stage.look(restarted)
    await stage.look(restarted, after=GRACE)
    await stage.look(restarted, after=5 * MINUTE - 1)
    assert await stage.found() == []
    await stage.look(restarted, after=1)
    assert [one["measured"]["offline_minutes"] for one in await stage.found()] == [10]


async def test_new_opening_hours_count_from_the_beginning(stage: Stage) -> None:
    place = await stage.locations.create(stage.owner, name="Shop", timezone="Europe/Berlin", face="test")
    lobby = await stage.player(location_id=place["id"])
    await stage.rule("player_offline", offline_minutes=60)
    await stage.leave(lobby)
    await stage.look()
    hours = [{"days": ["mon"], "from": "08:00", "to": "08:30"}]
    await stage.locations.update(stage.owner, place["id"], {"opening_hours": hours}, face="test")
    await stage.look()
    await stage.look(after=2 * HOUR)
    assert await stage.found() == []
    await stage.locations.update(stage.owner, place["id"], {"opening_hours": None}, face="test")
    await stage.look()
    assert await stage.states() == [("open", None)]


# By people -----------------------------------------------------------------------------------------------------------


async def test_what_a_person_resolves_comes_back_only_after_it_was_over(on_both: Stage) -> None:
    stage = on_both
    lobby = await stage.player()
    await stage.rule("player_offline", offline_minutes=1)
    await stage.leave(lobby)
    await stage.look(after=MINUTE)
    [first] = await stage.found()
    mine = await stage.incidents.acknowledge(stage.owner, first["id"], "On my way.", face="test")
    again = await stage.incidents.acknowledge(stage.owner, first["id"], "Me too.", face="test")
    assert mine == again == mine | {
        "status": "acknowledged", "acknowledged_by": "Owner", "acknowledged_note": "On my way."}  # fmt: skip
    for note in ("Unplugged for the holidays.", "Again."):
        done = await stage.incidents.resolve(stage.owner, first["id"], note, face="test")
        assert (done["reason"], done["resolved_by"]) == ("resolved", "Owner")
        assert done["resolved_note"] == "Unplugged for the holidays."
    with pytest.raises(Conflict):
        await stage.incidents.acknowledge(stage.owner, first["id"], None, face="test")
    for _ in range(3):
        await stage.look(stage.node(), after=HOUR)
    assert await stage.states() == [("resolved", "resolved")]

    await stage.connect(lobby)
    await stage.look()
    await stage.leave(lobby)
    await stage.look(after=MINUTE)
    assert await stage.states() == [("resolved", "resolved"), ("open", None)]
    assert [kind for kind, number, _ in await stage.told() if number == first["id"]] == [
        "alert.triggered", "alert.acknowledged", "alert.cleared"]  # fmt: skip


async def test_another_team_sees_none_of_it(stage: Stage) -> None:
    lobby = await stage.player()
    rule = await stage.rule("player_offline", offline_minutes=1)
    await stage.leave(lobby)
    await stage.look(after=MINUTE)
    [incident] = await stage.found()
    stranger = await team_owner(stage.db, "other")
    assert await stage.incidents.listing(stranger, per_page=10) == ([], 0)
    for call in (stage.incidents.acknowledge, stage.incidents.resolve):
        with pytest.raises(NotFound):
            await call(stranger, incident["id"], None, face="test")
    with pytest.raises(NotFound):
        await stage.incidents.get(stranger, incident["id"])
    with pytest.raises(NotFound):
        await stage.rules.get(stranger, rule)
    with pytest.raises(Invalid):
        await stage.rules.create(
            stranger, name="x", kind="picture_black", severity="minor", thresholds={}, everyone=False,
            targets={"player": [lobby]}, face="test",
        )  # fmt: skip


# Readings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "thresholds", "values"),
    [
        # (a reading, whether an incident is open after it), one after the other
        (
            "storage_low",
            {"free_mb": 1_000},
            [({"storage_free_mb": free}, there) for free, there in ((1_000, 0), (999, 1), (1_050, 1), (1_100, 0))],
        ),
        (
            "storage_low",
            {"free_percent": 10},
            [
                ({"storage_free_mb": free, "storage_total_mb": 1_000}, there)
                for free, there in ((100, 0), (99, 1), (109, 1), (110, 0), (105, 0))
            ],
        ),
        (
            "temperature_high",
            {"celsius": 80},
            [({"temperature_c": degrees}, there) for degrees, there in ((80, 0), (80.1, 1), (77.5, 1), (77, 0))],
        ),
    ],
)
async def test_readings_beyond_the_limit_open_and_only_clearly_better_ones_close(
    stage: Stage, kind: str, thresholds: dict[str, float], values: Sequence[tuple[dict[str, float], int]]
) -> None:
    lobby = await stage.player()
    await stage.rule(kind, **thresholds)
    await stage.look()
    for telemetry, there in values:
        await stage.report(lobby, **telemetry)
        await stage.look(after=SETTLED_MS)
        assert [one["status"] for one in await stage.found() if one["status"] != "resolved"] == ["open"] * there
    assert [reason for _, reason in await stage.states()] == ["recovered"]


async def test_a_clock_is_judged_by_the_moment_in_which_it_told_the_time(on_both: Stage) -> None:
    stage = on_both
    lobby = await stage.player()
    await stage.rule("clock_skewed", seconds=60)
    await stage.report(lobby, clock=rfc3339(stage.now - 61 * SECOND))
    await stage.look(after=SETTLED_MS)
    assert [one["measured"] for one in await stage.found()] == [{"clock_skew_seconds": -61.0}]
    stage.now += HOUR
    await stage.report(lobby, clock=rfc3339(stage.now + SECOND))
    await stage.report(lobby, volume=10)
    await stage.look(after=HOUR)
    await stage.report(lobby, volume=11)  # an hour after the clock was last told
    await stage.look(after=SETTLED_MS)
    assert await stage.states() == [("resolved", "recovered")]


async def test_it_must_last_as_long_as_the_rule_says(on_both: Stage) -> None:
    stage = on_both
    lobby = await stage.player()
    rule = await stage.rule("temperature_high", celsius=80, for_minutes=11)
    await stage.look()
    for degrees in (90, 90, 70, 90):
        await stage.report(lobby, temperature_c=degrees)
        await stage.look(after=5 * MINUTE)
    assert await stage.found() == []
    await stage.look(after=6 * MINUTE)
    assert await stage.states() == [("open", None)]
    await stage.change(rule, thresholds={"celsius": 95})  # what is there now would not have opened it
    await stage.look()
    assert await stage.states() == [("resolved", "recovered")]


async def test_what_is_not_known_is_not_judged(stage: Stage) -> None:
    lobby, other = await stage.player("Lobby"), await stage.player("Other")
    await stage.report(lobby, temperature_c=90)
    await stage.report(other, volume=20)
    await stage.leave(lobby)
    stage.now += MINUTE
    await stage.rule("temperature_high", celsius=80)
    await stage.rule("storage_low", free_percent=5)
    await stage.look(after=SETTLED_MS)
    await stage.connect(lobby)  # back, and has not measured since
    await stage.look(after=SETTLED_MS)
    assert await stage.found() == []
    await stage.report(lobby, temperature_c=91)
    await stage.look(after=SETTLED_MS)
    await stage.leave(lobby)  # nobody knows whether it is cooler now
    await stage.look(after=DAY)
    assert await stage.states() == [("open", None)]


async def test_what_waits_is_dropped_when_nobody_can_say_any_more_that_it_lasts(stage: Stage) -> None:
    lobby = await stage.player()
    await stage.rule("temperature_high", celsius=80, for_minutes=10)
    await stage.look()
    await stage.report(lobby, temperature_c=90)
    await stage.look(after=SETTLED_MS)
    await stage.leave(lobby)
    await stage.look(after=HOUR)
    async with stage.db.session() as session:
        assert (await session.exec(select(Incident))).all() == []


# What devices notice -------------------------------------------------------------------------------------------------


async def test_a_black_picture_is_an_incident_until_the_device_says_that_it_is_over(on_both: Stage) -> None:
    stage = on_both
    lobby, other = await stage.player("Lobby"), await stage.player("Other")
    await stage.rule("picture_black", player=[lobby])
    await stage.rule("picture_frozen")
    await stage.look()
    for name in ("picture.black", "picture.black", "picture.frozen"):
        await stage.presence.noticed(lobby, name, {})
    await stage.presence.noticed(other, "picture.black", {})
    await stage.look(after=MINUTE)
    assert [(one["kind"], one["player_id"]) for one in await stage.found()] == [
        ("picture_black", lobby), ("picture_frozen", lobby)]  # fmt: skip
    await stage.look(stage.node(), after=HOUR)
    assert await stage.states() == [("open", None)] * 2
    await stage.presence.noticed(lobby, "picture.recovered", {})
    await stage.presence.noticed(lobby, "picture.black", {})
    await stage.look()
    assert await stage.states() == [("resolved", "recovered")] * 2 + [("open", None)]


async def test_what_devices_noticed_is_heard_once_whoever_looks_and_not_missed_by_a_restart(on_both: Stage) -> None:
    stage = on_both
    lobby = await stage.player()
    await stage.rule("picture_black")
    await stage.look()
    await stage.presence.noticed(lobby, "picture.black", {})
    await stage.presence.noticed(lobby, "picture.recovered", {})
    one, two = stage.node(), stage.node()
    await stage.look(one)
    await stage.look(two)
    assert await stage.states() == [("resolved", "recovered")]
    await stage.presence.noticed(lobby, "picture.black", {})
    await stage.look(two)
    await stage.look(one)
    await stage.look()
    assert await stage.states() == [("resolved", "recovered"), ("open", None)]


async def test_more_than_a_page_of_the_log_is_read_to_its_end(stage: Stage) -> None:
    lobby = await stage.player()
    await stage.rule("picture_black")
    await stage.look()
    for _ in range(PAGE):
        await stage.presence.noticed(lobby, "clock.skewed", {})
    await stage.presence.noticed(lobby, "picture.black", {})
    await stage.look()
    assert await stage.states() == [("open", None)]


async def test_a_rule_does_not_hear_what_was_said_before_it_watched(stage: Stage) -> None:
    lobby = await stage.player()
    await stage.presence.noticed(lobby, "picture.black", {})
    stage.now += 1
    rule = await stage.rule("picture_black")
    await stage.look()
    await stage.change(rule, enabled=False)
    await stage.look()
    await stage.presence.noticed(lobby, "picture.black", {})
    stage.now += 1
    await stage.change(rule, enabled=True)
    await stage.look(after=MINUTE)
    assert await stage.found() == []
    await stage.presence.noticed(lobby, "picture.black", {})
    await stage.look()
    assert await stage.states() == [("open", None)]


@pytest.mark.parametrize(
    ("event", "detail", "opens"),
    [
        ("temperature.high", {}, True),
        ("temperature.high", {"temperature_c": 85}, True),
        ("temperature.high", {"temperature_c": 79}, False),
        ("temperature.high", {"temperature_c": "hot"}, True),
        ("storage.low", {}, False),
    ],
)
async def test_a_device_is_believed_until_it_measures_something_else(
    stage: Stage, event: str, detail: dict[str, Any], opens: bool
) -> None:
    lobby = await stage.player()
    await stage.rule("temperature_high", celsius=80)
    await stage.report(lobby, temperature_c=60)
    await stage.look(after=SETTLED_MS)
    await stage.presence.noticed(lobby, event, detail)
    await stage.look(after=MINUTE)
    assert await stage.states() == ([("open", None)] if opens else [])
    await stage.report(lobby, temperature_c=60)
    await stage.look(after=SETTLED_MS)
    assert await stage.states() == ([("resolved", "recovered")] if opens else [])


async def test_a_device_that_never_measures_can_say_it_again_after_a_person_has_resolved_it(stage: Stage) -> None:
    lobby = await stage.player()
    await stage.rule("temperature_high", celsius=80)
    await stage.look()
    await stage.presence.noticed(lobby, "temperature.high", {})
    await stage.look(after=MINUTE)
    [incident] = await stage.found()
    await stage.look(after=DAY)
    assert await stage.states() == [("open", None)]
    await stage.incidents.resolve(stage.owner, incident["id"], None, face="test")
    await stage.look()
    await stage.presence.noticed(lobby, "temperature.high", {})
    await stage.look()
    assert await stage.states() == [("resolved", "resolved"), ("open", None)]


async def test_a_device_that_never_measures_is_believed_for_as_long_as_the_rule_waits(stage: Stage) -> None:
    lobby = await stage.player()
    await stage.rule("storage_low", free_mb=100, for_minutes=10)
    await stage.look()
    await stage.presence.noticed(lobby, "storage.low", {})
    for _ in range(9):
        await stage.look(after=MINUTE)
    assert await stage.found() == []
    await stage.look(after=MINUTE)
    [incident] = await stage.found()
    assert (incident["message"], incident["measured"]) == ("The device says so.", {})


# Commands ------------------------------------------------------------------------------------------------------------


async def test_many_failures_among_the_latest_commands_of_a_team_are_one_incident(on_both: Stage) -> None:
    stage = on_both
    lobby = await stage.player()

    async def finish(status: str) -> None:
        origin = Origin(stage.owner, "test")
        sent = await stage.commands.send(origin, lobby, "identify")
        error = None if status == "succeeded" else "broken"
        outcome = Outcome(sent["command_id"], status, {"shown": True}, error, error, None, stage.now)
        await stage.commands.record(lobby, outcome)

    stage.now = now_ms()  # commands end by the real clock
    await stage.rule("command_failures", window_minutes=60, min_commands=4, failed_percent=50)
    for _ in range(3):
        await finish("failed")
    await stage.look(after=RECOUNT_MS)
    assert await stage.found() == []  # too few to say anything
    sent = await stage.commands.send(Origin(stage.owner, "test"), lobby, "identify")
    await stage.commands.cancel(Origin(stage.owner, "test"), sent["command_id"])
    await stage.look(after=RECOUNT_MS)
    assert await stage.found() == []  # called off is not failed
    await finish("rejected")
    await stage.look(after=RECOUNT_MS)
    [incident] = await stage.found()
    assert incident["player_id"] is None
    assert incident["measured"] == {"commands": 4, "failed": 4, "failed_percent": 100.0}
    for _ in range(5):
        await finish("succeeded")
    await stage.look(after=RECOUNT_MS)
    assert await stage.states() == [("open", None)]  # 44 %: better, and not clearly
    await finish("succeeded")
    await finish("succeeded")
    await stage.look(after=RECOUNT_MS)
    assert await stage.states() == [("resolved", "recovered")]
    for _ in range(8):
        await finish("failed")
    await stage.look(after=RECOUNT_MS)
    await stage.look(after=2 * HOUR)  # no command since
    assert await stage.states() == [("resolved", "recovered")] * 2


# Nobody watches any more ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["disabled", "deleted", "player deleted", "about others"])
async def test_what_nobody_watches_any_more_is_withdrawn(on_both: Stage, how: str) -> None:
    stage = on_both
    lobby, other = await stage.player("Lobby"), await stage.player("Other")
    rule = await stage.rule("player_offline", offline_minutes=1, player=[lobby])
    await stage.leave(lobby)
    await stage.look(after=MINUTE)
    match how:
        case "disabled":
            await stage.change(rule, enabled=False)
        case "deleted":
            await stage.rules.delete(stage.owner, rule, face="test")
        case "player deleted":
            await stage.players.delete(stage.owner, lobby, face="test")
        case "about others":
            await stage.change(rule, targets={"player": [other]})
    await stage.look(after=MINUTE)
    [incident] = await stage.found()
    assert (incident["status"], incident["reason"], incident["name"]) == ("resolved", "withdrawn", "Lobby")
    assert (await stage.told())[-1] == ("alert.cleared", incident["id"], "withdrawn")
    if how == "disabled":
        await stage.change(rule, enabled=True)
        await stage.look()
        assert await stage.states() == [("resolved", "withdrawn"), ("open", None)]


async def test_rules_are_about_players_their_groups_and_their_places(on_both: Stage) -> None:
    stage = on_both
    place = (await stage.locations.create(stage.owner, name="Shop", timezone="UTC", face="test"))["id"]
    named, member, there, away = [await stage.player(name) for name in ("a", "b", "c", "d")]
    group = await stage.players.create_group(stage.owner, name="G", player_ids=[member], face="test")
    await stage.players.update(stage.owner, there, {"location_id": place}, version=None, face="test")
    await stage.rule("player_offline", offline_minutes=1, player=[named], group=[group["id"]], location=[place])
    await stage.look()
    for player in (named, member, there, away):
        await stage.leave(player)
    await stage.look(after=MINUTE)
    assert {one["player_id"] for one in await stage.found()} == {named, member, there}
    await stage.players.update_group(stage.owner, group["id"], {"player_ids": [away]}, version=None, face="test")
    await stage.players.update(stage.owner, there, {"location_id": None}, version=None, face="test")
    await stage.look()
    assert {(one["player_id"], one["reason"]) for one in await stage.found()} == {
        (named, None), (member, "withdrawn"), (there, "withdrawn"), (away, None)}  # fmt: skip


async def test_everybody_is_looked_at_in_turn_without_any_reason(on_both: Stage) -> None:
    stage = on_both
    players = [await stage.player(f"p{number}") for number in range(IN_TURN + 5)]
    await stage.rule("player_offline", offline_minutes=1)
    await stage.look()
    await stage.leave(players[-1])
    async with stage.db.transaction() as session:  # an event that nobody ever hears of
        await session.exec(events.EventRow.__table__.delete())  # type: ignore[attr-defined]
    for _ in range(3):
        await stage.watch.look()
    await stage.look(after=MINUTE)
    assert await stage.states() == [("open", None)]


async def test_a_whole_fleet_that_leaves_is_looked_at_in_bites(stage: Stage) -> None:
    players = [await stage.player(f"p{number}") for number in range(BITE + 20)]
    await stage.rule("player_offline", offline_minutes=1)
    await stage.look()
    for player in players:
        await stage.leave(player)
    stage.now += MINUTE
    assert await stage.watch.look()
    await stage.look()
    assert (await stage.incidents.listing(stage.owner, status="open", per_page=1))[1] == len(players)


async def test_old_incidents_go_but_not_while_their_condition_goes_on(on_both: Stage) -> None:
    stage = on_both
    one, two = await stage.player("One"), await stage.player("Two")
    await stage.rule("player_offline", offline_minutes=1)
    for player in (one, two):
        await stage.leave(player)
    await stage.look(after=MINUTE)
    first, second = await stage.found()
    await stage.connect(one)
    await stage.look()
    await stage.incidents.resolve(stage.owner, second["id"], None, face="test")
    await stage.db.write(retention.forget, "incidents", stage.now + DAY)
    assert [one["id"] for one in await stage.found()] == [second["id"]]
    async with stage.db.session() as session:
        kept = (await session.exec(select(Incident).where(col(Incident.id) == first["id"]))).all()
    assert kept == []
