"""Connections coming and going, and what players report about themselves."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain import presence as rules
from hub.domain.clocks import BLIND_MS
from hub.domain.errors import HubError
from hub.domain.incidents import SKEW
from hub.domain.presence import Connected, Device, Graces, Reason
from hub.domain.quotas import Quotas
from hub.domain.times import DAY, SECOND, is_due, now_ms, parse, rfc3339
from hub.store import presence as store
from hub.store.database import Database
from hub.store.presence import Noticed

log = logging.getLogger(__name__)

SWEEP_LIMIT = 500  # rows a sweep moves in one transaction
SEEN_EVERY_MS = 60_000  # how stale a stored last-seen may get; the live one is in memory
FLUSH_LIMIT = 500  # players a flush hands to the database at once
FAILED = "~failed"
"""Among what a player reported: the settings that it could not apply, and why. No setting is called so."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the database may not have yet of a player."""

    address: str | None = None
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    reported: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Latest:
    """What a player said since the last flush. `gone`: its connection has ended, the last values are yet to write."""

    seen_at: int
    team_id: int | None = None
    gone: bool = False
    polls: bool = False
    stored_at: int = 0
    address: str | None = None
    telemetry: dict[str, Any] = field(default_factory=dict)
    reported: dict[str, Any] = field(default_factory=dict)
    leaving: "Heard" = field(default_factory=lambda: Heard())  # on its way to the database


