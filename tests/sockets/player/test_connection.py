"""Players on the wire: a real hub on loopback, literal frames."""

import asyncio
import hashlib
import io
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from hub.sockets.player.registry import FLOODS
from tests.harness import Hub, running_hub, settings


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings(tmp_path)) as hub:
        yield hub


@pytest.fixture
async def either_hub(tmp_path: Path, database_url: str) -> AsyncIterator[Hub]:
    """A hub on either kind of database."""
    async with running_hub(settings(tmp_path, database_url)) as hub:
        yield hub


def picture(colour: tuple[int, int, int] = (10, 200, 30), size: tuple[int, int] = (320, 180)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def announcement(data: bytes, number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "type": "upload",
        "upload": number,
        "kind": "screenshot",
        "mime": "image/png",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "captured_at": "2026-01-01T00:00:00Z",
        "source": "simulated",
    } | changes


async def test_a_command_travels_to_the_player_and_its_outcome_back(either_hub: Hub) -> None:
    hub = either_hub
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "set_volume", {"volume": 30})
        command = await player.until("command")
        assert command["id"] == command_id
        assert (command["command"], command["payload"], command["delivery"]) == (
            "set_volume",
            {"volume": 30},
            "idempotent",
        )
        assert (await hub.story(command_id))["status"] == "sent"
        await player.send(type="ack", id=command_id)
        await player.send(type="progress", id=command_id, percent=50, note="half way")
        await hub.event("command.acknowledged", command_id=command_id)
        story = await hub.story(command_id)
        assert (story["status"], story["progress"]) == ("acked", {"percent": 50, "note": "half way"})
        await player.result(command_id, volume=30)
        assert await player.until("result_ok") == {"type": "result_ok", "id": command_id}
        assert (await hub.story(command_id))["status"] == "succeeded"


async def test_welcome_tells_what_the_player_needs(hub: Hub) -> None:
    player_id, token = await hub.player("Entrance")
    async with hub.socket(token) as player:
        welcome = await player.hello()
        assert welcome["player_id"] == player_id
        assert welcome["name"] == "Entrance"
        assert welcome["epoch"] == 1
        assert {"session", "server_time", "heartbeat_s", "telemetry_s", "screenshot_s", "chunk_bytes", "window"} <= set(
            welcome
        )
    async with hub.connected(token) as again:
        assert again
        assert (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]["status"] == "online"


async def test_commands_wait_for_a_player_that_is_away_and_go_out_in_order(hub: Hub) -> None:
    player_id, token = await hub.player()
    wanted = [await hub.command(player_id, "identify", {"seconds": 1}) for _ in range(12)]
    async with hub.connected(token) as player:
        first = [(await player.until("command"))["id"] for _ in range(8)]
        assert first == wanted[:8]
        for command_id in first:
            await player.send(type="ack", id=command_id)
        rest = [(await player.until("command"))["id"] for _ in range(4)]
        assert rest == wanted[8:]


async def test_what_was_sent_and_never_arrived_is_sent_again(either_hub: Hub) -> None:
    hub = either_hub
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "reboot")
        await player.until("command")
    async with hub.connected(token) as player:
        assert (await player.until("command"))["id"] == command_id


async def test_what_is_in_the_journal_is_not_sent_again(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "reboot")
        await player.until("command")
    async with hub.connected(token, journal=[{"id": command_id, "state": "accepted"}]) as player:
        await hub.event("command.acknowledged", command_id=command_id)
        await player.result(command_id, "failed")
        assert (await player.receive())["type"] == "result_ok"
        assert (await hub.story(command_id))["status"] == "failed"


async def test_a_result_in_the_journal_settles_the_command(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "set_volume", {"volume": 7})
        await player.until("command")
    result = {
        "id": command_id,
        "status": "succeeded",
        "detail": {"volume": 7},
        "finished_at": "2026-01-01T00:00:00Z",
        "boot_id": "b",
    }
    async with hub.connected(token, journal=[{"id": command_id, "state": "finished", "result": result}]) as player:
        assert await player.until("result_ok") == {"type": "result_ok", "id": command_id}
        assert (await hub.story(command_id))["status"] == "succeeded"


