"""SIGKILL at every step between POST and result: twenty runs that visit each failpoint, with real processes.

The whole campaign, with each failpoint many times, is `python -m tests.faults --runs 200`.
"""

from pathlib import Path

import pytest

from tests.faults.failpoints import EVERYWHERE, Kill, plan
from tests.faults.stage import Nursery
from tests.faults.storm import Storm, Template

RUNS = 20
SEED = 1
PLANS = plan(RUNS, SEED)


def test_twenty_runs_visit_every_failpoint() -> None:
    planned = {str(kill) for kills in PLANS for kill in kills}
    assert planned == {str(kill) for kill in EVERYWHERE}


@pytest.mark.parametrize("number", range(RUNS))
async def test_whatever_is_killed_no_command_runs_twice_or_is_lost_or_lies(
    number: int, born: Nursery, template: Template, tmp_path: Path
) -> None:
    kills: list[Kill] = PLANS[number]
    async with born.attached():
        report = await Storm(born, template, tmp_path, kills, SEED * 1000 + number).run()
    assert report.violations == [], f"{'; '.join(map(str, kills))}\n{(tmp_path / 'hub.log').read_text()[-2000:]}"
    assert len(report.reached) == len(kills)
