"""One command: POST, to the device, its word, on disk. One client asks, among sockets that are idle.

Beside it the same steps through SQLModel sessions (`orm`), and with nothing kept (`bare`).
"""

from typing import Any

from tests.benchmarks.report import Bound, Row, median
from tests.benchmarks.stage import Server, Stage

TARGETS = 10  # players that get the commands in turn: none is ever asked for more than it may hold


def measure(stage: Stage) -> list[Row]:
    sizes = stage.sizes
    servers = [stage.hub(sizes.idle), stage.baseline(sizes.idle, "orm"), stage.baseline(sizes.idle)]
    for server in servers:
        server.load.call("connect", count=sizes.idle)
        server.load.call("rounds", count=20, targets=TARGETS)  # caches fill
    hub, orm, bare = interleaved(servers, sizes.rounds, sizes.repeats)
    waited = [servers[0].load.call("rounds", count=sizes.rounds, targets=TARGETS, wait=True)]
    stage.tell(f"round trip: the load generator worked {servers[0].load.busy:.0%} of the time")

    def ms(answers: list[dict[str, Any]], step: str, percentile: str) -> float:
        return 1_000 * median(answers, lambda answer: answer[step][percentile])

    durable = {name: ms(answers, "durable", "p50") for name, answers in (("hub", hub), ("orm", orm), ("bare", bare))}
    p99 = ms(hub, "durable", "p99")
    return [
        Row("round trip", "POST to result stored, p50", durable["hub"], "ms", "orm", durable["orm"],
            Bound("ratio", "<=", 0.3, "target")),
        Row("round trip", "POST to result stored, p50", durable["hub"], "ms", "bare", durable["bare"]),
        Row("round trip", "POST to result stored, p99 to its p50", p99, "ms", "hub", durable["hub"],
            Bound("ratio", "<=", 3, "target")),
        Row("round trip", "POST to result stored, p99", p99, "ms", "orm", ms(orm, "durable", "p99")),
        Row("round trip", "POST to the device, p50", ms(hub, "sent", "p50"), "ms", "orm", ms(orm, "sent", "p50")),
        Row("round trip", "POST to the device, p99", ms(hub, "sent", "p99"), "ms", "orm", ms(orm, "sent", "p99")),
        Row("round trip", "POST to its 202, p50", ms(hub, "answered", "p50"), "ms", "orm", ms(orm, "answered", "p50")),
        Row("round trip", "POST to the outcome (Prefer: wait), p50", ms(waited, "answered", "p50"), "ms"),
    ]  # fmt: skip


def interleaved(servers: list[Server], rounds: int, repeats: int) -> list[list[dict[str, Any]]]:
    """The answers of each server, taken in turns so that what else the machine does meets all alike."""
    answers: list[list[dict[str, Any]]] = [[] for _ in servers]
    for _ in range(repeats):
        for server, own in zip(servers, answers, strict=True):
            own.append(server.load.call("rounds", count=rounds, targets=TARGETS))
    return answers
