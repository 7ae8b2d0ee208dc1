"""Webhooks: registering receivers, and delivering to them what the event log says.

Delivery is at least once. The rows that the log made are the queue, so nothing is lost by a crash and any node may do
the work. Each webhook has a few places of its own, one while it fails: who is slow or gone waits for nobody else.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson
import prometheus_client

from hub.bus.base import Bus
from hub.domain import webhooks as rules
from hub.domain.access import Actor
from hub.domain.errors import Conflict, HubError, Invalid
from hub.domain.events import SUBSCRIBABLE, Event
from hub.domain.times import DAY, SECOND, now_ms, rfc3339, rfc3339_or_none
from hub.domain.webhooks import Network
from hub.services.outbound import Outbound, Unreached
from hub.store import events
from hub.store import webhooks as store
from hub.store.database import Database
from hub.store.tables import Webhook
from hub.store.webhooks import Attempt, Claimed

log = logging.getLogger(__name__)

WEBHOOKS_LIMIT = 100  # a team; each is asked for at every event
AT_ONCE = 64  # deliveries under way; past it they wait in the database
AT_ONCE_EACH = 4  # of one webhook, 1 while it fails
POLL_S = 1.0  # between looks at the queue when nobody calls: a lost call costs this
LEASE_MARGIN_S = 30.0  # after the longest attempt, until a delivery that its process did not settle is due again
PRUNE_ROWS = 1_000  # of each webhook in one transaction


class Webhooks:
    """Use cases of the registry; all need the scope `webhooks`."""

    def __init__(self, db: Database, bus: Bus, *, allow_networks: Sequence[Network] = ()) -> None:
        self._db = db
        self._bus = bus
        self._allow_networks = allow_networks

    async def create(self, actor: Actor, url: str, names: Sequence[str], *, face: str) -> dict[str, Any]:
        """Register a receiver. The answer is the only one that ever holds the `secret`.

        Raises Invalid (address, event names), Conflict when the team has too many.
        """
        actor.require("webhooks")
        url = rules.checked_url(url, self._allow_networks)
        wanted = _checked_names(names)
        secret, now = rules.new_secret(), now_ms()
        row = Webhook(
            team_id=actor.team_id, url=url, events=orjson.dumps(wanted).decode(), secret=secret, created_at=now
        )
        async with self._db.transaction() as session:
            if await store.count(session, actor.team_id) >= WEBHOOKS_LIMIT:
                raise Conflict(f"A team has at most {WEBHOOKS_LIMIT} webhooks.", code="too_many_webhooks")
            await store.create(session, row)
            await self._db.run(session, events.append(_event("webhook.created", row, actor, face, now)))
            await store.subscribe(session, row)  # last: it does not hear of itself
        self._bus.publish(("events", actor.team_id))
        return _describe(row) | {"secret": secret}

    async def list(self, actor: Actor) -> list[dict[str, Any]]:
        actor.require("webhooks")
        async with self._db.session() as session:
            return [_describe(row) for row in await store.listing(session, actor.team_id)]

    async def delete(self, actor: Actor, webhook_id: int, *, face: str) -> None:
        """Remove a receiver with everything still on its way to it. Raises NotFound."""
        actor.require("webhooks")
        async with self._db.transaction() as session:
            row = await store.get(session, actor.team_id, webhook_id)
            event = _event("webhook.deleted", row, actor, face, now_ms())
            await store.remove(session, row)
            await self._db.run(session, events.append(event))
        self._bus.publish(("events", actor.team_id))


class DeliverySettings(Protocol):
    """The part of the hub's settings that delivery needs."""

    @property
    def retry_s(self) -> Sequence[float]: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def allow_networks(self) -> Sequence[Network]: ...
    @property
    def disable_after_days(self) -> int: ...
    @property
    def retention_days(self) -> int: ...


class DeliveryMetrics(Protocol):
    webhook_deliveries: prometheus_client.Counter


