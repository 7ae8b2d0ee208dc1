"""When a picture is told to be black or frozen, and when that is taken back."""

import asyncio

import pytest

from device_agent.players.base import Look, PlayerError
from device_agent.players.simulated import SimulatedPlayer
from device_agent.reports.picture_check import AGAIN_S, LOOK_S, PictureCheck
from hub.protocol.messages import DeviceEvent

WELL, BLACK, FROZEN = Look(brightest=200, moves=True), Look(brightest=3, moves=None), Look(brightest=200, moves=False)
STILL = Look(brightest=4, moves=None)  # a picture that need not move, and is dark


class Screen(SimulatedPlayer):
    """Shows what a test puts there, to whoever looks."""

    sees = True

    def __init__(self, look: Look | PlayerError = WELL) -> None:
        super().__init__()
        self.shown = look
        self.looks: asyncio.Queue[None] = asyncio.Queue()

    async def look(self) -> Look:
        self.looks.put_nowait(None)
        if isinstance(self.shown, PlayerError):
            raise self.shown
        return self.shown


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([WELL, STILL, WELL], []),
        ([BLACK, WELL, BLACK, WELL], []),
        ([BLACK, BLACK, BLACK], ["picture.black"]),
        ([FROZEN, FROZEN, WELL, FROZEN, FROZEN], ["picture.frozen", "picture.recovered", "picture.frozen"]),
        ([BLACK, FROZEN, BLACK, FROZEN], []),
        ([BLACK, BLACK, FROZEN, BLACK], ["picture.black"]),
        ([BLACK, BLACK, FROZEN, FROZEN, WELL],
         ["picture.black", "picture.recovered", "picture.frozen", "picture.recovered"]),
    ],
)  # fmt: skip
async def test_what_is_wrong_twice_is_told_and_taken_back_when_it_is_well(looks, told):
    heard, kept = [], {}

    async def remember(name, value):
        kept[name] = value

    sight = PictureCheck(Screen(), lambda name, data: heard.append(name), remember, asyncio.sleep)
    for look in looks:
        assert await sight.judge(look) is (look in (BLACK, FROZEN))
    assert heard == told
    last = told[-1].removeprefix("picture.") if told else "recovered"
    assert kept.get("picture") == (None if last == "recovered" else last)


async def test_the_agent_tells_the_hub_and_a_new_agent_takes_it_back(hub, start_agent, pauses):
    screen = Screen(BLACK)
    async with start_agent(player=screen, sleep=pauses):
        connection = await hub.welcomed()
        await screen.looks.get()
        assert await until(pauses, AGAIN_S)
        pauses.end()
        assert (await connection.hear(DeviceEvent)).name == "picture.black"
    async with start_agent(player=Screen(WELL)):
        connection = await hub.welcomed()
        event = await connection.hear(DeviceEvent)
        assert (event.name, event.data) == ("picture.recovered", {"was": "black"})


async def test_a_picture_that_cannot_be_looked_at_is_not_judged(hub, start_agent, pauses):
    screen = Screen(PlayerError("no_picture", "mpv shows no picture."))
    async with start_agent(player=screen, sleep=pauses):
        await hub.welcomed()
        await screen.looks.get()
        assert await until(pauses, LOOK_S)


async def until(pauses, wanted):
    """Let everybody sleep until somebody wants to for so long."""
    while (asked := await pauses.next()) != wanted:
        pass
    return asked
