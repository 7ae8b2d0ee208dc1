"""What commands notice of screenshots: round trips while players upload, and without. Beside it a bare echo that takes
the same bytes and drops them."""

from dataclasses import replace
from typing import Any

from tests.benchmarks.report import Bound, Row, median
from tests.benchmarks.round_trip import TARGETS
from tests.benchmarks.seed import Fleet
from tests.benchmarks.stage import Server, Stage

SCREENSHOT = 500_000  # bytes: a full-size picture, ten times a usual one
UPLINK = 10_000_000  # bits a second and player, as the window of the protocol assumes; the hub's budget allows 17


def measure(stage: Stage) -> list[Row]:
    sizes = stage.sizes
    players = sizes.idle + sizes.uploads
    hub, bare = stage.hub(players), stage.baseline(players)
    for server in (hub, bare):
        server.load.call("connect", count=sizes.idle)
        server.load.call("rounds", count=20, targets=TARGETS)
    calm, busy, stored = _p99(hub, stage)
    bare_calm, bare_busy, _ = _p99(bare, stage)
    stage.tell(f"uploads: the load generator worked {hub.load.busy:.0%} of the time")
    what = f"p99 of commands while {sizes.uploads} players upload"
    return [
        Row("uploads", what, busy, "ms", "without", calm, Bound("ratio", "<=", 2.5)),
        Row("uploads", f"{what}, to without", busy / calm, "x", "bare", bare_busy / bare_calm),
        Row("uploads", "screenshots stored meanwhile", stored, "/s"),
    ]


def _p99(server: Server, stage: Stage) -> tuple[float, float, float]:
    """(p99 in ms without uploads, with them, screenshots a second)."""
    sizes = stage.sizes
    uploader = stage.load(server.load.port, _last(server, sizes.uploads))
    uploader.call("connect", count=sizes.uploads)
    calm: list[dict[str, Any]] = []
    busy: list[dict[str, Any]] = []
    stored = []
    for _ in range(sizes.repeats):
        calm.append(server.load.call("rounds", count=sizes.rounds, targets=TARGETS))
        uploader.begin("upload", players=sizes.uploads, size=SCREENSHOT, bits_per_s=UPLINK)
        busy.append(server.load.call("rounds", count=sizes.rounds, targets=TARGETS))
        uploader.tell_to_stop()
        answer = uploader.end()
        stored.append(answer["stored"] / answer["seconds"])

    def p99(answers: list[dict[str, Any]]) -> float:
        return 1_000 * median(answers, lambda answer: answer["durable"]["p99"])

    return p99(calm), p99(busy), sorted(stored)[len(stored) // 2]


def _last(server: Server, count: int) -> Fleet:
    """The players that upload: others than those that get the commands, and than those that are idle."""
    return replace(server.fleet, players=server.fleet.players[-count:])