class Deliverer:
    """Makes the deliveries that are due, until stopped. It hears of new events from the bus, and looks by itself now
    and then. `outbound` is how it reaches receivers; by default as the settings say."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        settings: DeliverySettings,
        metrics: DeliveryMetrics | None = None,
        *,
        outbound: Outbound | None = None,
        clock: Callable[[], int] = now_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._db = db
        self._bus = bus
        self._settings = settings
        self._metrics = metrics
        self._outbound = outbound or Outbound(settings.allow_networks, settings.timeout_s)
        self._clock = clock
        self._chance = chance
        self._wake = asyncio.Event()
        self._busy: Counter[int] = Counter()
        self._under_way: dict[asyncio.Task[None], Claimed] = {}
        self._loop: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._log_id = ""

    async def start(self) -> None:
        async with self._db.session() as session:
            self._log_id = await events.log_id(session)
        self._unsubscribe = self._bus.subscribe(("events", None), self._nudge)
        self._loop = asyncio.create_task(self._run(), name="webhook deliveries")

    async def stop(self) -> None:
        """Attempts under way are broken off and given back: they are made again after the next start."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        under_way = dict(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._give_back(list(under_way.values()))
        await self._outbound.close()

    async def prune(self) -> bool:
        """Forget deliveries whose time is over; answers whether there may be more."""
        before = self._clock() - self._settings.retention_days * DAY
        gone: int = await self._db.write(store.prune, before, PRUNE_ROWS)
        return gone >= PRUNE_ROWS

    def _nudge(self, _message: Any = None) -> None:
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            pause_s = POLL_S
            try:
                pause_s = await self._turn()
            except Exception as error:
                log.warning("webhook deliveries wait: %s", error, exc_info=not isinstance(error, HubError))
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _turn(self) -> float:
        """Begin what is due and has a place. Answers the seconds until the next look."""
        now = self._clock()
        pause_s = POLL_S
        rooms: list[tuple[int, int]] = []
        places = AT_ONCE - len(self._under_way)
        due: list[store.Due] = await self._db.write(store.due)
        for webhook in sorted(due, key=lambda webhook: (self._busy[webhook.webhook_id], webhook.next_at)):
            if webhook.next_at > now:
                pause_s = min(pause_s, (webhook.next_at - now) / SECOND)
                continue
            room = min(places, (1 if webhook.failing else AT_ONCE_EACH) - self._busy[webhook.webhook_id])
            if room > 0:
                rooms.append((webhook.webhook_id, room))
                places -= room
        if rooms:
            until = now + int((self._settings.timeout_s + LEASE_MARGIN_S) * SECOND)
            for claimed in await self._claim(rooms, now, until):
                self._busy[claimed.webhook_id] += 1
                task = asyncio.create_task(self._deliver(claimed), name=f"delivery {claimed.id}")
                self._under_way[task] = claimed
                task.add_done_callback(self._ended)
        return pause_s

    async def _claim(self, rooms: list[tuple[int, int]], now: int, until: int) -> list[Claimed]:
        claiming = self._db.submit(store.claim, rooms, now, until)
        try:
            return list(await asyncio.shield(claiming))
        except asyncio.CancelledError:
            await self._give_back(await claiming)
            raise

    async def _give_back(self, claimed: Sequence[Claimed]) -> None:
        if claimed:
            try:
                await self._db.write(store.release, claimed, self._clock())
            except HubError as error:
                log.warning("%d deliveries wait for the end of their lease: %s", len(claimed), error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        claimed = self._under_way.pop(task)
        self._busy[claimed.webhook_id] -= 1
        if not self._busy[claimed.webhook_id]:
            del self._busy[claimed.webhook_id]
        self._wake.set()

    async def _deliver(self, claimed: Claimed) -> None:
        attempt = await self._attempt(claimed)
        if self._metrics is not None:
            self._metrics.webhook_deliveries.labels(attempt.state).inc()
        try:
            disabled = await self._db.write(
                store.settle,
                claimed,
                attempt,
                self._clock(),
                self._settings.disable_after_days * DAY,
                key=("webhook", claimed.webhook_id),
            )
        except HubError as error:
            log.warning("delivery %d will be repeated, its result could not be stored: %s", claimed.id, error)
            return
        if disabled:
            log.warning("webhook %d is disabled: %s", claimed.webhook_id, attempt.error)
            self._bus.publish(("events", claimed.team_id))

    async def _attempt(self, claimed: Claimed) -> Attempt:
        status = retry_after = answer = None
        error: str | None = None
        if claimed.data is None:
            return Attempt("failed", None, None, "The event is no longer in the log.", None, False)
        try:
            body = rules.envelope(claimed.name, claimed.at, orjson.loads(claimed.data))
            headers = rules.headers(
                secret=claimed.secret,
                name=claimed.name,
                delivery_id=claimed.id,
                cursor=f"{self._log_id}-{claimed.event_id}",
                body=body,
                now=self._clock(),
            )
            got = await self._outbound.post(claimed.url, headers, body)
            status, retry_after, answer = got.status, got.retry_after, got.body
        except Unreached as unreached:
            error = str(unreached)
        except Exception:
            log.exception("delivery %d could not be sent", claimed.id)
            error = "The hub could not send this; its log says why."
        if status is not None and not 200 <= status < 300:
            error = f"Answered {status}" + ("; redirects are not followed." if 300 <= status < 400 else ".")
        now = self._clock()
        verdict = rules.after_attempt(
            claimed.attempts + 1,
            status,
            rules.retry_after(retry_after, now),
            now,
            self._settings.retry_s,
            self._chance,
        )
        return Attempt(verdict.state, verdict.next_at, status, error, answer, verdict.gone)


def _checked_names(names: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(names))
    unknown = sorted(set(wanted) - SUBSCRIBABLE)
    if not wanted:
        raise Invalid.field("events", 'Name at least one event, or "*" for all.')
    if unknown:
        raise Invalid.field("events", f"Unknown event: {', '.join(name[:64] for name in unknown[:10])}.")
    return wanted


def _describe(row: Webhook) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "events": orjson.loads(row.events),
        "status": "disabled" if row.disabled_at else "failing" if row.failing_since else "active",
        "created_at": rfc3339(row.created_at),
        "failing_since": rfc3339_or_none(row.failing_since),
        "disabled_at": rfc3339_or_none(row.disabled_at),
    }


def _event(kind: str, row: Webhook, actor: Actor, face: str, now: int) -> Event:
    data = {"webhook_id": row.id, "url": row.url, "events": orjson.loads(row.events)}
    return Event(kind, actor.team_id, now, data, actor=actor, face=face)
