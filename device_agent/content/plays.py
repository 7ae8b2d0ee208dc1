"""Proof of play: what was shown, kept on disk until the hub has it."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable

from device_agent.journal import RETRY_S, Journal, JournalError
from hub.protocol.messages import Play, Plays, PlaysOk

log = logging.getLogger(__name__)

BATCH = 500
"""Plays in one message, the most that the protocol allows."""

EVERY_S = 60.0
"""Between reports. A batch that is not confirmed by the next one is sent again: the hub knows what it has."""

MAX_UNWRITTEN = 10_000
"""Showings in memory that a full disk has refused: a day at one in ten seconds, 2 MB. Then the oldest are forgotten."""

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
        self._unwritten: deque[Play] = deque(maxlen=MAX_UNWRITTEN)
        self._refused = asyncio.Event()
        self._run = secrets.token_hex(6)  # makes ids unique over restarts
        self._count = 0

    def next_id(self) -> str:
        self._count += 1
        return f"{self._run}-{self._count}"

    async def keep(self, play: Play) -> None:
        """Write down one showing; what the disk refuses now is written later."""
        self._unwritten.append(play)
        if not self._refused.is_set():
            await self._write_out()

    async def write(self) -> None:
        """Write what was refused; until cancelled."""
        while True:
            await self._refused.wait()
            await self._sleep(RETRY_S)
            await self._write_out()

    async def _write_out(self) -> None:
        try:
            while self._unwritten:
                play = self._unwritten.popleft()
                try:
                    await self._journal.keep_play(self._key, play)
                except BaseException:
                    self._unwritten.appendleft(play)
                    raise
        except JournalError as error:
            log.error("%d showings are not recorded yet: %s", len(self._unwritten), error)
            self._refused.set()
        else:
            self._refused.clear()
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
        try:
            await self._journal.forget_plays(self._key, last)
            more = len(await self._journal.plays(self._key, BATCH)) == BATCH
        except JournalError as error:  # the next report tells of them again, and the hub knows what it has
            log.error("what the hub has confirmed is not forgotten yet: %s", error)
            return
        if more:
            await self._report()

    async def _report(self) -> None:
        self._sent = None
        try:
            kept = await self._journal.plays(self._key, BATCH)
        except JournalError as error:
            log.error("the showings cannot be read: %s", error)
            return
        if kept:
            batch = secrets.token_hex(8)
            self._sent = batch, kept[-1][0]
            self._send(Plays(batch=batch, entries=[play for _, play in kept]))
