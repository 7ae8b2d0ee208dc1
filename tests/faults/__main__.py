"""The whole campaign: `python -m tests.faults --runs 200 --seed 1`. Exits 1 when a promise was broken."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.failpoints import EVERYWHERE, Kill, plan
from tests.faults.stage import Nursery, nursery
from tests.faults.storm import Report, Storm, make_template

LEAST_KILLS = 5
"""At each failpoint, or the campaign proves less than it says."""


async def campaign(runs: int, seed: int, at_once: int, folder: Path, nursery: Nursery) -> list[tuple[int, Report]]:
    template = await make_template(folder / "template")
    plans = plan(runs, seed)
    turn = asyncio.Semaphore(at_once)
    done: list[tuple[int, Report]] = []

    async def one(number: int) -> None:
        async with turn:
            place = folder / f"run-{number}"
            place.mkdir()
            report = await Storm(nursery, template, place, plans[number], seed * 1000 + number).run()
            done.append((number, report))
            _progress(number, len(done), runs, plans[number], report)
            if not report.violations:
                shutil.rmtree(place)

    async with nursery.attached(), asyncio.TaskGroup() as group:
        for number in range(runs):
            group.create_task(one(number))
    return done


def _progress(number: int, done: int, runs: int, kills: list[Kill], report: Report) -> None:
    print(f"[{done}/{runs}] run {number}, {report.seconds:.1f} s: {'; '.join(map(str, kills))}", file=sys.stderr)
    for violation in report.violations:
        print(f"    {violation}", file=sys.stderr)


def summary(reports: list[Report], seed: int, seconds: float) -> tuple[str, bool]:
    """The table, and whether everything held."""
    kills: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for report in reports:
        reached = [f"{kill}" for kill in report.reached]
        kills.update(reached)
        broken.update({name: len(report.violations) for name in set(reached)})
        outcomes += report.outcomes
    names = [str(kill) for kill in EVERYWHERE]
    width = max(map(len, names))
    lines = [f"{'failpoint':{width}}  kills  violations in those runs"]
    lines += [f"{name:{width}}  {kills[name]:5}  {broken[name]}" for name in names]
    violations = sum(len(report.violations) for report in reports)
    rare = [name for name in names if kills[name] < LEAST_KILLS]
    lines += [
        "",
        f"seed {seed}: {len(reports)} runs, {kills.total()} kills at {len(names)} failpoints (fewest at one:"
        f" {min(kills[name] for name in names)}), {outcomes.total()} commands,"
        f" {violations} violations, {seconds:.0f} s",
        *(f"  {count:5} {outcome}" for outcome, count in sorted(outcomes.items())),
    ]
    if rare:
        lines.append(f"fewer than {LEAST_KILLS} kills: {', '.join(rare)}")
    return "\n".join(lines), not violations and not rare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    began = time.monotonic()
    with nursery() as born:
        done = asyncio.run(campaign(arguments.runs, arguments.seed, arguments.at_once, folder, born))
    text, held = summary([report for _, report in sorted(done, key=lambda one: one[0])], arguments.seed,
                         time.monotonic() - began)  # fmt: skip
    print(text)
    if held:
        shutil.rmtree(folder)
    else:
        print(f"What failed is in {folder}", file=sys.stderr)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
