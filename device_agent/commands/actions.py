"""What this device does for each command, and the evidence it brings back: the keys of the result's `detail`."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from device_agent.commands import custom
from device_agent.commands.action import Action, Call, Failed, Rejected
from device_agent.connection.hub_clock import HubClock
from device_agent.connection.link import Leaving
from device_agent.content.download import DownloadFault
from device_agent.content.manifest_sync import ManifestSync
from device_agent.content.playback import Content
from device_agent.content.program import Contents
from device_agent.players.base import Player, PlayerError
from device_agent.players.source import is_address
from device_agent.reports import screenshot
from device_agent.reports.logs import LINES, RecentLines
from device_agent.reports.settings import Settings
from device_agent.system.base import Rebooted, System
from device_agent.uploads import UploadFault, Uploads
from hub.protocol.messages import Delivery
from hub.protocol.times import write_time

REVISION = 0
"""Told where no manifest is followed: the content of the device's configuration has no revisions."""

REBOOT_S = 300.0
"""From asking for a reboot to the end of this process; after that it did not happen. The hub waits 600 s."""

IDENTIFY_S = 30


@dataclass(frozen=True, slots=True)
class Custom:
    """A command of the owner's own: program and arguments, and how it may repeat after an interruption."""

    command: list[str]
    repeat: Literal["once", "idempotent"] = "once"


