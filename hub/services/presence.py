"""Connections coming and going, and what players report about themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.presence import Connected, Device, Graces, Reason
from hub.domain.times import now_ms
from hub.store import presence as store
from hub.store.database import Database

SWEEP_LIMIT = 500  # rows a sweep moves in one transaction
SEEN_EVERY_MS = 60_000  # how stale a stored last-seen may get; the live one is in memory
FLUSH_LIMIT = 500  # players a flush writes in one transaction


@dataclass(slots=True)
class _Latest:
    """What a player said since the last flush. `gone`: its connection has ended, the last values are yet to write."""

    seen_at: int
    gone: bool = False
    stored_at: int = 0
    address: str | None = None
    telemetry: dict[str, Any] = field(default_factory=dict)
    reported: dict[str, Any] = field(default_factory=dict)


class PresenceService:
    """`node` names this hub process; `graces` are the settings' own."""

    def __init__(self, db: Database, bus: Bus, node: str, graces: Graces) -> None:
        self.node = node
        self._db = db
        self._bus = bus
        self._graces = graces
        self._latest: dict[int, _Latest] = {}
        self._suspects: set[int] = set()

    async def connect(self, player_id: int, token_digest: str, address: str | None, device: Device) -> Connected:
        """Register a connection: the epoch rises, older connections of the player lose their say.

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
            now_ms(),
            key=player_id,
        )
        latest = self._latest.setdefault(player_id, _Latest(now_ms()))
        latest.seen_at, latest.address, latest.gone, latest.stored_at = now_ms(), address, False, 0
        self._bus.publish(("events", connected.team_id))
        if connected.quarantined:
            self._bus.publish(("player", player_id), "quarantined")
        return connected

    async def disconnect(self, player_id: int, team_id: int, epoch: int, reason: Reason) -> None:
        """The connection of this epoch has ended; if a newer one lives, nothing changes."""
        current = await self._db.write(
            store.disconnect, player_id, epoch, reason, self._graces, now_ms(), key=player_id
        )
        if current:
            if player_id in self._latest:
                self._latest[player_id].gone = True
            self._bus.publish(("events", team_id))

    async def settings(self, player_id: int) -> dict[str, Any]:
        """The desired settings of a player as they are now. Empty when it was deleted."""
        async with self._db.session() as session:
            return await store.settings(session, player_id)

    def saw(self, player_id: int, at: int) -> None:
        """A sign of life. Costs no write."""
        latest = self._latest.get(player_id)
        if latest is not None:
            latest.seen_at = at

    def doubt(self, player_id: int, suspect: bool) -> None:
        """A ping has gone unanswered, or an answer came after all."""
        (self._suspects.add if suspect else self._suspects.discard)(player_id)

    def is_suspect(self, player_id: int) -> bool:
        return player_id in self._suspects

    def report(
        self, player_id: int, *, telemetry: Mapping[str, Any] | None = None, reported: Mapping[str, Any] | None = None
    ) -> None:
        """Keep the latest values; they are written with the next flush."""
        latest = self._latest.setdefault(player_id, _Latest(now_ms()))
        latest.telemetry.update(telemetry or {})
        latest.reported.update(reported or {})

    async def noticed(self, player_id: int, name: str, data: Mapping[str, Any]) -> None:
        """A device has noticed something by itself; `name` is one of DEVICE_TYPES."""
        team_id = await self._db.write(store.noticed, player_id, name, dict(data), now_ms(), key=player_id)
        self._bus.publish(("events", team_id))

    async def quarantine(self, player_id: int, reason: str) -> None:
        """Put a player out until somebody lifts it: its connection closes, and no other is let in."""
        team_id = await self._db.write(store.quarantine, player_id, reason, now_ms(), key=player_id)
        self._bus.publish(("player", player_id), "quarantined")
        self._bus.publish(("events", team_id))

    def last_seen(self, player_id: int) -> int | None:
        """The latest sign of life that this node had, Unix ms."""
        latest = self._latest.get(player_id)
        return latest.seen_at if latest else None

    async def flush(self, *, everything: bool = False) -> None:
        """Write what has gathered; last-seen times alone only when the stored ones have grown stale."""
        now = now_ms()
        stale = now if everything else now - SEEN_EVERY_MS
        seen = []
        for player_id, latest in list(self._latest.items()):
            if latest.telemetry or latest.reported:
                telemetry, reported = latest.telemetry, latest.reported
                latest.telemetry, latest.reported = {}, {}
                await self._db.write(store.report, player_id, telemetry, reported, now, key=player_id)
            if latest.seen_at > latest.stored_at and (latest.gone or latest.stored_at <= stale):
                seen.append((player_id, latest.seen_at, latest.address))
                latest.stored_at = latest.seen_at
            if latest.gone:
                del self._latest[player_id]
        for start in range(0, len(seen), FLUSH_LIMIT):
            await self._db.write(store.seen, seen[start : start + FLUSH_LIMIT])

    async def sweep(self) -> bool:
        """Mark offline whose grace ran out. Answers whether there may be more."""
        moved = cast(int, await self._db.write(store.sweep, now_ms(), SWEEP_LIMIT))
        if moved:
            self._bus.publish(("events", None))
        return moved == SWEEP_LIMIT

    async def recover(self) -> int:
        """After a crash of this node: its players get the grace to come back. Answers how many."""
        return cast(int, await self._db.write(store.recover, self.node, now_ms() + self._graces.crash))

    async def postpone(self) -> None:
        """While admissions are paced, a player that waits its turn is not offline for it."""
        await self._db.write(store.postpone, "crash", now_ms() + self._graces.crash)
