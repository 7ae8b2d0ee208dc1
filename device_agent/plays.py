"""Proof of play: what was shown, kept on disk until the hub has it."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from device_agent.journal import Journal, JournalError
from hub.protocol.messages import Play, Plays, PlaysOk

log = logging.getLogger(__name__)

BATCH = 500
"""Plays in one message, the most that the protocol allows."""

EVERY_S = 60.0
"""Between reports. A batch that is not confirmed by the next one is sent again: the hub knows what it has."""

Send = Callable[[Plays], bool]


class PlayLog:
    """`send` says whether the message went out."""

    def __init__(
        self, key: str, journal: Journal, send: Send, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._key = key
        self._journal = journal
        self._send = send
        self._sleep = sleep
        self._sent: tuple[str, int] | None = None  # the batch that waits for its confirmation, and its last row
        self._unsaid = asyncio.Event()
        self._run = secrets.token_hex(6)  # makes ids unique over restarts
        self._count = 0

    def next_id(self) -> str:
        self._count += 1
        return f"{self._run}-{self._count}"

    async def keep(self, play: Play) -> None:
        """Write down one showing."""
        try:
            await self._journal.keep_play(self._key, play)
        except JournalError as error:
            log.error("a play is not recorded: %s", error)
        self._unsaid.set()

    async def run(self) -> None:
        """Report while connected; until cancelled, with the connection."""
        self._sent = None
        self._unsaid.set()
        while True:
            await self._unsaid.wait()
            self._unsaid.clear()
            await self._report()
            if self._sent is not None:
                await self._sleep(EVERY_S)
                self._unsaid.set()

    async def confirmed(self, message: PlaysOk) -> None:
        """The hub has a batch: forget it, and go on when there is more."""
        if self._sent is None or self._sent[0] != message.batch:
            return
        last, self._sent = self._sent[1], None
        await self._journal.forget_plays(self._key, last)
        if len(await self._journal.plays(self._key, BATCH)) == BATCH:
            await self._report()

    async def _report(self) -> None:
        kept = await self._journal.plays(self._key, BATCH)
        self._sent = None
        if kept:
            batch = secrets.token_hex(8)
            self._sent = batch, kept[-1][0]
            self._send(Plays(batch=batch, entries=[play for _, play in kept]))
