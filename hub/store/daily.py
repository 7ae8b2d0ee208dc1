"""How often something has happened, or how much of it, on this day (UTC). A restart forgets none of it."""

from hub.domain.times import DAY
from hub.store.statements import Statement, Unit

_ADD = Statement("""
    INSERT INTO daily_count (kind, subject_id, day_at, number) VALUES (:kind, :subject_id, :day_at, :more)
    ON CONFLICT (kind, subject_id) DO UPDATE
    SET number = excluded.number + CASE WHEN daily_count.day_at = excluded.day_at THEN daily_count.number ELSE 0 END,
        day_at = excluded.day_at
    RETURNING number""")
_NUMBER = Statement("""
    SELECT number FROM daily_count WHERE kind = :kind AND subject_id = :subject_id AND day_at = :day_at""")

PLAYER_EVENTS = "device events of a player"
TEAM_EVENTS = "device events of a team"
TEAM_COMMANDS = "commands of a team"
UPLOADS = "uploads of a player"


def number(kind: str, subject_id: int, now: int) -> Unit:
    """Unit: how often so far on the day of `now`."""
    rows = yield _NUMBER(kind=kind, subject_id=subject_id, day_at=now - now % DAY)
    return int(rows[0]["number"]) if rows else 0


def add(kind: str, subject_id: int, now: int, more: int = 1) -> Unit:
    """Unit: so many more. Answers how many there are with them."""
    rows = yield _ADD(kind=kind, subject_id=subject_id, day_at=now - now % DAY, more=more)
    return int(rows[0]["number"])
