"""Rules that watch players, and the incidents that they open. Pure: facts in, steps out.

    nothing --the condition begins--> pending --it lasted long enough--> open --somebody--> acknowledged
                                         │                                 │                     │
                                 it is over: forgotten                     └────── resolved ─────┘

`pending` is the hub's own note and is shown to nobody. An incident is resolved for one of three reasons: `recovered`,
the condition is over; `resolved`, a person said so; `withdrawn`, nobody watches any more (the rule is gone, disabled or
no longer about this player, or the player is gone). The condition itself may outlast what a person has resolved; until
it was over, the rule opens no second incident for this player.

What is not known is not judged: no reading, no incident; and a player that is away keeps the incidents that it has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hub.domain.opening_hours import Hours, open_ms, reached_at
from hub.domain.presence import PLANNED
from hub.domain.timeline import Window
from hub.domain.times import MINUTE, rfc3339

Kind = Literal[
    "player_offline", "storage_low", "temperature_high", "clock_skewed", "picture_black", "picture_frozen",
    "command_failures",
]  # fmt: skip
Status = Literal["open", "acknowledged", "resolved"]
Reason = Literal["recovered", "resolved", "withdrawn"]

MEASURED: Final = ("storage_low", "temperature_high", "clock_skewed")
"""Kinds that readings of the player decide."""
HEARD: Final = {
    "picture.black": "picture_black",
    "picture.frozen": "picture_frozen",
    "storage.low": "storage_low",
    "temperature.high": "temperature_high",
    "clock.skewed": "clock_skewed",
}
"""The kind that is about what a device has noticed."""
RECOVERED: Final = "picture.recovered"
"""What a device says when its picture is neither black nor frozen any more."""
PICTURES: Final = ("picture_black", "picture_frozen")

# A value at its limit must not open and close an incident each minute: it is over only when it is better than that by
ROOMIER: Final = 1.1  # times the free space
COOLER_C: Final = 3.0  # degrees
STEADIER: Final = 0.8  # of the skew, of the share of failures
FEWER: Final = 0.5  # of the number of commands

SKEW: Final = "clock_skew_seconds"
"""Among a player's readings: how far its clock was ahead of the hub's when it told the time."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is enabled. `thresholds` are those of its kind, see `hub.domain.alert_rules`."""

    id: int
    team_id: int
    kind: Kind
    thresholds: Mapping[str, float]
    for_ms: int
    watches_since: int
    everyone: bool
    players: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    locations: frozenset[int] = frozenset()

    def concerns(self, player: "Watched") -> bool:
        return self.kind != "command_failures" and (
            self.everyone
            or player.id in self.players
            or player.location_id in self.locations
            or not self.groups.isdisjoint(player.group_ids)
        )


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a player. `online`, `since`, `reason` and `epoch` are of its presence (epoch 0: it was never
    there); `hours` and `zone` are those of its location."""

    id: int
    team_id: int
    name: str
    screen_id: str
    online: bool
    since: int
    epoch: int
    location_id: int | None = None
    group_ids: frozenset[int] = frozenset()
    readings: Mapping[str, Any] = field(default_factory=dict)
    read_at: int | None = None
    hours: Hours | None = None
    zone: str = "UTC"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ongoing:
    """A condition that is not over. `status` is `pending` or an incident's; `name` is the player's."""

    id: int
    rule_id: int
    player_id: int
    kind: Kind
    name: str | None
    status: str
    began_at: int
    due_at: int | None


@dataclass(frozen=True, slots=True)
class Begin:
    """A condition has begun. `due_at` is when it becomes an incident, if it lasts; None: at once."""

    rule: Rule
    began_at: int
    due_at: int | None
    measured: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of an ongoing condition: it opens, waits until another time, is over, or is not watched any more.
    `measured` is told when it opens."""

    ongoing: Ongoing
    to: Literal["open", "wait", "over", "withdrawn"]
    due_at: int | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)


Step = Begin | Turn


