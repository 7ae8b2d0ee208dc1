"""Looking into pictures: their size, whether they are whole, and a small copy that shows what a screen shows.

Pixels and metadata are read apart. The decoder is given only those parts of a file that make the pixels: a comment of
megabytes or a broken EXIF block says nothing against a picture that every screen shows. What is wanted of the metadata,
the colour profile and which way up the picture is, is read beside it, and where it cannot be read there is none. What
Chromium and mpv show is the measure.
"""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
from PIL import Image, ImageChops, ImageCms

from hub.domain import content as rules
from hub.domain.content import Kind
from hub.domain.errors import Invalid
from hub.services import bitmaps
from hub.services.picture_files import MAX_SIDE_DATA, Refused, Taken, check_size, taken_apart

THUMBNAIL_SIDE: Final = 320  # pixels of the longer side

BYTES_PER_PIXEL: Final = 8  # at most, of a file that is read as a whole: four channels of 16 bits, not compressed
BAND: Final = 256  # rows that are compared at once
MISSING_ROWS: Final = 16  # at the end of a JPEG, a row of its blocks: a file without its last bytes lacks them

_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP",
                   "image/bmp": "BMP", "image/avif": "AVIF"}  # fmt: skip
_READ_WHOLE: Final = frozenset({"WEBP", "AVIF"})  # by their decoders
_TURNED: Final = frozenset({"JPEG", "PNG", "AVIF"})  # by what their EXIF says; a WebP is not, as browsers show it

_ORIENTATION: Final = 0x0112  # the EXIF tag
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture is to be turned for each EXIF orientation."""


@dataclass(frozen=True, slots=True)
class Picture:
    """As it is seen, the right way up. `thumbnail` is WebP in sRGB."""

    width: int
    height: int
    thumbnail: bytes


def read(path: Path, kind: Kind, max_pixels: int) -> Picture:
    """Every pixel is decoded: only so a cut picture is told from a whole one. Raises Invalid on the field `file`."""
    name = _FORMATS[kind.mime]
    try:
        with path.open("rb") as file:
            if name in _READ_WHOLE and path.stat().st_size > max_pixels * BYTES_PER_PIXEL:
                raise Refused(f"The file is too large for a picture of {max_pixels:,} pixels.")
            if name == "BMP":
                taken, picture = Taken(file), bitmaps.decoded(file, max_pixels)
            else:
                taken = taken_apart(file, name)
                picture = _decoded(taken, name, max_pixels)
            width, height = picture.size
            orientation = _orientation(taken.exif) if name in _TURNED else 1
            thumbnail = _thumbnail(picture, taken, orientation)
    except Refused as error:
        raise rules.refused(str(error)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise rules.refused(f"The picture has too many pixels: at most {max_pixels:,} in all.") from None
    except Exception as error:  # a hostile file makes the decoder raise whatever it likes
        raise rules.refused(f"This picture is broken: it begins as {kind.mime} and cannot be read.") from error
    return Picture(*((height, width) if orientation >= 5 else (width, height)), thumbnail=thumbnail)


def size(path: Path, kind: Kind) -> tuple[int, int]:
    """Width and height as they are stored, from the head alone. Raises whatever the decoder does."""
    with path.open("rb") as file:
        name = _FORMATS[kind.mime]
        with Image.open(taken_apart(file, name).pixels, formats=[name]) as picture:
            return picture.size


def shrunk(png: bytes) -> bytes:
    """A thumbnail of a picture of our own making."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return _thumbnail(picture, Taken(io.BytesIO()), 1)


def _decoded(taken: Taken, name: str, max_pixels: int) -> Image.Image:
    """With every pixel; what the file says beside them is added to `taken`."""
    if taken.twin is not None:
        _check_end(taken.pixels, taken.twin, name, max_pixels)
    try:
        picture = _loaded(taken.pixels, name, max_pixels)
    except OSError:
        if taken.otherwise is None:
            raise
        picture = _loaded(taken.otherwise, name, max_pixels)
    if profile := _bytes(picture.info.get("icc_profile")):
        taken.profiles.append(profile)
    taken.exif = taken.exif or _bytes(picture.info.get("exif"))
    return picture


