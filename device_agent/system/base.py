"""The machine below the player: identity, reboot, display, clock."""

from typing import Protocol


class SystemFault(Exception):
    """Why the machine could not do what it was asked; `code` and `message` become the `error` of a command's result.

    Codes: `command_failed` (the configured command is missing, exited non-zero or hung), `no_display_control`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Rebooted(Exception):
    """A simulated machine goes down: as a real one lets a process go, one goodbye may be said, and nothing may be
    written. Let this end the agent's main loop, then start it anew."""


class System(Protocol):
    kind: str
    capabilities: frozenset[str]  # names of the commands it can do

    def boot_id(self) -> str:
        """Another value after every boot, and only then."""
        ...

    def hardware_id(self) -> str:
        """The same value for the life of this hardware, another one on a clone of its disk where hardware tells."""
        ...

    def model(self) -> str | None: ...

    def os_version(self) -> str | None: ...

    def now(self) -> int:
        """Unix milliseconds by the device's own clock, which may be wrong."""
        ...

    def uptime_s(self) -> float | None: ...

    async def reboot(self) -> None:
        """Ask for a reboot; returns once it is underway. Raises SystemFault, or Rebooted when simulated."""

    async def set_display(self, on: bool) -> tuple[bool, bool]:
        """Returns the display's state, and whether it was read back from the hardware. Raises SystemFault."""
        ...

    def display_on(self) -> bool | None:
        """The display's state as far as known."""
        ...
