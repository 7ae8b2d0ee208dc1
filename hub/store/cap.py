"""Messages of the Common Alerting Protocol that ask for nothing more."""

from collections.abc import Iterable

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store.statements import Statement, Unit
from hub.store.tables import CapMessage

_SETTLE = Statement("""
    INSERT INTO cap_message (team_id, source, settled_at) VALUES (:team_id, :source, :settled_at)
    ON CONFLICT (team_id, source) DO NOTHING""")


async def is_settled(session: AsyncSession, team_id: int, source: str) -> bool:
    """Whether the message was done whole, or another one has taken its place."""
    query = select(CapMessage.source).where(col(CapMessage.team_id) == team_id, col(CapMessage.source) == source)
    return (await session.exec(query)).first() is not None


def settle(team_id: int, sources: Iterable[str], now: int) -> Unit:
    """Unit: nothing is to be done for these messages any more, should they come (again)."""
    for source in sources:
        yield _SETTLE(team_id=team_id, source=source, settled_at=now)
