"""Looking into files: what they are by their content, how large a picture and how long a film, and a thumbnail.

Pictures are read by `pictures`, as a program of its own that can be ended: what a decoder makes of a hostile file may
take hours. ffprobe and ffmpeg read video and sound where they are installed: bounded in time and memory, told the
format that was recognised, and kept from every protocol but files. Without them a film is taken all the same, its
length unknown and without a thumbnail.
"""

import asyncio
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hub.domain import content as rules
from hub.domain.content import Kind
from hub.services import pictures
from hub.services.threads import in_thread

log = logging.getLogger(__name__)

PROGRAM_S = 20.0  # for ffprobe, and for ffmpeg: a head and one frame take one second on a slow machine
PICTURE_S = 120.0  # for a picture: the largest take ten seconds, and wait beside other work
PROGRAM_CPU_S = 40  # of processor time, should the hub die before it can stop them; no picture needs half of it
PROGRAM_MEMORY_KIB = 2 << 20  # address space; a 4K frame with its codec's references takes a quarter
PROGRAM_OUTPUT = 1 << 20  # bytes read of what they say
MAX_TAGS = 4  # before a sound: some programs write a second one and leave the first
MAX_ASPECT = 10  # of a pixel; the most oblong of real formats have 2
AT_ONCE = 2  # pictures decoded, and programs run, at one time: each may take 256 MB


@dataclass(frozen=True, slots=True)
class Probed:
    """What a file is; None is what nobody could tell. `thumbnail` is WebP."""

    mime: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    thumbnail: bytes | None = None


