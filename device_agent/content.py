"""What is on screen while nobody asked for anything else: one file, one address, or a folder whose files take turns.

A `play` command takes the screen over, for its duration or until the next one; `reload` gives it back.
"""

import asyncio
import logging
import math
from pathlib import Path

from device_agent.players.base import Player, PlayerError

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""After content that could not be played: it may be copied just now, or its stream be down for a moment."""

MOST_FILES = 10_000
"""Of a folder; more is a mistake in the path, such as the root of a disk."""


class Content:
    """`source` is a path, an address, or empty. `item_s` is how long each file of a folder stays."""

    def __init__(self, source: str, player: Player, *, item_s: float) -> None:
        self._source = source
        self._player = player
        self._item_s = item_s
        self._next = 0
        self._shown: str | None = None
        self._held_until = 0.0  # by the loop's clock; infinite while a play command without duration stands
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            try:
                async with self._turn:
                    wait_s = await self._advance()
            except PlayerError as failure:
                log.warning("content: %s", failure.message)
                wait_s = RETRY_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def reload(self) -> None:
        """Look at the source anew and show it from its beginning. Raises PlayerError."""
        async with self._turn:
            self._held_until = 0.0
            self._next = 0
            self._shown = None
            try:
                await self._advance()
            finally:
                self._changed.set()

    async def play(self, uri: str, duration_s: int | None) -> str:
        """Show something else; what is on screen then. Raises PlayerError, and nothing has changed."""
        async with self._turn:
            current = await self._player.play(uri, duration_s=duration_s)
            now = asyncio.get_running_loop().time()
            self._held_until = math.inf if duration_s is None else now + duration_s
            if duration_s is None:
                self._shown = None
            self._changed.set()
            return current

    async def _advance(self) -> float | None:
        """Show what is due; seconds until it is worth looking again, None for never."""
        left_s = self._held_until - asyncio.get_running_loop().time()
        if left_s > 0:
            return None if math.isinf(left_s) else left_s
        if not self._source:
            return None
        items, take_turns = await asyncio.to_thread(find_items, self._source)
        if not items:
            return RETRY_S
        item = items[self._next % len(items)]
        self._next = (self._next + 1) % len(items)
        if item != self._shown:
            self._shown = None
            await self._player.play(item)
            self._shown = item
        return self._item_s if take_turns else None


def find_items(source: str) -> tuple[list[str], bool]:
    """What `source` names, as the player takes it: absolute paths in the order of their names, or one address; and
    whether they take turns."""
    if "://" in source:
        return [source], False
    path = Path(source).expanduser().absolute()
    if not path.is_dir():
        return [str(path)], False
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    return [str(file) for file in files[:MOST_FILES]], True
