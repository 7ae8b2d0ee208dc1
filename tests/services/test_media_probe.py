"""What files are, by looking into them."""

import asyncio
import io
import signal
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hub.domain.errors import Invalid
from hub.services.media_probe import Probed, Prober
from tests.media import film, picture, png_bomb, sound

PIXELS = 1_000_000


@pytest.fixture
def prober() -> Prober:
    return Prober(PIXELS)


async def looked_at(prober: Prober, path: Path, data: bytes) -> Probed:
    await asyncio.to_thread(path.write_bytes, data)
    return await prober.probe(path)


@pytest.mark.parametrize(
    ("kind", "mime"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/gif"), ("WEBP", "image/webp"), ("BMP", "image/bmp"),
     ("AVIF", "image/avif")],
)  # fmt: skip
async def test_pictures_have_a_size_and_a_small_copy(prober: Prober, tmp_path: Path, kind: str, mime: str) -> None:
    found = await looked_at(prober, tmp_path / "a.txt", picture(kind, (640, 400)))
    assert (found.mime, found.width, found.height, found.duration_ms) == (mime, 640, 400, None)
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as small:
        assert (small.format, small.size) == ("WEBP", (320, 200))


async def test_a_picture_is_seen_as_its_camera_was_held_and_its_place_is_not_told(
    prober: Prober, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    exif[0x010E] = "where it was taken"
    photo = Image.new("RGB", (400, 200), "red")
    photo.paste("blue", (0, 0, 200, 200))
    file = io.BytesIO()
    photo.save(file, "JPEG", exif=exif)
    found = await looked_at(prober, tmp_path / "a", file.getvalue())
    assert (found.width, found.height) == (200, 400)
    assert found.thumbnail is not None
    assert b"taken" not in found.thumbnail
    with Image.open(io.BytesIO(found.thumbnail)) as small:
        assert small.size == (160, 320)
        top, bottom = (small.convert("RGB").getpixel((80, y)) for y in (20, 300))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[2] > 200 > 50 > top[0]  # blue, which was on the left
    assert bottom[0] > 200 > 50 > bottom[2]


async def test_transparency_and_palettes_survive(prober: Prober, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(file, "PNG")
    clear = await looked_at(prober, tmp_path / "a", file.getvalue())
    file = io.BytesIO()
    Image.new("P", (40, 40), 3).save(file, "GIF", transparency=3)
    assert (await looked_at(prober, tmp_path / "b", file.getvalue())).thumbnail
    assert clear.thumbnail is not None
    with Image.open(io.BytesIO(clear.thumbnail)) as small:
        assert small.mode == "RGBA"
        assert small.size == (40, 40)


async def test_broken_and_monstrous_pictures_are_refused(prober: Prober, tmp_path: Path) -> None:
    whole = {kind: picture(kind, (300, 300)) for kind in ("PNG", "JPEG", "BMP", "WEBP")}
    for kind, data in {
        **{f"half a {kind}": data[: len(data) // 2] for kind, data in whole.items()},
        "too many pixels": picture("PNG", (1_001, 1_000)),
        "a bomb": png_bomb(50_000, 50_000),
        "a bomb within the limit": png_bomb(1_000, 1_000),
        "a head alone": b"\x89PNG\r\n\x1a\n",
    }.items():
        with pytest.raises(Invalid) as refused:
            await looked_at(prober, tmp_path / "a.png", data)
        assert refused.value.errors is not None, kind
        assert list(refused.value.errors) == ["file"]


async def test_films_and_sounds_have_a_length(prober: Prober, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", "-c:v", "mpeg4", "-c:a", "aac")
    found = await prober.probe(tmp_path / "a.mp4")
    assert (found.mime, found.width, found.height) == ("video/mp4", 320, 180)
    assert found.duration_ms == pytest.approx(2_000, abs=150)
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as small:
        assert small.size == (320, 180)
    film(tmp_path / "a.ts", "-c:v", "mpeg2video")
    assert (await prober.probe(tmp_path / "a.ts")).thumbnail is not None
    for name, mime in (("a.mp3", "audio/mpeg"), ("a.wav", "audio/wav"), ("a.m4a", "audio/mp4"),
                       ("a.mka", "audio/x-matroska"), ("a.flac", "audio/flac")):  # fmt: skip
        sound(tmp_path / name)
        heard = await prober.probe(tmp_path / name)
        assert (heard.mime, heard.thumbnail) == (mime, None)
        assert heard.duration_ms == pytest.approx(2_000, abs=150)


async def test_a_file_that_only_begins_as_a_film_is_refused(prober: Prober, tmp_path: Path) -> None:
    data = film(tmp_path / "a.mkv", "-c:v", "mpeg4")
    for broken in (data[:600], b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"<script>" * 100, b"ID3\x04" + bytes(500)):
        with pytest.raises(Invalid):
            await looked_at(prober, tmp_path / "b", broken)


async def test_films_are_taken_without_the_programs_and_pictures_as_ever(tmp_path: Path) -> None:
    prober = Prober(PIXELS, path=str(tmp_path))
    data = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100)
    assert await looked_at(prober, tmp_path / "a", data) == Probed("video/mp4")
    assert (await looked_at(prober, tmp_path / "b", picture())).thumbnail is not None


async def test_a_program_that_hangs_is_stopped_and_one_that_talks_without_end_is_not_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100)

    def instead(name: str, script: str) -> Prober:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "ffprobe").write_text(f"#!/bin/sh\nexec {script}\n")
        (folder / "ffprobe").chmod(0o755)
        return Prober(PIXELS, path=str(folder))

    with pytest.raises(Invalid):
        await looked_at(instead("talks", "yes"), tmp_path / "a", data)
    monkeypatch.setattr("hub.services.media_probe.PROGRAM_S", 0.2)
    assert await looked_at(instead("hangs", "sleep 60"), tmp_path / "a", data) == Probed("video/mp4")


async def test_a_picture_that_takes_too_long_is_given_up_and_its_decoder_ended(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*command: str, **options: Any) -> asyncio.subprocess.Process:
        began.append(await start(*command, **options))
        return began[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    with monkeypatch.context() as hurry:
        hurry.setattr("hub.services.media_probe.PICTURE_S", 0.0)
        with pytest.raises(Invalid) as refused:
            await looked_at(prober, tmp_path / "a", picture())
    assert "too long" in str(refused.value.errors)
    assert (await looked_at(prober, tmp_path / "a", picture())).thumbnail is not None
    assert [process.returncode for process in began] == [-signal.SIGKILL, 0]


async def test_who_asks_no_more_ends_the_decoder(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
    start = asyncio.create_subprocess_exec

    async def stopped(*command: str, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*command, **options)
        process.send_signal(signal.SIGSTOP)  # it never comes to an end of its own
        began.put_nowait(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", stopped)
    asking = asyncio.create_task(looked_at(prober, tmp_path / "a", picture()))
    process = await began.get()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert process.returncode == -signal.SIGKILL


async def test_pixels_that_are_not_square_are_seen_as_they_are_shown(prober: Prober, tmp_path: Path) -> None:
    for name, aspect, size, small_size in (
        ("wide", "16/11", (465, 180), (320, 124)),
        ("narrow", "1/2", (160, 180), (160, 180)),
        ("absurd", "1/100", (320, 180), (320, 180)),
    ):
        path = tmp_path / f"{name}.mkv"
        film(path, "-c:v", "mpeg4", "-vf", f"setsar={aspect}")
        found = await prober.probe(path)
        assert (found.width, found.height) == size
        assert found.thumbnail is not None
        with Image.open(io.BytesIO(found.thumbnail)) as small:
            assert small.size == small_size


async def test_a_film_that_is_turned_is_seen_as_it_is_shown(prober: Prober, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", "-c:v", "mpeg4", "-vf", "setsar=2/1")
    upright = (tmp_path / "a.mp4").read_bytes()
    matrix = upright.index(b"tkhd") + 44  # of the first track, the picture
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    found = await looked_at(prober, tmp_path / "b", upright[:matrix] + quarter + upright[matrix + 36 :])
    assert (found.width, found.height) == (180, 640)
    assert found.thumbnail is not None
    with Image.open(io.BytesIO(found.thumbnail)) as small:
        assert small.size == (90, 320)


def id3(size: int) -> bytes:
    """A tag with a picture that is larger than what is looked at to tell a file's kind."""
    return b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


@pytest.mark.parametrize(
    ("name", "mime"),
    [("a.flac", "audio/flac"), ("a.aac", "audio/aac"), ("a.mp3", "audio/mpeg"), ("a.wav", "audio/wav")],
)
async def test_sounds_of_any_kind_may_have_a_tag_before_them(
    prober: Prober, tmp_path: Path, name: str, mime: str
) -> None:
    data = sound(tmp_path / name)
    for tag in (id3(20), id3(300_000), id3(20) + id3(9_000)):
        found = await looked_at(prober, tmp_path / f"tagged-{name}", tag + data)
        assert found.mime == mime
        assert found.duration_ms == pytest.approx(2_000, abs=150)


async def test_films_in_boxes_may_begin_with_any_of_them(prober: Prober, tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", "-c:v", "mpeg4", "-movflags", "empty_moov+default_base_moof")
    brands = int.from_bytes(whole[:4])
    styp = b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix"
    for name, data, mime in (
        ("styp", styp + whole[brands:], "video/mp4"),
        ("sidx", b"\0\0\0\x08sidx" + whole[brands:], "video/mp4"),
        ("free", b"\0\0\0\x10free" + bytes(8) + whole, "video/mp4"),
        ("moov", whole[brands:], "video/quicktime"),
    ):
        found = await looked_at(prober, tmp_path / name, data)
        assert (found.mime, found.width, found.height) == (mime, 320, 180)
        assert found.thumbnail is not None


async def test_recordings_may_begin_in_the_middle_of_a_packet_or_a_frame(prober: Prober, tmp_path: Path) -> None:
    for name, options, missing in (("a.ts", (), 100), ("b.ts", ("-mpegts_m2ts_mode", "1"), 90)):
        data = film(tmp_path / name, "-c:v", "mpeg2video", *options, seconds=3)
        for cut in (0, missing):
            found = await looked_at(prober, tmp_path / f"cut-{name}", data[cut:])
            assert (found.mime, found.width, found.height) == ("video/mp2t", 320, 180)
            assert found.thumbnail is not None
    for name, options, mime in (
        ("a.mp3", ("-id3v2_version", "0", "-write_xing", "0"), "audio/mpeg"),
        ("a.mp2", (), "audio/mpeg"),
        ("b.mp2", ("-ar", "32000", "-b:a", "384k"), "audio/mpeg"),
        ("a.aac", (), "audio/aac"),
    ):
        data = sound(tmp_path / name, *options, seconds=3)
        for begun in (data, data[50:], bytes(400) + data):
            found = await looked_at(prober, tmp_path / f"cut-{name}", begun)
            assert (found.mime, found.thumbnail) == (mime, None)
            assert found.duration_ms == pytest.approx(3_000, abs=200)
