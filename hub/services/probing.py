"""Looking into files: what they are by their content, how large a picture and how long a film, and a thumbnail.

Pillow reads pictures. ffprobe and ffmpeg read video and sound where they are installed: bounded in time and memory,
told the format that was recognised, and kept from every protocol but files. Without them a film is taken all the same,
its length unknown and without a thumbnail.
"""

import asyncio
import io
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from PIL import Image

from hub.domain import content as rules
from hub.domain.content import Kind
from hub.services.threads import in_thread

log = logging.getLogger(__name__)

THUMBNAIL_SIDE = 320  # pixels of the longer side
PROGRAM_S = 20.0  # for ffprobe, and for ffmpeg: a head and one frame take one second on a slow machine
PROGRAM_CPU_S = 40  # of processor time, should the hub die before it can stop them
PROGRAM_MEMORY_KIB = 2 << 20  # address space; a 4K frame with its codec's references takes a quarter
PROGRAM_OUTPUT = 1 << 20  # bytes read of what they say
AT_ONCE = 2  # pictures decoded, and programs run, at one time: each may take 256 MB

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP", "image/bmp": "BMP",
            "image/avif": "AVIF"}  # fmt: skip

_ORIENTATION = 0x0112  # the EXIF tag


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
        kind = rules.sniff(await in_thread(_head, path))
        if kind.type == "image":
            async with self._pictures:
                return await in_thread(_picture, path, kind, self._max_pixels)
        async with self._films:
            return await self._film(path, kind)

    async def _film(self, path: Path, kind: Kind) -> Probed:
        if self._ffprobe is None:
            return Probed(kind.mime)
        told = await _run(
            self._ffprobe, "-v", "error", "-protocol_whitelist", "file", "-f", str(kind.demuxer),
            "-show_entries", "format=duration:stream=codec_type,width,height:stream_disposition=attached_pic"
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
        width, height = _side(video.get("width")), _side(video.get("height"))
        if _is_turned(video):
            width, height = height, width
        frame = await self._frame(path, kind, min((duration_ms or 0) // 10, 5_000)) or await self._frame(path, kind, 0)
        return Probed(rules.holding(kind, "video"), width, height, duration_ms, frame)

    async def _frame(self, path: Path, kind: Kind, at_ms: int) -> bytes | None:
        """A picture of the film, made small. At the very start many films are black; others cannot be entered later."""
        if self._ffmpeg is None:
            return None
        picture = await _run(
            self._ffmpeg, "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-threads", "1",
            "-f", str(kind.demuxer), "-ss", f"{at_ms}ms", "-i", f"file:{path}", "-map", "0:V:0", "-frames:v", "1",
            "-vf", f"scale='min({THUMBNAIL_SIDE},iw)':'min({THUMBNAIL_SIDE},ih)':force_original_aspect_ratio=decrease",
            "-f", "image2pipe", "-c:v", "png", "pipe:1",
        )  # fmt: skip
        if not picture:
            return None
        try:
            return await in_thread(_shrunk, io.BytesIO(picture))
        except Exception:
            return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(rules.HEAD_BYTES)


def _picture(path: Path, kind: Kind, max_pixels: int) -> Probed:
    """Every pixel is decoded: only so a cut picture is told from a whole one."""
    try:
        with Image.open(path, formats=[_FORMATS[kind.mime]]) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise _TooManyPixels(f"{width}x{height} pixels are too many: at most {max_pixels:,} in all.")
            turned = picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            thumbnail = _thumbnail(picture)
    except _TooManyPixels as error:
        raise rules.refused(str(error)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise rules.refused(f"The picture has too many pixels: at most {max_pixels:,} in all.") from None
    except Exception as error:  # a hostile file makes the decoder raise whatever it likes
        raise rules.refused(f"This picture is broken: it begins as {kind.mime} and cannot be read.") from error
    return Probed(kind.mime, *((height, width) if turned else (width, height)), thumbnail=thumbnail)


class _TooManyPixels(Exception):
    pass


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture is to be turned for each EXIF orientation."""


def _thumbnail(picture: Image.Image) -> bytes:
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode not in ("RGB", "RGBA", "L", "CMYK"):  # the others do not shrink well
        picture = picture.convert(mode)
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    small = picture.convert(mode)
    if turn is not None:
        small = small.transpose(turn)
    small.info = {}  # no word of the original goes along: its EXIF may say where it was taken
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80)
    return file.getvalue()


def _shrunk(file: io.BytesIO) -> bytes:
    with Image.open(file, formats=["PNG"]) as picture:
        return _thumbnail(picture)


async def _run(*command: str) -> bytes | None:
    """What the program writes; empty when it fails, None when it takes too long."""
    shell = shutil.which("sh")
    if shell is not None:  # limits set between fork and exec by the one program that can do so safely
        limits = f'ulimit -v {PROGRAM_MEMORY_KIB} 2>/dev/null; ulimit -t {PROGRAM_CPU_S} 2>/dev/null; exec "$@"'
        command = (shell, "-c", limits, "sh", *command)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # The hub's settings may hold passwords, and these programs read what strangers send.
        env={name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
    )
    assert process.stdout is not None
    output = bytearray()
    try:
        async with asyncio.timeout(PROGRAM_S):
            while piece := await process.stdout.read(65_536):
                output += piece
                if len(output) > PROGRAM_OUTPUT:
                    return b""
            return bytes(output) if await process.wait() == 0 else b""
    except TimeoutError:
        log.warning("%s took longer than %.0f s", command[0], PROGRAM_S)
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _is_cover(stream: dict[str, Any]) -> bool:
    """A picture that belongs to a sound, such as an album's cover."""
    return bool(stream.get("disposition", {}).get("attached_pic"))


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
