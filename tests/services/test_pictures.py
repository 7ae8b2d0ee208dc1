"""Pictures of every build: what is beside the pixels refuses none, and the small copy shows what a screen shows."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hub.domain import content as rules
from hub.domain.errors import Invalid
from hub.services import bitmaps, picture_files, pictures
from tests.media import gif, gif_frame, icc, icc_gamma, icc_xyz, picture, png, png_chunk

Colour = tuple[int, ...]

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
CLEAR = (0, 0, 0, 0)
SIDE = 16  # pixels of the pictures below: the left half is of one colour, the right half of another


def read(tmp_path: Path, data: bytes, max_pixels: int = 1_000_000) -> pictures.Picture:
    path = tmp_path / "file"
    path.write_bytes(data)
    return pictures.read(path, rules.sniff(data[: rules.HEAD_BYTES]), max_pixels)


def seen(tmp_path: Path, data: bytes, *places: tuple[float, float]) -> list[Colour]:
    """The colours of the small copy at these places, in parts of its width and height."""
    with Image.open(io.BytesIO(read(tmp_path, data).thumbnail)) as small:
        shown = small.convert("RGBA")
        found = [shown.getpixel((int(x * small.width), int(y * small.height))) for x, y in places]
    return [colour for colour in found if isinstance(colour, tuple)]


def alike(one: Colour, other: Colour, tolerance: int = 24) -> bool:
    """WebP loses a little."""
    if len(other) == 3:
        other = (*other, 255)
    if other[3] == 0:
        return one[3] < 16
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def check_halves(tmp_path: Path, data: bytes, left: Colour, right: Colour) -> None:
    a, b = seen(tmp_path, data, (0.2, 0.5), (0.8, 0.5))
    assert alike(a, left), (a, left)
    assert alike(b, right), (b, right)


def halves(left: bytes, right: bytes) -> list[bytes]:
    return [left * (SIDE // 2) + right * (SIDE // 2)] * SIDE


def packed(left: int, right: int, depth: int) -> list[bytes]:
    """Rows of values of less than a byte."""
    bits = "".join(f"{value:0{depth}b}" for value in [left] * (SIDE // 2) + [right] * (SIDE // 2))
    return [int(bits, 2).to_bytes(len(bits) // 8, "big")] * SIDE


def made(mode: str, left: Any, right: Any, kind: str, size: tuple[int, int] = (64, 64), **options: Any) -> bytes:
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def wide(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


GREY, GREYS = (128, 128, 128), wide(0x8080)
PALETTE = (b"PLTE", bytes((*RED, *BLUE, *WHITE)))

PNGS: dict[str, tuple[bytes, Colour, Colour]] = {
    "1 bit": (png(packed(0, 1, 1), 1, 0, width=SIDE), BLACK, WHITE),
    "2 bits": (png(packed(0, 2, 2), 2, 0, width=SIDE), BLACK, (170, 170, 170)),
    "4 bits": (png(packed(3, 15, 4), 4, 0, width=SIDE), (51, 51, 51), WHITE),
    "8 bits": (png(halves(b"\x80", b"\xff"), 8, 0, width=SIDE), GREY, WHITE),
    "16 bits": (png(halves(GREYS, wide(0x2020)), 16, 0, width=SIDE), GREY, (32, 32, 32)),
    "grey and alpha": (png(halves(b"\x80\xff", b"\x80\0"), 8, 4, width=SIDE), GREY, CLEAR),
    "grey and alpha of 16 bits": (png(halves(wide(0x8080, 65535), wide(0, 0)), 16, 4, width=SIDE), GREY, CLEAR),
    "RGB": (png(halves(bytes(RED), bytes(BLUE)), 8, 2, width=SIDE), RED, BLUE),
    "RGB of 16 bits": (png(halves(wide(65535, 0, 0), wide(0, 0, 65535)), 16, 2, width=SIDE), RED, BLUE),
    "RGBA": (png(halves(bytes((*RED, 255)), bytes(CLEAR)), 8, 6, width=SIDE), RED, CLEAR),
    "RGBA of 16 bits": (png(halves(wide(65535, 0, 0, 65535), bytes(8)), 16, 6, width=SIDE), RED, CLEAR),
    "a palette of 1 bit": (png(packed(0, 1, 1), 1, 3, PALETTE, width=SIDE), RED, BLUE),
    "a palette of 2 bits": (png(packed(2, 1, 2), 2, 3, PALETTE, width=SIDE), WHITE, BLUE),
    "a palette of 4 bits": (png(packed(0, 1, 4), 4, 3, PALETTE, width=SIDE), RED, BLUE),
    "a palette of 8 bits": (png(halves(b"\0", b"\1"), 8, 3, PALETTE, width=SIDE), RED, BLUE),
    "a palette with alpha": (png(halves(b"\0", b"\1"), 8, 3, PALETTE, (b"tRNS", b"\xff\0"), width=SIDE), RED, CLEAR),
    "a clear colour of 1 bit": (png(packed(0, 1, 1), 1, 0, (b"tRNS", wide(1)), width=SIDE), BLACK, CLEAR),
    "a clear colour of 4 bits": (png(packed(3, 15, 4), 4, 0, (b"tRNS", wide(15)), width=SIDE), (51, 51, 51), CLEAR),
    "a clear grey": (png(halves(b"\x80", b"\xff"), 8, 0, (b"tRNS", wide(255)), width=SIDE), GREY, CLEAR),
    "a clear grey of 16 bits": (
        png(halves(GREYS, wide(65535)), 16, 0, (b"tRNS", wide(65535)), width=SIDE), GREY, CLEAR),
    "a clear colour": (png(halves(bytes(RED), bytes(BLUE)), 8, 2, (b"tRNS", wide(*BLUE)), width=SIDE), RED, CLEAR),
    "a clear colour of 16 bits": (
        png(halves(wide(65535, 0, 0), wide(0, 0, 65535)), 16, 2, (b"tRNS", wide(0, 0, 65535)), width=SIDE), RED, CLEAR),
    "light in proportion": (
        png(halves(b"\x37", b"\xff"), 8, 0, (b"gAMA", struct.pack(">I", 100_000)), width=SIDE), GREY, WHITE),
}  # fmt: skip


@pytest.mark.parametrize("name", PNGS)
def test_png_of_every_depth_and_kind_of_colour(tmp_path: Path, name: str) -> None:
    check_halves(tmp_path, *PNGS[name])


def bmp(
    depth: int,
    rows: list[bytes],
    *,
    palette: bytes = b"",
    masks: bytes = b"",
    down: bool = True,
    runs: bytes = b"",
    coding: int | None = None,
    more: bytes = b"",
    colours: int = 0,
) -> bytes:
    """As Windows writes it; the rows go down where the height is negative. `more` is what the header has behind its
    first 40 bytes, `runs` are the pixels in place of the rows."""
    body = runs or b"".join(row + bytes(-len(row) % 4) for row in rows)
    height = SIDE if runs else len(rows)
    coding = (3 if masks else 0) if coding is None else coding
    size = 40 + len(more)
    head = struct.pack("<IiiHHIIiiII", size, SIDE, -height if down else height, 1, depth, coding, 0, 0, 0, colours, 0)
    offset = 14 + size + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + head + more + masks + palette + body


def words(left: int, right: int, size: int) -> list[bytes]:
    return halves(left.to_bytes(size, "little"), right.to_bytes(size, "little"))


def runs(*lines: bytes, depth: int = 8, **options: Any) -> bytes:
    """A BMP of these runs, its lowest line first; colour 0 is red, 1 is blue."""
    palette = BGRX.ljust(4 << depth, b"\0")
    coding = 1 if depth == 8 else 2
    return bmp(depth, [], palette=palette, runs=b"".join(lines), coding=coding, down=False, **options)


def masked(*values: int) -> bytes:
    """The masks of a header of 108 or 124 bytes, and what else it has."""
    return struct.pack("<4I", *values).ljust(84, b"\0")


LINE, END = b"\x08\0\x08\1\0\0", b"\0\1"


BGRX = bytes((0, 0, 255, 0)) + bytes((255, 0, 0, 0))
MASKS_565 = struct.pack("<III", 0xF800, 0x07E0, 0x001F)

OTHERS: dict[str, Callable[[], tuple[bytes, Colour, Colour]]] = {
    "JPEG": lambda: (made("RGB", RED, BLUE, "JPEG"), RED, BLUE),
    "JPEG, progressive": lambda: (made("RGB", RED, BLUE, "JPEG", progressive=True), RED, BLUE),
    "JPEG, grey": lambda: (made("L", 128, 255, "JPEG"), GREY, WHITE),
    "JPEG, CMYK": lambda: (made("CMYK", (0, 255, 255, 0), (255, 255, 0, 0), "JPEG"), RED, BLUE),
    "JPEG, all colours": lambda: (made("RGB", RED, BLUE, "JPEG", subsampling=0), RED, BLUE),
    "GIF": lambda: (made("P", 1, 2, "GIF"), *(palette_of(1), palette_of(2))),
    "GIF, clear": lambda: (made("RGBA", (*RED, 255), CLEAR, "GIF"), RED, CLEAR),
    "WebP": lambda: (made("RGB", RED, BLUE, "WEBP"), RED, BLUE),
    "WebP, lossless and clear": lambda: (made("RGBA", (*RED, 255), CLEAR, "WEBP", lossless=True), RED, CLEAR),
    "BMP of 1 bit": lambda: (bmp(1, packed(0, 1, 1), palette=BGRX), RED, BLUE),
    "BMP of 4 bits": lambda: (bmp(4, packed(0, 1, 4), palette=BGRX.ljust(64, b"\0")), RED, BLUE),
    "BMP of 8 bits": lambda: (bmp(8, halves(b"\0", b"\1"), palette=BGRX.ljust(1_024, b"\0")), RED, BLUE),
    "BMP of 16 bits": lambda: (bmp(16, halves(b"\0\x7c", b"\x1f\0")), RED, BLUE),
    "BMP, 565": lambda: (bmp(16, halves(b"\0\xf8", b"\x1f\0"), masks=MASKS_565), RED, BLUE),
    "BMP of 24 bits": lambda: (bmp(24, halves(b"\0\0\xff", b"\xff\0\0")), RED, BLUE),
    "BMP of 24 bits, upwards": lambda: (bmp(24, halves(b"\0\0\xff", b"\xff\0\0"), down=False), RED, BLUE),
    # What Chromium shows of these was looked at; Pillow alone reads few of them.
    "BMP, 444": lambda: (bmp(16, words(0xF00, 0x00F, 2), masks=struct.pack("<III", 0xF00, 0xF0, 0xF)), RED, BLUE),
    "BMP, 332": lambda: (bmp(16, words(0xE0, 0x03, 2), masks=struct.pack("<III", 0xE0, 0x1C, 0x03)), RED, BLUE),
    "BMP, 10 bits a colour": lambda: (
        bmp(32, words(0x3FF << 20, 0x3FF, 4), masks=struct.pack("<III", 0x3FF << 20, 0x3FF << 10, 0x3FF)), RED, BLUE),
    "BMP, blue first": lambda: (
        bmp(32, words(0xFF, 0xFF0000, 4), masks=struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)), RED, BLUE),
    "BMP, masks of nothing": lambda: (bmp(32, words(0xFF0000, 0xFF, 4), masks=bytes(12)), BLACK, BLACK),
    "BMP, masks of the same": lambda: (
        bmp(32, words(0xFF0000, 0xFF, 4), masks=struct.pack("<III", 0xFF0000, 0xFF0000, 0xFF)), (255, 255, 0), BLUE),
    "BMP, 1555": lambda: (
        bmp(16, words(0xFC00, 0x001F, 2), coding=3, more=masked(0x7C00, 0x3E0, 0x1F, 0x8000)), RED, CLEAR),
    "BMP, 4444": lambda: (
        bmp(16, words(0xFF00, 0x000F, 2), coding=3, more=masked(0xF00, 0xF0, 0xF, 0xF000)), RED, CLEAR),
    "BMP, 8888": lambda: (
        bmp(32, words(0xFFFF0000, 0xFF, 4), coding=3, more=masked(0xFF0000, 0xFF00, 0xFF, 0xFF000000)), RED, CLEAR),
    "BMP, masks with alpha": lambda: (
        bmp(32, words(0xFFFF0000, 0xFF, 4), coding=6, masks=struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        RED, CLEAR),
    "BMP of 2 bits": lambda: (bmp(2, packed(0, 1, 2), palette=BGRX + bytes(8)), RED, BLUE),
    "BMP, a short palette": lambda: (bmp(8, halves(b"\0", b"\1"), palette=BGRX, colours=2), RED, BLUE),
    "BMP, beyond its palette": lambda: (bmp(8, halves(b"\0", b"\5"), palette=BGRX, colours=2), RED, BLACK),
    "BMP, colours without end": lambda: (
        bmp(8, halves(b"\0", b"\1"), palette=BGRX.ljust(1_024, b"\0"), colours=100_000), RED, BLUE),
    "BMP of OS/2": lambda: (
        b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 26, 12, SIDE, SIDE, 1, 24)
        + b"".join(halves(b"\0\0\xff", b"\xff\0\0")), RED, BLUE),
    "BMP of OS/2, short": lambda: (
        b"BM" + struct.pack("<IHHIIiiHH", 0, 0, 0, 30, 16, SIDE, SIDE, 1, 24)
        + b"".join(halves(b"\0\0\xff", b"\xff\0\0")), RED, BLUE),
    "BMP, reserved bytes": lambda: (
        bmp(24, halves(b"\0\0\xff", b"\xff\0\0"))[:6] + b"ABCD" + bmp(24, halves(b"\0\0\xff", b"\xff\0\0"))[10:],
        RED, BLUE),
    "runs": lambda: (runs(LINE * 16, END), RED, BLUE),
    "runs of 4 bits": lambda: (runs(b"\x08\0\x08\x11\0\0" * 16, END, depth=4), RED, BLUE),
    "runs without an end": lambda: (runs(LINE * 16), RED, BLUE),
    "runs beyond the line": lambda: (runs(b"\x08\0\xff\1\0\0" * 16, END), RED, BLUE),
    "pixels one by one": lambda: (runs((b"\0\7" + bytes(7) + b"\0\1\0\x08\1\0\0") * 16, END), RED, BLUE),
    "4 bits one by one": lambda: (
        runs((b"\0\7" + bytes(4) + b"\1\0\0\x08" + b"\x11" * 4 + b"\0\0") * 16, END, depth=4), RED, BLUE),
    "lines that are skipped": lambda: (runs(b"\0\2\0\4", LINE * 12, END), RED, BLUE),
    "pixels that are skipped": lambda: (runs(b"\x08\0\0\2\x08\0\0\0" * 16, END), RED, BLACK),
    "lines that are short": lambda: (runs(b"\x08\0\0\0" * 16, END), RED, BLACK),
    "an early end": lambda: (runs(LINE * 10, END), RED, BLUE),
    "GIF, a frame of its own place": lambda: (
        gif(gif_frame(8, 0, 8, 16, bytes(128)), palette=bytes((*RED, *BLUE))), CLEAR, RED),
    "BMP of 32 bits": lambda: (bmp(32, halves(b"\0\0\xff\0", b"\xff\0\0\0")), RED, BLUE),
    "AVIF": lambda: (made("RGB", RED, BLUE, "AVIF"), RED, BLUE),
    "AVIF, clear": lambda: (made("RGBA", (*RED, 255), CLEAR, "AVIF"), RED, CLEAR),
    "AVIF, grey": lambda: (made("L", 128, 255, "AVIF"), GREY, WHITE),
}  # fmt: skip


def palette_of(index: int) -> Colour:
    """The colour that Pillow gives to this number where nothing else is said."""
    return (index, index, index)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_formats(tmp_path: Path, name: str) -> None:
    check_halves(tmp_path, *OTHERS[name]())


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_a_moving_picture_the_first_is_shown(tmp_path: Path, kind: str) -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "white")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=100)
    check_halves(tmp_path, file.getvalue(), RED, RED)


# Which way up: the picture is red in its upper left quarter as it is to be seen, blue in its upper right one.

AS_STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "AVIF"])
@pytest.mark.parametrize("orientation", AS_STORED)
def test_every_orientation(tmp_path: Path, kind: str, orientation: int) -> None:
    image = Image.new("RGB", (96, 64), "white")
    image.paste("red", (0, 0, 48, 32))
    image.paste("blue", (48, 0, 96, 32))
    if (turn := AS_STORED[orientation]) is not None:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif)
    found = read(tmp_path, file.getvalue())
    assert (found.width, found.height) == (96, 64)
    colours = seen(tmp_path, file.getvalue(), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
    assert [alike(*pair) for pair in zip(colours, (RED, BLUE, WHITE, WHITE), strict=True)] == [True] * 4


def test_a_webp_is_not_turned(tmp_path: Path) -> None:
    """Neither Chromium nor mpv minds its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = made("RGB", RED, BLUE, "WEBP", (96, 64), exif=exif)
    found = read(tmp_path, data)
    assert (found.width, found.height) == (96, 64)
    check_halves(tmp_path, data, RED, BLUE)