async def test_an_acknowledged_command_missing_from_the_journal_has_failed(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "reboot")
        await player.until("command")
        await player.send(type="ack", id=command_id)
        await hub.event("command.acknowledged", command_id=command_id)
    async with hub.connected(token):
        story = await hub.story(command_id)
        assert (story["status"], story["error"]["code"]) == ("failed", "journal_lost")


async def test_a_player_with_a_new_journal_is_not_sent_again_what_must_not_run_twice(either_hub: Hub) -> None:
    hub = either_hub
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        once = await hub.command(player_id, "reboot")
        harmless = await hub.command(player_id, "set_volume", {"volume": 7})
        assert [(await player.until("command"))["id"] for _ in range(2)] == [once, harmless]
    async with hub.connected(token, new_journal=True) as player:
        assert (await player.until("command"))["id"] == harmless
        story = await hub.story(once)
        assert (story["status"], story["error"]["code"]) == ("failed", "journal_lost")
        later = await hub.command(player_id, "reboot")
        assert (await player.until("command"))["id"] == later


async def test_a_journal_that_the_hub_has_met_is_no_new_one_whatever_it_says(either_hub: Hub) -> None:
    """It says so again when its player ended before it had written down that it was welcomed."""
    hub = either_hub
    player_id, token = await hub.player()
    async with hub.connected(token, new_journal=True, journal_id="one") as player:
        once = await hub.command(player_id, "reboot")
        assert (await player.until("command"))["id"] == once
    async with hub.connected(token, new_journal=True, journal_id="one") as player:
        assert (await player.until("command"))["id"] == once
    async with hub.connected(token, journal_id="another"):
        story = await hub.story(once)
        assert (story["status"], story["error"]["code"]) == ("failed", "journal_lost")


async def test_a_cancelled_command_is_called_back_until_the_player_answers(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "reboot")
        await player.until("command")
        await player.send(type="ack", id=command_id)
        answer = await hub.client.delete(f"/api/v1/commands/{command_id}")
        assert answer.status_code == 202
        assert await player.until("cancel") == {"type": "cancel", "id": command_id}
    async with hub.connected(token, journal=[{"id": command_id, "state": "accepted"}]) as player:
        assert await player.until("cancel") == {"type": "cancel", "id": command_id}
        await player.result(command_id, "cancelled")
        await player.until("result_ok")
        assert (await hub.story(command_id))["status"] == "cancelled"


