"""Whom alerts and rules are for: the rows that name players, groups and locations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.targets import KINDS
from hub.store.tables import AlertRuleTarget, AlertTarget, Location, Player, PlayerGroup

_TABLE_OF: Final[Mapping[str, Any]] = {"player": Player, "group": PlayerGroup, "location": Location}


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table of (owner, kind, target_id) rows; `owner` names the column that refers to the alert or the rule."""

    table: Any
    owner: str

    async def read(self, session: AsyncSession, owner_ids: Sequence[int]) -> dict[int, dict[str, list[int]]]:
        """By owner: ids by kind, in ascending order."""
        found: dict[int, dict[str, list[int]]] = {owner_id: {kind: [] for kind in KINDS} for owner_id in owner_ids}
        query = select(self.table).where(col(getattr(self.table, self.owner)).in_(owner_ids))
        for row in await session.exec(query.order_by(col(self.table.target_id))):
            found[getattr(row, self.owner)][row.kind].append(row.target_id)
        return found

    async def replace(self, session: AsyncSession, owner_id: int, wanted: Mapping[str, Iterable[int]]) -> None:
        """Replace the targets; the caller has checked that all are of the team."""
        await session.exec(delete(self.table).where(col(getattr(self.table, self.owner)) == owner_id))
        session.add_all(
            self.table(**{self.owner: owner_id}, kind=kind, target_id=target_id)
            for kind, target_ids in wanted.items()
            for target_id in dict.fromkeys(target_ids)
        )
        await session.flush()


OF_ALERTS: Final = TargetTable(AlertTarget, "alert_id")
OF_RULES: Final = TargetTable(AlertRuleTarget, "rule_id")


async def unknown(session: AsyncSession, team_id: int, kind: str, wanted: Sequence[int]) -> list[int]:
    """Those of the ids that are nothing of this kind in the team."""
    if not wanted:
        return []
    table = _TABLE_OF[kind]
    query = select(table.id).where(col(table.team_id) == team_id, col(table.id).in_(wanted))
    return sorted(set(wanted) - set((await session.exec(query)).all()))
