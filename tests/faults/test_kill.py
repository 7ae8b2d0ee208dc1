"""SIGKILL at every step between POST and result: twenty runs that visit each failpoint, with real processes.

The whole campaign, with each failpoint many times, is `python -m tests.faults --runs 200`.
"""

import asyncio
from pathlib import Path

import pytest

from tests.faults.failpoints import EVERYWHERE, plan
from tests.faults.stage import Nursery
from tests.faults.storm import Storm, Template

RUNS = 20
SEED = 1
PLANS = plan(RUNS, SEED)


def test_twenty_runs_visit_every_failpoint() -> None:
    planned = {str(kill) for kills in PLANS for kill in kills}
    assert planned == {str(kill) for kill in EVERYWHERE}


@pytest.mark.parametrize("pair", [(number, number + 1) for number in range(0, RUNS, 2)])
async def test_whatever_is_killed_no_command_runs_twice_or_is_lost_or_lies(
    pair: tuple[int, int], born: Nursery, template: Template, tmp_path: Path
) -> None:
    """Two runs side by side, since each waits most of its time."""

    async def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        kills = PLANS[number]
        report = await Storm(born, template, folder, kills, SEED * 1000 + number).run()
        log = (folder / "hub.log").read_text()[-2000:]
        assert report.violations == [], f"{'; '.join(map(str, kills))}\n{log}"
        assert len(report.reached) == len(kills)

    async with born.attached():
        await asyncio.gather(*map(one, pair))