# Profiles

_CURVES = {name: icc_gamma(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")}
SWAPPED = icc("RGB", _CURVES | {  # what is red in numbers is green on paper, and green is red
    b"wtpt": icc_xyz(0.9642, 1.0, 0.8249), b"gXYZ": icc_xyz(0.4360, 0.2225, 0.0139),
    b"rXYZ": icc_xyz(0.3851, 0.7169, 0.0971), b"bXYZ": icc_xyz(0.1431, 0.0606, 0.7141),
})  # fmt: skip
LINEAR_GREY = icc("GRAY", {b"wtpt": icc_xyz(0.9642, 1.0, 0.8249), b"kTRC": icc_gamma(1.0)})


def cmyk_profile() -> bytes:
    """Paper without ink is black, and any ink is white: a table of two steps a channel to L*a*b*."""
    identity = b"".join(struct.pack(">9i", *(65_536 if n in (0, 4, 8) else 0 for n in range(9))) for _ in range(1))
    ramp = bytes(range(256))
    table = bytes((0, 128, 128)) + bytes((255, 128, 128)) * 15
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + ramp * 4 + table + ramp * 3
    return icc("CMYK", {b"A2B0": lut, b"wtpt": icc_xyz(0.9642, 1.0, 0.8249)}, pcs=b"Lab ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_colours_are_those_of_the_profile(tmp_path: Path, kind: str) -> None:
    check_halves(tmp_path, made("RGB", RED, GREEN, kind, icc_profile=SWAPPED), GREEN, RED)


def test_profiles_of_other_modes(tmp_path: Path) -> None:
    check_halves(tmp_path, made("RGBA", (*RED, 255), CLEAR, "PNG", icc_profile=SWAPPED), GREEN, CLEAR)
    check_halves(tmp_path, made("L", 55, 255, "JPEG", icc_profile=LINEAR_GREY), GREY, WHITE)
    check_halves(tmp_path, made("LA", (55, 255), (55, 0), "PNG", icc_profile=LINEAR_GREY), GREY, CLEAR)
    no_ink, ink = (0, 0, 0, 0), (255, 255, 255, 255)
    check_halves(tmp_path, made("CMYK", no_ink, ink, "JPEG", icc_profile=cmyk_profile()), BLACK, WHITE)


@pytest.mark.parametrize("profile", [b"junk", SWAPPED[:200], LINEAR_GREY, cmyk_profile()], ids=range(4))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_profile_that_is_broken_or_for_other_colours_is_passed_over(
    tmp_path: Path, kind: str, profile: bytes
) -> None:
    check_halves(tmp_path, made("RGB", RED, GREEN, kind, icc_profile=profile), RED, GREEN)


# What is beside the pixels

_LARGE = zlib.compress(bytes(2_000_000))
PNG_SIDE_DATA = {
    "two megabytes of text": png_chunk(b"zTXt", b"Comment\0\0" + _LARGE),
    "two megabytes of text as they are": png_chunk(b"tEXt", b"Comment\0" + b"x" * 2_000_000),
    "a hundred megabytes of text": png_chunk(b"zTXt", b"C\0\0" + zlib.compress(bytes(900_000))) * 110,
    "text that is not compressed as it says": png_chunk(b"zTXt", b"Comment\0\0junk"),
    "international text cut short": png_chunk(b"iTXt", b"Comment\0\1"),
    "broken EXIF": png_chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
    "EXIF that is none": png_chunk(b"eXIf", b"junk"),
    "empty EXIF": png_chunk(b"eXIf", b""),
    "a wrong checksum": png_chunk(b"tEXt", b"Comment\0x", crc=1),
    "a broken profile": png_chunk(b"iCCP", b"name\0\0junk"),
    "a profile without a name": png_chunk(b"iCCP", b""),
    "a profile of gigabytes": png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(50_000_000))),
    "a density cut short": png_chunk(b"pHYs", b"\0"),
    "no gamma": png_chunk(b"gAMA", bytes(4)),
    "half a gamma": png_chunk(b"gAMA", b"\0"),
    "movement that is none": png_chunk(b"acTL", b""),
    "a chunk that nobody knows": png_chunk(b"abCd", b"junk"),
}


EXIF_TURNED = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
_HALVES = halves(bytes(RED), bytes(BLUE))
_GREYS = halves(b"\x37", b"\xff")
_LIGHT = (b"gAMA", struct.pack(">I", 100_000))
_AS_SRGB = (b"gAMA", struct.pack(">I", 45_455))
_RED_IS_GREEN = (b"cHRM", struct.pack(">8I", 31_270, 32_900, 30_000, 60_000, 64_000, 33_000, 15_000, 6_000))
_P3 = (b"cHRM", struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000))
_ICC = (b"iCCP", b"name\0\0" + zlib.compress(SWAPPED))
_MIXED, _MIXED_IN_P3 = (150, 100, 60), (160, 97, 51)
_DARK = (55, 55, 55)