class Line(Protocol):
    """The connection to the hub, as far as actions need it."""

    leaving: Leaving
    """What the next goodbye gives as its reason."""

    async def part(self) -> None:
        """Say goodbye and stay away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """All that a command may touch. `identity` is name, address and id, as they are now."""

    player: Player
    system: System
    settings: Settings
    content: Content
    following: ManifestSync | None
    uploads: Uploads
    logs: RecentLines
    line: Line
    clock: HubClock
    identity: Callable[[], dict[str, Any]]
    report_settings: Callable[[], Awaitable[None]]
    downloads: Path
    screenshot_quality: int | None = None
    customs: Mapping[str, Custom]


def actions_of(device: Device) -> dict[str, Action]:
    """Every command that this device can do, by name: its capabilities."""
    do = _Actions(device)
    own = {
        "reload_content": Action(do.reload_content),
        "lock": Action(do.lock, lane="lock"),
        "unlock": Action(do.unlock, lane="lock"),
        "clear_cache": Action(do.clear_cache),
        "collect_logs": Action(do.collect_logs),
    }
    of_parts = {
        "reboot": Action(do.reboot, see=do.see_boot, settle=do.settle_reboot),
        "restart_player": Action(do.restart_player, see=do.see_player, settle=do.settle_player),
        "take_screenshot": Action(do.take_screenshot),
        "set_volume": Action(do.set_volume),
        "set_display": Action(do.set_display),
        "play": Action(do.play),
        "identify": Action(do.identify),
    }
    able = device.player.capabilities | device.system.capabilities
    return {
        **own,
        **{name: action for name, action in of_parts.items() if name in able},
        **{f"custom:{name}": _custom(one) for name, one in device.customs.items()},
    }


class _Actions:
    def __init__(self, device: Device) -> None:
        self._device = device

    # --- reboot ---

    async def see_boot(self) -> dict[str, Any]:
        return {"boot_id": self._device.system.boot_id(), "at": self._device.system.now()}

    async def reboot(self, call: Call) -> dict[str, Any]:
        """Ends with this process; a return would mean that the machine is still the same.

        The goodbye is said when the machine goes down, not when it is asked to: one that does not was never away."""
        line = self._device.line
        line.leaving = "rebooting"
        try:
            await self._device.system.reboot()
            await asyncio.sleep(REBOOT_S)
        except Rebooted:
            await line.part()
            raise
        finally:
            line.leaving = "stopping"
        raise Failed("not_rebooted", f"{REBOOT_S:g} s after asking for a reboot the machine is still up.")

    async def settle_reboot(self, seen: Mapping[str, Any]) -> dict[str, Any] | None:
        system = self._device.system
        now_id = system.boot_id()
        if now_id == seen["boot_id"]:
            return None
        # A machine without a battery wakes up in the past: it was away at least since it booted.
        away_s = max((system.now() - seen["at"]) / 1000, system.uptime_s() or 0.0, 0.0)
        return {"boot_id_before": seen["boot_id"], "boot_id_after": now_id, "seconds_away": round(away_s, 1)}

    # --- the player program ---

    async def see_player(self) -> dict[str, Any]:
        try:
            pid, started = await self._device.player.identity()
        except PlayerError:  # down, which may be why somebody restarts it
            return {"pid": None, "started_at": None}
        return {"pid": pid, "started_at": _moment(started)}

    async def restart_player(self, call: Call) -> dict[str, Any]:
        pid, started = await self._device.player.restart()
        return _restarted(call.seen, pid, started)

    async def settle_player(self, seen: Mapping[str, Any]) -> dict[str, Any] | None:
        pid, started = await self._device.player.identity()
        if (pid, _moment(started)) == (seen["pid"], seen["started_at"]):
            return None
        return _restarted(seen, pid, started)

    async def play(self, call: Call) -> dict[str, Any]:
        duration_s = _whole(call.payload, "duration_s", 1, 86_400)
        asset_id, playlist_id = _id(call.payload, "asset_id"), _id(call.payload, "playlist_id")
        if playlist_id is not None or asset_id is not None:
            return {"current_content": await self._play_of_hub(call.id, asset_id, playlist_id, duration_s)}
        url = call.payload.get("url")
        if not isinstance(url, str) or "://" not in url:
            raise Rejected("invalid_payload", "url: must be an address")
        if not is_address(url):
            raise PlayerError("unsupported_uri", f"This is not the address of a stream: {url[:200]}")
        return {"current_content": await self._device.content.play(url, duration_s)}

    async def _play_of_hub(
        self, command_id: str, asset_id: int | None, playlist_id: int | None, duration_s: int | None
    ) -> str:
        """Show an asset or a playlist of the hub's, whether or not it is in the program; its name once it plays."""
        following = self._device.following
        if following is None:
            raise Rejected("unsupported_source", "This player does not follow the hub's content.")
        try:
            contents: Contents | None = await following.asked(command_id)
        except DownloadFault as fault:  # what the program names is here, also without a hub that knows this call
            contents, told = following.program, fault
        else:
            told = DownloadFault("the hub names other content", final=True)
        if contents is None:
            showing = None
        elif playlist_id is not None:
            showing = contents.playlist(playlist_id)
        else:
            showing = contents.asset(asset_id or 0, duration_s)
        if showing is None:
            if told.final:
                raise Rejected("not_found", f"It is not in the program of this player, and {told}.")
            raise Failed("download_failed", f"It is not in the program of this player, and {told}.")
        if not showing.items:
            raise Rejected("unsupported_source", "This player cannot show this kind of content, or open its address.")
        try:
            await following.bring(showing)
        except DownloadFault as fault:
            raise Failed("download_failed", str(fault)) from None
        return await self._device.content.play_items(showing, duration_s)

    async def reload_content(self, call: Call) -> dict[str, Any]:
        revision: str | None = None
        if self._device.following is not None:
            try:
                revision = await self._device.following.newest()
            except DownloadFault as fault:
                raise Failed("download_failed", str(fault)) from None
        await self._device.content.reload()
        return {"revision": REVISION if revision is None else revision}

    async def identify(self, call: Call) -> dict[str, Any]:
        seconds = _whole(call.payload, "seconds", 1, 3600)
        shown = self._device.identity()
        text = "\n".join(str(value) for value in shown.values() if value is not None)
        await self._device.player.show_text(text, float(seconds or IDENTIFY_S))
        return {"shown": shown}

    async def take_screenshot(self, call: Call) -> dict[str, Any]:
        quality = _whole(call.payload, "quality", 1, 100) or self._device.screenshot_quality
        max_width = _whole(call.payload, "max_width", 16, 7680)
        shot = await screenshot.take(
            self._device.player, self._device.content.on_screen, max_width=max_width, quality=quality
        )
        captured_at = self._device.clock.translate(shot.captured_at, self._device.system.now())
        screenshot_id = await self._upload(
            "screenshot",
            shot.data,
            call,
            mime=shot.mime,
            captured_at=captured_at,
            source=shot.source,
            asset_id=shot.asset_id,
        )
        return {
            "screenshot_id": screenshot_id,
            "sha256": shot.sha256,
            "source": shot.source,
            "captured_at": write_time(captured_at),
        }

    # --- settings ---

    async def set_volume(self, call: Call) -> dict[str, Any]:
        volume = _required(_whole(call.payload, "volume", 0, 100), "volume")
        actual = await self._device.settings.set_volume(volume)
        await self._device.report_settings()
        if actual != volume:
            raise Failed("not_applied", f"The player reads back a volume of {actual}.", {"volume": actual})
        return {"volume": actual}

    async def set_display(self, call: Call) -> dict[str, Any]:
        on = call.payload.get("on")
        if type(on) is not bool:
            raise Rejected("invalid_payload", "on: must be true or false")
        actual, verified = await self._device.settings.set_display(on)
        await self._device.report_settings()
        if verified and actual != on:
            raise Failed("not_applied", "The display reads back the other state.", {"on": actual})
        return {"on": actual} if verified else {"on": actual, "unverified": True}

    async def lock(self, call: Call) -> dict[str, Any]:
        pin = call.payload.get("pin")
        if not isinstance(pin, str) or not pin.isascii() or not pin.isdigit() or not 4 <= len(pin) <= 8:
            raise Rejected("invalid_payload", "pin: must be 4 to 8 digits")
        return await self._set_lock(True, pin)

    async def unlock(self, call: Call) -> dict[str, Any]:
        return await self._set_lock(False, None)

    async def _set_lock(self, locked: bool, pin: str | None) -> dict[str, Any]:
        actual = await self._device.settings.set_lock(locked, pin)
        await self._device.report_settings()
        return {"locked": actual}

    # --- upkeep ---

    async def clear_cache(self, call: Call) -> dict[str, Any]:
        freed = await asyncio.to_thread(empty, self._device.downloads)
        if self._device.following is not None:
            self._device.following.look()  # what plays is fetched again
        return {"bytes_freed": freed}

    async def collect_logs(self, call: Call) -> dict[str, Any]:
        lines = _whole(call.payload, "lines", 1, 100_000)
        text = self._device.logs.text(min(lines or LINES, LINES)) or "nothing was logged\n"
        now = self._device.system.now()
        upload_id = await self._upload(
            "logs",
            text.encode(errors="replace"),
            call,
            mime="text/plain; charset=utf-8",
            captured_at=self._device.clock.translate(now, now),
            source="agent",
        )
        return {"upload_id": upload_id}

    async def _upload(
        self,
        kind: Literal["screenshot", "logs"],
        data: bytes,
        call: Call,
        *,
        mime: str,
        captured_at: int,
        source: str,
        asset_id: int | None = None,
    ) -> str:
        try:
            return await self._device.uploads.send(
                kind, data, mime=mime, captured_at=captured_at, source=source, command=call.id, asset_id=asset_id
            )
        except UploadFault as fault:
            raise Failed(fault.code, fault.message) from None


