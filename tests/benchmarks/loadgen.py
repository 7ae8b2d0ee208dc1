"""The load generator: a process of its own that is a fleet of players and their operators.

It reads one JSON line an order (`{"op": NAME, ...}`) and writes one JSON line an answer, in the order in which they
end. Every answer has `cpu_s` and `wall_s` of this process, so that a report can show that it was not the bottleneck.
"""

import asyncio
import hashlib
import os
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tests.benchmarks import picture, wire
from tests.benchmarks.client import connect_http
from tests.benchmarks.ears import listen

CHUNK = 65_536
WINDOW = 4 * CHUNK
CONNECT_LIMIT_S = 180.0  # for a whole fleet
RETURN_S = 1.0  # after a refusal; the shortest time a hub asks for
ROUND_LIMIT_S = 30.0  # for one command, whatever the disk does

Answer = dict[str, Any]


class Player(asyncio.Protocol):
    """One player's socket."""

    __slots__ = ("fleet", "player_id", "rest", "sending", "token", "transport", "upgraded", "uploads")

    def __init__(self, fleet: "Fleet", player_id: int, token: str) -> None:
        self.fleet = fleet
        self.player_id = player_id
        self.token = token
        self.rest = b""
        self.upgraded = False
        self.sending: Upload | None = None
        self.uploads = 0  # announced on this connection: each has its own number
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(wire.upgrade(self.token))

    def connection_lost(self, exc: Exception | None) -> None:
        self.fleet.lost(self, exc)

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        if not self.upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self.rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.fleet.refused(self, head.partition(b"\r\n")[0])
                self.transport.abort()
                return
            self.upgraded = True
            self.transport.write(wire.hello(self.player_id))
        offset, size = 0, len(data)
        while size - offset >= 2:
            length, start = data[offset + 1], offset + 2
            if length == 126:
                start += 2
                length = int.from_bytes(data[offset + 2 : start], "big")
            elif length == 127:
                start += 8
                length = int.from_bytes(data[offset + 2 : start], "big")
            end = start + length
            if end > size:
                break
            opcode = data[offset] & 15
            if opcode == wire.TEXT:
                self.text(data[start:end])
            elif opcode == wire.PING:
                self.fleet.pings += 1
                self.transport.write(wire.masked(data[start:end], wire.PONG))
            elif opcode == wire.CLOSE:
                code = int.from_bytes(data[start : start + 2], "big")
                self.fleet.errors.append(f"player {self.player_id} was sent away: {code} {data[start + 2 : end]!r}")
            offset = end
        self.rest = data[offset:] if offset < size else b""

    def text(self, message: bytes) -> None:
        fleet = self.fleet
        if message.startswith(b'{"type":"command"'):
            fleet.commanded(self, wire.field(message, b"id"))
        elif message.startswith(b'{"type":"result_ok"'):
            fleet.confirmed()
        elif message.startswith(b'{"type":"welcome"'):
            fleet.welcome(self)
        elif message.startswith(b'{"type":"upload') and self.sending is not None:
            self.sending.heard(message)
        elif message.startswith(b'{"type":"error"'):
            fleet.errors.append(message.decode())


class Upload:
    """A player that sends one screenshot after the other, each chunk when window and link allow it."""

    def __init__(self, player: Player, screenshot: bytes, bits_per_s: int) -> None:
        self.player = player
        self.screenshot = screenshot
        self.interval = CHUNK * 8 / bits_per_s
        self.number = 0
        self.ended = asyncio.Event()
        self.done = 0
        self.failed: list[str] = []
        self.data = b""
        self.offset = self.credit = 0
        self.free_at = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.stopped = False

    def start(self) -> None:
        self.player.uploads += 1
        self.number = self.player.uploads
        self.data = picture.distinct(self.screenshot, f"{self.player.player_id}/{self.number}/{time.time_ns()}")
        self.offset = self.credit = 0
        announced = {
            "type": "upload",
            "upload": self.number,
            "kind": "screenshot",
            "mime": "image/png",
            "size": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "captured_at": "2026-01-01T00:00:00Z",
            "source": "simulated",
        }
        self.player.transport.write(wire.masked(orjson.dumps(announced)))

    def heard(self, message: bytes) -> None:
        if message.startswith(b'{"type":"upload_done"'):
            self.done += 1
            if self.stopped:
                self.ended.set()
            else:
                self.start()
        elif message.startswith(b'{"type":"upload_failed"'):
            self.failed.append(message.decode())
            self.ended.set()
        else:
            self.credit = wire.number(message, b"received")
            self.push()

    def push(self) -> None:
        """Send what may be sent now; a timer brings us back when the link is free again."""
        if self.timer is not None:
            return
        now = time.monotonic()
        while self.offset < len(self.data) and self.offset - self.credit < WINDOW:
            if self.free_at > now:
                self.timer = asyncio.get_running_loop().call_later(self.free_at - now, self.resume)
                return
            self.free_at = max(self.free_at, now - self.interval) + self.interval
            data = self.data[self.offset : self.offset + CHUNK]
            head = self.number.to_bytes(4, "big") + self.offset.to_bytes(8, "big")
            self.player.transport.write(wire.masked(head + data, wire.BINARY))
            self.offset += len(data)

    def resume(self) -> None:
        self.timer = None
        self.push()

    async def stop(self) -> None:
        """Finish the one under way, and begin no other."""
        self.stopped = True
        await self.ended.wait()


