"""What can be shown: kinds of assets, told by the first bytes of a file and never by its name or a header; names and
addresses that are safe to hand on; the tree of folders."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args
from urllib.parse import quote, urlsplit

from hub.domain.errors import Conflict, Invalid
from hub.domain.hosts import host_name
from hub.domain.text import cut, is_seen, without_refused
from hub.domain.wording import unknown

AddressType = Literal["youtube", "web", "livestream"]
AssetType = Literal["image", "video", "audio", "youtube", "web", "livestream"]
AssetStatus = Literal["active", "processing", "failed"]

ADDRESS_TYPES: Final[tuple[str, ...]] = get_args(AddressType)

HEAD_BYTES: Final = (
    8_192  # of a file, enough for every signature below: three frames of the longest, and what is before
)
MAX_DEPTH: Final = 10  # folders inside one another; a path that people still read
MAX_FILENAME: Final = 200  # characters that are kept; file systems stop at 255 bytes
MAX_GIVEN_FILENAME: Final = 1_000  # characters that are taken: a path may stand before the name
MAX_ADDRESS: Final = 2_000  # characters, as browsers and proxies take them

SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "youtube": ("https", "http"),
    "web": ("https", "http"),
    "livestream": ("https", "http", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp"),
}
_YOUTUBE = re.compile(r"(?:[a-z0-9-]+\.)*(?:youtube\.com|youtube-nocookie\.com|youtu\.be)")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. `demuxer` is ffmpeg's name of the format, for video and sound."""

    mime: str
    type: str
    demuxer: str | None = None


JPEG: Final = Kind("image/jpeg", "image")
PNG: Final = Kind("image/png", "image")
GIF: Final = Kind("image/gif", "image")
WEBP: Final = Kind("image/webp", "image")
BMP: Final = Kind("image/bmp", "image")
AVIF: Final = Kind("image/avif", "image")
MP4: Final = Kind("video/mp4", "video", "mov")
QUICKTIME: Final = Kind("video/quicktime", "video", "mov")
WEBM: Final = Kind("video/webm", "video", "matroska")
MATROSKA: Final = Kind("video/x-matroska", "video", "matroska")
AVI: Final = Kind("video/x-msvideo", "video", "avi")
TRANSPORT: Final = Kind("video/mp2t", "video", "mpegts")
THEORA: Final = Kind("video/ogg", "video", "ogg")
MP3: Final = Kind("audio/mpeg", "audio", "mp3")
OGG: Final = Kind("audio/ogg", "audio", "ogg")
WAV: Final = Kind("audio/wav", "audio", "wav")
FLAC: Final = Kind("audio/flac", "audio", "flac")
AAC: Final = Kind("audio/aac", "audio", "aac")
M4A: Final = Kind("audio/mp4", "audio", "mov")

KINDS: Final = (JPEG, PNG, GIF, WEBP, BMP, AVIF, MP4, QUICKTIME, WEBM, MATROSKA, AVI, TRANSPORT, THEORA, MP3, OGG, WAV,
                FLAC, AAC, M4A)  # fmt: skip
MIMES: Final = frozenset(kind.mime for kind in KINDS)

_OTHER_NAMES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "video/x-m4v": "video/mp4",
    "video/matroska": "video/x-matroska",
    "video/avi": "video/x-msvideo",
    "video/msvideo": "video/x-msvideo",
    "audio/mp3": "audio/mpeg",
    "audio/mp2": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/aacp": "audio/aac",
    "audio/x-aac": "audio/aac",
    "audio/opus": "audio/ogg",
    "application/ogg": "audio/ogg",
}
_SOUND_ONLY: Final = frozenset({"audio/webm", "audio/x-matroska"})
_FAMILIES: Final = (
    {"video/mp4", "video/quicktime", "audio/mp4"},
    {"video/webm", "video/x-matroska", "audio/webm", "audio/x-matroska"},
    {"video/ogg", "audio/ogg"},
)
"""Containers of one build: which of its names a file carries is often a matter of the program that wrote it."""

_FOREIGN: Final = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
    (b"Rar!", "a compressed file"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
)
_PAGES: Final = ((b"<svg", "an SVG drawing"), (b"<!doctype html", "an HTML page"), (b"<html", "an HTML page"),
                 (b"<script", "an HTML page"), (b"<?xml", "an XML document"))  # fmt: skip
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_SOUND_BRANDS: Final = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A "})


def sniff(head: bytes, behind: bytes = b"") -> Kind:
    """The kind of the file that begins with `head` (its first HEAD_BYTES), and after its tags, if it has any, with
    `behind`. Raises Invalid on the field `file`."""
    kind = _image(head) or _container(head) or _sound(head)
    if kind is None and (foreign := _foreign(head)) is not None:
        raise refused(f"is {foreign}, which no screen can show")
    kind = kind or _cut_at_its_start(head)
    if kind is None:
        raise refused("is not a picture, a video or a sound that is known here, which no screen can show")
    if tag_length(head):  # written before sounds of any kind
        return _sound(behind) or kind
    return kind