def beside(*chunks: bytes, rows: list[bytes] = _HALVES, colour: int = 2) -> bytes:
    """With these chunks before its pixels."""
    whole = png(rows, 8, colour, width=SIDE)
    return whole[:33] + b"".join(chunks) + whole[33:]


def wrong(kind: bytes, data: bytes) -> bytes:
    return png_chunk(kind, data, crc=1)


# As Chromium shows them.
PNG_CHUNKS: dict[str, tuple[bytes, Colour, Colour]] = {
    "a clear colour with more behind": (beside(png_chunk(b"tRNS", wide(*BLUE) + b"\0\0")), RED, CLEAR),
    "a clear colour cut short": (beside(png_chunk(b"tRNS", wide(*BLUE)[:5])), RED, BLUE),
    "a clear colour that is empty": (beside(png_chunk(b"tRNS", b"")), RED, BLUE),
    "a clear colour of a wrong checksum": (beside(wrong(b"tRNS", wide(*BLUE))), RED, BLUE),
    "a clear colour after another": (
        beside(png_chunk(b"tRNS", wide(*BLUE)), png_chunk(b"tRNS", wide(*RED))), RED, CLEAR),
    "a clear colour behind the pixels": (
        png(_HALVES, 8, 2, width=SIDE, late=png_chunk(b"tRNS", wide(*BLUE))), RED, BLUE),
    "a clear grey with more behind": (
        beside(png_chunk(b"tRNS", wide(255, 3)), rows=_GREYS, colour=0), _DARK, CLEAR),
    "a clear grey cut short": (beside(png_chunk(b"tRNS", b"\xff"), rows=_GREYS, colour=0), _DARK, WHITE),
    "a clear grey that is empty": (beside(png_chunk(b"tRNS", b""), rows=_GREYS, colour=0), _DARK, WHITE),
    "a clear colour beside alpha": (
        beside(png_chunk(b"tRNS", wide(*BLUE)), rows=halves(bytes((*RED, 255)), bytes((*BLUE, 255))), colour=6),
        RED, BLUE),
    "more alpha than there are colours": (
        png(halves(b"\0", b"\1"), 8, 3, PALETTE, (b"tRNS", b"\xff\0\xff\xff\x80"), width=SIDE), RED, CLEAR),
    "more alpha than there can be": (
        png(halves(b"\0", b"\1"), 8, 3, PALETTE, (b"tRNS", b"\xff\0" + bytes(300)), width=SIDE), RED, BLUE),
    "alpha before its palette": (
        png(halves(b"\0", b"\1"), 8, 3, (b"tRNS", b"\xff\0"), PALETTE, width=SIDE), RED, BLUE),
    "a colour beyond the palette": (png(halves(b"\0", b"\5"), 8, 3, PALETTE, width=SIDE), RED, WHITE),
    "a palette of odd length": (
        png(halves(b"\0", b"\1"), 8, 3, (b"PLTE", PALETTE[1] + b"\1"), width=SIDE), RED, BLUE),
    "a palette that is a suggestion": (beside(wrong(*PALETTE)), RED, BLUE),
    "EXIF of a wrong checksum": (beside(wrong(b"eXIf", EXIF_TURNED)), RED, BLUE),
    "EXIF behind the pixels": (
        png(_HALVES, 8, 2, width=SIDE, late=png_chunk(b"eXIf", EXIF_TURNED)), RED, BLUE),
    "a profile of a wrong checksum": (beside(wrong(*_ICC)), RED, BLUE),
    "sRGB behind a gamma": (png(_GREYS, 8, 0, _LIGHT, (b"sRGB", b"\0"), width=SIDE), _DARK, WHITE),
    "sRGB before a gamma": (png(_GREYS, 8, 0, (b"sRGB", b"\0"), _LIGHT, width=SIDE), _DARK, WHITE),
    "sRGB of a wrong checksum": (beside(wrong(b"sRGB", b"\0"), png_chunk(*_LIGHT), rows=_GREYS, colour=0), GREY, WHITE),
    "sRGB that is empty": (png(_GREYS, 8, 0, _LIGHT, (b"sRGB", b""), width=SIDE), GREY, WHITE),
    "sRGB of no known intent": (png(_GREYS, 8, 0, _LIGHT, (b"sRGB", b"\x09"), width=SIDE), GREY, WHITE),
    "sRGB beside other points": (png(_HALVES, 8, 2, _AS_SRGB, _RED_IS_GREEN, (b"sRGB", b"\0"), width=SIDE), RED, BLUE),
    "sRGB beside a profile": (png(_HALVES, 8, 2, (b"sRGB", b"\0"), _ICC, width=SIDE), GREEN, BLUE),
    "a gamma beside a profile": (png(_HALVES, 8, 2, _LIGHT, _ICC, width=SIDE), GREEN, BLUE),
    "a gamma beside a broken profile": (
        png(_GREYS, 8, 0, _LIGHT, (b"iCCP", b"name\0\0junk"), width=SIDE), GREY, WHITE),
    "a gamma of a wrong checksum": (beside(wrong(*_LIGHT), rows=_GREYS, colour=0), _DARK, WHITE),
    "a gamma behind the pixels": (png(_GREYS, 8, 0, width=SIDE, late=png_chunk(*_LIGHT)), _DARK, WHITE),
    "a gamma after another": (png(_GREYS, 8, 0, _LIGHT, _AS_SRGB, width=SIDE), GREY, WHITE),
    "a gamma of next to nothing": (png(_GREYS, 8, 0, (b"gAMA", struct.pack(">I", 1)), width=SIDE), BLACK, WHITE),
    "a gamma beyond all measure": (png(_GREYS, 8, 0, (b"gAMA", b"\xff" * 4), width=SIDE), WHITE, WHITE),
    "a gamma and a clear colour": (png(_GREYS, 8, 0, _LIGHT, (b"tRNS", wide(255)), width=SIDE), GREY, CLEAR),
    "other points": (png(_HALVES, 8, 2, _AS_SRGB, _RED_IS_GREEN, width=SIDE), GREEN, BLUE),
    "other points without a gamma": (png(_HALVES, 8, 2, _RED_IS_GREEN, width=SIDE), RED, BLUE),
    "points that are none": (png(_HALVES, 8, 2, _LIGHT, (b"cHRM", bytes(32)), width=SIDE), RED, BLUE),
    "points all the same": (
        png(_HALVES, 8, 2, _AS_SRGB, (b"cHRM", struct.pack(">8I", *[31_270, 32_900] * 4)), width=SIDE), RED, BLUE),
    "Display P3 by its points": (
        png(halves(bytes(_MIXED), b"\xff" * 3), 8, 2, _AS_SRGB, _P3, width=SIDE), _MIXED_IN_P3, WHITE),
    "Display P3 by number": (
        png(halves(bytes(_MIXED), b"\xff" * 3), 8, 2, (b"cICP", bytes((12, 13, 0, 1))), width=SIDE),
        _MIXED_IN_P3, WHITE),
    "light in proportion, by number": (
        png(_GREYS, 8, 0, (b"cICP", bytes((1, 8, 0, 1))), (b"sRGB", b"\0"), width=SIDE), GREY, WHITE),
    "television, by number": (png(halves(GREYS[:1], b"\xff"), 8, 0, (b"cICP", bytes((1, 1, 0, 1))), width=SIDE),
        (121, 121, 121), WHITE),
    "a number before a profile": (
        png(halves(bytes(_MIXED), b"\xff" * 3), 8, 2, (b"cICP", bytes((12, 13, 0, 1))), _ICC, width=SIDE),
        _MIXED_IN_P3, WHITE),
    "a number that is not known": (
        png(_GREYS, 8, 0, (b"cICP", bytes((2, 2, 0, 1))), _LIGHT, width=SIDE), GREY, WHITE),
    "HDR beside a gamma": (
        png(halves(GREYS[:1], b"\xff"), 8, 0, (b"cICP", bytes((9, 16, 0, 1))), _LIGHT, width=SIDE), (132,) * 3, WHITE),
}  # fmt: skip