_Level = Literal["beyond", "between", "fine"]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the facts say of a condition. `due_at` is when it will have lasted long enough; None: never."""

    holds: bool
    began_at: int = 0
    due_at: int | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)


def judge(
    rules: Sequence[Rule], player: Watched, ongoing: Sequence[Ongoing], now: int, blind: Sequence[Window] = ()
) -> Iterator[Step]:
    """What follows from the facts about one player. `rules` are its team's, `ongoing` its own; in the times of `blind`
    the hub could not know who was there."""
    left = {one.rule_id: one for one in ongoing}
    for rule in rules:
        if rule.concerns(player):
            standing = left.pop(rule.id, None)
            yield from _follow(rule, standing, _read(rule, player, standing, now, blind), now)
    for one in left.values():
        yield Turn(one, "withdrawn")


def heard(
    rules: Sequence[Rule], player: Watched, ongoing: Sequence[Ongoing], event: str, at: int, detail: Mapping[str, Any]
) -> Iterator[Step]:
    """What follows from an event of the device itself.

    A measurement in it is judged like any other. Without one the device is believed, until its readings say otherwise;
    of a picture, until the device says so.
    """
    left = {one.rule_id: one for one in ongoing}
    for rule in rules:
        if at < rule.watches_since or not rule.concerns(player):
            continue
        standing = left.get(rule.id)
        if event == RECOVERED and rule.kind in PICTURES and standing is not None:
            yield Turn(standing, "over")
        if HEARD.get(event) != rule.kind or standing is not None:
            continue
        values = _values(event, detail)
        level = _level(rule, values)
        if level is None or level[0] == "beyond":
            due_at = at + rule.for_ms if rule.for_ms else None
            yield Begin(rule, at, due_at, {} if level is None else level[1])


def failures(rule: Rule, standing: Ongoing | None, finished: int, failed: int, now: int) -> Iterator[Step]:
    """What follows from how a team's commands of the rule's last minutes ended."""
    percent = round(100 * failed / finished, 1) if finished else 0.0
    enough, most = rule.thresholds["min_commands"], rule.thresholds["failed_percent"]
    beyond = finished >= enough and percent >= most
    fine = finished < enough * FEWER or percent < most * STEADIER
    measured = {"commands": finished, "failed": failed, "failed_percent": percent}
    reading = _lasting(rule, standing, holds=beyond or (standing is not None and not fine), at=now, measured=measured)
    yield from _follow(rule, standing, reading, now)


def _follow(rule: Rule, standing: Ongoing | None, reading: _Reading | None, now: int) -> Iterator[Step]:
    if standing is not None:
        newer = reading is not None and reading.holds and reading.began_at > standing.began_at
        never = reading is not None and reading.due_at is None and standing.status == "pending"
        if newer or never or _is_over(standing, reading):
            yield Turn(standing, "over")
            standing = None
    if reading is None or not reading.holds or reading.due_at is None:
        return
    due = reading.due_at <= now
    if standing is None:
        yield Begin(rule, reading.began_at, None if due else reading.due_at, reading.measured)
    elif standing.status == "pending" and due:
        yield Turn(standing, "open", measured=reading.measured)
    elif standing.status == "pending" and reading.due_at != standing.due_at:
        yield Turn(standing, "wait", reading.due_at)


def _is_over(standing: Ongoing, reading: _Reading | None) -> bool:
    """Where nothing is known, nobody can say any more that what is pending lasts."""
    return standing.status == "pending" if reading is None else not reading.holds


def _read(rule: Rule, player: Watched, standing: Ongoing | None, now: int, blind: Sequence[Window]) -> _Reading | None:
    """None: nothing is known."""
    if rule.kind == "player_offline":
        return _absence(rule, player, now, blind)
    if rule.kind in PICTURES:
        return _lasting(rule, standing, holds=True) if standing else None
    if not player.online:
        return None
    level = None if player.read_at is None else _level(rule, player.readings)
    if level is None or player.read_at is None:
        # A device that does not measure this can say that it begins, not that it ends: a person has the last word.
        return _lasting(rule, standing, holds=standing.status != "resolved") if standing else None
    if player.read_at < max(player.since, standing.began_at if standing else 0):
        return _lasting(rule, standing, holds=True) if standing else None  # measured before, it says nothing of now
    holds = level[0] == "beyond" or (level[0] == "between" and standing is not None)
    return _lasting(rule, standing, holds=holds, at=player.read_at, measured=level[1])


def _lasting(
    rule: Rule, standing: Ongoing | None, *, holds: bool, at: int = 0, measured: Mapping[str, Any] | None = None
) -> _Reading:
    began_at = standing.began_at if standing else at
    return _Reading(holds, began_at, began_at + rule.for_ms, measured or {})


def _absence(rule: Rule, player: Watched, now: int, blind: Sequence[Window]) -> _Reading | None:
    if player.online:
        return _Reading(False)
    if not player.epoch:
        return None
    needed = int(rule.thresholds["offline_minutes"]) * MINUTE
    missed_at = player.since + PLANNED.get(player.reason or "", 0)
    due_at = reached_at(player.hours, player.zone, missed_at, needed, blind)
    measured: dict[str, Any] = {}
    if due_at is not None and due_at <= now:
        minutes = open_ms(player.hours, player.zone, missed_at, now, blind) // MINUTE
        measured = {"offline_since": rfc3339(player.since), "offline_minutes": minutes}
    return _Reading(True, player.since, due_at, measured)


def _values(event: str, detail: Mapping[str, Any]) -> Mapping[str, Any]:
    if event == "clock.skewed" and (skew_ms := _number(detail, "skew_ms")) is not None:
        return {SKEW: skew_ms / 1000}
    return detail


def _level(rule: Rule, values: Mapping[str, Any]) -> tuple[_Level, dict[str, Any]] | None:
    """How a value stands to the rule's limit, and what was measured. None: the values do not have it."""
    thresholds = rule.thresholds
    if rule.kind == "storage_low":
        free, total = _number(values, "storage_free_mb"), _number(values, "storage_total_mb")
        if free is None:
            return None
        if "free_mb" in thresholds:
            limit = thresholds["free_mb"]
            return _stands(free < limit, free >= limit * ROOMIER), {"storage_free_mb": free}
        if not total:
            return None
        percent, limit = 100 * free / total, thresholds["free_percent"]
        measured = {"storage_free_mb": free, "free_percent": round(percent, 1)}
        return _stands(percent < limit, percent >= limit * ROOMIER), measured
    if rule.kind == "temperature_high":
        degrees, limit = _number(values, "temperature_c"), thresholds["celsius"]
        if degrees is None:
            return None
        return _stands(degrees > limit, degrees <= limit - COOLER_C), {"temperature_c": degrees}
    if rule.kind == "clock_skewed":
        skew, limit = _number(values, SKEW), thresholds["seconds"]
        if skew is None:
            return None
        return _stands(abs(skew) > limit, abs(skew) <= limit * STEADIER), {SKEW: skew}
    return None


