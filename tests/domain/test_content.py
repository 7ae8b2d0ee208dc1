from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain import content
from hub.domain.errors import Conflict, Invalid
from hub.domain.text import is_line, is_seen

TS = (b"\x47" + bytes(187)) * 3
M2TS = (bytes(4) + b"\x47" + bytes(187)) * 3
# Of layer III, II and I, of MPEG-1, 2 and 2.5, and the longest that there is
FRAMES = [
    head + bytes(length - 4)
    for head, length in (
        (b"\xff\xfb\x90\x64", 417),
        (b"\xff\xfb\x92\x64", 418),
        (b"\xff\xfd\xe8\x64", 1_728),
        (b"\xff\xff\x90\x64", 312),
        (b"\xff\xf3\x80\x64", 208),
        (b"\xff\xe3\x18\x64", 72),
        (b"\xff\xf5\x80\x64", 417),
    )
]
FTYP = b"\0\0\0\x14ftypisom\0\0\0\0isom"


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"GIF89a\x01\0\x01\0", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "image/avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video/quicktime"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video/quicktime"),
        (b"\0\0\0\x08skip\0\0\0\x0cfreejunk" + FTYP, "video/mp4"),
        (b"\0\0\0\1uuid\0\0\0\0\0\0\0\x18junkjunk" + FTYP, "video/mp4"),
        (b"\0\0\0\x08free\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", "audio/mp4"),
        (b"\0\0\0\0junk", "video/quicktime"),
        (b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix\0\0\0\x08moov", "video/mp4"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", "audio/mp4"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", "video/x-matroska"),
        (b"RIFF\x10\0\0\0AVI LIST", "video/x-msvideo"),
        (TS, "video/mp2t"),
        (M2TS, "video/mp2t"),
        ((TS * 6)[100:], "video/mp2t"),
        ((M2TS * 6)[90:], "video/mp2t"),
        ((M2TS * 6)[5:], "video/mp2t"),
        ((b"\x47" + bytes(203)) * 12, "video/mp2t"),
        (b"OggS\0\x02" + bytes(20) + b"\x01\x1e\x01vorbis", "audio/ogg"),
        (b"OggS\0\x02" + bytes(20) + b"\x01\x2a\x80theora", "video/ogg"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64\0", "audio/mpeg"),
        (b"\xff\xf1\x50\x80\x02\x1f", "audio/aac"),
        *((bytes(lead) + frame * 4, "audio/mpeg") for lead in (0, 1, 700) for frame in FRAMES),
        *((frame[-part:] + frame * 3, "audio/mpeg") for part in (1, 100) for frame in FRAMES),
        (bytes(300) + (b"\xff\xf1\x50\x80\x0c\x9f\xfc" + bytes(93)) * 4, "audio/aac"),
    ],
)
def test_files_are_told_by_their_first_bytes(head: bytes, mime: str) -> None:
    kind = content.sniff(head)
    assert kind.mime == mime
    assert kind.type == mime.partition("/")[0]
    assert content.mime_named(mime) == mime


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"", "empty"),
        (b"PK\x03\x04\x14\0", "ZIP"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"MZ\x90\0", "program"),
        (b"\x7fELF\x02", "program"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "SVG"),
        (b"\xef\xbb\xbf\n <?xml version='1.0'?><svg>", "SVG"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "HTML"),
        (b"#EXTM3U\nfile:///etc/passwd", "known"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"BMW drives by, and more", "known"),
        (b"\xff\xff\xff\xff\xff\xff", "known"),
        (b"\x47" + bytes(600), "known"),
        (b"\xff\xfe" + "a text of Windows\n".encode("utf-16-le") * 200, "known"),
        (bytes(8_192), "known"),
        (b"\xff" * 8_192, "known"),
        (bytes(300) + b"\xff\xfb\x90\x64" + bytes(8_000), "known"),
        (bytes(100) + b"\x47" + bytes(187) + b"\x47" + bytes(7_000), "known"),
        (b"%PDF-1.7" + b"\xff\xfb\x90\x64".ljust(417, b"\0") * 9, "PDF"),
    ],
)
def test_what_no_screen_shows_is_refused_and_called_by_its_name(head: bytes, word: str) -> None:
    with pytest.raises(Invalid) as refused:
        content.sniff(head)
    assert refused.value.errors is not None
    assert word in refused.value.errors["file"][0]


@given(st.binary(max_size=700))
def test_any_bytes_are_a_known_kind_or_refused(head: bytes) -> None:
    try:
        assert content.sniff(head) in content.KINDS
    except Invalid:
        pass