@pytest.mark.parametrize("name", PNG_CHUNKS)
def test_png_with_chunks_that_are_broken_or_at_odds(tmp_path: Path, name: str) -> None:
    data, left, right = PNG_CHUNKS[name]
    a, b = seen(tmp_path, data, (0.2, 0.5), (0.8, 0.5))
    assert alike(a, left, 6), (a, left)
    assert alike(b, right, 6), (b, right)


def test_the_first_exif_turns_a_png(tmp_path: Path) -> None:
    upright = EXIF_TURNED.replace(b"\0\6", b"\0\1")
    data = beside(png_chunk(b"eXIf", EXIF_TURNED), png_chunk(b"eXIf", upright), rows=_HALVES[:8])
    found = read(tmp_path, data)
    assert (found.width, found.height) == (8, 16)


@pytest.mark.parametrize("name", PNG_SIDE_DATA)
def test_side_data_refuses_no_png(tmp_path: Path, name: str) -> None:
    whole = picture("PNG", (20, 20), "red")
    for at in (33, len(whole) - 12):  # behind the header, and before the end
        check_halves(tmp_path, whole[:at] + PNG_SIDE_DATA[name] + whole[at:], RED, RED)


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


JPEG_SIDE_DATA = {
    "broken EXIF": segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "EXIF that is none": segment(0xE1, b"Exif\0\0junk"),
    "EXIF in circles": segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"),
    "Photoshop's, broken": segment(0xED, b"Photoshop 3.0\0008BIM\x04\x04\xff\xff\xff"),
    "more pictures, broken": segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
    "a broken profile": segment(0xE2, b"ICC_PROFILE\0\1\1junk"),
    "parts of a profile": segment(0xE2, b"ICC_PROFILE\0\3\2" + SWAPPED[9:]) + segment(0xE2, b"ICC_PROFILE\0"),
    "Adobe's, cut short": segment(0xEE, b"Adobe"),
    "JFIF's, cut short": segment(0xE0, b"JF"),
    "comments": segment(0xFE, b"x" * 65_000) * 40,
    "bytes between": b"\xff" * 100 + segment(0xFE, b"x"),
}


