"""The real mpv: with an output that nobody has to see, in a window under Xvfb, and without a screen."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import segno
from PIL import Image, ImageChops

from device_agent.players.base import Banner, PairingCard, Picture, PlayerError
from device_agent.players.mpv import MpvPlayer
from device_agent.reports.picture_check import BLACK_BELOW
from tests.device_agent.players.conftest import QUADRANTS, XScreen, x_server
from tests.requirements import require
from tests.waiting import PATIENCE_S


class Crashes:
    """Listens for player.crashed."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    def __call__(self, name: str, data: dict[str, Any]) -> None:
        self.heard.put_nowait((name, data))


@pytest.fixture
def crashes() -> Crashes:
    return Crashes()


@pytest.fixture(params=["headless", "window"])
async def player(request: pytest.FixtureRequest, crashes: Crashes) -> AsyncIterator[MpvPlayer]:
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    args = ("--vo=null",)
    if request.param == "window":
        environment["DISPLAY"] = request.getfixturevalue("x_screen").display
        args = ()
    mpv = MpvPlayer("Lobby", binary=require("mpv"), args=args, environment=environment, on_event=crashes)
    await mpv.start()
    yield mpv
    await mpv.stop()


headless = pytest.mark.parametrize("player", ["headless"], indirect=True)
in_a_window = pytest.mark.parametrize("player", ["window"], indirect=True)


def image_of(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.data)).convert("RGB")


def looks_like(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) <= 12 for a, b in zip(pixel, colour, strict=True))  # JPEG and YUV round a little


def colours_in_quadrants(image: Image.Image) -> list[str]:
    seen = []
    for x, y in ((0.25, 0.2), (0.75, 0.2), (0.25, 0.8), (0.75, 0.8)):
        pixel = image.getpixel((int(image.width * x), int(image.height * y)))
        seen.append(next((name for name, colour in QUADRANTS.items() if looks_like(pixel, colour)), str(pixel)))
    return seen


def most_different(one: Image.Image, other: Image.Image) -> int:
    """The difference (0..255) of the two where it is greatest; single pixels at sharp edges do not count."""
    blocks = ImageChops.difference(one, other).convert("L").resize((64, 36), Image.Resampling.BOX)
    return max(blocks.get_flattened_data())


