"""`python -m tests.benchmarks`: what the hub does on this machine, each figure beside the same thing done otherwise."""

import argparse
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import orjson

from tests.benchmarks import aged, analytics, copying, crowd, fan_out, inserts, presence, round_trip, uploads
from tests.benchmarks.processes import Failed, raise_file_limit
from tests.benchmarks.report import Row, missed, table
from tests.benchmarks.seed import Age
from tests.benchmarks.stage import QUICK, Sizes, Stage

MEASUREMENTS: dict[str, Callable[[Stage], list[Row]]] = {
    "inserts": inserts.measure,
    "round-trip": round_trip.measure,
    "uploads": uploads.measure,
    "fan-out": fan_out.measure,
    "presence": presence.measure,
    "crowd": crowd.measure,
}


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> int:
    """Measure and print. Answers the exit status: 1 for a missed bound that was asked for, 2 for a failed run."""
    options = _parser().parse_args(arguments)
    sizes = sizes or (QUICK if options.quick else Sizes())
    age = Age(options.players, options.events, options.commands, options.sessions, options.plays)
    # Each is spared what it does not look at.
    age = replace(age, events=0, commands=0) if options.analytics else replace(age, plays=0)
    chosen = {name: MEASUREMENTS[name] for name in options.only or MEASUREMENTS}
    if options.aged:
        chosen = {"aged": aged.measure} | (chosen if options.only else {})
    if options.backup:
        chosen = {"backup": copying.measure} | (chosen if options.only else {})
    if options.analytics:
        chosen = {"analytics": analytics.measure} | (chosen if options.only else {})
    started = time.monotonic()
    sockets = raise_file_limit()
    print(f"{machine()}; {sockets:,} files a process\n", flush=True)
    rows: list[Row] = []
    broken = False
    for name, measure in chosen.items():
        try:
            with Stage(sizes, lambda text: print(text, flush=True), age) as stage:
                rows += measure(stage)
        except Failed as failure:
            print(f"{name} failed: {failure}", file=sys.stderr)
            broken = True
    print(f"\n{table(rows)}\n\n{time.monotonic() - started:.0f} s")
    if options.json:
        options.json.write_bytes(orjson.dumps([row.as_json() for row in rows], option=orjson.OPT_INDENT_2))
    failed = missed(rows, everything=options.check_all) if options.check or options.check_all else []
    for row in failed:
        print(f"missed: {row.measurement}, {row.what}: {row.bound}", file=sys.stderr)
    return 2 if broken else 1 if failed else 0


def machine() -> str:
    """What the figures belong to."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "starlette", "uvloop", "sqlmodel"))
    return (
        f"{time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores ({cpu}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, metavar="NAME,...", help=f"some of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: a look within 90 seconds")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--check-all", action="store_true", help="exit 1 when a target or a goal is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--aged", action="store_true", help="compare a database with a past to a fresh one")
    parser.add_argument("--analytics", action="store_true", help="ask about the plays and sessions of a fleet")
    parser.add_argument("--backup", action="store_true", help="copy 2 GB while commands go back and forth")
    default = Age(plays=10_000_000)
    for name in ("players", "events", "commands", "sessions", "plays"):
        number = getattr(default, name)
        parser.add_argument(f"--{name}", type=int, default=number, metavar="N", help=f"of that past ({number:,})")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
