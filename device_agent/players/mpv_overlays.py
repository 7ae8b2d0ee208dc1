"""What stands over the content of an mpv until it is taken away, laid out for the screen that mpv really has.

mpv tells the size of its window, at first and whenever it changes: when a monitor is turned, or comes late.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from device_agent.players import mpv_banner, mpv_pairing
from device_agent.players.base import Banner, PairingCard, PlayerError
from device_agent.players.mpv_drawing import Canvas, Drawing
from device_agent.players.mpv_ipc import Event

BANNER, PAIRING = 1, 2  # the numbers of the overlays
SIZE = "osd-dimensions"  # the property of mpv, in pixels
OBSERVER = 1  # the number under which mpv tells of it


class Overlays:
    """`ask` sends mpv a command and answers its reply; it writes the command before it first waits."""

    def __init__(self, ask: Callable[..., Awaitable[Any]]) -> None:
        self._ask = ask
        self._canvas = Canvas()
        self._banner: Banner | None = None  # the emergency message over everything
        self._pairing: PairingCard | None = None
        self._redrawing: asyncio.Task[None] | None = None

    async def show_banner(self, banner: Banner | None) -> None:
        self._banner = banner
        await self._draw_banner()

    async def show_pairing(self, card: PairingCard | None) -> None:
        self._pairing = card
        await self._draw_pairing()

    async def attach(self) -> None:
        """To an mpv that has just started, with its window open or without one."""
        try:
            self._canvas = _canvas(await self._ask("get_property", SIZE))
        except PlayerError as error:
            if error.code != "player_refused":  # some versions say so without a window
                raise
            self._canvas = Canvas()
        await self._ask("observe_property", OBSERVER, SIZE)
        await self._draw_all()

    async def detach(self) -> None:
        if self._redrawing is not None:
            self._redrawing.cancel()
            await asyncio.gather(self._redrawing, return_exceptions=True)
            self._redrawing = None

    def heard(self, event: Event) -> None:
        if event["event"] != "property-change" or event.get("name") != SIZE:
            return
        canvas = _canvas(event.get("data"))
        if canvas == self._canvas:
            return
        self._canvas = canvas
        if self._redrawing is None or self._redrawing.done():
            self._redrawing = asyncio.create_task(self._redraw(), name="mpv-overlays")

    async def _redraw(self) -> None:
        drawn = None
        try:
            while drawn != self._canvas:
                drawn = self._canvas
                await self._draw_all()
        except PlayerError:
            pass  # an mpv that does not answer is replaced, and the next one is drawn on anew

    async def _draw_all(self) -> None:
        if self._banner is not None:
            await self._draw_banner()
        if self._pairing is not None:
            await self._draw_pairing()

    async def _draw_banner(self) -> None:
        await self._put(BANNER, None if self._banner is None else mpv_banner.drawing(self._banner, self._canvas))

    async def _draw_pairing(self) -> None:
        await self._put(PAIRING, None if self._pairing is None else mpv_pairing.drawing(self._pairing, self._canvas))

    async def _put(self, number: int, drawing: Drawing | None) -> None:
        """An overlay of our own, which texts of a moment do not touch. The banner's is above."""
        about: dict[str, Any] = {"name": "osd-overlay", "id": number, "format": "none", "data": ""}
        if drawing is not None:
            about |= {"format": "ass-events", "data": drawing.events, "z": 100 - number}
            about |= {"res_x": drawing.canvas.width, "res_y": drawing.canvas.height}
        await self._ask(about)


def _canvas(size: Any) -> Canvas:
    """Of what mpv tells: width and height in pixels; 0 or nothing without a window."""
    return Canvas.of_screen(size["w"], size["h"]) if isinstance(size, dict) else Canvas()
