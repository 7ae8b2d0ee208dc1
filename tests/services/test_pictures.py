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
from hub.services import pictures
from tests.media import icc, icc_gamma, icc_xyz, picture, png, png_chunk

Colour = tuple[int, ...]

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
CLEAR = (0, 0, 0, 0)
SIDE = 16  # pixels of the pictures below: the left half is of one colour, the right half of another


def read(tmp_path: Path, data: bytes) -> pictures.Picture:
    path = tmp_path / "file"
    path.write_bytes(data)
    return pictures.read(path, rules.sniff(data[: rules.HEAD_BYTES]), 1_000_000)


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


def bmp(depth: int, rows: list[bytes], *, palette: bytes = b"", masks: bytes = b"", down: bool = True) -> bytes:
    """As Windows writes it; the rows go down where the height is negative."""
    body = b"".join(row + bytes(-len(row) % 4) for row in rows)
    height = -len(rows) if down else len(rows)
    head = struct.pack("<IiiHHIIiiII", 40, SIDE, height, 1, depth, 3 if masks else 0, 0, 0, 0, 0, 0)
    offset = 14 + len(head) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + head + masks + palette + body


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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
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


def test_a_wrong_checksum_of_pixels_is_refused(tmp_path: Path) -> None:
    whole = picture("PNG", (20, 20))
    at = whole.index(b"IDAT") + 4
    with pytest.raises(Invalid):
        read(tmp_path, whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])


def test_more_bytes_than_any_such_picture_has_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(picture("WEBP"))
        file.truncate(9_000_000)
    with pytest.raises(Invalid) as refused:
        pictures.read(path, rules.WEBP, 1_000_000)
    assert "too large" in str(refused.value.errors)
