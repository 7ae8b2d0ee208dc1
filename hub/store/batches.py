"""One command to many players: the rows, their pace and their end."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import commands as rules
from hub.domain.access import Actor
from hub.domain.commands import IdempotencyKey
from hub.domain.events import Event
from hub.domain.quotas import Quotas
from hub.domain.times import MINUTE, SECOND
from hub.store import commands, events, quotas
from hub.store.commands import movable, moves
from hub.store.statements import Row, Statement, Unit, insert_into
from hub.store.tables import Batch, Command, Player, PresenceRow

_INSERT = insert_into(Batch)
_DUE = Statement("""
    SELECT id, team_id, command, rate_per_minute, ttl_s, release_at FROM batch
    WHERE release_at <= :now ORDER BY release_at LIMIT 100""")
_POLLS = "(SELECT COUNT(*) FROM player p WHERE p.id = player_id AND p.uuid IS NOT NULL AND p.token_digest IS NULL)"
_DEADLINE = f"CAST(:expires_at AS BIGINT) + CAST(:patience AS BIGINT) * {_POLLS}"
_RELEASE = Statement(f"""
    UPDATE command SET {moves("release")}, expires_at = {_DEADLINE}, due_at = {_DEADLINE}
    WHERE {movable("release")} AND id IN (
        SELECT id FROM command WHERE batch_id = :batch_id AND {movable("release")} ORDER BY id LIMIT :number)
    RETURNING id, team_id, player_id, batch_id, command""")
_NEXT_RELEASE = Statement("UPDATE batch SET release_at = :release_at WHERE id = :id")
_FAILURES = Statement("""
    SELECT b.id, b.team_id, b.max_failures, COUNT(c.id) AS failures
    FROM batch b JOIN command c ON c.batch_id = b.id
    WHERE b.id = :id AND b.aborted_at IS NULL AND b.max_failures IS NOT NULL
          AND c.state IN ('failed', 'rejected', 'expired', 'timed_out')
    GROUP BY b.id, b.team_id, b.max_failures""")
_ABORT = Statement("""
    UPDATE batch SET aborted_at = :now, release_at = NULL WHERE id = :id AND aborted_at IS NULL RETURNING id""")
_CANCEL_REST = Statement(f"""
    UPDATE command SET {moves("cancel")}, finished_at = :now, due_at = NULL
    WHERE batch_id = :id AND {movable("cancel")}
    RETURNING id, team_id, player_id, batch_id, command, state""")


def create(
    batch: Batch,
    rows: Sequence[commands.Draft],
    spec: rules.Spec,
    actor: Actor,
    now: int,
    idempotency: IdempotencyKey | None,
    answer: str,
    limits: Quotas,
) -> Unit:
    """Unit: store a batch with all its commands. Answers None, or the Replay of an earlier request with the key.
    Raises TooMany for a paced one when the team has too many, and for more commands than it may send on this day; the
    batch itself, which keeps the payload too, counts as one."""
    if idempotency is not None:
        earlier = yield from commands.keep_key(batch.team_id, idempotency, 202, answer, now)
        if earlier is not None:
            return earlier
    if batch.release_at is not None:
        yield from quotas.check(limits, batch.team_id, "paced_batches", now)
    yield from quotas.count_commands(limits, batch.team_id, now, (1 + len(rows)) * rules.weight(batch.payload))
    yield _INSERT(**{name: getattr(batch, name) for name in _INSERT.names})
    for row in rows:
        yield from commands.queue(row, spec, actor, now)
    data = {
        "batch_id": batch.id,
        "command": batch.command,
        "status": "running" if rows else "finished",
        "total": len(rows),
    }
    yield from events.append(Event("batch.updated", batch.team_id, now, data, actor=actor))
    return None


def release(now: int) -> Unit:
    """Unit: let the held commands go whose turn has come; their deadline starts now. Answers their rows."""
    released: list[Row] = []
    for batch in (yield _DUE(now=now)):
        yield from check_failures(batch["id"], now)
        interval = max(1, MINUTE // batch["rate_per_minute"])
        number = 1 + (now - batch["release_at"]) // interval
        spec = rules.lookup(batch["command"])
        ttl_s = batch["ttl_s"] if batch["ttl_s"] != spec.start_within_s else None
        patience = rules.time_to_start(spec, ttl_s, polls=True) - batch["ttl_s"]
        rows = yield _RELEASE(
            batch_id=batch["id"],
            number=number,
            expires_at=now + batch["ttl_s"] * SECOND,
            patience=patience * SECOND,
        )
        for row in rows:
            yield from events.append(commands.event("command.queued", row, "queued", now))
        upcoming = batch["release_at"] + number * interval if len(rows) == number else None
        yield _NEXT_RELEASE(id=batch["id"], release_at=upcoming)
        released.extend(rows)
    return released


def check_failures(batch_id: str, now: int) -> Unit:
    """Unit: abort the batch when more of it failed than its maker allows. Answers the rows that were called back."""
    found = yield _FAILURES(id=batch_id)
    if not found or found[0]["failures"] <= found[0]["max_failures"]:
        return []
    return (yield from abort(batch_id, found[0]["team_id"], None, now))


def abort(batch_id: str, team_id: int, actor: Actor | None, now: int) -> Unit:
    """Unit: nothing more of the batch goes out. Answers the rows that were called back."""
    if not (yield _ABORT(id=batch_id, now=now)):
        return []
    rows = yield _CANCEL_REST(id=batch_id, now=now)
    for row in rows:
        yield from events.append(commands.finished(row, "cancelled", now, actor=actor))
    data = {"batch_id": batch_id, "status": "aborted", "cancelled": len(rows)}
    yield from events.append(Event("batch.updated", team_id, now, data, actor=actor))
    return rows


async def get(session: AsyncSession, team_id: int, batch_id: str) -> Batch | None:
    return (await session.exec(select(Batch).where(col(Batch.id) == batch_id, col(Batch.team_id) == team_id))).first()


async def listing(session: AsyncSession, team_id: int, *, before: str | None, limit: int) -> Sequence[Batch]:
    """Newest first."""
    query = select(Batch).where(col(Batch.team_id) == team_id).order_by(col(Batch.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Batch.id) < before)
    return (await session.exec(query)).all()


async def counts(session: AsyncSession, batch_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Of each batch {state: how many}."""
    found: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
    query = (
        select(Command.batch_id, Command.state, func.count())
        .where(col(Command.batch_id).in_(batch_ids))
        .group_by(col(Command.batch_id), col(Command.state))
    )
    for batch_id, state, number in await session.exec(query):
        assert batch_id is not None
        found[batch_id][state] = int(number)
    return found


async def full(session: AsyncSession, player_ids: Sequence[int]) -> set[int]:
    """Those of the players that have as many unfinished commands as may be."""
    query = (
        select(Command.player_id)
        .with_hint(Command, "INDEXED BY ix_command_live", "sqlite")
        .where(text(commands.UNFINISHED), col(Command.player_id).in_(player_ids))
        .group_by(col(Command.player_id))
        .having(func.count() >= commands.MAX_LIVE)
    )
    return set(await session.exec(query))


async def targets(session: AsyncSession, team_id: int, player_ids: Sequence[int]) -> list[tuple[Player, bool]]:
    """(player, is it online) of the team's players among the ids, by id."""
    query: Any = (
        select(Player, PresenceRow.online)
        .join(PresenceRow, col(PresenceRow.player_id) == col(Player.id))
        .where(col(Player.team_id) == team_id, col(Player.id).in_(player_ids))
        .order_by(col(Player.id))
    )
    return [(player, bool(online)) for player, online in await session.exec(query)]
