"""Incidents as people see them: what is wrong, who takes care of it, and when it was done with."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain.access import Actor
from hub.domain.errors import Conflict
from hub.domain.times import now_ms, rfc3339, rfc3339_or_none
from hub.services.recorded_change import change
from hub.store import incidents as store
from hub.store import mails
from hub.store.database import Database
from hub.store.tables import Incident, IncidentMail


class Incidents:
    def __init__(self, db: Database, bus: Bus, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock

    async def listing(
        self,
        actor: Actor,
        *,
        status: str | None = None,
        player_id: int | None = None,
        rule_id: int | None = None,
        page: int = 1,
        per_page: int,
    ) -> tuple[list[dict[str, Any]], int]:
        """(incidents, newest first; how many there are in all)."""
        actor.require("read:players")
        async with self._db.session() as session:
            found, total = await store.find(
                session,
                actor.team_id,
                status=status,
                player_id=player_id,
                rule_id=rule_id,
                offset=(page - 1) * per_page,
                limit=per_page,
            )
            sent = await mails.of_incidents(session, [incident.id or 0 for incident in found])
        return [_describe(incident, sent[incident.id or 0]) for incident in found], total

    async def get(self, actor: Actor, incident_id: int) -> dict[str, Any]:
        """One incident with the fate of its mail. Raises NotFound."""
        actor.require("read:players")
        async with self._db.session() as session:
            incident = await store.get(session, actor.team_id, incident_id)
            return _describe(incident, (await mails.of_incidents(session, [incident_id]))[incident_id])

    async def acknowledge(self, actor: Actor, incident_id: int, note: str | None, *, face: str) -> dict[str, Any]:
        """Somebody takes care of it; the first one stays named. Raises NotFound, Conflict (it is resolved)."""
        actor.require("write:players")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            incident = await store.get(made.session, actor.team_id, incident_id)
            if incident.status == "resolved":
                raise Conflict("This incident is resolved.", code="incident_resolved")
            unit = store.acknowledge(actor.team_id, incident_id, note, actor, face, self._clock())
            await self._db.run(made.session, unit)
        return await self.get(actor, incident_id)

    async def resolve(self, actor: Actor, incident_id: int, note: str | None, *, face: str) -> dict[str, Any]:
        """It is done with, and does not come back before its condition was over; one that was resolved before stays as
        it is. Raises NotFound."""
        actor.require("write:players")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            await store.get(made.session, actor.team_id, incident_id)
            await self._db.run(made.session, store.resolve(incident_id, note, actor, face, self._clock()))
        return await self.get(actor, incident_id)


def _describe(incident: Incident, sent: Sequence[IncidentMail]) -> dict[str, Any]:
    return {
        "id": incident.id,
        "rule_id": incident.rule_id,
        "rule_name": incident.rule_name,
        "kind": incident.kind,
        "severity": incident.severity,
        "status": incident.status,
        "title": incident.title,
        "message": incident.message,
        "player_id": incident.player_id or None,
        "name": incident.name,
        "screen_id": incident.screen_id,
        "measured": orjson.loads(incident.measured),
        "began_at": rfc3339(incident.began_at),
        "opened_at": rfc3339_or_none(incident.opened_at),
        "acknowledged_at": rfc3339_or_none(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
        "acknowledged_note": incident.acknowledged_note,
        "resolved_at": rfc3339_or_none(incident.resolved_at),
        "resolved_by": incident.resolved_by,
        "resolved_note": incident.resolved_note,
        "reason": incident.reason,
        "mails": [
            {
                "address": mail.address,
                "about": mail.about,
                "state": mail.state,
                "attempts": mail.attempts,
                "sent_at": rfc3339_or_none(mail.sent_at),
                "next_at": rfc3339_or_none(mail.next_at) if mail.state == "pending" else None,
                "last_error": mail.last_error,
            }
            for mail in sent
        ],
    }
