"""The players connected to this process: admission, the one sweep for liveness, and the way out."""

import asyncio
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.errors import Forbidden, HubError, TooMany, Unauthenticated, Unavailable
from hub.domain.ratelimit import Buckets, Rule, network
from hub.domain.times import now_ms
from hub.services.apart import Apart
from hub.services.container import Services
from hub.services.waiting import set_within
from hub.sockets.budgets import Budgets
from hub.sockets.for_all import for_all
from hub.sockets.lapses import Lapses
from hub.sockets.player.connection import ConnectionContext, PlayerConnection, Seam
from hub.sockets.player.manifest_sync import ManifestNotifier
from hub.sockets.player.settings import SocketSettings

SWEEP_S = 1.0  # how exactly deadlines of sessions are kept; they are tens of seconds
LAPSE_TOLD_S = 5.0  # for so long a machine stands still that is suspended or has far too much to do
DRAIN_SPREAD_S = 10.0  # over how long a draining node spreads the return of its players
DRAIN_WAIT_S = 8.0  # how long the end of all connections may take to be written down

CONNECTIONS_MOST = 10  # of one player: the newest is let in, older ones take some seconds to end
CONNECTIONS = Rule(120, 1, 15_000_000)  # of one player: a bad network's at once, then four a minute, twice as many
# as one that backs off to a minute makes; each is a row and an event or two
STRANGERS = Rule(600, 10, 1_000_000)  # handshakes of a network that no good token is behind: a building's at once, then
# ten a second; a look into the database takes about 1 ms
KNOWN_MOST = 50_000  # tokens that were good, remembered by digest: some 8 MB

PACING_S = (
    10.0  # how long after a good token was turned away its player may still be on its way: it is told 5 s at most
)
POSTPONE_S = 120.0  # of one return, from its first refusal: 24,000 players at 200 a second
CALM_S = 600.0  # without a refusal, after which the next one begins another return; longer than usual graces

FLOODS = 3  # closes for sending too much within the window, after which a player is put in quarantine
FLOOD_WINDOW_S = 600.0  # the agent backs off 60 s after each

log = logging.getLogger(__name__)