def test_other_words_for_a_media_type_are_understood() -> None:
    assert content.mime_named("IMAGE/JPG; charset=binary") == "image/jpeg"
    assert content.mime_named("audio/x-wav") == "audio/wav"
    assert content.mime_named("image/svg+xml") is None
    assert content.agrees("video/mp4", "video/quicktime")
    assert not content.agrees("image/png", "image/jpeg")
    assert content.holding(content.MP4, "audio") == "audio/mp4"
    assert content.holding(content.M4A, "video") == "video/mp4"
    assert content.holding(content.QUICKTIME, "video") == "video/quicktime"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("promo.png", "promo.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\promo.png", "promo.png"),
        ("a\0b\r\nc.png", "abc.png"),
        ("‮gnp.exe", "gnp.exe"),
        ("..", None),
        (" . ", None),
        ("a/", None),
        (None, None),
        ("x" * 500 + ".jpeg", "x" * 195 + ".jpeg"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_file_name_is_the_last_part_of_what_was_given(given: str | None, kept: str | None) -> None:
    assert content.filename(given) == kept


@given(st.text(max_size=400))
def test_no_file_name_is_a_path(given: str) -> None:
    name = content.filename(given)
    if name is not None:
        assert PurePosixPath(name).name == name == PureWindowsPath(name).name.strip() or ":" in name
        assert len(name) <= content.MAX_FILENAME
        assert is_line(name)
        assert is_seen(name)


NO_ADDRESSES = (
    "",
    "/etc/passwd",
    "etc/passwd",
    "../passwd",
    "//example.com/a",
    "http:///etc/passwd",
    "http:/etc/passwd",
    "https://[::1/x",
    "file:///etc/passwd",
    "av://v4l2:/dev/video0",
    "edl:///etc/passwd",
    "memory://x",
    "fd://0",
    "archive:///etc/x.zip|/y",
    "lavfi://testsrc",
    "concat:/etc/passwd",
    "data:text/plain,x",
)


def test_addresses_are_held_to_their_kind_and_fit_into_a_header() -> None:
    assert content.address("youtube", "https://youtu.be/dQw4w9WgXcQ") == "https://youtu.be/dQw4w9WgXcQ"
    assert content.address("web", " https://example.com/ä b".replace(" b", "?q=a%20b")) == (
        "https://example.com/%C3%A4?q=a%20b"
    )
    assert content.address("livestream", "rtsp://user:pw@10.0.0.1:554/cam") == "rtsp://user:pw@10.0.0.1:554/cam"
    assert content.address("web", "https://straße.example:444/ß") == "https://xn--strae-oqa.example:444/%C3%9F"
    assert content.address("livestream", "rtsp://me@bücher.example/cam") == "rtsp://me@xn--bcher-kva.example/cam"
    assert content.address("web", "http://[fd00::1]:80/ä") == "http://[fd00::1]:80/%C3%A4"
    for kind, text in (
        ("web", "javascript:alert(1)"),
        ("web", "https://\N{SNOWMAN}.example/"),
        ("web", "https://ä..example/"),
        ("web", "file:///etc/passwd"),
        ("web", "rtsp://10.0.0.1/cam"),
        ("web", "https://"),
        ("web", "https://[::1/x"),
        ("web", "https://example.com:99999/"),
        ("web", "https://example.com/a b"),
        ("web", "https://example.com/\r\nSet-Cookie: a=b"),
        ("web", "https://example.com/" + "x" * 3_000),
        ("youtube", "https://youtube.com.evil.example/watch?v=1"),
        *(("livestream", text) for text in NO_ADDRESSES),
    ):
        with pytest.raises(Invalid):
            content.address(kind, text)


def test_only_what_leads_off_a_player_goes_to_one() -> None:
    for kind in ("livestream", "web", "youtube", "image"):
        assert not any(content.leads_away(kind, text) for text in NO_ADDRESSES)
        assert content.leads_away(kind, "https://example.com/" + "%C3%A4" * 3_000) is (kind != "image")
    assert content.leads_away("livestream", "rtsp://user:pw@10.0.0.1:554/cam")
    assert not content.leads_away("web", "rtsp://10.0.0.1/cam")


def test_folders_are_neither_inside_themselves_nor_too_deep() -> None:
    chain: dict[int, int | None] = {1: None} | {n: n - 1 for n in range(2, 11)}
    assert content.inside(chain, 8) == {8: 0, 9: 1, 10: 2}
    content.place(chain, None, 9)
    content.place(chain, 10, None)
    with pytest.raises(Conflict, match="at most 10"):
        content.place(chain, None, 10)
    with pytest.raises(Conflict, match="inside itself"):
        content.place(chain, 3, 7, below=7)
    with pytest.raises(Conflict, match="inside itself"):
        content.place(chain, 3, 3)
    with pytest.raises(Conflict, match="at most 10"):
        content.place(chain | {11: None, 12: 11}, 11, 9, below=1)
    with pytest.raises(Invalid):
        content.place(chain, None, 99)


def test_length_is_told_in_whole_seconds() -> None:
    assert [content.whole_seconds(ms) for ms in (None, 40, 1_400, 1_600)] == [None, 1, 1, 2]
