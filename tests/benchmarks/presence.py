"""How soon a receiver hears that a screen died: from the loss of its socket to the webhook, the grace not counted.

Beside it a bare route that, without a database, posts what it notices at once.
"""

from typing import Any

from tests.benchmarks.report import Bound, Row
from tests.benchmarks.stage import Server, Stage

GRACE_S = 1.0
PER_S = 20.0  # screens that die; a power cut is a question of throughput, not of this


def measure(stage: Stage) -> list[Row]:
    count = stage.sizes.watched
    hub = stage.hub(
        count, HUB_PLAYERS__UNCLEAN_GRACE_S=str(GRACE_S), HUB_WEBHOOKS__ALLOW_NETWORKS='["127.0.0.0/8"]'
    )  # fmt: skip
    bare = stage.baseline(count)
    times = [_deaths(server, stage, grace_s) for server, grace_s in ((hub, GRACE_S), (bare, 0.0))]
    stage.tell(f"presence: the load generator worked {hub.load.busy:.0%} of the time")
    what = f"socket lost to webhook, of {count:,} connected"
    return [
        Row("presence", f"{what}, p50", *_pair(times, "p50")),
        Row("presence", f"{what}, p99", *_pair(times, "p99"), Bound("value", "<=", 250, "target")),
        Row("presence", f"{what}, the longest", *_pair(times, "max")),
    ]


def _deaths(server: Server, stage: Stage, grace_s: float) -> dict[str, Any]:
    server.load.call("connect", count=stage.sizes.watched)
    times: dict[str, Any] = server.load.call("deaths", count=stage.sizes.deaths, per_s=PER_S, grace_s=grace_s)["times"]
    return times


def _pair(times: list[dict[str, Any]], name: str) -> tuple[float, str, str, float]:
    return 1_000 * times[0][name], "ms", "bare", 1_000 * times[1][name]
