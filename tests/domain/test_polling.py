"""What a later heartbeat proves, without a device or a database."""

from hub.domain.polling import PROVABLE, evidence, noted


def test_a_volume_is_proved_by_the_same_volume() -> None:
    assert evidence("set_volume", {"volume": 40}, None, {"volume": 40}) == {"volume": 40}
    for readings in ({"volume": 41}, {"volume": None}, {}):
        assert evidence("set_volume", {"volume": 40}, None, readings) is None


def test_a_reboot_is_proved_by_a_clock_that_began_anew() -> None:
    before = noted("reboot", {"uptime_seconds": 500})
    assert evidence("reboot", {}, before, {"uptime_seconds": 12}) == {"uptime_before": 500, "uptime_after": 12}
    for readings in ({"uptime_seconds": 500}, {"uptime_seconds": 560}, {"uptime_seconds": None}, {}):
        assert evidence("reboot", {}, before, readings) is None
    assert noted("reboot", {}) is None
    assert evidence("reboot", {}, None, {"uptime_seconds": 12}) is None


def test_nothing_else_is_proved() -> None:
    readings = {"uptime_seconds": 1, "volume": 40, "current_content": "x"}
    for command in ("reload_content", "take_screenshot", "play", "custom:x"):
        assert command not in PROVABLE
        assert evidence(command, {"volume": 40}, {"uptime_before": 5}, readings) is None
