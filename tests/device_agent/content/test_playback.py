"""What is on screen when nobody asks for anything."""

import asyncio
import contextlib

import pytest

from device_agent.content.playback import Content
from device_agent.players.base import PlayerError
from device_agent.players.simulated import SimulatedPlayer
from tests.waiting import PATIENCE_S


class Screen(SimulatedPlayer):
    """Tells what is put on it."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: asyncio.Queue[str] = asyncio.Queue()

    async def play(self, uri, *, duration_s=None):
        current = await super().play(uri, duration_s=duration_s)
        self.shown.put_nowait(current)
        return current

    async def next(self):
        async with asyncio.timeout(PATIENCE_S):
            return await self.shown.get()


@pytest.fixture
async def screen():
    screen = Screen()
    await screen.start()
    return screen


@contextlib.asynccontextmanager
async def playing(source, screen, item_s=3600):
    content = Content(str(source), screen, item_s=item_s)
    task = asyncio.create_task(content.run())
    try:
        yield content
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def files(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [str(folder / name) for name in names]


async def test_a_file_is_played_once_and_for_good(tmp_path, screen):
    (file,) = files(tmp_path, "a.png")
    async with playing(file, screen):
        assert await screen.next() == file


async def test_an_address_is_played_as_it_is(screen):
    async with playing("https://example.com/live.m3u8", screen):
        assert await screen.next() == "https://example.com/live.m3u8"


async def test_the_files_of_a_folder_take_turns_in_the_order_of_their_names(tmp_path, screen):
    b, a = files(tmp_path / "show", "b.png", "a.png")
    files(tmp_path / "show", ".hidden")
    async with playing(tmp_path / "show", screen, item_s=0.001):
        assert [await screen.next() for _ in range(4)] == [a, b, a, b]


async def test_a_play_command_takes_the_screen_until_reload_gives_it_back(tmp_path, screen):
    a, b, other = files(tmp_path / "show", "a.png", "b.png") + files(tmp_path, "other.png")
    async with playing(tmp_path / "show", screen) as content:
        assert await screen.next() == a
        assert await content.play(other, None) == other
        assert await screen.next() == other
        await content.reload()
        assert await screen.next() == a
    assert b.endswith("b.png")


async def test_reload_sees_what_is_in_the_folder_now(tmp_path, screen):
    files(tmp_path / "show", "b.png")
    async with playing(tmp_path / "show", screen) as content:
        await screen.next()
        (a,) = files(tmp_path / "show", "a.png")
        await content.reload()
        assert await screen.next() == a


async def test_reload_without_content_to_play_says_why(tmp_path, screen):
    async with playing(tmp_path / "absent.png", screen) as content:
        with pytest.raises(PlayerError) as caught:
            await content.reload()
        assert caught.value.code == "not_found"


async def test_nothing_configured_is_nothing_to_reload(screen):
    async with playing("", screen) as content:
        await content.reload()
        assert await screen.current() is None
