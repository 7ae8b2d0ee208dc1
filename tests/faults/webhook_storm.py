"""The storm for webhooks: a hub that is killed and receivers that fail, while events are made at speed.

Three receivers listen: a chaotic one (which is killed and restarted too), a healthy one, and one that is not there.
At the end each of the first two holds exactly what the hub's log says, in the order that cursors give.
"""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.faults.stage import ROOT, Life, Nursery, RemoteHub
from tests.harness import make_team
from tests.ports import free_port

PLAYERS_EACH = 900  # commands that a player may have waiting: a hundred less than the hub allows
CLIENTS = 32
SAMPLE_S = 1.0
KNIFE_S = 20.0  # for a knife to fall by itself
DONE_S = 1_800.0  # for everything to arrive, after the last event

# Where the hub is killed: after an event is on disk and before anybody was told; after a receiver has answered and
# before that is written down; with deliveries in its hands; and wherever it happens to be.
KNIVES = ("after commit commands.send", "before commit deliveries.settle", "after commit deliveries.claim", None)


@dataclass
class Report:
    events: int = 0
    attempts: int = 0
    repeats: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    kills: list[str] = field(default_factory=list)
    restarts: int = 0
    seconds: float = 0.0
    memory_mb: list[list[float]] = field(default_factory=list)
    """Of each life of the hub, once a second."""
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rate = self.attempts / self.seconds if self.seconds else 0
        lives = "; ".join(f"{min(life):.0f} to {max(life):.0f}" for life in self.memory_mb if life)
        lines = [
            f"{self.events:,} events for each receiver, {self.attempts:,} deliveries arrived in {self.seconds:.0f} s "
            f"({rate:,.0f}/s), {self.repeats:,} of them repeats",
            f"hub killed {len(self.kills)} times: {', '.join(self.kills)}",
            f"chaotic receiver killed {self.restarts} times; it failed: "
            + ", ".join(f"{number:,} {what}" for what, number in sorted(self.failures.items())),
            f"memory of the hub in MB, life by life: {lives}",
            f"{len(self.violations)} promises broken",
            *self.violations,
        ]
        return "\n".join(lines)


class ReceiverProcess:
    """A receiver in a process of its own, which comes back on its port."""

    def __init__(self, name: str, folder: Path, *, chaos: float = 0.0, seed: int = 1, library: str) -> None:
        self.name = name
        self.port = free_port()
        self.database = folder / f"{name}.db"
        self.webhook_id = 0
        self._log = folder / f"{name}.log"
        self._arguments = ["--chaos", str(chaos), "--seed", str(seed), "--library", library]
        self._secret = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self, secret: str = "") -> None:
        self._secret = secret or self._secret
        about = ["--port", str(self.port), "--database", str(self.database), "--secret", self._secret]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.receivers.receiver", *about, *self._arguments],
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def told(self) -> list[dict[str, Any]]:
        """What it has, by cursor."""
        with closing(sqlite3.connect(self.database)) as database:
            return [json.loads(body) for (body,) in database.execute("SELECT body FROM event ORDER BY number, id")]

    def tally(self) -> Counter[str]:
        with closing(sqlite3.connect(self.database)) as database:
            return Counter(dict(database.execute("SELECT what, times FROM tally")))


