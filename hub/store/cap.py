"""Messages of the Common Alerting Protocol that ask for nothing more."""

from collections.abc import Iterable

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store.statements import Statement, Unit
from hub.store.tables import CapMessage

_SETTLE = Statement("""
    INSERT INTO cap_message (team_id, source, settled_at) VALUES (:team_id, :source, :settled_at)
    ON CONFLICT (team_id, source) DO NOTHING""")
_TAKE_OVER = Statement("""
    INSERT INTO alert_part (team_id, source, part, alert_id)
    SELECT DISTINCT alert.team_id, CAST(:by AS VARCHAR), 'replaces ' || alert.id, alert.id
    FROM alert_part JOIN alert ON alert.id = alert_part.alert_id
    WHERE alert_part.team_id = :team_id AND alert_part.source = :source AND alert.cleared_at IS NULL
    ON CONFLICT (team_id, source, part) DO NOTHING""")


async def is_settled(session: AsyncSession, team_id: int, source: str) -> bool:
    """Whether the message was done whole, or another one has taken its place."""
    query = select(CapMessage.source).where(col(CapMessage.team_id) == team_id, col(CapMessage.source) == source)
    return (await session.exec(query)).first() is not None


def settle(team_id: int, source: str, now: int) -> Unit:
    """Unit: nothing is to be done for this message any more, should it come again."""
    yield _SETTLE(team_id=team_id, source=source, settled_at=now)


def replace(team_id: int, sources: Iterable[str], by: str, now: int) -> Unit:
    """Unit: the message `by` takes the place of these. Nothing is to be done for them any more, and their alerts that
    are not over are its own from now on: who replaces it finds them too, even if it was cut off before it changed them.
    """
    for source in sources:
        yield _SETTLE(team_id=team_id, source=source, settled_at=now)
        yield _TAKE_OVER(team_id=team_id, source=source, by=by)
