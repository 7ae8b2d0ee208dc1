"""Delivering to webhooks what the event log says.

Delivery is at least once. The rows that the log made are the queue, so nothing is lost by a crash and any node may do
the work. Each webhook has places of its own, as many as it has shown that it can fill (see `domain.webhooks.Window`):
who is slow or gone waits for nobody else.
"""

import asyncio
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson
import prometheus_client

from hub.bus.base import Bus
from hub.domain import webhooks as rules
from hub.domain.errors import HubError
from hub.domain.events import Log
from hub.domain.hosts import Network
from hub.domain.quotas import Quotas, share
from hub.domain.times import DAY, SECOND, now_ms
from hub.domain.webhooks import Window
from hub.services.quotas import Places
from hub.services.waiting import set_within
from hub.services.webhook_client import DeliveryError, WebhookClient
from hub.store import deliveries as store
from hub.store import events
from hub.store.database import Database
from hub.store.deliveries import Attempt, Claimed

log = logging.getLogger(__name__)

AT_ONCE = 128  # deliveries under way; past it they wait in the database
DOUBTFUL_AT_ONCE = 64  # of them to receivers that fail: should all of those be gone, half the places are the others'
APART_S = 0.005  # between looks while nothing is under way: each takes a turn of the writer, mostly for nothing
POLL_S = 1.0  # between looks at the queue when nobody calls: a lost call costs this
LEASE_MARGIN_S = 30.0  # after the longest attempt, until a delivery that its process did not settle is due again
PRUNE_ROWS = 1_000  # of each webhook in one transaction
REPLAY_ROWS = 500  # events of a replay in one transaction


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


def delivery_places(quotas: Quotas | None = None) -> Places:
    """One team takes three quarters of them at most."""
    return Places("deliveries", AT_ONCE, quotas, weight=3)


class DeliveryMetrics(Protocol):
    webhook_deliveries: prometheus_client.Counter