class Fleet:
    """All players of this process, and what they do with a command."""

    def __init__(self, port: int, players: list[tuple[int, str]]) -> None:
        self.port = port
        self.players = players
        self.connected: dict[int, Player] = {}
        self.errors: deque[str] = deque(maxlen=20)
        self.refusals = 0
        self.losses = 0
        self.pings = 0
        self.on_command: Callable[[Player, bytes], None] | None = None
        self.on_confirmed: Callable[[], None] | None = None
        self._welcomed: Callable[[], None] | None = None
        self._opening: set[asyncio.Task[Any]] = set()

    def commanded(self, player: Player, command_id: bytes) -> None:
        if self.on_command is not None:
            self.on_command(player, command_id)

    def confirmed(self) -> None:
        if self.on_confirmed is not None:
            self.on_confirmed()

    def welcome(self, player: Player) -> None:
        self.connected[player.player_id] = player
        if self._welcomed is not None:
            self._welcomed()

    def lost(self, player: Player, reason: Exception | None) -> None:
        if self.connected.get(player.player_id) is player:
            del self.connected[player.player_id]
            self.losses += 1
            self.errors.append(f"player {player.player_id} lost its connection: {reason}")

    def refused(self, player: Player, status: bytes) -> None:
        """Told to come back later, so it does."""
        self.refusals += 1
        self.errors.append(f"player {player.player_id} was refused: {status.decode(errors='replace')}")
        again = Player(self, player.player_id, player.token)
        asyncio.get_running_loop().call_later(RETURN_S, self._open, again)

    def _open(self, player: Player) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_connection(lambda: player, "127.0.0.1", self.port))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def connect(self, count: int, at_once: int) -> int:
        """Let the first `count` players in, at most `at_once` on their way. Raises TimeoutError when not all were
        welcomed in time."""
        waiting = deque(one for one in self.players[:count] if one[0] not in self.connected)
        wanted = len(waiting)
        room = asyncio.Semaphore(at_once)
        all_in = asyncio.Event()
        arrived = 0

        def welcomed() -> None:
            nonlocal arrived
            arrived += 1
            room.release()
            if arrived == wanted:
                all_in.set()

        self._welcomed = welcomed
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                while waiting:
                    await room.acquire()
                    player_id, token = waiting.popleft()
                    self._open(Player(self, player_id, token))
                await all_in.wait()
        finally:
            self._welcomed = None
        return arrived

    def drop(self) -> None:
        """Every socket is reset, as when a switch loses power."""
        gone, self.connected = self.connected, {}
        for player in gone.values():
            player.transport.abort()


