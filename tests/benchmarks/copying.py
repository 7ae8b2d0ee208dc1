"""What a hub with a past notices of `hub backup`: how long the copy takes, and commands meanwhile. Beside it commands
without a copy under way."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import ROOT, Failed
from tests.benchmarks.report import Bound, Row
from tests.benchmarks.round_trip import TARGETS
from tests.benchmarks.stage import Server, Stage

ROUNDS = 100  # at a time; then a look whether the copy is made
FILE_BYTES = 4_000_000  # a picture of a camera


def measure(stage: Stage) -> list[Row]:
    sizes = stage.sizes
    stage.tell(f"backup: writing {stage.aged.events:,} events and files, {sizes.copied_bytes:,} bytes together")
    hub = stage.hub(stage.aged.players, aged=True)
    assert hub.database is not None
    size = _fill(hub.database, sizes.copied_bytes)
    hub.load.call("connect", count=min(sizes.idle, stage.aged.players))
    hub.load.call("rounds", count=20, targets=TARGETS)
    calm = _rounds(hub, repeats=sizes.repeats)
    copy = subprocess.Popen(
        [sys.executable, "-m", "hub", "backup", str(hub.database.parent / "copy"), "--data", str(hub.database.parent)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    busy: list[dict[str, Any]] = []
    took_s = 0.0
    while copy.poll() is None:
        busy.append(hub.load.call("rounds", count=ROUNDS, targets=TARGETS))
        took_s += busy[-1]["seconds"]
    if copy.returncode != 0:
        raise Failed(f"hub backup ended with {copy.returncode}")
    return [
        Row("backup", f"{size / 1e9:.2g} GB copied", took_s, "s", bound=Bound("value", "<=", 60)),
        Row("backup", "the longest POST to its 202 meanwhile", _longest(busy, "answered"), "ms", "without",
            _longest(calm, "answered"), Bound("value", "<=", 250)),
        Row("backup", "the longest POST to result stored meanwhile", _longest(busy, "durable"), "ms", "without",
            _longest(calm, "durable"), Bound("value", "<=", 250)),
    ]  # fmt: skip


def _fill(database: Path, size: int) -> int:
    """Files beside the database until there are `size` bytes; answers how many there are."""
    blobs = database.parent / "blobs"
    blobs.mkdir(exist_ok=True)
    there = database.stat().st_size
    number = 0
    while there < size:
        (blobs / f"benchmark-{number}").write_bytes(os.urandom(FILE_BYTES))
        number, there = number + 1, there + FILE_BYTES
    return there


def _rounds(hub: Server, repeats: int) -> list[dict[str, Any]]:
    return [hub.load.call("rounds", count=ROUNDS, targets=TARGETS) for _ in range(repeats)]


def _longest(answers: list[dict[str, Any]], step: str) -> float:
    return 1_000 * max(float(answer[step]["max"]) for answer in answers)
