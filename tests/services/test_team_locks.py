"""Places of which each team has one at a time."""

import asyncio

from hub.services.team_locks import OnePerTeam


async def test_no_team_takes_all_places() -> None:
    places, order, begun, go = OnePerTeam(2), list[str](), asyncio.Event(), asyncio.Event()

    async def work(team_id: int, name: str) -> None:
        async with places.of(team_id):
            order.append(name)
            if team_id == 1:
                begun.set()
                await go.wait()

    one = [asyncio.create_task(work(1, name)) for name in ("first", "second", "third")]
    async with asyncio.timeout(60):
        await begun.wait()
        for number in range(3):
            await work(2, f"other {number}")
        assert sorted(order) == ["first", "other 0", "other 1", "other 2"]
        go.set()
        await asyncio.gather(*one)
    assert order[4:] == ["second", "third"]


async def test_who_gives_up_waiting_leaves_the_place_to_the_next() -> None:
    places, go = OnePerTeam(1), asyncio.Event()

    async def work(team_id: int) -> None:
        async with places.of(team_id):
            await go.wait()

    tasks = [asyncio.create_task(work(team_id)) for team_id in (1, 1, 2, 1)]
    await asyncio.sleep(0)
    for task in tasks[1:3]:
        task.cancel()
    go.set()
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in ended] == [False, True, True, False]
