"""Emergency alerts: who writes them, when they begin and end, which players show them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import alerts as rules
from hub.domain.access import Actor
from hub.domain.alerts import Doing, Raised
from hub.domain.errors import Conflict, Invalid, PreconditionFailed
from hub.domain.events import Event
from hub.domain.quotas import Quotas
from hub.domain.targets import KINDS, Targets, after_changes
from hub.domain.times import now_ms, rfc3339, rfc3339_or_none
from hub.services.apart import Apart
from hub.services.targets import aim
from hub.store import alerts as store
from hub.store import cap, events
from hub.store import quotas as team_quotas
from hub.store.database import Database
from hub.store.tables import Alert
from hub.store.targets import OF_ALERTS
from hub.store.teams import touch_content

SHOWN_LIMIT = (
    20  # alerts a player is told of at once, the gravest: more fit neither a screen nor the frame of a welcome
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The live alerts of a team, sorted out for its players."""

    everyone: list[Raised]
    aimed: Mapping[int, list[Raised]]

    def for_player(self, player_id: int) -> list[Raised]:
        """What this player shows, the gravest first."""
        return sorted([*self.everyone, *self.aimed.get(player_id, ())], key=rules.order)[:SHOWN_LIMIT]


class Alerts:
    """Publishes ("alerts", team) with the team's id when what its players show has changed, here or on another node."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        *,
        clock: Callable[[], int] = now_ms,
        steady: Callable[[int], bool] = lambda now: True,
        quotas: Quotas | None = None,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._clock = clock
        self._steady = steady
        self._apart = Apart("an alert that is due of")
        self._standing: dict[int, set[tuple[int, int]]] | None = None  # by team: (alert, version) of all live ones

    # For people ------------------------------------------------------------------------------------------------------

    async def listing(
        self, actor: Actor, *, state: str | None = None, page: int = 1, per_page: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """(alerts, newest first; how many there are in all). Without `per_page` all of them."""
        actor.require("read:players")
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found, total = await store.find(session, actor.team_id, state, offset=offset, limit=per_page)
            aims = await OF_ALERTS.read(session, [alert.id or 0 for alert in found])
        return [_describe(alert, aims[alert.id or 0]) for alert in found], total

    async def get(self, actor: Actor, alert_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:players")
        async with self._db.session() as session:
            alert = await store.get(session, actor.team_id, alert_id)
            return _describe(alert, (await OF_ALERTS.read(session, [alert_id]))[alert_id])

    async def views(self, team_id: int, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """As `get` has them, for those who do something about them, in this order. Raises NotFound."""
        async with self._db.session() as session:
            found = [await store.get(session, team_id, number) for number in numbers]
            aims = await OF_ALERTS.read(session, list(numbers))
        return [_describe(alert, aims[alert.id or 0]) for alert in found]

    async def create(
        self,
        actor: Actor,
        *,
        title: str,
        message: str,
        severity: str,
        everyone: bool,
        targets: Targets,
        starts_at: int | None = None,
        ends_at: int | None = None,
        face: str,
        source: Doing | None = None,
    ) -> dict[str, Any]:
        """An alert that begins at `starts_at`, without it at once. `source` is the part of a message that asks for
        it, here and below: each is done once, and IntegrityError says that it was done before, Replaced that the
        message is settled; the messages that it replaces are settled with the first part of it.

        Raises Invalid, Conflict (too many).
        """
        actor.require("write:players")
        now = self._clock()
        alert = Alert(
            team_id=actor.team_id,
            title=title,
            message=message,
            severity=severity,
            everyone=everyone,
            starts_at=now if starts_at is None else starts_at,
            ends_at=ends_at,
            created_at=now,
        )
        _check_aim(alert, targets)
        _check_end(alert, now)
        async with self._db.transaction() as session:
            await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "alerts", now))
            session.add(alert)
            await session.flush()
            await self._remember(session, alert, source, now)
            await aim(session, OF_ALERTS, alert.id or 0, actor.team_id, targets, given=targets)
            await self._say(session, "alert.created", alert, targets, now, actor, face)
            await self._settle(session, alert, targets, now, actor, face)
        return await self._after(actor, alert.id or 0)

    async def update(
        self,
        actor: Actor,
        alert_id: int,
        changes: dict[str, Any],
        *,
        version: int | None,
        face: str,
        source: Doing | None = None,
    ) -> dict[str, Any]:
        """Change `title`, `message`, `severity`, `starts_at`, `ends_at`, `everyone`, `targets` (by kind; kinds that are
        absent stay). Players that show the alert show the new one.

        Raises NotFound, Invalid, PreconditionFailed, Conflict (it has begun, or is over).
        """
        actor.require("write:players")
        now = self._clock()
        async with self._db.transaction() as session:
            alert = await store.get(session, actor.team_id, alert_id)
            if version is not None and version != alert.version:
                raise PreconditionFailed
            if alert.cleared_at is not None:
                raise Conflict("This alert is over.", code="alert_over")
            if "starts_at" in changes and alert.triggered_at is not None:
                raise Conflict("This alert has begun; only its end can still be moved.", code="alert_begun")
            given: Targets = changes.get("targets", {})
            aimed = after_changes((await OF_ALERTS.read(session, [alert_id]))[alert_id], changes)
            if given:
                alert.everyone = False
            for name in ("title", "message", "severity", "starts_at", "ends_at", "everyone"):
                setattr(alert, name, changes.get(name, getattr(alert, name)))
            if "targets" in changes or "everyone" in changes:
                _check_aim(alert, aimed)
            _check_end(alert, now if "ends_at" in changes else None)
            alert.version += 1
            session.add(alert)
            await session.flush()
            await self._remember(session, alert, source, now)
            await aim(session, OF_ALERTS, alert_id, actor.team_id, aimed, given=given)
            await self._say(session, "alert.updated", alert, aimed, now, actor, face, changed=sorted(changes))
            await touch_content(session, actor.team_id)
            await self._settle(session, alert, aimed, now, actor, face)
        return await self._after(actor, alert_id)

    async def clear(self, actor: Actor, alert_id: int, *, face: str, source: Doing | None = None) -> dict[str, Any]:
        """The alert is over; one that was over already stays as it is. Raises NotFound."""
        actor.require("write:players")
        now = self._clock()
        async with self._db.transaction() as session:
            alert = await store.get(session, actor.team_id, alert_id)
            await self._remember(session, alert, source, now)
            if alert.cleared_at is None:
                alert.cleared_at = now
                alert.version += 1
                session.add(alert)
                await session.flush()
                aimed = (await OF_ALERTS.read(session, [alert_id]))[alert_id]
                await self._say(session, "alert.cleared", alert, aimed, now, actor, face, reason="cleared")
                await touch_content(session, actor.team_id)
        return await self._after(actor, alert_id)

    async def delete(self, actor: Actor, alert_id: int, *, face: str) -> None:
        """The alert is gone, from the screens too. Raises NotFound."""
        actor.require("write:players")
        now = self._clock()
        async with self._db.transaction() as session:
            alert = await store.get(session, actor.team_id, alert_id)
            aimed = (await OF_ALERTS.read(session, [alert_id]))[alert_id]
            if alert.triggered_at is not None and alert.cleared_at is None:
                await self._say(session, "alert.cleared", alert, aimed, now, actor, face, reason="deleted")
                await touch_content(session, actor.team_id)
            await self._say(session, "alert.deleted", alert, aimed, now, actor, face)
            await session.delete(alert)
        await self._told(actor.team_id)

    # For players -----------------------------------------------------------------------------------------------------

    async def live_for_player(self, team_id: int, player_id: int) -> list[Raised]:
        """What this player shows now, the gravest first. Asks the database only when the team has live alerts."""
        if self._standing is None:
            await self.look()
        assert self._standing is not None
        if team_id not in self._standing:
            return []
        return (await self._read(team_id, player_id)).for_player(player_id)

    async def teams_with_live_ones(self) -> list[int]:
        if self._standing is None:
            await self.look()
        return sorted(self._standing or ())

    async def live_for_team(self, team_id: int) -> Standing:
        """What all players of the team show now."""
        return await self._read(team_id)

    async def _read(self, team_id: int, player_id: int | None = None) -> Standing:
        async with self._db.session() as session:
            live = await store.live(session, team_id, self._clock())
            raised = {alert.id or 0: _raised(alert) for alert in live}
            reached = await store.reached(session, [a.id or 0 for a in live if not a.everyone], player_id)
        aimed: dict[int, list[Raised]] = {}
        for alert_id, number in reached:
            aimed.setdefault(number, []).append(raised[alert_id])
        return Standing([raised[alert.id or 0] for alert in live if alert.everyone], aimed)

    # For the supervised loops ----------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Begin and end what is due, where the clock is steady, then look at what stands."""
        now = self._clock()
        due: list[Alert] = []
        if self._steady(now):
            async with self._db.session() as session:
                due = await store.due(session, now)
        for found in due:
            with self._apart.team(found.team_id, found.id):
                async with self._db.transaction() as session:
                    aimed = (await OF_ALERTS.read(session, [found.id or 0]))[found.id or 0]
                    settled = await self._settle(session, found, aimed, now, None, None)
                if settled:
                    self._bus.publish(("events", found.team_id))
                    self._bus.publish(("content", found.team_id))
        await self.look()

    async def look(self) -> None:
        """Tell the connections of each team whose live alerts have changed since the last look, by whomever."""
        async with self._db.session() as session:
            rows = await store.standing(session)
        standing: dict[int, set[tuple[int, int]]] = {}
        for team_id, alert_id, version in rows:
            standing.setdefault(team_id, set()).add((alert_id, version))
        before, self._standing = self._standing or {}, standing
        for team_id in before.keys() | standing.keys():
            if before.get(team_id) != standing.get(team_id):
                self._bus.publish(("alerts", team_id), team_id)

    # ------------------------------------------------------------------------------------------------------------------

    async def _remember(self, session: AsyncSession, alert: Alert, source: Doing | None, now: int) -> None:
        if source is not None:
            await store.remember(session, alert, source.part)
            await self._db.run(session, cap.replace(alert.team_id, source.replaces, source.part.source, now))

    async def _settle(
        self, session: AsyncSession, alert: Alert, targets: Targets, now: int, actor: Actor | None, face: str | None
    ) -> bool:
        """Do what the alert's times ask for now. Answers whether anything changed."""
        if await self._db.run(session, store.trigger(alert.id or 0, now)):
            await self._say(session, "alert.triggered", alert, targets, now, actor, face)
        elif await self._db.run(session, store.end(alert.id or 0, now)):
            reason = "missed" if alert.triggered_at is None else "ended"
            await self._say(session, "alert.cleared", alert, targets, now, actor, face, reason=reason)
        else:
            return False
        await touch_content(session, alert.team_id)
        return True

    async def _say(
        self,
        session: AsyncSession,
        kind: str,
        alert: Alert,
        targets: Targets,
        now: int,
        actor: Actor | None,
        face: str | None,
        **more: Any,
    ) -> None:
        data = {
            "alert_id": alert.id,
            "title": alert.title,
            "message": alert.message,
            "severity": alert.severity,
            "starts_at": rfc3339(alert.starts_at),
            "ends_at": rfc3339_or_none(alert.ends_at),
            **_whom(alert, targets),
            **more,
        }
        await self._db.run(session, events.append(Event(kind, alert.team_id, now, data, actor=actor, face=face)))

    async def _after(self, actor: Actor, alert_id: int) -> dict[str, Any]:
        await self._told(actor.team_id)
        async with self._db.session() as session:
            alert = await store.get(session, actor.team_id, alert_id)
            return _describe(alert, (await OF_ALERTS.read(session, [alert_id]))[alert_id])

    async def _told(self, team_id: int) -> None:
        self._bus.publish(("events", team_id))
        self._bus.publish(("content", team_id))
        await self.look()


