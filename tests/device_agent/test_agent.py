"""The whole agent against a hub: commands, evidence, settings, alerts, pictures."""

import asyncio
import hashlib
import time

import pytest

from device_agent.players.base import Banner
from device_agent.players.simulated import SimulatedPlayer
from device_agent.reports.telemetry import ip_address
from device_agent.system.base import Rebooted
from device_agent.system.simulated import SimulatedSystem
from hub.domain import evidence
from hub.domain.commands import lookup
from hub.protocol.messages import Ack, Alert, Bye, DeviceEvent, Result, Settings, SettingsReport, Telemetry, Upload
from hub.protocol.times import write_time


def proven(result: Result, command: str, payload: dict | None = None) -> dict:
    """The detail of a success that the hub believes."""
    assert result.status == "succeeded", result.error
    spec = lookup(command)
    claim = evidence.Claim(result.id, 7, payload or {}, result.detail or {}, result.boot_id)
    assert evidence.judge(spec.evidence, spec.judge, claim).code is None
    return result.detail


async def test_it_says_who_it_is_and_goodbye(hub, start_agent):
    async with start_agent():
        connection = await hub.welcomed()
        hello = connection.hello
        assert hello.player.kind == "simulated"
        assert {"reboot", "take_screenshot", "set_volume", "lock", "collect_logs"} <= set(hello.capabilities)
        assert "update_agent" not in hello.capabilities
        assert hub.requests[0].path == "/ws/player"
        await connection.hear(SettingsReport)
    assert (await connection.hear(Bye)).reason == "stopping"
    await connection.ended()
    assert connection.code == 1000


@pytest.mark.parametrize(
    ("command", "payload", "delivery"),
    [
        ("set_volume", {"volume": 30}, "idempotent"),
        ("set_display", {"on": False}, "idempotent"),
        ("play", {"url": "https://example.com/film.mp4", "duration_s": 60}, "idempotent"),
        ("reload_content", {}, "idempotent"),
        ("restart_player", {}, "once"),
        ("identify", {"seconds": 5}, "safe"),
        ("lock", {"pin": "1234"}, "idempotent"),
        ("unlock", {}, "idempotent"),
        ("clear_cache", {}, "idempotent"),
        ("take_screenshot", {"max_width": 320}, "safe"),
        ("collect_logs", {"lines": 10}, "safe"),
    ],
)
async def test_a_command_is_acked_then_done_with_evidence_that_the_hub_accepts(
    hub, start_agent, command, payload, delivery
):
    async with start_agent():
        connection = await hub.welcomed()
        await connection.command("c1", command, payload, delivery)
        await connection.hear(Ack, id="c1")
        proven(await connection.hear(Result), command, payload)


@pytest.mark.parametrize(
    ("command", "payload", "code"),
    [
        ("make_coffee", {}, "unsupported_command"),
        ("update_agent", {"version": "2"}, "unsupported_command"),
        ("custom:unknown", {}, "unsupported_command"),
        ("set_volume", {"volume": 101}, "invalid_payload"),
        ("set_volume", {"volume": True}, "invalid_payload"),
        ("set_volume", {}, "invalid_payload"),
        ("set_display", {"on": 1}, "invalid_payload"),
        ("lock", {"pin": "12a4"}, "invalid_payload"),
        ("identify", {"seconds": 0}, "invalid_payload"),
        ("play", {"asset_id": 3}, "not_found"),
        ("play", {"playlist_id": 3}, "not_found"),
        ("play", {"url": __file__}, "invalid_payload"),
    ],
)
async def test_what_makes_no_sense_here_is_rejected_with_the_reason(hub, start_agent, command, payload, code):
    async with start_agent():
        connection = await hub.welcomed()
        await connection.command("c1", command, payload, "idempotent")
        result = await connection.hear(Result)
        assert (result.status, result.error.code) == ("rejected", code)


@pytest.mark.parametrize(
    "url", ["gopher://example.com/", "file://{own}", "{own}", "av://v4l2:/dev/video0", "http://{own}"]
)
async def test_what_the_player_cannot_play_fails_with_its_reason(hub, start_agent, tmp_path, url):
    (tmp_path / "a:").mkdir()
    own = tmp_path / "a:" / "own.png"  # `a://own.png` is the same file
    own.touch()
    async with start_agent():
        connection = await hub.welcomed()
        own_path = str(own).replace("a:/", "a://")
        await connection.command("c1", "play", {"url": url.format(own=own_path)}, "idempotent")
        result = await connection.hear(Result)
        assert (result.status, result.error.code) == ("failed", "unsupported_uri")


