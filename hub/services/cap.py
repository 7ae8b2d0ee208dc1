"""Messages of the Common Alerting Protocol: which emergency alerts they raise, change and clear.

A message may ask for several alerts, each in a transaction of its own. The same message is done once, however often it
comes: each alert keeps, in its own transaction, which part of which message it shows, and when all parts are done the
message is settled. A message that was cut off half-way goes on where it was when it comes again.

An Update settles those that it is about with the first of its parts that is done, so that one that is refused leaves
them as they are; what only clears, as a Cancel does, settles them before anything else. What it refers to need not have
come yet: messages overtake each other on their way, and the late one is known when it comes. Each alert looks in its
own transaction whether its message is settled: what is replaced raises nothing more, should it still be worked on (by
another process) or come again. In one process the messages of a team are worked on one after another.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from hub.domain import cap
from hub.domain.access import Actor
from hub.domain.alerts import SEVERITIES, Doing, Replaced, SourcePart
from hub.domain.errors import Invalid, NotFound
from hub.domain.geo import Point
from hub.domain.targets import KINDS, Targets
from hub.domain.times import now_ms
from hub.services.alerts import Alerts
from hub.services.team_locks import TeamLocks
from hub.services.threads import in_thread
from hub.store import alerts as alert_store
from hub.store import cap as store
from hub.store import locations
from hub.store.database import Database

AlertView = dict[str, Any]

NOT_PLACED = "Of its parts, those that name no area by coordinates are not shown."
UNREAD = "Of its areas, those that cannot be read are passed over."


class Cap:
    def __init__(self, db: Database, alerts: Alerts, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._alerts = alerts
        self._clock = clock
        self._working = TeamLocks()

    async def receive(
        self, actor: Actor, text: bytes, *, everyone: bool, targets: Targets, language: str | None, face: str
    ) -> dict[str, Any]:
        """Do what a message asks for: {"result": raised, updated, cleared, known or ignored, "reason"?, "alert"?,
        "alerts"}.

        It is for `everyone` or the `targets` where given, else for the locations that lie in its area. Raises Invalid
        (not CAP, or nobody named), NotFound (a cancellation of what was never heard), Conflict (too many alerts).
        """
        actor.require("write:players")
        message = await in_thread(cap.read, text)
        if message.status != "Actual":
            return _ignored(f"Its status is {message.status}: it is not for the public.")
        if message.scope != "Public":
            return _ignored(f"Its scope is {message.scope}: it is not for the public.")
        if message.type in ("Ack", "Error"):
            return _ignored(f"A message of the type {message.type} is for its sender.")
        async with self._working.of(actor.team_id):
            message = await self._as_stored(actor, message)
            try:
                return await self._do(actor, message, everyone, targets, language, face)
            except Replaced:
                cleared = await self._overtaken(actor, message, face) if message.type == "Update" else []
                if cleared:
                    return {"result": "cleared", "alert": cleared[0], "alerts": cleared}
                return await self._known(actor, message)

    async def _do(
        self, actor: Actor, message: cap.Message, everyone: bool, targets: Targets, language: str | None, face: str
    ) -> dict[str, Any]:
        """Raises Replaced (another message has taken its place meanwhile), and what `receive` does."""
        async with self._db.session() as session:
            if await store.is_settled(session, actor.team_id, message.key):
                raise Replaced
        warnings: list[cap.Warned] = []
        reason = None
        if message.type != "Cancel":
            warnings, reason = await self._warnings(actor, message, everyone, targets, language)
        whom = {"everyone": everyone, "targets": targets} if everyone or any(targets.values()) else {}
        answer = await self._replace(actor, message, warnings, whom, face)
        if reason is not None:
            answer["reason"] = reason
        return answer

    async def _as_stored(self, actor: Actor, message: cap.Message) -> cap.Message:
        """The message with its key and its references as they are written in what is stored of them."""
        async with self._db.session() as session:
            written = await store.spellings(session, actor.team_id, [message.key, *message.references])
        itself = cap.name_of(message.key)
        key = next(iter(written.get(itself, ())), message.key)
        now = self._clock()
        references = []
        for one in message.references:
            name = cap.name_of(one)
            if name != itself and (name in written or cap.may_come(name, now)):
                references += [one, *written.get(name, ())]
        return replace(message, key=key, references=tuple(dict.fromkeys(references)))

    async def _parts(self, actor: Actor, message: cap.Message, *, settle: bool) -> dict[SourcePart, int]:
        """By part of this message, and of those that it replaces: its alert. `settle`: nothing is to be done for those
        from here on."""
        if not message.replaces:
            async with self._db.session() as session:
                return await alert_store.by_source(session, actor.team_id, [message.key])
        replaced = message.references
        async with self._db.transaction() as session:
            if await store.is_settled(session, actor.team_id, message.key):
                raise Replaced
            if settle:
                await self._db.run(session, store.replace(actor.team_id, replaced, message.key, self._clock()))
            else:
                await self._db.run(session, store.follow(actor.team_id, replaced, message.key))
            parts = await alert_store.by_source(session, actor.team_id, [message.key, *replaced])
        if message.type == "Cancel" and all(part.source == message.key for part in parts):
            raise NotFound("Nothing is known of the messages that this one cancels.", code="unknown_reference")
        return parts

    async def _warnings(
        self, actor: Actor, message: cap.Message, everyone: bool, targets: Targets, language: str | None
    ) -> tuple[list[cap.Warned], str | None]:
        """(what is to be shown, why the rest is not). Raises Invalid where the message does not say for whom it is."""
        now = self._clock()
        current = message.current(now)
        if not current:
            return [], "It has expired."
        warning = [info for info in current if not info.is_over]
        if not warning:
            return [], "It says that the danger is over."
        if everyone or any(targets.values()):
            warnings = message.warnings(language, now)
            return warnings, None if warnings else "In this language it says that the danger is over."
        unplaced = [info for info in warning if not info.has_places]
        warnings = await in_thread(message.warnings_at, await self._places(actor), language, now)
        unread = [error for info in warning for error in info.unread]
        passed_over = [UNREAD] if unread else []
        if warnings:
            return warnings, " ".join([NOT_PLACED] * bool(unplaced) + passed_over) or None
        if any(info.unread for info in unplaced):
            raise unread[0]
        if unplaced:
            hint = "is required, or location_ids, ..., since the message names no area by coordinates"
            raise Invalid.field("everyone", hint)
        return [], " ".join(["It warns of nothing at any of the team's locations.", *passed_over])

    async def _replace(
        self,
        actor: Actor,
        message: cap.Message,
        warnings: Sequence[cap.Warned],
        whom: dict[str, Any],
        face: str,
    ) -> dict[str, Any]:
        """The warnings take the place of the alerts that the message refers to, where it replaces any: those stay for
        which there is a warning, with its words; the others are cleared."""
        now = self._clock()
        says = {SourcePart(message.key, warned.part) for warned in warnings}
        parts = await self._parts(actor, message, settle=not warnings)
        done = {part for part in parts if part.source == message.key}
        referred = await self._referred(actor, message, says, parts)
        pending = [warned for warned in warnings if SourcePart(message.key, warned.part) not in done]
        pending.sort(key=lambda warned: SEVERITIES.index(warned.severity))  # should there be room for some only
        standing = [alert for alert in referred if alert["status"] != "over"]
        updated, raised = [], []
        replaced = message.references if message.replaces else ()
        for warned in pending:
            alert = _alert_for(warned, standing, now)
            doing = Doing(SourcePart(message.key, warned.part), replaced)
            try:
                if alert is None:
                    raised.append(await self._raise(actor, warned, whom, doing, now, face))
                else:
                    updated.append(await self._update(actor, alert, warned, whom, doing, now, face))
                    standing.remove(alert)
            except (IntegrityError, sqlite3.IntegrityError):
                if not await self._is_done(actor, doing.part):  # else the same message came twice at once
                    raise
            if replaced:  # they are settled now: what was raised of them meanwhile is the last
                replaced = ()
                parts = await self._parts(actor, message, settle=True)
                referred = await self._referred(actor, message, says, parts)
                standing = [alert for alert in referred if alert["status"] != "over"]
        if warnings and not pending:  # all was done before it was cut off
            await self._parts(actor, message, settle=True)
        over = standing or (referred if message.type == "Cancel" else [])
        cleared = [await self._clear(actor, alert, message, face) for alert in over]
        changed = [*raised, *updated, *cleared]
        if not (changed or done or pending or message.type == "Cancel"):
            return _ignored(None)
        await self._db.write(store.settle, actor.team_id, message.key, now)
        if not changed:
            return await self._known(actor, message)
        result = "raised" if raised else "updated" if updated else "cleared"
        return {"result": result, "alert": changed[0], "alerts": changed}

    async def _referred(
        self, actor: Actor, message: cap.Message, says: set[SourcePart], parts: dict[SourcePart, int]
    ) -> list[AlertView]:
        """The alerts of what it replaces, without those that show a part of it already."""
        shown = {number for part, number in parts.items() if part in says}
        numbers = dict.fromkeys(n for part, n in parts.items() if part.source != message.key and n not in shown)
        return await self._alerts.views(actor.team_id, list(numbers))

    async def _raise(
        self, actor: Actor, warned: cap.Warned, whom: dict[str, Any], doing: Doing, now: int, face: str
    ) -> AlertView:
        return await self._alerts.create(
            actor,
            title=warned.title,
            message=warned.message,
            severity=warned.severity,
            starts_at=warned.starts_at if warned.starts_at > now else None,
            ends_at=warned.ends_at,
            face=face,
            source=doing,
            **_aim(warned, whom),
        )

    async def _update(
        self,
        actor: Actor,
        alert: AlertView,
        warned: cap.Warned,
        whom: dict[str, Any],
        doing: Doing,
        now: int,
        face: str,
    ) -> AlertView:
        changes = {
            "title": warned.title,
            "message": warned.message,
            "severity": warned.severity,
            "ends_at": warned.ends_at,
            **_aim(warned, whom),
        }
        if alert["status"] == "scheduled":
            changes["starts_at"] = max(warned.starts_at, now)
        if not changes["everyone"]:
            del changes["everyone"]
        return await self._alerts.update(actor, alert["id"], changes, version=None, face=face, source=doing)

    async def _clear(self, actor: Actor, alert: AlertView, message: cap.Message, face: str) -> AlertView:
        doing = Doing(SourcePart(message.key, f"cleared {alert['id']}"))
        try:
            return await self._alerts.clear(actor, alert["id"], face=face, source=doing)
        except (IntegrityError, sqlite3.IntegrityError):  # by the same message before, or at once
            return await self._alerts.clear(actor, alert["id"], face=face)

    async def _overtaken(self, actor: Actor, message: cap.Message, face: str) -> list[AlertView]:
        """An Update that was cancelled or replaced before it came shows nothing, and yet what it refers to is over:
        the alerts of that are cleared, except those that a later message has made its own."""
        async with self._db.session() as session:
            if await alert_store.by_source(session, actor.team_id, [message.key]):
                return []  # it was worked on: whatever took its place has seen to its alerts
            numbers = set((await alert_store.by_source(session, actor.team_id, message.references)).values())
            held = await alert_store.sources_of(session, actor.team_id, numbers)
        over = [number for number in sorted(numbers) if not any(cap.is_later(one, message.key) for one in held[number])]
        standing = [one for one in await self._alerts.views(actor.team_id, over) if one["status"] != "over"]
        cleared = [await self._alerts.clear(actor, alert["id"], face=face) for alert in standing]
        async with self._db.transaction() as session:
            await self._db.run(session, store.settle_all(actor.team_id, message.references, self._clock()))
        return cleared

    async def _known(self, actor: Actor, message: cap.Message) -> dict[str, Any]:
        async with self._db.session() as session:
            numbers = (await alert_store.by_source(session, actor.team_id, [message.key])).values()
        alerts = await self._alerts.views(actor.team_id, list(dict.fromkeys(numbers)))
        if not alerts:
            return {"result": "known", "reason": "Another message has taken its place.", "alerts": []}
        return {"result": "known", "alert": alerts[0], "alerts": alerts}

    async def _is_done(self, actor: Actor, part: SourcePart) -> bool:
        async with self._db.session() as session:
            return part in await alert_store.by_source(session, actor.team_id, [part.source])

    async def _places(self, actor: Actor) -> list[tuple[int, Point]]:
        async with self._db.session() as session:
            return await locations.points(session, actor.team_id)


def _alert_for(warned: cap.Warned, standing: Sequence[AlertView], now: int) -> AlertView | None:
    """The alert that shows this warning from now on: one for the same places if there is one. One that is on the
    screens is none for a warning that is yet to begin."""
    candidates = [alert for alert in standing if alert["status"] == "scheduled" or warned.starts_at <= now]
    return max(candidates, key=lambda alert: len(set(alert["location_ids"]) & set(warned.places)), default=None)


def _aim(warned: cap.Warned, whom: dict[str, Any]) -> dict[str, Any]:
    """Whom the caller names, else the places in the warning's area."""
    targets: Targets = whom["targets"] if whom else {"location": warned.places}
    return {
        "everyone": bool(whom and whom["everyone"]),
        "targets": {kind: list(targets.get(kind, ())) for kind in KINDS},
    }


def _ignored(reason: str | None) -> dict[str, Any]:
    return {"result": "ignored", "reason": reason, "alerts": []}
