"""The watch over players: looks at what has changed, judges it by the teams' rules, opens and resolves incidents.

Each turn looks at a bounded number of players: those of whom the event log tells something, those that have sent
readings, those whose condition is due, and a few more in turn, so that nobody is forgotten for long. What devices
notice is heard from the log once and in order; the place up to which it was heard is in the database.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import orjson

from hub.bus.base import Bus
from hub.domain import incidents as domain
from hub.domain.incidents import HEARD, RECOVERED, Rule, Watched
from hub.domain.timeline import Window
from hub.domain.times import MINUTE, SECOND, now_ms
from hub.services.apart import Apart
from hub.store import events, incidents
from hub.store import watching as store
from hub.store.database import Database
from hub.store.incidents import Noticed

PAGE = 200  # events of one turn; each may open an incident for each rule
BITE = 200  # players of one turn
IN_TURN = 20  # of them without any reason: 10,000 players in a quarter of an hour
BREATH = 20  # players judged without a pause for everybody else
RECOUNT_MS = 10 * SECOND  # between counts of one team's commands
SETTLED_MS = 10 * SECOND  # readings have their time before they are stored: younger ones may still be on the way
PLACE_EVERY = 1_000  # events after which the place is stored, though nothing was noticed

NOTICED = (*HEARD, RECOVERED)
OF_PLAYERS = ("player.online", "player.offline", "player.flapping", "player.updated", "alert.cleared")
OF_TEAMS = ("group.created", "group.updated", "group.deleted", "location.updated", "location.deleted")
TYPES = (*NOTICED, *OF_PLAYERS, *OF_TEAMS, "player.deleted")


class IncidentMonitor:
    """`grace_ms` is how long after a pause of the hub players may take to come back: that does not count as away."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        grace_ms: int,
        *,
        clock: Callable[[], int] = now_ms,
        steady: Callable[[int], bool] = lambda now: True,
    ) -> None:
        self._db = db
        self._bus = bus
        self._grace_ms = grace_ms
        self._clock = clock
        self._steady = steady
        self._versions: list[tuple[int, int]] = []
        self._rules: dict[int, list[Rule]] = {}
        self._place: int | None = None  # of the log, heard so far
        self._stored_place = 0
        self._wanted: dict[int, None] = {}  # players to look at, in order
        self._teams: dict[int, int] = {}  # teams to look at: up to which player it is done
        self._in_turn = 0
        self._read = (0, 0)  # the latest reading that was looked at
        self._unwatched = True  # whether there may be conditions that nobody watches any more
        self._counted: dict[int, int] = {}  # by rule: when its team's commands were counted
        self._apart = Apart("the watch over players of")
        self._uncounted: set[int] = set()  # rules of whose teams commands have ended since

    async def look(self) -> bool:
        """One turn, where the clock is steady. Answers whether there is more to do at once."""
        now = self._clock()
        if not self._steady(now):
            return False
        async with self._db.session() as session:
            newest = await events.newest(session)  # before the rules: none is missed that is older than these events
        await self._learn_rules(now)
        more = await self._hear(newest, now)
        more |= await self._withdraw(now)
        if not self._rules:
            return more
        ids = await self._whom(now)
        try:
            await self._judge(ids, now)
        except BaseException:
            self._wanted |= dict.fromkeys(ids)
            raise
        await self._count(now)
        return more or bool(self._wanted) or bool(self._teams)

    async def _learn_rules(self, now: int) -> None:
        async with self._db.session() as session:
            versions = await store.versions(session)
            if versions == self._versions:
                return
            rules = await store.rules(session)
        if not self._rules:
            self._read = (now - SETTLED_MS, 0)  # all that was read before is looked at with everybody
        for team_id, some in rules.items():
            if some != self._rules.get(team_id):
                self._teams[team_id] = 0
                self._uncounted.update(rule.id for rule in some if rule.kind == "command_failures")
        self._versions, self._rules = versions, rules
        self._unwatched = True

    # What has happened -----------------------------------------------------------------------------------------------

    async def _hear(self, newest: int, now: int) -> bool:
        """Read on in the log. Answers whether there is more of it."""
        if self._place is None:
            await self._db.write(store.keep_place, newest)
            async with self._db.session() as session:
                self._place = self._stored_place = await store.place(session)
        if not self._rules:  # what happens now is nothing to a rule that comes later
            await self._move(newest, [], now)
            return False
        async with self._db.session() as session:
            found = await store.happened(session, self._place, newest, TYPES, PAGE)
            upto = found[-1].id if len(found) == PAGE else newest
            ended = await store.teams_with(session, "command.finished", self._place, upto)
            concerned = {one.player_id for one in found if one.type in NOTICED and one.player_id}
            players = {one.id: one for one in await store.players(session, sorted(concerned))}
        self._uncounted.update(
            rule.id for team_id in ended for rule in self._rules.get(team_id, ()) if rule.kind == "command_failures"
        )
        for one in found:
            self._note(one)
        noticed = [
            Noticed(self._rules[one.team_id], players[one.player_id], one.type, one.at, _detail(one))
            for one in found
            if one.type in NOTICED and one.player_id in players and one.team_id in self._rules
        ]
        await self._move(upto, noticed, now)
        return len(found) == PAGE

    def _note(self, one: store.Happened) -> None:
        if one.type == "player.deleted":
            self._unwatched = True
        elif one.team_id not in self._rules:
            return
        elif one.type in OF_TEAMS:
            self._teams[one.team_id] = 0
        elif one.player_id is not None:
            self._wanted[one.player_id] = None

    async def _move(self, upto: int, noticed: Sequence[Noticed], now: int) -> None:
        if noticed:
            teams = await self._db.write(incidents.hear, self._stored_place, upto, noticed, now)
            if teams is None:  # another node has heard it
                self._place = None
                return
            self._tell(teams)
            self._stored_place = upto
        elif upto - self._stored_place >= PLACE_EVERY:
            await self._db.write(store.move_place, self._stored_place, upto)
            self._stored_place = upto
        self._place = upto

    async def _withdraw(self, now: int) -> bool:
        """What nobody watches any more is withdrawn. Answers whether there is more of it."""
        if not self._unwatched:
            return False
        async with self._db.session() as session:
            found = await store.unwatched(session, BITE)
        said = await asyncio.gather(*(self._db.submit(incidents.withdraw, number, now) for number, _ in found))
        self._tell(team_id for (_, team_id), one in zip(found, said, strict=True) if one)
        self._unwatched = len(found) == BITE
        return self._unwatched

    # Players ---------------------------------------------------------------------------------------------------------

    async def _whom(self, now: int) -> list[int]:
        """The players to look at in this turn."""
        async with self._db.session() as session:
            ids = dict.fromkeys(await store.due(session, now, BITE))
            if any(rule.kind in domain.MEASURED for rules in self._rules.values() for rule in rules):
                if self._read[0] > now:  # the clock was ahead, and is put back
                    self._read = (now - SETTLED_MS, 0)
                read = await store.reported(session, self._read, now - SETTLED_MS, BITE)
                self._read = read[-1] if read else self._read
                self._wanted |= dict.fromkeys(player_id for _, player_id in read)
            while len(ids) < BITE and self._teams:
                team_id, after = next(iter(self._teams.items()))
                some = await store.of_watched_teams(session, after, BITE - len(ids), team_id)
                ids |= dict.fromkeys(some)
                if some:
                    self._teams[team_id] = some[-1]
                else:
                    del self._teams[team_id]
            some = await store.of_watched_teams(session, self._in_turn, IN_TURN)
            self._in_turn = some[-1] if some else 0
        for player_id in list(self._wanted)[:BITE]:
            del self._wanted[player_id]
            ids[player_id] = None
        return list(ids | dict.fromkeys(some))

    async def _judge(self, ids: Sequence[int], now: int) -> None:
        if not ids:
            return
        async with self._db.session() as session:
            players = await store.players(session, ids)
            ongoing = await store.ongoing(session, ids)
            away = [one.since for one in players if not one.online]
            blind = _blind(await store.downtimes(session, min(away)), self._grace_ms) if away else []
        changed: list[Watched] = []
        for number, player in enumerate(players, 1):
            rules = self._rules.get(player.team_id, [])
            with self._apart.team(player.team_id, ("player", player.id)):
                if any(domain.judge(rules, player, ongoing[player.id], now, blind)):
                    changed.append(player)
            if number % BREATH == 0:
                await asyncio.sleep(0)
        writes = [
            self._db.submit(
                incidents.settle, self._rules.get(one.team_id, []), one, blind, now, key=("watched", one.id)
            )
            for one in changed
        ]
        said = await asyncio.gather(*writes, return_exceptions=True)
        self._tell(one.team_id for one, told in zip(changed, said, strict=True) if told is True)
        for one, told in zip(changed, said, strict=True):
            with self._apart.team(one.team_id, ("settled", one.id)):
                if isinstance(told, BaseException):
                    raise told

    # Commands --------------------------------------------------------------------------------------------------------

    async def _count(self, now: int) -> None:
        """How the commands of teams ended whose rules ask for it: when some have ended, and while such an incident is
        there."""
        rules = [rule for some in self._rules.values() for rule in some if rule.kind == "command_failures"]
        if not rules:
            return
        async with self._db.session() as session:
            standing = {one.rule_id for one in (await store.ongoing(session, [0]))[0]}
        for rule in rules:
            lately = 0 <= now - self._counted.get(rule.id, 0) < RECOUNT_MS
            if lately or (rule.id not in self._uncounted and rule.id not in standing):
                continue
            since = now - int(rule.thresholds["window_minutes"]) * MINUTE
            with self._apart.team(rule.team_id, ("rule", rule.id)):
                async with self._db.session() as session:
                    finished, failed = await store.finished(session, rule.team_id, since)
                if await self._db.write(incidents.settle_failures, rule, finished, failed, now):
                    self._tell([rule.team_id])
            self._counted[rule.id] = now
            self._uncounted.discard(rule.id)

    def _tell(self, teams: Iterable[int]) -> None:
        for team_id in set(teams):
            self._bus.publish(("events", team_id))


def _detail(one: store.Happened) -> dict[str, object]:
    detail = orjson.loads(one.data).get("detail")
    return cast("dict[str, object]", detail) if isinstance(detail, dict) else {}


def _blind(downtimes: Sequence[Window], grace_ms: int) -> list[Window]:
    """When the hub was away, and the time after it in which players could still be on their way back."""
    found: list[Window] = []
    for start, end in downtimes:
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end + grace_ms)
        else:
            found.append((start, end + grace_ms))
    return found
