"""Webhooks: registering receivers, and looking after what was sent to them. `deliveries` does the sending."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import webhooks as rules
from hub.domain import wording
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Invalid
from hub.domain.events import SUBSCRIBABLE, Event, Log, number_of
from hub.domain.hosts import Network
from hub.domain.quotas import Quotas
from hub.domain.times import SECOND, now_ms, rfc3339, rfc3339_or_none
from hub.services.recorded_change import change, check_version
from hub.services.waiting import Patience
from hub.store import deliveries, events
from hub.store import webhooks as store
from hub.store.database import Database
from hub.store.tables import Delivery, EventRow, Webhook


class Webhooks:
    """Use cases of the registry; all need the scope `webhooks`.

    Publishes ("events", team) when there is something to deliver, and hears ("delivery", id) after each attempt.
    """

    def __init__(
        self,
        db: Database,
        bus: Bus,
        *,
        allow_networks: Sequence[Network] = (),
        quotas: Quotas | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._db = db
        self._patience = patience or Patience()
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._allow_networks = allow_networks

    async def create(self, actor: Actor, url: str, names: Sequence[str], *, face: str) -> dict[str, Any]:
        """Register a receiver. The answer is the only one that ever holds the `secret`.

        Raises Invalid (address, event names), Conflict when the team has too many.
        """
        actor.require("webhooks")
        url = rules.checked_url(url, self._allow_networks)
        wanted = _checked_names(names)
        secret = rules.new_secret()
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = Webhook(
                team_id=actor.team_id,
                url=url,
                events=orjson.dumps(wanted).decode(),
                secret=secret,
                created_at=doing.now,
            )
            await doing.check(self._quotas, "webhooks")
            await store.create(doing.session, row)
            await doing.say("webhook.created", **_facts(row))
            await store.subscribe(doing.session, row)  # last: it does not hear of itself
        return _describe(row, doing.now) | {"secret": secret}

    async def list(self, actor: Actor) -> list[dict[str, Any]]:
        actor.require("webhooks")
        async with self._db.session() as session:
            return [_describe(row, now_ms()) for row in await store.listing(session, actor.team_id)]

    async def get(self, actor: Actor, webhook_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("webhooks")
        async with self._db.session() as session:
            return _describe(await store.get(session, actor.team_id, webhook_id), now_ms())

    async def update(
        self, actor: Actor, webhook_id: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `url`, `events`, `status`: paused, what happens waits for it; active, it is delivered, and a webhook
        that was disabled is given another chance. Raises NotFound, Invalid, PreconditionFailed."""
        actor.require("webhooks")
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = await store.get(doing.session, actor.team_id, webhook_id)
            check_version(row, version)
            if "url" in changes:
                row.url = rules.checked_url(changes["url"], self._allow_networks)
            if "events" in changes:
                row.events = orjson.dumps(_checked_names(changes["events"])).decode()
            if "status" in changes:
                row.paused_at = row.paused_at or doing.now if changes["status"] == "paused" else None
                row.failing_since = row.disabled_at = None
            await self._keep(doing.session, row)
            await doing.say("webhook.updated", **_facts(row), changed=sorted(changes))
            if "events" in changes:
                await store.subscribe(doing.session, row)
        return _describe(row, doing.now)

    async def delete(self, actor: Actor, webhook_id: int, *, face: str) -> None:
        """Remove a receiver with everything still on its way to it. Raises NotFound."""
        actor.require("webhooks")
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = await store.get(doing.session, actor.team_id, webhook_id)
            await store.remove(doing.session, row)
            await doing.say("webhook.deleted", **_facts(row))

    async def rotate(self, actor: Actor, webhook_id: int, *, overlap_s: int, face: str) -> dict[str, Any]:
        """A new secret, shown this once. For `overlap_s` seconds deliveries are signed with the old one too.

        Raises NotFound, Invalid.
        """
        actor.require("webhooks")
        if overlap_s * SECOND > rules.OVERLAP_MOST:
            raise Invalid.field("overlap_s", f"must be at most {rules.OVERLAP_MOST // SECOND}")
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = await store.get(doing.session, actor.team_id, webhook_id)
            row.old_secret, row.old_secret_until = row.secret, doing.now + overlap_s * SECOND
            row.secret = rules.new_secret()
            await self._keep(doing.session, row)
            await doing.say("webhook.rotated", **_facts(row), old_secret_until=rfc3339(row.old_secret_until))
        return _describe(row, doing.now) | {"secret": row.secret}

    async def retire_secret(self, actor: Actor, webhook_id: int, *, face: str) -> dict[str, Any]:
        """The old secret signs no more, from now on. Raises NotFound."""
        actor.require("webhooks")
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = await store.get(doing.session, actor.team_id, webhook_id)
            row.old_secret = row.old_secret_until = None
            await self._keep(doing.session, row)
            await doing.say("webhook.updated", **_facts(row), changed=["old_secret"])
        return _describe(row, doing.now)

    # What was sent ---------------------------------------------------------------------------------------------------

    async def ping(self, actor: Actor, webhook_id: int, *, wait_s: float = 0, face: str) -> dict[str, Any]:
        """Send the event `webhook.ping` to this receiver alone, whatever it listens to. Answers the delivery, after its
        first attempt where that ends within `wait_s`. Raises NotFound, Conflict (paused or disabled)."""
        actor.require("webhooks")
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = await self._working(doing.session, actor, webhook_id)
            event = Event("webhook.ping", actor.team_id, doing.now, _facts(row), actor=actor, face=face)
            delivery_id: int = await self._db.run(doing.session, deliveries.ping(webhook_id, event))
        return await self._attempted(actor, webhook_id, delivery_id, wait_s, doing.now)

    async def redeliver(
        self, actor: Actor, webhook_id: int, delivery_id: int, *, wait_s: float = 0, face: str
    ) -> dict[str, Any]:
        """Make one delivery again, under its old id. Answers and raises as `ping`."""
        actor.require("webhooks")
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = await self._working(doing.session, actor, webhook_id)
            await deliveries.get(doing.session, webhook_id, delivery_id)
            await self._db.run(doing.session, deliveries.again(delivery_id, doing.now))
            await doing.say("webhook.redelivered", **_facts(row), delivery_id=delivery_id)
        return await self._attempted(actor, webhook_id, delivery_id, wait_s, doing.now)

    async def replay(self, actor: Actor, webhook_id: int, *, since: int, everything: bool, face: str) -> dict[str, Any]:
        """Make the deliveries of all events since this time that did not arrive, also those that were never made
        because the webhook was disabled; with `everything` those that arrived too. It goes on by itself after this
        call; one that was under way is replaced. Raises NotFound, Conflict (disabled)."""
        actor.require("webhooks")
        async with change(self._db, self._bus, actor, face, shown=False) as doing:
            row = await store.get(doing.session, actor.team_id, webhook_id)
            if row.disabled_at is not None:
                raise _off(row)
            newest = await events.newest(doing.session)
            first = await deliveries.first_since(doing.session, since)
            row.replay_after, row.replay_upto = (newest if first is None else first - 1), newest
            row.replay_all = everything
            await self._keep(doing.session, row)
            await doing.say("webhook.redelivered", **_facts(row), since=rfc3339(since), all=everything)
        self._bus.publish(("replays", None))
        return _describe(row, doing.now)

    async def deliveries(
        self, actor: Actor, webhook_id: int, *, state: str | None, before: str | None, limit: int
    ) -> dict[str, Any]:
        """The delivery log, of the newest event first: {"data": [...], "meta": {"next"}}; `next` is `before` of the
        following page. Raises NotFound, Invalid (`before`)."""
        actor.require("webhooks")
        async with self._db.session() as session:
            await store.get(session, actor.team_id, webhook_id)
            log = await events.log(session)
            number = None if before is None else number_of(before, log.id, "before")
            found = await deliveries.log(session, webhook_id, state=state, before=number, limit=limit)
        told = [_delivery(row, event, log) for row, event in found]
        return {"data": told, "meta": {"next": told[-1]["cursor"] if len(told) == limit else None}}

    async def delivery(self, actor: Actor, webhook_id: int, delivery_id: int) -> dict[str, Any]:
        """One delivery with the `body` that was sent. Raises NotFound."""
        actor.require("webhooks")
        return (await self._delivery(actor, webhook_id, delivery_id))[1]

    # ------------------------------------------------------------------------------------------------------------------

    async def _keep(self, session: AsyncSession, row: Webhook) -> None:
        row.version += 1
        session.add(row)
        await session.flush()

    async def _working(self, session: AsyncSession, actor: Actor, webhook_id: int) -> Webhook:
        """The webhook, if anything is sent to it."""
        row = await store.get(session, actor.team_id, webhook_id)
        if row.disabled_at is not None or row.paused_at is not None:
            raise _off(row)
        return row

    async def _attempted(
        self, actor: Actor, webhook_id: int, delivery_id: int, wait_s: float, since: int
    ) -> dict[str, Any]:
        """The delivery, after the first attempt since then or when the time is over or the hub stops."""
        heard = asyncio.Event()
        stop = self._bus.subscribe(("delivery", delivery_id), lambda _: heard.set())
        clock = asyncio.get_running_loop().time
        deadline = clock() + wait_s
        try:
            while True:
                heard.clear()
                row, told = await self._delivery(actor, webhook_id, delivery_id)
                if row.last_at is not None and row.last_at >= since:
                    return told
                if not await self._patience.set_within(heard, deadline - clock()):
                    return told
        finally:
            stop()

    async def _delivery(self, actor: Actor, webhook_id: int, delivery_id: int) -> tuple[Delivery, dict[str, Any]]:
        async with self._db.session() as session:
            await store.get(session, actor.team_id, webhook_id)
            row, event = await deliveries.get(session, webhook_id, delivery_id)
            told = _delivery(row, event, await events.log(session))
        body = event and rules.envelope(row.name, event.at, events.as_data(event), told["cursor"]).decode()
        return row, told | {"body": body}