async def test_the_newest_connection_wins(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as old, hub.connected(token, hardware_id="hw-1") as new:
        assert (await old.closed())[0] == 4009
        await hub.command(player_id, "identify")
        await new.until("command")
        assert (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]["status"] == "online"


async def test_two_devices_with_one_token_are_quarantined(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with (
        hub.connected(token, hardware_id="a"),
        hub.connected(token, hardware_id="b") as second,
        hub.socket(token) as third,
    ):
        with pytest.raises(Exception, match="4003"):
            await third.hello(hardware_id="a")
        assert (await second.closed())[0] in (4003, 4009)
    await hub.event("player.cloned", player_id=player_id)
    with pytest.raises(InvalidStatus) as refusal:
        async with hub.socket(token):
            pass
    assert refusal.value.response.status_code == 403


async def test_a_quarantine_that_was_lifted_ends_no_later_connection(hub: Hub) -> None:
    player_id, token = await hub.player()
    await hub.services.events.follow()
    path = f"/api/v1/players/{player_id}"
    await hub.client.patch(path, json={"quarantined": True, "reason": "a mistake"})
    await hub.client.patch(path, json={"quarantined": False})
    async with hub.connected(token) as player:
        await hub.services.events.follow()  # the log tells of the quarantine once more
        await player.send(type="plays", batch="b-1", entries=[])
        assert (await player.receive())["type"] == "plays_ok"
        await hub.client.delete(f"{path}/token")
        assert (await player.closed())[0] == 4001


async def test_a_player_that_somebody_quarantines_is_sent_off_at_once(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        await hub.client.patch(f"/api/v1/players/{player_id}", json={"quarantined": True, "reason": "stolen"})
        assert (await player.closed())[0] == 4003


async def test_desired_settings_are_told_at_once_or_with_the_welcome_and_what_failed_is_shown(hub: Hub) -> None:
    player_id, token = await hub.player()
    path = f"/api/v1/players/{player_id}"
    async with hub.connected(token) as player:
        wished = await hub.client.patch(path, json={"settings": {"volume": 40, "brightness": 7}})
        assert wished.json()["data"]["settings"] == {"volume": 40, "brightness": 7}
        assert (await player.until("settings"))["desired"] == {"volume": 40, "brightness": 7}
        failed = {"brightness": "This device has no such setting."}
        await player.send(type="settings", reported={"volume": 40}, failed=failed)
        await player.send(type="settings", reported={"revision": "r1"})  # says nothing of them
        await player.send(type="event", name="storage.low", data={})
        await hub.event("storage.low", player_id=player_id)  # behind the reports on the same socket
        shown = (await hub.client.get(path)).json()["data"]
        assert (shown["settings_failed"], shown["reported"]) == (failed, {"volume": 40, "revision": "r1"})
        await player.send(type="settings", reported={"volume": 40})
        await player.send(type="event", name="storage.low", data={"again": True})
        await hub.event("storage.low", player_id=player_id, detail={"again": True})
        assert (await hub.client.get(path)).json()["data"]["settings_failed"] == {}
    group = (await hub.client.post("/api/v1/player-groups", json={"name": "All", "player_ids": [player_id]})).json()
    where = f"/api/v1/player-groups/{group['data']['id']}"
    lock = {"settings": {"locked": True, "pin": "1234"}}
    assert (await hub.client.patch(where, json=lock)).status_code == 200
    async with hub.socket(token) as player:
        desired = {"volume": 40, "brightness": 7, "locked": True, "pin": "1234"}
        assert (await player.hello())["settings"] == desired
        assert "1234" not in (await hub.client.get(path)).text
        await hub.client.patch(where, json={"settings": {"locked": False}})
        assert (await player.until("settings"))["desired"] == desired | {"locked": False, "pin": None}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"volume": 101},
        {"volume": "loud"},
        {"locked": True},
        {"pin": "1234"},
        {"locked": True, "pin": "x"},
        {"x": 1},
    ],
)
async def test_settings_that_make_no_sense_are_refused(hub: Hub, wrong: dict[str, Any]) -> None:
    player_id, _ = await hub.player()
    path = f"/api/v1/players/{player_id}"
    refused = await hub.client.patch(path, json={"settings": wrong})
    assert refused.status_code == 422
    assert all(field.startswith("settings") for field in refused.json()["errors"])
    assert (await hub.client.get(path)).json()["data"]["settings"] == {}


async def test_presence_is_three_facts_of_which_none_follows_from_another(hub: Hub) -> None:
    player_id, token = await hub.player()

    async def facts() -> tuple[int, bool, bool, bool | None]:
        told = (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]
        names = ("connected", "agent_healthy", "picture_changing")
        assert all(told["presence"][name]["since"] for name in names if told["presence"][name]["value"] is not None)
        assert not any(name.startswith("~") for name in told["reported"])
        return told["presence"]["epoch"], *(told["presence"][name]["value"] for name in names)

    assert await facts() == (0, False, False, None)
    async with hub.connected(token) as player:
        assert await facts() == (1, True, True, None)
        await player.send(type="event", name="picture.frozen", data={})
        await hub.event("picture.frozen", player_id=player_id)
        assert await facts() == (1, True, True, False)
        hub.services.presence.doubt(player_id, True)
        assert await facts() == (1, True, False, False)
        hub.services.presence.doubt(player_id, False)
        await player.send(type="event", name="picture.recovered", data={})
        await hub.event("picture.recovered", player_id=player_id)
        assert await facts() == (1, True, True, True)
        await player.send(type="bye", reason="stopping")
        await player.closed()
    await hub.event("player.offline", player_id=player_id)
    assert await facts() == (1, False, False, True)


@pytest.mark.parametrize(("said", "told"), [("stopping", "bye"), ("rebooting", "rebooting")])
async def test_a_goodbye_is_offline_at_once_and_says_so_for_a_reboot(hub: Hub, said: str, told: str) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        await player.send(type="bye", reason=said)
        await player.closed()
    event = await hub.event("player.offline", player_id=player_id)
    assert event["data"]["reason"] == told


