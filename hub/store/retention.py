"""Forgetting on purpose: what the settings no longer keep, in small bites so that nobody waits for it."""

from hub.domain import ids
from hub.store.events import FLOOR
from hub.store.statements import Statement, Unit

BITE = 1_000  # rows a transaction

_FORGET = {
    "commands": Statement("""
        DELETE FROM command WHERE id IN (
            SELECT id FROM command WHERE id < :before_id AND state NOT IN ('held', 'queued', 'sent', 'acked')
            ORDER BY id LIMIT :limit)
        RETURNING id"""),
    "batches": Statement("""
        DELETE FROM batch WHERE id IN (
            SELECT id FROM batch
            WHERE id < :before_id AND NOT EXISTS (SELECT 1 FROM command WHERE command.batch_id = batch.id)
            ORDER BY id LIMIT :limit)
        RETURNING id"""),
    "sessions": Statement("""
        DELETE FROM player_session WHERE id IN (
            SELECT id FROM player_session WHERE id < :before_id AND ended_at IS NOT NULL ORDER BY id LIMIT :limit)
        RETURNING id"""),
    "events": Statement("""
        DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < :before ORDER BY at LIMIT :limit)
        RETURNING id"""),
    "plays": Statement("""
        DELETE FROM play WHERE id IN (
            SELECT id FROM (SELECT id, stored_at FROM play ORDER BY id LIMIT :limit) AS oldest
            WHERE stored_at < :before)
        RETURNING id"""),  # stored in the order of their ids: no second index
    "play sums": Statement("""
        DELETE FROM play_sum WHERE (team_id, dimension, dimension_id, quarter_at) IN (
            SELECT team_id, dimension, dimension_id, quarter_at FROM play_sum
            WHERE quarter_at < :before ORDER BY quarter_at LIMIT :limit)
        RETURNING quarter_at"""),
    "downtimes": Statement("""
        DELETE FROM hub_downtime WHERE id IN (
            SELECT id FROM hub_downtime WHERE started_at < :before ORDER BY started_at LIMIT :limit)
        RETURNING id"""),
    "incidents": Statement("""
        DELETE FROM incident WHERE id IN (
            SELECT id FROM incident WHERE over_at < :before ORDER BY over_at LIMIT :limit)
        RETURNING id"""),  # one that a person has resolved stays while its condition goes on
    "cap messages": Statement("""
        DELETE FROM cap_message WHERE (team_id, source) IN (
            SELECT team_id, source FROM cap_message WHERE settled_at < :before ORDER BY settled_at LIMIT :limit)
        RETURNING source"""),
    "daily counts": Statement("""
        DELETE FROM daily_count WHERE (kind, subject_id) IN (
            SELECT kind, subject_id FROM daily_count WHERE day_at < :before ORDER BY day_at LIMIT :limit)
        RETURNING subject_id"""),
    "idempotency keys": Statement("""
        DELETE FROM idempotency_key WHERE (team_id, key) IN (
            SELECT team_id, key FROM idempotency_key WHERE created_at < :before LIMIT :limit)
        RETURNING key"""),
}
_PREFIXES = {
    "commands": "cmd_",
    "batches": "bat_",
    "sessions": "ses_",
}  # their ids hold the time they were made: no second index
KINDS = tuple(_FORGET)


_RAISE_FLOOR = Statement("""
    INSERT INTO meta (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    WHERE CAST(meta.value AS BIGINT) < CAST(excluded.value AS BIGINT)""")


def forget(kind: str, before: int) -> Unit:
    """Unit: remove up to BITE rows of `kind` (one of KINDS) older than `before`. Answers whether there may be more. Of
    events it keeps in mind up to which number some are missing, for readers that come back with an old cursor."""
    prefix = _PREFIXES.get(kind)
    if prefix is None:
        rows = yield _FORGET[kind](before=before, limit=BITE)
    else:
        rows = yield _FORGET[kind](before_id=ids.earliest(prefix, before), limit=BITE)
    if kind == "events" and rows:
        yield _RAISE_FLOOR(name=FLOOR, value=str(max(row["id"] for row in rows)))
    return len(rows) == BITE
