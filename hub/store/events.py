"""The event log: appended in the transaction of the change, with the webhook deliveries that follow from it."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.events import Event, Log, names_of
from hub.store.statements import Statement, Unit, insert_into
from hub.store.tables import EventRow, Meta

PAGE_BYTES = 1_048_576  # of the data of a page with more than one event: some megabytes of memory for all of it
PART = 100  # events read at once while a page is gathered
SCAN = 10_000  # events that one question looks through at most: some tens of milliseconds
FLOOR = "log_floor"
LOG_ID = "log_id"
EARLIER_LOGS = "earlier_logs"  # as `Log.earlier`, in JSON

# Most events have no webhook to go to; those stop here.
_INSERT = insert_into(
    EventRow,
    without=("id",),
    returning="id, EXISTS (SELECT 1 FROM webhook_subscription WHERE team_id = :team_id) AS heard",
)

HEARD = """
    INSERT INTO delivery (webhook_id, event_id, name, state, attempts, next_at)
    SELECT s.webhook_id, CAST(:event_id AS BIGINT),
           MIN(CASE s.name WHEN '*' THEN CAST(:own_name AS VARCHAR) ELSE s.name END),
           'pending', 0, CAST(:now AS BIGINT)
    FROM webhook_subscription s"""
"""How a delivery is made of an event, under the name that its receiver listens to."""

_DELIVERIES = Statement(f"""{HEARD} JOIN webhook w ON w.id = s.webhook_id
    WHERE s.team_id = :team_id AND w.disabled_at IS NULL AND s.name IN (:own_name, :other_name, '*')
    GROUP BY s.webhook_id
    ON CONFLICT DO NOTHING""")


def append(event: Event) -> Unit:
    """Unit: write one event and its deliveries; answers the event's number."""
    actor = event.actor
    rows = yield _INSERT(
        team_id=event.team_id,
        type=event.type,
        at=event.at,
        player_id=event.player_id,
        data=orjson.dumps(event.data).decode(),
        actor_kind=actor.kind if actor else None,
        actor_id=actor.id if actor else None,
        actor_name=actor.name if actor else None,
        face=event.face,
        address=actor.address if actor else None,
    )
    number: int = rows[0]["id"]
    if not rows[0]["heard"]:
        return number
    own_name, other_name = names_of(event.type)
    yield _DELIVERIES(event_id=number, own_name=own_name, other_name=other_name, now=event.at, team_id=event.team_id)
    return number


async def log(session: AsyncSession) -> Log:
    """This database's log, made at its creation and whenever it went back in time: a cursor of another log is not read
    as ours."""
    row, earlier = await session.get(Meta, LOG_ID), await session.get(Meta, EARLIER_LOGS)
    if row is None:
        raise LookupError("the database has no log id")
    return Log(row.value, tuple((name, last) for name, last in orjson.loads(earlier.value)) if earlier else ())


async def log_id(session: AsyncSession) -> str:
    return (await log(session)).id


async def after(session: AsyncSession, team_id: int, number: int, limit: int) -> list[EventRow]:
    """The team's events past `number`, oldest first; no more than PAGE_BYTES of them."""
    query = select(EventRow).where(col(EventRow.team_id) == team_id, col(EventRow.id) > number)
    return (await _gather(session, query, limit))[0]


async def chosen_after(
    session: AsyncSession, team_id: int, number: int, limit: int, *, types: Sequence[str], player_id: int | None
) -> tuple[list[EventRow], int]:
    """(events past `number` of these types and this player, oldest first; up to which number the log was looked
    through). Looks at SCAN events at most, so that a rare type is found by several calls and not by a long one; answers
    no more than PAGE_BYTES."""
    past = select(EventRow.id).where(col(EventRow.team_id) == team_id, col(EventRow.id) > number)
    looked_at = past.order_by(col(EventRow.id)).limit(SCAN).subquery()
    upto = (await session.exec(select(func.max(looked_at.c.id)))).one() or number
    query = select(EventRow).where(
        col(EventRow.team_id) == team_id, col(EventRow.id) > number, col(EventRow.id) <= upto
    )
    if types:
        query = query.where(col(EventRow.type).in_(types))
    if player_id is not None:
        query = query.where(col(EventRow.player_id) == player_id)
    rows, all_of_them = await _gather(session, query, limit)
    return rows, upto if all_of_them else rows[-1].id or upto


async def _gather(session: AsyncSession, query: Any, limit: int) -> tuple[list[EventRow], bool]:
    """(the first events of the query, as many as `limit` and PAGE_BYTES allow but one at least; whether those are
    all)."""
    rows: list[EventRow] = []
    size = 0
    while len(rows) < limit:
        most = min(PART, limit - len(rows))
        rest = query.where(col(EventRow.id) > rows[-1].id) if rows else query
        part = (await session.exec(rest.order_by(col(EventRow.id)).limit(most))).all()
        for row in part:
            size += len(row.data)
            if rows and size > PAGE_BYTES:
                return rows, False
            rows.append(row)
        if len(part) < most:
            return rows, True
    return rows, False


async def floor(session: AsyncSession) -> int:
    """The highest number that the log has forgotten: past it nothing is missing."""
    row = await session.get(Meta, FLOOR)
    return int(row.value) if row else 0


def as_data(row: EventRow) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(row.data)
    return data


REVOCATIONS = ("key.revoked", "key.rotated", "key.updated", "login.ended", "grant.revoked", "member.updated",
               "member.deleted", "team.updated", "token.issued", "token.revoked", "player.deleted", "player.paired",
               "player.quarantined")  # fmt: skip


async def revocations(session: AsyncSession, after: int, upto: int) -> list[EventRow]:
    """Events of all teams after which some credential or connection is worth nothing any more."""
    query = select(EventRow).where(col(EventRow.id) > after, col(EventRow.id) <= upto)
    return list((await session.exec(query.where(col(EventRow.type).in_(REVOCATIONS)))).all())


async def newest(session: AsyncSession) -> int:
    """The number of the newest event, 0 in an empty log."""
    return (await session.exec(select(EventRow.id).order_by(col(EventRow.id).desc()).limit(1))).first() or 0
