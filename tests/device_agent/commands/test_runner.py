"""The rules of taking and running commands, with a real journal on disk; what the commands do is the test's."""

import asyncio
import contextlib
from collections import defaultdict

import pytest

from device_agent.commands.action import Action, Failed, Rejected
from device_agent.commands.runner import Runner
from device_agent.connection.hub_clock import HubClock
from device_agent.journal import Entry, Journal
from device_agent.players.base import PlayerError
from device_agent.system.base import Rebooted
from hub.protocol.messages import Cancel, Command, Result, ResultOk
from hub.protocol.times import write_time
from tests.waiting import PATIENCE_S

NOW = 1_800_000_000_000  # the hub's clock at the welcome, Unix ms


class Bench:
    """One life of a runner. Commands named in `gates` start, then wait until their gate opens."""

    def __init__(self, journal: Journal, ran: list[str]) -> None:
        self.journal = journal
        self.ran = ran  # ids, in the order in which they started; outlives the runner, as the world does
        self.acks: list[str] = []
        self.results: asyncio.Queue[Result] = asyncio.Queue()
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.rested = asyncio.Event()
        self.gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.mono = 0.0
        self.clock = HubClock(lambda: self.mono)
        self.actions = {
            "quick": Action(self.quick),
            "other": Action(self.quick),
            "slow": Action(self.slow),
            "lane-a": Action(self.slow, lane="shared"),
            "lane-b": Action(self.quick, lane="shared"),
            "forced": Action(self.slow, delivery="idempotent"),
            "once": Action(self.slow, see=self.see, settle=self.settle),
            "blind": Action(self.slow),
            "sick": Action(self.sick),
        }
        self.runner = Runner(
            "p", journal, self.actions, self, self.clock, boot_id=lambda: "boot", device_now=lambda: 5, sleep=self.rest
        )
        self.proof: dict | None = None
        self.fault: Exception = Failed("broken", "It broke.", {"left": 1})

    # what commands do

    async def quick(self, call):
        self.ran.append(call.id)
        self.started.put_nowait(call.id)
        return {"did": call.id}

    async def slow(self, call):
        self.ran.append(call.id)
        self.started.put_nowait(call.id)
        await self.gates[call.id].wait()
        return {"seen": dict(call.seen)}

    async def see(self):
        return {"before": 1}

    async def settle(self, seen):
        assert seen == {"before": 1}
        return self.proof

    async def sick(self, call):
        raise self.fault

    async def rest(self, seconds):
        self.rested.set()
        await asyncio.sleep(0)

    # the outlet

    def ack(self, id):
        self.acks.append(id)

    def result(self, result):
        self.results.put_nowait(result)

    # the hub

    async def send(self, id, command="quick", delivery="safe", in_s=60, **payload):
        expires_at = write_time(NOW + round(in_s * 1000))
        await self.runner.put(
            Command(id=id, command=command, payload=payload, delivery=delivery, expires_at=expires_at)
        )

    async def outcome(self, id=None):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                result = await self.results.get()
                if id is None or result.id == id:
                    return result

    async def start_of(self, id):
        async with asyncio.timeout(PATIENCE_S):
            while await self.started.get() != id:
                pass


@pytest.fixture
def ran():
    return []


@pytest.fixture
def life(tmp_path, ran):
    """`async with life() as bench`: a process with a runner; leaving it kills whatever runs."""

    @contextlib.asynccontextmanager
    async def begin(*, welcomed=True, proof=None):
        journal = Journal(tmp_path / "journal.db")
        await journal.open()
        bench = Bench(journal, ran)
        bench.proof = proof
        await bench.runner.recover()
        bench.task = task = asyncio.create_task(bench.runner.run())
        if welcomed:
            bench.clock.set(NOW)
        try:
            yield bench
        finally:
            task.cancel()
            bench.end = (await asyncio.gather(task, return_exceptions=True))[0]
            await journal.close()

    return begin


async def test_a_known_id_never_runs_again_and_is_answered_from_the_journal(life, ran):
    async with life() as bench:
        await bench.send("c1")
        first = await bench.outcome()
        await bench.send("c1")
        assert await bench.outcome() == first
    async with life() as bench:
        await bench.send("c1")
        assert await bench.outcome() == first
        await bench.runner.put(ResultOk(id="c1"))
        await bench.send("c2")
        await bench.outcome("c2")
        await bench.send("c1")  # a hub restored from a backup
        await bench.send("c3")
        await bench.outcome("c3")
        assert bench.results.empty()
    assert ran == ["c1", "c2", "c3"]


