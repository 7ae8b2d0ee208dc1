"""The promises of the command exchange, held against a world in which everything fails.

Whatever is cut, lost, repeated, reordered, killed or left to expire: a `once` command never runs twice, no outcome is
lost, none is reported that did not happen, and what the player has acknowledged is never sent again.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.protocol.messages import Result
from tests.protocol.world import CATALOGUE, Wire, World

anything = st.integers(min_value=0, max_value=1_000)


class FailingWorld(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.connect()
        self.kept: list[tuple[Wire, bool, Any]] = []  # frames that will arrive once more

    # Work

    @rule(command=st.sampled_from(sorted(CATALOGUE)), ttl_s=st.sampled_from([5, 60, 3_600, 3_600]))
    def the_operator_orders(self, command: str, ttl_s: int) -> None:
        if len(self.world.rows) < 30:
            self.world.order(command, ttl_s)

    @precondition(lambda self: self.world.rows)
    @rule(pick=anything)
    def the_operator_cancels(self, pick: int) -> None:
        self.world.cancel(sorted(self.world.rows)[pick % len(self.world.rows)])

    @rule(pick=anything, up=st.booleans())
    def a_frame_arrives(self, pick: int, up: bool) -> None:
        if self.world.wires:
            self.world.deliver(self.world.wires[pick % len(self.world.wires)], up)

    @rule(rounds=st.integers(min_value=1, max_value=10))
    def frames_flow(self, rounds: int) -> None:
        for _ in range(rounds):
            for wire in list(self.world.wires):
                self.world.deliver(wire, up=True)
                self.world.deliver(wire, up=False)

    @rule(steps=st.sampled_from(["start", "start act", "start act", "start act finish", "act", "finish"]))
    def the_agent_works(self, steps: str) -> None:
        for step in steps.split():
            match step:
                case "start":
                    self.world.start()
                case "act":
                    for id in sorted(self.world.running):
                        self.world.act(id)
                case "finish":
                    for id in sorted(self.world.acted):
                        self.world.finish(id)

    @rule()
    def the_agent_connects(self) -> None:
        self.world.agent_starts()
        self.world.connect()

    # Faults

    @rule(
        fault=st.sampled_from(["cut", "hub killed", "agent killed", "agent killed", "power lost"]),
        amid=st.sampled_from(["nothing", "start", "start act", "start act finish"]),
    )
    def something_dies(self, fault: str, amid: str) -> None:
        if amid != "nothing":
            self.the_agent_works(amid)
        match fault:
            case "cut":
                self.world.hang_up()
            case "hub killed":
                self.world.hub_dies()
            case "agent killed":
                self.world.agent_dies()
            case "power lost":
                self.world.lose_power()

    @rule(hangs_up=st.booleans())
    def the_disk_is_full(self, hangs_up: bool) -> None:
        self.world.disk_full, self.world.hangs_up_when_full = True, hangs_up

    @precondition(lambda self: self.world.disk_full)
    @rule()
    def the_disk_has_room(self) -> None:
        self.world.disk_has_room()

    @rule(fault=st.sampled_from(["lost", "kept for later", "repeated", "overtaken"]), pick=anything, up=st.booleans())
    def the_wire_misbehaves(self, fault: str, pick: int, up: bool) -> None:
        if not self.world.wires:
            return
        wire = self.world.wires[pick % len(self.world.wires)]
        if frames := wire.up if up else wire.down:
            match fault:
                case "lost":
                    frames.popleft()
                case "kept for later":
                    self.kept.append((wire, up, frames[0]))
                case "repeated":
                    frames.append(frames[0])
                case "overtaken":
                    frames.rotate(-1)

    @precondition(lambda self: self.kept)
    @rule(pick=anything)
    def a_kept_frame_arrives_again(self, pick: int) -> None:
        wire, up, frame = self.kept[pick % len(self.kept)]
        (wire.up if up else wire.down).appendleft(frame)
        self.world.deliver(wire, up)

    @rule(seconds=st.sampled_from([1, 6, 11, 61]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @rule()
    def all_is_well_for_a_while(self) -> None:
        self.world.come_to_rest()
        self._at_rest()

    # Promises

    @invariant()
    def a_once_command_never_runs_twice(self) -> None:
        for id, acts in self.world.truth.acts.items():
            assert acts <= 1 or CATALOGUE[self.world.rows[id].command] != "once"

    @invariant()
    def nothing_starts_after_its_deadline(self) -> None:
        assert not self.world.truth.late

    @invariant()
    def every_outcome_that_was_told_really_happened(self) -> None:
        for id, told in self.world.truth.told.items():
            for state, result in told:
                if result is None:
                    assert state in ("cancelled", "expired"), f"{id} counts as {state}"
                    assert state != "cancelled" or not self.world.truth.acts[id], f"{id} ran after it was cancelled"
                else:
                    self._happened(id, result)

    @invariant()
    def the_operator_is_told_one_outcome(self) -> None:
        for id, told in self.world.truth.told.items():
            assert sum(result is not None for _, result in told) <= 1, f"{id}: {told}"
            assert len(told) <= 2

    def _happened(self, id: str, result: Result) -> None:
        truth = self.world.truth
        assert result == truth.outcomes[id], "the hub tells another outcome than the device wrote down"
        detail = result.detail or {}
        code = result.error.code if result.error else None
        match result.status, code:
            case "succeeded", None if "boot_id_after" in detail:
                assert truth.boots[detail["boot_id_after"]] > truth.started[id]
                assert truth.boots[detail["boot_id_before"]] < truth.started[id]
            case "succeeded", None if "pid_after" in detail:
                assert truth.pids[detail["pid_after"]] > truth.started[id]
                assert truth.pids[detail["pid_before"]] < truth.started[id]
            case "succeeded", None:
                assert detail in truth.done[id]
            case "failed", "interrupted":
                assert id in truth.started
            case ("rejected", "expired") | ("cancelled", None):
                assert not truth.acts[id]
            case _:
                raise AssertionError(f"nobody says {result}")

    def _at_rest(self) -> None:
        """Every row is final, every outcome the device wrote down is told, and both ends have let go."""
        for id, row in self.world.rows.items():
            outcome = self.world.truth.outcomes.get(id)
            assert row.result == outcome, f"{id} ended as {row}, the device says {outcome}"
            assert outcome is not None or row.state in ("cancelled", "expired")
            assert id in self.world.confirmed or outcome is None

    def teardown(self) -> None:
        self.world.come_to_rest()
        self._at_rest()
        self.every_outcome_that_was_told_really_happened()
        self.a_once_command_never_runs_twice()


TestFailingWorld = FailingWorld.TestCase
TestFailingWorld.settings = settings(
    max_examples=400,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_three_seconds_of_a_full_disk_hold_nothing_back() -> None:
    world = World()
    world.connect()
    world.frames_flow()
    world.disk_full = True
    ids = [world.order("set_volume", 3_600) for _ in range(12)]
    world.frames_flow()
    world.pass_time(3)
    world.disk_has_room()
    for _ in range(30):
        world.pass_time(1)
        world.frames_flow()
    assert [world.rows[id].state for id in ids] == ["acked"] * 12
    assert world.epoch == 1  # on the same connection


def test_a_calm_world_does_everything_once_in_order() -> None:
    world = World()
    world.connect()
    ids = [world.order(command, 3_600) for command in ("set_volume", "reboot", "take_screenshot")]
    world.come_to_rest()
    assert [world.rows[id].state for id in ids] == ["succeeded"] * 3
    assert [world.truth.acts[id] for id in ids] == [1, 1, 1]
    assert world.rows[ids[1]].result.detail == {"boot_id_before": "boot-0", "boot_id_after": "boot-1"}
