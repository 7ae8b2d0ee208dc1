import ipaddress
from pathlib import Path

import pytest

from device_agent.reports import telemetry
from device_agent.system.simulated import SimulatedSystem
from hub.protocol.codec import PLAYER_TO_HUB, decode, encode
from hub.protocol.messages import Telemetry
from hub.protocol.times import read_time

STAT = """cpu  1000 50 300 8000 200 10 40 0 77 0
cpu0 500 25 150 4000 100 5 20 0 30 0
intr 12345 0 0
ctxt 987654
btime 1774780000
"""
MEMINFO = """MemTotal:        3884332 kB
MemFree:          191024 kB
MemAvailable:    2884332 kB
Buffers:          100000 kB
"""
WIRELESS = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   58.  -52.  -256        0      0      0      0      0        0
"""


def test_cpu_load_is_the_difference_between_two_readings() -> None:
    meter = telemetry.CpuMeter()
    assert meter.read(STAT) is None
    assert meter.read("cpu  1150 50 350 8500 500 10 40 0 99 0\n") == 20.0  # 1000 ticks later, 800 of them idle


def test_no_time_passed_is_no_load() -> None:
    meter = telemetry.CpuMeter()
    meter.read(STAT)
    assert meter.read(STAT) is None
    assert meter.read("") is None


def test_cpu_ticks_are_read_from_the_line_of_all_processors() -> None:
    assert telemetry.cpu_times(STAT) == (8200, 9600)
    assert telemetry.cpu_times("intr 1\n") is None


def test_used_memory_leaves_out_what_can_be_reclaimed() -> None:
    assert telemetry.memory_used_mb(MEMINFO) == 1024
    assert telemetry.memory_used_mb("MemTotal: 10 kB\n") is None


@pytest.mark.parametrize(
    ("text", "dbm"),
    [
        (WIRELESS, -52),
        (WIRELESS.replace("-52.", "204."), -52),  # a driver that reports an unsigned byte
        ("\n".join(WIRELESS.splitlines()[:2]), None),
        ("", None),
    ],
)
def test_wifi_signal_is_the_level_in_dbm(text: str, dbm: int | None) -> None:
    assert telemetry.wifi_dbm(text) == dbm


def test_temperature_is_the_hottest_plausible_sensor() -> None:
    assert telemetry.hottest_c(["41500\n", "63250\n", "-273200\n", "0\n", "", "nonsense"]) == 63.2
    assert telemetry.hottest_c([]) is None


def test_storage_adds_up(tmp_path: Path) -> None:
    storage = telemetry.storage_mb(tmp_path)
    assert storage["storage_total_mb"] > 0
    assert storage["storage_used_mb"] + storage["storage_free_mb"] <= storage["storage_total_mb"] + 1
    assert telemetry.storage_mb(tmp_path / "missing") == {}


def test_the_address_is_one_of_this_machine() -> None:
    address = telemetry.ip_address()
    assert address is None or not ipaddress.ip_address(address).is_unspecified


def test_readings_of_a_sample_machine_go_on_the_wire_as_they_are(tmp_path: Path) -> None:
    root, state = tmp_path / "root", tmp_path / "state"
    for path, text in {
        "proc/stat": STAT,
        "proc/meminfo": MEMINFO,
        "proc/net/wireless": WIRELESS,
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    system, cpu = SimulatedSystem(state, clock_offset_s=-86400), telemetry.CpuMeter()
    cpu.read("cpu  0 0 0 0 0 0 0 0 0 0")
    readings = telemetry.read_telemetry(system, storage=state, cpu=cpu, root=root)
    assert readings["wifi_signal"] == -52
    assert readings["memory_used_mb"] == 1024
    assert readings["temperature_c"] == 48.3
    assert readings["cpu_percent"] == 14.6
    assert readings["screen_on"] is True
    assert readings["uptime_seconds"] >= 0
    assert abs(read_time(readings["clock"]) - system.now()) < 60_000  # the device's clock, a day behind
    message = Telemetry(**readings)
    assert decode(encode(message), PLAYER_TO_HUB) == message


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    readings = telemetry.read_telemetry(
        SimulatedSystem(tmp_path), storage=tmp_path / "missing", cpu=telemetry.CpuMeter(), root=tmp_path / "empty"
    )
    readings.pop("ip_address", None)  # depends on the network of this machine
    assert set(readings) == {"screen_on", "uptime_seconds", "clock"}