@pytest.mark.parametrize("name", JPEG_SIDE_DATA)
def test_side_data_refuses_no_jpeg(tmp_path: Path, name: str) -> None:
    whole = picture("JPEG", (64, 64), "red")
    check_halves(tmp_path, whole[:2] + JPEG_SIDE_DATA[name] + whole[2:], RED, RED)


def test_a_profile_in_parts_is_put_together(tmp_path: Path) -> None:
    whole = made("RGB", RED, GREEN, "JPEG")
    parts = [segment(0xE2, b"ICC_PROFILE\0" + bytes((n + 1, 2)) + SWAPPED[n * 200 :][: 200 + n * 999]) for n in (1, 0)]
    check_halves(tmp_path, whole[:2] + b"".join(parts) + whole[2:], GREEN, RED)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_side_data_refuses_no_webp_and_no_avif(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "description" * 20
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, kind, exif=exif, xmp=b"<x:xmpmeta")
    whole = file.getvalue()
    at = whole.index(b"MM\0*") if b"MM\0*" in whole else whole.index(b"II*\0")
    for junk in (b"junkjunk", b"MM\0*\xff\xff\xff\xff"):
        check_halves(tmp_path, whole[:at] + junk + whole[at + 8 :], RED, RED)


def test_a_comment_refuses_no_gif(tmp_path: Path) -> None:
    whole = picture("GIF", (64, 64), "red")
    at = whole.index(b"\x2c")
    comment = b"\x21\xfe" + (b"\xff" + b"x" * 255) * 5_000 + b"\0"
    unknown = b"\x21\xff\x0bUNKNOWN1.0!" + b"\x05junk!\0"
    check_halves(tmp_path, whole[:at] + comment + unknown + whole[at:], RED, RED)


