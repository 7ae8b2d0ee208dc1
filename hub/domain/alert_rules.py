"""What a rule may say: the thresholds of each kind, and their limits."""

from collections.abc import Mapping
from typing import Any, Final

from hub.domain.errors import Invalid

MAX_EMAILS: Final = 20  # of a rule; more people than that are a list that the mail server keeps
MAX_MINUTES: Final = 7 * 24 * 60

THRESHOLDS: Final[Mapping[str, tuple[str, ...]]] = {
    "player_offline": ("offline_minutes",),
    "storage_low": ("free_mb", "free_percent"),
    "temperature_high": ("celsius",),
    "clock_skewed": ("seconds",),
    "picture_black": (),
    "picture_frozen": (),
    "command_failures": ("window_minutes", "min_commands", "failed_percent"),
}
"""By kind. All are needed; of `storage_low` one."""
NAMES: Final = tuple(name for names in THRESHOLDS.values() for name in names)


def checked_thresholds(
    kind: str, given: Mapping[str, float], before: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The thresholds of a rule: those given, else those of before. Raises Invalid with the field named."""
    known = THRESHOLDS[kind]
    for name in given:
        if name not in known:
            raise Invalid.field(name, f"is none of a rule of kind {kind}")
    if kind == "storage_low":
        found = dict(given or before or {})
        if len(found) != 1:
            raise Invalid.field("free_mb", "must be there, or free_percent, but not both")
        return found
    found = {**(before or {}), **given}
    for name in known:
        if name not in found:
            raise Invalid.field(name, f"is required for a rule of kind {kind}")
    return found


def check_rule(kind: str, *, for_minutes: int, everyone: bool, targets: Mapping[str, Any]) -> None:
    """Raises Invalid for what does not go together."""
    named = any(targets.values())
    if kind == "player_offline" and for_minutes:
        raise Invalid.field("for_minutes", "is none of a rule of kind player_offline, which has offline_minutes")
    if kind == "command_failures" and not everyone:
        raise Invalid.field("everyone", "must be true for a rule of kind command_failures")
    if everyone and named:
        raise Invalid.field("everyone", "must not come with player_ids, group_ids or location_ids")
    if not everyone and not named:
        raise Invalid.field("everyone", "must be true where there are no player_ids, group_ids or location_ids")
