"""A Linux machine: identity from /proc and /sys, reboot and display through commands the owner may configure."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from device_agent.system.base import SystemFault
from device_agent.system.command import run

REBOOT = ("systemctl", "reboot")


class LinuxSystem:
    """`display_commands` are two command lines, for on and for off; without them the backlight is used where there is
    one. `root` is where /proc, /sys and /etc are found."""

    kind = "linux"

    def __init__(
        self,
        state_dir: Path,
        *,
        reboot_command: Sequence[str] = REBOOT,
        display_commands: tuple[Sequence[str], Sequence[str]] | None = None,
        root: Path = Path("/"),
    ) -> None:
        self._state_dir = state_dir
        self._reboot_command = reboot_command
        self._display_commands = display_commands
        self._root = root
        self._backlights = sorted((root / "sys/class/backlight").glob("*/bl_power"))
        self._display_on: bool | None = None
        controlled = display_commands is not None or self._backlights
        self.capabilities = frozenset({"reboot", "set_display"} if controlled else {"reboot"})

    def boot_id(self) -> str:
        boot_id = self._read("proc/sys/kernel/random/boot_id")
        if boot_id is None:
            raise SystemFault("command_failed", "The kernel tells no boot id; is /proc mounted?")
        return boot_id

    def hardware_id(self) -> str:
        """A digest, so that it cannot be turned back into the serial number or machine id it is made of.

        The board's serial number tells clones of one disk image apart; where none is readable the machine id of the
        installation stands alone, and where there is none either, an id made once and kept in the state directory.
        """
        facts = [fact for fact in (self._board_serial(), self._read("etc/machine-id")) if fact]
        if not facts:
            kept = self._state_dir / "hardware_id"
            if not kept.exists():
                self._state_dir.mkdir(parents=True, exist_ok=True)
                kept.write_text(secrets.token_hex(16))
            facts = [kept.read_text(errors="replace").strip()]
        return hashlib.sha256("\n".join(["signalbox hardware", *facts]).encode()).hexdigest()[:32]

    def model(self) -> str | None:
        if board := self._read("proc/device-tree/model"):
            return board
        names = (self._read("sys/class/dmi/id/sys_vendor"), self._read("sys/class/dmi/id/product_name"))
        return " ".join(name for name in names if name) or None

    def os_version(self) -> str | None:
        return os_name(self._read("etc/os-release") or "")

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def uptime_s(self) -> float | None:
        text = self._read("proc/uptime")
        return float(text.split()[0]) if text else None

    async def reboot(self) -> None:
        await run(self._reboot_command)

    async def set_display(self, on: bool) -> tuple[bool, bool]:
        if self._display_commands is not None:
            await run(self._display_commands[0 if on else 1])
            self._display_on = on
            return on, False
        if not self._backlights:
            raise SystemFault("no_display_control", "No display command is configured, and there is no backlight.")
        for switch in self._backlights:
            try:
                switch.write_text("0" if on else "4")  # FB_BLANK_UNBLANK, FB_BLANK_POWERDOWN
            except OSError as error:
                raise SystemFault("no_display_control", f"{switch}: {error.strerror}.") from None
        return self._backlight_on(), True

    def display_on(self) -> bool | None:
        if self._display_commands is None and self._backlights:
            return self._backlight_on()
        return self._display_on

    def _backlight_on(self) -> bool:
        return any(switch.read_text().strip() == "0" for switch in self._backlights)

    def _board_serial(self) -> str | None:
        if serial := self._read("proc/device-tree/serial-number"):
            return serial
        for line in (self._read("proc/cpuinfo") or "").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "Serial" and value.strip(" 0"):
                return value.strip()
        return self._read("sys/class/dmi/id/product_uuid")  # root only

    def _read(self, path: str) -> str | None:
        """The text of a small file of the system, None when it is missing, unreadable or empty."""
        try:
            text = (self._root / path).read_text(errors="replace")
        except OSError:
            return None
        return text.strip("\0 \n\t") or None


def os_name(os_release: str) -> str | None:
    """The PRETTY_NAME of an os-release file."""
    for line in os_release.splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip("\"'") or None
    return None
