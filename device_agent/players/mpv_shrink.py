"""Scales a picture with mpv itself, since the agent has no imaging library and mpv is there anyway."""

import asyncio
from pathlib import Path

from device_agent.players.base import PlayerError

SHRINK_S = 20.0  # a fifth of a second on a desktop machine
GREY_PX = (64, 36)  # few enough to be looked at one by one, enough for a line of text to be seen in one


async def shrink(binary: str, file: Path, width: int, quality: int) -> Path:
    """A JPEG of `file`, at most `width` pixels wide (smaller pictures keep their size), written next to it."""
    status = await _run(
        binary,
        "--vo=image",
        "--vo-image-format=jpg",
        f"--vo-image-jpeg-quality={quality}",
        f"--vo-image-outdir={file.parent}",
        f"--vf=lavfi=[scale=w=min({width}\\,iw):h=-2:flags=area]",
        str(file),
    )
    small = file.with_name("00000001.jpg")
    if not small.is_file():
        raise PlayerError("player_refused", f"mpv could not scale the screenshot: exit status {status}.")
    return small


async def grey(binary: str, file: Path) -> bytes:
    """The picture in `file` as GREY_PX pixels, a byte each: 0 is black, 255 white, each the mean of an area."""
    small = file.with_name("small.grey")
    status = await _run(
        binary,
        f"--o={small}",
        "--of=rawvideo",
        "--ovc=rawvideo",
        f"--vf=lavfi=[scale=w={GREY_PX[0]}:h={GREY_PX[1]}:flags=area,format=gray]",
        str(file),
    )
    pixels = small.read_bytes() if small.is_file() else b""
    if len(pixels) != GREY_PX[0] * GREY_PX[1]:
        raise PlayerError("player_refused", f"mpv could not scale the screenshot: exit status {status}.")
    return pixels


async def _run(binary: str, *arguments: str) -> int | None:
    """A second, short-lived mpv without a window; the one that plays is not disturbed. Answers its exit status."""
    process = await asyncio.create_subprocess_exec(
        binary,
        "--no-config",
        "--no-terminal",
        "--load-scripts=no",
        "--ao=null",
        "--frames=1",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SHRINK_S):
            await process.wait()
    except TimeoutError:
        raise PlayerError("timeout", "Scaling the screenshot took too long.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode
