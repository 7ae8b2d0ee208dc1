"""Incidents in the database. Each change of state is one conditional update, followed by its event and its mail in the
same transaction, so any node may try it and two never open the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import incidents as rules
from hub.domain.access import Actor
from hub.domain.errors import NotFound
from hub.domain.events import Event
from hub.domain.incidents import Begin, Ongoing, Reason, Rule, Step, Watched, words
from hub.domain.timeline import Window
from hub.store import events, mails
from hub.store.statements import Row, Statement, Unit
from hub.store.tables import Incident

_ROW = """id, team_id, rule_id, player_id, rule_name, kind, severity, name, screen_id, title, message, measured, status,
    acknowledged_at"""
_CONDITION = "id, rule_id, player_id, kind, name, status, began_at, due_at"
_ONGOING = Statement(f"""
    SELECT {_CONDITION} FROM incident
    WHERE player_id = :player_id AND over_at IS NULL""")
_ONGOING_OF_TEAM = Statement(f"""
    SELECT {_CONDITION} FROM incident
    WHERE player_id = 0 AND rule_id = :rule_id AND over_at IS NULL""")
_BEGIN = Statement(f"""
    INSERT INTO incident (team_id, rule_id, player_id, rule_name, kind, severity, name, screen_id, title, message,
                          measured, status, began_at, due_at, opened_at)
    SELECT r.team_id, r.id, CAST(:player_id AS BIGINT), r.name, r.kind, r.severity, CAST(:name AS VARCHAR),
           CAST(:screen_id AS VARCHAR), CAST(:title AS VARCHAR), CAST(:message AS VARCHAR), CAST(:measured AS VARCHAR),
           CAST(:status AS VARCHAR), CAST(:began_at AS BIGINT), CAST(:due_at AS BIGINT), CAST(:opened_at AS BIGINT)
    FROM alert_rule r WHERE r.id = :rule_id AND r.enabled
    ON CONFLICT DO NOTHING RETURNING {_ROW}""")
_OPEN = Statement(f"""
    UPDATE incident SET status = 'open', opened_at = :now, due_at = NULL, title = COALESCE(:title, title),
           message = COALESCE(:message, message), measured = COALESCE(:measured, measured)
    WHERE id = :id AND status = 'pending' RETURNING {_ROW}""")
_WAIT = Statement("UPDATE incident SET due_at = :due_at WHERE id = :id AND status = 'pending'")
_FORGET = Statement("DELETE FROM incident WHERE id = :id AND status = 'pending' RETURNING id")
_ACKNOWLEDGE = Statement(f"""
    UPDATE incident SET status = 'acknowledged', acknowledged_at = :now, acknowledged_by = :who,
           acknowledged_note = :note
    WHERE id = :id AND team_id = :team_id AND status = 'open' RETURNING {_ROW}""")
_RESOLVE = Statement(f"""
    UPDATE incident SET status = 'resolved', reason = :reason, resolved_at = CAST(:now AS BIGINT), resolved_by = :who,
           resolved_note = :note, over_at = CAST(:over_at AS BIGINT)
    WHERE id = :id AND status IN ('open', 'acknowledged') RETURNING {_ROW}""")
_OVER = Statement("UPDATE incident SET over_at = :now WHERE id = :id AND over_at IS NULL AND status = 'resolved'")
_TAKE_PLACE = Statement("""
    UPDATE meta SET value = :after WHERE name = 'watched_event' AND value = :before RETURNING name""")


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that a device noticed, with all that is needed to judge it."""

    rules: Sequence[Rule]
    player: Watched
    event: str
    at: int
    detail: Mapping[str, Any]


def settle(rules_of_team: Sequence[Rule], player: Watched, blind: Sequence[Window], now: int) -> Unit:
    """Unit: judge one player, and do what follows. Answers whether others may hear of it."""
    ongoing = [_ongoing(row) for row in (yield _ONGOING(player_id=player.id))]
    said = False
    for step in rules.judge(rules_of_team, player, ongoing, now, blind):
        said |= yield from _do(step, player, now)
    return said


def settle_failures(rule: Rule, finished: int, failed: int, now: int) -> Unit:
    """Unit: judge how a team's latest commands ended, and do what follows. Answers whether others may hear of it."""
    ongoing = [_ongoing(row) for row in (yield _ONGOING_OF_TEAM(rule_id=rule.id))]
    said = False
    for step in rules.failures(rule, ongoing[0] if ongoing else None, finished, failed, now):
        said |= yield from _do(step, None, now)
    return said


def hear(before: int, after: int, noticed: Sequence[Noticed], now: int) -> Unit:
    """Unit: what devices noticed between two places of the log, in its order. The place moves on with what follows, so
    nothing is heard twice and nothing is missed. Answers the teams that may hear of it; None: another was faster."""
    if not (yield _TAKE_PLACE(before=str(before), after=str(after))):
        return None
    teams: set[int] = set()
    for one in noticed:
        ongoing = [_ongoing(row) for row in (yield _ONGOING(player_id=one.player.id))]
        for step in rules.heard(one.rules, one.player, ongoing, one.event, one.at, one.detail):
            if (yield from _do(step, one.player, now)):
                teams.add(one.player.team_id)
    return teams


def withdraw(incident_id: int, now: int) -> Unit:
    """Unit: nobody watches this any more. Answers whether others may hear of it."""
    return (yield from _end(incident_id, "withdrawn", now))