class LoadGenerator:
    def __init__(self, port: int, key: str, players: list[tuple[int, str]]) -> None:
        self.port = port
        self.key = key
        self.fleet = Fleet(port, players)
        self.stop = asyncio.Event()

    async def connect(self, count: int, at_once: int = 200) -> Answer:
        """Open sockets until `count` players are welcomed."""
        started = time.perf_counter()
        arrived = await self.fleet.connect(count, at_once)
        return {"welcomed": arrived, "refused": self.fleet.refusals, "seconds": time.perf_counter() - started}

    async def reconnect(self, at_once: int = 200) -> Answer:
        """All players lose their sockets at once and come back."""
        count = len(self.fleet.connected)
        started = time.perf_counter()
        self.fleet.drop()
        arrived = await self.fleet.connect(count, at_once)
        return {"welcomed": arrived, "seconds": time.perf_counter() - started}

    async def leave(self) -> Answer:
        """All players lose their sockets, and stay away."""
        count = len(self.fleet.connected)
        self.fleet.drop()
        return {"left": count}

    async def hold(self, seconds: float) -> Answer:
        """Do nothing but answer pings."""
        pings, losses = self.fleet.pings, self.fleet.losses
        await asyncio.sleep(seconds)
        return {"pings": self.fleet.pings - pings, "losses": self.fleet.losses - losses}

    async def rounds(self, count: int, targets: int, wait: bool = False) -> Answer:
        """One command after the other, to `targets` players in turn. A round begins with the POST; times in seconds:
        `sent` until the command is at the device, `durable` until the device is told that its result is stored,
        `answered` until the operator has the answer (with `wait`: the one with the outcome)."""
        http = await connect_http(self.port)
        began = time.perf_counter()
        times: dict[str, list[float]] = {"sent": [], "durable": [], "answered": []}
        loop = asyncio.get_running_loop()
        started = 0.0
        confirmed: asyncio.Future[float] = loop.create_future()

        def on_command(player: Player, command_id: bytes) -> None:
            times["sent"].append(time.perf_counter() - started)
            player.transport.write(wire.ack(command_id) + wire.identified(command_id))

        def on_confirmed() -> None:
            if not confirmed.done():
                confirmed.set_result(time.perf_counter())

        self.fleet.on_command, self.fleet.on_confirmed = on_command, on_confirmed
        prefer = {"Prefer": "wait=10"} if wait else {}
        bodies = [
            {"player_id": player_id, "command": "identify", "payload": {"seconds": 10}}
            for player_id, _ in self.fleet.players[:targets]
        ]
        requests = [wire.request("POST", "/api/v1/commands", self.key, body, **prefer) for body in bodies]
        failures = 0
        for number in range(count):
            confirmed = loop.create_future()
            started = time.perf_counter()
            async with asyncio.timeout(ROUND_LIMIT_S):
                status, _ = await http.ask(requests[number % targets])
                answered = time.perf_counter()
                if status not in (200, 202):
                    failures += 1
                    continue
                times["answered"].append(answered - started)
                times["durable"].append(await confirmed - started)
        http.close()
        self.fleet.on_command = self.fleet.on_confirmed = None
        seconds = time.perf_counter() - began
        return {"failures": failures, "seconds": seconds} | {name: summary(values) for name, values in times.items()}

    async def fan_out(self, group_id: int, count: int, database: str | None) -> Answer:
        """One command to the whole group; ends when all `count` acks are stored. With `database` that is read from the
        hub's file, which costs the hub nothing; without, the server answers the POST only then."""
        http = await connect_http(self.port)
        received = 0
        all_acked = asyncio.Event()

        def on_command(player: Player, command_id: bytes) -> None:
            nonlocal received
            player.transport.write(wire.ack(command_id))
            received += 1
            if received == count:
                all_acked.set()

        self.fleet.on_command = on_command
        body = {"group_id": group_id, "command": "reload_content", "payload": {}}
        started = time.perf_counter()
        async with asyncio.timeout(60):
            status, answer = await http.ask(wire.request("POST", "/api/v1/batches", self.key, body))
            posted = time.perf_counter()
            if status != 202:
                raise RuntimeError(f"the batch was refused: {status} {answer[:200]!r}")
            await all_acked.wait()
            received_all = time.perf_counter()
            if database is not None:
                await _until_acked(database, orjson.loads(answer)["batch_id"], count)
        ended = time.perf_counter()
        http.close()
        self.fleet.on_command = None
        return {"posted_s": posted - started, "received_s": received_all - started, "seconds": ended - started}

    async def inserts(self, clients: int, seconds: float) -> Answer:
        """POST commands for players that are not connected, `clients` at once, each on its own connection."""
        requests = [
            wire.request(
                "POST",
                "/api/v1/commands",
                self.key,
                {"player_id": player_id, "command": "identify", "payload": {"seconds": 10}, "ttl_s": 86_400},
            )
            for player_id, _ in self.fleet.players
            if player_id not in self.fleet.connected
        ]
        times: list[float] = []
        failures = 0

        async def client(number: int) -> None:
            nonlocal failures
            http = await connect_http(self.port)
            turn = number
            while (started := time.perf_counter()) < until:
                status, _ = await http.ask(requests[turn % len(requests)])
                times.append(time.perf_counter() - started)
                failures += status != 202
                turn += clients
            http.close()

        began = time.perf_counter()
        until = began + seconds
        async with asyncio.timeout(seconds + 60):
            await asyncio.gather(*(client(number) for number in range(clients)))
        took = time.perf_counter() - began
        return {"failures": failures, "per_s": len(times) / took, "times": summary(times)}

    async def probe(self, path: str, interval_s: float) -> Answer:
        """Ask for `path` at a fixed pace until told to stop; an answer that is late holds back the next question, so
        the longest one is also the longest silence."""
        http = await connect_http(self.port)
        question = wire.request("GET", path, self.key)
        times: list[float] = []
        self.stop.clear()
        while not self.stop.is_set():
            started = time.perf_counter()
            status, _ = await http.ask(question)
            times.append(time.perf_counter() - started)
            if status != 200:
                raise RuntimeError(f"{path} answered {status}")
            try:
                await asyncio.wait_for(self.stop.wait(), max(0.0, interval_s - times[-1]))
            except TimeoutError:
                pass
        http.close()
        return {"path": path, "times": summary(times)}

    async def upload(self, players: int, size: int, bits_per_s: int) -> Answer:
        """The last `players` connected ones send screenshots of about `size` bytes until told to stop."""
        screenshot = picture.screenshot(size)
        senders = [Upload(player, screenshot, bits_per_s) for player in list(self.fleet.connected.values())[-players:]]
        self.stop.clear()
        started = time.perf_counter()
        for sender in senders:
            sender.player.sending = sender
            sender.start()
        await self.stop.wait()
        async with asyncio.timeout(ROUND_LIMIT_S):
            await asyncio.gather(*(sender.stop() for sender in senders))
        failed = [text for sender in senders for text in sender.failed]
        self.fleet.errors.extend(failed)
        return {
            "seconds": time.perf_counter() - started,
            "stored": sum(sender.done for sender in senders),
            "bytes_each": len(screenshot),
            "failures": len(failed),
        }

    async def deaths(self, count: int, per_s: float, grace_s: float) -> Answer:
        """`count` connected players lose their sockets, one after the other, `per_s` a second. Times from each loss to
        the moment at which the webhook that says so has arrived here whole, without the grace that the player had."""
        ears = await listen()
        http = await connect_http(self.port)
        wanted = {"url": f"http://127.0.0.1:{ears.port}/", "events": ["player.offline"]}
        status, answer = await http.ask(wire.request("POST", "/api/v1/webhooks", self.key, wanted))
        http.close()
        if status not in (201, 202):
            raise RuntimeError(f"the webhook was refused: {status} {answer[:200]!r}")
        lost: dict[int, float] = {}
        for player_id, player in list(self.fleet.connected.items())[:count]:
            del self.fleet.connected[player_id]
            lost[player_id] = time.perf_counter()
            player.transport.abort()
            await asyncio.sleep(1 / per_s)
        async with asyncio.timeout(ROUND_LIMIT_S):
            arrived = [(await ears.heard.get()) for _ in lost]
        ears.close()
        return {"times": summary([at - lost[player_id] - grace_s for player_id, at in arrived])}

    async def run(self, order: dict[str, Any]) -> Answer:
        name = str(order.pop("op"))
        cpu, wall = time.process_time(), time.perf_counter()
        answer: Answer
        try:
            answer = await getattr(self, name)(**order)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}", "seen": list(self.fleet.errors)}
        times = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        return {"op": name, "seen": list(self.fleet.errors)} | answer | times


async def _until_acked(database: str, batch_id: str, count: int) -> None:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    query = "SELECT COUNT(*) FROM command WHERE batch_id = ? AND state = 'acked'"
    try:
        while connection.execute(query, (batch_id,)).fetchone()[0] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # a file tells nobody that it has changed
    finally:
        connection.close()


def summary(values: list[float]) -> dict[str, float]:
    """Percentiles, in seconds."""
    if not values:
        return {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": ordered[round(last * 0.5)],
        "p99": ordered[round(last * 0.99)],
        "max": ordered[-1],
    }


async def main(folder: Path) -> None:
    """`folder/fleet.json` says whom to speak to: port, key, players."""
    about = orjson.loads((folder / "fleet.json").read_bytes())
    generator = LoadGenerator(about["port"], about["key"], [tuple(one) for one in about["players"]])
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()

    async def obey(order: dict[str, Any]) -> None:
        answer = await generator.run(order)
        os.write(1, orjson.dumps(answer) + b"\n")

    while line := await orders.readline():
        order = orjson.loads(line)
        if order["op"] == "stop":
            generator.stop.set()
            continue
        task = asyncio.create_task(obey(order))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
