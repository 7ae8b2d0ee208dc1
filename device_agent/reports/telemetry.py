"""What the device can tell about itself, read from /proc and /sys. A reading that is not to be had is left out.

The parsing functions take the text of the file; units are in their names.
"""

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from device_agent.system.base import System
from hub.protocol.times import write_time

MB = 1_000_000
SOMEWHERE = "192.0.2.1"  # RFC 5737: documentation only. Routed like any address, and nothing is ever sent to it


class CpuMeter:
    """Load of all processors between two readings, in percent; the first reading has nothing to compare with."""

    def __init__(self) -> None:
        self._before: tuple[int, int] | None = None

    def read(self, proc_stat: str) -> float | None:
        times = cpu_times(proc_stat)
        before, self._before = self._before, times
        if times is None or before is None or times[1] <= before[1]:
            return None
        idle, total = times[0] - before[0], times[1] - before[1]
        return round(min(100.0, max(0.0, 100.0 * (1 - idle / total))), 1)


def read_telemetry(
    system: System,
    *,
    storage: Path,
    cpu: CpuMeter,
    root: Path = Path("/"),
) -> dict[str, Any]:
    """The device's part of a `telemetry` message, keys as on the wire; volume and content are the player's to tell.

    `storage` is any path on the file system that holds the content. `root` is where /proc and /sys are found.
    """
    used_mb = memory_used_mb(_read(root / "proc/meminfo"))
    uptime_s = system.uptime_s()
    readings: dict[str, Any] = {
        "ip_address": ip_address(),
        "wifi_signal": wifi_dbm(_read(root / "proc/net/wireless")),
        **storage_mb(storage),
        "screen_on": system.display_on(),
        "uptime_seconds": None if uptime_s is None else int(uptime_s),
        "cpu_percent": cpu.read(_read(root / "proc/stat")),
        "memory_used_mb": used_mb,
        "temperature_c": hottest_c(_read(file) for file in (root / "sys/class/thermal").glob("thermal_zone*/temp")),
        "clock": write_time(system.now()),
    }
    return {name: value for name, value in readings.items() if value is not None}


def ip_address() -> str | None:
    """The address this machine has towards the world; found by asking the routing table, without sending a packet."""
    for family, target in ((socket.AF_INET, SOMEWHERE), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return None


def storage_mb(path: Path) -> dict[str, int]:
    """Used and free as `df` counts them: what is reserved for root is neither."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return {}
    return {
        "storage_total_mb": disk.f_blocks * disk.f_frsize // MB,
        "storage_used_mb": (disk.f_blocks - disk.f_bfree) * disk.f_frsize // MB,
        "storage_free_mb": disk.f_bavail * disk.f_frsize // MB,
    }


def cpu_times(proc_stat: str) -> tuple[int, int] | None:
    """Idle and total ticks since boot. Guest time is part of user time already, so it is not added again."""
    for line in proc_stat.splitlines():
        if line.startswith("cpu "):
            ticks = [int(field) for field in line.split()[1:9]]
            return sum(ticks[3:5]), sum(ticks)
    return None


def memory_used_mb(meminfo: str) -> int | None:
    """Total less available: caches that can be dropped do not count as used."""
    kb: dict[str, int] = {}
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            kb[name] = int(value.split()[0])
    if len(kb) < 2:
        return None
    return (kb["MemTotal"] - kb["MemAvailable"]) * 1024 // MB


def wifi_dbm(wireless: str) -> int | None:
    """Signal level of the first interface in /proc/net/wireless."""
    for line in wireless.splitlines():
        interface, colon, values = line.partition(":")
        fields = values.split()
        if colon and len(fields) >= 3 and "|" not in interface:
            level = int(float(fields[2]))
            return level - 256 if level > 0 else level  # some drivers report the byte without its sign
    return None


def hottest_c(zones: Iterable[str]) -> float | None:
    """The highest of the thermal zones (millidegrees); sensors that are absent report nonsense and are ignored."""
    degrees = [int(text) / 1000 for text in zones if text.strip().lstrip("-").isdigit()]
    plausible = [value for value in degrees if -40 <= value <= 150 and value != 0]
    return round(max(plausible), 1) if plausible else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # also a sensor that is there but has nothing to say
        return ""
