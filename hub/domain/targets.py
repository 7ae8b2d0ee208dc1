"""Whom an alert or a rule is for, where it is not for everyone."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

KINDS: Final = ("player", "group", "location")

Targets = Mapping[str, Sequence[int]]
"""Ids by kind."""


def after_changes(before: Targets, changes: Mapping[str, Any]) -> Targets:
    """What is left of the targets when `targets` and `everyone` are changed: those of a kind that is absent stay, and
    none of before with everyone."""
    given: Targets = changes.get("targets", {})
    return given if changes.get("everyone") else {**before, **given}
