"""What people ask of ten million plays. Beside sums the same answers counted from the plays themselves.

`--plays N --sessions N --players N` are of the past that is asked about: all plays in its last month, sessions over a
year.
"""

import http.client
import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

from hub.domain.times import DAY, MINUTE, now_ms, rfc3339
from tests.benchmarks.report import Bound, Row
from tests.benchmarks.stage import Server, Stage

BOUND = Bound("value", "<=", 1_000, "target")
BATCH = 500  # plays a request, as many as a message may hold

COUNTED = """
    SELECT (started_at / 86400000) AS day, COUNT(*), SUM(duration_ms) FROM play
    WHERE team_id = (SELECT MIN(id) FROM team) AND started_at >= ? AND started_at < ? {} GROUP BY day"""


def measure(stage: Stage) -> list[Row]:
    age = stage.aged
    stage.tell(f"analytics: writing {age.plays:,} plays with their sums, and {age.sessions:,} sessions")
    hub = stage.hub(age.players, aged=True)
    assert hub.database is not None
    until = now_ms() - 7 * MINUTE  # a range that ends where no quarter does, like most
    month, day = (until - 30 * DAY, until), (until - DAY, until)
    player, layout = hub.fleet.players[0][0], 1

    def get(path: str, span: tuple[int, int] | None = None, **more: Any) -> Callable[[], int]:
        query = ({"from": rfc3339(span[0]), "to": rfc3339(span[1])} if span else {}) | more
        return lambda: len(_get(hub, f"{path}?{urlencode(query)}"))

    def count(span: tuple[int, int], more: str = "") -> float:
        with closing(sqlite3.connect(f"file:{hub.database}?mode=ro", uri=True)) as connection:
            began = time.perf_counter()
            connection.execute(COUNTED.format(more), span).fetchall()
            return 1_000 * (time.perf_counter() - began)

    at = "/api/v1/analytics"
    asked: list[tuple[str, Callable[[], int], float | None]] = [
        ("summary", get(f"{at}/summary"), None),
        ("plays of a month by day", get(f"{at}/playback", month), count(month)),
        ("the same of one player", get(f"{at}/playback", month, player_id=player), None),
        ("the same of one layout", get(f"{at}/playback", month, layout_id=layout),
         count(month, f"AND layout_id = {layout}")),
        ("the same of both", get(f"{at}/playback", month, player_id=player, layout_id=layout), None),
        ("plays of a month by hour", get(f"{at}/playback", month, granularity="hour", timezone="Asia/Kathmandu"), None),
        ("impressions of a month", get(f"{at}/impressions", month), None),
        (f"uptime of {age.players:,} players, a month", get(f"{at}/players/uptime", month), None),
        (f"uptime of {age.players:,} players, a day", get(f"{at}/players/uptime", day), None),
        ("the last 100 plays", get("/api/v1/plays", month, limit=100), None),
    ]  # fmt: skip
    rows = []
    for what, ask, counted in asked:
        ask()  # its pages come to memory
        times = list(_timed(ask, max(3, stage.sizes.repeats)))
        rows.append(Row("analytics", what, statistics.median(times), "ms", "counted", counted, BOUND))
    rate = _told(hub, stage.sizes.rounds)
    return [*rows, Row("analytics", f"plays stored, {BATCH} a request, one client", rate, "/s")]


def _timed(ask: Callable[[], int], repeats: int) -> Iterator[float]:
    for _ in range(repeats):
        began = time.perf_counter()
        ask()
        yield 1_000 * (time.perf_counter() - began)


def _get(hub: Server, path: str) -> bytes:
    return _send(hub, "GET", path, hub.fleet.key)


def _send(hub: Server, method: str, path: str, token: str, body: bytes | None = None) -> bytes:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", hub.load.port, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
    assert answer.status == 200, data[:500]
    return data


def _told(hub: Server, batches: int) -> float:
    """Plays a second that players tell and the hub has on disk when it answers."""
    now = now_ms()
    began = time.perf_counter()
    for number in range(batches):
        token = hub.fleet.players[number % len(hub.fleet.players)][1]
        entries = [
            {
                "id": f"new-{number}-{entry}",
                "asset_id": 1,
                "layout_id": 1 + entry % 2,
                "campaign_id": 1 + entry % 5,
                "started_at": rfc3339(now - 10_000 * entry),
                "duration_s": 10,
                "completed": True,
            }
            for entry in range(BATCH)
        ]
        _send(hub, "POST", "/api/v1/plays", token, json.dumps({"entries": entries}).encode())
    return BATCH * batches / (time.perf_counter() - began)
