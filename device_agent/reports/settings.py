"""What the hub wants this device to be set to, made true and kept true: volume, display, lock.

Kept on disk as well, so that a device that starts without its hub still comes up as it was left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from device_agent.players.base import Player, PlayerError
from device_agent.system.base import System, SystemFault
from hub.protocol.messages import SettingsReport

KEPT = "settings"

Remember = Callable[[str, Any], Awaitable[None]]


class Settings:
    """`desired` is what is known from before; `remember` keeps a value under a name."""

    def __init__(self, player: Player, system: System, desired: Mapping[str, Any], remember: Remember) -> None:
        self._player = player
        self._system = system
        self._desired = dict(desired)
        self._remember = remember
        self._failed: dict[str, str] = {}  # of the last `converge`, as far as nothing better is known since
        self._turn = asyncio.Lock()  # first come, first served: an older wish never overtakes a newer one

    @property
    def locked(self) -> bool:
        return self._desired.get("locked") is True

    async def set_volume(self, volume: int) -> int:
        """Returns what is read back."""
        async with self._turn:
            actual = await self._player.set_volume(volume)
            await self._keep(volume=volume)
            return actual

    async def set_display(self, on: bool) -> tuple[bool, bool]:
        """Returns the state, and whether it was read back."""
        async with self._turn:
            state = await self._system.set_display(on)
            await self._keep(display_on=on)
            return state

    async def set_lock(self, locked: bool, pin: str | None) -> bool:
        async with self._turn:
            await self._keep(locked=locked, pin=pin)
            return self.locked

    async def restore(self) -> SettingsReport:
        """Make true what was wished for before this start."""
        return await self.converge(dict(self._desired))

    async def converge(self, desired: Mapping[str, Any]) -> SettingsReport:
        """Make all of `desired` true, as far as this device can, and say what it has now."""
        failed: dict[str, str] = {}
        for name, value in list(desired.items())[:100]:
            try:
                await self._apply(name, value, desired)
            except (PlayerError, SystemFault) as failure:
                failed[name[:100]] = failure.message[:500]
            except _Unusable as failure:
                failed[name[:100]] = str(failure)[:500]
        self._failed = failed
        return await self.report()

    async def report(self) -> SettingsReport:
        """What the device has now, and what it could not apply."""
        try:
            volume = await self._player.volume()
        except PlayerError:
            volume = None
        reported = {"locked": self.locked, "volume": volume, "display_on": self._system.display_on()}
        known = {name: value for name, value in reported.items() if value is not None}
        return SettingsReport(reported=known, failed=dict(self._failed) or None)

    async def _apply(self, name: str, value: Any, desired: Mapping[str, Any]) -> None:
        if value is None or name == "pin":  # nothing is wished for; the pin goes with the lock
            return
        if name == "volume" and type(value) is int and 0 <= value <= 100:
            await self.set_volume(value)
        elif name == "display_on" and type(value) is bool:
            if "set_display" not in self._system.capabilities:
                raise _Unusable("There is no control of the display here.")
            await self.set_display(value)
        elif name == "locked" and type(value) is bool:
            pin = desired.get("pin")
            await self.set_lock(value, pin if value and isinstance(pin, str) else None)
        else:
            known = name in ("volume", "display_on", "locked")
            raise _Unusable("The value makes no sense." if known else "This device has no such setting.")

    async def _keep(self, **values: Any) -> None:
        self._failed = {name: reason for name, reason in self._failed.items() if name not in values}
        changed = {**self._desired, **values}
        if changed != self._desired:
            self._desired = changed
            await self._remember(KEPT, changed)


class _Unusable(Exception):
    """A wish that this device cannot grant."""
