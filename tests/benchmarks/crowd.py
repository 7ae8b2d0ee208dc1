"""A whole fleet on one hub: how it arrives, what it costs when nothing happens, and how it comes back.

Beside it, the same crowd on a bare Starlette route that believes every credential and writes nothing down.
"""

from typing import Any

from tests.benchmarks.report import Bound, Row
from tests.benchmarks.stage import Server, Stage

PLAYER = "/api/v1/players/1"  # what an operator asks for while the fleet returns
PROBE_S = 0.02


def measure(stage: Stage) -> list[Row]:
    count = stage.sizes.crowd
    hub, bare = stage.hub(count), stage.baseline(count)
    arrived = {server: _arrive(server, count) for server in (hub, bare)}
    (hub_kb, hub_rate), (bare_kb, bare_rate) = arrived[hub], arrived[bare]
    rows = [
        Row("connections", "welcomed and held", count, "players"),
        Row("connections", "memory a player", hub_kb, "KB", "bare", bare_kb, Bound("value", "<=", 8)),
        Row("connections", "memory a player, to bare", hub_kb, "KB", "bare", bare_kb, Bound("ratio", "<=", 1 / 3)),
        Row("connections", "accepted a second", hub_rate, "/s", "bare", bare_rate, Bound("ratio", ">=", 3)),
    ]
    stage.tell(f"connections: the load generator worked {hub.load.busy:.0%} of the time")
    idle = [_idle(server, stage.sizes.hold_s) for server in (hub, bare)]
    rows.append(Row("idle", "of one core, with pings", idle[0], "%", "bare", idle[1], Bound("value", "<=", 2)))
    rows += _return(stage, hub, bare, count)
    return rows


def _arrive(server: Server, count: int) -> tuple[float, float]:
    """(KB a player, players a second)."""
    before = server.process.memory_kb()
    answer = server.load.call("connect", count=count)
    server.load.call("hold", seconds=1)
    return (server.process.memory_kb() - before) / count, count / float(answer["seconds"])


def _idle(server: Server, seconds: float) -> float:
    before = server.process.cpu_s()
    answer = server.load.call("hold", seconds=seconds)
    assert answer["losses"] == 0, f"{answer['losses']} players were lost while nothing happened"
    return 100 * (server.process.cpu_s() - before) / float(answer["wall_s"])


def _return(stage: Stage, hub: Server, bare: Server, count: int) -> list[Row]:
    times = {}
    seen: dict[Server, dict[str, Any]] = {}
    for server in (hub, bare):
        operator = stage.load(server.load.port, server.fleet)
        operator.begin("probe", path=PLAYER, interval_s=PROBE_S)
        operator.begin("probe", path="/healthz", interval_s=PROBE_S)
        times[server] = float(server.load.call("reconnect")["seconds"])
        operator.tell_to_stop()
        seen[server] = {answer["path"]: answer["times"] for answer in (operator.end(), operator.end())}
    asked = {server: 1_000 * seen[server][PLAYER]["p99"] for server in (hub, bare)}
    stalled = {server: 1_000 * seen[server]["/healthz"]["max"] for server in (hub, bare)}
    return [
        Row("reconnect", "until all are welcomed", times[hub], "s", "bare", times[bare]),
        Row("reconnect", "welcomed a second", count / times[hub], "/s", "bare", count / times[bare],
            Bound("ratio", ">=", 3)),
        Row("reconnect", "an operator's p99 meanwhile", asked[hub], "ms", "bare", asked[bare],
            Bound("value", "<=", 100)),
        Row("reconnect", "the longest pause", stalled[hub], "ms", "bare", stalled[bare], Bound("value", "<=", 50)),
    ]  # fmt: skip
