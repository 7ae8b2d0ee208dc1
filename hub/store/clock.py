"""After the clock was ahead: rows hold times that have not come, and what waits for those would wait as long as the
clock was wrong. A time is one of that clock's when it lies further ahead than its rule ever looks; what has happened
in the future has happened now. Rows that are under way keep their lease: their own end settles them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import pairing, polling
from hub.domain.presence import FLAP_WINDOW
from hub.domain.times import CLOCK_SLACK, MINUTE, SECOND
from hub.store.statements import Statement, Unit
from hub.store.tables import Meta

# What has happened. The bound is `latest`: now, and as much as clocks differ.
_HAPPENED = [
    Statement("UPDATE presence SET since = :now WHERE since > :latest"),
    Statement("UPDATE player_status SET last_seen_at = :now WHERE last_seen_at > :latest"),
    Statement("UPDATE player_status SET telemetry_at = :now WHERE telemetry_at > :latest"),
    Statement("UPDATE polling_device SET seen_at = :now WHERE seen_at > :latest"),
    Statement("UPDATE alert_rule SET watches_since = :now, version = version + 1 WHERE watches_since > :latest"),
    Statement("""
        UPDATE incident SET began_at = :now, due_at = due_at - began_at + CAST(:now AS BIGINT)
        WHERE over_at IS NULL AND began_at > :latest"""),
    Statement("""
        UPDATE alert SET starts_at = :now
        WHERE triggered_at IS NULL AND cleared_at IS NULL AND starts_at <= created_at AND starts_at > :latest"""),
    Statement("UPDATE alert SET triggered_at = :now WHERE cleared_at IS NULL AND triggered_at > :latest"),
    # What was handed over has its deadline at the player; what was not has as long as it was given.
    Statement("""
        UPDATE command SET created_at = :now, expires_at = expires_at - created_at + CAST(:now AS BIGINT),
               due_at = due_at - created_at + CAST(:now AS BIGINT)
        WHERE due_at > :latest AND created_at > :latest AND state = 'queued'"""),
    # One that was never tried is due with its event; a retry was set after a try.
    Statement("""
        UPDATE delivery SET next_at = :now
        WHERE next_at > :latest AND taken_by IS NULL AND (attempts = 0 OR last_at > :latest)"""),
]
# What is to come: each with how far its rule looks ahead.
_DELIVERIES = Statement("UPDATE delivery SET next_at = :now WHERE next_at > :latest AND taken_by IS NULL")
_MAILS = Statement("UPDATE incident_mail SET next_at = :now WHERE attempts = :attempts AND next_at > :latest")
_EXPORTS = Statement("UPDATE export SET claimed_until = NULL WHERE state = 'pending' AND claimed_until > :latest")
_BATCHES = Statement("UPDATE batch SET release_at = :now WHERE release_at > :latest")
_GRACES = Statement("""
    UPDATE presence SET offline_due_at = :ends_at, due_at = :ends_at
    WHERE node IS NULL AND offline_due_at > :latest""")
_FLAPPING = Statement("UPDATE presence SET due_at = :now WHERE flapping AND due_at > :latest")
_CODES = Statement("""
    UPDATE pairing SET expires_at = :ends_at WHERE state IN ('pending', 'approved') AND expires_at > :latest""")
_INVITATIONS = Statement("""
    UPDATE pairing SET expires_at = :ends_at WHERE state = 'invited' AND expires_at > :latest""")
_POLLING_CODES = Statement("UPDATE polling_device SET code_expires_at = :ends_at WHERE code_expires_at > :latest")


_KEEP_MARK = Statement("""
    INSERT INTO meta (name, value) VALUES ('clock_mark', :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value""")


async def mark(session: AsyncSession) -> tuple[int, int] | None:
    """(where the wall clock was, ms of running time for which it has been elsewhere), as the last run left it. Of a
    version that did not keep it: when the hub was last alive. None in a new database."""
    kept, alive = await session.get(Meta, "clock_mark"), await session.get(Meta, "alive_at")
    if kept is not None:
        at, stood = kept.value.split()
        return int(at), int(stood)
    return (int(alive.value), 0) if alive is not None else None


def keep_mark(at: int, stood: int) -> Unit:
    """Unit: what `mark` answers from now on."""
    yield _KEEP_MARK(value=f"{at} {stood}")


@dataclass(frozen=True, slots=True)
class Waits:
    """How far ahead times are set, in ms, where settings say it. `mails_ms` is by the number of attempts that were
    made: the lease, or what waits for the next."""

    deliveries_ms: int
    mails_ms: Sequence[int]
    exports_ms: int
    graces_ms: int


def set_right(waits: Waits, now: int) -> Unit:
    """Unit: what waits for a time that only a clock that was ahead can have set is due."""
    latest = now + CLOCK_SLACK
    for statement in _HAPPENED:
        yield statement(now=now, latest=latest)
    yield _DELIVERIES(now=now, latest=latest + waits.deliveries_ms)
    for attempts, wait_ms in enumerate(waits.mails_ms):
        yield _MAILS(now=now, attempts=attempts, latest=latest + wait_ms)
    yield _EXPORTS(latest=latest + waits.exports_ms)
    yield _BATCHES(now=now, latest=latest + MINUTE)  # one command a minute is the slowest pace
    yield _GRACES(ends_at=now + waits.graces_ms, latest=latest + waits.graces_ms)
    yield _FLAPPING(now=now, latest=latest + max(waits.graces_ms, FLAP_WINDOW))
    for statement, life_ms in (
        (_CODES, pairing.LIFETIME_S * SECOND),
        (_INVITATIONS, pairing.INVITATION_S * SECOND),
        (_POLLING_CODES, polling.CODE_LIFETIME),
    ):
        yield statement(ends_at=now + life_ms, latest=latest + life_ms)
