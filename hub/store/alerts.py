"""Alerts, and which players they reach. Each change of state is one conditional update, so any node may try it."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.alerts import Replaced, SourcePart
from hub.domain.errors import NotFound
from hub.store import cap
from hub.store.statements import Statement, Unit
from hub.store.tables import Alert, AlertPart, AlertTarget, GroupMember, Player

_TRIGGER = Statement("""
    UPDATE alert SET triggered_at = :now
    WHERE id = :id AND triggered_at IS NULL AND cleared_at IS NULL AND starts_at <= :now
      AND (ends_at IS NULL OR ends_at > :now)
    RETURNING id""")
_END = Statement("""
    UPDATE alert SET cleared_at = :now WHERE id = :id AND cleared_at IS NULL AND ends_at <= :now RETURNING id""")


async def get(session: AsyncSession, team_id: int, alert_id: int) -> Alert:
    query = select(Alert).where(col(Alert.id) == alert_id, col(Alert.team_id) == team_id)
    alert = (await session.exec(query)).first()
    if alert is None:
        raise NotFound
    return alert


async def find(
    session: AsyncSession, team_id: int, state: str | None, *, offset: int, limit: int | None
) -> tuple[list[Alert], int]:
    """(alerts, newest first; how many there are in all)."""
    conditions = [col(Alert.team_id) == team_id]
    if state is not None:
        conditions.append(col(Alert.cleared_at).is_not(None) if state == "over" else col(Alert.cleared_at).is_(None))
    if state == "live":
        conditions.append(col(Alert.triggered_at).is_not(None))
    if state == "scheduled":
        conditions.append(col(Alert.triggered_at).is_(None))
    query = select(Alert).where(*conditions).order_by(col(Alert.id).desc()).offset(offset).limit(limit)
    total = select(func.count()).select_from(Alert).where(*conditions)
    return list((await session.exec(query)).all()), int((await session.exec(total)).one())


async def remember(session: AsyncSession, alert: Alert, part: SourcePart | None) -> None:
    """This part of a message was done, by this alert. Raises IntegrityError when it was done before, Replaced when
    the message is settled: looked at in the transaction that does the part, so whoever settles it is seen."""
    if part is not None:
        if await cap.is_settled(session, alert.team_id, part.source):
            raise Replaced
        session.add(AlertPart(team_id=alert.team_id, source=part.source, part=part.part, alert_id=alert.id or 0))
        await session.flush()


async def by_source(session: AsyncSession, team_id: int, sources: Sequence[str]) -> dict[SourcePart, int]:
    """By part of these messages: its alert."""
    query = select(AlertPart).where(col(AlertPart.team_id) == team_id, col(AlertPart.source).in_(sources))
    rows = await session.exec(query.order_by(col(AlertPart.alert_id)))
    return {SourcePart(row.source, row.part): row.alert_id for row in rows}


async def sources_of(session: AsyncSession, team_id: int, alert_ids: Iterable[int]) -> dict[int, list[str]]:
    """By alert: the messages that it shows or showed a part of."""
    query = select(AlertPart).where(col(AlertPart.team_id) == team_id, col(AlertPart.alert_id).in_(alert_ids))
    sources: dict[int, list[str]] = {}
    for row in await session.exec(query):
        sources.setdefault(row.alert_id, []).append(row.source)
    return sources


async def due(session: AsyncSession, now: int) -> list[Alert]:
    """Alerts of all teams whose beginning or end has come and is not done yet."""
    begins = col(Alert.triggered_at).is_(None) & (col(Alert.starts_at) <= now)
    ends = col(Alert.triggered_at).is_not(None) & (col(Alert.ends_at) <= now)
    query = select(Alert).where(col(Alert.cleared_at).is_(None), or_(begins, ends)).order_by(col(Alert.id))
    return list((await session.exec(query)).all())


def trigger(alert_id: int, now: int) -> Unit:
    """Unit: the alert is live from now on. Answers whether it was still to begin, and had not ended meanwhile."""
    return bool((yield _TRIGGER(id=alert_id, now=now)))


def end(alert_id: int, now: int) -> Unit:
    """Unit: the alert's end has come. Answers whether it was not over before."""
    return bool((yield _END(id=alert_id, now=now)))


async def standing(session: AsyncSession) -> list[tuple[int, int, int]]:
    """(team, alert, version) of all live alerts of all teams."""
    query = select(Alert.team_id, Alert.id, Alert.version).where(
        col(Alert.triggered_at).is_not(None), col(Alert.cleared_at).is_(None)
    )
    rows = await session.exec(query.order_by(col(Alert.id)))
    return [(team_id, alert_id or 0, version) for team_id, alert_id, version in rows]


async def live(session: AsyncSession, team_id: int, now: int) -> list[Alert]:
    """The team's alerts that a screen may show now."""
    query = select(Alert).where(
        col(Alert.team_id) == team_id,
        col(Alert.triggered_at).is_not(None),
        col(Alert.cleared_at).is_(None),
        or_(col(Alert.ends_at).is_(None), col(Alert.ends_at) > now),
    )
    return list((await session.exec(query)).all())


async def reached(
    session: AsyncSession, alert_ids: Sequence[int], player_id: int | None = None
) -> set[tuple[int, int]]:
    """(alert, player) where a target of the alert is the player, its location or a group that it is a member of.

    With `player_id` of this player only. Alerts for everyone have no targets and are not among them.
    """
    if not alert_ids:
        return set()
    aimed = select(AlertTarget.alert_id, Player.id).where(col(AlertTarget.alert_id).in_(alert_ids))
    itself = (col(AlertTarget.kind) == "player") & (col(AlertTarget.target_id) == col(Player.id))
    place = (col(AlertTarget.kind) == "location") & (col(AlertTarget.target_id) == col(Player.location_id))
    member = select(AlertTarget.alert_id, GroupMember.player_id).where(
        col(AlertTarget.alert_id).in_(alert_ids),
        col(AlertTarget.kind) == "group",
        col(AlertTarget.target_id) == col(GroupMember.group_id),
    )
    if player_id is not None:
        aimed = aimed.where(col(Player.id) == player_id)
        member = member.where(col(GroupMember.player_id) == player_id)
    found: set[tuple[int, int]] = set()
    for query in (aimed.where(itself), aimed.where(place), member):
        found.update((alert_id, number or 0) for alert_id, number in await session.exec(query))
    return found
