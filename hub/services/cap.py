"""Messages of the Common Alerting Protocol: which emergency alerts they raise, change and clear.

The same message is done once, however often it comes: its name is kept with the alert, in the alert's own transaction.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError

from hub.domain import cap
from hub.domain.access import Actor
from hub.domain.errors import Invalid, NotFound
from hub.domain.targets import KINDS, Targets
from hub.domain.times import now_ms
from hub.services.alerts import Alerts
from hub.store import alerts as store
from hub.store import locations
from hub.store.database import Database


class Cap:
    def __init__(self, db: Database, alerts: Alerts, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._alerts = alerts
        self._clock = clock

    async def receive(
        self, actor: Actor, text: bytes, *, everyone: bool, targets: Targets, language: str | None, face: str
    ) -> dict[str, Any]:
        """Do what a message asks for: {"result": raised, updated, cleared, known or ignored, "reason"?, "alert"?}.

        It is for `everyone` or the `targets` where given, else for the locations that lie in its area. Raises Invalid
        (not CAP, or nobody named), NotFound (a cancellation of what was never heard), Conflict (too many alerts).
        """
        actor.require("write:players")
        message = cap.read(text)
        if message.status != "Actual":
            return _ignored(f"Its status is {message.status}: it is not for the public.")
        if message.type in ("Ack", "Error"):
            return _ignored(f"A message of the type {message.type} is for its sender.")
        known = await self._known(actor, message.key)
        if known is not None:
            return {"result": "known", "alert": known}
        try:
            if message.type == "Cancel":
                return await self._cancel(actor, message, face)
            return await self._show(actor, message, everyone, targets, language, face)
        except (IntegrityError, sqlite3.IntegrityError):  # the same message came twice at once
            known = await self._known(actor, message.key)
            if known is None:
                raise
            return {"result": "known", "alert": known}

    async def _show(
        self, actor: Actor, message: cap.Message, everyone: bool, targets: Targets, language: str | None, face: str
    ) -> dict[str, Any]:
        info, now = message.info(language), self._clock()
        if info.ends_at is not None and info.ends_at <= now:
            return _ignored("It has expired.")
        if not everyone and not any(targets.values()):
            if not info.has_places:
                hint = "The message names no area by coordinates: say whom it is for by everyone, location_ids, ..."
                raise Invalid.field("everyone", hint)
            reached = cap.reached(info.areas, await self._places(actor))
            if not reached:
                return _ignored("None of the team's locations lies in its area.")
            targets = {"location": reached}
        fields: dict[str, Any] = {
            "title": info.title,
            "message": info.message,
            "severity": info.severity,
            "everyone": everyone,
            "targets": {kind: list(targets.get(kind, ())) for kind in KINDS},
            "ends_at": info.ends_at,
        }
        if message.type == "Update":
            standing = [one for one in await self._referred(actor, message) if one["status"] != "over"]
            for older in standing[1:]:
                await self._alerts.clear(actor, older["id"], face=face)
            if standing:
                changes = fields if everyone else {name: fields[name] for name in fields if name != "everyone"}
                alert = await self._alerts.update(
                    actor, standing[0]["id"], changes, version=None, face=face, source=message.key
                )
                return {"result": "updated", "alert": alert}
        starts_at = info.starts_at if info.starts_at is not None and info.starts_at > now else None
        alert = await self._alerts.create(actor, **fields, starts_at=starts_at, face=face, source=message.key)
        return {"result": "raised", "alert": alert}

    async def _cancel(self, actor: Actor, message: cap.Message, face: str) -> dict[str, Any]:
        referred = await self._referred(actor, message)
        if not referred:
            raise NotFound("Nothing is known of the messages that this one cancels.", code="unknown_reference")
        for older in referred[1:]:
            await self._alerts.clear(actor, older["id"], face=face)
        alert = await self._alerts.clear(actor, referred[0]["id"], face=face, source=message.key)
        return {"result": "cleared", "alert": alert}

    async def _known(self, actor: Actor, key: str) -> dict[str, Any] | None:
        async with self._db.session() as session:
            number = await store.by_source(session, actor.team_id, [key])
        return await self._alerts.get(actor, number[0]) if number else None

    async def _referred(self, actor: Actor, message: cap.Message) -> list[dict[str, Any]]:
        async with self._db.session() as session:
            numbers = await store.by_source(session, actor.team_id, message.references)
        return [await self._alerts.get(actor, number) for number in numbers]

    async def _places(self, actor: Actor) -> list[tuple[int, cap.Point]]:
        async with self._db.session() as session:
            return await locations.points(session, actor.team_id)


def _ignored(reason: str) -> dict[str, Any]:
    return {"result": "ignored", "reason": reason}
