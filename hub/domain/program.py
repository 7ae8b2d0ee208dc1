"""What a player shows, and why: the first of these that applies and has something to show.

    alert               laid over everything else
    `play` command      the device's own, until it returns to the following by itself
    schedule            of those that hold now the one of highest priority; among equals one for this very player goes
                        before one for its group, that before one for its location; then the newest
    layout              of the player, else of its group (of several, the one with the lowest id that has a layout)
    default playlist    of the team
    nothing

Alerts and `play` are no part of what is decided here: alerts lie over the picture, `play` is known to the device alone.

Players in the same circumstances show the same, so a program is compiled once for all of them.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, Protocol

from hub.domain import timeline, weather
from hub.domain.playback import Target
from hub.domain.schedules import Condition, Rule
from hub.domain.timeline import holds_at, windows
from hub.domain.times import DAY
from hub.domain.weather import Sky
from hub.domain.work import Work

HORIZON_DAYS: Final = 14
MAX_SEGMENTS: Final = 5_000  # of one timeline, some hundred changes a day; a timeline with more ends earlier
MAX_ASKED: Final = 20  # conditions of one chain, as many as one schedule may have; JSON nests no deeper than 254
MAX_STEPS: Final = 32_000  # of all chains of one timeline, some MB: a full chain each minute of a day of 25 hours
FEW: Final = 32  # schedules or windows looked at in one stretch, some 30 us each
MAX_WINDOWS: Final = 25_000  # of schedules, looked at for one timeline, some 10 us each: a day of 20,000 schedules

Source = Literal["schedule", "player_layout", "group_layout", "default_playlist", "nothing"]
RANKS: Final = {"player": 0, "group": 1, "location": 2}


# What is known -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the screen. `id` is the playlist's or the layout's, 0 for nothing."""

    kind: Literal["playlist", "layout", "nothing"]
    id: int = 0


NOTHING: Final = Shown("nothing")


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule. `schedule_id` is its other name, `sch_...`."""

    id: int
    schedule_id: str
    name: str
    shown: Shown
    rule: Rule
    priority: int
    active: bool
    targets: frozenset[Target]


@dataclass(frozen=True, slots=True)
class Item:
    """One turn of a playlist. `duration_s` None: as long as its asset lasts."""

    id: int
    asset_id: int
    duration_s: int | None
    campaign_id: int | None


@dataclass(frozen=True, slots=True)
class Playlist:
    id: int
    name: str
    transition: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of a layout, in percent of its canvas."""

    id: int
    name: str
    x: float
    y: float
    width: float
    height: float
    playlist_id: int | None
    asset_id: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    id: int
    name: str
    width: int
    height: int
    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class Asset:
    """`source` is the address of what is no file; a file has `sha256`, `size` and `mime_type`."""

    id: int
    type: str
    name: str
    source: str | None
    sha256: str | None
    size: int | None
    mime_type: str | None
    duration_s: int | None


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert that stands or will. `targets` None: everyone."""

    id: int
    title: str
    message: str
    severity: str
    starts_at: int
    ends_at: int | None
    targets: frozenset[Target] | None


@dataclass(frozen=True, slots=True)
class Place:
    """A location's own zone, and its degrees where they are known."""

    timezone: str | None
    degrees: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Screen:
    """What decides for a player, of all that is known of it."""

    id: int
    timezone: str | None = None
    location_id: int | None = None
    layout_id: int | None = None
    group_ids: tuple[int, ...] = ()


class Stock(Protocol):
    """Playlists with their items, and the assets that these name."""

    @property
    def playlists(self) -> Mapping[int, Playlist]: ...
    @property
    def assets(self) -> Mapping[int, Asset]: ...


@dataclass(frozen=True, slots=True)
class Shelf:
    """The stock of some playlists."""

    playlists: Mapping[int, Playlist]
    assets: Mapping[int, Asset]


@dataclass(frozen=True, slots=True)
class TeamContent:
    """All that a team has to show, and to whom. Only what can be shown is in `assets`."""

    timezone: str = "UTC"
    plans: tuple[Plan, ...] = ()
    playlists: Mapping[int, Playlist] = field(default_factory=dict)
    layouts: Mapping[int, Layout] = field(default_factory=dict)
    assets: Mapping[int, Asset] = field(default_factory=dict)
    default_playlist: int | None = None
    group_layouts: Mapping[int, int] = field(default_factory=dict)
    places: Mapping[int, Place] = field(default_factory=dict)
    holidays: Mapping[int | None, frozenset[date]] = field(default_factory=dict)
    """By location; None: everywhere."""
    notices: tuple[Notice, ...] = ()
    filled: frozenset[int] | None = None
    """Playlists that have something to show, where their items are not among what was read; None: they are."""
    aims: Mapping[Target, Sequence[int]] | None = None
    """Indexes of the schedules by target; None: to be worked out."""
    _aimed: dict[Target, list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _content: dict[Shown, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.aims is None:
            for index, plan in enumerate(self.plans):
                for target in plan.targets:
                    self._aimed.setdefault(target, []).append(index)

    def aimed_at(self, targets: Iterable[Target]) -> set[int]:
        """Indexes of the schedules that are for any of the targets."""
        aims = self._aimed if self.aims is None else self.aims
        return {index for target in targets for index in aims.get(target, ())}

    def has_content(self, shown: Shown) -> bool:
        """Whether there is anything to see in it."""
        found = self._content.get(shown)
        if found is None:
            found = self._content[shown] = self._has_content(shown)
        return found

    def _has_content(self, shown: Shown) -> bool:
        if shown.kind == "playlist" and self.filled is not None:
            return shown.id in self.filled
        if shown.kind == "playlist":
            playlist = self.playlists.get(shown.id)
            return playlist is not None and any(item.asset_id in self.assets for item in playlist.items)
        if shown.kind == "layout":
            layout = self.layouts.get(shown.id)
            return layout is not None and any(
                zone.asset_id in self.assets
                or (zone.playlist_id is not None and self.has_content(Shown("playlist", zone.playlist_id)))
                for zone in layout.zones
            )
        return False


# What applies to one player ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlayerContext:
    """All that distinguishes one player's program from another's, as a key. `plans` are indexes into the world's, in
    their precedence; switched off ones and ones without content are not among them."""

    timezone: str
    location_id: int | None
    plans: tuple[int, ...]
    base: Shown
    base_source: Source
    notices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What plays if all its weather conditions hold. The last of a chain has none."""

    shown: Shown
    source: Source
    schedule: int | None = None
    """The schedule's id."""
    conditions: tuple[Condition, ...] = ()


Chain = tuple[Step, ...]
"""The first step whose conditions hold is what plays. All steps together have at most MAX_ASKED conditions: of
schedules that ask about more at one time, those that come last are passed over."""


@dataclass(frozen=True, slots=True)
class Segment:
    """From `start` to before `end`, Unix ms, the same chain."""

    start: int
    end: int
    chain: Chain


def zone_of(world: TeamContent, screen: Screen) -> str:
    """The player's own time zone, else its location's, else the team's."""
    place = world.places.get(screen.location_id or 0)
    return screen.timezone or (place.timezone if place else None) or world.timezone


def aimed(world: TeamContent, screen: Screen) -> list[tuple[int, int]]:
    """(rank, index) of the schedules that are for this player, in their precedence."""
    own = _own_targets(screen)
    found = []
    for index in world.aimed_at(own):
        plan = world.plans[index]
        found.append((-plan.priority, min(RANKS[target.kind] for target in plan.targets & own), -plan.id, index))
    return [(rank, index) for _, rank, _, index in sorted(found)]


def circumstances(world: TeamContent, screen: Screen) -> PlayerContext:
    plans = tuple(
        index
        for _, index in aimed(world, screen)
        if world.plans[index].active and world.has_content(world.plans[index].shown)
    )
    base, source = base_of(world, screen)
    own = _own_targets(screen)
    notices = tuple(i for i, notice in enumerate(world.notices) if notice.targets is None or notice.targets & own)
    place = screen.location_id if screen.location_id in world.places else None
    return PlayerContext(zone_of(world, screen), place, plans, base, source, notices)


def base_of(world: TeamContent, screen: Screen) -> tuple[Shown, Source]:
    """What plays while no schedule holds."""
    for shown, source in bases(world, screen):
        if world.has_content(shown):
            return shown, source
    return NOTHING, "nothing"


def bases(world: TeamContent, screen: Screen) -> Iterator[tuple[Shown, Source]]:
    """What is assigned beside schedules, in its precedence, whether it has content or not."""
    if screen.layout_id is not None:
        yield Shown("layout", screen.layout_id), "player_layout"
    with_layout = [group for group in sorted(screen.group_ids) if group in world.group_layouts]
    if with_layout:
        yield Shown("layout", world.group_layouts[with_layout[0]]), "group_layout"
    if world.default_playlist is not None:
        yield Shown("playlist", world.default_playlist), "default_playlist"


def _own_targets(screen: Screen) -> set[Target]:
    own = {Target("player", screen.id), *(Target("group", group) for group in screen.group_ids)}
    if screen.location_id is not None:
        own.add(Target("location", screen.location_id))
    return own


# What plays when -----------------------------------------------------------------------------------------------------


def holidays_of(world: TeamContent, location_id: int | None) -> timeline.IsHoliday:
    days = world.holidays.get(None, frozenset()) | world.holidays.get(location_id, frozenset())
    return days.__contains__


Held = dict[tuple[int, str, int | None], bool]
"""Whether schedules hold at one instant: by index, time zone, and location where that has holidays of its own."""


def choosing(world: TeamContent, here: PlayerContext, at: int, held: Held) -> Work[Chain]:
    """What may play at an instant, by looking at the schedules in their precedence. `held` is what was found before, of
    this instant, and takes what is found now."""
    zone, is_holiday = timeline.zone_named(here.timezone), holidays_of(world, here.location_id)
    place = here.location_id if here.location_id in world.holidays else None
    asking: list[Step] = []
    asked = looked_at = 0
    for index in here.plans:
        plan = world.plans[index]
        known = index, here.timezone, place
        holds = held.get(known)
        if holds is None:
            if looked_at % FEW == 0:
                yield
            looked_at += 1
            holds = held[known] = holds_at(plan.rule, zone, is_holiday, at)
        if holds:
            step = _step(plan)
            if not step.conditions:
                return (*asking, step)
            asked += len(step.conditions)
            if asked <= MAX_ASKED:
                asking.append(step)
    return (*asking, _base(here))


def resolve(chain: Chain, holds: Callable[[Condition], bool]) -> Step:
    """The step that plays, given the weather."""
    return next(step for step in chain if all(holds(condition) for condition in step.conditions))


def by_weather(sky: Sky | None) -> Callable[[Condition], bool]:
    return lambda condition: weather.holds(condition, sky)


def horizon(here: PlayerContext, at: int, days: int = HORIZON_DAYS) -> tuple[int, int]:
    """The local day of an instant and the ones that follow: `days` in all."""
    zone = timeline.zone_named(here.timezone)
    start = timeline.day_start(zone, at)
    return start, timeline.day_start(zone, start + days * DAY + DAY // 2)


def compiling(world: TeamContent, here: PlayerContext, start: int, end: int) -> Work[list[Segment]]:
    """The timeline of [start, end): gapless, in order, each segment different from the one before it.

    It ends before `end` when it would have more than MAX_SEGMENTS, or MAX_STEPS in all of their chains, or when more
    than MAX_WINDOWS have been looked at.
    """
    zone, is_holiday = timeline.zone_named(here.timezone), holidays_of(world, here.location_id)

    opening: list[tuple[int, int, int, Iterator[timeline.Window]]] = []  # a heap: of each rank the window that is next
    steps: list[Step] = []
    for rank, index in enumerate(here.plans):
        if rank % FEW == 0:
            yield
        plan = world.plans[index]
        steps.append(_step(plan))
        coming = windows(plan.rule, zone, is_holiday, start, end)
        if (window := next(coming, None)) is not None:
            opening.append((window[0], rank, window[1], coming))
    steps.append(_base(here))
    heapq.heapify(opening)
    segments: list[Segment] = []
    open_until: dict[int, int] = {}  # by rank
    closing: list[tuple[int, int]] = []  # a heap of (end, rank); those are over that `open_until` has a later end of
    asking: list[int] = []  # open ranks that ask about the weather, in order
    settled: list[int] = [len(here.plans)]  # and those that do not, the base being the last
    at = start
    looked_at = told = 0
    while at < end:
        if len(segments) % FEW == 0:
            yield
        while opening and opening[0][0] <= at:
            _, rank, until, coming = opening[0]
            if (window := next(coming, None)) is None:
                heapq.heappop(opening)
            else:
                heapq.heapreplace(opening, (window[0], rank, window[1], coming))
            if rank not in open_until:
                insort(asking if steps[rank].conditions else settled, rank)
            if until > open_until.get(rank, 0):
                open_until[rank] = until
                heapq.heappush(closing, (until, rank))
            looked_at += 1
            if looked_at % FEW == 0:
                yield
        while closing and closing[0][0] <= at:
            until, rank = heapq.heappop(closing)
            if open_until[rank] == until:
                del open_until[rank]
                ranks = asking if steps[rank].conditions else settled
                del ranks[bisect_left(ranks, rank)]
        if segments and looked_at > MAX_WINDOWS:
            break
        until = min([end, *(one[0] for one in closing[:1]), *(one[0] for one in opening[:1])])
        chain = _chain(steps, asking, settled[0])
        if segments and segments[-1].chain == chain:
            segments[-1] = Segment(segments[-1].start, until, chain)
        elif len(segments) == MAX_SEGMENTS or told + len(chain) > MAX_STEPS:
            break
        else:
            segments.append(Segment(at, until, chain))
            told += len(chain)
        at = until
    return segments


def _step(plan: Plan) -> Step:
    return Step(plan.shown, "schedule", plan.id, weather.weather_of(plan.rule))


def _base(here: PlayerContext) -> Step:
    """What comes behind all schedules."""
    return Step(here.base, here.base_source)


def _chain(steps: Sequence[Step], asking: Sequence[int], settled: int) -> Chain:
    """Of ranks: `asking` are those that hold and ask about the weather, in order, `settled` the first that does not."""
    chain: list[Step] = []
    asked = 0
    for rank in asking:
        asked += len(steps[rank].conditions)
        if rank > settled or asked > MAX_ASKED:
            break
        chain.append(steps[rank])
    return (*chain, steps[settled])


def next_change(segments: list[Segment], at: int, holds: Callable[[Condition], bool]) -> int | None:
    """When something else plays than at `at`, as long as the weather stays; None: not within these segments."""
    playing = None
    for segment in segments:
        if segment.end <= at:
            continue
        shown = resolve(segment.chain, holds).shown
        if playing is None:
            playing = shown
        elif shown != playing:
            return segment.start
    return None
