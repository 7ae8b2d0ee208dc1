import hashlib

import pytest

from device_agent.players.base import Picture, PlayerError
from device_agent.players.simulated import SimulatedPlayer
from device_agent.reports import screenshot


class HugeScreen(SimulatedPlayer):
    """Its pictures are too large until a smaller one is asked for; `stubborn` ones always are."""

    def __init__(self, *, stubborn: bool = False) -> None:
        super().__init__("Huge")
        self.stubborn = stubborn

    async def screenshot(self, *, max_width: int | None = None, quality: int | None = None) -> Picture:
        size = screenshot.MAX_BYTES + 1 if self.stubborn or max_width is None else 100
        return Picture(data=b"x" * size, mime="image/jpeg", source="simulated", captured_at=1)


async def nothing() -> None:
    """Nothing of the hub's is on the screen."""


async def test_a_shot_carries_the_size_and_digest_of_its_bytes() -> None:
    player = SimulatedPlayer("Lobby", clock=lambda: 1_774_785_600_000)
    await player.start()
    shot = await screenshot.take(player, nothing, max_width=640)
    assert shot.data.startswith(b"\x89PNG")
    assert shot.size == len(shot.data)
    assert shot.sha256 == hashlib.sha256(shot.data).hexdigest()
    assert (shot.mime, shot.source, shot.captured_at) == ("image/png", "simulated", 1_774_785_600_000)


async def test_an_oversize_picture_is_taken_again_smaller() -> None:
    assert (await screenshot.take(HugeScreen(), nothing)).size == 100


async def test_a_picture_that_stays_oversize_is_refused() -> None:
    with pytest.raises(PlayerError) as refused:
        await screenshot.take(HugeScreen(stubborn=True), nothing)
    assert refused.value.code == "too_large"


async def test_a_player_that_is_down_has_no_screenshot() -> None:
    with pytest.raises(PlayerError):
        await screenshot.take(SimulatedPlayer("Lobby"), nothing)


@pytest.mark.parametrize(("before", "after", "told"), [(7, 7, 7), (7, 8, None), (None, 7, None), (7, None, None)])
async def test_a_picture_shows_what_was_there_before_and_after_it(
    before: int | None, after: int | None, told: int | None
) -> None:
    player = SimulatedPlayer("Lobby")
    await player.start()
    there = iter((before, after))

    async def on_screen() -> int | None:
        return next(there)

    assert (await screenshot.take(player, on_screen)).asset_id == told
