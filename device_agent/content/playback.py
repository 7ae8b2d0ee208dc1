"""What is on screen while nobody asked for anything else.

That is the hub's program; where it shows nothing, or there is none, the content of this device's own configuration: one
file, one address, or a folder whose files take turns. A `play` command takes the screen over, for its duration or until
the next one; `reload` gives it back.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from device_agent.content.program import Asset, Item, Showing
from device_agent.players.base import Player, PlayerError

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""After content that could not be played: it may be copied just now, or its stream be down for a moment."""

LOOK_S = 60.0
"""The longest wait for a program's next window: clocks are set meanwhile, and machines are suspended."""

MOST_FILES = 10_000
"""Of a folder; more is a mistake in the path, such as the root of a disk."""

EARLY_S = 0.5
"""A showing that ends so much before its time is whole."""


class Schedule(Protocol):
    """The hub's program, as far as the screen needs it."""

    def due(self) -> tuple[Showing, float]:
        """What is to be shown now, and for how many seconds at most."""

    def uri(self, asset: Asset) -> str | None:
        """What the player is to open; None while the file is not here."""

    def now(self) -> int:
        """Unix milliseconds by the hub's clock."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One showing that is over. `started_at` is Unix milliseconds by the hub's clock."""

    showing: Showing
    item: Item
    started_at: int
    duration_s: int
    completed: bool


@dataclass(slots=True)
class _Turn:
    """The item of a program that is on screen; times by the loop's clock."""

    showing: Showing
    item: Item
    uri: str
    started_at: int
    since: float
    ends: float


class Content:
    """`source` is a path, an address, or empty. `item_s` is how long each file of a folder stays, and an item of a
    program whose duration nobody knows. `shown` is told of each showing of a program's item."""

    def __init__(
        self,
        source: str,
        player: Player,
        *,
        item_s: float,
        schedule: Schedule | None = None,
        shown: Callable[[Shown], Awaitable[None]] | None = None,
    ) -> None:
        self._source = source
        self._player = player
        self._item_s = item_s
        self._schedule = schedule
        self._tell = shown
        self._next = 0
        self._shown: str | None = None
        self._held_until = 0.0  # by the loop's clock; infinite while a play command without duration stands
        self._asked: tuple[Showing, float] | None = None  # what a play command wants, and until when
        self._showing: Showing | None = None  # whose item `_next` counts
        self._current: _Turn | None = None
        self._failure: PlayerError | None = None  # of the latest item that could not be shown
        self._to_clear = False  # there is something on screen that nothing else takes off
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

    def look(self) -> None:
        """The program is another one now, or a file has come."""
        self._changed.set()

    def name_of(self, uri: str) -> str:
        """How people call what is on screen."""
        return self._current.item.asset.name if self._current is not None and self._current.uri == uri else uri

    async def on_screen(self) -> int | None:
        """The asset that is on screen now; None for anything else. Raises PlayerError."""
        turn = self._current
        return turn.item.asset.id if turn is not None and await self._player.current() == turn.uri else None

    async def close(self) -> None:
        """Nothing is shown from here any more."""
        async with self._turn:
            await self._end_turn()

    @property
    def asked(self) -> Showing:
        """What a `play` command has on the screen, of the hub's; no items: nothing."""
        return Showing() if self._asked is None else self._asked[0]

    async def reload(self) -> None:
        """Look at the source anew and show it from its beginning. Raises PlayerError."""
        async with self._turn:
            self._held_until = 0.0
            self._asked = self._showing = None
            self._next = 0
            self._shown = None
            try:
                await self._end_turn()
                await self._advance()
            finally:
                self._changed.set()

    async def play(self, uri: str, duration_s: int | None) -> str:
        """Show something else; what is on screen then. Raises PlayerError, and nothing has changed."""
        async with self._turn:
            await self._end_turn()
            try:
                current = await self._player.play(uri, duration_s=duration_s)
            finally:
                self._changed.set()
            now = asyncio.get_running_loop().time()
            self._asked = None
            self._held_until = math.inf if duration_s is None else now + duration_s
            self._to_clear = True
            if duration_s is None:  # else the player goes back to what it showed by itself
                self._shown = None
            return current

    async def play_items(self, showing: Showing, duration_s: int | None) -> str:
        """Show items of the hub's in turn; the name of what is on screen then. Raises PlayerError."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            before = self._asked, self._held_until
            self._asked = showing, math.inf if duration_s is None else now + duration_s
            self._held_until = 0.0
            self._failure = None
            try:
                await self._advance()
                if self._current is None or self._current.showing != showing:
                    raise self._failure or PlayerError("not_found", "No file of this is on this device.")
            except PlayerError:
                self._asked, self._held_until = before
                raise
            finally:
                self._changed.set()
            return self._current.item.asset.name

    async def _advance(self) -> float | None:
        """Show what is due; seconds until it is worth looking again, None for never."""
        now = asyncio.get_running_loop().time()
        left_s = self._held_until - now
        if left_s > 0:
            return None if math.isinf(left_s) else left_s
        due, most_s = self._due(now)
        if due.items:
            return min(await self._show(due, now), most_s, LOOK_S)
        await self._end_turn()
        self._showing = None
        if not self._source:
            if self._to_clear:
                self._shown = None
                await self._player.clear()
                self._to_clear = False
            return None if self._schedule is None else min(most_s, LOOK_S)
        own_s = await self._show_source()
        return own_s if self._schedule is None else min(own_s or LOOK_S, most_s, LOOK_S)

    def _due(self, now: float) -> tuple[Showing, float]:
        if self._asked is not None:
            if self._asked[1] > now:
                return self._asked[0], self._asked[1] - now
            self._asked = None
        return (Showing(), LOOK_S) if self._schedule is None else self._schedule.due()

    # --- the hub's program ---

    async def _show(self, due: Showing, now: float) -> float:
        """The item whose turn it is; seconds until the next one."""
        assert self._schedule is not None
        turn = self._current
        if turn is not None and turn.showing == due and turn.ends > now:
            return turn.ends - now
        await self._end_turn()
        if due != self._showing:
            self._showing, self._next = due, 0
        for _ in due.items:
            item = due.items[self._next % len(due.items)]
            self._next = (self._next + 1) % len(due.items)
            uri = self._schedule.uri(item.asset)
            if uri is not None and await self._plays(uri):
                seconds = item.duration_s or item.asset.duration_s or self._item_s
                since = asyncio.get_running_loop().time()
                self._to_clear = True
                self._current = _Turn(due, item, uri, self._schedule.now(), since, since + seconds)
                return seconds
        return RETRY_S

    async def _plays(self, uri: str) -> bool:
        if uri == self._shown:
            return True
        try:
            self._shown = None
            await self._player.play(uri)
        except PlayerError as failure:
            if failure.code in ("player_down", "player_missing", "no_screen"):
                raise
            log.warning("content: %s", failure.message)
            self._failure = failure
            return False
        self._shown = uri
        return True

    async def _end_turn(self) -> None:
        """What was on screen is not any more, or again from its beginning: if it really was there, it counts."""
        turn, self._current = self._current, None
        if turn is None or self._tell is None:
            return
        now = asyncio.get_running_loop().time()
        duration_s = round(now - turn.since)
        try:
            seen = await self._player.current() == turn.uri
        except PlayerError:
            seen = False
        if seen and duration_s >= 1:
            completed = now >= turn.ends - EARLY_S
            await self._tell(Shown(turn.showing, turn.item, turn.started_at, duration_s, completed))

    # --- the content of the configuration ---

    async def _show_source(self) -> float | None:
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