def _check_aim(alert: Alert, targets: Targets) -> None:
    named = any(targets.values())
    if alert.everyone and named:
        raise Invalid.field("everyone", "must not come with player_ids, group_ids or location_ids")
    if not alert.everyone and not named:
        raise Invalid.field("everyone", "must be true where there are no player_ids, group_ids or location_ids")


def _check_end(alert: Alert, now: int | None) -> None:
    """`now`: an end before it is refused; None where the end is not being set."""
    if alert.ends_at is not None:
        if alert.ends_at <= alert.starts_at:
            raise Invalid.field("ends_at", "must be after starts_at")
        if now is not None and alert.ends_at <= now:
            raise Invalid.field("ends_at", "must be a time in the future. To end the alert now, clear it")


def _raised(alert: Alert) -> Raised:
    return Raised(
        alert.id or 0, alert.title, alert.message, alert.severity, alert.triggered_at or alert.starts_at, alert.ends_at
    )


def _whom(alert: Alert, targets: Targets) -> dict[str, Any]:
    return {"everyone": alert.everyone} | {f"{kind}_ids": list(targets.get(kind, ())) for kind in KINDS}


def _describe(alert: Alert, targets: Targets) -> dict[str, Any]:
    return {
        "id": alert.id,
        "title": alert.title,
        "message": alert.message,
        "severity": alert.severity,
        **_whom(alert, targets),
        "status": rules.state(alert.triggered_at, alert.cleared_at),
        "starts_at": rfc3339(alert.starts_at),
        "ends_at": rfc3339_or_none(alert.ends_at),
        "triggered_at": rfc3339_or_none(alert.triggered_at),
        "cleared_at": rfc3339_or_none(alert.cleared_at),
        "created_at": rfc3339(alert.created_at),
        "version": alert.version,
    }
