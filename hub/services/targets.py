"""Aiming alerts and rules."""

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import wording
from hub.domain.targets import Targets
from hub.store.targets import TargetTable, unknown


async def aim(
    session: AsyncSession, table: TargetTable, owner_id: int, team_id: int, targets: Targets, *, given: Targets
) -> None:
    """The alert or rule is for these from now on. Of them only those given now must be there: a group may be gone that
    it was once for. Raises Invalid."""
    for kind, wanted in given.items():
        strange = await unknown(session, team_id, kind, wanted)
        if strange:
            raise wording.unknown(f"{kind}_ids", kind, strange)
    await table.replace(session, owner_id, targets)
