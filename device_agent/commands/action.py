"""What a command is to the runner, and how one says that it did not work."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.protocol.messages import Delivery


class Rejected(Exception):
    """The command is not carried out, and nothing was done: it is unknown here, or its payload makes no sense."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Failed(Exception):
    """It was tried, and did not work; `detail` is what there is to tell anyway."""

    def __init__(self, code: str, message: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Call:
    """One command as its action sees it. `seen` is what `Action.see` returned, now in the journal."""

    id: str
    payload: Mapping[str, Any]
    seen: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """How a command is carried out.

    run       does it and returns the result's `detail`; raises Rejected (before doing anything), Failed, PlayerError or
              SystemFault
    see       what a later look is compared with, journaled before `run`
    settle    after a restart: the detail that proves that it happened, from what was seen; None when nothing does
    lane      commands of one lane run in order; by default each command has its own
    delivery  how the device itself says that this may repeat; by default the hub's word counts
    """

    run: Callable[[Call], Awaitable[dict[str, Any]]]
    see: Callable[[], Awaitable[dict[str, Any]]] | None = None
    settle: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any] | None]] | None = None
    lane: str | None = None
    delivery: Delivery | None = None