def acknowledge(team_id: int, incident_id: int, note: str | None, actor: Actor, face: str, now: int) -> Unit:
    """Unit: somebody takes care of it. Answers whether it was open."""
    rows = yield _ACKNOWLEDGE(id=incident_id, team_id=team_id, now=now, who=actor.name, note=note)
    for row in rows:
        yield from events.append(_event("alert.acknowledged", row, now, {"note": note}, actor, face))
    return bool(rows)


def resolve(incident_id: int, note: str | None, actor: Actor, face: str, now: int) -> Unit:
    """Unit: a person says that it is done with; the condition may go on. Answers whether it was not resolved before."""
    rows = yield _RESOLVE(id=incident_id, now=now, reason="resolved", who=actor.name, note=note, over_at=None)
    yield from _cleared(rows, {"reason": "resolved", "note": note}, now, actor, face)
    return bool(rows)


def _do(step: Step, player: Watched | None, now: int) -> Unit:
    """Answers whether others may hear of it."""
    if isinstance(step, Begin):
        return (yield from _begin(step, player, now))
    if step.to == "wait":
        yield _WAIT(id=step.ongoing.id, due_at=step.due_at)
        return False
    if step.to == "open":
        return (yield from _open(step.ongoing, step.measured, now))
    return (yield from _end(step.ongoing.id, "recovered" if step.to == "over" else "withdrawn", now))


def _begin(step: Begin, player: Watched | None, now: int) -> Unit:
    title, message = words(step.rule.kind, player.name if player else None, step.measured)
    pending = step.due_at is not None
    rows = yield _BEGIN(
        rule_id=step.rule.id,
        player_id=player.id if player else 0,
        name=player.name if player else None,
        screen_id=player.screen_id if player else None,
        title=title,
        message=message,
        measured=orjson.dumps(step.measured).decode(),
        status="pending" if pending else "open",
        began_at=step.began_at,
        due_at=step.due_at,
        opened_at=None if pending else now,
    )
    if pending:
        return False
    yield from _opened(rows, now)
    return bool(rows)


def _open(ongoing: Ongoing, measured: Mapping[str, Any], now: int) -> Unit:
    """Without a newer measurement it keeps the words with which it began."""
    title = message = kept = None
    if measured:
        title, message = words(ongoing.kind, ongoing.name, measured)
        kept = orjson.dumps(measured).decode()
    rows = yield _OPEN(id=ongoing.id, now=now, title=title, message=message, measured=kept)
    yield from _opened(rows, now)
    return bool(rows)


def _opened(rows: Sequence[Row], now: int) -> Unit:
    for row in rows:
        yield from events.append(_event("alert.triggered", row, now, {}))
        yield from mails.opened(row["id"], row["rule_id"], now)


def _end(incident_id: int, reason: Reason, now: int) -> Unit:
    """The condition is over, or not watched any more."""
    if (yield _FORGET(id=incident_id)):
        return False
    rows = yield _RESOLVE(id=incident_id, now=now, reason=reason, who=None, note=None, over_at=now)
    yield from _cleared(rows, {"reason": reason}, now)
    if not rows:
        yield _OVER(id=incident_id, now=now)
    return bool(rows)


def _cleared(
    rows: Sequence[Row], more: Mapping[str, Any], now: int, actor: Actor | None = None, face: str | None = None
) -> Unit:
    for row in rows:
        yield from events.append(_event("alert.cleared", row, now, more, actor, face))
        yield from mails.resolved(row["id"], now)


def _event(
    kind: str, row: Row, now: int, more: Mapping[str, Any], actor: Actor | None = None, face: str | None = None
) -> Event:
    player_id = row["player_id"] or None
    data = {
        "incident_id": row["id"],
        "rule_id": row["rule_id"],
        "kind": row["kind"],
        "severity": row["severity"],
        "title": row["title"],
        "message": row["message"],
        "player_id": player_id,
        "name": row["name"],
        "screen_id": row["screen_id"],
        "measured": orjson.loads(row["measured"]),
        **more,
    }
    return Event(kind, row["team_id"], now, data, player_id=player_id, actor=actor, face=face)


def _ongoing(row: Row) -> Ongoing:
    return Ongoing(**{name: row[name] for name in _CONDITION.split(", ")})


# For people and for the watch ----------------------------------------------------------------------------------------


async def get(session: AsyncSession, team_id: int, incident_id: int) -> Incident:
    """Raises NotFound; also for what is not an incident yet."""
    query = select(Incident).where(*_shown(team_id), col(Incident.id) == incident_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def find(
    session: AsyncSession,
    team_id: int,
    *,
    status: str | None,
    player_id: int | None,
    rule_id: int | None,
    offset: int,
    limit: int,
) -> tuple[list[Incident], int]:
    """(incidents, newest first; how many there are in all)."""
    conditions = _shown(team_id)
    for column, wanted in ((Incident.status, status), (Incident.player_id, player_id), (Incident.rule_id, rule_id)):
        if wanted is not None:
            conditions.append(col(column) == wanted)
    query = select(Incident).where(*conditions).order_by(col(Incident.id).desc()).offset(offset).limit(limit)
    total = select(func.count()).select_from(Incident).where(*conditions)
    return list((await session.exec(query)).all()), int((await session.exec(total)).one())


def _shown(team_id: int) -> list[Any]:
    return [col(Incident.team_id) == team_id, col(Incident.status) != "pending"]
