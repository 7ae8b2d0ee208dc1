"""One command to everybody, until everybody's acknowledgement is stored. Beside it a bare echo that stores nothing."""

import statistics

from tests.benchmarks.report import Bound, Row
from tests.benchmarks.stage import Server, Stage


def measure(stage: Stage) -> list[Row]:
    count = stage.sizes.fan_out
    hub, bare = stage.hub(count), stage.baseline(count)
    for server in (hub, bare):
        server.load.call("connect", count=count)
    seconds, cpu = fan_outs([hub, bare], count, stage.sizes.repeats)
    stage.tell(f"fan-out: the load generator worked {hub.load.busy:.0%} of the time")
    return [
        Row("fan-out", f"{count:,} acked and stored", 1_000 * seconds[0], "ms", "bare", 1_000 * seconds[1]),
        Row("fan-out", "server's processor time", 1_000 * cpu[0], "ms", "bare", 1_000 * cpu[1],
            Bound("ratio", "<=", 1.0)),
    ]  # fmt: skip


def fan_outs(servers: list[Server], count: int, repeats: int) -> tuple[list[float], list[float]]:
    """(seconds, processor seconds) of each server, the medians of some turns."""
    seconds: list[list[float]] = [[] for _ in servers]
    cpu: list[list[float]] = [[] for _ in servers]
    for _ in range(repeats):
        for server, its_seconds, its_cpu in zip(servers, seconds, cpu, strict=True):
            before = server.process.cpu_s()
            database = str(server.database) if server.database else None
            answer = server.load.call("fan_out", group_id=server.fleet.group_id, count=count, database=database)
            its_seconds.append(float(answer["seconds"]))
            its_cpu.append(server.process.cpu_s() - before)
    return [statistics.median(values) for values in seconds], [statistics.median(values) for values in cpu]
