"""A team whose players are watched: they come, go and measure as a test wants; time is the test's own."""

from typing import Any

from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain.access import Actor
from hub.domain.presence import Device, Graces
from hub.domain.times import SECOND
from hub.services.alert_rules import AlertRules
from hub.services.commands import Commands
from hub.services.incident_monitor import IncidentMonitor
from hub.services.incidents import Incidents
from hub.services.locations import Locations
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.store import events
from hub.store import players as player_store
from hub.store.database import Database
from hub.store.tables import Player

NOW = 1_774_249_200_000  # 2026-03-23T07:00:00Z, a Monday, eight o'clock in Berlin
GRACE = 90 * SECOND
DEVICE = Device("pi-1", None, None, None, "test", "simulated", "1", ("reboot", "identify"))


class Stage:
    def __init__(self, db: Database, owner: Actor) -> None:
        self.db, self.owner, self.now = db, owner, NOW
        self.bus = LocalBus()
        self.presence = PresenceService(db, self.bus, "hub", Graces(), clock=self.clock)
        self.players = Players(db, self.bus, self.presence)
        self.rules = AlertRules(db, self.bus, has_mail=True, clock=self.clock)
        self.incidents = Incidents(db, self.bus, clock=self.clock)
        self.commands = Commands(db, self.bus)
        self.locations = Locations(db, self.bus)
        self.watch = self.node()
        self.digests: dict[int, str] = {}
        self.epochs: dict[int, int] = {}

    def clock(self) -> int:
        return self.now

    def node(self) -> IncidentMonitor:
        """One more process on this database."""
        return IncidentMonitor(self.db, self.bus, GRACE, clock=self.clock)

    async def player(self, name: str = "Lobby", *, online: bool = True, location_id: int | None = None) -> int:
        digest = ids.digest(ids.new_secret(ids.PLAYER_TOKEN_PREFIX))
        player = Player(
            team_id=self.owner.team_id, screen_id=ids.screen_id(), name=name, token_digest=digest,
            created_at=self.now, updated_at=self.now, location_id=location_id,
        )  # fmt: skip
        async with self.db.transaction() as session:
            number = (await player_store.create(session, player)).id or 0
        self.digests[number] = digest
        if online:
            await self.connect(number)
        return number

    async def connect(self, player_id: int) -> None:
        connected = await self.presence.connect(player_id, self.digests[player_id], None, DEVICE)
        self.epochs[player_id] = connected.epoch

    async def leave(self, player_id: int) -> None:
        await self.presence.disconnect(player_id, self.owner.team_id, self.epochs[player_id], "bye")

    async def report(self, player_id: int, **telemetry: Any) -> None:
        self.presence.report(player_id, telemetry=telemetry)
        await self.presence.flush()

    async def rule(self, kind: str, **fields: Any) -> int:
        targets = {name: fields.pop(name, []) for name in ("player", "group", "location")}
        values = {name: fields.pop(name) for name in ("name", "severity", "for_minutes", "emails") if name in fields}
        made = await self.rules.create(
            self.owner,
            **{"name": kind, "severity": "severe"} | values,
            kind=kind,
            thresholds=fields,
            everyone=not any(targets.values()),
            targets=targets,
            face="test",
        )
        rule_id: int = made["id"]
        return rule_id

    async def change(self, rule_id: int, **changes: Any) -> None:
        await self.rules.update(self.owner, rule_id, changes, face="test")

    async def look(self, watch: IncidentMonitor | None = None, *, after: int = 0) -> None:
        """All that there is to do, `after` so many milliseconds."""
        self.now += after
        while await (watch or self.watch).look():
            pass

    async def found(self, **wanted: Any) -> list[dict[str, Any]]:
        """Incidents, oldest first."""
        return (await self.incidents.listing(self.owner, **wanted, per_page=100))[0][::-1]

    async def states(self) -> list[tuple[str, str | None]]:
        return [(one["status"], one["reason"]) for one in await self.found()]

    async def told(self) -> list[tuple[str, int, str | None]]:
        """(type, incident, reason) of what the log says of incidents."""
        async with self.db.session() as session:
            rows = await events.after(session, self.owner.team_id, 0, 1_000)
        found = [(row.type, events.as_data(row)) for row in rows if row.type.startswith("alert.")]
        return [(kind, data["incident_id"], data.get("reason")) for kind, data in found]
