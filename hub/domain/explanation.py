"""Why a player shows what it shows, and why not something else: for people, with codes for programs.

It asks the same questions as `hub.domain.program` decides by.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from itertools import chain
from typing import Final, Literal

from hub.domain import timeline, weather
from hub.domain.program import (
    MAX_ASKED,
    Plan,
    PlayerContext,
    Screen,
    Shown,
    Source,
    Step,
    TeamContent,
    aimed,
    bases,
    by_weather,
    choosing,
    circumstances,
    holidays_of,
    resolve,
)
from hub.domain.timeline import IsHoliday, holds_at
from hub.domain.weather import Sky
from hub.domain.work import Work

MAX_OTHERS: Final = 100  # schedules told of that do not play; nobody reads further

_FOR: Final = ("this player itself", "one of its groups", "its location")  # by rank


@dataclass(frozen=True, slots=True)
class Reason:
    """For programs and for people."""

    code: str
    message: str


_CUT: Final = Reason(
    "passed_over",
    f"It holds too, but the schedules before it ask about the weather, and past {MAX_ASKED} conditions nobody asks.",
)


@dataclass(frozen=True, slots=True)
class Other:
    """What could play and does not. `id` is the schedule's, the layout's or the playlist's."""

    kind: Literal["schedule", "player_layout", "group_layout", "default_playlist"]
    id: int
    name: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    here: PlayerContext
    step: Step
    schedule: Plan | None
    """The one that plays."""
    reason: Reason
    others: tuple[Other, ...]
    """In the order in which they would come."""
    elsewhere: int
    """How many schedules are for other players only."""


def explaining(world: TeamContent, screen: Screen, at: int, sky: Sky | None) -> Work[Explanation]:
    """What the player shows at an instant, and why."""
    here = circumstances(world, screen)
    yield
    step = resolve((yield from choosing(world, here, at, {})), by_weather(sky))
    ranked = aimed(world, screen)
    winner = next(((rank, world.plans[i]) for rank, i in ranked if world.plans[i].id == step.schedule), None)
    others: list[Other] = []
    for other in chain(_other_plans(world, here, ranked, winner, at, sky), _other_bases(world, screen, step)):
        if len(others) == MAX_OTHERS:
            break
        others.append(other)
        yield
    reason = _reason(step.source, winner)
    return Explanation(here, step, winner[1] if winner else None, reason, tuple(others), len(world.plans) - len(ranked))


def _reason(source: Source, winner: tuple[int, Plan] | None) -> Reason:
    if winner is not None:
        rank, plan = winner
        return Reason("schedule", f"Of the schedules that hold now, {plan.name} goes first: it has priority "
                      f"{plan.priority} and is for {_FOR[rank]}.")  # fmt: skip
    return Reason(source, {
        "player_layout": "No schedule holds now, and the player has a layout of its own.",
        "group_layout": "No schedule holds now and the player has no layout of its own; its group has one.",
        "default_playlist": "No schedule holds now and no layout is assigned; this is the team's default playlist.",
    }.get(source, "No schedule holds now, no layout is assigned, and the team has no default playlist."))  # fmt: skip


def _other_plans(
    world: TeamContent,
    here: PlayerContext,
    ranked: list[tuple[int, int]],
    winner: tuple[int, Plan] | None,
    at: int,
    sky: Sky | None,
) -> Iterator[Other]:
    zone, is_holiday = timeline.zone_named(here.timezone), holidays_of(world, here.location_id)
    passed = None  # the winner, once its turn has come
    for rank, index in ranked:
        plan = world.plans[index]
        if winner is not None and plan is winner[1]:
            passed = winner
            continue
        reason = why_not(world, plan, zone, is_holiday, at, sky)
        if reason is None and passed is not None:
            reason = _outranked(rank, plan, *passed)
        elif reason is None:  # it holds and goes before what plays: it was not asked
            reason = _CUT
        yield Other("schedule", plan.id, plan.name, reason)


def _outranked(rank: int, plan: Plan, winning_rank: int, winner: Plan) -> Reason:
    if winner.priority != plan.priority:
        why = f"has priority {winner.priority}, this one {plan.priority}"
    elif winning_rank != rank:
        why = f"is for {_FOR[winning_rank]}, this one for {_FOR[rank]}"
    else:
        why = "is newer"
    return Reason("outranked", f"It holds too, but {winner.name} goes first: it {why}.")


def _other_bases(world: TeamContent, screen: Screen, step: Step) -> Iterator[Other]:
    for shown, source in bases(world, screen):
        if source == step.source or source == "schedule" or source == "nothing":
            continue
        if not world.has_content(shown):
            reason = Reason("empty", f"This {shown.kind} has nothing to show.")
        elif step.source == "schedule":
            reason = Reason("scheduled", "A schedule holds, and that goes first.")
        else:
            reason = Reason("outranked", "A layout goes first.")
        yield Other(source, shown.id, name_of(world, shown) or "", reason)


def name_of(world: TeamContent, shown: Shown) -> str | None:
    known = world.playlists.get(shown.id) if shown.kind == "playlist" else world.layouts.get(shown.id)
    return known.name if known is not None and shown.kind != "nothing" else None


def why_not(
    world: TeamContent, plan: Plan, zone: tzinfo, is_holiday: IsHoliday, at: int, sky: Sky | None
) -> Reason | None:
    """Why a schedule that is for the player does not hold at an instant; None: it does."""
    rule = plan.rule
    if not plan.active:
        return Reason("switched_off", "It is switched off.")
    if not world.has_content(plan.shown):
        return Reason("empty", f"Its {plan.shown.kind} has nothing to show.")
    if holds_at(rule, zone, is_holiday, at):
        unmet = [one for one in weather.weather_of(rule) if not weather.holds(one, sky)]
        if not unmet:
            return None
        asked = ", ".join(weather.name_of(one).removeprefix("weather ") for one in unmet)
        return Reason("weather", f"It asks for weather {asked}; {_told(sky)}.")
    now = timeline.local(zone, at)
    today = now.date()
    if rule.start_date and today < rule.start_date:
        return Reason("not_yet", f"It begins on {rule.start_date}; there it is {today}.")
    if rule.end_date and today > rule.end_date:
        return Reason("over", f"It ended on {rule.end_date}; there it is {today}.")
    if today.weekday() not in rule.days:
        return Reason("other_day", f"It does not play on a {now:%A}.")
    if not timeline.is_of_type(rule, today, is_holiday):
        return Reason(
            "day_type", f"It asks for another type of day; {today} is a {timeline.day_type(today, is_holiday)}."
        )
    first, last = rule.window
    if not first <= now.hour * 60 + now.minute < last:
        return Reason("other_time", f"It does not play at {now:%H:%M}.")
    return Reason("time_range", f"One of its time ranges leaves {now:%H:%M} out.")


def _told(sky: Sky | None) -> str:
    if sky is None:
        return "the weather there is not known"
    words = [f"{sky.celsius:g} °C" if sky.celsius is not None else "", sky.word or ""]
    return f"there it is {' and '.join(word for word in words if word) or 'not known'}"