def tag_length(head: bytes) -> int:
    """Bytes of the ID3 tag (version 2) at the start of a file; 0 where there is none."""
    if len(head) < 10 or not head.startswith(b"ID3") or any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte
    return size + (20 if head[5] & 0x10 else 10)  # the footer, where there is one, is as long as the header


def refused(what: str) -> Invalid:
    """A file that is not taken; `what` as in `Invalid.field`."""
    return Invalid.field("file", what, code="bad_file")


def _image(head: bytes) -> Kind | None:
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head.startswith(b"BM") and head[14:18] in _BMP_HEADERS:
        return BMP
    return None


_BMP_HEADERS: Final = frozenset(size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124))


def _container(head: bytes) -> Kind | None:
    if head[4:8] in _BOXES:
        return _boxed(head)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if b"webm" in head[:64] else MATROSKA if b"matroska" in head[:64] else None
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return AVI
    if len(head) > 400 and (_packets(head, 0, 188) or _packets(head, 4, 192)):  # the second as Blu-ray writes it
        return TRANSPORT
    return None


def _packets(head: bytes, first: int, length: int) -> bool:
    """Whether three packets of a transport stream begin where they should."""
    return all(head[first + n * length] == 0x47 for n in range(3))


_BRANDED: Final = frozenset({b"styp", b"sidx", b"ssix", b"moof", b"emsg", b"prft", b"pdin"})  # of MP4 alone
_BOXES: Final = _BRANDED | {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"junk", b"pnot", b"udta", b"uuid"}


def _boxed(head: bytes) -> Kind:
    """Of a file in boxes: by its brands, where they stand behind others too, and without any QuickTime, which was there
    before them."""
    at = 0
    while (kind := head[at + 4 : at + 8]) in _BOXES:
        if kind == b"ftyp":
            return _iso(head[at:])
        size = int.from_bytes(head[at : at + 4], "big")
        at += max(8, int.from_bytes(head[at + 8 : at + 16], "big") if size == 1 else size)
    return MP4 if head[4:8] in _BRANDED else QUICKTIME


def _iso(head: bytes) -> Kind:
    size = int.from_bytes(head[:4], "big")
    brands = {head[at : at + 4] for at in range(8, min(size, 256, len(head)), 4) if at != 12}
    if brands & {b"avif", b"avis"}:
        return AVIF
    major = head[8:12]
    if major in _HEIC:
        raise refused("is a HEIC picture, which no screen can show: save it as JPEG")
    if major in _SOUND_BRANDS:
        return M4A
    return QUICKTIME if major == b"qt  " else MP4


def _sound(head: bytes) -> Kind | None:
    if head.startswith(b"OggS"):
        return THEORA if b"\x80theora" in head[:512] else OGG
    if head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE":
        return WAV
    if head.startswith(b"fLaC"):
        return FLAC
    if head.startswith(b"ID3"):
        return MP3
    kind, _ = _frame(head, 0)
    if kind is MP3 and head[1] & 6 != 2:  # not layer III: a byte order mark looks like one of the others
        return _frames(head, 0)
    return kind