async def test_a_screenshot_is_stored_before_its_result_and_is_the_picture_on_screen(hub, start_agent):
    player = SimulatedPlayer("Test", clock=lambda: 0)
    async with start_agent(player=player):
        connection = await hub.welcomed()
        await connection.command("c1", "take_screenshot", {"max_width": 64})
        upload = await connection.hear(Upload)
        assert (upload.kind, upload.command, upload.source) == ("screenshot", "c1", "simulated")
        detail = proven(await connection.hear(Result), "take_screenshot")
        expected = (await player.screenshot(max_width=64)).data
        assert detail["sha256"] == hashlib.sha256(expected).hexdigest()
        assert bytes(hub.blobs[detail["sha256"]]) == expected
        assert detail["screenshot_id"] == "shot-1"


async def test_an_upload_goes_on_where_the_last_connection_was_cut(hub, start_agent):
    hub.cut_upload_at = 2048
    async with start_agent():
        first = await hub.welcomed()
        await first.command("c1", "take_screenshot", {"max_width": 640})
        await first.ended()
        second = await hub.welcomed()
        assert [entry.state for entry in second.hello.journal] == ["running"]
        detail = proven(await second.hear(Result), "take_screenshot")
        assert hub.offsets == [0, 2048]
        assert hashlib.sha256(hub.blobs[detail["sha256"]]).hexdigest() == detail["sha256"]


async def test_a_slow_upload_blocks_no_other_command(hub, start_agent):
    hub.ready_uploads = False
    async with start_agent():
        connection = await hub.welcomed()
        await connection.command("c1", "take_screenshot", {})
        await connection.hear(Upload)
        await connection.command("c2", "set_volume", {"volume": 5}, "idempotent")
        assert (await connection.hear(Result)).id == "c2"


async def test_a_reboot_says_goodbye_and_is_proven_by_the_next_boot(hub, start_agent, tmp_path):
    async with start_agent(kill=True) as agent:
        connection = await hub.welcomed()
        await connection.command("c1", "reboot", delivery="once")
        assert (await connection.hear(Bye)).reason == "rebooting"
        with pytest.raises(Rebooted):
            await agent.running
        assert not [said for said in connection.passed if isinstance(said, Result)]
    async with start_agent():
        connection = await hub.welcomed()
        (entry,) = connection.hello.journal
        detail = proven(entry.result, "reboot")
        assert detail["boot_id_after"] == connection.hello.boot_id != detail["boot_id_before"]


async def test_a_reboot_that_is_refused_fails_and_the_player_was_never_away(hub, start_agent):
    async with start_agent(reboot_command=["/bin/false"]):
        connection = await hub.welcomed()
        await connection.command("c1", "reboot", delivery="once")
        result = await connection.hear(Result)
        assert (result.status, result.error.code) == ("failed", "command_failed")
        assert not [said for said in connection.passed if isinstance(said, Bye)]
    assert (await connection.hear(Bye)).reason == "stopping"


class Undecided(SimulatedSystem):
    """Takes the order to reboot, and nothing follows."""

    def __init__(self, state_dir):
        super().__init__(state_dir)
        self.ordered = asyncio.Event()

    async def reboot(self):
        self.ordered.set()


async def test_a_reboot_that_does_not_happen_fails_and_the_player_was_never_away(
    hub, start_agent, tmp_path, monkeypatch
):
    monkeypatch.setattr("device_agent.commands.actions.REBOOT_S", 0.0)
    async with start_agent(system=Undecided(tmp_path)):
        connection = await hub.welcomed()
        await connection.command("c1", "reboot", delivery="once")
        assert (await connection.hear(Result)).error.code == "not_rebooted"
        assert not [said for said in connection.passed if isinstance(said, Bye)]


async def test_an_agent_that_is_ended_by_its_reboot_says_so(hub, start_agent, tmp_path):
    system = Undecided(tmp_path)
    async with start_agent(system=system):
        connection = await hub.welcomed()
        await connection.command("c1", "reboot", delivery="once")
        async with asyncio.timeout(20):
            await system.ordered.wait()
    assert (await connection.hear(Bye)).reason == "rebooting"


class Titled(SimulatedPlayer):
    """Tells which names it is to show."""

    def __init__(self):
        super().__init__("Test")
        self.names = asyncio.Queue()

    async def rename(self, name):
        self.names.put_nowait(name)


async def test_a_new_name_is_shown_at_once_and_after_a_restart_too(hub, start_agent):
    screen = Titled()
    async with asyncio.timeout(30), start_agent(player=screen):
        connection = await hub.welcomed()
        assert connection.hello.ip_address == ip_address()
        assert await screen.names.get() == "Lobby"
        connection.session.send(Settings(desired={}, name="Cafeteria"))
        await connection.flush()
        assert await screen.names.get() == "Cafeteria"
    again = Titled()
    async with asyncio.timeout(30), start_agent(player=again):
        assert await again.names.get() == "Cafeteria"


