"""Webhooks and their deliveries. A delivery row is made with its event (see `events.append`) and is the only queue.

A row under way is leased: `next_at` is moved to the lease's end, so that whoever took it and died is succeeded by
itself; its result is written only while the lease is still that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.domain.events import Event
from hub.store import events
from hub.store.statements import Row, Statement, Unit
from hub.store.tables import Subscription, Webhook

_DUE = Statement("""
    SELECT w.id, w.failing_since, (
        SELECT MIN(d.next_at) FROM delivery d WHERE d.webhook_id = w.id AND d.next_at IS NOT NULL) AS next_at
    FROM webhook w WHERE w.disabled_at IS NULL""")
_CLAIM = Statement("""
    UPDATE delivery SET next_at = :until
    WHERE next_at <= :now AND id IN (
        SELECT d.id FROM delivery d
        WHERE d.webhook_id = :webhook_id AND d.next_at <= :now ORDER BY d.next_at, d.id LIMIT :room)
    RETURNING id""")
_READ = Statement("""
    SELECT d.id, d.webhook_id, d.event_id, d.name, d.attempts, w.team_id, w.url, w.secret, e.at, e.data
    FROM delivery d JOIN webhook w ON w.id = d.webhook_id LEFT JOIN event e ON e.id = d.event_id WHERE d.id = :id""")
_SETTLE = Statement("""
    UPDATE delivery SET state = :state, attempts = attempts + 1, next_at = :next_at, last_at = :now,
           last_status = :status, last_error = :error, last_answer = :answer, delivered_at = :delivered_at
    WHERE id = :id AND next_at = :until RETURNING webhook_id""")
_RELEASE = Statement("UPDATE delivery SET next_at = :now WHERE id = :id AND next_at = :until")
_WORKS = Statement("UPDATE webhook SET failing_since = NULL WHERE id = :id AND failing_since IS NOT NULL")
_FAILS = Statement("""
    UPDATE webhook SET failing_since = COALESCE(failing_since, CAST(:now AS BIGINT))
    WHERE id = :id RETURNING failing_since""")
_DISABLE = Statement("""
    UPDATE webhook SET disabled_at = :now WHERE id = :id AND disabled_at IS NULL RETURNING id, team_id, url""")
_WEBHOOKS = Statement("SELECT id, disabled_at FROM webhook ORDER BY id")
_OLDEST_KEPT = Statement("SELECT MAX(id) AS id FROM event WHERE at < :before")
_PRUNE = Statement("""
    DELETE FROM delivery WHERE webhook_id = :webhook_id AND event_id IN (
        SELECT d.event_id FROM delivery d
        WHERE d.webhook_id = :webhook_id AND d.event_id <= :event_id AND (d.next_at IS NULL OR :disabled)
        ORDER BY d.event_id LIMIT :limit)
    RETURNING id""")


@dataclass(frozen=True, slots=True)
class Due:
    """A webhook with deliveries to make, the first at `next_at`."""

    webhook_id: int
    failing: bool
    next_at: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until `until`. `data` is the event's JSON, None when the log no longer has it."""

    id: int
    webhook_id: int
    team_id: int
    event_id: int
    name: str
    attempts: int
    url: str
    secret: str
    at: int
    data: str | None
    until: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one: `state` and `next_at` as the rules judged it, the answer's first bytes, the error in words."""

    state: str
    next_at: int | None
    status: int | None
    error: str | None
    answer: str | None
    gone: bool


def due() -> Unit:
    """Unit: the enabled webhooks that have something to come, as `Due`."""
    rows = yield _DUE()
    return [
        Due(row["id"], row["failing_since"] is not None, row["next_at"]) for row in rows if row["next_at"] is not None
    ]