async def test_a_lost_connection_is_offline_after_its_grace_and_a_return_within_it_is_no_event(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, players={"unclean_grace_s": 1})) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token) as player:
            player.vanish()
        async with hub.connected(token) as player:
            player.vanish()
        event = await hub.event("player.offline", player_id=player_id)
        assert (event["data"]["reason"], event["data"]["epoch"]) == ("lost", 2)
        page = (await hub.client.get("/api/v1/events", params={"limit": 1000})).json()["data"]
        assert [one["event"] for one in page if one["event"] in ("player.online", "player.offline")] == [
            "player.online",
            "player.offline",
        ]


async def test_a_player_in_doubt_is_shown_as_such_and_still_online(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, players={"heartbeat_s": 1, "silence_s": 3600})) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token) as player:
            player.connection.transport.pause_reading()
            while not (shown := (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"])["suspect"]:
                assert shown["connected"]
            assert shown["status"] == "online"
            player.connection.transport.resume_reading()
            while (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]["suspect"]:
                pass


async def test_a_player_that_falls_silent_is_dropped_and_a_pong_is_life_enough(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, players={"heartbeat_s": 1, "silence_s": 3})) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token) as player:
            silent, silent_token = await hub.player("silent")
            async with hub.connected(silent_token) as other:
                other.connection.transport.pause_reading()  # pings arrive, nothing answers
                event = await hub.event("player.offline", player_id=silent)
                assert event["data"]["reason"] == "silent"
                other.vanish()
            assert player.connection.close_code is None  # the same silence, but for the pongs
            assert (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]["status"] == "online"


@pytest.mark.parametrize("token", [None, "nonsense", "sbp_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"])
async def test_an_unknown_token_gets_401_in_the_one_error_shape(hub: Hub, token: str | None) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with hub.socket(token):
            pass
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.body == b'{"message": "Unauthenticated."}'


async def test_a_token_in_the_address_is_refused(hub: Hub) -> None:
    _, token = await hub.player()
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(
            f"ws://127.0.0.1:{hub.port}/ws/player?token={token}", subprotocols=["signalbox.v1"], proxy=None
        ):  # type: ignore[list-item]
            pass
    assert refusal.value.response.status_code == 401


async def test_without_the_subprotocol_nothing_is_spoken(hub: Hub) -> None:
    _, token = await hub.player()
    with pytest.raises(InvalidStatus) as refusal:
        async with hub.socket(token, subprotocols=["other.v1"]):
            pass
    assert refusal.value.response.status_code == 400


async def test_a_browser_sends_its_token_as_a_subprotocol_and_reads_refusals_as_close_codes(hub: Hub) -> None:
    _, token = await hub.player()
    async with hub.socket(None, subprotocols=["signalbox.v1", f"bearer.{token}"]) as player:
        assert player.connection.subprotocol == "signalbox.v1"
        await player.hello()
    async with hub.socket(None, subprotocols=["signalbox.v1", "bearer.wrong"]) as player:
        assert (await player.closed())[0] == 4001