async def test_settings_are_made_true_and_reported(hub, start_agent, tmp_path):
    hub.settings = {"volume": 12, "display_on": False, "locked": True, "pin": "9876", "brightness": 50}
    player, system = SimulatedPlayer(), SimulatedSystem(tmp_path)
    async with start_agent(player=player, system=system):
        connection = await hub.welcomed()
        report = await connection.hear(SettingsReport)
        assert report.reported == {"volume": 12, "display_on": False, "locked": True}
        assert report.failed == {"brightness": "This device has no such setting."}
        assert await player.volume() == 12
        assert system.display_on() is False


async def test_settings_outlast_the_agent_without_its_hub(hub, start_agent):
    hub.settings = {"volume": 12, "locked": True, "pin": "9876"}
    async with start_agent():
        await (await hub.welcomed()).hear(SettingsReport)
    hub.settings = {}
    async with start_agent():
        assert (await hub.welcomed()).hello.settings["volume"] == 12


async def test_an_alert_is_shown_until_it_is_cleared(hub, start_agent):
    alert = Alert(id="a1", action="raise", title="Fire", message="Leave the building", severity="extreme")
    hub.alerts = [alert]
    player = ListeningPlayer()
    async with start_agent(player=player):
        connection = await hub.welcomed()
        assert (await connection.hear(DeviceEvent, name="alert.shown")).data == {"id": "a1"}
        assert await player.banners.get() == Banner("extreme", "Fire", "Leave the building")
        connection.session.send(Alert(id="a1", action="clear", title="", message="", severity="extreme"))
        await connection.flush()
        assert await player.banners.get() is None


async def test_an_alert_ends_by_itself_while_the_hub_is_away(hub, start_agent):
    soon = write_time(time.time_ns() // 1_000_000 + 700)
    hub.alerts = [Alert(id="a1", action="raise", title="Fire", message="!", severity="minor", expires_at=soon)]
    player = ListeningPlayer()
    async with start_agent(player=player):
        connection = await hub.welcomed()
        assert await player.banners.get() is not None
        hub.refusals.extend([(503, {"Retry-After": "60"})] * 10)  # it stays away
        connection.cut()
        assert await player.banners.get() is None


class ListeningPlayer(SimulatedPlayer):
    """Tells which emergency messages lie over the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.banners: asyncio.Queue[Banner | None] = asyncio.Queue()

    async def show_banner(self, banner: Banner | None) -> None:
        await super().show_banner(banner)
        self.banners.put_nowait(banner)


async def test_telemetry_comes_at_its_interval_with_what_the_player_shows(hub, start_agent, pauses):
    hub.telemetry_s = 33
    async with start_agent(sleep=pauses):
        connection = await hub.welcomed()
        first = await connection.hear(Telemetry)
        assert first.volume == 100
        assert first.clock is not None
        assert await pauses.next() == 33
        pauses.end()
        await connection.hear(Telemetry)


async def test_pictures_come_unasked_at_their_interval_spread_over_the_fleet(hub, start_agent, pauses):
    hub.screenshot_s = 300
    async with start_agent(sleep=pauses):
        connection = await hub.welcomed()
        assert 0 <= await pauses.next() <= 300
        pauses.end()
        upload = await connection.hear(Upload)
        assert (upload.kind, upload.command) == ("screenshot", None)
        assert await pauses.next() == 300


async def test_a_wrong_clock_is_noticed_and_decides_nothing(hub, start_agent, tmp_path):
    system = SimulatedSystem(tmp_path, clock_offset_s=-86_400 * 365)
    async with start_agent(system=system):
        connection = await hub.welcomed()
        event = await connection.hear(DeviceEvent, name="clock.skewed")
        assert event.data["skew_ms"] == pytest.approx(-86_400_000 * 365, abs=60_000)
        await connection.command("c1", "set_volume", {"volume": 1}, "idempotent", in_s=10)
        result = await connection.hear(Result)
        assert result.status == "succeeded"
        assert result.finished_at[:4] >= "2026"


@pytest.mark.parametrize("text", ["x", "\u00fc", "\U0001f525", "\x01"])
async def test_what_is_told_of_the_device_is_as_short_as_the_hub_takes_it(hub, start_agent, text):
    async with start_agent() as agent:
        connection = await hub.welcomed()
        agent.notice("download.failed", {"asset_id": 7, "name": text * 255, "reason": text * 10_000})
        event = await connection.hear(DeviceEvent, name="download.failed")
        assert event.data == {"asset_id": 7, "name": text * 255, "reason": text * 300}


async def test_what_happens_without_a_hub_is_told_later(hub, start_agent, pauses):
    hub.refusals.append((503, {}))
    async with start_agent(sleep=pauses) as agent:
        await pauses.next()
        agent.notice("player.crashed", {"player": "mpv"})
        pauses.end()
        assert (await (await hub.welcomed()).hear(DeviceEvent)).name == "player.crashed"
