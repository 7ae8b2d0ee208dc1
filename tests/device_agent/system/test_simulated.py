import sys
import time
from pathlib import Path

import pytest

from device_agent.system.base import Rebooted, SystemFault
from device_agent.system.simulated import SimulatedSystem


def test_the_machine_outlasts_the_process(tmp_path: Path) -> None:
    one, again = SimulatedSystem(tmp_path / "new"), SimulatedSystem(tmp_path / "new")
    assert (one.boot_id(), one.hardware_id()) == (again.boot_id(), again.hardware_id())
    other = SimulatedSystem(tmp_path / "other")
    assert other.boot_id() != one.boot_id()
    assert other.hardware_id() != one.hardware_id()


async def test_a_reboot_kills_what_runs_and_gives_a_new_boot_id(tmp_path: Path) -> None:
    machine = SimulatedSystem(tmp_path)
    before, hardware = machine.boot_id(), machine.hardware_id()
    with pytest.raises(Rebooted):
        await machine.reboot()
    after = SimulatedSystem(tmp_path)
    assert after.boot_id() == machine.boot_id() != before
    assert after.hardware_id() == hardware


async def test_the_reboot_command_runs_once_before_the_reboot(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    command = [sys.executable, "-c", f"open({str(counter)!r}, 'a').write('x')"]
    with pytest.raises(Rebooted):
        await SimulatedSystem(tmp_path / "state", reboot_command=command).reboot()
    assert counter.read_text() == "x"


async def test_a_failing_reboot_command_leaves_the_machine_up(tmp_path: Path) -> None:
    machine = SimulatedSystem(tmp_path, reboot_command=[sys.executable, "-c", "raise SystemExit(3)"])
    before = machine.boot_id()
    with pytest.raises(SystemFault, match="exited with 3"):
        await machine.reboot()
    assert SimulatedSystem(tmp_path).boot_id() == before


async def test_the_display_state_is_kept_until_the_next_boot(tmp_path: Path) -> None:
    assert SimulatedSystem(tmp_path).display_on() is True
    assert await SimulatedSystem(tmp_path).set_display(False) == (False, True)
    machine = SimulatedSystem(tmp_path)
    assert machine.display_on() is False
    with pytest.raises(Rebooted):
        await machine.reboot()
    assert machine.display_on() is True


def test_its_clock_may_be_wrong(tmp_path: Path) -> None:
    right, wrong = SimulatedSystem(tmp_path), SimulatedSystem(tmp_path, clock_offset_s=-3600.5)
    assert right.now() - wrong.now() == pytest.approx(3_600_500, abs=60_000)
    wrong.clock_offset_s = 0
    assert wrong.now() == pytest.approx(time.time() * 1000, abs=60_000)
    uptime = wrong.uptime_s()
    assert uptime is not None
    assert uptime >= 0