async def test_a_revoked_token_ends_its_connection(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        await hub.client.delete(f"/api/v1/players/{player_id}/token")
        assert (await player.closed())[0] == 4001
    with pytest.raises(InvalidStatus):
        async with hub.socket(token):
            pass


async def test_a_new_token_replaces_the_old_one(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as old:
        fresh = (await hub.client.post(f"/api/v1/players/{player_id}/token")).json()["token"]
        assert (await old.closed())[0] == 4001
    async with hub.connected(fresh) as player:
        await hub.services.events.follow()
        await hub.command(player_id, "identify")
        assert await player.until("command")


async def test_a_deleted_player_is_put_out(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        await hub.client.delete(f"/api/v1/players/{player_id}")
        assert (await player.closed())[0] == 4001


async def test_no_hello_in_time_is_closed(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, players={"hello_timeout_s": 0.2})) as hub:
        _, token = await hub.player()
        async with hub.socket(token) as player:
            assert (await player.closed())[0] == 4008


async def test_two_hellos_are_one_too_many(hub: Hub) -> None:
    _, token = await hub.player()
    async with hub.connected(token) as player:
        with pytest.raises(Exception, match="4000"):
            await player.hello()


async def test_malformed_messages_get_an_error_and_twenty_of_them_the_end(hub: Hub) -> None:
    _, token = await hub.player()
    async with hub.connected(token) as player:
        for text in ("{", "[]", '{"type":"dance"}', '{"type":"ack"}', '{"type":"ack","id":7}'):
            await player.connection.send(text)
            assert (await player.receive())["type"] == "error"
        for _ in range(15):
            await player.connection.send("nonsense")
        assert (await player.closed())[0] == 4000


async def test_an_oversize_frame_is_1009(hub: Hub) -> None:
    _, token = await hub.player()
    async with hub.connected(token) as player:
        await player.connection.send("x" * 300_000)
        assert (await player.closed())[0] == 1009


async def test_a_screenshot_is_uploaded_in_chunks_and_can_be_fetched(either_hub: Hub) -> None:
    hub = either_hub
    player_id, token = await hub.player()
    data = picture(size=(1280, 720)) + b"\0" * 300_000  # several windows of chunks
    async with hub.connected(token) as player:
        command_id = await hub.command(player_id, "take_screenshot")
        await player.until("command")
        await player.send(type="ack", id=command_id)
        await player.send(**announcement(data, command=command_id))
        ready = await player.until("upload_ready")
        assert ready == {"type": "upload_ready", "upload": 1, "received": 0}
        credited = 0
        for offset in range(0, len(data), 65_536):
            if offset >= credited + 4 * 65_536:
                credited = (await player.until("upload_credit"))["received"]
            await player.connection.send(struct.pack(">IQ", 1, offset) + data[offset : offset + 65_536])
        done = await player.until("upload_done")
        sha256 = hashlib.sha256(data).hexdigest()
        await player.result(
            command_id, screenshot_id=done["id"], sha256=sha256, source="simulated", captured_at="2026-01-01T00:00:00Z"
        )
        await player.until("result_ok")
        assert (await hub.story(command_id))["status"] == "succeeded"
        link = (await hub.client.get(f"/api/v1/players/{player_id}/screenshot")).json()["url"]
        async with hub.as_(None) as anyone:
            assert (await anyone.get(link)).content == data
        await player.send(**announcement(data, number=2, command=command_id))
        assert (await player.until("upload_done"))["id"] == done["id"]


async def test_bytes_that_do_not_agree_are_not_stored(hub: Hub) -> None:
    player_id, token = await hub.player()
    data = picture()
    async with hub.connected(token) as player:
        await player.send(**announcement(data, sha256="0" * 64))
        await player.until("upload_ready")
        await player.connection.send(struct.pack(">IQ", 1, 0) + data)
        assert (await player.until("upload_failed"))["code"] == "sha256_mismatch"
        assert (await hub.client.get(f"/api/v1/players/{player_id}/screenshot")).status_code == 404


async def test_binary_without_an_announcement_is_an_error(hub: Hub) -> None:
    _, token = await hub.player()
    async with hub.connected(token) as player:
        await player.connection.send(struct.pack(">IQ", 9, 0) + b"bytes")
        assert (await player.until("error"))["code"] == "unknown_upload"


async def test_a_reader_that_does_not_read_is_closed(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, players={"outbox_bytes": 262_144, "unclean_grace_s": 0})) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token, capabilities=["custom:big"]) as player:
            player.connection.transport.pause_reading()
            reading = asyncio.create_task(hub.event("player.offline", player_id=player_id))
            connection = hub.registry.get(player_id)
            assert connection is not None
            for _ in range(10_000):  # more than the kernel holds for a reader that sleeps
                connection._session.error("filler", "x" * 4000)
                connection._pump()
                if connection._end_reason == "slow":
                    break
            assert (await reading)["data"]["reason"] == "slow"
            player.vanish()


@pytest.mark.parametrize(
    ("hello", "told"), [({"ip_address": "192.168.1.42"}, "192.168.1.42"), ({}, "127.0.0.1")], ids=["told", "not told"]
)
async def test_the_first_connection_of_all_is_told_with_the_address_of_the_device(
    hub: Hub, hello: dict[str, Any], told: str
) -> None:
    """Where it tells none, with that of its connection."""
    player_id, token = await hub.player("Lobby Display")
    async with hub.connected(token, **hello):
        online = (await hub.event("player.online", player_id=player_id))["data"]
        assert (online["name"], online["status"], online["ip_address"]) == ("Lobby Display", "online", told)
        assert online["screen_id"].startswith("scr_")
        shown = (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]
        assert (shown["ip_address"], shown["connection_address"]) == (told, "127.0.0.1")


