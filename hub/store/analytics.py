"""Proof of play on its way to the disk and back out as sums; uptime; the times in which the hub was away."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import BigInteger, case, func, literal, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.analytics import PLAYS_A_DAY, QUARTER, Dimension, Range, Showing, Sum, floor, tally
from hub.domain.presence import PLANNED
from hub.domain.quotas import Quotas
from hub.domain.times import DAY, MINUTE
from hub.store.quotas import plan_of
from hub.store.statements import Statement, Unit, columns
from hub.store.tables import Asset, Campaign, Downtime, Play, Player, PlaySum, PresenceRow, Session, Team

ROWS = (50, 10, 1)  # rows a statement: a player's 500 plays are some twenty steps of the writer, not 500
AWAY_MS = MINUTE  # between signs of life of the hub: four are missing then

T = TypeVar("T")


def _inserts(table: Any, *, shared: tuple[str, ...], tail: str, without: tuple[str, ...] = ()) -> dict[int, Statement]:
    """INSERTs of as many rows as ROWS says. Row n takes `:name_n` for each column, but `:name` for those shared."""
    names = columns(table, without=without)

    def row(number: int) -> str:
        return "(" + ", ".join(f":{name}" if name in shared else f":{name}_{number}" for name in names) + ")"

    head = f"INSERT INTO {table.__tablename__} ({', '.join(names)}) VALUES "
    return {size: Statement(f"{head}{', '.join(map(row, range(size)))} {tail}") for size in ROWS}


_PRICE = Statement("SELECT price_micros FROM campaign WHERE id = :campaign_id AND team_id = :team_id")
_PLAYS = _inserts(
    Play,
    shared=("team_id", "player_id", "stored_at"),
    tail="ON CONFLICT (player_id, entry) DO NOTHING RETURNING entry",
    without=("id",),
)
_SUMS = _inserts(
    PlaySum,
    shared=("team_id",),
    tail="""ON CONFLICT (team_id, dimension, dimension_id, quarter_at) DO UPDATE
    SET plays = play_sum.plays + excluded.plays, duration_ms = play_sum.duration_ms + excluded.duration_ms,
        revenue_micros = play_sum.revenue_micros + excluded.revenue_micros""",
)
_LAYOUT = Statement("SELECT id FROM layout WHERE id = :layout_id AND team_id = :team_id")
_DAYS = Statement(f"""
    SELECT quarter_at / {DAY} AS day, SUM(plays) AS plays FROM play_sum
    WHERE team_id = :team_id AND dimension = :dimension AND dimension_id = :number
          AND quarter_at >= :since AND quarter_at < :until
    GROUP BY quarter_at / {DAY}""")
_ALIVE = Statement("SELECT value FROM meta WHERE name = 'alive_at'")
_LIVE = Statement("""
    INSERT INTO meta (name, value) VALUES ('alive_at', :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value""")
_WAS_AWAY = Statement("""
    INSERT INTO hub_downtime (node, started_at, ended_at) VALUES (:node, :started_at, :ended_at)""")


class Recorded(NamedTuple):
    """How many plays were new, and how many were not kept: beyond PLAYS_A_DAY of the player, or beyond the quota
    `plays_per_day` of its team."""

    stored: int = 0
    beyond_player: int = 0
    beyond_team: int = 0


def record(player_id: int, team_id: int, showings: Sequence[Showing], now: int, quotas: Quotas) -> Unit:
    """Unit: keep the plays that are new, and count them, as far as player and team may have more of their days.
    Answers `Recorded`."""
    limit = quotas.limit("plays_per_day", (yield from plan_of(team_id)))
    days = [showing.started_at // DAY for showing in showings]
    since, until = min(days) * DAY, (max(days) + 1) * DAY
    of_player = yield from _days(team_id, "player", player_id, since, until)
    of_team = yield from _days(team_id, "team", team_id, since, until)
    first: dict[str, Showing] = {}
    beyond_player = beyond_team = 0
    for day, showing in zip(days, showings, strict=True):
        if showing.entry in first:
            continue
        if of_player[day] >= PLAYS_A_DAY:
            beyond_player += 1
        elif of_team[day] >= limit:
            beyond_team += 1
        else:
            of_player[day] += 1
            of_team[day] += 1
            first[showing.entry] = showing
    prices: dict[int, int] = {}
    for campaign_id in sorted({showing.campaign_id for showing in first.values() if showing.campaign_id}):
        for row in (yield _PRICE(campaign_id=campaign_id, team_id=team_id)):
            prices[campaign_id] = row["price_micros"]
    plays = [
        asdict(showing)
        | {
            "campaign_id": showing.campaign_id if showing.campaign_id in prices else None,
            "revenue_micros": prices.get(showing.campaign_id or 0, 0),
        }
        for showing in first.values()
    ]
    new: list[Showing] = []
    for size, part in _parts(plays):
        rows = yield _PLAYS[size](team_id=team_id, player_id=player_id, stored_at=now, **_numbered(part))
        new += [first[row["entry"]] for row in rows]
    layouts = set()
    for layout_id in sorted({showing.layout_id for showing in new if showing.layout_id}):
        layouts |= {row["id"] for row in (yield _LAYOUT(layout_id=layout_id, team_id=team_id))}
    sums = [
        {"dimension": dimension, "dimension_id": number, "quarter_at": quarter, **one._asdict()}
        for (dimension, number, quarter), one in tally(team_id, player_id, new, prices, layouts).items()
    ]
    for size, part in _parts(sums):
        yield _SUMS[size](team_id=team_id, **_numbered(part))
    return Recorded(len(new), beyond_player, beyond_team)


def _days(team_id: int, dimension: Dimension, number: int, since: int, until: int) -> Unit:
    """How many plays are kept of each day of the range, by its number since 1970."""
    rows = yield _DAYS(team_id=team_id, dimension=dimension, number=number, since=since, until=until)
    return Counter({int(row["day"]): int(row["plays"]) for row in rows})


def _parts(rows: list[T]) -> Iterator[tuple[int, list[T]]]:
    """Cut into pieces of the sizes that there are statements for, the large ones first."""
    start = 0
    for size in ROWS:
        while len(rows) - start >= size:
            yield size, rows[start : start + size]
            start += size


def _numbered(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {f"{name}_{number}": value for number, row in enumerate(rows) for name, value in row.items()}


def beat(node: str, now: int) -> Unit:
    """Unit: a sign of life of the hub, of whichever node. When the last one is long ago, nobody was there meanwhile;
    answers for how many milliseconds."""
    rows = yield _ALIVE()
    away = now - int(rows[0]["value"]) if rows else 0
    if away > AWAY_MS:
        yield _WAS_AWAY(node=node, started_at=now - away, ended_at=now)
    yield _LIVE(value=str(now))
    return away if away > AWAY_MS else 0


# Sums


async def quarters(
    session: AsyncSession, team_id: int, dimension: Dimension, number: int, whole: Range
) -> list[tuple[int, Sum]]:
    """The sums of one thing by quarter, in order; quarters without plays have none."""
    query = (
        select(PlaySum.quarter_at, PlaySum.plays, PlaySum.duration_ms, PlaySum.revenue_micros)
        .where(col(PlaySum.team_id) == team_id, col(PlaySum.dimension) == dimension)
        .where(col(PlaySum.dimension_id) == number, *_between(PlaySum.quarter_at, whole))
        .order_by(col(PlaySum.quarter_at))
    )
    return [(at, Sum(*sums)) for at, *sums in await session.exec(query)]


async def counted(
    session: AsyncSession, team_id: int, span: Range, *, player_id: int | None = None, layout_id: int | None = None
) -> list[tuple[int, Sum]]:
    """The same from single plays, of a range that may begin and end anywhere."""
    at = col(Play.started_at)
    quarter = (at - at % literal(QUARTER, BigInteger)).label("quarter")
    query: Any = (
        select(quarter, func.count(), func.sum(Play.duration_ms), func.sum(Play.revenue_micros))
        .where(*_of(team_id, player_id), *_between(Play.started_at, span))
        .group_by(quarter)
        .order_by(quarter)
    )
    if layout_id is not None:
        query = query.where(col(Play.layout_id) == layout_id)
    return [(at, Sum(*map(int, sums))) for at, *sums in await session.exec(query)]


async def by_campaign(session: AsyncSession, team_id: int, whole: Range, ends: Sequence[Range]) -> dict[int, Sum]:
    """The sums of each campaign that was shown; `whole` from sums, `ends` from single plays.

    The campaigns are found first, from one to the next, so that of each only the range is read and not its whole past.
    """
    number = col(PlaySum.dimension_id)
    campaign = col(PlaySum.team_id) == team_id, col(PlaySum.dimension) == "campaign"
    shown = select(func.min(number).label("id")).where(*campaign).cte("shown", recursive=True)
    following = select(func.min(number)).where(*campaign, number > shown.c.id).correlate(shown).scalar_subquery()
    shown = shown.union_all(select(following).where(shown.c.id.is_not(None)))
    sums = select(number, func.sum(PlaySum.plays), func.sum(PlaySum.duration_ms), func.sum(PlaySum.revenue_micros))
    sums = sums.where(*campaign, number.in_(select(shown.c.id)), *_between(PlaySum.quarter_at, whole))
    found = [await session.exec(sums.group_by(number))]
    for end in ends:
        plays: Any = select(
            col(Play.campaign_id), func.count(), func.sum(Play.duration_ms), func.sum(Play.revenue_micros)
        ).where(col(Play.team_id) == team_id, *_between(Play.started_at, end), col(Play.campaign_id).is_not(None))
        found.append(await session.exec(plays.group_by(col(Play.campaign_id))))
    totals: dict[int, Sum] = {}
    for rows in found:
        for campaign_id, *numbers in rows:
            totals[campaign_id] = totals.get(campaign_id, Sum()).plus(Sum(*map(int, numbers)))
    return totals


async def campaigns(session: AsyncSession, team_id: int) -> list[Campaign]:
    return list(
        (await session.exec(select(Campaign).where(col(Campaign.team_id) == team_id).order_by(col(Campaign.id)))).all()
    )


def _of(team_id: int, player_id: int | None) -> tuple[Any, ...]:
    """Plays of the team, or of one player of it. The sum keeps SQLite from the team's index, which it takes otherwise:
    a month of the whole fleet instead of a month of one player."""
    if player_id is None:
        return (col(Play.team_id) == team_id,)
    return col(Play.player_id) == player_id, col(Play.team_id) + 0 == team_id


def _between(column: Any, span: Range) -> tuple[Any, Any]:
    return col(column) >= span[0], col(column) < span[1]


# Single plays


@dataclass(frozen=True, slots=True)
class Proof:
    """A play with the names that its ids have now, None where the thing was deleted."""

    play: Play
    player: str | None
    asset: str | None
    campaign: str | None


Cursor = tuple[int, int]
"""Start and id of a play."""


async def plays(
    session: AsyncSession,
    team_id: int,
    span: Range,
    *,
    limit: int,
    after: Cursor | None = None,
    newest_first: bool = False,
    player_id: int | None = None,
    **ids: int | None,
) -> list[Proof]:
    """Plays that began in the range, in the order of their starts, past the cursor. `ids` are what else they must be
    of: asset_id, layout_id, campaign_id."""
    place = col(Play.started_at), col(Play.id)
    query = (
        select(Play, Player.name, Asset.name, Campaign.name)
        .join(Player, (col(Player.id) == col(Play.player_id)) & (col(Player.team_id) == team_id), isouter=True)
        .join(Asset, (col(Asset.id) == col(Play.asset_id)) & (col(Asset.team_id) == team_id), isouter=True)
        .join(Campaign, col(Campaign.id) == col(Play.campaign_id), isouter=True)
        .where(*_of(team_id, player_id), *_between(Play.started_at, span))
        .order_by(*(column.desc() if newest_first else column for column in place))
        .limit(limit)
    )
    for name, number in ids.items():
        if number is not None:
            query = query.where(getattr(Play, name) == number)
    if after is not None:
        here = tuple_(literal(after[0], BigInteger), literal(after[1], BigInteger))
        query = query.where(tuple_(*place) < here if newest_first else tuple_(*place) > here)
    return [Proof(*row) for row in await session.exec(query)]


# Teams, players and time


async def timezone(session: AsyncSession, team_id: int) -> str:
    """The name of the team's time zone."""
    return (await session.exec(select(Team.timezone).where(col(Team.id) == team_id))).one()


async def online(session: AsyncSession, team_id: int) -> int:
    query = select(func.count()).select_from(PresenceRow)
    return int(
        (await session.exec(query.where(col(PresenceRow.team_id) == team_id, col(PresenceRow.online).is_(True)))).one()
    )


async def downtimes(session: AsyncSession, span: Range) -> list[Range]:
    """When the hub was away; these do not overlap."""
    query = select(Downtime.started_at, Downtime.ended_at).where(
        col(Downtime.started_at) < span[1], col(Downtime.ended_at) > span[0]
    )
    return [(started_at, ended_at) for started_at, ended_at in await session.exec(query)]


@dataclass(frozen=True, slots=True)
class Connected:
    player_id: int
    name: str
    created_at: int
    online_ms: int
    planned_ms: int


async def connected(session: AsyncSession, team_id: int, span: Range) -> list[Connected]:
    """For how long each player of the team was connected within the range, and away as it had said, by id.

    Sessions of a player do not overlap, so of those that began before the range only the last one can reach into it:
    the past before it is not looked at.
    """
    since, until = (literal(at, BigInteger) for at in span)
    last = (
        select(func.max(col(Session.started_at)))
        .where(col(Session.player_id) == col(Player.id), col(Session.started_at) <= since)
        .correlate(Player)
        .scalar_subquery()
    )
    team = (
        select(Player.id, Player.name, Player.created_at, func.coalesce(last, since).label("reach"))
        .where(col(Player.team_id) == team_id)
        .cte("team")
    )
    end = func.coalesce(col(Session.ended_at), until)
    began = case((col(Session.started_at) > since, col(Session.started_at)), else_=since)
    ended = case((end < until, end), else_=until)
    spent = case((col(Session.id).is_not(None) & (ended > began), ended - began), else_=literal(0, BigInteger))
    away = case((col(Session.ended_at) > since, col(Session.ended_at)), else_=since)
    later = aliased(Session)
    back = (
        select(func.min(later.started_at))
        .where(later.player_id == col(Session.player_id), later.started_at >= col(Session.ended_at))
        .correlate(Session)
        .scalar_subquery()
    )
    planned_until: Any = col(Session.ended_at) + case(PLANNED, value=col(Session.reason), else_=0)
    planned_until = case((until < planned_until, until), else_=planned_until)
    planned_until = case((back < planned_until, back), else_=planned_until)
    planned = case(
        (col(Session.reason).in_(PLANNED) & (planned_until > away), planned_until - away), else_=literal(0, BigInteger)
    )
    query: Any = (
        select(  # type: ignore[call-overload]
            team.c.id,
            team.c.name,
            team.c.created_at,
            func.coalesce(func.sum(spent), 0),
            func.coalesce(func.sum(planned), 0),
        )
        .select_from(team)
        .join(
            Session,
            (col(Session.player_id) == team.c.id)
            & (col(Session.started_at) >= team.c.reach)
            & (col(Session.started_at) < until),
            isouter=True,
        )
        .group_by(team.c.id, team.c.name, team.c.created_at)
        .order_by(team.c.id)
    )
    rows = await session.exec(query)
    return [Connected(number, name, made_at, int(spent), int(away)) for number, name, made_at, spent, away in rows]


async def number_of_plays(session: AsyncSession, team_id: int, span: Range) -> int:
    """How many plays there are in the quarters that the range touches."""
    query = select(func.coalesce(func.sum(PlaySum.plays), 0)).where(
        col(PlaySum.team_id) == team_id,
        col(PlaySum.dimension) == "team",
        col(PlaySum.dimension_id) == team_id,
        *_between(PlaySum.quarter_at, (floor(span[0]), span[1])),
    )
    return int((await session.exec(query)).one())