def _custom(one: Custom) -> Action:
    async def run(call: Call) -> dict[str, Any]:
        return await custom.run(one.command, call.payload)

    delivery: Delivery = one.repeat
    return Action(run, delivery=delivery)


def _restarted(seen: Mapping[str, Any], pid: int, started: float) -> dict[str, Any]:
    return {
        "pid_before": seen["pid"],
        "pid_after": pid,
        "started_at_before": seen["started_at"],
        "started_at": _moment(started),
    }


def _moment(unix_s: float) -> str:
    return write_time(round(unix_s * 1000))


def _whole(payload: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = payload.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        raise Rejected("invalid_payload", f"{name}: must be a whole number from {least} to {most}")
    return value


def _id(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise Rejected("invalid_payload", f"{name}: must be a positive whole number")
    return value


def _required(value: int | None, name: str) -> int:
    if value is None:
        raise Rejected("invalid_payload", f"{name}: is missing")
    return value


def empty(folder: Path) -> int:
    """Delete what is in `folder`, never following a link out of it; the bytes that were freed."""
    freed = 0
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            file = Path(parent, name)
            try:
                size = file.lstat().st_size
                file.unlink()
            except OSError:  # open elsewhere, or gone by itself
                continue
            freed += size
        for name in folders:
            inner = Path(parent, name)
            try:
                inner.unlink() if inner.is_symlink() else inner.rmdir()
            except OSError:
                continue
    return freed
