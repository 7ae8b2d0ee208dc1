"""Whether what a caller names is its own team's."""

from collections.abc import Collection
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

SOME = 500  # values in one IN list


async def of_team(session: AsyncSession, table: Any, team_id: int, numbers: Collection[int]) -> set[int]:
    """Those of the numbers that are rows of `table` and the team's."""
    wanted = sorted(set(numbers))
    found: set[int] = set()
    for start in range(0, len(wanted), SOME):
        query = select(table.id).where(col(table.team_id) == team_id, col(table.id).in_(wanted[start : start + SOME]))
        found.update(await session.exec(query))
    return found
