"""Why a connection ends, and what the player does next: the agent's link acts on this, the reference page tells it."""

from dataclasses import dataclass
from enum import IntEnum


class CloseCode(IntEnum):
    """WebSocket close codes that the hub uses; those from 4000 on are this protocol's own."""

    GOING_AWAY = 1001
    NOT_UTF8 = 1007
    TOO_BIG = 1009
    SERVICE_RESTART = 1012
    PROTOCOL_ERROR = 4000
    REVOKED = 4001
    QUARANTINED = 4003
    HELLO_TIMEOUT = 4008
    REPLACED = 4009
    FLOODING = 4029
    TOO_SLOW = 4130
    DRAIN = 4150


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What the player does after a close.

    `reason` is the phrase sent with the close when nothing more precise is known. `delay_s` is how long to wait before
    the next attempt (spread it a little), None for full-jitter exponential backoff of 1 s to 60 s; `given` says that
    the hub named the delay before (in `drain`), which wins. `loud` asks for a log line that a person will look for: one
    of the two ends has a defect. `pair` asks the player to offer a new pairing, while it plays on and keeps the old
    token until that succeeds: a hub restored from a backup must not unpair a fleet.
    """

    reason: str
    delay_s: float | None = None
    given: bool = False
    loud: bool = False
    pair: bool = False


REACTIONS: dict[CloseCode, Reaction] = {
    CloseCode.GOING_AWAY: Reaction(reason="going away"),
    CloseCode.NOT_UTF8: Reaction(reason="text is not UTF-8", loud=True),
    CloseCode.TOO_BIG: Reaction(reason="message too big", loud=True),
    CloseCode.SERVICE_RESTART: Reaction(reason="service restart"),
    CloseCode.PROTOCOL_ERROR: Reaction(reason="protocol error", loud=True),
    CloseCode.REVOKED: Reaction(reason="token revoked or player deleted", delay_s=600, pair=True),
    CloseCode.QUARANTINED: Reaction(reason="quarantined", delay_s=300),
    CloseCode.HELLO_TIMEOUT: Reaction(reason="no hello in time"),
    CloseCode.REPLACED: Reaction(reason="replaced by a newer connection", delay_s=60),
    CloseCode.FLOODING: Reaction(reason="sending too much", delay_s=60),
    CloseCode.TOO_SLOW: Reaction(reason="too slow to read"),
    CloseCode.DRAIN: Reaction(reason="draining", given=True),
}

LOST = Reaction(reason="connection lost")
"""A connection that ended in any other way: no close frame, or a code that is not in the table."""


def reaction_to(code: int | None) -> Reaction:
    """What to do after a close with this code; None when there was no close frame."""
    try:
        return REACTIONS[CloseCode(code)] if code is not None else LOST
    except ValueError:
        return LOST


def reaction_to_refusal(status: int) -> Reaction:
    """What to do when the upgrade was refused with this HTTP status. A `Retry-After` header wins over `delay_s`."""
    if status == 401:
        return REACTIONS[CloseCode.REVOKED]
    if status == 403:
        return REACTIONS[CloseCode.QUARANTINED]
    return LOST