class WebhookStorm:
    def __init__(self, nursery: Nursery, folder: Path, *, events: int, kills: int, restarts: int, seed: int) -> None:
        self.report = Report()
        self._nursery = nursery
        self._folder = folder
        self._events = events
        self._kills = kills
        self._restarts = restarts
        self._chance = random.Random(seed)
        self._port = free_port()
        self._made = 0
        self._life: Life | None = None
        self._over = False
        self._watching: asyncio.Task[None] | None = None
        self.chaotic = ReceiverProcess("chaotic", folder, chaos=0.3, seed=seed, library="standardwebhooks")
        self.healthy = ReceiverProcess("healthy", folder, library="svix")

    async def run(self) -> Report:
        began = time.monotonic()
        key = await make_team(f"sqlite:///{self._folder / 'hub' / 'hub.db'}")
        hub = RemoteHub(self._port, key)
        try:
            self._bear(None)
            assert self._life is not None
            await hub.answers(self._life)
            players = await self._set_up(hub)
            async with self._watched(), asyncio.TaskGroup() as group:
                group.create_task(self._kill_now_and_then(hub))
                group.create_task(self._restart_now_and_then())
                await self._make_events(hub, players)
            await self._arrived(hub)
            await self._judge(hub)
        finally:
            self._over = True
            for receiver in (self.chaotic, self.healthy):
                receiver.stop()
            if self._life is not None and not self._life.over.done():
                await self._life.stop()
            await hub.client.aclose()
        self.report.seconds = time.monotonic() - began
        return self.report

    def _bear(self, failpoint: dict[str, Any] | None) -> None:
        self._life = self._nursery.bear(
            "hub",
            self._folder / "hub.log",
            data=str(self._folder / "hub"),
            port=self._port,
            failpoint=failpoint,
            webhooks={"retry_s": [1] * 50, "allow_networks": ["127.0.0.0/8"], "timeout_s": 5},
            rate_limits={"enabled": False},
        )
        self.report.memory_mb.append([])

    async def _set_up(self, hub: RemoteHub) -> list[int]:
        """Players with room for all commands, and the receivers. The dead one hears of new players only, which are few:
        each of its deliveries is tried fifty times."""
        dead = {"url": f"http://127.0.0.1:{free_port()}/", "events": ["player.created"]}
        assert (await hub.client.post("/api/v1/webhooks", json=dead)).status_code == 201
        for receiver in (self.chaotic, self.healthy):
            made = await hub.client.post("/api/v1/webhooks", json={"url": receiver.url, "events": ["*"]})
            receiver.webhook_id = made.json()["data"]["id"]
            receiver.start(made.json()["data"]["secret"])
        players = []
        for number in range(self._events // PLAYERS_EACH + 1):
            made = await hub.client.post("/api/v1/players", json={"name": f"Player {number}"})
            players.append(made.json()["data"]["id"])
        return players

    async def _make_events(self, hub: RemoteHub, players: list[int]) -> None:
        """Commands for players that are not there: each is one event, written with its deliveries in one commit. A
        client that gets no answer asks again; what the hub has written by then is in its log all the same."""
        wanted = iter(range(self._events))

        async def client() -> None:
            for number in wanted:
                body = {"player_id": players[number // PLAYERS_EACH], "command": "identify", "ttl_s": 86_400}
                while True:
                    try:
                        answer = await hub.client.post("/api/v1/commands", json=body)
                    except httpx2.TransportError:
                        await asyncio.sleep(0.05)  # it is being killed, or not up yet
                        continue
                    if answer.status_code == 202:
                        break
                    assert answer.status_code == 503, answer.text
                    await asyncio.sleep(0.05)
                self._made += 1

        await asyncio.gather(*(client() for _ in range(CLIENTS)))

    async def _kill_now_and_then(self, hub: RemoteHub) -> None:
        """At the knives in turn, spread over the events. A knife is armed in the life before it falls."""
        for number in range(self._kills):
            knife = KNIVES[number % len(KNIVES)]
            await self._reached(self._events * (number + 1) // (self._kills + 1))
            assert self._life is not None
            if knife is not None and number:  # the life of now was born with it; it falls soon
                await asyncio.wait([self._life.over], timeout=KNIFE_S)
            fell = self._life.over.done()
            if not fell:
                await self._life.kill()
            status = await self._life.over
            if status != -signal.SIGKILL:
                self.report.violations.append(f"the hub ended by itself with status {status}")
            self.report.kills.append(str(knife) if fell else "at any moment")
            following = KNIVES[(number + 1) % len(KNIVES)]
            last = number + 1 == self._kills
            armed = None if last or following is None else self._knife(following, number)
            self._bear(armed)
            await hub.answers(self._life)

    def _knife(self, step: str, number: int) -> dict[str, Any]:
        """It falls when the next share of the events is made, or somewhat later. One claim takes several deliveries."""
        share = self._events // (self._kills + 1)
        nth = share // 8 if step.endswith("claim") else share + self._chance.randint(0, share // 4)
        return {"step": step, "nth": nth, "tally": str(self._folder / f"knife-{number}")}

    async def _restart_now_and_then(self) -> None:
        for number in range(self._restarts):
            await self._reached(self._events * (number + 1) // (self._restarts + 2))
            await asyncio.to_thread(self.chaotic.stop, signal.SIGKILL)
            self.report.restarts += 1
            self.chaotic.start()

    async def _reached(self, made: int) -> None:
        while self._made < made and not self._over:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        async def watch() -> None:
            while True:
                await asyncio.sleep(SAMPLE_S)
                lives = self._life is not None and self._life.born.done() and not self._life.over.done()
                if lives and (resident := _resident_mb(self._life.born.result())):  # none: it is dying just now
                    self.report.memory_mb[-1].append(resident)

        self._watching = asyncio.create_task(watch())
        yield

    async def _arrived(self, hub: RemoteHub) -> None:
        """Until nothing waits for the two that are there."""
        async with asyncio.timeout(DONE_S):
            for receiver in (self.healthy, self.chaotic):
                path = f"/api/v1/webhooks/{receiver.webhook_id}/deliveries"
                query = {"state": "pending", "limit": 1}
                while (await hub.client.get(path, params=query)).json()["data"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        assert self._watching is not None
        self._watching.cancel()

    async def _judge(self, hub: RemoteHub) -> None:
        log: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while page := (await hub.client.get("/api/v1/events", params={"limit": 1000, **after})).json():
            if not page["data"]:
                break
            log += page["data"]
            after = {"after": page["meta"]["next"]}
        for receiver in (self.chaotic, self.healthy):
            registered = next(
                number
                for number, event in enumerate(log)
                if event["event"] == "webhook.created" and event["data"]["webhook_id"] == receiver.webhook_id
            )
            expected = [_as_sent(event) for event in log[registered + 1 :]]
            told = receiver.told()
            tally = receiver.tally()
            self.report.events = len(expected)
            self.report.attempts += tally.total()
            self.report.repeats += tally["repeated"]
            if receiver is self.chaotic:
                self.report.failures = Counter(
                    {what: number for what, number in tally.items() if what not in ("stored", "repeated")}
                )
            if told != expected:
                missing = len({event["cursor"] for event in expected} - {event["cursor"] for event in told})
                extra = len({event["cursor"] for event in told} - {event["cursor"] for event in expected})
                self.report.violations.append(
                    f"the {receiver.name} receiver differs from the log: {missing} missing, {extra} too many, "
                    f"{len(told)} in all of {len(expected)}"
                )
            if tally["forged"]:
                self.report.violations.append(f"{tally['forged']} deliveries were not genuine to the {receiver.name}")
        failed = await hub.client.get(
            f"/api/v1/webhooks/{self.healthy.webhook_id}/deliveries", params={"state": "failed"}
        )
        if failed.json()["data"]:
            self.report.violations.append("deliveries to the healthy receiver were given up")


def _as_sent(event: dict[str, Any]) -> dict[str, Any]:
    """An event of the log as a delivery tells it: without who did it."""
    return {name: event[name] for name in ("event", "timestamp", "data", "cursor")}


def _resident_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
