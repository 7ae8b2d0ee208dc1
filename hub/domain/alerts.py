"""Emergency alerts: how severe they are, where each stands, and what a screen is told of one.

scheduled --its time has come--> live --its end, or somebody clears it--> over
    └──────────────────────somebody clears it, or its end was missed──────┘
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["extreme", "severe", "moderate", "minor", "unknown"]
SEVERITIES: tuple[Severity, ...] = ("extreme", "severe", "moderate", "minor", "unknown")
"""The words of the Common Alerting Protocol (CAP 1.2), the gravest first."""

State = Literal["scheduled", "live", "over"]


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert as a player is told of it. `ends_at` is in Unix ms; None: until it is cleared."""

    id: int
    title: str
    message: str
    severity: str
    triggered_at: int
    ends_at: int | None


class SourcePart(NamedTuple):
    """What of a message from outside an alert shows. `source` names the message, `part` what of it."""

    source: str
    part: str


@dataclass(frozen=True, slots=True)
class Doing:
    """What is done for a part of a message, and the messages of which it takes the place."""

    part: SourcePart
    replaces: tuple[str, ...] = ()


class Replaced(Exception):
    """The message that asks for this is settled: another has taken its place, or it was done whole."""


def state(triggered_at: int | None, cleared_at: int | None) -> State:
    if cleared_at is not None:
        return "over"
    return "scheduled" if triggered_at is None else "live"


def order(alert: Raised) -> tuple[int, int, int]:
    """Sorts the gravest first, and of equals the newest."""
    return SEVERITIES.index(alert.severity), -alert.triggered_at, -alert.id
