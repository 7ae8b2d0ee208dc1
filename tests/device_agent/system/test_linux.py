import sys
from pathlib import Path

import pytest

from device_agent.system.base import SystemFault
from device_agent.system.linux import LinuxSystem, os_name

BOOT_ID = "2699ff37-89d6-4ffe-b14c-456851b51990"


def machine(root: Path, **files: str) -> Path:
    """A file tree like that of a machine; keyword `a__b` is the file a/b."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def hardware_id(state: Path, root: Path) -> str:
    return LinuxSystem(state, root=root).hardware_id()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_boot_id_is_the_kernels(tmp_path: Path) -> None:
    root = machine(tmp_path, proc__sys__kernel__random__boot_id=BOOT_ID + "\n")
    assert LinuxSystem(tmp_path, root=root).boot_id() == BOOT_ID
    assert LinuxSystem(tmp_path).boot_id() == LinuxSystem(tmp_path).boot_id()


def test_without_proc_there_is_no_boot_id(tmp_path: Path) -> None:
    with pytest.raises(SystemFault):
        LinuxSystem(tmp_path, root=tmp_path).boot_id()


def test_clones_of_a_disk_image_differ_by_their_boards(tmp_path: Path) -> None:
    cpuinfo = "processor\t: 0\nSerial\t\t: {}\nModel\t\t: Raspberry Pi 4\n"
    image = {"etc__machine-id": "3d1219c7c4c5404aaa1f6d2a48adfda4\n"}
    one = machine(tmp_path / "one", proc__cpuinfo=cpuinfo.format("100000001a2b3c4d"), **image)
    two = machine(tmp_path / "two", proc__cpuinfo=cpuinfo.format("10000000ffffffff"), **image)
    assert hardware_id(tmp_path, one) == hardware_id(tmp_path, one)
    assert hardware_id(tmp_path, one) != hardware_id(tmp_path, two)


def test_the_hardware_id_does_not_give_away_what_it_is_made_of(tmp_path: Path) -> None:
    machine_id = "3d1219c7c4c5404aaa1f6d2a48adfda4"
    made = hardware_id(tmp_path, machine(tmp_path, **{"etc__machine-id": machine_id}))
    assert len(made) == 32
    assert machine_id not in made


def test_a_serial_number_of_zeros_is_none(tmp_path: Path) -> None:
    image = {"etc__machine-id": "abc"}
    zeros = machine(tmp_path / "zeros", proc__cpuinfo="Serial : 0000000000000000\n", **image)
    assert hardware_id(tmp_path, zeros) == hardware_id(tmp_path, machine(tmp_path / "without", **image))


def test_a_machine_without_any_identity_keeps_a_generated_one(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    made = hardware_id(tmp_path / "state", bare)
    assert made == hardware_id(tmp_path / "state", bare)
    assert made != hardware_id(tmp_path / "other state", bare)


def test_the_model_is_the_boards_or_the_vendors(tmp_path: Path) -> None:
    board = machine(tmp_path / "pi", **{"proc__device-tree__model": "Raspberry Pi 4 Model B Rev 1.5\0"})
    desktop = machine(
        tmp_path / "pc", sys__class__dmi__id__sys_vendor="Intel\n", sys__class__dmi__id__product_name="NUC11\n"
    )
    assert LinuxSystem(tmp_path, root=board).model() == "Raspberry Pi 4 Model B Rev 1.5"
    assert LinuxSystem(tmp_path, root=desktop).model() == "Intel NUC11"
    assert LinuxSystem(tmp_path, root=tmp_path / "none").model() is None


def test_the_operating_system_is_named_as_it_names_itself() -> None:
    assert os_name('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n') == "Debian GNU/Linux 12 (bookworm)"
    assert os_name("NAME=x\n") is None


def test_uptime_is_the_first_number(tmp_path: Path) -> None:
    assert LinuxSystem(tmp_path, root=machine(tmp_path, proc__uptime="2113.55 4000.00\n")).uptime_s() == 2113.55


async def test_reboot_runs_the_configured_command(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    system = LinuxSystem(tmp_path, reboot_command=python(f"open({str(counter)!r}, 'a').write('x')"))
    await system.reboot()
    assert counter.read_text() == "x"


async def test_a_reboot_that_fails_tells_why(tmp_path: Path) -> None:
    system = LinuxSystem(tmp_path, reboot_command=python("raise SystemExit('not allowed')"))
    with pytest.raises(SystemFault, match="exited with 1: not allowed") as fault:
        await system.reboot()
    assert fault.value.code == "command_failed"


@pytest.mark.parametrize("command", [["/no/such/program"], []])
async def test_a_command_that_does_not_exist_is_a_fault(tmp_path: Path, command: list[str]) -> None:
    with pytest.raises(SystemFault):
        await LinuxSystem(tmp_path, reboot_command=command).reboot()


async def test_a_talkative_command_is_cut_short_in_the_message(tmp_path: Path) -> None:
    system = LinuxSystem(tmp_path, reboot_command=python("raise SystemExit('x' * 500_000)"))
    with pytest.raises(SystemFault) as fault:
        await system.reboot()
    assert len(fault.value.message) < 700


async def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_agent.system.command.COMMAND_S", 0.05)
    with pytest.raises(SystemFault, match="did not end"):
        await LinuxSystem(tmp_path, reboot_command=python("import time; time.sleep(100)")).reboot()


async def test_display_commands_are_run_and_their_effect_is_unverified(tmp_path: Path) -> None:
    state = tmp_path / "display"
    system = LinuxSystem(
        tmp_path,
        display_commands=tuple(python(f"open({str(state)!r}, 'w').write({word!r})") for word in ("on", "off")),  # type: ignore[arg-type]
    )
    assert "set_display" in system.capabilities
    assert system.display_on() is None
    assert await system.set_display(False) == (False, False)
    assert state.read_text() == "off"
    assert await system.set_display(True) == (True, False)
    assert state.read_text() == "on"
    assert system.display_on() is True


async def test_a_backlight_is_switched_and_read_back(tmp_path: Path) -> None:
    root = machine(tmp_path, sys__class__backlight__panel__bl_power="0\n")
    system = LinuxSystem(tmp_path, root=root)
    assert "set_display" in system.capabilities
    assert system.display_on() is True
    assert await system.set_display(False) == (False, True)
    assert (root / "sys/class/backlight/panel/bl_power").read_text() == "4"
    assert system.display_on() is False


async def test_without_any_control_the_display_is_not_offered(tmp_path: Path) -> None:
    system = LinuxSystem(tmp_path, root=tmp_path)
    assert system.capabilities == {"reboot"}
    with pytest.raises(SystemFault) as fault:
        await system.set_display(False)
    assert fault.value.code == "no_display_control"
