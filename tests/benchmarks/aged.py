"""The same hub on an empty database and on one with a past: what grows must not slow down what happens now."""

from tests.benchmarks import fan_out, inserts, round_trip
from tests.benchmarks.report import Bound, Row, median
from tests.benchmarks.stage import Stage

BOUND = Bound("ratio", "<=", 1.2)


def measure(stage: Stage) -> list[Row]:
    sizes, age = stage.sizes, stage.aged
    stage.tell(f"aged: writing {age.events:,} events, {age.commands:,} commands, {age.sessions:,} sessions")
    hubs = [stage.hub(age.players, aged=True), stage.hub(age.players)]
    arrival = [float(hub.load.call("connect", count=age.players)["seconds"]) for hub in hubs]
    trip = [
        1_000 * median(answers, lambda answer: answer["durable"]["p50"])
        for answers in round_trip.interleaved(hubs, sizes.rounds, sizes.repeats)
    ]
    spread, _ = fan_out.fan_outs(hubs, age.players, sizes.repeats)
    again: list[list[float]] = [[], []]
    for _ in range(2):  # five replacements within ten minutes would look like a cloned token
        for hub, own in zip(hubs, again, strict=True):
            own.append(float(hub.load.call("reconnect")["seconds"]))
    for hub in hubs:
        hub.load.call("leave")
        hub.load.call("inserts", clients=sizes.clients, seconds=sizes.insert_s)  # its pages come to memory
    per_insert = [
        1_000 / median(answers, lambda answer: answer["per_s"])
        for answers in inserts.interleaved(hubs, sizes.clients, sizes.insert_s, sizes.repeats)
    ]
    figures = {
        ("a command stored", "ms"): per_insert,
        ("a command's round trip, p50", "ms"): trip,
        (f"{age.players:,} acked and stored", "s"): spread,
        (f"{age.players:,} arrive", "s"): arrival,
        (f"{age.players:,} return", "s"): [min(own) for own in again],
    }
    return [Row("aged", what, old, unit, "fresh", young, BOUND) for (what, unit), (old, young) in figures.items()]