def _checked_names(names: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(names))
    unknown = sorted(set(wanted) - SUBSCRIBABLE)
    if not wanted:
        raise Invalid.field("events", 'must name at least one event, or "*" for all')
    if unknown:
        raise wording.unknown("events", "event", unknown)
    return wanted


def _off(row: Webhook) -> Conflict:
    state = "disabled" if row.disabled_at else "paused"
    return Conflict(f"This webhook is {state}. Set its status to active first.", code=f"webhook_{state}")


def _status(row: Webhook) -> str:
    if row.disabled_at:
        return "disabled"
    if row.paused_at:
        return "paused"
    return "failing" if row.failing_since else "active"


def _facts(row: Webhook) -> dict[str, Any]:
    """What an event tells of a webhook."""
    return {"webhook_id": row.id, "url": row.url, "events": orjson.loads(row.events), "status": _status(row)}


def _describe(row: Webhook, now: int) -> dict[str, Any]:
    overlaps = row.old_secret_until is not None and row.old_secret_until > now
    return {
        "id": row.id,
        "url": row.url,
        "events": orjson.loads(row.events),
        "status": _status(row),
        "created_at": rfc3339(row.created_at),
        "failing_since": rfc3339_or_none(row.failing_since),
        "disabled_at": rfc3339_or_none(row.disabled_at),
        "paused_at": rfc3339_or_none(row.paused_at),
        "old_secret_until": rfc3339_or_none(row.old_secret_until if overlaps else None),
        "replaying": row.replay_upto is not None,
        "version": row.version,
    }


def _delivery(row: Delivery, event: EventRow | None, log: Log) -> dict[str, Any]:
    attempt = {
        "at": rfc3339(row.last_at),
        "url": row.last_url,
        "duration_ms": row.last_ms,
        "status": row.last_status,
        "error": row.last_error,
        "answer": row.last_answer,
    } if row.last_at is not None else None  # fmt: skip
    return {
        "id": row.id,
        "message_id": log.message_id(row.id or 0),
        "event": row.name,
        "cursor": f"{log.id}-{row.event_id}",
        "timestamp": event and rfc3339(event.at),
        "state": row.state,
        "attempts": row.attempts,
        "next_attempt_at": rfc3339_or_none(row.next_at),
        "delivered_at": rfc3339_or_none(row.delivered_at),
        "last_attempt": attempt,
    }
