"""Deliveries: one row for each event and webhook that hears it. The row is made with its event (see `events.append`)
and is the only queue.

A row under way is leased: `next_at` is moved to the lease's end, so that whoever took it and died is succeeded by
another node, or by itself at its next start; its result is written only while the lease is still that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.domain.events import Event, names_of
from hub.store import events
from hub.store.statements import Row, Statement, Unit
from hub.store.tables import Delivery, EventRow

_DUE = Statement("""
    SELECT w.id, w.team_id, t.plan, w.failing_since, (
        SELECT MIN(d.next_at) FROM delivery d WHERE d.webhook_id = w.id AND d.next_at IS NOT NULL) AS next_at
    FROM webhook w JOIN team t ON t.id = w.team_id WHERE w.disabled_at IS NULL AND w.paused_at IS NULL""")
_CLAIM = Statement("""
    UPDATE delivery SET next_at = :until, taken_by = :node
    WHERE next_at <= :now AND id IN (
        SELECT d.id FROM delivery d JOIN webhook w ON w.id = d.webhook_id
        WHERE d.webhook_id = :webhook_id AND d.next_at <= :now AND w.disabled_at IS NULL AND w.paused_at IS NULL
        ORDER BY d.next_at, d.id LIMIT :room)
    RETURNING id""")
_READ = Statement("""
    SELECT d.id, d.webhook_id, d.event_id, d.name, d.attempts, w.team_id, w.url, w.secret, w.old_secret,
           w.old_secret_until, e.at, e.data
    FROM delivery d JOIN webhook w ON w.id = d.webhook_id LEFT JOIN event e ON e.id = d.event_id WHERE d.id = :id""")
_SETTLE = Statement("""
    UPDATE delivery SET state = :state, attempts = attempts + 1, next_at = :next_at, taken_by = NULL,
           last_at = :now, last_url = :url, last_ms = :duration_ms, last_status = :status, last_error = :error,
           last_answer = :answer,
           delivered_at = COALESCE(CAST(:delivered_at AS BIGINT), delivered_at)
    WHERE id = :id AND next_at = :until RETURNING webhook_id""")
_RELEASE = Statement("UPDATE delivery SET next_at = :now, taken_by = NULL WHERE id = :id AND next_at = :until")
_RECOVER = Statement("UPDATE delivery SET next_at = :now, taken_by = NULL WHERE taken_by = :node RETURNING id")
_WORKS = Statement("UPDATE webhook SET failing_since = NULL WHERE id = :id AND failing_since IS NOT NULL")
_FAILS = Statement("""
    UPDATE webhook SET failing_since = COALESCE(failing_since, CAST(:now AS BIGINT))
    WHERE id = :id RETURNING failing_since""")
_DISABLE = Statement("""
    UPDATE webhook SET disabled_at = :now, version = version + 1
    WHERE id = :id AND disabled_at IS NULL RETURNING id, team_id, url""")
_AGAIN = Statement("""
    UPDATE delivery SET state = 'pending', attempts = 0, next_at = :now, taken_by = NULL WHERE id = :id RETURNING id""")
_PING = Statement("""
    INSERT INTO delivery (webhook_id, event_id, name, state, attempts, next_at)
    VALUES (:webhook_id, :event_id, :name, 'pending', 0, :now)
    ON CONFLICT (webhook_id, event_id) DO UPDATE SET next_at = excluded.next_at RETURNING id""")
_REPLAYS = Statement("""
    SELECT id, team_id, replay_after, replay_upto, replay_all FROM webhook
    WHERE replay_upto IS NOT NULL AND disabled_at IS NULL
    ORDER BY CASE WHEN id > :last THEN 0 ELSE 1 END, id LIMIT 1""")
_TO_REPLAY = Statement("""
    SELECT id, type FROM event WHERE team_id = :team_id AND id > :after AND id <= :upto ORDER BY id LIMIT :limit""")
_REPLAY = Statement(f"""{events.HEARD}
    WHERE s.webhook_id = :webhook_id AND s.name IN (:own_name, :other_name, '*')
    GROUP BY s.webhook_id
    ON CONFLICT (webhook_id, event_id) DO UPDATE SET state = 'pending', attempts = 0, next_at = excluded.next_at,
        taken_by = NULL
        WHERE delivery.state <> 'delivered' OR :everything""")
_REPLAYED = Statement("""
    UPDATE webhook SET replay_after = :after, replay_upto = :upto
    WHERE id = :id AND replay_upto IS NOT NULL""")
_WEBHOOKS = Statement("""
    SELECT id, CASE WHEN disabled_at IS NOT NULL OR paused_at IS NOT NULL THEN 1 ELSE 0 END AS off
    FROM webhook ORDER BY id""")
_OLDEST_KEPT = Statement("SELECT MAX(id) AS id FROM event WHERE at < :before")
_PRUNE = Statement("""
    DELETE FROM delivery WHERE webhook_id = :webhook_id AND event_id IN (
        SELECT d.event_id FROM delivery d
        WHERE d.webhook_id = :webhook_id AND d.event_id <= :event_id AND (d.next_at IS NULL OR :off)
        ORDER BY d.event_id LIMIT :limit)
    RETURNING id""")


@dataclass(frozen=True, slots=True)
class Due:
    """A webhook with deliveries to make, the first at `next_at`."""

    webhook_id: int
    team_id: int
    plan: str
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
    old_secret: str | None
    old_secret_until: int | None
    at: int
    data: str | None
    until: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one: `state` and `next_at` as the rules judged it, the answer's first bytes, the error in words."""

    duration_ms: int
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
        Due(row["id"], row["team_id"], row["plan"], row["failing_since"] is not None, row["next_at"])
        for row in rows
        if row["next_at"] is not None
    ]