def _loaded(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    file.seek(0)
    picture = Image.open(file, formats=[name])
    check_size(*picture.size, max_pixels)
    frame = picture.tile[0].extents if name == "GIF" and picture.tile else None
    picture.load()
    if frame is not None and frame != (0, 0, *picture.size):  # nothing is seen around the first frame
        seen = Image.new("RGBA", picture.size)
        seen.paste(picture.convert("RGBA").crop(frame), frame[:2])
        return seen
    return picture


def _check_end(pixels: BinaryIO, twin: BinaryIO, name: str, max_pixels: int) -> None:
    """Raise Refused where more than the last blocks of a picture are missing. The two pictures together are no larger
    than one that is allowed, if need be at half the size."""
    pair, height = [], 0
    for file in (pixels, twin):
        file.seek(0)
        picture = Image.open(file, formats=[name])
        check_size(*picture.size, max_pixels)
        height = picture.height
        if 2 * picture.width * height > max_pixels:
            picture.draft(None, (picture.width // 2, height // 2))
        picture.load()
        pair.append(picture)
    row = _first_difference(*pair)
    if row is not None and row * height < (height - MISSING_ROWS) * pair[0].height:
        raise Refused("This picture is cut: its lower part is missing.")


def _first_difference(one: Image.Image, other: Image.Image) -> int | None:
    """The first row in which they differ."""
    for top in range(0, one.height, BAND):
        box = 0, top, one.width, min(one.height, top + BAND)
        if (found := ImageChops.difference(one.crop(box), other.crop(box)).getbbox()) is not None:
            return top + found[1]
    return None


# Small copies


def _thumbnail(picture: Image.Image, taken: Taken, orientation: int) -> bytes:
    picture = _shrinkable(picture, taken.depth)
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    small = _in_srgb(picture, taken.profiles)
    if (turn := _TURNS.get(orientation)) is not None:
        small = small.transpose(turn)
    small.info = {}  # no word of the original goes along: its EXIF may say where it was taken
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80)
    return file.getvalue()


def _shrinkable(picture: Image.Image, depth: int) -> Image.Image:
    """The picture in a mode in which pixels may be mixed: L, LA, RGB, RGBA or CMYK."""
    info = dict(picture.info)
    key = info.get("transparency")  # the colour that is clear, as it is in the file
    if depth not in (1, 8) and picture.mode != "P" and isinstance(key, int | tuple):
        scaled = [_in_8_bits(value, depth) for value in (key if isinstance(key, tuple) else (key,))]
        info["transparency"] = tuple(scaled) if isinstance(key, tuple) else scaled[0]
    if picture.mode in (
        "I",
        "I;16",
        "I;16B",
        "I;16L",
        "I;16N",
        "F",
    ):  # converted as it is, all but the darkest is white
        picture = picture.point(lambda value: value * (1 / 256))
    if picture.mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "P", "PA"):
        picture = picture.convert("L" if picture.mode[0] in "1IF" else "RGB")
    picture.info = info
    if "transparency" in info or picture.mode == "PA":
        return picture.convert("RGBA")
    return picture.convert("RGB") if picture.mode == "P" else picture


def _in_8_bits(value: int, depth: int) -> int:
    return value * 255 // ((1 << depth) - 1) if depth < 8 else value >> (depth - 8)


def _in_srgb(picture: Image.Image, profiles: Sequence[bytes]) -> Image.Image:
    """RGB or RGBA, in the colours that a screen without any profile shows."""
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    colours = picture.convert(picture.mode[:-1]) if alpha is not None else picture
    by_profile = (_by_profile(colours, profile) for profile in profiles)
    converted = next((found for found in by_profile if found is not None), None)
    if converted is None:
        converted = colours.convert("RGB")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image | None:
    """None where the profile cannot be read, or is for other colours than the picture has: then nobody minds it."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if picture.mode == "L" and space == "RGB":
            picture = picture.convert("RGB")
        if {"L": "GRAY"}.get(picture.mode, picture.mode) != space:
            return None
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # as above: the bytes are a stranger's
        return None


def _bytes(value: Any) -> bytes:
    return value[:MAX_SIDE_DATA] if isinstance(value, bytes) else b""


def _orientation(exif: bytes) -> int:
    """1 to 8 as EXIF counts; 1 is the right way up."""
    try:
        found = Image.Exif()
        found.load(exif)
        value = found.get(_ORIENTATION, 1)
    except Exception:  # as above
        return 1
    return int(value) if value in _TURNS else 1


# The program


def main(path: str, max_pixels: str) -> bytes:
    """What `read` finds, for `reported` in another process: a decoder that goes on for too long can be ended only
    together with its process."""
    try:
        with Path(path).open("rb") as file:
            kind = rules.sniff(file.read(rules.HEAD_BYTES))
        found = read(Path(path), kind, int(max_pixels))
    except Invalid as error:
        return orjson.dumps({"errors": error.errors})
    return orjson.dumps({"width": found.width, "height": found.height}) + b"\n" + found.thumbnail


def reported(output: bytes) -> Picture:
    """Raises what `read` raised, and ValueError where the program ended before it had said anything."""
    head, _, thumbnail = output.partition(b"\n")
    report = orjson.loads(head)
    if "errors" in report:
        raise Invalid(errors=report["errors"], code="bad_file")
    return Picture(report["width"], report["height"], thumbnail)


if __name__ == "__main__":
    sys.stdout.buffer.write(main(*sys.argv[1:]))