async def test_a_new_name_is_told_to_the_screen_at_once(hub: Hub) -> None:
    player_id, token = await hub.player("Lobby")
    async with hub.connected(token) as player:
        wished = {"settings": {"volume": 40}}
        await hub.client.patch(f"/api/v1/players/{player_id}", json={"name": "Cafeteria"} | wished)
        told = await player.until("settings")
        assert (told["name"], told["desired"]) == ("Cafeteria", {"volume": 40})
        await hub.client.put(f"/api/devices/{player_id}", json={"name": "Hall"})
        assert (await player.until("settings"))["name"] == "Hall"


async def test_telemetry_shows_in_the_player_and_is_no_event(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with hub.connected(token) as player:
        await player.send(type="telemetry", volume=41, ip_address="192.0.2.7", cpu_percent=3.5)
        await player.send(type="event", name="storage.low", data={"free_mb": 12})
        event = await hub.event("storage.low", player_id=player_id)  # behind the telemetry on the same socket
        assert event["data"]["detail"] == {"free_mb": 12}
        shown = (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]
        assert shown["telemetry"]["volume"] == 41
        assert (shown["ip_address"], shown["connection_address"]) == ("192.0.2.7", "127.0.0.1")


async def test_a_stopping_hub_sends_its_players_away_first(tmp_path: Path) -> None:
    config = settings(tmp_path)
    async with running_hub(config) as hub:
        player_id, token = await hub.player()
        key = hub.key
        async with hub.connected(token) as player:
            draining = asyncio.create_task(hub.registry.drain())
            drain = await player.until("drain")
            assert 0 <= drain["reconnect_after_ms"] <= 10_000
            assert (await player.closed())[0] == 4150
            await draining
        with pytest.raises(InvalidStatus) as refusal:
            async with hub.socket(token):
                pass
        assert refusal.value.response.status_code == 503
        assert int(refusal.value.response.headers["Retry-After"]) >= 1
    async with running_hub(config, key) as hub:
        assert (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]["status"] == "online"
        async with hub.connected(token):
            page = (await hub.client.get("/api/v1/events", params={"limit": 1000})).json()["data"]
            assert "player.offline" not in [event["event"] for event in page]


async def test_floods_of_before_the_lifting_of_a_quarantine_do_not_count(hub: Hub) -> None:
    player_id, token = await hub.player()
    for _ in range(FLOODS - 1):
        hub.registry.flooded(player_id)
    await hub.services.presence.quarantine(player_id, "cloned")
    await hub.client.patch(f"/api/v1/players/{player_id}", json={"quarantined": False})
    hub.registry.flooded(player_id)
    await asyncio.gather(*hub.registry.tasks)
    async with hub.connected(token):
        pass


async def test_a_player_that_floods_is_sent_off_and_the_third_time_quarantined(hub: Hub) -> None:
    player_id, token = await hub.player()
    for _ in range(3):
        async with hub.connected(token) as player:
            for _ in range(13_000):
                if player.connection.close_code is not None:
                    break
                try:
                    await player.send(type="telemetry", volume=1)
                except ConnectionClosed:
                    break
            assert (await player.closed())[0] == 4029
        hub.registry.budgets._budgets.clear()  # a minute later
    event = await hub.event("player.quarantined", player_id=player_id)
    assert event["data"]["reason"] == "flooding"
    with pytest.raises(InvalidStatus) as refusal:
        async with hub.socket(token):
            pass
    assert refusal.value.response.status_code == 403
    lifted = await hub.client.patch(f"/api/v1/players/{player_id}", json={"quarantined": False})
    assert lifted.json()["data"]["quarantined"] is False
    async with hub.connected(token):
        pass


async def test_admissions_are_paced_with_a_time_to_come_back(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, players={"admissions_per_s": 1})) as hub:
        _, token = await hub.player()

        async def refused() -> Response | None:
            try:
                async with hub.socket(token):
                    return None
            except InvalidStatus as refusal:
                return refusal.response

        responses = [one for one in await asyncio.gather(*(refused() for _ in range(8))) if one is not None]
        assert {response.status_code for response in responses} == {503}
        assert all(int(response.headers["Retry-After"]) >= 1 for response in responses)