def claim(rooms: Sequence[tuple[int, int]], now: int, until: int, node: str) -> Unit:
    """Unit: this node takes due deliveries, at most `room` for each (webhook id, room), oldest first. Answers `Claimed`
    rows."""
    claimed: list[Claimed] = []
    for webhook_id, room in rooms:
        taken = yield _CLAIM(webhook_id=webhook_id, room=room, now=now, until=until, node=node)
        for delivery_id in sorted(row["id"] for row in taken):
            claimed += [_claimed(row, until) for row in (yield _READ(id=delivery_id))]
    return claimed


def settle(claimed: Claimed, attempt: Attempt, now: int, disable_after_ms: int | None) -> Unit:
    """Unit: write down what came of an attempt. A webhook that has failed for `disable_after_ms` (None: no time is
    too long), or is gone, is disabled with an event. Answers whether it was; a lease that has passed to another changes
    nothing."""
    settled = yield _SETTLE(
        id=claimed.id,
        until=claimed.until,
        state=attempt.state,
        next_at=attempt.next_at,
        now=now,
        url=claimed.url,
        duration_ms=attempt.duration_ms,
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
    if not failing:
        return False
    too_long = disable_after_ms is not None and now - failing[0]["failing_since"] >= disable_after_ms
    if not attempt.gone and not too_long:
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


def recover(node: str, now: int) -> Unit:
    """Unit: at the start of this node. What it had taken when it died is due at once. Answers how many those are."""
    return len((yield _RECOVER(node=node, now=now)))


def prune(before: int, limit: int) -> Unit:
    """Unit: forget deliveries of events older than `before`, but none that is still to be made. At most `limit` of each
    webhook; answers how many went."""
    newest = (yield _OLDEST_KEPT(before=before))[0]["id"]
    if newest is None:
        return 0
    gone = 0
    for webhook in (yield _WEBHOOKS()):
        off = bool(webhook["off"])
        gone += len((yield _PRUNE(webhook_id=webhook["id"], event_id=newest, off=off, limit=limit)))
    return gone


def again(delivery_id: int, now: int) -> Unit:
    """Unit: make a delivery once more, whatever came of it before, from the beginning of the ladder."""
    return bool((yield _AGAIN(id=delivery_id, now=now)))


def ping(webhook_id: int, event: Event) -> Unit:
    """Unit: log an event that this webhook hears in any case. Answers the number of its delivery."""
    number = yield from events.append(event)
    made = yield _PING(webhook_id=webhook_id, event_id=number, name=event.type, now=event.at)
    return made[0]["id"]


def replay(last: int, now: int, limit: int) -> Unit:
    """Unit: go on by at most `limit` events with the replay of the webhook that comes after the one numbered `last`, so
    that a long one keeps no other waiting. Answers its number while there may be more, else None."""
    found = yield _REPLAYS(last=last)
    for webhook in found:
        rows = yield _TO_REPLAY(
            team_id=webhook["team_id"], after=webhook["replay_after"], upto=webhook["replay_upto"], limit=limit
        )
        for row in rows:
            own_name, other_name = names_of(row["type"])
            yield _REPLAY(
                webhook_id=webhook["id"],
                event_id=row["id"],
                own_name=own_name,
                other_name=other_name,
                now=now,
                everything=bool(webhook["replay_all"]),
            )
        more = len(rows) == limit
        yield _REPLAYED(
            id=webhook["id"],
            after=rows[-1]["id"] if more else None,
            upto=webhook["replay_upto"] if more else None,
        )
    return found[0]["id"] if found else None


async def log(
    session: AsyncSession, webhook_id: int, *, state: str | None, before: int | None, limit: int
) -> list[tuple[Delivery, EventRow | None]]:
    """Deliveries of a webhook, of the newest event first, with their events where those are still kept."""
    query = (
        select(Delivery, EventRow)
        .outerjoin(EventRow, col(EventRow.id) == col(Delivery.event_id))
        .where(col(Delivery.webhook_id) == webhook_id)
    )
    if state is not None:
        query = query.where(col(Delivery.state) == state)
    if before is not None:
        query = query.where(col(Delivery.event_id) < before)
    return [(row[0], row[1]) for row in await session.exec(query.order_by(col(Delivery.event_id).desc()).limit(limit))]


async def get(session: AsyncSession, webhook_id: int, delivery_id: int) -> tuple[Delivery, EventRow | None]:
    """One delivery of a webhook. Raises NotFound."""
    query = (
        select(Delivery, EventRow)
        .outerjoin(EventRow, col(EventRow.id) == col(Delivery.event_id))
        .where(col(Delivery.webhook_id) == webhook_id, col(Delivery.id) == delivery_id)
    )
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found[0], found[1]


async def first_since(session: AsyncSession, at: int) -> int | None:
    """The number of the first event at or after this time; None: there is none."""
    query = select(EventRow.id).where(col(EventRow.at) >= at).order_by(col(EventRow.at), col(EventRow.id)).limit(1)
    return (await session.exec(query)).first()


def _claimed(row: Row, until: int) -> Claimed:
    values: dict[str, Any] = {name: row[name] for name in ("id", "webhook_id", "team_id", "event_id", "name")}
    return Claimed(
        **values,
        attempts=row["attempts"],
        url=row["url"],
        secret=row["secret"],
        old_secret=row["old_secret"],
        old_secret_until=row["old_secret_until"],
        at=row["at"] or 0,
        data=row["data"],
        until=until,
    )
