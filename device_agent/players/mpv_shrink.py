"""Scales a picture with mpv itself, since the agent has no imaging library and mpv is there anyway."""

import asyncio
from pathlib import Path

from device_agent.players.base import PlayerError

SHRINK_S = 20.0  # a fifth of a second on a desktop machine


async def shrink(binary: str, file: Path, width: int, quality: int) -> Path:
    """A JPEG of `file`, at most `width` pixels wide (smaller pictures keep their size), written next to it.

    Made by a second, short-lived mpv without a window; the one that plays is not disturbed.
    """
    process = await asyncio.create_subprocess_exec(
        binary,
        "--no-config",
        "--no-terminal",
        "--load-scripts=no",
        "--ao=null",
        "--vo=image",
        "--vo-image-format=jpg",
        f"--vo-image-jpeg-quality={quality}",
        f"--vo-image-outdir={file.parent}",
        f"--vf=lavfi=[scale=w=min({width}\\,iw):h=-2:flags=area]",
        "--frames=1",
        str(file),
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
    small = file.with_name("00000001.jpg")
    if not small.is_file():
        raise PlayerError("player_refused", f"mpv could not scale the screenshot: exit status {process.returncode}.")
    return small
