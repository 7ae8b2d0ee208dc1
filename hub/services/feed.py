"""The live feed: what a team's log says from now on, read once and handed to everybody who listens.

A listener joins first, then takes a snapshot (or reads on from its cursor), then hears what came after it: nothing is
missed between the two, and nothing told twice. What it is handed was encoded once, for all listeners.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain.errors import HubError, Invalid
from hub.domain.events import Topic, number_of, scope_of, topics_of
from hub.domain.times import rfc3339
from hub.services.events import Events, describe
from hub.services.waiting import set_within
from hub.store import events as store
from hub.store import players
from hub.store.database import Database

log = logging.getLogger(__name__)

POLL_S = 1.0  # how often the log itself is looked at, whatever the bus says
READ = 200  # events read at once
HELD = 10_000  # events kept for a listener that is still reading the past; more means that it will not catch up
RESUME_LIMIT = 10_000  # events told again to a listener that comes back; past it a snapshot is the shorter way


class Told:
    """One event, ready to be sent. `body` is the JSON object that pages, streams and frames share; whoever frames it
    keeps the bytes in `framed`, by the kind of frame, for all others."""

    __slots__ = ("body", "cursor", "framed", "number", "player_id", "scope", "topics", "type")

    def __init__(self, number: int, type: str, player_id: int | None, cursor: str, body: bytes) -> None:
        self.number = number
        self.type = type
        self.player_id = player_id
        self.cursor = cursor
        self.scope = scope_of(type)
        self.topics: frozenset[Topic] = topics_of(type)
        self.body = body
        self.framed: dict[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where each player of a team stood when the log had `number` as its newest."""

    number: int
    cursor: str
    players: list[dict[str, Any]]

    def counts(self) -> dict[str, int]:
        states = [player["status"] for player in self.players]
        return {
            "players": len(states),
            **{state: states.count(state) for state in ("online", "offline", "flapping")},
            "quarantined": sum(player["quarantined"] for player in self.players),
        }


class Listener:
    """One who listens. It holds back what it hears until `release` says up to where the past was read."""

    def __init__(self, sink: Callable[[Told], None], end: Callable[[], None]) -> None:
        self._sink = sink
        self._position = 0
        self._held: list[Told] | None = []
        self.end = end
        """Called when it cannot be served any longer: too far behind, or the hub stops."""

    def hear(self, told: Told) -> None:
        if self._held is None:
            if told.number > self._position:
                self._position = told.number
                self._sink(told)
        elif len(self._held) < HELD:
            self._held.append(told)
        else:
            self.end()

    def release(self, number: int) -> None:
        """The past was told up to this number: now what came after it, and everything to come."""
        held, self._held, self._position = self._held or [], None, number
        for told in held:
            self.hear(told)


class _TeamFeed:
    """Reads one team's log while somebody listens."""

    def __init__(self, feed: "Feed", team_id: int) -> None:
        self.listeners: set[Listener] = set()
        self.reading = asyncio.Event()  # set once it is known from where on everything is heard
        self._feed = feed
        self._team_id = team_id
        self._heard = asyncio.Event()
        self._unsubscribe = feed.bus.subscribe(("events", team_id), lambda _: self._heard.set())
        self._task = asyncio.create_task(self._run(), name=f"feed of team {team_id}")

    def close(self) -> None:
        self._unsubscribe()
        self._task.cancel()

    async def _run(self) -> None:
        position: int | None = None
        while True:
            self._heard.clear()
            more = False
            try:
                if position is None:
                    position = await self._feed.events.newest()
                    self.reading.set()
                page = await self._feed.read(self._team_id, position)
                for told in page:
                    for listener in tuple(self.listeners):
                        listener.hear(told)
                position = page[-1].number if page else position
                more = bool(page)  # it may have ended early
            except HubError as error:
                log.warning("the feed of team %d waits: %s", self._team_id, error)
            except Exception:  # those who listen depend on it
                log.exception("the feed of team %d failed", self._team_id)
            if not more:
                await set_within(self._heard, POLL_S)


class Feed:
    def __init__(self, db: Database, bus: Bus, events: Events) -> None:
        self.bus = bus
        self.events = events
        self._db = db
        self._teams: dict[int, _TeamFeed] = {}
        self.closed = False

    @contextmanager
    def joined(self, team_id: int, sink: Callable[[Told], None], end: Callable[[], None]) -> Iterator[Listener]:
        """Listen while the block lasts. `sink` gets each event of the team in order, in the event loop; it must not
        block. Await `ready` before you read the past, then `release` the listener."""
        team = self._teams.get(team_id)
        if team is None:
            team = self._teams[team_id] = _TeamFeed(self, team_id)
        listener = Listener(sink, end)
        team.listeners.add(listener)
        try:
            yield listener
        finally:
            team.listeners.discard(listener)
            if not team.listeners and self._teams.get(team_id) is team:
                del self._teams[team_id]
                team.close()

    async def ready(self, team_id: int) -> None:
        """Everything that is written from now on will be heard by those who have joined."""
        await self._teams[team_id].reading.wait()

    def close(self) -> None:
        """The hub stops: everybody is told to come back."""
        self.closed = True
        for team in list(self._teams.values()):
            for listener in tuple(team.listeners):
                listener.end()

    async def snapshot(self, team_id: int) -> Snapshot:
        """Where all players of the team stand, read at one moment."""
        log_id = await self.events.log_id()
        async with self._db.moment() as session:
            number = await store.newest(session)
            standing = await players.standing(session, team_id)
        return Snapshot(number, f"{log_id}-{number}", [_player(*row) for row in standing])

    async def position(self, cursor: str, most: int | None = None) -> int | None:
        """The number to read on from after this cursor; None: nobody can, since it is of another log, ahead, older than
        what is kept, or more than `most` events ago."""
        try:
            number = number_of(cursor, await self.events.log_id())
        except Invalid:
            return None
        async with self._db.session() as session:
            newest, floor = await store.newest(session), await store.floor(session)
        too_far = most is not None and newest - number > most
        return number if floor <= number <= newest and not too_far else None

    async def past(self, team_id: int, number: int) -> AsyncIterator[list[Told]]:
        """The team's events after `number` as far as they are written, page by page."""
        while page := await self.read(team_id, number):
            yield page
            number = page[-1].number

    async def read(self, team_id: int, number: int) -> list[Told]:
        """Some of what follows on `number`; nothing: there is no more yet."""
        log_id = await self.events.log_id()
        async with self._db.session() as session:
            rows = await store.after(session, team_id, number, READ)
        told = []
        for row in rows:
            event = describe(row, log_id)
            told.append(Told(row.id or 0, row.type, row.player_id, event["cursor"], orjson.dumps(event)))
        return told


def _player(
    player_id: int, screen_id: str, name: str, quarantined_at: int | None, online: bool, since: int, flapping: bool
) -> dict[str, Any]:
    """A player as the feed tells it: nothing that its events have not told."""
    return {
        "player_id": player_id,
        "screen_id": screen_id,
        "name": name,
        "status": "flapping" if flapping else "online" if online else "offline",
        "since": None if flapping else rfc3339(since),
        "quarantined": quarantined_at is not None,
    }