def test_no_word_of_the_original_goes_along(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "where it was taken"
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        found = read(tmp_path, made("RGB", RED, BLUE, kind, exif=exif, icc_profile=SWAPPED))
        assert b"taken" not in found.thumbnail
        assert b"ICCP" not in found.thumbnail


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "AVIF"])
def test_what_is_cut_or_has_broken_pixels_is_refused(tmp_path: Path, kind: str) -> None:
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    file = io.BytesIO()
    noise.save(file, kind)
    for size in (2, 4):
        with pytest.raises(Invalid):
            read(tmp_path, file.getvalue()[: -len(file.getvalue()) // size])


def test_a_broken_stream_of_pixels_is_refused(tmp_path: Path) -> None:
    whole = picture("PNG", (20, 20))
    at = whole.index(b"IDAT") + 4
    with pytest.raises(Invalid):
        read(tmp_path, whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])


# The end of the pixels

_WHOLE = png(_HALVES, 8, 2, width=SIDE)
_AT = _WHOLE.index(b"IDAT") - 4
_STREAM = _WHOLE[_AT + 8 : -16]
_OTHER_SUM = _STREAM[:-4] + b"\0\0\0\1"


def of_pixels(*pieces: bytes, crc: int | None = None) -> bytes:
    chunks = b"".join(png_chunk(b"IDAT", piece, crc=crc) for piece in pieces)
    return _WHOLE[:_AT] + chunks + png_chunk(b"IEND", b"")


PNG_ENDS = {
    "a wrong sum of pixels": of_pixels(_OTHER_SUM),
    "a wrong sum in two chunks": of_pixels(_OTHER_SUM[:-2], _OTHER_SUM[-2:]),
    "a wrong sum in chunks of its own": of_pixels(
        _OTHER_SUM[:-4], b"", *(bytes((one,)) for one in _OTHER_SUM[-4:]), b""
    ),
    "no sum of pixels": of_pixels(_STREAM[:-4]),
    "part of a sum": of_pixels(_STREAM[:-1]),
    "more behind the sum": of_pixels(_STREAM + b"junk"),
    "a wrong checksum of pixels": of_pixels(_STREAM, crc=1),
    "no end": _WHOLE[:-12],
    "half an end": _WHOLE[:-3],
    "a wrong checksum of the end": _WHOLE[:-4] + bytes(4),
    "no checksum of pixels": _WHOLE[: _AT + 8 + len(_STREAM)],
    "bytes behind the end": _WHOLE + b"junk" * 100,
}


@pytest.mark.parametrize("name", PNG_ENDS)
def test_a_png_ends_with_its_pixels(tmp_path: Path, name: str) -> None:
    check_halves(tmp_path, PNG_ENDS[name], RED, BLUE)


def test_a_png_that_nobody_shows_is_refused(tmp_path: Path) -> None:
    indexed = png(halves(b"\0", b"\1"), 8, 3, width=SIDE)
    odd_filter = _WHOLE[16:26] + b"\0\1\0"
    for data, word in (
        (indexed, "palette"),
        (indexed[:33] + png_chunk(*PALETTE, crc=1) + indexed[33:], "palette"),
        (png(halves(b"\0", b"\1"), 8, 3, (b"PLTE", b"\1"), width=SIDE), "palette"),
        (png(halves(b"\0", b"\1"), 8, 3, (b"PLTE", bytes(771)), width=SIDE), "palette"),
        (_WHOLE[:33] + _WHOLE[8:], "two heads"),
        (_WHOLE[:8] + _WHOLE[33:], "no head"),
        (_WHOLE[:29] + bytes(4) + _WHOLE[33:], "head"),
        (_WHOLE[:8] + png_chunk(b"IHDR", odd_filter) + _WHOLE[33:], "head"),
        (of_pixels(_STREAM[: len(_STREAM) // 2]), "broken"),
    ):
        with pytest.raises(Invalid) as refused:
            read(tmp_path, data)
        assert word in str(refused.value.errors)


def noise(**options: Any) -> bytes:
    image = Image.effect_noise((200, 200), 80).convert("RGB")
    image.paste(RED, (0, 60, 100, 140))
    image.paste(BLUE, (100, 60, 200, 140))
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {}, "progressive": {"progressive": True}, "all colours": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 5},
}  # fmt: skip


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_whose_last_bytes_are_missing_is_shown_and_a_cut_one_is_refused(tmp_path: Path, name: str) -> None:
    whole = noise(**JPEGS[name])
    for missing in (1, 2, 3, 10):
        check_halves(tmp_path, whole[:-missing], RED, BLUE)
        read(tmp_path, whole[:-missing], 40_000)
    for share in (0.2, 0.5, 0.8):
        for most in (1_000_000, 40_000):  # the second leaves no room for two of the size
            with pytest.raises(Invalid):
                read(tmp_path, whole[: int(len(whole) * share)], most)


def test_a_jpeg_in_other_colours_may_lack_its_end(tmp_path: Path) -> None:
    check_halves(tmp_path, made("L", 128, 255, "JPEG")[:-2], GREY, WHITE)
    check_halves(tmp_path, made("CMYK", (0, 255, 255, 0), (255, 255, 0, 0), "JPEG")[:-2], RED, BLUE)
    whole = picture("JPEG", (64, 64), "red")
    check_halves(tmp_path, (whole[:2] + segment(0xFE, b"\xff\xd9") + whole[2:])[:-2], RED, RED)


def test_a_jpeg_that_tells_its_height_at_the_end_is_refused(tmp_path: Path) -> None:
    whole = noise()
    at = whole.index(b"\xff\xc0") + 5
    late = whole[:at] + b"\0\0" + whole[at + 2 : -2] + segment(0xDC, whole[at : at + 2]) + whole[-2:]
    with pytest.raises(Invalid) as refused:
        read(tmp_path, late)
    assert "how high" in str(refused.value.errors)
    check_halves(tmp_path, whole[:-2] + segment(0xDC, whole[at : at + 2]) + whole[-2:], RED, BLUE)


def test_a_bmp_may_lack_the_padding_of_its_last_row_and_no_more(tmp_path: Path) -> None:
    rows = [b"\0\0\xff" * 8 + b"\xff\0\0" * 7] * 5
    data = bmp(24, rows)
    data = data[:18] + (15).to_bytes(4, "little") + data[22:]
    for missing in (1, 2, 3):
        check_halves(tmp_path, data[:-missing], RED, BLUE)
    with pytest.raises(Invalid) as refused:
        read(tmp_path, data[:-4])
    assert "cut" in str(refused.value.errors)


@pytest.mark.parametrize("data", [
    bmp(24, halves(b"\0\0\xff", b"\xff\0\0"), coding=4),
    bmp(24, halves(b"\0\0\xff", b"\xff\0\0"), coding=5),
    bmp(48, [bytes(96)] * 16),
    bmp(16, words(0, 0, 2), coding=3)[:60],
    runs(b"\0\2\xff\xff", LINE * 16, END),
    runs(b"\x08\0\x08\1" * 16, END),
    runs(LINE * 8),
    runs(LINE * 15, b"\x08\0\x08"),
    runs(LINE * 15, b"\0\x10abc"),
    runs(LINE * 15, b"\0\2"),
    runs(b"\0\2\0\0" * 100_000)[:-4],
], ids=range(11))  # fmt: skip
def test_a_bmp_that_nobody_shows_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Invalid):
        read(tmp_path, data)


def test_a_bmp_of_runs_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitmaps, "MAX_RUNS", 1_000)
    check_halves(tmp_path, runs(LINE * 16, END), RED, BLUE)
    with pytest.raises(Invalid) as refused:
        read(tmp_path, runs(b"\0\2\0\0" * 1_000, LINE * 16, END))
    assert "too many pieces" in str(refused.value.errors)


