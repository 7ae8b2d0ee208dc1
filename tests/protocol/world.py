"""A hub, a device and the wire between them, each able to fail at any point, driving the real protocol code.

What the two programs decide comes from `hub.protocol`; what is here is the least they need around it: rows that survive
a crash of the hub, a journal that survives a crash of the agent, and a machine that can lose power. `Truth` is the
independent model: a plain log of what physically happened and of what the operator was told, kept by the world itself
and never read by either program. The promises are checked against it alone.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from hub.protocol.journal import in_time, on_cancel, on_command, reconcile, recover
from hub.protocol.messages import (
    Ack,
    AgentInfo,
    Cancel,
    Command,
    Delivery,
    ErrorInfo,
    Hello,
    JournalEntry,
    PlayerInfo,
    Result,
    ResultOk,
    Welcome,
)
from hub.protocol.session import Binary, Close, HubSession, Ping, PlayerSession, Text
from hub.protocol.times import read_time, write_time

CATALOGUE: dict[str, Delivery] = {
    "reboot": "once",  # the act kills the agent; proven by the boot id
    "restart_player": "once",  # the act leaves the agent alive; proven by the pid
    "custom:print": "once",  # nothing proves it
    "set_volume": "idempotent",
    "take_screenshot": "safe",
}

PING, PONG = object(), object()


class Truth:
    """What really happened. `boots` and `pids` say at which moment (a running count) each came into being."""

    def __init__(self) -> None:
        self.moment = 0
        self.acts: Counter[str] = Counter()
        self.started: dict[str, int] = {}  # id -> moment at which the device first set out to do it
        self.lag = 0.0  # how long the last welcome was under way: the device's idea of the time is behind by that
        self.late: set[str] = set()  # started after their deadline, beyond the lag
        self.done: dict[str, list[dict[str, Any]]] = {}  # id -> outputs of acts that ran to completion
        self.boots: dict[str, int] = {"boot-0": 0}
        self.pids: dict[int, int] = {100: 0}
        self.outcomes: dict[str, Result] = {}  # id -> the one outcome that the device wrote down
        self.told: dict[str, list[tuple[str, Result | None]]] = {}  # id -> final states shown to the operator, in order

    def tick(self) -> int:
        self.moment += 1
        return self.moment


@dataclass
class Wire:
    """One connection. A cut end neither sends nor receives; what is under way to the other end may still arrive."""

    hub: HubSession | None
    player: PlayerSession | None
    up: deque[Any] = field(default_factory=deque)
    down: deque[Any] = field(default_factory=deque)
    welcomed_at: float = 0.0


@dataclass
class Row:
    """The hub's durable word on a command."""

    command: str
    expires_at: int
    state: str = "queued"
    wants_cancel: bool = False
    result: Result | None = None


@dataclass
class Entry:
    """The device's durable word on a command."""

    command: str
    expires_at: int
    state: str = "accepted"
    result: Result | None = None
    boot_before: str | None = None
    pid_before: int | None = None

    def as_journal(self, id: str) -> JournalEntry:
        return JournalEntry(id=id, state=self.state, result=self.result)  # type: ignore[arg-type]


