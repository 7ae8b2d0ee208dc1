"""Messages of the Common Alerting Protocol that ask for nothing more."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.cap import Name, name_of
from hub.store.statements import Statement, Unit
from hub.store.tables import AlertPart, CapMessage

_SETTLE = Statement("""
    INSERT INTO cap_message (team_id, source, settled_at) VALUES (:team_id, :source, :settled_at)
    ON CONFLICT (team_id, source) DO NOTHING""")
_FORGET = Statement("""
    DELETE FROM cap_message WHERE team_id = :team_id AND source IN (
        SELECT source FROM cap_message AS settled
        WHERE team_id = :team_id AND NOT EXISTS (
            SELECT 1 FROM alert_part WHERE alert_part.team_id = :team_id AND alert_part.source = settled.source)
        ORDER BY settled_at DESC, source LIMIT :limit OFFSET :kept)""")
_TAKE_OVER = Statement("""
    INSERT INTO alert_part (team_id, source, part, alert_id)
    SELECT DISTINCT alert.team_id, CAST(:by AS VARCHAR), 'replaces ' || alert.id, alert.id
    FROM alert_part JOIN alert ON alert.id = alert_part.alert_id
    WHERE alert_part.team_id = :team_id AND alert_part.source = :source AND alert.cleared_at IS NULL
    ON CONFLICT (team_id, source, part) DO NOTHING""")

UNHEARD = 1_000  # messages of a team that others referred to before they came: of more the oldest are forgotten


async def is_settled(session: AsyncSession, team_id: int, source: str) -> bool:
    """Whether the message was done whole, or another one has taken its place."""
    query = select(CapMessage.source).where(col(CapMessage.team_id) == team_id, col(CapMessage.source) == source)
    return (await session.exec(query)).first() is not None


async def spellings(session: AsyncSession, team_id: int, keys: Iterable[str]) -> Mapping[Name, Sequence[str]]:
    """How the messages that these keys name are written in what is stored of them: one that was sent with an offset
    may be referred to in UTC."""
    starts = {key.rpartition(",")[0] + "," for key in keys}
    found: set[str] = set()
    for model in (CapMessage, AlertPart):
        likely = or_(*(col(model.source).startswith(start, autoescape=True) for start in starts))
        query = select(model.source).where(col(model.team_id) == team_id, likely).distinct()
        found.update((await session.exec(query)).all())
    written = defaultdict(list)
    for source in sorted(found):
        written[name_of(source)].append(source)
    return written


def settle(team_id: int, source: str, now: int) -> Unit:
    """Unit: nothing is to be done for this message any more, should it come again."""
    yield _SETTLE(team_id=team_id, source=source, settled_at=now)


def settle_all(team_id: int, sources: Iterable[str], now: int) -> Unit:
    """Unit: the same for messages that another one refers to, of which some may not have come yet."""
    for source in sources:
        yield _SETTLE(team_id=team_id, source=source, settled_at=now)
    yield _FORGET(team_id=team_id, kept=UNHEARD, limit=UNHEARD)


def replace(team_id: int, sources: Sequence[str], by: str, now: int) -> Unit:
    """Unit: the message `by` takes the place of these, for which nothing is to be done any more."""
    yield from settle_all(team_id, sources, now)
    yield from follow(team_id, sources, by)


def follow(team_id: int, sources: Iterable[str], by: str) -> Unit:
    """Unit: the alerts of these messages that are not over are those of the message `by` too: who replaces it finds
    them, even if it was refused or cut off before it changed them."""
    for source in sources:
        yield _TAKE_OVER(team_id=team_id, source=source, by=by)