async def test_a_command_underway_is_acked_again_and_not_run_again(life, ran):
    async with life() as bench:
        await bench.send("c1", "slow")
        await bench.start_of("c1")
        await bench.send("c1", "slow")
        await bench.send("c2")
        await bench.outcome("c2")
        assert bench.acks == ["c1", "c1", "c2"]
        bench.gates["c1"].set()
        await bench.outcome("c1")
    assert ran == ["c1", "c2"]


async def test_twins_in_one_breath_are_one_command(life, ran):
    async with life() as bench:
        await asyncio.gather(bench.send("c1"), bench.send("c1"), bench.send("c2"))
        await bench.outcome("c2")
    assert sorted(ran) == ["c1", "c2"]


async def test_the_ack_comes_after_the_journal(tmp_path, ran):
    steps = []
    journal = Journal(tmp_path / "journal.db", probe=steps.append)
    await journal.open()
    bench = Bench(journal, ran)
    bench.clock.set(NOW)
    bench.ack = lambda id: steps.append("ack")
    task = asyncio.create_task(bench.runner.run())
    await bench.send("c1")
    await bench.outcome()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await journal.close()
    assert steps == [
        "before journal accepted",
        "after journal accepted",
        "ack",
        "before journal running",
        "after journal running",
        "before journal finished",
        "after journal finished",
    ]


async def test_commands_of_one_kind_run_in_order_and_others_do_not_wait(life, ran):
    async with life() as bench:
        await bench.send("c1", "slow")
        await bench.send("c2", "slow")
        await bench.send("c3", "quick")
        await bench.outcome("c3")
        assert ran == ["c1", "c3"]
        bench.gates["c1"].set()
        await bench.start_of("c2")


async def test_commands_that_share_a_lane_run_in_order(life, ran):
    async with life() as bench:
        await bench.send("c1", "lane-a")
        await bench.send("c2", "lane-b")
        await bench.send("c3", "quick")
        await bench.outcome("c3")
        assert ran == ["c1", "c3"]
        bench.gates["c1"].set()
        await bench.outcome("c2")


async def test_a_once_command_waits_for_all_before_it_and_holds_back_all_after_it(life, ran):
    async with life() as bench:
        await bench.send("c1", "slow")
        await bench.send("c2", "once", "once")
        await bench.send("c3", "quick")
        await bench.start_of("c1")
        bench.gates["c1"].set()
        await bench.start_of("c2")
        assert ran == ["c1", "c2"]
        bench.gates["c2"].set()
        assert (await bench.outcome("c2")).detail == {"seen": {"before": 1}}
        await bench.outcome("c3")
    assert ran == ["c1", "c2", "c3"]


async def test_nothing_starts_after_its_deadline_by_the_clock_of_the_hub(life, ran):
    async with life() as bench:
        await bench.send("c1", in_s=-1)
        late = await bench.outcome()
        assert (late.status, late.error.code) == ("rejected", "expired")
        await bench.send("c2", "slow")
        await bench.send("c3", "slow", in_s=5)
        await bench.start_of("c2")
        bench.mono = 6.0
        bench.gates["c2"].set()
        assert (await bench.outcome("c2")).status == "succeeded"
        late = await bench.outcome("c3")
        assert (late.status, late.error.code) == ("rejected", "expired")
    assert ran == ["c2"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Rejected("invalid_payload", "no"), "rejected", "invalid_payload"),
        (Failed("broken", "no"), "failed", "broken"),
        (PlayerError("unplayable", "no"), "failed", "unplayable"),
        (ZeroDivisionError(), "failed", "internal_error"),
    ],
)
async def test_how_it_failed_is_told(life, fault, status, code):
    async with life() as bench:
        bench.fault = fault
        await bench.send("c1", "sick")
        result = await bench.outcome()
        assert (result.status, result.error.code) == (status, code)
        await bench.send("c2")
        assert (await bench.outcome()).status == "succeeded"


async def test_an_outcome_that_no_frame_could_carry_is_still_an_outcome(life):
    async with life() as bench:
        bench.fault = Failed("broken", "x", {"huge": "x" * 300_000})
        await bench.send("c1", "sick")
        assert (await bench.outcome()).error.code == "bad_result"


async def test_an_unknown_command_is_rejected(life):
    async with life() as bench:
        await bench.send("c1", "sing")
        assert (await bench.outcome()).error.code == "unsupported_command"


# Cancel


async def test_cancel_before_it_starts(life, ran):
    async with life() as bench:
        await bench.send("c1", "slow")
        await bench.send("c2", "slow")
        await bench.runner.put(Cancel(id="c2"))
        assert (await bench.outcome()).status == "cancelled"
        bench.gates["c1"].set()
        await bench.outcome("c1")
        await bench.runner.put(Cancel(id="c1"))
        assert (await bench.outcome()).status == "succeeded"
    assert ran == ["c1"]