class WebhookDispatcher:
    """Makes the deliveries that are due, until stopped. It hears of new events from the bus, and looks by itself now
    and then. `node` names this hub process, `places` are what teams share of it, `outbound` is how it
    reaches receivers, by default as the settings say."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        settings: DeliverySettings,
        metrics: DeliveryMetrics | None = None,
        *,
        node: str = "hub",
        places: Places | None = None,
        outbound: WebhookClient | None = None,
        clock: Callable[[], int] = now_ms,
        steady: Callable[[int], bool] = lambda now: True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._node = node
        self._db = db
        self._bus = bus
        self._settings = settings
        self._metrics = metrics
        self._outbound = outbound or WebhookClient(settings.allow_networks, settings.timeout_s)
        self._clock = clock
        self._steady = steady
        self._chance = chance
        self._wake = asyncio.Event()
        self.replays = asyncio.Event()
        """Set when a replay was asked for."""
        self._places = places or delivery_places()
        self._busy: Counter[int] = Counter()
        self._windows: dict[int, Window] = {}
        self._under_way: dict[asyncio.Task[None], Claimed] = {}
        self._loop: asyncio.Task[None] | None = None
        self._unsubscribe: list[Callable[[], None]] = []
        self._replayed = 0  # the webhook whose replay went on last
        self._log = Log("")

    async def start(self) -> None:
        async with self._db.session() as session:
            self._log = await events.log(session)
        await self._db.write(store.recover, self._node, self._clock())
        self._unsubscribe = [
            self._bus.subscribe(("events", None), self._nudge),
            self._bus.subscribe(("replays", None), lambda _: self.replays.set()),
        ]
        self._loop = asyncio.create_task(self._run(), name="webhook deliveries")

    async def stop(self) -> None:
        """Attempts under way are broken off and given back: they are made again after the next start."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        under_way = dict(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._give_back(list(under_way.values()))
        await self._outbound.close()

    async def replay(self) -> bool:
        """Go on with a replay that somebody asked for; answers whether there may be more."""
        number: int | None = await self._db.write(store.replay, self._replayed, self._clock(), REPLAY_ROWS)
        if number is None:
            return False
        self._replayed = number
        self._nudge()
        return True

    async def prune(self, now: int) -> bool:
        """Forget deliveries whose time is over; answers whether there may be more."""
        before = now - self._settings.retention_days * DAY
        gone: int = await self._db.write(store.prune, before, PRUNE_ROWS)
        return gone >= PRUNE_ROWS

    def _nudge(self, _message: Any = None) -> None:
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looked_at = -math.inf
        while True:
            if not self._under_way:
                await asyncio.sleep(looked_at + APART_S - loop.time())
            looked_at = loop.time()
            self._wake.clear()
            pause_s = POLL_S
            try:
                pause_s = await self._turn()
            except Exception as error:
                log.warning("webhook deliveries wait: %s", error, exc_info=not isinstance(error, HubError))
            await set_within(self._wake, pause_s)

    async def _turn(self) -> float:
        """Begin what is due and has a place. Answers the seconds until the next look."""
        now = self._clock()
        pause_s = POLL_S
        rooms: list[tuple[int, int]] = []
        taken: Counter[int] = Counter()  # by team, places that no delivery has yet
        due: list[store.Due] = await self._db.write(store.due)
        windows = {webhook.webhook_id: self._window(webhook) for webhook in due}
        self._windows = windows | {number: self._windows[number] for number in self._busy.keys() - windows.keys()}
        doubtful: Counter[int] = Counter()  # by team, places among receivers that fail
        for claimed in self._under_way.values():
            if (known := self._windows.get(claimed.webhook_id)) is not None and known.room == 1:
                doubtful[claimed.team_id] += 1
        for webhook in sorted(due, key=lambda webhook: (self._busy[webhook.webhook_id], webhook.next_at)):
            if webhook.next_at > now:
                pause_s = min(pause_s, (webhook.next_at - now) / SECOND)
                continue
            window = windows[webhook.webhook_id]
            room = min(self._places.room(webhook.team_id, webhook.plan), window.room - self._busy[webhook.webhook_id])
            if window.room == 1:
                room = min(room, share(doubtful[webhook.team_id], DOUBTFUL_AT_ONCE - doubtful.total()))
                doubtful[webhook.team_id] += max(room, 0)
            if room > 0:
                self._places.take(webhook.team_id, webhook.plan, room)
                taken[webhook.team_id] += room
                rooms.append((webhook.webhook_id, room))
        try:
            until = now + int((self._settings.timeout_s + LEASE_MARGIN_S) * SECOND)
            for claimed in await self._claim(rooms, now, until) if rooms else ():
                taken[claimed.team_id] -= 1
                self._busy[claimed.webhook_id] += 1
                task = asyncio.create_task(self._deliver(claimed), name=f"delivery {claimed.id}")
                self._under_way[task] = claimed
                task.add_done_callback(self._ended)
        finally:
            for team_id, number in taken.items():
                self._places.give_back(team_id, number)
        return pause_s

    def _window(self, webhook: store.Due) -> Window:
        known = self._windows.get(webhook.webhook_id)
        if known is not None:
            return known
        return Window(1) if webhook.failing else Window()

    async def _claim(self, rooms: list[tuple[int, int]], now: int, until: int) -> list[Claimed]:
        claiming = self._db.submit(store.claim, rooms, now, until, self._node)
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
        self._places.give_back(claimed.team_id)
        self._busy[claimed.webhook_id] -= 1
        if not self._busy[claimed.webhook_id]:
            del self._busy[claimed.webhook_id]
        self._wake.set()

    async def _deliver(self, claimed: Claimed) -> None:
        attempt = await self._attempt(claimed)
        now = self._clock()
        self._windows.setdefault(claimed.webhook_id, Window()).after(attempt.status, attempt.duration_ms)
        if self._metrics is not None:
            self._metrics.webhook_deliveries.labels(attempt.state).inc()
        try:
            disabled = await self._db.write(
                store.settle,
                claimed,
                attempt,
                now,
                self._settings.disable_after_days * DAY if self._steady(now) else None,
                key=("webhook", claimed.webhook_id),
            )
        except HubError as error:
            log.warning("delivery %d will be repeated, its result could not be stored: %s", claimed.id, error)
            return
        self._bus.publish(("delivery", claimed.id))
        if disabled:
            log.warning("webhook %d is disabled: %s", claimed.webhook_id, attempt.error)
            self._bus.publish(("events", claimed.team_id))

    async def _attempt(self, claimed: Claimed) -> Attempt:
        status = retry_after = answer = None
        error: str | None = None
        if claimed.data is None:
            return Attempt(0, "failed", None, None, "The event is no longer in the log.", None, False)
        began = time.monotonic()
        now = self._clock()
        try:
            cursor = f"{self._log.id}-{claimed.event_id}"
            body = rules.envelope(claimed.name, claimed.at, orjson.loads(claimed.data), cursor)
            overlaps = claimed.old_secret_until is not None and now < claimed.old_secret_until
            headers = rules.headers(
                secret=claimed.secret,
                old_secret=claimed.old_secret if overlaps else None,
                name=claimed.name,
                delivery_id=claimed.id,
                message_id=self._log.message_id(claimed.id),
                cursor=cursor,
                body=body,
                now=now,
            )
            got = await self._outbound.post(claimed.url, headers, body)
            status, retry_after, answer = got.status, got.retry_after, got.body
        except DeliveryError as unreached:
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
        duration_ms = round((time.monotonic() - began) * 1000)
        return Attempt(duration_ms, verdict.state, verdict.next_at, status, error, answer, verdict.gone)
