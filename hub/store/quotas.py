"""What teams have of what is counted in the database, and whether more fits. Writers take turns, so that what is
counted in a transaction stays so until its commit: of two that want the last place one gets it."""

from collections.abc import Iterable

from hub.domain.quotas import Quotas
from hub.domain.times import DAY
from hub.store import daily
from hub.store.statements import Statement, Unit

_PLAN = Statement("SELECT plan FROM team WHERE id = :team_id")


def _parts(table: str, whole: str) -> Statement:
    """Rows of `table`, each of which belongs to a row of `whole`."""
    owner = f"{whole}_id IN (SELECT id FROM {whole} WHERE team_id = :team_id)"
    return Statement(f"SELECT COUNT(*) AS used FROM {table} WHERE {owner}")


def _rows(table: str, more: str = "", what: str = "COUNT(*)") -> Statement:
    return Statement(f"SELECT {what} AS used FROM {table} WHERE team_id = :team_id {more}")


_USED = {
    "players": _rows("player"),
    "groups": _rows("player_group"),
    "members": _rows("users"),
    "api_keys": _rows("api_key", "AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"),
    "oauth_clients": _rows("oauth_client"),
    "webhooks": _rows("webhook"),
    "alert_rules": _rows("alert_rule"),
    "alerts": _rows("alert", "AND cleared_at IS NULL"),
    "licences": _rows("licence"),
    "releases": _rows("app_release"),
    "assets": _rows("asset"),
    "stored_bytes": _rows("stored_file", what="COALESCE(SUM(size), 0)"),
    "folders": _rows("folder"),
    "playlists": _rows("playlist"),
    "playlist_items": _parts("playlist_item", "playlist"),
    "layouts": _rows("layout"),
    "schedules": _rows("schedule"),
    "schedule_targets": _parts("schedule_target", "schedule"),
    "locations": _rows("location"),
    "holidays": _rows("holiday"),
    "campaigns": _rows("campaign"),
    "paced_batches": _rows("batch", "AND release_at IS NOT NULL"),
    "upload_urls": _rows("upload_ticket", "AND asset_id IS NULL AND expires_at > :now"),
    "exports": _rows("export", "AND expires_at > :now"),
    "plays_per_day": _rows(
        "play_sum",
        "AND dimension = 'team' AND dimension_id = :team_id AND quarter_at >= :today AND quarter_at < :tomorrow",
        what="COALESCE(SUM(plays), 0)",
    ),
    "device_events_per_day": Statement(f"""
        SELECT COALESCE(SUM(number), 0) AS used FROM daily_count
        WHERE kind = '{daily.TEAM_EVENTS}' AND subject_id = :team_id AND day_at = :today"""),
    "commands_per_day": Statement(f"""
        SELECT COALESCE(SUM(number), 0) AS used FROM daily_count
        WHERE kind = '{daily.TEAM_COMMANDS}' AND subject_id = :team_id AND day_at = :today"""),
}
COUNTED = frozenset(_USED)
"""The quotas that are counted here."""


def plan_of(team_id: int) -> Unit:
    """Unit: the plan that sets the team's limits."""
    return (yield _PLAN(team_id=team_id))[0]["plan"]


def used(team_id: int, name: str, now: int) -> Unit:
    """Unit: how much the team has of one."""
    today = now - now % DAY
    values = {"team_id": team_id, "now": now, "today": today, "tomorrow": today + DAY}
    statement = _USED[name]
    return int((yield statement(**{key: values[key] for key in statement.names}))[0]["used"])


def usage(team_id: int, names: Iterable[str], now: int) -> Unit:
    """Unit: how much the team has of each."""
    found: dict[str, int] = {}
    for name in names:
        found[name] = yield from used(team_id, name, now)
    return found


def check(quotas: Quotas, team_id: int, name: str, now: int, more: int = 1) -> Unit:
    """Unit: raise the refusal when `more` do not fit. For the transaction that adds them, before it does."""
    plan = yield from plan_of(team_id)
    quotas.check(name, plan, (yield from used(team_id, name, now)), more)


def count_commands(quotas: Quotas, team_id: int, now: int, more: int) -> Unit:
    """Unit: count `more` of `commands_per_day`, or raise the refusal. For the transaction that adds them."""
    name = "commands_per_day"
    plan = yield from plan_of(team_id)
    quotas.check(name, plan, (yield from used(team_id, name, now)), more)  # before anything is written: cheap to refuse
    number = yield from daily.add(daily.TEAM_COMMANDS, team_id, now, more)
    quotas.check(name, plan, number - more, more)  # units that run in step with this one may have read the same number
