"""A screenshot ready to be uploaded: within the size limit, with its digest."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from device_agent.players.base import Picture, Player, PlayerError

MAX_BYTES = 10_000_000  # more than this the hub refuses before the first chunk
SMALLER = (1920, 60)  # width in pixels and quality of the second attempt: legible, and far below the limit


@dataclass(frozen=True, slots=True)
class Shot:
    """`captured_at` is Unix milliseconds by the device's clock, `sha256` lower-case hexadecimal, `size` bytes."""

    data: bytes
    mime: str
    size: int
    sha256: str
    captured_at: int
    source: str
    asset_id: int | None = None


async def take(
    player: Player,
    on_screen: Callable[[], Awaitable[int | None]],
    *,
    max_width: int | None = None,
    quality: int | None = None,
) -> Shot:
    """What `player` shows. `on_screen` tells the asset; one that was there before and after the picture is in it.
    Raises PlayerError; `too_large` when even a smaller picture is over MAX_BYTES."""
    before = await on_screen()
    picture = await player.screenshot(max_width=max_width, quality=quality)
    if len(picture.data) > MAX_BYTES:
        width, less = SMALLER
        picture = await player.screenshot(max_width=min(max_width or width, width), quality=min(quality or less, less))
    if len(picture.data) > MAX_BYTES:
        raise PlayerError("too_large", f"The screenshot has {len(picture.data)} bytes, the limit is {MAX_BYTES}.")
    return _shot(picture, before if before == await on_screen() else None)


def _shot(picture: Picture, asset_id: int | None) -> Shot:
    return Shot(
        data=picture.data,
        mime=picture.mime,
        size=len(picture.data),
        sha256=hashlib.sha256(picture.data).hexdigest(),
        captured_at=picture.captured_at,
        source=picture.source,
        asset_id=asset_id,
    )
