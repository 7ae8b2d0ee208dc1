"""CSV files in the making, and made."""

from typing import Any

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.statements import Statement, Unit
from hub.store.tables import Export

_CLAIM = Statement("""
    UPDATE export SET claimed_until = :until
    WHERE id IN (
        SELECT id FROM export
        WHERE state = 'pending' AND expires_at > :now AND (claimed_until IS NULL OR claimed_until <= :now)
        ORDER BY (SELECT COUNT(*) FROM export made WHERE made.team_id = export.team_id AND made.state <> 'pending'),
                 created_at
        LIMIT 1)
    RETURNING id, team_id, parameters""")
_HOLD = Statement("UPDATE export SET claimed_until = :until WHERE id = :id AND state = 'pending'")
_FINISH = Statement("""
    UPDATE export SET state = :state, blob = :blob, size = :size, rows = :rows, error = :error, claimed_until = NULL
    WHERE id = :id AND state = 'pending'""")
_EXISTS = Statement("SELECT id FROM export WHERE id = :id")
_EXPIRED = Statement("DELETE FROM export WHERE expires_at <= :before RETURNING id, team_id")


def claim(now: int, until: int) -> Unit:
    """Unit: an export that nobody works at is the caller's `until` then: the oldest of the team that was served least,
    so that a team with many long ones does not keep all others waiting. Answers its row, or None."""
    rows = yield _CLAIM(now=now, until=until)
    if not rows:
        return None
    row = rows[0]
    return {"id": row["id"], "team_id": row["team_id"], "parameters": orjson.loads(row["parameters"])}


def hold(export_id: str, until: int) -> Unit:
    """Unit: whoever works at it needs longer, or (a time that is over) gives it up."""
    yield _HOLD(id=export_id, until=until)


def finish(
    export_id: str, state: str, *, blob: str | None = None, size: int = 0, rows: int = 0, error: str | None = None
) -> Unit:
    """Unit: the file is there (`ready`) or never will be (`failed`), unless somebody else finished it. Answers whether
    the export still exists."""
    yield _FINISH(id=export_id, state=state, blob=blob, size=size, rows=rows, error=error)
    return bool((yield _EXISTS(id=export_id)))


def expire(before: int) -> Unit:
    """Unit: forget exports that ended. Answers their (id, team id)."""
    rows = yield _EXPIRED(before=before)
    return [(row["id"], row["team_id"]) for row in rows]


async def create(session: AsyncSession, export: Export, parameters: dict[str, Any]) -> None:
    export.parameters = orjson.dumps(parameters).decode()
    session.add(export)
    await session.flush()


async def get(session: AsyncSession, export_id: str) -> Export:
    found = await session.get(Export, export_id)
    if found is None:
        raise NotFound
    return found