async def test_cancel_interrupts_what_may_be_repeated(life):
    async with life() as bench:
        await bench.send("c1", "slow", "idempotent")
        await bench.start_of("c1")
        await bench.runner.put(Cancel(id="c1"))
        assert (await bench.outcome()).status == "cancelled"


async def test_cancel_does_not_interrupt_a_once_command(life):
    async with life() as bench:
        await bench.send("c1", "once", "once")
        await bench.start_of("c1")
        await bench.runner.put(Cancel(id="c1"))
        await bench.runner.put(Cancel(id="c9"))
        assert (await bench.outcome()).id == "c9"
        bench.gates["c1"].set()
        assert (await bench.outcome("c1")).status == "succeeded"


async def test_a_cancel_that_overtakes_its_command_is_remembered(life, ran):
    async with life() as bench:
        await bench.runner.put(Cancel(id="c1"))
        assert (await bench.outcome()).status == "cancelled"
    async with life() as bench:
        await bench.send("c1")
        assert (await bench.outcome()).status == "cancelled"
    assert ran == []


# After the process died


async def leave(life, command, delivery, *, in_s=60):
    """A process dies while the command runs."""
    async with life() as bench:
        await bench.send("c1", command, delivery, in_s=in_s)
        await bench.start_of("c1")


async def test_what_was_accepted_runs_once_the_time_is_known(life, ran):
    async with life(welcomed=False) as bench:
        assert await bench.journal.accept(
            "p", Entry(id="c1", command="quick", payload={}, delivery="safe", expires_at=NOW + 1000)
        )
    async with life(welcomed=False) as bench:
        assert [entry.state for entry in await bench.runner.told()] == ["accepted"]
        await bench.runner.put(Cancel(id="c9"))
        await bench.outcome("c9")
        assert ran == []
        bench.clock.set(NOW)
        bench.runner.welcomed()
        assert (await bench.outcome()).status == "succeeded"


async def test_what_was_accepted_and_is_too_late_now_is_rejected(life, ran):
    async with life(welcomed=False) as bench:
        await bench.journal.accept(
            "p", Entry(id="c1", command="quick", payload={}, delivery="safe", expires_at=NOW - 1)
        )
    async with life() as bench:
        result = await bench.outcome()
        assert (result.status, result.error.code) == ("rejected", "expired")
    assert ran == []


@pytest.mark.parametrize("delivery", ["safe", "idempotent"])
async def test_what_may_be_repeated_runs_again(life, ran, delivery):
    await leave(life, "slow", delivery)
    async with life() as bench:
        await bench.start_of("c1")
        bench.gates["c1"].set()
        assert (await bench.outcome()).status == "succeeded"
    assert ran == ["c1", "c1"]


async def test_what_may_be_repeated_but_is_too_late_now_was_interrupted(life, ran):
    await leave(life, "slow", "idempotent", in_s=1)
    async with life(welcomed=False) as bench:
        bench.clock.set(NOW + 2000)
        bench.runner.welcomed()
        result = await bench.outcome()
        assert (result.status, result.error.code) == ("failed", "interrupted")
    assert ran == ["c1"]


async def test_a_once_command_is_settled_by_its_evidence_before_the_first_hello(life, ran):
    await leave(life, "once", "once")
    async with life(welcomed=False, proof={"after": 2}) as bench:
        (entry,) = await bench.runner.told()
        assert (entry.result.status, entry.result.detail) == ("succeeded", {"after": 2})
    async with life(proof=None) as bench:  # judged once, for good
        (entry,) = await bench.runner.told()
        assert entry.result.status == "succeeded"
    assert ran == ["c1"]


@pytest.mark.parametrize("command", ["once", "blind"])
async def test_a_once_command_without_evidence_was_interrupted(life, ran, command):
    await leave(life, command, "once")
    async with life() as bench:
        (entry,) = await bench.runner.told()
        assert (entry.result.status, entry.result.error.code) == ("failed", "interrupted")
    assert ran == ["c1"]


async def test_the_device_itself_may_say_that_a_command_repeats(life, ran):
    await leave(life, "forced", "once")
    async with life() as bench:
        await bench.start_of("c1")
    assert ran == ["c1", "c1"]


async def test_a_reboot_ends_the_runner_and_nothing_follows_it(life, ran):
    async with life() as bench:
        bench.fault = Rebooted()
        await bench.send("c1", "sick", "once")
        await bench.send("c2")
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({bench.task})
    assert bench.end.subgroup(Rebooted) is not None
    assert ran == []
    assert bench.results.empty()
