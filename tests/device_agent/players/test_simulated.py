import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from device_agent.players.base import Picture, PlayerError
from device_agent.players.simulated import SimulatedPlayer

NOON = 1_774_785_600_000  # 2026-03-29T12:00:00Z
HEADER = (0, 0, 640, 80)
TIME, PLAYING, VOLUME = (124, 96, 640, 118), (124, 122, 640, 148), (124, 150, 640, 176)
MIDDLE = (150, 120, 490, 240)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def player(clock: Clock) -> SimulatedPlayer:
    player = SimulatedPlayer("Lobby", clock=clock)
    await player.start()
    return player


async def photo(player: SimulatedPlayer) -> Image.Image:
    picture = await player.screenshot(max_width=640)
    assert isinstance(picture, Picture)
    return Image.open(io.BytesIO(picture.data)).convert("RGB")


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int] | None:
    return ImageChops.difference(before, after).getbbox()


def within(box: tuple[int, int, int, int] | None, area: tuple[int, int, int, int]) -> bool:
    return box is not None and box[0] >= area[0] and box[1] >= area[1] and box[2] <= area[2] and box[3] <= area[3]


async def test_the_picture_is_a_real_png_of_the_width_asked_for(player: SimulatedPlayer) -> None:
    picture = await player.screenshot(max_width=640)
    assert (picture.mime, picture.source, picture.captured_at) == ("image/png", "simulated", NOON)
    image = Image.open(io.BytesIO(picture.data))
    assert (image.format, image.size) == ("PNG", (640, 360))


async def test_the_same_state_gives_the_same_picture(player: SimulatedPlayer) -> None:
    assert changed(await photo(player), await photo(player)) is None


async def test_the_picture_shows_the_time_of_its_clock(player: SimulatedPlayer, clock: Clock) -> None:
    before = await photo(player)
    clock.now += 1000
    assert within(changed(before, await photo(player)), TIME)


async def test_the_picture_shows_the_current_item(player: SimulatedPlayer) -> None:
    before = await photo(player)
    await player.play("https://example.org/a.mp4")
    assert within(changed(before, await photo(player)), PLAYING)


async def test_the_picture_shows_the_volume(player: SimulatedPlayer) -> None:
    before = await photo(player)
    await player.set_volume(7)
    assert within(changed(before, await photo(player)), VOLUME)


async def test_the_picture_shows_the_name(clock: Clock) -> None:
    one, other = SimulatedPlayer("ab", clock=clock), SimulatedPlayer("ab", clock=clock)
    await one.start()
    await other.start()
    other.name = "abc"
    assert changed((await photo(one)).crop(HEADER), (await photo(other)).crop(HEADER)) is not None


async def test_the_overlay_lies_over_everything_and_goes_away(player: SimulatedPlayer) -> None:
    before = await photo(player)
    await player.show_text("Lobby\n192.168.1.42", 60)
    assert within(changed(before, await photo(player)), MIDDLE)
    await player.show_text("gone already", 0)
    assert changed(before, await photo(player)) is None


async def test_volume_and_item_are_read_back(player: SimulatedPlayer) -> None:
    assert await player.current() is None
    assert await player.play("https://example.org/a.mp4") == "https://example.org/a.mp4"
    assert await player.current() == "https://example.org/a.mp4"
    assert await player.set_volume(12) == await player.volume() == 12
    with pytest.raises(PlayerError, match="between 0 and 100"):
        await player.set_volume(-1)
    await player.clear()
    assert await player.current() is None


async def test_content_with_a_duration_makes_way_for_what_was_there(player: SimulatedPlayer) -> None:
    await player.play("https://example.org/day.mp4")
    await player.play("https://example.org/news.mp4", duration_s=0)
    assert await player.current() == "https://example.org/day.mp4"
    await player.play("https://example.org/news.mp4", duration_s=600)
    await player.play("https://example.org/more.mp4", duration_s=0)
    assert await player.current() == "https://example.org/day.mp4"


async def test_a_restart_is_another_process_with_the_same_content(player: SimulatedPlayer) -> None:
    await player.play("https://example.org/a.mp4")
    before = await player.identity()
    after = await player.restart()
    assert after == await player.identity()
    assert after[0] != before[0]
    assert after[1] > before[1]
    assert await player.current() == "https://example.org/a.mp4"


async def test_a_missing_file_is_refused_and_the_item_stays(player: SimulatedPlayer, tmp_path: Path) -> None:
    await player.play("https://example.org/a.mp4")
    with pytest.raises(PlayerError) as refused:
        await player.play(str(tmp_path / "missing.png"))
    assert refused.value.code == "not_found"
    assert await player.current() == "https://example.org/a.mp4"


async def test_once_stopped_every_call_says_so(player: SimulatedPlayer) -> None:
    await player.stop()
    for call in (player.play("https://example.org/a.mp4"), player.volume(), player.screenshot(), player.restart()):
        with pytest.raises(PlayerError) as refused:
            await call
        assert refused.value.code == "player_down"


async def test_many_players_in_one_process_have_their_own_state() -> None:
    players = [SimulatedPlayer(f"Player {number}") for number in range(50)]
    await asyncio.gather(*(player.start() for player in players))
    await asyncio.gather(*(player.set_volume(number) for number, player in enumerate(players)))
    assert [await player.volume() for player in players] == list(range(50))
    assert len({await player.identity() for player in players}) == 50