@pytest.mark.parametrize("depth", [1, 8, 16, 24, 32])
def test_a_bmp_of_many_pixels_is_refused_by_its_head(tmp_path: Path, depth: int) -> None:
    data = bmp(depth, [b""], palette=bytes(1_024))
    for width, height in ((1_001, 1_000), (2**31 - 1, 2**31 - 1), (1_000_000, -1_000_000)):
        with pytest.raises(Invalid) as refused:
            read(tmp_path, data[:18] + struct.pack("<ii", width, height) + data[26:])
        assert "too many" in str(refused.value.errors)
    for width, height in ((0, 5), (5, 0), (-5, 5)):
        with pytest.raises(Invalid):
            read(tmp_path, data[:18] + struct.pack("<ii", width, height) + data[26:])


def test_more_bytes_than_any_such_picture_has_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(picture("WEBP"))
        file.truncate(9_000_000)
    with pytest.raises(Invalid) as refused:
        pictures.read(path, rules.WEBP, 1_000_000)
    assert "too large" in str(refused.value.errors)


# Work without end


def scanned(number: int, side: int = 64, between: bytes = b"") -> bytes:
    """A grey, progressive JPEG whose last scan is there so often; its head says that it is a square of this side."""
    whole = made("L", 128, 128, "JPEG", progressive=True)
    size, scan = whole.index(b"\xff\xc2") + 5, whole.rindex(b"\xff\xda")
    head = whole[:size] + struct.pack(">HH", side, side) + whole[size + 4 : scan]
    return head + (between + whole[scan:-2]) * number + whole[-2:]