class PresenceService:
    """`node` names this hub process; `graces` are the settings' own. `counted` is told of each event of a device
    whether it was stored or dropped."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        node: str,
        graces: Graces,
        counted: Callable[[str], None] = lambda outcome: None,
        *,
        quotas: Quotas | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.node = node
        self._clock = clock
        self._swept_at = clock()
        self._db = db
        self._bus = bus
        self._graces = graces
        self._counted = counted
        self._quotas = quotas or Quotas()
        self._beyond: set[tuple[str, int]] = set()  # whose events of the day `_beyond_day` are too many
        self._beyond_day = 0
        self._latest: dict[int, _Latest] = {}
        self._health: dict[int, tuple[bool, int]] = {}  # whether it answers pings, since when; where that has changed
        self._fresh: dict[int, dict[str, Any]] | None = None  # telemetry since the last `fresh`, by player
        self.due = asyncio.Event()
        """Set when the grace of some player is over: time to `sweep`."""

    async def connect(
        self, player_id: int, token_digest: str, address: str | None, device: Device, *, replaces: bool = True
    ) -> Connected:
        """Register a connection: the epoch rises, older connections of the player lose their say. `replaces`: one that
        the row may still name was alive until now.

        Raises Unauthenticated, Forbidden (quarantined), Unavailable.
        """
        connected: Connected = await self._db.write(
            store.connect,
            player_id,
            token_digest,
            self.node,
            ids.session_id(),
            address,
            device,
            self._clock(),
            replaces=replaces,
            key=player_id,
        )
        self._bus.publish(("events", connected.team_id))
        if connected.quarantined:
            self._bus.publish(("player", player_id), "quarantined")
            return connected
        self._health.pop(player_id, None)
        latest = self._latest.setdefault(player_id, _Latest(0))
        latest.seen_at, latest.address, latest.gone, latest.stored_at = self._clock(), address, False, 0
        latest.team_id = connected.team_id
        return connected

    def polled(self, player_id: int, team_id: int, address: str | None, telemetry: Mapping[str, Any]) -> None:
        """A player that polls was heard. That it was, and what it said, is stored before; this costs no write."""
        latest = self._latest.setdefault(player_id, _Latest(0))
        latest.seen_at, latest.address, latest.polls, latest.gone = self._clock(), address, True, False
        latest.stored_at = latest.seen_at
        latest.team_id = team_id
        self._freshen(player_id, telemetry)

    async def disconnect(self, player_id: int, team_id: int, epoch: int, reason: Reason) -> None:
        """The connection of this epoch has ended; if a newer one lives, nothing changes."""
        current = await self._db.write(
            store.disconnect, player_id, epoch, reason, self._graces, self._clock(), key=player_id
        )
        if current is None:
            self._latest.pop(player_id, None)
        elif current:
            if player_id in self._latest:
                self._latest[player_id].gone = True
            self._bus.publish(("events", team_id))
            if grace := self._graces.after(reason):
                # A moment later than its end, so that the sweep finds it over.
                asyncio.get_running_loop().call_later((grace + 1) / SECOND, self.due.set)

    async def held(self) -> list[tuple[int, int, int]]:
        """(player id, team id, epoch) of the connections that this node has, as the database knows it."""
        async with self._db.session() as session:
            return await store.held(session, self.node)

    async def holds(self, player_id: int, epoch: int) -> bool:
        """Whether the player's connection, as the database knows it, is the one of this epoch on this node."""
        async with self._db.session() as session:
            return await store.holder(session, player_id) == (self.node, epoch)

    async def keep_journal(self, player_id: int, journal_id: str) -> None:
        """What the player was sent has been compared with this journal: it is not a new one any more."""
        await self._db.write(store.keep_journal, player_id, journal_id, key=player_id)

    async def wanted(self, player_id: int) -> tuple[dict[str, Any], str | None]:
        """The desired settings of a player, and its name, as they are now. Empty and None when it was deleted."""
        async with self._db.session() as session:
            return await store.wanted(session, player_id)

    def saw(self, player_id: int, at: int) -> None:
        """A sign of life. Costs no write."""
        latest = self._latest.get(player_id)
        if latest is not None:
            latest.seen_at = at
            self._freshen(player_id)

    def doubt(self, player_id: int, suspect: bool) -> None:
        """A ping has gone unanswered, or an answer came after all."""
        if suspect != self.is_suspect(player_id):
            self._health[player_id] = (not suspect, self._clock())
        self._freshen(player_id)

    def is_suspect(self, player_id: int) -> bool:
        return self.health(player_id) is not None and not self._health[player_id][0]

    def health(self, player_id: int) -> tuple[bool, int] | None:
        """(whether the connected player answers pings, since when); None: as it has since it connected."""
        return self._health.get(player_id)

    def report(
        self, player_id: int, *, telemetry: Mapping[str, Any] | None = None, reported: Mapping[str, Any] | None = None
    ) -> None:
        """Keep the latest values; they are written with the next flush."""
        latest = self._latest.setdefault(player_id, _Latest(self._clock()))
        latest.telemetry.update(_with_skew(telemetry or {}, self._clock()))
        latest.reported = rules.reported(latest.reported, reported or {})
        self._freshen(player_id, telemetry or {})

    async def noticed(self, player_id: int, name: str, data: Mapping[str, Any]) -> None:
        """A device has noticed something by itself; `name` is one of DEVICE_TYPES. What is beyond NOTICED_A_DAY, or
        beyond the quota of its team, is dropped; the log says so once a day."""
        now = self._clock()
        if now // DAY != self._beyond_day:
            self._beyond, self._beyond_day = set(), now // DAY
        if ("player", player_id) in self._beyond:  # without a look into the database
            if name in rules.PICTURES:
                self.report(player_id, reported={rules.PICTURE: [rules.PICTURES[name], now]})
            self._counted("dropped")
            return
        told: Noticed | None = await self._db.write(
            store.noticed, player_id, name, dict(data), now, self._quotas, key=player_id
        )
        if told is None:
            return
        if told.outcome == "stored":
            self._counted("stored")
            self._bus.publish(("events", told.team_id))
            return
        self._counted("dropped")
        who = ("player", player_id) if told.outcome == "beyond_player" else ("team", told.team_id)
        if who not in self._beyond:
            self._beyond.add(who)
            log.warning("%s %d has told of too many events today; the others are dropped", *who)

    async def quarantine(self, player_id: int, reason: str) -> None:
        """Put a player out until somebody lifts it: its connection closes, and no other is let in."""
        team_id = await self._db.write(store.quarantine, player_id, reason, self._clock(), key=player_id)
        self._bus.publish(("player", player_id), "quarantined")
        if team_id is not None:
            self._bus.publish(("events", team_id))

    # For those who watch ---------------------------------------------------------------------------------------------

    def listen(self, listening: bool) -> None:
        """Whether anybody wants to be told of latest values. Nothing is kept for nobody."""
        if listening != (self._fresh is not None):
            self._fresh = {} if listening else None

    def fresh(self) -> dict[int, list[dict[str, Any]]]:
        """By team, the players of which something was heard since the last call: {"player_id", "last_seen_at",
        "suspect", "telemetry"?}, of telemetry what was told since."""
        if self._fresh is None:
            return {}
        fresh, self._fresh = self._fresh, {}
        told: dict[int, list[dict[str, Any]]] = {}
        for player_id, telemetry in fresh.items():
            latest = self._latest.get(player_id)
            if latest is None or latest.team_id is None:
                continue
            values: dict[str, Any] = {
                "player_id": player_id,
                "last_seen_at": rfc3339(latest.seen_at),
                "suspect": self.is_suspect(player_id),
            }
            told.setdefault(latest.team_id, []).append(values | ({"telemetry": telemetry} if telemetry else {}))
        return told

    def team_of(self, player_id: int) -> int | None:
        """The team of a player that this node hears, or has just heard."""
        latest = self._latest.get(player_id)
        return latest.team_id if latest else None

    def _freshen(self, player_id: int, telemetry: Mapping[str, Any] | None = None) -> None:
        if self._fresh is not None:
            values = self._fresh.setdefault(player_id, {})
            if telemetry:
                values.update(telemetry)

    # ------------------------------------------------------------------------------------------------------------------

    def last_seen(self, player_id: int) -> int | None:
        """The latest sign of life that this node had, Unix ms."""
        latest = self._latest.get(player_id)
        return latest.seen_at if latest else None

    def heard(self, player_id: int) -> Heard:
        """What this node has heard of the player and may not have written yet. Whoever reads the database as well asks
        here first, so that nothing slips through between."""
        latest = self._latest.get(player_id)
        if latest is None:
            return Heard()
        leaving = latest.leaving
        telemetry = {**leaving.telemetry, **latest.telemetry}
        return Heard(latest.address, telemetry, rules.reported(leaving.reported, latest.reported))

    async def flush(self, *, everything: bool = False) -> None:
        """Write what has gathered; last-seen times alone only when the stored ones have grown stale. What cannot be
        written is kept for the next time."""
        now = self._clock()
        stale = now if everything else now - SEEN_EVERY_MS
        everybody = list(self._latest.items())
        for _, one in everybody:
            one.gone = one.gone or (one.polls and is_due(one.seen_at + self._graces.polling, now, self._graces.polling))
        gone = [player_id for player_id, latest in everybody if latest.gone]
        reports = [self._write_report(*one, now) for one in everybody if one[1].telemetry or one[1].reported]
        seen = [
            self._write_seen(player_id, latest)
            for player_id, latest in everybody
            if latest.seen_at != latest.stored_at and (latest.gone or not stale < latest.stored_at <= now)
        ]
        await _in_bites([*reports, *seen])
        for player_id in gone:
            latest = self._latest.get(player_id)
            if latest is not None and latest.gone:  # it may have come back meanwhile
                del self._latest[player_id]

    async def _write_report(self, player_id: int, latest: _Latest, now: int) -> None:
        telemetry, reported = latest.telemetry, latest.reported
        latest.telemetry, latest.reported, latest.leaving = {}, {}, Heard(None, telemetry, reported)
        try:
            await self._db.write(store.report, player_id, telemetry, reported, now, key=player_id)
        except HubError:
            latest.telemetry = telemetry | latest.telemetry
            latest.reported = rules.reported(reported, latest.reported)
            raise
        finally:
            latest.leaving = Heard()

    async def _write_seen(self, player_id: int, latest: _Latest) -> None:
        seen_at = latest.seen_at
        await self._db.write(store.seen, player_id, seen_at, latest.address, key=player_id)
        latest.stored_at = seen_at

    async def sweep(self) -> bool:
        """Mark offline whose grace ran out. Answers whether there may be more.

        A grace is time in which a player could have come back. When nobody looked for a while, or the clock has
        jumped, that is not known: then everybody who is away gets the longest grace, from now.
        """
        now = self._clock()
        if not 0 <= now - self._swept_at <= BLIND_MS:
            await self.postpone()
        moved: list[int] = await self._db.write(store.sweep, now, SWEEP_LIMIT, self._graces.polling)
        self._swept_at = now
        for team_id in set(moved):
            self._bus.publish(("events", team_id))
        return len(moved) == SWEEP_LIMIT

    async def recover(self) -> int:
        """At the start of this node: whoever was connected when it ended has the grace to come back. Answers how many
        had no goodbye, since it crashed."""
        now = self._clock()
        crashed = cast(int, await self._db.write(store.recover, self.node, now + self._graces.crash))
        self._swept_at = now
        return crashed

    async def postpone(self) -> None:
        """Nobody who is away is offline for it before the longest grace has passed: they cannot come back while
        admissions are paced, and could not while the hub did not look."""
        await self._db.write(store.await_return, self._clock() + self._graces.crash)


def _with_skew(telemetry: Mapping[str, Any], now: int) -> Mapping[str, Any]:
    """A device's own clock says something only beside ours of the same moment."""
    clock = telemetry.get("clock")
    return telemetry if clock is None else {**telemetry, SKEW: round((parse(clock) - now) / SECOND, 1)}


async def _in_bites(writes: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await some at once, so that they share commits, but never a whole fleet's. Raises the first failure, when all
    have ended."""
    failures: list[BaseException] = []
    for start in range(0, len(writes), FLUSH_LIMIT):
        outcomes = await asyncio.gather(*writes[start : start + FLUSH_LIMIT], return_exceptions=True)
        failures += [outcome for outcome in outcomes if outcome is not None]
    if failures:
        raise failures[0]
