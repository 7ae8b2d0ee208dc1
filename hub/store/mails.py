"""Mail about incidents. A row is made with the change that it tells of, and is the only queue.

A row under way is leased: `next_at` is moved to the lease's end, so that whoever took it and died is succeeded; its
outcome is written only while the lease is still that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import orjson
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import TooMany
from hub.domain.mails import Mail
from hub.domain.pairing import Allowance
from hub.domain.quotas import Quotas, exceeded
from hub.domain.times import HOUR
from hub.store.pairing import Spending, spend
from hub.store.quotas import plan_of
from hub.store.statements import Row, Statement, Unit
from hub.store.tables import IncidentMail

MAILS_AN_HOUR = 100  # of one rule: when a whole fleet is away, nobody reads more, and servers take the sender for spam

_EMAILS = Statement("SELECT emails FROM alert_rule WHERE id = :rule_id")
_LATELY = Statement("""
    SELECT COUNT(*) AS number FROM incident_mail
    WHERE rule_id = :rule_id AND created_at > :since AND about = 'opened' AND state <> 'withheld'""")
_OPENED = Statement("""
    INSERT INTO incident_mail (incident_id, rule_id, address, about, state, attempts, created_at, next_at, last_error)
    VALUES (:incident_id, :rule_id, :address, 'opened', :state, 0, :now, :next_at, :error)""")
_RESOLVED = Statement("""
    INSERT INTO incident_mail (incident_id, rule_id, address, about, state, attempts, created_at, next_at)
    SELECT incident_id, rule_id, address, 'resolved', 'pending', 0, CAST(:now AS BIGINT), CAST(:now AS BIGINT)
    FROM incident_mail WHERE incident_id = :incident_id AND about = 'opened' AND state IN ('pending', 'sent')""")
_CLAIM = Statement("""
    UPDATE incident_mail SET next_at = :until
    WHERE next_at <= :now AND id IN (
        SELECT m.id FROM incident_mail m
        WHERE m.next_at <= :now AND NOT EXISTS (
            SELECT 1 FROM incident_mail e
            WHERE e.incident_id = m.incident_id AND e.address = m.address AND e.id < m.id AND e.next_at IS NOT NULL)
        ORDER BY m.next_at, m.id LIMIT :room)
    RETURNING id""")
_READ = Statement("""
    SELECT m.id, m.address, m.about, m.created_at, m.attempts, m.incident_id, i.team_id, i.rule_name, i.severity,
           i.title, i.message, i.player_id, i.name, i.opened_at, i.resolved_at, i.resolved_by, i.resolved_note, i.reason
    FROM incident_mail m JOIN incident i ON i.id = m.incident_id WHERE m.id = :id""")
_WITHHOLD = Statement("""
    UPDATE incident_mail SET state = 'withheld', next_at = NULL, last_error = :error WHERE id = :id""")
_SETTLE = Statement("""
    UPDATE incident_mail SET state = :state, attempts = attempts + 1, next_at = :next_at, sent_at = :sent_at,
           last_error = :error
    WHERE id = :id AND next_at = :until""")
_RELEASE = Statement("UPDATE incident_mail SET next_at = :now WHERE id = :id AND next_at = :until")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A mail that is ours until `until`; `attempts` were made before."""

    mail: Mail
    attempts: int
    until: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What came of an attempt: `sent`, `pending` (again at `next_at`) or `failed`, and the error in words."""

    id: int
    until: int
    state: str
    next_at: int | None
    error: str | None


def opened(incident_id: int, rule_id: int, now: int) -> Unit:
    """Unit: the mail of an incident that has opened, to the addresses of its rule."""
    found = yield _EMAILS(rule_id=rule_id)
    addresses = orjson.loads(found[0]["emails"]) if found else []
    if not addresses:
        return
    lately = (yield _LATELY(rule_id=rule_id, since=now - HOUR))[0]["number"]
    for number, address in enumerate(addresses, lately + 1):
        withheld = number > MAILS_AN_HOUR
        yield _OPENED(
            incident_id=incident_id,
            rule_id=rule_id,
            address=address,
            state="withheld" if withheld else "pending",
            now=now,
            next_at=None if withheld else now,
            error=f"The rule has had {MAILS_AN_HOUR} mails within an hour." if withheld else None,
        )


def resolved(incident_id: int, now: int) -> Unit:
    """Unit: who was told that it began, is told that it is over."""
    yield _RESOLVED(incident_id=incident_id, now=now)


def claim(now: int, until: int, room: int, quotas: Quotas) -> Unit:
    """Unit: take mail that is due, at most `room`, oldest first; of one incident to one address never the second before
    the first has its fate. What is over a team's quota is withheld. Answers (`Claimed` rows, whether there may be
    more)."""
    taken = yield _CLAIM(now=now, until=until, room=room)
    claimed: list[Claimed] = []
    for mail_id in sorted(row["id"] for row in taken):
        for row in (yield _READ(id=mail_id)):
            refusal = None if row["attempts"] else (yield from _over_quota(row["team_id"], quotas, now))
            if refusal is None:
                claimed.append(_claimed(row, until))
            else:
                yield _WITHHOLD(id=mail_id, error=refusal)
    return claimed, len(taken) == room


def _over_quota(team_id: int, quotas: Quotas, now: int) -> Unit:
    """Count one more mail of the team. Answers why it may not be sent, or None. After a pause a whole hour's mails may
    go at once."""
    plan = yield from plan_of(team_id)
    limit = quotas.limit("mails_per_hour", plan)
    try:
        if limit == 0:
            raise TooMany
        yield from spend([Spending(f"mails of team {team_id}", Allowance(HOUR // limit, limit))], now)
    except TooMany:
        return exceeded("mails_per_hour", plan, limit).message
    return None


def settle(fates: Sequence[Fate], now: int) -> Unit:
    """Unit: write down what came of attempts. A lease that has passed to another changes nothing."""
    for fate in fates:
        yield _SETTLE(
            id=fate.id,
            until=fate.until,
            state=fate.state,
            next_at=fate.next_at,
            sent_at=now if fate.state == "sent" else None,
            error=fate.error,
        )


def release(claimed: Sequence[Claimed], now: int) -> Unit:
    """Unit: give back what was taken and not tried."""
    for one in claimed:
        yield _RELEASE(id=one.mail.id, until=one.until, now=now)


async def of_incidents(session: AsyncSession, incident_ids: Sequence[int]) -> dict[int, list[IncidentMail]]:
    """By incident, the oldest first."""
    found: dict[int, list[IncidentMail]] = {incident_id: [] for incident_id in incident_ids}
    query = select(IncidentMail).where(col(IncidentMail.incident_id).in_(incident_ids)).order_by(col(IncidentMail.id))
    for mail in await session.exec(query):
        found[mail.incident_id].append(mail)
    return found


def _claimed(row: Row, until: int) -> Claimed:
    values = {field.name: row[field.name] for field in fields(Mail)}
    return Claimed(Mail(**values | {"player_id": row["player_id"] or None}), row["attempts"], until)