class World:
    def __init__(self) -> None:
        self.now = 1_000.0  # seconds; the hub's wall clock and everybody's monotonic clock
        self.truth = Truth()
        # the hub
        self.rows: dict[str, Row] = {}
        self.epoch = 0
        self.current: Wire | None = None  # the connection the hub counts as the player's
        # the device
        self.journal: dict[str, Entry] = {}
        self.confirmed: set[str] = set()
        self.boot_id, self.pid = "boot-0", 100
        self.disk_full = False
        # the agent's memory, gone when it dies
        self.agent_up = True
        self.hangs_up_when_full = False
        self.link: Wire | None = None
        self.running: set[str] = set()
        self.acted: dict[str, dict[str, Any]] = {}
        self.unwritten: dict[str, Result] = {}  # outcomes that the disk has refused
        self.waiting: set[str] = set()  # left by the last run, undecided until a welcome gives the time
        self.welcome_at: tuple[int, float] | None = None
        # both
        self.wires: list[Wire] = []

    # The operator

    def order(self, command: str, ttl_s: int) -> str:
        id = f"c{len(self.rows)}"
        self.rows[id] = Row(command, int((self.now + ttl_s) * 1000))
        self.drain_queue()
        return id

    def cancel(self, id: str) -> None:
        row = self.rows[id]
        if row.state == "queued":
            self.settle_row(id, "cancelled", None)
        elif row.state in ("sent", "acked"):
            row.wants_cancel = True
            if self.current and self.current.hub:
                self.current.hub.cancel(id)
        self.flush()

    # The hub

    def move(self, id: str, state: str) -> None:
        row = self.rows[id]
        assert not (state == "queued" and row.state != "sent"), f"{id} went from {row.state} back to the queue"
        row.state = state

    def settle_row(self, id: str, state: str, result: Result | None) -> None:
        self.move(id, state)
        self.rows[id].result = result
        self.truth.told.setdefault(id, []).append((state, result))

    def drain_queue(self) -> None:
        session = self.current.hub if self.current else None
        if session is None:
            return
        for id, row in self.rows.items():
            if row.state == "queued" and session.room:
                self.move(id, "sent")
                session.command(
                    Command(
                        id=id,
                        command=row.command,
                        payload={},
                        delivery=CATALOGUE[row.command],
                        expires_at=write_time(row.expires_at),
                    ),
                    self.now,
                )
        self.flush()

    def sweep_deadlines(self) -> None:
        for id, row in self.rows.items():
            if row.state in ("queued", "sent") and row.expires_at < self.now * 1000:
                was = row.state
                self.settle_row(id, "expired", None)
                if was == "sent" and self.current and self.current.hub:
                    self.current.hub.cancel(id)
        self.flush()

    def record(self, result: Result) -> None:
        row = self.rows[result.id]
        if row.result is None:
            self.settle_row(result.id, result.status, result)
        elif row.result != result:
            self.truth.told[result.id].append((result.status, result))

    def hub_hears(self, wire: Wire, event: Any) -> None:
        session = wire.hub
        assert session is not None
        match event:
            case Hello():
                if self.current and self.current is not wire and self.current.hub:
                    self.current.hub = None  # newest wins
                self.current = wire
                self.epoch += 1
                open_rows: dict[str, Any] = {
                    id: row.state for id, row in self.rows.items() if row.state in ("sent", "acked")
                }
                verdict = reconcile(open_rows, event.journal)
                for id in verdict.acked:
                    if self.rows[id].state in ("queued", "sent"):
                        self.move(id, "acked")
                for id in verdict.requeue:
                    self.move(id, "queued")
                    if self.rows[id].wants_cancel:
                        self.settle_row(id, "cancelled", None)
                for id in verdict.lost:
                    self.settle_row(id, "journal_lost", None)
                for result in verdict.results:
                    self.record(result)
                wire.welcomed_at = self.now
                session.welcome(
                    Welcome(
                        player_id=1,
                        name="Lobby",
                        session=f"s{self.epoch}",
                        epoch=self.epoch,
                        server_time=write_time(int(self.now * 1000)),
                        heartbeat_s=10,
                        telemetry_s=60,
                        screenshot_s=0,
                        chunk_bytes=65_536,
                        window=4,
                        settings={},
                        alerts=[],
                    )
                )
                for result in verdict.results:
                    session.confirm_result(result.id)
                for id, row in self.rows.items():
                    if row.wants_cancel and row.result is None and row.state in ("sent", "acked"):
                        session.cancel(id)
            case Ack():
                if self.rows[event.id].state in ("queued", "sent"):
                    self.move(event.id, "acked")
            case Result():
                self.record(event)
                session.confirm_result(event.id)

    def hub_dies(self) -> None:
        for wire in self.wires:
            wire.hub = None
        self.current = None

    # The device

    def connect(self) -> None:
        """The agent gives up its connection, if it has one, and opens another."""
        if not self.agent_up:
            return
        self.hang_up()
        hello = Hello(
            agent=AgentInfo(name="agent", version="1"),
            boot_id=self.boot_id,
            hardware_id="hw",
            clock="2001-01-01T00:00:00Z",  # wrong, and nobody may care
            capabilities=list(CATALOGUE),
            player=PlayerInfo(kind="simulated", version="1"),
            journal=[entry.as_journal(id) for id, entry in self.journal.items()],
        )
        self.link = Wire(HubSession(self.now), PlayerSession(hello, self.now))
        self.wires.append(self.link)
        self.flush()

    def hang_up(self) -> None:
        if self.link:
            self.link.player = None
            self.link.down.clear()
        self.link = None
        self.wires = [wire for wire in self.wires if wire.up or wire.hub or wire.player][-4:]

    def settle(self, result: Result) -> None:
        """Journal an outcome, then send it. What the disk refuses is not told; it stays in the agent's memory."""
        if self.disk_full:
            self.unwritten.setdefault(result.id, result)
            return
        self.unwritten.pop(result.id, None)
        entry = self.journal[result.id]
        entry.state, entry.result = "finished", result
        assert result.id not in self.truth.outcomes, "the device changed its mind"
        self.truth.outcomes[result.id] = result
        self.running.discard(result.id)
        self.acted.pop(result.id, None)
        self.waiting.discard(result.id)
        self.tell(result)

    def tell(self, result: Result) -> None:
        if self.link and self.link.player:
            self.link.player.result(result)

    def repeat(self, id: str) -> None:
        result = self.journal[id].result
        assert result is not None
        self.tell(result)

    def outcome(self, id: str, status: Any, code: str | None = None, detail: dict[str, Any] | None = None) -> Result:
        return Result(
            id=id,
            status=status,
            detail=detail,
            error=ErrorInfo(code=code, message=code) if code else None,
            finished_at="2001-01-01T00:00:00Z",
            boot_id=self.boot_id,
        )

    def still_in_time(self, expires_at: int) -> bool | None:
        if self.welcome_at is None:
            return None
        server_time, received = self.welcome_at
        return in_time(expires_at, server_time, received, self.now)

    def known(self, id: str) -> JournalEntry | None:
        entry = self.journal.get(id)
        return entry.as_journal(id) if entry else None

    def device_hears(self, event: Any) -> None:
        assert self.link is not None
        assert self.link.player is not None
        match event:
            case Welcome():
                self.welcome_at = (read_time(event.server_time), self.now)
                self.truth.lag = self.now - self.link.welcomed_at
                for id in list(self.waiting):
                    self.decide_left_over(id)
            case Command():
                expires_at = read_time(event.expires_at)
                timely = self.still_in_time(expires_at)
                assert timely is not None
                answer = on_command(self.known(event.id), confirmed=event.id in self.confirmed, in_time=timely)
                if answer in ("accept", "reject"):
                    if self.disk_full:  # no word of it; some agents end the connection
                        if self.hangs_up_when_full:
                            self.hang_up()
                        return
                    self.journal[event.id] = Entry(event.command, expires_at)
                if answer in ("accept", "ack"):
                    self.link.player.ack(event.id)
                elif answer == "reject":
                    self.settle(self.outcome(event.id, "rejected", "expired"))
                elif answer == "result":
                    self.repeat(event.id)
            case Cancel():
                verdict = on_cancel(self.known(event.id), confirmed=event.id in self.confirmed)
                if verdict == "settle" and not self.disk_full and event.id not in self.unwritten:
                    self.journal.setdefault(event.id, Entry("unknown", 0))
                    self.settle(self.outcome(event.id, "cancelled"))
                elif verdict == "result":
                    self.repeat(event.id)
            case ResultOk():
                if event.id in self.journal and self.journal[event.id].state == "finished" and not self.disk_full:
                    del self.journal[event.id]
                    self.confirmed.add(event.id)

    def start(self) -> None:
        """Journal everything that may start now as running, with what must change if it happens."""
        for id in self.next_in_order() if self.agent_up and not self.disk_full else []:
            entry = self.journal[id]
            timely = self.still_in_time(entry.expires_at)
            if id in self.waiting or id in self.unwritten or timely is None:
                continue
            if not timely:  # a run that a crash broke off may have done something already
                broken_off = entry.state == "running"
                self.settle(self.outcome(id, *(("failed", "interrupted") if broken_off else ("rejected", "expired"))))
                continue
            entry.state, entry.boot_before, entry.pid_before = "running", self.boot_id, self.pid
            self.running.add(id)
            self.truth.started.setdefault(id, self.truth.tick())
            if (self.now - self.truth.lag) * 1000 > self.rows[id].expires_at:
                self.truth.late.add(id)
        self.flush()

    def next_in_order(self) -> list[str]:
        """One kind runs in order; a `once` command waits for all earlier ones and holds back all later ones."""
        ready: list[str] = []
        busy: set[str] = set()
        for id, entry in self.journal.items():
            if entry.state == "finished":
                continue
            once = CATALOGUE[entry.command] == "once"
            if (once and busy) or "once" in busy:
                break
            if id not in self.running and entry.command not in busy:
                ready.append(id)
            busy |= {entry.command, "once"} if once else {entry.command}
        return ready

    def act(self, id: str) -> None:
        """The thing itself; for a reboot, nothing of the agent's memory survives it."""
        if id not in self.running or id in self.acted:
            return
        self.truth.acts[id] += 1
        entry = self.journal[id]
        if entry.command == "reboot":
            self.lose_power()
        elif entry.command == "restart_player":
            self.acted[id] = {"pid_before": self.pid, "pid_after": self.new_pid()}
        else:
            output = {"output": self.truth.tick()}
            self.truth.done.setdefault(id, []).append(output)
            self.acted[id] = output

    def new_pid(self) -> int:
        self.pid += 1
        self.truth.pids[self.pid] = self.truth.tick()
        return self.pid

    def finish(self, id: str) -> None:
        if id in self.acted:
            self.settle(self.outcome(id, "succeeded", detail=self.acted[id]))
        self.flush()

    def lose_power(self) -> None:
        self.boot_id = f"boot-{len(self.truth.boots)}"
        self.truth.boots[self.boot_id] = self.truth.tick()
        self.new_pid()
        self.agent_dies()

    def agent_dies(self) -> None:
        self.hang_up()
        self.agent_up = False
        self.running, self.acted, self.waiting, self.welcome_at = set(), {}, set(), None
        self.unwritten = {}

    def agent_starts(self) -> None:
        if self.agent_up:
            return
        self.agent_up = True
        for id, entry in list(self.journal.items()):
            if entry.state != "finished":
                self.decide_left_over(id)

    def decide_left_over(self, id: str) -> None:
        entry = self.journal[id]
        evidence = None
        if entry.command == "reboot" and entry.boot_before not in (None, self.boot_id):
            evidence = {"boot_id_before": entry.boot_before, "boot_id_after": self.boot_id}
        if entry.command == "restart_player" and entry.pid_before not in (None, self.pid):
            evidence = {"pid_before": entry.pid_before, "pid_after": self.pid}
        decision = recover(
            entry.as_journal(id),
            CATALOGUE[entry.command],
            self.still_in_time(entry.expires_at),
            evidence,
            finished_at="2001-01-01T00:00:00Z",
            boot_id=self.boot_id,
        )
        if isinstance(decision, Result):
            self.settle(decision)
        elif decision == "wait":
            self.waiting.add(id)
        else:
            self.waiting.discard(id)

    def disk_has_room(self) -> None:
        """The agent writes again what was refused."""
        self.disk_full = False
        for result in list(self.unwritten.values()):
            self.settle(result)
        self.flush()

    # The wire

    def flush(self) -> None:
        """Put what the sessions want to say on their wires."""
        for wire in self.wires:
            for session, frames in ((wire.hub, wire.down), (wire.player, wire.up)):
                for output in session.take_output() if session else []:
                    match output:
                        case Text(text):
                            frames.append(text)
                        case Ping():
                            frames.append(PING)
                        case Close():
                            frames.append(None)
                        case Binary():
                            raise AssertionError("no uploads here")

    def deliver(self, wire: Wire, up: bool) -> None:
        """The next frame of one direction arrives, if anybody is still there."""
        frames = wire.up if up else wire.down
        if not frames:
            return
        frame = frames.popleft()
        session: HubSession | PlayerSession | None = wire.hub if up else wire.player
        if session is None:
            return
        if frame is None or session.closed:
            self.end(wire, up)
            return
        if frame is PING or frame is PONG:
            events: list[Any] = list(session.receive_life(self.now))
            if frame is PING:
                (wire.down if up else wire.up).append(PONG)
        else:
            events = list(session.receive_text(frame, self.now))
        for event in events:
            if up:
                self.hub_hears(wire, event)
            else:
                self.device_hears(event)
        if up:
            self.drain_queue()
        self.flush()

    def end(self, wire: Wire, at_hub: bool) -> None:
        if not at_hub:
            self.hang_up()
        else:
            wire.hub = None
            if self.current is wire:
                self.current = None

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for wire in list(self.wires):
            if wire.hub:
                wire.hub.tick(self.now)
                if wire.hub.closed:
                    self.end(wire, at_hub=True)
            if wire.player:
                wire.player.tick(self.now)
                if wire.player.closed:
                    self.end(wire, at_hub=False)
        self.sweep_deadlines()

    def frames_flow(self) -> None:
        """Until nothing is under way."""
        while any(wire.up or wire.down for wire in self.wires):
            for wire in list(self.wires):
                self.deliver(wire, up=True)
                self.deliver(wire, up=False)

    # Peace

    def come_to_rest(self) -> None:
        """No more faults: everybody starts, connects anew, and works until nothing moves."""
        self.hang_up()
        self.disk_has_room()
        for _ in range(50):
            self.agent_starts()
            if self.link is None or self.link.hub is None or self.link is not self.wires[-1]:
                self.connect()
            self.frames_flow()
            self.start()
            for id in list(self.running):
                self.act(id)
                self.finish(id)
            self.pass_time(1)
            settled = all(row.state not in ("queued", "sent", "acked") for row in self.rows.values())
            if self.agent_up and settled and not self.journal and not any(wire.up or wire.down for wire in self.wires):
                return
        raise AssertionError(f"never came to rest: {self.rows} {self.journal}")