def test_a_jpeg_has_as_many_scans_as_encoders_write(tmp_path: Path) -> None:
    check_halves(tmp_path, scanned(100), GREY, GREY)
    for between in (b"", segment(0xFE, b"\xff\xd9"), b"\xff\xd9"[:1], b"\xff\xd0", b"\0\xff\xff", b"\xff\x02\xff\xff"):
        with pytest.raises(Invalid) as refused:
            read(tmp_path, scanned(300, between=between))
        assert "too many scans" in str(refused.value.errors), between


@pytest.mark.parametrize("missing", [0, 2])
def test_a_large_jpeg_has_fewer_scans(tmp_path: Path, missing: int) -> None:
    """The last two bytes are its end: without them it is decoded three times."""
    data = scanned(50 if missing else 150, 8_192)
    with pytest.raises(Invalid) as refused:
        read(tmp_path, data[: len(data) - missing], 1 << 26)
    assert "more scans than its size allows" in str(refused.value.errors)


def test_scans_of_what_is_behind_the_end_do_not_count(tmp_path: Path) -> None:
    check_halves(tmp_path, scanned(1) + b"\xff\xda" * 1_000, GREY, GREY)


def test_no_comment_of_a_gif_reaches_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It joins the blocks of a comment one by one, each time with all before: hours for some megabytes."""
    whole = made("RGBA", (*RED, 255), CLEAR, "GIF")
    at = whole.index(b"\x2c")
    path = tmp_path / "file"
    path.write_bytes(whole[:at] + b"!\xfe" + b"\x03abc" * 2_000 + b"\0" + b"\0\0" + whole[at:])
    check_halves(tmp_path, path.read_bytes(), RED, CLEAR)
    with path.open("rb") as file:
        assert b"abc" not in picture_files.taken_apart(file, "GIF").pixels.read()
    monkeypatch.setattr(picture_files, "MAX_PARTS", 1_000)
    with pytest.raises(Invalid) as refused:
        read(tmp_path, path.read_bytes())
    assert "too many pieces" in str(refused.value.errors)


# Ends that browsers do not mind


@pytest.mark.parametrize("side", [1, 5, 8, 9, 10, 17, 33, 64, 300])
def test_a_png_of_one_colour_may_have_a_wrong_sum(tmp_path: Path, side: int) -> None:
    """The last bytes of its pixels stand for many rows."""
    for value in (0, 1, 120, 255):
        whole = png([bytes((value,)) * side] * side, 8, 0, width=side)
        at = whole.rindex(b"IEND") - 12
        wrong = bytes(byte ^ 85 for byte in whole[at : at + 4])
        check_halves(tmp_path, whole[:at] + wrong + whole[at + 4 :], (value,) * 3, (value,) * 3)


def test_a_webp_may_lack_its_last_byte_of_padding_or_count_one_that_is_not_there(tmp_path: Path) -> None:
    files = [made("RGB", RED, BLUE, "WEBP", (width, 64), lossless=True) for width in range(64, 200, 2)]
    odd = next(data for data in files if int.from_bytes(data[16:20], "little") % 2)
    told = int.from_bytes(odd[4:8], "little")
    for size in (told, told - 1):
        check_halves(tmp_path, odd[:4] + size.to_bytes(4, "little") + odd[8:-1], RED, BLUE)
    check_halves(tmp_path, odd[:4] + (told + 1).to_bytes(4, "little") + odd[8:], RED, BLUE)
    with pytest.raises(Invalid):
        read(tmp_path, odd[:4] + (told - 1).to_bytes(4, "little") + odd[8:-2])
