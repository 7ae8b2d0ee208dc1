"""A player with no program behind it: it keeps the state a real one has, and draws it when asked for a screenshot."""

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime

from device_agent.players import picture
from device_agent.players.base import Banner, Look, PairingCard, Picture, PlayerError, check_volume
from device_agent.players.source import check_source

WIDTH_PX = 1280
_pids = itertools.count(4000)


class SimulatedPlayer:
    """Shows `name`, the time by `clock` (Unix milliseconds), the current item, the volume and any overlay."""

    kind = "simulated"
    capabilities = frozenset({"play", "set_volume", "identify", "take_screenshot", "restart_player"})
    content_types = frozenset({"image", "video", "audio", "youtube", "web", "livestream"})
    sees = False  # it draws the picture itself, and knows what is on it

    def __init__(self, name: str = "Player", *, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.name = name
        self._clock = clock
        self._identity: tuple[int, float] | None = None
        self._volume = 100
        self._shown: str | None = None
        self._afterwards: str | None = None  # what comes back when `_until` passes
        self._until: float | None = None
        self._overlay: tuple[str, float] | None = None
        self._banner: Banner | None = None
        self._pairing: PairingCard | None = None

    async def start(self) -> None:
        self._identity = (next(_pids), self._clock() / 1000)

    async def stop(self) -> None:
        self._identity = None
        self._shown = self._afterwards = self._until = self._overlay = None

    async def version(self) -> str:
        return "1"

    async def play(self, uri: str, *, duration_s: int | None = None) -> str:
        self._running()
        check_source(uri)
        if duration_s is None:
            self._afterwards, self._until = uri, None
        else:
            self._until = asyncio.get_running_loop().time() + duration_s
        self._shown = uri
        return uri

    async def clear(self) -> None:
        self._running()
        self._shown = self._afterwards = self._until = None

    async def current(self) -> str | None:
        self._running()
        if self._until is not None and asyncio.get_running_loop().time() >= self._until:
            self._shown, self._until = self._afterwards, None
        return self._shown

    async def set_volume(self, volume: int) -> int:
        self._running()
        self._volume = check_volume(volume)
        return self._volume

    async def volume(self) -> int | None:
        self._running()
        return self._volume

    async def show_text(self, text: str, seconds: float) -> None:
        self._running()
        self._overlay = (text, asyncio.get_running_loop().time() + seconds)

    async def show_banner(self, banner: Banner | None) -> None:
        self._running()
        self._banner = banner

    async def show_pairing(self, card: PairingCard | None) -> None:
        self._pairing = card
        self._running()

    async def rename(self, name: str) -> None:
        self.name = name

    async def screenshot(self, *, max_width: int | None = None, quality: int | None = None) -> Picture:
        current = await self.current()
        now = self._clock()
        if self._overlay is not None and asyncio.get_running_loop().time() >= self._overlay[1]:
            self._overlay = None
        data = picture.card(
            self.name,
            [
                ("Time", f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"),
                ("Playing", current or "nothing"),
                ("Volume", str(self._volume)),
            ],
            overlay=_said(self._banner) or _offered(self._pairing) or (self._overlay[0] if self._overlay else None),
            width=max(16, min(WIDTH_PX, max_width or WIDTH_PX)),
        )
        return Picture(data=data, mime="image/png", source="simulated", captured_at=now)

    async def look(self) -> Look:
        self._running()
        return Look(brightest=255, moves=None)

    async def identity(self) -> tuple[int, float]:
        return self._running()

    async def restart(self) -> tuple[int, float]:
        _, started = self._running()
        self._identity = (next(_pids), max(self._clock() / 1000, started + 0.001))
        self._overlay = None
        return self._running()

    def _running(self) -> tuple[int, float]:
        if self._identity is None:
            raise PlayerError("player_down", "The player is not running.")
        return self._identity


def _said(banner: Banner | None) -> str | None:
    return None if banner is None else f"{banner.title}\n{banner.message}"


def _offered(card: PairingCard | None) -> str | None:
    return None if card is None else f"Pair this screen\n{card.code}\n{card.uri}\n{card.device}"
