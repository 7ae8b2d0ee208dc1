"""What was played and how long players were there: proof of play comes in, sums go out.

Ranges are Unix ms, half open. Numbers are exact to the millisecond as far back as single plays are kept; before that a
range that begins or ends within a quarter of an hour is taken to the whole quarter.
"""

import logging
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from hub.domain.access import Actor
from hub.domain.analytics import (
    EARLY_MS,
    LAST,
    MICROS,
    PLAYS_A_DAY,
    Dimension,
    Granularity,
    Range,
    Showing,
    Spent,
    Sum,
    by_period,
    periods,
    seconds,
    spent,
    split,
    within,
)
from hub.domain.errors import Invalid
from hub.domain.playback import checked_zone_name
from hub.domain.quotas import Quotas
from hub.domain.times import DAY, now_ms, rfc3339
from hub.store import analytics as store
from hub.store.database import Database

log = logging.getLogger(__name__)

PERIODS_LIMIT = 10_000  # an answer of half a megabyte: a year of hours, or 27 years of days
BEAT_S = 15.0  # between signs of life of the hub


class Analytics:
    """`plays_days`: how long single plays are kept, and how old a new one may be. `counted` is told how many plays
    were stored, repeated (known already) or dropped (they cannot have
    been, or are too many)."""

    def __init__(
        self,
        db: Database,
        node: str,
        plays_days: int,
        counted: Callable[[str, int], None] = lambda outcome, number: None,
        *,
        quotas: Quotas | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._node = node
        self._kept_ms = plays_days * DAY
        self._counted = counted
        self._quotas = quotas or Quotas()
        self._clock = clock
        self._told: dict[tuple[str, int], int] = {}  # who told too many plays, and the day on which the log said so

    async def record(self, player_id: int, team_id: int, showings: Sequence[Showing]) -> dict[str, int]:
        """Take over proof of play: on return it is on the disk. What was told before, and what is older than plays are
        kept, more than a day in the future or longer than the time since it began, is taken over and not counted; nor
        is what is beyond PLAYS_A_DAY of the day on which it began, or beyond the team's quota of that day.

        Answers {"stored", "repeated", "dropped"}. Raises Unavailable.
        """
        now = self._clock()
        sane = [one for one in showings if one.started_at >= now - self._kept_ms and one.can_be(now)]
        found = store.Recorded()
        if sane:
            found = await self._db.write(store.record, player_id, team_id, sane, now, self._quotas, key=player_id)
        if found.beyond_player and self._is_news(("player", player_id), now):
            log.warning(
                "player %d tells of more than %d plays in one day; the others are dropped", player_id, PLAYS_A_DAY
            )
        if found.beyond_team and self._is_news(("team", team_id), now):
            log.warning("team %d is over its quota plays_per_day; plays beyond it are dropped", team_id)
        beyond = found.beyond_player + found.beyond_team
        known = len(sane) - found.stored - beyond
        outcome = {"stored": found.stored, "repeated": known, "dropped": len(showings) - len(sane) + beyond}
        for name, number in outcome.items():
            if number:
                self._counted(name, number)
        return outcome

    def _is_news(self, who: tuple[str, int], now: int) -> bool:
        """Whether the log has not said it today."""
        said, self._told[who] = self._told.get(who), now // DAY
        return said != now // DAY

    async def beat(self) -> None:
        """The hub lives. Where it did not for more than a minute, that time is unknown in the uptime of players."""
        await self._db.write(store.beat, self._node, self._clock())

    async def summary(self, actor: Actor, *, timezone: str | None = None) -> dict[str, Any]:
        """Players online now, plays since midnight in the zone (None: the team's), mean uptime of the last 24 hours."""
        actor.require("read:analytics")
        now = self._clock()
        async with self._db.session() as session:
            zone = await self._zone(session, actor.team_id, timezone)
            today, tomorrow = islice(periods(now, LAST, "day", zone), 2)
            sums = await store.quarters(session, actor.team_id, "team", actor.team_id, (today, tomorrow))
            active = await store.online(session, actor.team_id)
            times = await self._times(session, actor.team_id, (now - DAY, now))
        known = [uptime for _, _, one in times if (uptime := one.uptime) is not None]
        return {
            "active_players": active,
            "plays_today": sum(one.plays for _, one in sums),
            "average_uptime": round(100 * sum(known) / len(known), 1) if known else 0.0,
        }

    async def playback(
        self,
        actor: Actor,
        span: Range,
        *,
        player_id: int | None = None,
        layout_id: int | None = None,
        granularity: Granularity = "day",
        timezone: str | None = None,
    ) -> list[dict[str, Any]]:
        """Plays of each period of the range, those without any too, up to where no play can lie yet. Raises Invalid
        (`timezone`, `granularity`)."""
        actor.require("read:analytics")
        span = span[0], max(span[0], min(span[1], self._clock() + EARLY_MS))
        async with self._db.session() as session:
            zone = await self._zone(session, actor.team_id, timezone)
            starts = list(islice(periods(*span, granularity, zone), PERIODS_LIMIT + 1))
            if len(starts) > PERIODS_LIMIT:
                text = f"makes more than {PERIODS_LIMIT:,} periods of this range; take longer ones or a shorter range"
                raise Invalid.field("granularity", text)
            quarters = await self._quarters(session, actor.team_id, span, player_id, layout_id)
        return [
            {"period": rfc3339(start), "plays": one.plays, "duration_seconds": seconds(one.duration_ms)}
            for start, one in zip(starts, by_period(starts, quarters), strict=True)
        ]

    async def uptime(self, actor: Actor, span: Range) -> list[dict[str, Any]]:
        """How each player of the team spent the part of the range in which it existed and that is over by now."""
        actor.require("read:analytics")
        async with self._db.session() as session:
            times = await self._times(session, actor.team_id, span)
        answer = []
        for player_id, name, one in times:
            online, offline, unknown = one.percent()
            answer.append(
                {
                    "player_id": player_id,
                    "name": name,
                    "online_percentage": online,
                    "offline_percentage": offline,
                    "unknown_percentage": unknown,
                }
            )
        return answer

    async def impressions(self, actor: Actor, span: Range, *, campaign_id: int | None = None) -> dict[str, Any]:
        """Showings of each campaign and what they earned, at the prices of their times. Campaigns without any are
        listed too, and deleted ones that were shown, without a name."""
        actor.require("read:analytics")
        async with self._db.session() as session:
            campaigns = {one.id: one for one in await store.campaigns(session, actor.team_id)}
            sums = await store.by_campaign(session, actor.team_id, *self._split(span))
        data: list[dict[str, Any]] = []
        revenue: dict[str | None, int] = {}
        for number in sorted({id for id in campaigns if id is not None} | sums.keys()):
            if campaign_id not in (None, number):
                continue
            campaign, one = campaigns.get(number), sums.get(number, Sum())
            currency = campaign.currency if campaign else None
            revenue[currency] = revenue.get(currency, 0) + one.revenue_micros
            data.append(
                {
                    "campaign_id": number,
                    "campaign": campaign.name if campaign else None,
                    "impressions": one.plays,
                    "revenue": one.revenue_micros / MICROS,
                    "currency": currency,
                }
            )
        totals = {
            "impressions": sum(row["impressions"] for row in data),
            "revenue": sum(revenue.values()) / MICROS,
            "by_currency": [{"currency": name, "revenue": micros / MICROS} for name, micros in revenue.items()],
        }
        return {"data": data, "totals": totals}

    async def plays(
        self, actor: Actor, span: Range, *, before: store.Cursor | None = None, limit: int = 100, **ids: int | None
    ) -> tuple[list[dict[str, Any]], store.Cursor | None]:
        """Single plays of the range, newest first, and the cursor of the following page. `ids`: player_id, asset_id,
        layout_id, campaign_id."""
        actor.require("read:analytics")
        async with self._db.session() as session:
            proofs = await store.plays(
                session, actor.team_id, span, limit=limit + 1, after=before, newest_first=True, **ids
            )
        shown = proofs[:limit]
        last = shown[-1].play if len(proofs) > limit else None
        return [describe_play(proof) for proof in shown], (last.started_at, last.id or 0) if last else None

    # ------------------------------------------------------------------------------------------------------------------

    async def _zone(self, session: Any, team_id: int, name: str | None) -> ZoneInfo:
        return ZoneInfo(checked_zone_name(name) if name else await store.timezone(session, team_id))

    def _split(self, span: Range) -> tuple[Range, list[Range]]:
        return split(*span, self._clock() - self._kept_ms)

    async def _quarters(
        self, session: Any, team_id: int, span: Range, player_id: int | None, layout_id: int | None
    ) -> list[tuple[int, Sum]]:
        """Sums in order. Nobody keeps sums of a layout on one player, so those are counted."""
        which = {"player_id": player_id, "layout_id": layout_id}
        if player_id is not None and layout_id is not None:
            return await store.counted(session, team_id, span, **which)
        dimension: Dimension = "player" if player_id else "layout" if layout_id else "team"
        whole, ends = self._split(span)
        found = await store.quarters(session, team_id, dimension, player_id or layout_id or team_id, whole)
        for end in ends:
            found += await store.counted(session, team_id, end, **which)
        return sorted(found)

    async def _times(self, session: Any, team_id: int, span: Range) -> list[tuple[int, str, Spent]]:
        """(player id, name, how it spent its time) of each player."""
        since, until = span[0], min(span[1], self._clock())
        downtimes = await store.downtimes(session, (since, until))
        times = []
        for one in await store.connected(session, team_id, (since, max(since, until))):
            there = max(since, one.created_at)
            uncounted = within(downtimes, there, until) + one.planned_ms
            times.append((one.player_id, one.name, spent(until - there, one.online_ms, uncounted)))
        return times


def describe_play(proof: store.Proof) -> dict[str, Any]:
    play = proof.play
    return {
        "id": play.id,
        "started_at": rfc3339(play.started_at),
        "duration_seconds": seconds(play.duration_ms),
        "completed": play.completed,
        "player_id": play.player_id,
        "player": proof.player,
        "asset_id": play.asset_id,
        "asset": proof.asset,
        "playlist_id": play.playlist_id,
        "layout_id": play.layout_id,
        "schedule_id": play.schedule_id,
        "campaign_id": play.campaign_id,
        "campaign": proof.campaign,
    }