class Return:
    """Many players come back at once, and some are turned away for now. Times are of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._began_at = self._refused_at = -math.inf

    def refused(self, now: float) -> None:
        if now - self._refused_at >= CALM_S:
            self._began_at = now
        self._refused_at = now

    def going_on(self, now: float) -> bool:
        """Whether a player was turned away just now, and the first of them not too long ago."""
        return now - self._refused_at < PACING_S and now - self._began_at < POSTPONE_S


class Registry:
    """`probe` is told `before send TYPE` and `after send TYPE`, where a fault test wants to hold the knife."""

    def __init__(
        self,
        services: Services,
        bus: Bus,
        settings: SocketSettings,
        *,
        metrics: Any = None,
        probe: Callable[[str], None] | None = None,
    ) -> None:
        self.services = services
        self.bus = bus
        self.settings = settings
        self.proxies = settings.proxies
        self.draining = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self._connections: set[PlayerConnection] = set()
        self._of_player: Counter[int] = Counter()
        self._current: dict[int, PlayerConnection] = {}
        self._allowance = float(settings.admissions_per_s)
        self._allowed_at = time.monotonic()
        self._return = Return()
        self._strangers = Buckets(STRANGERS.fills_in_us)
        self._arrivals = Buckets(CONNECTIONS.fills_in_us)
        self._known: dict[str, int] = {}  # their players; the latest last
        self.budgets = Budgets()
        self._lapses = Lapses(SWEEP_S, time.monotonic())
        self._ended = asyncio.Event()
        self._apart = Apart("showing the alerts of")
        self._floods: dict[int, list[float]] = {}
        self._context = ConnectionContext(
            services,
            bus,
            settings,
            self.budgets,
            self.tasks,
            metrics=metrics,
            probe=probe,
            enter=self.enter,
            leave=self.leave,
            look_at=self.look_at,
            flooded=self.flooded,
        )
        self.syncing = ManifestNotifier(services.programs, bus, self._welcomed)
        bus.subscribe(("alerts", None), self._alerts_changed)
        bus.subscribe(("trusted", None), self._forget_floods)

    def __len__(self) -> int:
        return len(self._current)

    @property
    def outbox_bytes(self) -> int:
        return self.settings.outbox_bytes

    async def admit(self, seam: Seam, token: str | None, address: str | None) -> PlayerConnection:
        """Check a credential before the handshake is answered. Only a good one takes an admission.

        Raises Unauthenticated, Forbidden (quarantined), TooMany (of this player, of a network's strangers), Unavailable
        (draining, pacing, database) with `retry_after`.
        """
        if self.draining:
            raise _going_away()
        player_id, digest, quarantined = await self._look_up(token, address)
        if self.draining:  # meanwhile
            raise _going_away()
        if quarantined:
            raise Forbidden("This player is quarantined.", code="quarantined")
        if self._of_player[player_id] >= CONNECTIONS_MOST:
            text = f"This player has {CONNECTIONS_MOST} connections already."
            raise TooMany(text, code="too_many_connections", retry_after=10)
        self._know(digest, player_id)
        self._check_pace(player_id)
        if not self._may_admit():
            raise self._paced()
        self._allowance -= 1
        self._arrivals.take(player_id, CONNECTIONS, now_ms())
        self._of_player[player_id] += 1
        connection = PlayerConnection(self._context, seam, player_id, digest, address, time.monotonic())
        self._connections.add(connection)
        return connection

    async def _look_up(self, token: str | None, address: str | None) -> tuple[int, str, bool]:
        """(player id, digest, quarantined). A token that was good before is no stranger's, however many strangers there
        are in its network; one that would be turned away anyway is not looked up again for it.

        Raises Unauthenticated, TooMany, Unavailable.
        """
        digest = ids.digest(token) if token else ""
        stranger = digest not in self._known
        if not stranger:
            self._check_pace(self._known[digest])
            if not self._may_admit():
                raise self._paced()
        caller, now = (bool(token), address and network(address)), now_ms()
        if stranger and (wait := self._strangers.take(caller, STRANGERS, now).retry_after):
            raise TooMany(retry_after=wait)
        found = await self.services.players.by_token(token) if token else None
        if found is None:
            self._known.pop(digest, None)
            raise Unauthenticated
        if stranger:
            self._strangers.give_back(caller)
        return found

    def _check_pace(self, player_id: int) -> None:
        """Raises TooMany for a player that has sent too much within this minute, or connects too often."""
        if wait := self.budgets.wait(player_id, asyncio.get_running_loop().time()):
            text = "This player has sent too much within a minute."
            raise TooMany(text, code="sent_too_much", retry_after=math.ceil(wait))
        now = now_ms()
        if not self._arrivals.take(player_id, CONNECTIONS, now, cost=0).remaining:
            wait = self._arrivals.take(player_id, CONNECTIONS, now).retry_after
            raise TooMany("This player connects too often.", code="connects_too_often", retry_after=wait)

    def _know(self, digest: str, player_id: int) -> None:
        self._known.pop(digest, None)
        self._known[digest] = player_id
        if len(self._known) > KNOWN_MOST:
            del self._known[next(iter(self._known))]

    def _may_admit(self) -> bool:
        """Whether the bucket of one second's admissions has one left."""
        now = time.monotonic()
        rate = self.settings.admissions_per_s
        self._allowance = min(rate, self._allowance + (now - self._allowed_at) * rate)
        self._allowed_at = now
        return self._allowance >= 1

    def _paced(self) -> Unavailable:
        """A player is turned away."""
        self._return.refused(time.monotonic())
        return Unavailable("Many players are coming back at once.", code="paced", retry_after=_spread(5))

    @property
    def pacing(self) -> bool:
        """Whether players who are away may be on their way back."""
        return self._return.going_on(time.monotonic())

    def enter(self, connection: PlayerConnection) -> PlayerConnection | None:
        """This connection has said hello: from now on it is the player's. Answers the one it replaces."""
        older = self._current.get(connection.player_id)
        self._current[connection.player_id] = connection
        return older

    def leave(self, connection: PlayerConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._of_player[connection.player_id] -= 1
            if not self._of_player[connection.player_id]:
                del self._of_player[connection.player_id]
                self.budgets.rest(connection.player_id, asyncio.get_running_loop().time())
        if self._current.get(connection.player_id) is connection:
            del self._current[connection.player_id]
        if not self._connections:
            self._ended.set()

    def flooded(self, player_id: int) -> None:
        """A player sent more than its budget. Again and again means that it is broken: quarantined, until lifted."""
        now = time.monotonic()
        times = [at for at in self._floods.get(player_id, ()) if at > now - FLOOD_WINDOW_S] + [now]
        self._floods[player_id] = times[-FLOODS:]
        if len(times) >= FLOODS:
            self._spawn(self._quarantine(player_id))

    def _forget_floods(self, player_id: int) -> None:
        self._floods.pop(player_id, None)

    async def _quarantine(self, player_id: int) -> None:
        try:
            await self.services.presence.quarantine(player_id, "flooding")
        except HubError as error:  # its next flood asks again
            log.warning("player %d is not in quarantine yet: %s", player_id, error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _welcomed(self) -> list[PlayerConnection]:
        return [connection for connection in self._current.values() if connection.welcomed]

    def get(self, player_id: int) -> PlayerConnection | None:
        return self._current.get(player_id)

    def _alerts_changed(self, team_id: int) -> None:
        self._spawn(self._spread_alerts(team_id))

    async def _spread_alerts(self, team_id: int) -> None:
        """Bring the team's players up to date, with one look at the database for all of them."""
        try:
            with self._apart.team(team_id):
                standing = await self.services.alerts.live_for_team(team_id)
                of_team = (connection for connection in self._current.values() if connection.team_id == team_id)
                for_all(of_team, lambda one: one.show_alerts(standing.for_player(one.player_id)))
        except HubError as error:
            log.warning("the alerts of team %d are not spread yet: %s", team_id, error)

    async def refresh_alerts(self) -> None:
        """Bring all players up to date: who joined a group or moved since an alert began, and what was not spread."""
        teams = set(await self.services.alerts.teams_with_live_ones())
        for team_id in teams | {connection.team_id for connection in self._current.values() if connection.alerted}:
            await self._spread_alerts(team_id)

    async def audit(self) -> None:
        """Be of one mind with the database about who is connected. What it takes for a connection of this node and is
        none ends: the answer to its registration was lost, or its end could not be written. A connection whose row is
        another's by now, since another hub was here, is closed: the player registers again."""
        registered = [(one, one.epoch) for one in self._current.values() if one.epoch]
        held = {player_id: (team_id, epoch) for player_id, team_id, epoch in await self.services.presence.held()}
        for player_id, (team_id, epoch) in held.items():
            if player_id not in self._current:
                log.warning("player %d counted as connected and was not, epoch %d", player_id, epoch)
                await self.services.presence.disconnect(player_id, team_id, epoch, "lost")
        doubtful = [one for one, epoch in registered if held.get(one.player_id) != (one.team_id, epoch)]
        for_all(doubtful, PlayerConnection.look_at_row)

    async def sweep(self) -> None:
        """One pass over all sessions: pings, doubts, the end of silent ones; and who was seen."""
        now = time.monotonic()
        self._excuse(now)
        self.budgets.sweep(asyncio.get_running_loop().time())
        at = now_ms()
        saw = self.services.presence.saw

        def look_at(connection: PlayerConnection) -> None:
            connection.sweep(now)
            if connection.seen:
                connection.seen = False
                saw(connection.player_id, at)

        for_all(self._connections, look_at)

    def look_at(self, connection: PlayerConnection) -> None:
        """Keep the deadlines of one session between two passes."""
        now = time.monotonic()
        self._excuse(now)
        connection.sweep(now)

    def _excuse(self, now: float) -> None:
        """Nobody was silent while the hub did not read."""
        if lapse := self._lapses.before(now):
            if lapse >= LAPSE_TOLD_S:
                log.warning("the hub has read nothing for %.1f s", lapse)
            for_all(self._connections, lambda one: one.excuse(lapse, now))

    async def drain(self) -> None:
        """Send everybody away, spread over some seconds, and write the ends down; then nothing is connected."""
        if self.draining:
            return
        self.draining = True
        if not self._connections:
            return
        self._ended.clear()
        for_all(self._connections, lambda one: one.drain(int(random.uniform(0, DRAIN_SPREAD_S) * 1000)))
        if not await set_within(self._ended, DRAIN_WAIT_S):
            log.warning("%d players had not left when the hub did", len(self._connections))


def _going_away() -> Unavailable:
    return Unavailable("This hub is going away.", code="draining", retry_after=_spread(DRAIN_SPREAD_S))


def _spread(seconds: float) -> int:
    return random.randint(1, max(1, int(seconds)))