def white_pixels(image: Image.Image) -> int:
    """White ones in the middle, where the overlay's letters are."""
    middle = image.crop((image.width // 4, image.height // 3, image.width * 3 // 4, image.height * 2 // 3))
    return sum(pixel > 235 for pixel in middle.convert("L").get_flattened_data())


def what_is_open_and_stored(folder: Path) -> tuple[set[str], set[str]]:
    """Targets of this process's descriptors that are no sockets or pipes, and the files in `folder`."""
    descriptors = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    targets = {os.readlink(link) for link in descriptors if os.path.islink(link)}
    return {target for target in targets if ":[" not in target and "/fd" not in target}, set(os.listdir(folder))


async def until_photo(player: MpvPlayer, expected: Callable[[Image.Image], bool]) -> Image.Image:
    """The first screenshot that is as expected: mpv draws overlays, and X shows them, a frame or two after the call."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            image = image_of(await player.screenshot(quality=95))
            if expected(image):
                return image
            await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def until_playing(player: MpvPlayer, uri: str | None) -> None:
    """Wait until `uri` is on screen again; the bound is far above what it takes."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if await player.current() == uri:
                    return
            except PlayerError:
                pass  # not back yet
            await asyncio.sleep(0.02)


async def test_a_screenshot_shows_the_pixels_of_what_plays(player: MpvPlayer, quadrants: str) -> None:
    assert await player.play(quadrants) == quadrants
    picture = await player.screenshot()
    assert (picture.mime, picture.source) == ("image/jpeg", "mpv")
    assert colours_in_quadrants(image_of(picture)) == ["red", "green", "blue", "yellow"]


async def test_a_screenshot_is_scaled_to_the_width_asked_for(player: MpvPlayer, quadrants: str) -> None:
    await player.play(quadrants)
    small = await player.screenshot(max_width=640, quality=70)
    assert image_of(small).size == (640, 360)
    assert colours_in_quadrants(image_of(small)) == ["red", "green", "blue", "yellow"]
    assert len(small.data) < 60_000


async def test_a_screenshot_is_never_scaled_up(player: MpvPlayer, tmp_path: Path) -> None:
    Image.new("RGB", (320, 180), (10, 120, 200)).save(tmp_path / "small.png")
    await player.play(str(tmp_path / "small.png"))
    full = image_of(await player.screenshot())
    assert image_of(await player.screenshot(max_width=4000)).size == full.size


async def test_quality_decides_the_size_of_the_file(player: MpvPlayer, tmp_path: Path) -> None:
    Image.effect_noise((800, 450), 80).convert("RGB").save(tmp_path / "noise.png")
    await player.play(str(tmp_path / "noise.png"))
    poor, good = await player.screenshot(quality=10), await player.screenshot(quality=95)
    assert len(poor.data) * 2 < len(good.data)


async def test_with_nothing_to_play_a_card_is_shown_and_nothing_is_current(player: MpvPlayer, quadrants: str) -> None:
    for _ in range(2):
        assert await player.current() is None
        image = image_of(await player.screenshot())
        assert looks_like(image.getpixel((image.width // 2, image.height * 3 // 4)), (24, 26, 32))
        await player.play(quadrants)
        await player.play(quadrants, duration_s=600)
        await player.clear()


async def test_files_are_known_by_their_content_and_need_no_ending(player: MpvPlayer, tmp_path: Path) -> None:
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        file = tmp_path / f"{kind.lower()}0123"
        Image.new("RGB", (320, 180), (20, 130, 130)).save(file, kind)
        assert await player.play(str(file)) == str(file)


async def test_volume_is_read_back_from_the_program(player: MpvPlayer) -> None:
    assert await player.set_volume(37) == 37
    assert await player.volume() == 37
    with pytest.raises(PlayerError) as refused:
        await player.set_volume(101)
    assert refused.value.code == "invalid_volume"
    assert await player.volume() == 37


def red_share(image: Image.Image) -> float:
    """How much of a picture has the colour of a grave emergency."""
    pixels = image.convert("RGB").resize((64, 36)).get_flattened_data()
    return sum(abs(r - 0xB0) < 40 and g < 60 and b < 70 for r, g, b in pixels) / len(pixels)


@in_a_window
async def test_the_identify_overlay_is_visible_on_the_screenshot(player: MpvPlayer, quadrants: str) -> None:
    await player.play(quadrants)
    before = image_of(await player.screenshot())
    assert before.size == (1280, 720)  # the whole screen, although no window manager grants fullscreen
    assert white_pixels(before) == 0
    await player.show_text("Lobby Display\n192.168.1.42", 60)
    after = await until_photo(player, lambda image: white_pixels(image) > 500)
    assert colours_in_quadrants(after) == ["red", "green", "blue", "yellow"]  # around it, the content goes on


@in_a_window
async def test_the_screenshot_equals_what_a_monitor_would_show(
    player: MpvPlayer, quadrants: str, x_screen: XScreen
) -> None:
    await player.play(quadrants)
    await player.show_text("Lobby Display", 60)
    await until_photo(player, lambda image: white_pixels(image) > 500 and most_different(image, x_screen.look()) < 24)
    assert colours_in_quadrants(x_screen.look()) == ["red", "green", "blue", "yellow"]


@in_a_window
async def test_the_pairing_card_stands_until_it_is_taken_away(player: MpvPlayer, quadrants: str) -> None:
    code = segno.make_qr("http://hub.example:8080/pair?code=ABC234", error="m")
    rows = ["".join("1" if dark else "0" for dark in row) for row in code.matrix]
    await player.play(quadrants)
    await player.show_pairing(PairingCard("ABC234", "http://hub.example:8080/pair", "pi, 4f1a02bc", tuple(rows)))

    def shows_the_card(image: Image.Image) -> bool:
        return white_pixels(image) > 50_000 and modules(image, len(rows)) == rows

    around = await until_photo(player, shows_the_card)
    assert colours_in_quadrants(around) == ["red", "green", "blue", "yellow"]
    await player.restart()
    await until_photo(player, shows_the_card)
    await player.show_pairing(None)
    await until_photo(player, lambda image: white_pixels(image) == 0)


def modules(image: Image.Image, side: int) -> list[str]:
    """A QR code, read where the dark modules of the card's left half begin and end."""
    half = image.convert("L").crop(
        (image.width // 8, image.height // 5, image.width * 43 // 100, image.height * 4 // 5)
    )
    dark = half.point(lambda value: 255 if value < 64 else 0)
    box = dark.getbbox()
    if box is None:
        return []
    small = dark.crop(box).resize((side, side), Image.Resampling.BOX)
    return ["".join("1" if small.getpixel((x, y)) > 127 else "0" for x in range(side)) for y in range(side)]


@in_a_window
async def test_the_card_of_an_empty_screen_shows_the_name_that_it_learns(player: MpvPlayer) -> None:
    before = image_of(await player.screenshot())
    await player.rename("Cafeteria")
    await until_photo(player, lambda image: most_different(image, before) > 24)
    assert await player.current() is None


@in_a_window
async def test_an_emergency_lies_over_everything_until_it_is_taken_away(player: MpvPlayer, quadrants: str) -> None:
    await player.play(quadrants)
    before = image_of(await player.screenshot())
    await player.show_text("Lobby Display", 60)
    await player.show_banner(Banner("extreme", "Fire {alarm}", "Leave the building \\N at once.\nUse the stairs."))
    grave = await until_photo(player, lambda image: white_pixels(image) > 5_000 and red_share(image) > 0.7)
    assert red_share(grave.crop((0, 0, 1280, 60))) > 0.9  # to the edge
    await player.restart()  # it is there again with the program
    await until_photo(player, lambda image: red_share(image) > 0.7)

    await player.show_banner(Banner("minor", "Road works", "The south entrance is closed."))
    blue = (0x1F, 0x4E, 0x79)
    light = await until_photo(
        player, lambda image: max(abs(a - b) for a, b in zip(image.getpixel((20, 700)), blue, strict=True)) < 24
    )
    assert most_different(light.crop((0, 0, 1280, 400)), before.crop((0, 0, 1280, 400))) < 24  # the content goes on

    await player.show_banner(Banner("minor", "{" * 12 + "\\fs1}", "."))  # no order to mpv: it is there to be read
    await until_photo(player, lambda image: white_pixels(image.crop((0, 430, 1280, 540))) > 1_000)

    await player.show_banner(None)
    await until_photo(player, lambda image: most_different(image, before) < 24)


@pytest.mark.parametrize("size", ["1080x1920", "1024x768", "1920x360"])
async def test_overlays_are_whole_on_a_screen_of_any_shape(size: str, tmp_path: Path, quadrants: str) -> None:
    code = segno.make_qr("http://hub.example:8080/pair?code=WHQ7XM", error="m")
    rows = ["".join("1" if dark else "0" for dark in row) for row in code.matrix]
    card = PairingCard("WHQ7XM", "http://hub.example:8080/pair", "pi, 4f1a02bc", tuple(rows))
    alert = Banner("severe", "Fire drill in the north building", "Leave by the stairs. Do not use the lifts. " * 3)
    with x_server(tmp_path, size) as screen:
        player = MpvPlayer("Lobby", binary=require("mpv"), environment={**os.environ, "DISPLAY": screen.display})
        await player.start()
        try:
            await player.play(quadrants)
            before = image_of(await player.screenshot(quality=95))
            await player.show_banner(alert)
            await until_photo(player, partial(is_whole_alert, ground=(0xB8, 0x43, 0x00), size=before.size))
            await player.show_banner(None)
            await player.show_pairing(card)
            await until_photo(player, lambda image: is_whole_card(image, before, rows))
        finally:
            await player.stop()


async def test_overlays_follow_the_window_when_it_changes(tmp_path: Path, x_screen: XScreen) -> None:
    """Of a player that has no fullscreen, so that its window takes the shape of what it plays."""
    for name, size in (("wide", (640, 240)), ("narrow", (240, 640))):
        Image.new("RGB", size, QUADRANTS["yellow"]).save(tmp_path / f"{name}.png")
    args = ("--fullscreen=no", "--geometry=")
    environment = {**os.environ, "DISPLAY": x_screen.display}
    player = MpvPlayer("Lobby", binary=require("mpv"), args=args, environment=environment)
    await player.start()
    try:
        await player.show_banner(Banner("severe", "Fire drill in the north building", "Leave by the stairs. " * 6))
        for name, size in (("wide", (640, 240)), ("narrow", (240, 640))):
            await player.play(str(tmp_path / f"{name}.png"))
            await until_photo(player, partial(is_whole_alert, ground=(0xB8, 0x43, 0x00), size=size))
    finally:
        await player.stop()


def is_whole_alert(image: Image.Image, ground: tuple[int, int, int], size: tuple[int, int]) -> bool:
    """Text in the middle, and nothing but the ground, through which nothing shines, at the edges."""
    letters = image.convert("L").point(lambda value: 255 if value > 200 else 0).getbbox()
    if letters is None or image.size != size:
        return False
    left, upper, right, lower = letters
    margins = (left, upper, image.width - right, image.height - lower)
    corners = ((1, 1), (image.width - 2, 1), (1, image.height - 2), (image.width - 2, image.height - 2))
    middles = ((image.width // 3, upper // 2), (image.width * 2 // 3, (lower + image.height) // 2))
    seen = [image.getpixel(place) for place in (*corners, *middles)]
    return min(margins) >= 4 and all(
        isinstance(pixel, tuple) and max(abs(a - b) for a, b in zip(pixel, ground, strict=True)) <= 2 for pixel in seen
    )


def is_whole_card(image: Image.Image, before: Image.Image, rows: list[str]) -> bool:
    """Paper with square modules on it, inside the screen, and nothing outside of the paper."""
    paper = image.convert("L").point(lambda value: 255 if value > 240 else 0).getbbox()
    if paper is None or min(paper[0], paper[1], image.width - paper[2], image.height - paper[3]) < 4:
        return False
    around = [image.copy(), before.copy()]
    for picture in around:
        picture.paste((0, 0, 0), (paper[0] - 4, paper[1] - 4, paper[2] + 4, paper[3] + 4))
    width, height = paper[2] - paper[0], paper[3] - paper[1]
    inset = min(width, height) // 20
    side = (width * 2 // 5, height) if width > height else (width, height // 2)
    code = image.crop((paper[0] + inset, paper[1] + inset, paper[0] + side[0] - inset, paper[1] + side[1] - inset))
    dark = code.convert("L").point(lambda value: 255 if value < 128 else 0)
    box = dark.getbbox()
    if box is None or abs((box[2] - box[0]) - (box[3] - box[1])) > 2:
        return False
    small = dark.crop(box).resize((len(rows), len(rows)), Image.Resampling.BOX)
    read = [
        "".join("1" if p > 127 else "0" for p in small.crop((0, y, len(rows), y + 1)).tobytes())
        for y in range(len(rows))
    ]
    return read == rows and most_different(*around) < 24


@in_a_window
async def test_overlay_text_is_not_expanded(player: MpvPlayer, quadrants: str) -> None:
    await player.play(quadrants)
    await player.show_text(str((await player.identity())[0]), 60)
    number = await until_photo(player, lambda image: white_pixels(image) > 100)
    await player.show_text("${pid}", 60)
    await until_photo(player, lambda image: most_different(image, number) > 48)


async def test_killed_it_comes_back_with_the_same_item_and_volume(
    player: MpvPlayer, quadrants: str, crashes: Crashes
) -> None:
    await player.play(quadrants)
    await player.set_volume(23)
    pid, started_at = await player.identity()
    os.kill(pid, signal.SIGKILL)
    assert await asyncio.wait_for(crashes.heard.get(), PATIENCE_S) == (
        "player.crashed",
        {"player": "mpv", "exit_status": -signal.SIGKILL},
    )
    await until_playing(player, quadrants)
    new_pid, new_started_at = await player.identity()
    assert new_pid != pid
    assert new_started_at > started_at
    assert await player.volume() == 23
    assert colours_in_quadrants(image_of(await player.screenshot())) == ["red", "green", "blue", "yellow"]


@headless
async def test_while_it_is_down_every_call_says_so(player: MpvPlayer, quadrants: str, crashes: Crashes) -> None:
    os.kill((await player.identity())[0], signal.SIGKILL)
    await asyncio.wait_for(crashes.heard.get(), PATIENCE_S)
    for call in (player.play(quadrants), player.set_volume(5), player.screenshot(), player.identity()):
        with pytest.raises(PlayerError) as refused:
            await call
        assert refused.value.code == "player_down"
    await until_playing(player, None)


async def test_restart_gives_a_new_process_that_plays_the_same(player: MpvPlayer, quadrants: str) -> None:
    await player.play(quadrants)
    before = await player.identity()
    after = await player.restart()
    assert after == await player.identity()
    assert after[0] != before[0]
    assert after[1] > before[1]
    assert not is_running(before[0])
    assert await player.current() == quadrants


@headless
async def test_a_restart_on_request_is_no_crash(player: MpvPlayer, crashes: Crashes) -> None:
    pid, _ = await player.restart()
    os.kill(pid, signal.SIGKILL)
    _, data = await asyncio.wait_for(crashes.heard.get(), PATIENCE_S)
    assert data["exit_status"] == -signal.SIGKILL  # the first thing heard is the kill, not the restart
    assert crashes.heard.empty()


@pytest.mark.parametrize("name", ["words.txt", "words.png", "words.mp4"])
async def test_an_unplayable_file_is_an_error_and_what_played_before_comes_back(
    player: MpvPlayer, quadrants: str, tmp_path: Path, name: str
) -> None:
    await player.play(quadrants)
    (tmp_path / name).write_text("just words")
    with pytest.raises(PlayerError) as refused:
        await player.play(str(tmp_path / name))
    assert refused.value.code == "unplayable"
    assert await player.current() == quadrants


@headless
@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("/no/such/file.png", "not_found"),
        ("relative.png", "unsupported_uri"),
        ("edl://x", "unsupported_uri"),
        ("av://lavfi:testsrc", "unsupported_uri"),
        ("--fs", "unsupported_uri"),
        ("http://127.0.0.1:9/x.mp4", "unplayable"),
    ],
)
async def test_what_cannot_be_opened_is_refused_with_a_reason(player: MpvPlayer, uri: str, code: str) -> None:
    with pytest.raises(PlayerError) as refused:
        await player.play(uri)
    assert refused.value.code == code
    assert await player.current() is None


@headless
async def test_content_with_a_duration_makes_way_for_what_was_there(
    player: MpvPlayer, quadrants: str, tmp_path: Path
) -> None:
    Image.new("RGB", (640, 360), (10, 120, 200)).save(tmp_path / "short.png")
    await player.play(quadrants)
    assert await player.play(str(tmp_path / "short.png"), duration_s=1) == str(tmp_path / "short.png")
    await until_playing(player, quadrants)


@headless
async def test_a_new_item_ends_an_earlier_duration(player: MpvPlayer, quadrants: str, tmp_path: Path) -> None:
    Image.new("RGB", (640, 360), (10, 120, 200)).save(tmp_path / "short.png")
    await player.play(str(tmp_path / "short.png"), duration_s=1)
    await player.play(quadrants)
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"mpv-return"})


@headless
async def test_of_two_calls_at_once_the_later_one_stays(player: MpvPlayer, quadrants: str, tmp_path: Path) -> None:
    Image.new("RGB", (640, 360), (10, 120, 200)).save(tmp_path / "other.png")
    other = str(tmp_path / "other.png")
    assert await asyncio.gather(player.play(quadrants), player.play(other), player.screenshot()) is not None
    assert await player.current() == other


async def test_stop_leaves_nothing_behind(
    player: MpvPlayer, quadrants: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    await player.stop()
    before = what_is_open_and_stored(tmp_path)
    await player.start()
    await player.play(quadrants)
    await player.screenshot(max_width=640)
    pid, _ = await player.identity()
    await player.stop()
    assert not is_running(pid)
    assert what_is_open_and_stored(tmp_path) == before
    with pytest.raises(PlayerError):
        await player.current()
    await player.stop()


@headless
async def test_it_can_be_started_again_after_a_stop(player: MpvPlayer, quadrants: str) -> None:
    await player.stop()
    await player.start()
    assert await player.play(quadrants) == quadrants


@headless
async def test_mpv_ends_when_the_agent_is_gone(player: MpvPlayer) -> None:
    """Whatever ends the agent closes its end of the socket pair; here just that is done."""
    process, link = player._process, player._link
    assert process is not None
    assert link is not None
    link._writer.transport.abort()
    assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


@headless
async def test_a_hanging_mpv_is_replaced(
    player: MpvPlayer, quadrants: str, crashes: Crashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await player.play(quadrants)
    monkeypatch.setattr("device_agent.players.mpv.CHECK_S", 0.05)
    monkeypatch.setattr("device_agent.players.mpv.START_S", 2.0)
    pid, _ = await player.restart()  # the keeper begins anew, with the shorter times
    os.kill(pid, signal.SIGSTOP)
    await asyncio.wait_for(crashes.heard.get(), PATIENCE_S)
    await until_playing(player, quadrants)
    assert (await player.identity())[0] != pid


@headless
async def test_content_that_ends_is_put_back(
    player: MpvPlayer, quadrants: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await player.play(quadrants)
    monkeypatch.setattr("device_agent.players.mpv.CHECK_S", 0.05)
    await player.restart()
    await player._ask("stop")
    await until_playing(player, quadrants)


async def test_a_missing_program_is_named(tmp_path: Path) -> None:
    player = MpvPlayer(binary=str(tmp_path / "mpv"))
    with pytest.raises(PlayerError, match="mpv did not start") as refused:
        await player.start()
    assert refused.value.code == "player_missing"


async def test_arguments_that_mpv_refuses_are_reported() -> None:
    player = MpvPlayer(binary=require("mpv"), args=["--no-such-option=1"])
    with pytest.raises(PlayerError, match="arguments") as refused:
        await player.start()
    assert refused.value.code == "player_missing"


@headless
async def test_it_tells_its_version(player: MpvPlayer) -> None:
    assert (await player.version())[0].isdigit()


async def test_a_look_tells_black_from_almost_black(player: MpvPlayer, tmp_path: Path) -> None:
    black = Image.new("RGB", (1920, 1080))
    black.save(tmp_path / "black.png")
    black.paste((255, 255, 255), (900, 500, 912, 512))  # as much as a letter
    black.save(tmp_path / "letter.png")
    assert (await player.look()).brightest > 50  # the card of a player without content
    await player.play(str(tmp_path / "black.png"))
    look = await player.look()
    assert (look.brightest < BLACK_BELOW, look.moves) == (True, None)
    await player.play(str(tmp_path / "letter.png"))
    assert (await player.look()).brightest >= BLACK_BELOW


async def test_a_look_tells_whether_a_film_gets_on(player: MpvPlayer, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (320, 180), (20 * number, 90, 200)) for number in range(10)]
    film = str(tmp_path / "film.gif")
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=100)  # a second, again and again
    await player.play(film)
    assert (await player.look()).moves is True
    await player._ask("set_property", "pause", True)
    assert (await player.look()).moves is False
    await player._ask("set_property", "pause", False)
    assert (await player.look()).moves is True
