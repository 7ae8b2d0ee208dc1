"""What plays and why, by examples; and that a timeline is what looking at each instant would say, for any schedules."""

from datetime import date
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain import explanation, manifest, program
from hub.domain.explanation import Explanation, explaining, why_not
from hub.domain.playback import Target
from hub.domain.program import (
    Asset,
    Chain,
    Item,
    Layout,
    Notice,
    Place,
    Plan,
    PlayerContext,
    Playlist,
    Screen,
    Segment,
    Shown,
    TeamContent,
    Zone,
    by_weather,
    choosing,
    circumstances,
    compiling,
    resolve,
)
from hub.domain.schedules import Rule, read_rule
from hub.domain.timeline import holds_at, local
from hub.domain.times import DAY, HOUR, parse
from hub.domain.weather import Sky
from hub.domain.work import T, Work

NOON = parse("2026-03-04T12:00:00Z")  # a Wednesday
PLAYER, GROUP, PLACE = Target("player", 1), Target("group", 10), Target("location", 20)
ASSET = Asset(5, "image", "Poster", None, "ab" * 32, 1_000, "image/png", None)
HOT = {"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"}
RAIN = {"type": "weather", "operator": "eq", "value": "rain"}


def finish(work: Work[T]) -> T:
    """All of it at once."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: T = done.value
            return found


def chain_at(world: TeamContent, here: PlayerContext, at: int) -> Chain:
    return finish(choosing(world, here, at, {}))


def compile_segments(world: TeamContent, here: PlayerContext, start: int, end: int) -> list[Segment]:
    return finish(compiling(world, here, start, end))


def explain(world: TeamContent, screen: Screen, at: int, sky: Sky | None) -> Explanation:
    return finish(explaining(world, screen, at, sky))


def playlist(id: int, *items: Item) -> Playlist:
    return Playlist(id, f"Playlist {id}", "fade", items or (Item(id * 10, 5, 10, None),))


def plan(id: int, shows: int, *targets: Target, rule: Rule | None = None, **more: Any) -> Plan:
    values: dict[str, Any] = {"priority": 0, "active": True} | more
    return Plan(
        id,
        f"sch_{id}",
        f"Schedule {id}",
        Shown("playlist", shows),
        rule or Rule(),
        targets=frozenset(targets),
        **values,
    )


def world(*plans: Plan, **more: Any) -> TeamContent:
    values: dict[str, Any] = {
        "playlists": {id: playlist(id) for id in range(1, 10)},
        "layouts": {1: Layout(1, "Wall", 1920, 1080, (Zone(1, "Left", 0, 0, 50, 100, 1, None),)),
                    2: Layout(2, "Bare", 1920, 1080, (Zone(2, "Left", 0, 0, 50, 100, None, 99),))},
        "assets": {5: ASSET},
        "places": {20: Place("Europe/Berlin", (52.5, 13.4))},
    }  # fmt: skip
    return TeamContent(plans=plans, **(values | more))


def shown(world: TeamContent, screen: Screen, at: int = NOON, sky: Sky | None = None) -> tuple[str, int, str]:
    step = resolve(chain_at(world, circumstances(world, screen), at), by_weather(sky))
    return step.shown.kind, step.shown.id, step.source


SCREEN = Screen(1, location_id=20, group_ids=(10, 11))


def test_the_highest_priority_wins_then_the_closest_target_then_the_newest() -> None:
    everywhere = [plan(1, 1, PLACE), plan(2, 2, GROUP), plan(3, 3, GROUP), plan(4, 4, PLACE, PLAYER)]
    assert shown(world(*everywhere), SCREEN) == ("playlist", 4, "schedule")
    assert shown(world(*everywhere[:3]), SCREEN) == ("playlist", 3, "schedule")
    assert shown(world(everywhere[0]), SCREEN) == ("playlist", 1, "schedule")
    assert shown(world(*everywhere, plan(5, 5, PLACE, priority=1)), SCREEN) == ("playlist", 5, "schedule")
    assert shown(world(plan(6, 6, Target("player", 2), Target("group", 12))), SCREEN) == ("nothing", 0, "nothing")


def test_without_a_schedule_the_layouts_then_the_default_playlist_then_nothing() -> None:
    known = world(group_layouts={11: 1}, default_playlist=7)
    assert shown(known, Screen(1, layout_id=1)) == ("layout", 1, "player_layout")
    assert shown(known, SCREEN) == ("layout", 1, "group_layout")
    assert shown(known, Screen(1)) == ("playlist", 7, "default_playlist")
    assert shown(world(), Screen(1)) == ("nothing", 0, "nothing")


def test_what_has_nothing_to_show_is_passed_over() -> None:
    gone = {3: playlist(3, Item(1, 99, 10, None)), 4: Playlist(4, "Empty", "none", ())}
    plans = (plan(1, 3, PLAYER), plan(2, 4, PLAYER), plan(3, 77, PLAYER), plan(4, 1, PLAYER, active=False))
    empty = world(*plans, playlists=gone, default_playlist=4)
    assert shown(empty, Screen(1, layout_id=2)) == ("nothing", 0, "nothing")
    reasons = [why_not(empty, one, ZoneInfo("UTC"), lambda day: False, NOON, None) for one in plans]
    assert [reason and reason.code for reason in reasons] == ["empty", "empty", "empty", "switched_off"]


def test_the_time_zone_is_the_players_own_else_its_locations_else_the_teams() -> None:
    known = world(timezone="Asia/Tokyo")
    assert program.zone_of(known, Screen(1, timezone="Asia/Kathmandu", location_id=20)) == "Asia/Kathmandu"
    assert program.zone_of(known, Screen(1, location_id=20)) == "Europe/Berlin"
    assert program.zone_of(known, Screen(1)) == "Asia/Tokyo"


def test_weather_decides_between_a_window_and_its_fallback_and_is_false_while_unknown() -> None:
    hot, wet = (
        plan(2, 2, PLAYER, rule=read_rule(conditions=[HOT]), priority=5),
        plan(3, 3, PLAYER, rule=read_rule(conditions=[RAIN]), priority=4),
    )
    known = world(plan(1, 1, PLAYER), hot, wet)
    assert shown(known, SCREEN) == ("playlist", 1, "schedule")
    assert shown(known, SCREEN, sky=Sky(31, "rain", NOON)) == ("playlist", 2, "schedule")
    assert shown(known, SCREEN, sky=Sky(30, "rain", NOON)) == ("playlist", 3, "schedule")
    assert shown(known, SCREEN, sky=Sky(None, "clear", NOON)) == ("playlist", 1, "schedule")
    (segment,) = compile_segments(known, circumstances(known, SCREEN), NOON, NOON + HOUR)
    assert manifest.entry(segment) == {
        "from": "2026-03-04T12:00:00Z", "to": "2026-03-04T13:00:00Z",
        "kind": "playlist", "playlist_id": 2, "schedule_id": 2,
        "condition": ["weather gt 30 celsius"],
        "fallback": {"kind": "playlist", "playlist_id": 3, "schedule_id": 3, "condition": ["weather eq rain"],
                     "fallback": {"kind": "playlist", "playlist_id": 1, "schedule_id": 1}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({}, None, ""),
        ({"start_date": "2026-03-05"}, "not_yet", "2026-03-05"),
        ({"end_date": "2026-03-03"}, "over", "2026-03-03"),
        ({"days_of_week": [1, 2]}, "other_day", "Wednesday"),
        ({"start_time": "13:30", "end_time": "14:00"}, "other_time", "13:00"),
        ({"conditions": [{"type": "day_type", "operator": "eq", "value": "weekday"}]}, "day_type", "holiday"),
        ({"conditions": [{"type": "time_range", "operator": "neq", "value": "12:00-14:00"}]}, "time_range", "13:00"),
        ({"conditions": [HOT]}, "weather", "12.5 °C and cloudy"),
    ],
)
def test_a_schedule_that_does_not_hold_says_why(fields: dict[str, Any], code: str | None, words: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")  # where it is 13:00, and a holiday
    reason = why_not(
        world(), plan(1, 1, PLAYER, rule=read_rule(**fields)), berlin, {date(2026, 3, 4)}.__contains__, NOON,
        Sky(12.5, "cloudy", NOON),
    )  # fmt: skip
    assert (reason and reason.code) == code
    assert reason is None or words in reason.message


def test_an_explanation_goes_through_all_that_could_play_in_its_order() -> None:
    plans = (
        plan(1, 1, GROUP), plan(2, 2, PLAYER, rule=read_rule(conditions=[HOT]), priority=9), plan(3, 3, GROUP),
        plan(4, 4, PLACE), plan(5, 5, Target("player", 9)), plan(6, 6, PLAYER, priority=-1),
    )  # fmt: skip
    known = world(*plans, group_layouts={10: 1}, default_playlist=7)
    told = explain(known, Screen(1, layout_id=2, location_id=20, group_ids=(10,)), NOON, None)
    assert told.schedule == plans[2]
    assert told.reason.code == "schedule"
    assert [(other.kind, other.id, other.reason.code) for other in told.others] == [
        ("schedule", 2, "weather"), ("schedule", 1, "outranked"), ("schedule", 4, "outranked"),
        ("schedule", 6, "outranked"), ("player_layout", 2, "empty"), ("group_layout", 1, "scheduled"),
        ("default_playlist", 7, "scheduled"),
    ]  # fmt: skip
    words = [other.reason.message.partition(": it ")[2] for other in told.others if other.reason.code == "outranked"]
    assert words == [
        "is newer.",
        "is for one of its groups, this one for its location.",
        "has priority 0, this one -1.",
    ]
    assert told.elsewhere == 1
    alone = explain(world(default_playlist=7), Screen(1), NOON, None)
    assert (alone.reason.code, alone.step.shown.id, alone.others) == ("default_playlist", 7, ())


def test_a_manifest_names_exactly_what_may_be_shown() -> None:
    film = Asset(6, "video", "Film", None, "cd" * 32, 9_000, "video/mp4", 42)
    items = (Item(1, 6, None, 8), Item(2, 99, 10, None), Item(3, 5, 7, None))
    known = world(playlists={1: playlist(1, *items), 2: playlist(2)}, assets={5: ASSET, 6: film, 7: film})
    told = finish(manifest.gathering(known, known, {Shown("layout", 1), Shown("nothing")}))
    assert told["playlists"] == {
        "1": {
            "name": "Playlist 1",
            "transition": "fade",
            "items": [
                {"id": 1, "asset_id": 6, "duration_s": 42, "campaign_id": 8},
                {"id": 3, "asset_id": 5, "duration_s": 7, "campaign_id": None},
            ],
        }
    }
    assert list(told["assets"]) == ["5", "6"]
    assert told["layouts"]["1"]["zones"][0]["playlist_id"] == 1


def test_alerts_reach_everyone_or_their_targets() -> None:
    def notice(id: int, targets: frozenset[Target] | None) -> Notice:
        return Notice(id, "Fire", "Leave now", "extreme", NOON, None, targets)

    known = world(notices=(notice(1, None), notice(2, frozenset({GROUP})), notice(3, frozenset({Target("player", 9)}))))
    assert circumstances(known, SCREEN).notices == (0, 1)
    assert circumstances(known, Screen(9)).notices == (0, 2)


def test_a_timeline_too_long_to_send_ends_earlier() -> None:
    every_other = [plan(m + 1, 1 + m % 9, PLAYER, rule=read_rule(start_time=f"{m // 60:02d}:{m % 60:02d}",
                        end_time=f"{(m + 1) // 60:02d}:{(m + 1) % 60:02d}")) for m in range(0, 1439, 2)]  # fmt: skip
    known = world(*every_other)
    segments = compile_segments(known, circumstances(known, Screen(1)), NOON, NOON + 14 * DAY)
    assert len(segments) == program.MAX_SEGMENTS
    assert segments[-1].end < NOON + 14 * DAY


def test_a_chain_asks_about_the_weather_only_so_often_and_says_of_whom_it_does_not() -> None:
    asking = [
        plan(id, 1 + id % 9, PLAYER, rule=read_rule(conditions=[HOT | {"value": f"{id / 10}"}])) for id in range(260)
    ]
    known = world(*asking, plan(999, 3, PLAYER, priority=-1), plan(1_000, 4, PLAYER, priority=-2))
    here = circumstances(known, Screen(1))
    (segment,) = compile_segments(known, here, NOON, NOON + DAY)
    assert segment.chain == chain_at(known, here, NOON)
    asked = list(range(259, 259 - program.MAX_ASKED, -1))
    assert [step.schedule for step in segment.chain] == [*asked, 999]
    assert b'"fallback"' in orjson.dumps(manifest.entry(segment))
    told = explain(known, Screen(1), NOON, Sky(asked[-1] / 10 - 0.05, None, NOON))  # as hot as all the others ask for
    assert (told.schedule and told.schedule.id, told.here) == (999, here)
    assert {other.id: other.reason.code for other in told.others} == {
        **dict.fromkeys(asked, "weather"),
        **dict.fromkeys(range(asked[-1] - 1, 259 - explanation.MAX_OTHERS, -1), "passed_over"),
    }


@pytest.mark.parametrize("conditions", [[], [HOT]])
def test_a_timeline_is_bounded_in_what_all_its_windows_say(conditions: list[dict[str, str]]) -> None:
    begins = [f"{m // 60:02d}:{m % 60:02d}" for m in range(1, 1_440)]
    known = world(*(plan(id, 1 + id % 9, PLAYER, rule=read_rule(start_time=time, conditions=conditions))
                    for id, time in enumerate(begins, 1)), timezone="Europe/Berlin")  # fmt: skip
    start, end = program.horizon(circumstances(known, Screen(1)), parse("2026-10-25T12:00:00Z"))  # a day of 25 hours
    segments = compile_segments(known, circumstances(known, Screen(1)), start, end)
    assert start + 25 * HOUR < segments[-1].end < end
    assert sum(len(segment.chain) for segment in segments) <= program.MAX_STEPS


def test_a_timeline_of_very_many_windows_without_a_change_ends_earlier() -> None:
    ranges = [{"type": "time_range", "operator": "neq", "value": f"{h:02d}:00-{h:02d}:01"} for h in range(20)]
    known = world(*(plan(id, 1, PLAYER, rule=read_rule(conditions=ranges)) for id in range(1, 500)),
                  plan(999, 1, PLAYER, priority=1))  # fmt: skip
    (segment,) = compile_segments(known, circumstances(known, Screen(1)), NOON, NOON + 14 * DAY)
    assert NOON + DAY < segment.end < NOON + 14 * DAY


# Any schedules -------------------------------------------------------------------------------------------------------

ZONES = {  # each with a day near which its clocks change
    "Europe/Berlin": ("2026-03-28", "2026-10-24"),
    "America/New_York": ("2026-03-07", "2026-10-31"),
    "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
    "Asia/Kathmandu": ("2026-03-28",),
    "America/Havana": ("2026-03-07", "2026-10-31"),
}
minutes = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}")
small_hours = st.integers(0, 240).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}")
times = st.none() | small_hours | minutes
days = st.dates(date(2026, 3, 1), date(2026, 11, 30)).map(date.isoformat)
conditions = st.one_of(
    st.builds(lambda o, v: {"type": "day_type", "operator": o, "value": v}, st.sampled_from(["eq", "neq"]),
              st.sampled_from(["weekday", "weekend", "holiday"])),
    st.builds(lambda o, a, b: {"type": "time_range", "operator": o, "value": f"{a}-{b}"},
              st.sampled_from(["between", "neq"]), small_hours, minutes),
    st.builds(lambda o, v: {"type": "weather", "operator": o, "value": str(v)},
              st.sampled_from(["gt", "lte"]), st.integers(-5, 35)),
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    first = draw(st.none() | days)
    return read_rule(
        days_of_week=draw(st.lists(st.integers(0, 7), max_size=4)),
        start_time=draw(times),
        end_time=draw(times),
        start_date=first,
        end_date=draw(st.none() | days.filter(lambda last: first is None or last >= first)),
        conditions=draw(st.lists(conditions, max_size=2)),
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[TeamContent, Screen, int]:
    """(world, player, an instant near a change of the player's clocks)."""
    zone = draw(st.sampled_from(sorted(ZONES)))
    near = draw(st.sampled_from(ZONES[zone]))
    found = draw(st.lists(st.tuples(rules(), st.integers(1, 9), st.integers(0, 2)), max_size=6))
    plans = [
        plan(id, shows, draw(st.sampled_from([PLAYER, GROUP, PLACE])), rule=rule, priority=priority)
        for id, (rule, shows, priority) in enumerate(found, 1)
    ]
    holidays: dict[int | None, frozenset[date]] = {
        None: frozenset({date.fromisoformat(near)}), 20: frozenset({date(2026, 10, 25)})
    }  # fmt: skip
    default = draw(st.none() | st.just(9))
    known = world(*plans, places={20: Place(zone, None)}, holidays=holidays, default_playlist=default)
    return known, SCREEN, parse(near) + draw(st.integers(-DAY, DAY))


@settings(max_examples=150, deadline=None)
@given(situations(), st.lists(st.integers(0, 5 * DAY), max_size=20), st.none() | st.integers(-10, 40))
def test_a_timeline_is_sorted_and_gapless_and_says_what_looking_at_each_instant_says(
    situation: tuple[TeamContent, Screen, int], moments: list[int], celsius: int | None
) -> None:
    known, screen, at = situation
    here = circumstances(known, screen)
    start, end = program.horizon(here, at, 5)
    segments = compile_segments(known, here, start, end)
    assert start <= at < end
    assert (segments[0].start, segments[-1].end) == (start, end)
    for before, after in pairwise(segments):
        assert before.start < before.end == after.start
        assert before.chain != after.chain
    sky = None if celsius is None else Sky(celsius, None, at)
    edges = [edge for segment in segments for edge in (segment.start, segment.end - 1)]
    for moment in [start + offset for offset in moments if start + offset < end] + edges:
        segment = next(one for one in segments if one.start <= moment < one.end)
        chain = chain_at(known, here, moment)
        assert segment.chain == chain
        playing = resolve(chain, by_weather(sky))
        change = program.next_change(segments, moment, by_weather(sky))
        for later in segments:
            if later.end > moment and (change is None or later.start < change):
                assert resolve(later.chain, by_weather(sky)).shown == playing.shown


@settings(max_examples=60, deadline=None)
@given(rules().filter(lambda rule: not rule.conditions), st.integers(0, 60 * DAY))
def test_where_clocks_never_change_a_rule_holds_by_the_wall_clock(rule: Rule, offset: int) -> None:
    at = parse("2026-08-01") + offset
    zone = ZoneInfo("Asia/Kathmandu")
    now = local(zone, at)
    minute = now.hour * 60 + now.minute
    first, last = rule.window
    yesterday = date.fromordinal(now.date().toordinal() - 1)
    expected = (rule.begins_on(now.date()) and first <= minute < last) or (
        rule.begins_on(yesterday) and first <= minute + 1440 < last
    )
    assert holds_at(rule, zone, lambda day: False, at) == expected


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.one_of(
            st.text(max_size=5),
            st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3)),
            st.lists(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3), max_size=7),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_a_revision_is_made_of_is_the_whole_body_with_sorted_names(body: dict[str, Any]) -> None:
    assert b"".join(manifest.encoded(body, some=2)) == orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
