"""Looks now and then at what the player really shows, and tells the hub of a picture that is black or stands still.

    well --looks wrong--> doubted --looks wrong again--> told --looks well--> well, told

Twice, because films are black for a moment and a slow network stops them for one. What was told is remembered: an agent
that is started anew still has to take it back.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

from device_agent.players.base import Look, Player, PlayerError

log = logging.getLogger(__name__)

LOOK_S = 120.0  # between looks: each is a screenshot, half a second of a small board
AGAIN_S = 30.0  # the same while something is wrong
BLACK_BELOW = 4  # of 255, the brightest spot of the picture; black itself comes out as 1
KEPT = "picture"
"""The name under which it is remembered what the hub was told last."""

Fault = Literal["black", "frozen"]


class PictureCheck:
    """`run` until cancelled. `notice` tells the hub, `remember` keeps a value under a name; `told` is what was kept."""

    def __init__(
        self,
        player: Player,
        notice: Callable[[str, dict[str, Any]], None],
        remember: Callable[[str, Any], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]],
        told: Fault | None = None,
    ) -> None:
        self._player = player
        self._notice = notice
        self._remember = remember
        self._sleep = sleep
        self._told = told
        self._doubted: Fault | None = None

    async def run(self) -> None:
        while True:
            try:
                soon = await self.judge(await self._player.look())
            except PlayerError as failure:
                log.debug("the picture cannot be looked at: %s", failure.message)
                soon = False
            await self._sleep(AGAIN_S if soon else LOOK_S)

    async def judge(self, look: Look) -> bool:
        """Take note of a look. Answers whether the next one should be soon."""
        fault = _fault(look)
        if fault is None:
            self._doubted = None
            if self._told is not None:
                await self._tell(None)
            return False
        if fault == self._doubted and fault != self._told:
            await self._tell(fault)
        self._doubted = fault
        return True

    async def _tell(self, fault: Fault | None) -> None:
        """One fault after another ends the first: a picture has one at a time.

        Killed in between, an agent takes back what it never said, which does no harm; it never forgets what it said.
        """
        before, self._told = self._told, fault
        if fault is not None:
            await self._remember(KEPT, fault)
        if before is not None:
            self._notice("picture.recovered", {"was": before})
        if fault is not None:
            self._notice(f"picture.{fault}", {"player": self._player.kind})
        else:
            await self._remember(KEPT, None)


def read_fault(kept: object) -> Fault | None:
    """What was kept as a fault, if it is one."""
    return next((one for one in get_args(Fault) if one == kept), None)


def _fault(look: Look) -> Fault | None:
    if look.brightest < BLACK_BELOW:
        return "black"
    return "frozen" if look.moves is False else None