class Prober:
    """`max_pixels` of a picture; `path` is searched for the programs instead of PATH."""

    def __init__(self, max_pixels: int, *, path: str | None = None) -> None:
        self._max_pixels = max_pixels
        self._ffprobe = shutil.which("ffprobe", path=path)
        self._ffmpeg = shutil.which("ffmpeg", path=path)
        self._pictures, self._films = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)
        if self._ffprobe is None:
            log.warning("ffprobe is not installed: videos and sounds have no length, and videos no thumbnail")

    async def probe(self, path: Path) -> Probed:
        """Raises Invalid on the field `file` for what is no picture, video or sound, or is broken."""
        kind = rules.sniff(*await in_thread(_heads, path))
        if kind.type == "image":
            async with self._pictures:
                picture = await self._picture(path, kind)
            return Probed(kind.mime, picture.width, picture.height, thumbnail=picture.thumbnail)
        async with self._films:
            return await self._film(path, kind)

    async def _picture(self, path: Path, kind: Kind) -> pictures.Picture:
        arguments = sys.executable, "-P", "-m", pictures.__name__, str(path), str(self._max_pixels)
        told = await _run(*arguments, seconds=PICTURE_S, memory_kib=None)  # what it takes follows from the pixels
        if told is None:
            raise rules.refused("This picture takes too long to decode.")
        try:
            return pictures.reported(told)
        except ValueError:
            raise rules.refused(f"This picture is broken: it begins as {kind.mime} and stops the decoder.") from None

    async def _film(self, path: Path, kind: Kind) -> Probed:
        if self._ffprobe is None:
            return Probed(kind.mime)
        told = await _run(
            self._ffprobe, "-v", "error", "-protocol_whitelist", "file", "-f", str(kind.demuxer),
            "-show_entries", "format=duration:stream=codec_type,width,height,sample_aspect_ratio"
            ":stream_disposition=attached_pic"
            ":stream_side_data=rotation",
            "-of", "json", f"file:{path}",
        )  # fmt: skip
        if told is None:
            return Probed(kind.mime)
        try:
            report = orjson.loads(told)
            streams = [stream for stream in report.get("streams", []) if not _is_cover(stream)]
        except (ValueError, AttributeError):
            raise rules.refused(f"This file is broken: it begins as {kind.mime} and cannot be read.") from None
        kinds = {stream.get("codec_type") for stream in streams}
        if not kinds & {"video", "audio"}:
            raise rules.refused(f"This file is broken: it begins as {kind.mime} and has neither picture nor sound.")
        duration_ms = _milliseconds(report.get("format", {}).get("duration"))
        if "video" not in kinds:
            return Probed(rules.holding(kind, "audio"), duration_ms=duration_ms)
        video = next(stream for stream in streams if stream.get("codec_type") == "video")
        size = _size(video)
        frame = None
        for at_ms in (min((duration_ms or 0) // 10, 5_000), 0):
            frame = frame or await self._frame(path, kind, at_ms, size)
        width, height = size or (None, None)
        return Probed(rules.holding(kind, "video"), width, height, duration_ms, frame)

    async def _frame(self, path: Path, kind: Kind, at_ms: int, size: tuple[int, int] | None) -> bytes | None:
        """A picture of the film, made small. At the very start many films are black; others cannot be entered later."""
        if self._ffmpeg is None:
            return None
        picture = await _run(
            self._ffmpeg, "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-threads", "1",
            "-f", str(kind.demuxer), "-ss", f"{at_ms}ms", "-i", f"file:{path}", "-map", "0:V:0", "-frames:v", "1",
            "-vf", _scale(size),
            "-f", "image2pipe", "-c:v", "png", "pipe:1",
        )  # fmt: skip
        if not picture:
            return None
        try:
            return await in_thread(pictures.shrunk, picture)
        except Exception:
            return None


def _heads(path: Path) -> tuple[bytes, bytes]:
    """The first bytes of a file, and of what stands behind its tags (the same where it begins with none)."""
    with path.open("rb") as file:
        head = behind = file.read(rules.HEAD_BYTES)
        at = 0
        for _ in range(MAX_TAGS):
            if not (length := rules.tag_length(behind)):
                break
            at += length
            file.seek(at)
            behind = file.read(rules.HEAD_BYTES)
        return head, behind


async def _run(
    *command: str, seconds: float | None = None, memory_kib: int | None = PROGRAM_MEMORY_KIB
) -> bytes | None:
    """What the program writes; empty when it fails, None when it takes too long."""
    seconds = PROGRAM_S if seconds is None else seconds
    shell = shutil.which("sh")
    if shell is not None:  # limits set between fork and exec by the one program that can do so safely
        memory = "unlimited" if memory_kib is None else memory_kib
        limits = f'ulimit -v {memory} 2>/dev/null; ulimit -t {PROGRAM_CPU_S} 2>/dev/null; exec "$@"'
        command = (shell, "-c", limits, "sh", *command)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # The hub's settings may hold passwords, and these programs read what strangers send.
        env={name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    output = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while piece := await process.stdout.read(65_536):
                output += piece
                if len(output) > PROGRAM_OUTPUT:
                    return b""
            return bytes(output) if await process.wait() == 0 else b""
    except TimeoutError:
        log.warning("%s took longer than %.0f s", command[0], seconds)
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _is_cover(stream: dict[str, Any]) -> bool:
    """A picture that belongs to a sound, such as an album's cover."""
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _size(stream: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height as a film is seen: turned as it says, and its pixels made square by stretching the width."""
    width, height = _side(stream.get("width")), _side(stream.get("height"))
    if width is None or height is None:
        return None
    across, _, up = str(stream.get("sample_aspect_ratio")).partition(":")
    if across.isdecimal() and up.isdecimal() and 0 < int(up) <= MAX_ASPECT * int(across) <= MAX_ASPECT**2 * int(up):
        width = max(1, round(width * int(across) / int(up)))
    return (height, width) if _is_turned(stream) else (width, height)


def _scale(size: tuple[int, int] | None) -> str:
    """The filter that makes a frame as small as a thumbnail. ffmpeg has turned the frame before."""
    side = pictures.THUMBNAIL_SIDE
    if size is None:
        return f"scale='min({side},iw)':'min({side},ih)':force_original_aspect_ratio=decrease"
    shrink = min(1.0, side / max(size))
    width, height = (max(1, round(pixels * shrink)) for pixels in size)
    return f"scale={width}:{height},setsar=1"


def _is_turned(stream: dict[str, Any]) -> bool:
    return any(abs(int(data.get("rotation", 0))) % 180 == 90 for data in stream.get("side_data_list", []))


def _milliseconds(text: Any) -> int | None:
    try:
        seconds = float(text)
    except (TypeError, ValueError):
        return None
    return round(seconds * 1_000) if 0 < seconds < 10 * 365 * 86_400 else None


def _side(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 < value < 1_000_000 else None