def _stands(beyond: bool, fine: bool) -> _Level:
    return "beyond" if beyond else "fine" if fine else "between"


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def words(kind: Kind, name: str | None, measured: Mapping[str, Any]) -> tuple[str, str]:
    """(title, message) of an incident, for people. `name` is the player's."""
    match kind:
        case "player_offline":
            minutes = measured.get("offline_minutes", 0)
            text = f"It has been offline for {minutes} {'minute' if minutes == 1 else 'minutes'} of its opening hours"
            return f"{name} is offline", f"{text}, since {measured.get('offline_since')}."
        case "storage_low":
            share = f" ({measured['free_percent']:g} %)" if "free_percent" in measured else ""
            told = f"{measured['storage_free_mb']:g} MB{share} are free." if measured else "The device says so."
            return f"{name} is short of storage", told
        case "temperature_high":
            told = f"It measures {measured['temperature_c']:g} °C." if measured else "The device says so."
            return f"{name} is too hot", told
        case "clock_skewed":
            told = f"It is off by {abs(measured[SKEW]):g} seconds." if measured else "The device says so."
            return f"The clock of {name} is wrong", told
        case "picture_black":
            return f"{name} shows a black picture", "The device sees nothing but black on its screen."
        case "picture_frozen":
            return f"{name} shows a picture that stands still", "The device sees no movement where there should be."
        case "command_failures":
            text = f"{measured['failed']} of {measured['commands']} commands ({measured['failed_percent']:g} %)"
            return "Many commands fail", f"{text} of the last minutes did not succeed."
