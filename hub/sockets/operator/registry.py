"""The operators connected to this process: who is let in, liveness, latest values, and the way out."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from operator import methodcaller
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.client_address import NO_PROXIES, TrustedProxies
from hub.domain.access import Actor
from hub.domain.errors import Forbidden, TooMany, Unauthenticated, Unavailable
from hub.protocol.closecodes import CloseCode
from hub.services.access import concerns
from hub.services.container import Services
from hub.services.quotas import Places
from hub.sockets.for_all import for_all
from hub.sockets.frames import framed
from hub.sockets.lapses import Lapses
from hub.sockets.operator.connection import OUTBOX_BYTES, ConnectionContext, OperatorConnection, Seam

SWEEP_S = 1.0  # between two passes over all of them
MOST = 1_000  # operators of one process; each costs a write for every event of its team
PART_BYTES = 131_072  # of one `now`: half of the largest frame a player may send
PROGRESS_MOST = 10_000  # commands of one team whose progress waits to be told: within a second, of a whole fleet

Pace = Callable[[Actor, str | None], int]
"""Counts one request of this caller from this address, and answers the seconds to wait; 0: it is let in."""


class Operators:
    """`now` is told at most once a second; nothing is kept for it while nobody listens. `pace` is that of the
    calls that ask for the same as commands and subscriptions do."""

    outbox_bytes = OUTBOX_BYTES

    def __init__(
        self,
        services: Services,
        bus: Bus,
        *,
        heartbeat_s: float,
        silence_s: float,
        proxies: TrustedProxies = NO_PROXIES,
        metrics: Any = None,
        places: Places | None = None,
        pace: Pace = lambda actor, address: 0,
    ) -> None:
        self.services = services
        self.proxies = proxies
        self.places = places or Places("operator_sockets", MOST)
        self.draining = False
        self._heartbeat_s = heartbeat_s
        self._silence_s = silence_s
        self._metrics = metrics
        self._lapses = Lapses(SWEEP_S, asyncio.get_running_loop().time())
        self._pace = pace
        self._connections: set[OperatorConnection] = set()
        self._context = ConnectionContext(services, self.count, self.leave, self.closed, lambda: self.draining)
        self._progress: dict[int, dict[str, dict[str, Any]]] = {}  # by team and command
        bus.subscribe(("credentials", None), self._credential_changed)
        bus.subscribe(("progress", None), self._progressed)

    def __len__(self) -> int:
        return len(self._connections)

    async def admit(self, seam: Seam, token: str | None, address: str | None) -> OperatorConnection:
        """Check a credential before the handshake is answered.

        Raises Unauthenticated, Forbidden (a player's token), TooMany (of this team), Unavailable (draining, too many,
        database).
        """
        if self.draining:
            raise Unavailable("This hub is going away.", code="draining", retry_after=random.randint(1, 10))
        actor = await self.actor(token, address) if token else None
        if token is None or actor is None:
            raise Unauthenticated
        if actor.kind not in ("key", "user"):
            raise Forbidden
        self.places.take(actor.team_id, actor.plan)
        connection = OperatorConnection(self._context, seam, token, actor, address, asyncio.get_running_loop().time())
        self._connections.add(connection)
        return connection

    async def actor(self, token: str, address: str | None) -> Actor | None:
        return await self.services.access.authenticate(token, address=address, agent="signalbox.operator.v1")

    def count(self, actor: Actor, address: str | None) -> None:
        """One request more of this caller. Raises TooMany when it is not its turn."""
        if retry_after := self._pace(actor, address):
            raise TooMany(retry_after=retry_after)

    def leave(self, connection: OperatorConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self.places.give_back(connection.actor.team_id)

    def closed(self, code: int) -> None:
        if self._metrics is not None:
            self._metrics.sockets_closed.labels(code=str(code)).inc()

    async def sweep(self) -> None:
        """Once a second: pings, the end of silent ones, and the latest values for those who want them."""
        now = asyncio.get_running_loop().time()
        lapse = self._lapses.before(now)

        def look_at(connection: OperatorConnection) -> None:
            if lapse:
                connection.excuse(lapse, now)
            connection.sweep(now, self._heartbeat_s, self._silence_s)

        for_all(self._connections, look_at)
        self._tell_latest()

    async def check(self) -> None:
        """Look at all credentials again: a change may not have been heard of, and logins live by being used."""
        for_all(self._connections, OperatorConnection.check)

    def drain(self) -> None:
        """Send everybody away; they come back with their cursors."""
        self.draining = True
        for_all(self._connections, lambda one: one.close(CloseCode.DRAIN, "this hub is going away"))

    def _credential_changed(self, subject: Sequence[Any]) -> None:
        concerned = [connection for connection in self._connections if concerns(connection.actor, *subject)]
        for_all(concerned, OperatorConnection.check)

    # Latest values

    def _progressed(self, progress: dict[str, Any]) -> None:
        team_id = self.services.presence.team_of(progress["player_id"])
        if team_id is None or team_id not in self._wanted("commands"):
            return
        of_team = self._progress.setdefault(team_id, {})
        if len(of_team) < PROGRESS_MOST or progress["command_id"] in of_team:
            of_team[progress["command_id"]] = progress

    def _wanted(self, topic: str) -> set[int]:
        return {one.actor.team_id for one in self._connections if topic in one.topics}

    def _tell_latest(self) -> None:
        presence = self.services.presence
        watched = self._wanted("players")
        presence.listen(bool(watched))
        players = presence.fresh() if watched else {}
        commands, self._progress = self._progress, {}
        for team_id in watched & players.keys():
            self._tell(team_id, "players", players[team_id])
        for team_id in self._wanted("commands") & commands.keys():
            self._tell(team_id, "commands", commands[team_id].values())

    def _tell(self, team_id: int, topic: str, values: Iterable[dict[str, Any]]) -> None:
        of_team = [one for one in self._connections if one.actor.team_id == team_id and topic in one.topics]
        hearers = [one for one in of_team if "read:players" in one.actor.scopes]
        for part in _parts([orjson.dumps(value) for value in values]):
            frame = framed(b'{"type":"now","%s":[%s]}' % (topic.encode(), b",".join(part)))
            for_all(hearers, methodcaller("write", frame))


def _parts(encoded: list[bytes]) -> Iterable[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for one in encoded:
        if part and size + len(one) > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one) + 1
    if part:
        yield part
