"""Alert rules and whom they are about."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.alerts import KINDS
from hub.store.tables import AlertRule, AlertRuleTarget


async def get(session: AsyncSession, team_id: int, rule_id: int) -> AlertRule:
    """Raises NotFound."""
    query = select(AlertRule).where(col(AlertRule.id) == rule_id, col(AlertRule.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def find(session: AsyncSession, team_id: int, *, offset: int = 0, limit: int | None = None) -> list[AlertRule]:
    """By id."""
    query = select(AlertRule).where(col(AlertRule.team_id) == team_id).order_by(col(AlertRule.id))
    return list(await session.exec(query.offset(offset).limit(limit)))


async def count(session: AsyncSession, team_id: int) -> int:
    query = select(func.count()).select_from(AlertRule).where(col(AlertRule.team_id) == team_id)
    return int((await session.exec(query)).one())


async def targets(session: AsyncSession, rule_ids: Sequence[int]) -> dict[int, dict[str, list[int]]]:
    """By rule: the ids that it is about, by kind."""
    found: dict[int, dict[str, list[int]]] = {rule_id: {kind: [] for kind in KINDS} for rule_id in rule_ids}
    query = select(AlertRuleTarget).where(col(AlertRuleTarget.rule_id).in_(rule_ids))
    for target in await session.exec(query.order_by(col(AlertRuleTarget.target_id))):
        found[target.rule_id][target.kind].append(target.target_id)
    return found


async def set_targets(session: AsyncSession, rule_id: int, wanted: Mapping[str, Iterable[int]]) -> None:
    """Replace the targets; the caller has checked that all are of the team."""
    await session.exec(delete(AlertRuleTarget).where(col(AlertRuleTarget.rule_id) == rule_id))
    session.add_all(
        AlertRuleTarget(rule_id=rule_id, kind=kind, target_id=target_id)
        for kind, target_ids in wanted.items()
        for target_id in dict.fromkeys(target_ids)
    )
    await session.flush()
