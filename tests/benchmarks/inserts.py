"""How many commands a second the hub takes over: each answered with 202 once it is on disk.

Beside it the same rows through SQLModel sessions (`orm`), the hub's own route with its checks and nothing kept
(`hub without storage`), and a bare route that keeps nothing.
"""

from typing import Any

from tests.benchmarks.report import Bound, Row, median
from tests.benchmarks.stage import Server, Stage

PLAYERS = 2_000  # who get them in turn; none is connected, and none may be given a thousand


def measure(stage: Stage) -> list[Row]:
    sizes = stage.sizes
    servers = [
        stage.hub(PLAYERS),
        stage.baseline(PLAYERS, "orm"),
        stage.baseline(PLAYERS, "hub-without"),
        stage.baseline(PLAYERS),
    ]
    hub, orm, without, bare = interleaved(servers, sizes.clients, sizes.insert_s, sizes.repeats)
    stage.tell(f"inserts: the load generator worked {servers[0].load.busy:.0%} of the time")
    rate = median(hub, _rate)
    p99 = 1_000 * median(hub, lambda answer: answer["times"]["p99"])
    orm_p99 = 1_000 * median(orm, lambda answer: answer["times"]["p99"])
    what = f"commands stored, {sizes.clients} clients"
    return [
        Row("inserts", what, rate, "/s", "orm", median(orm, _rate), Bound("ratio", ">=", 8, "target")),
        Row("inserts", what, rate, "/s", "hub without storage", median(without, _rate),
            Bound("ratio", ">=", 0.6, "target")),
        Row("inserts", what, rate, "/s", "bare", median(bare, _rate)),
        Row("inserts", f"p99, {sizes.clients} clients", p99, "ms", "orm", orm_p99),
    ]  # fmt: skip


def interleaved(servers: list[Server], clients: int, seconds: float, repeats: int) -> list[list[dict[str, Any]]]:
    answers: list[list[dict[str, Any]]] = [[] for _ in servers]
    for _ in range(repeats):
        for server, own in zip(servers, answers, strict=True):
            own.append(server.load.call("inserts", clients=clients, seconds=seconds))
    return answers


def _rate(answer: dict[str, Any]) -> float:
    return float(answer["per_s"])