def claim(rooms: Sequence[tuple[int, int]], now: int, until: int) -> Unit:
    """Unit: take due deliveries, at most `room` for each (webhook id, room), oldest first. Answers `Claimed` rows."""
    claimed: list[Claimed] = []
    for webhook_id, room in rooms:
        taken = yield _CLAIM(webhook_id=webhook_id, room=room, now=now, until=until)
        for delivery_id in sorted(row["id"] for row in taken):
            claimed += [_claimed(row, until) for row in (yield _READ(id=delivery_id))]
    return claimed


def settle(claimed: Claimed, attempt: Attempt, now: int, disable_after_ms: int) -> Unit:
    """Unit: write down what came of an attempt. A webhook that has failed for `disable_after_ms`, or is gone, is
    disabled with an event. Answers whether it was; a lease that has passed to another changes nothing."""
    settled = yield _SETTLE(
        id=claimed.id,
        until=claimed.until,
        state=attempt.state,
        next_at=attempt.next_at,
        now=now,
        status=attempt.status,
        error=attempt.error,
        answer=attempt.answer,
        delivered_at=now if attempt.state == "delivered" else None,
    )
    if not settled:
        return False
    if attempt.state == "delivered":
        yield _WORKS(id=claimed.webhook_id)
        return False
    failing = yield _FAILS(id=claimed.webhook_id, now=now)
    if not failing or (not attempt.gone and now - failing[0]["failing_since"] < disable_after_ms):
        return False
    disabled = yield _DISABLE(id=claimed.webhook_id, now=now)
    for row in disabled:
        reason = "gone" if attempt.gone else "failing"
        data = {"webhook_id": row["id"], "url": row["url"], "reason": reason, "error": attempt.error}
        yield from events.append(Event("webhook.disabled", row["team_id"], now, data))
    return bool(disabled)


def release(claimed: Sequence[Claimed], now: int) -> Unit:
    """Unit: give back what was taken and not done."""
    for delivery in claimed:
        yield _RELEASE(id=delivery.id, until=delivery.until, now=now)


def prune(before: int, limit: int) -> Unit:
    """Unit: forget deliveries of events older than `before`, but none that is still to be made. At most `limit` of each
    webhook; answers how many went."""
    newest = (yield _OLDEST_KEPT(before=before))[0]["id"]
    if newest is None:
        return 0
    gone = 0
    for webhook in (yield _WEBHOOKS()):
        disabled = webhook["disabled_at"] is not None
        gone += len((yield _PRUNE(webhook_id=webhook["id"], event_id=newest, disabled=disabled, limit=limit)))
    return gone


async def create(session: AsyncSession, webhook: Webhook) -> Webhook:
    session.add(webhook)
    await session.flush()
    return webhook


async def subscribe(session: AsyncSession, webhook: Webhook) -> None:
    """From now on events of these names make deliveries."""
    assert webhook.id is not None
    session.add_all(
        Subscription(webhook_id=webhook.id, name=name, team_id=webhook.team_id) for name in orjson.loads(webhook.events)
    )
    await session.flush()


async def count(session: AsyncSession, team_id: int) -> int:
    query = select(func.count()).select_from(Webhook).where(col(Webhook.team_id) == team_id)
    return int((await session.exec(query)).one())


async def listing(session: AsyncSession, team_id: int) -> list[Webhook]:
    query = select(Webhook).where(col(Webhook.team_id) == team_id).order_by(col(Webhook.id))
    return list(await session.exec(query))


async def get(session: AsyncSession, team_id: int, webhook_id: int) -> Webhook:
    query = select(Webhook).where(col(Webhook.id) == webhook_id, col(Webhook.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def remove(session: AsyncSession, webhook: Webhook) -> None:
    """The row and, by foreign key, its subscriptions and deliveries."""
    await session.delete(webhook)
    await session.flush()


def _claimed(row: Row, until: int) -> Claimed:
    values: dict[str, Any] = {name: row[name] for name in ("id", "webhook_id", "team_id", "event_id", "name")}
    return Claimed(
        **values,
        attempts=row["attempts"],
        url=row["url"],
        secret=row["secret"],
        at=row["at"] or 0,
        data=row["data"],
        until=until,
    )