_RATES: Final = {1: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 2.5: (11_025, 12_000, 8_000)}  # Hz
_BIT_RATES: Final = {  # kbit/s, by version (2.5 has those of 2) and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MAX_FRAME: Final = 1_729  # bytes of MPEG sound: layer II with 384 kbit/s at 32 kHz


def _frame(head: bytes, at: int) -> tuple[Kind | None, int]:
    """(kind, bytes) of the frame of MPEG sound or AAC (in ADTS) that begins there; (None, 0) where none does."""
    b = head[at : at + 6]
    if len(b) < 4 or b[0] != 0xFF:
        return None, 0
    if b[1] & 0xF6 == 0xF0:  # ADTS: layer 0, a sampling rate that exists
        length = (b[3] & 3) << 11 | b[4] << 3 | b[5] >> 5 if len(b) == 6 else 7
        return (AAC, length) if b[2] >> 2 & 15 < 13 and length >= 7 else (None, 0)
    version, layer = {3: 1, 2: 2, 0: 2.5}.get(b[1] >> 3 & 3), 4 - (b[1] >> 1 & 3)
    number, rate = b[2] >> 4, b[2] >> 2 & 3
    if b[1] < 0xE0 or version is None or layer == 4 or number in (0, 15) or rate == 3:
        return None, 0
    bits, hertz = _BIT_RATES[min(2, int(version)), layer][number - 1] * 1_000, _RATES[version][rate]
    padding = b[2] >> 1 & 1
    if layer == 1:
        return MP3, (12 * bits // hertz + padding) * 4
    return MP3, (72 if layer == 3 and version > 1 else 144) * bits // hertz + padding


def _frames(head: bytes, at: int) -> Kind | None:
    """The kind, if three frames of one make follow one another there."""
    first = head[at : at + 3]
    for _ in range(3):
        kind, length = _frame(head, at)
        if kind is None or head[at + 1] != first[1] or (head[at + 2] ^ first[2]) & 0x0C:
            return None
        at += length
    return kind


def _cut_at_its_start(head: bytes) -> Kind | None:
    """Recordings of a stream begin wherever it was: in the middle of a packet of a transport stream or of a frame."""
    for length in (188, 192, 204):  # the last has 16 bytes that mend it
        for first in range(length):
            starts = head[first::length]
            if len(starts) >= 8 and starts == b"\x47" * len(starts):
                return TRANSPORT
    for at in range(_MAX_FRAME):
        if (kind := _frames(head, at)) is not None:
            return kind
    return None


def _foreign(head: bytes) -> str | None:
    if not head:
        return "an empty file"
    for signature, what in _FOREIGN:
        if head.startswith(signature):
            return what
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, what in _PAGES:
        if text.startswith(start):
            return "an SVG drawing" if b"<svg" in text else what
    return None


def mime_named(text: str) -> str | None:
    """The media type that a caller's word means, as we write it; None when it is none that can be shown."""
    name = text.partition(";")[0].strip().lower()
    name = _OTHER_NAMES.get(name, name)
    return name if name in MIMES or name in _SOUND_ONLY else None


def agrees(announced: str, found: str) -> bool:
    """Whether a file of media type `found` may be sent under the announced one; both as `mime_named` gives them."""
    return announced == found or any({announced, found} <= family for family in _FAMILIES)


def holding(kind: Kind, what: Literal["video", "audio"]) -> str:
    """The media type of a container in which a film was found, or sound alone."""
    name = "mp4" if kind.demuxer == "mov" and kind.type != what else kind.mime.partition("/")[2]
    return f"{what}/{name}"


def filename(text: str | None) -> str | None:
    """The last part of a caller's file name, as something to offer for saving. It never becomes a path of ours."""
    if text is None:
        return None
    name = without_refused(re.split(r"[/\\]", text)[-1])
    name = name.strip("".join({c for c in name if c == "." or c.isspace()}))
    if len(name) > MAX_FILENAME:
        stem, dot, ending = name.rpartition(".")
        short = 0 < len(ending) <= 10
        name = cut(stem, MAX_FILENAME - len(ending) - 1) + dot + ending if short else cut(name, MAX_FILENAME)
    return name if is_seen(name) else None


def address(kind: str, text: str) -> str:
    """The address of an asset that is no file, ready for a Location header. Raises Invalid on `source_url`."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
        if not host.isascii():  # players differ in how they read it: they get the name that is in the DNS
            host = host_name(host)
            account, at, place = parts.netloc.rpartition("@")
            port = "".join(place.rpartition(":")[1:]) if parts.port is not None else ""
            text = text.replace(parts.netloc, f"{account}{at}{host}{port}", 1)
    except ValueError:
        raise Invalid.field("source_url", "must be an address") from None
    if parts.scheme not in SCHEMES[kind] or not host or len(text) > MAX_ADDRESS:
        schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES[kind])
        raise Invalid.field("source_url", f"must begin with one of {schemes} and name a host, for the type {kind}")
    if re.search(r"[\s\x00-\x1f\x7f\\<>\"]", text):
        raise Invalid.field("source_url", "must have no spaces, quotes or control characters")
    if kind == "youtube" and not _YOUTUBE.fullmatch(host):
        raise Invalid.field("source_url", "must be an address of YouTube; use the type web for other pages")
    return quote(text, safe=":/?#[]@!$&'()*+,;=%-._~")


def leads_away(kind: str, stored: str) -> bool:
    """Whether a stored address may go to players: without a scheme and a host they might look for it on their own
    disks."""
    try:
        parts = urlsplit(stored)
        return parts.scheme in SCHEMES.get(kind, ()) and bool(parts.hostname)
    except ValueError:
        return False


def whole_seconds(duration_ms: int | None) -> int | None:
    """How long a file plays, in whole seconds and at least one; None when nobody knows."""
    return None if duration_ms is None else max(1, round(duration_ms / 1_000))


def place(parents: Mapping[int, int | None], folder_id: int | None, parent_id: int | None, below: int = 0) -> None:
    """Judge a folder's place: `parents` is the team's tree as it is, `folder_id` the folder that moves (None: a new
    one) with `below` levels inside it, `parent_id` where to. Raises Invalid on `parent_id` for a folder that is not
    there, and Conflict for a circle or too deep a tree."""
    depth, at = 1, parent_id
    while at is not None:
        if at not in parents:
            raise unknown("parent_id", "folder")
        if at == folder_id:
            raise Conflict("A folder cannot be inside itself.", code="folder_cycle")
        depth, at = depth + 1, parents[at]
    if depth + below > MAX_DEPTH:
        raise Conflict(f"Folders are at most {MAX_DEPTH} deep.", code="folder_too_deep")


def inside(parents: Mapping[int, int | None], folder_id: int) -> dict[int, int]:
    """The folder and all below it: number -> levels below the folder, which is itself at 0."""
    found = {folder_id: 0}
    more = True
    while more:
        new = {child: found[parent] + 1 for child, parent in parents.items() if parent in found and child not in found}
        found |= new
        more = bool(new)
    return found
