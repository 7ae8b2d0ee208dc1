"""A machine that exists only in a file: it has a boot id, can be rebooted, and its clock may be wrong."""

import json
import math
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_agent.aside import put_aside
from device_agent.system.base import Rebooted, SystemFault
from device_agent.system.command import run

LONGEST_ID = 64  # characters of an id, as the protocol has them


class SimulatedSystem:
    """The machine lives in `state_dir/machine.json` and outlasts the process, like a real one.

    `clock_offset_s` is how wrong its clock is. `reboot()` runs `reboot_command` first, if there is one, then comes up
    with a new boot id and raises Rebooted.
    """

    kind = "simulated"
    capabilities = frozenset({"reboot", "set_display"})

    def __init__(
        self,
        state_dir: Path,
        *,
        reboot_command: Sequence[str] = (),
        clock_offset_s: float = 0.0,
    ) -> None:
        self._file = state_dir / "machine.json"
        self._reboot_command = reboot_command
        self.clock_offset_s = clock_offset_s
        self._machine: dict[str, Any] = self._read()
        if not self._machine:
            state_dir.mkdir(parents=True, exist_ok=True)
            self._machine = {"hardware_id": secrets.token_hex(16)}
            self._boot()

    def _read(self) -> dict[str, Any]:
        """The machine; empty where there is none yet. One that is damaged is put aside."""
        if not os.path.lexists(self._file):
            return {}
        try:
            machine = json.loads(self._file.read_bytes())
            ids = (str(machine["boot_id"]), str(machine["hardware_id"]))
            if all(ids) and max(map(len, ids)) <= LONGEST_ID and math.isfinite(float(machine["booted_s"])):
                return dict(machine) | {"display_on": bool(machine["display_on"])}
            why = "there is no machine in it"
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            why = str(error)
        put_aside(self._file, why)
        return {}

    def boot_id(self) -> str:
        return str(self._machine["boot_id"])

    def hardware_id(self) -> str:
        return str(self._machine["hardware_id"])

    def model(self) -> str | None:
        return "Simulated machine"

    def os_version(self) -> str | None:
        return None

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + round(self.clock_offset_s * 1000)

    def uptime_s(self) -> float | None:
        return max(0.0, time.time() - float(self._machine["booted_s"]))

    async def reboot(self) -> None:
        if self._reboot_command:
            await run(self._reboot_command)
        self._boot()
        raise Rebooted

    async def set_display(self, on: bool) -> tuple[bool, bool]:
        self._write(self._machine | {"display_on": on})
        return on, True

    def display_on(self) -> bool | None:
        return bool(self._machine["display_on"])

    def _boot(self) -> None:
        booted = {"boot_id": secrets.token_hex(16), "booted_s": time.time(), "display_on": True}
        self._write(self._machine | booted)

    def _write(self, machine: dict[str, Any]) -> None:
        """All or nothing, also when this process is killed in the middle. Raises SystemFault."""
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(machine))
            os.replace(fresh, self._file)
        except OSError as error:
            raise SystemFault("command_failed", f"{self._file}: {error.strerror}.") from None
        self._machine = machine
