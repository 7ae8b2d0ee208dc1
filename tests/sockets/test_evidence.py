"""What a player says of its success, held against what the hub knows: over real sockets, on both databases, and the
same when it is told again on a later connection or to a hub that was started anew."""

import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Hub, Player, make_team, running_hub, settings
from tests.sockets.player.test_connection import announcement, either_hub, picture  # noqa: F401

TAKEN = {"source": "simulated", "captured_at": "2026-01-01T00:00:00Z"}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def upload(player: Player, number: int, data: bytes, **announced: Any) -> str:
    """The id under which the hub keeps it."""
    await player.send(**announcement(data, number=number, **announced))
    await player.until("upload_ready")
    await player.connection.send(struct.pack(">IQ", number, 0) + data)
    return str((await player.until("upload_done"))["id"])


async def asked(hub: Hub, player: Player, player_id: int, name: str, payload: dict[str, Any] | None = None) -> str:
    """A command that the player has taken."""
    command_id = await hub.command(player_id, name, payload)
    assert (await player.until("command"))["id"] == command_id
    await player.send(type="ack", id=command_id)
    return command_id


async def told(hub: Hub, player: Player, command_id: str, **detail: Any) -> tuple[str, str | None, bool | None]:
    """(state, error code, unverified) after the player's success."""
    await player.result(command_id, **detail)
    await player.until("result_ok")
    return await ended(hub, command_id)


async def ended(hub: Hub, command_id: str) -> tuple[str, str | None, bool | None]:
    story = await hub.story(command_id)
    return story["status"], (story["error"] or {}).get("code"), story["detail"].get("unverified")


VERIFIED = ("succeeded", None, None)
UNVERIFIED = ("succeeded", None, True)
CONTRADICTED = ("failed", "evidence_contradicted", None)
NO_EVIDENCE = ("failed", "no_evidence", None)


async def test_a_picture_of_another_command_or_with_another_hash_is_no_evidence(either_hub: Hub) -> None:  # noqa: F811
    hub = either_hub
    player_id, token = await hub.player()
    old, new = picture(), picture(size=(64, 64))
    async with hub.connected(token) as player:
        before = await asked(hub, player, player_id, "take_screenshot")
        first = await upload(player, 1, old, command=before)
        assert await told(hub, player, before, screenshot_id=first, sha256=digest(old), **TAKEN) == VERIFIED
        unasked = await upload(player, 2, new)
        claims = [(first, old), (unasked, new)]
        for screenshot_id, data in claims:
            command_id = await asked(hub, player, player_id, "take_screenshot")
            detail = {"screenshot_id": screenshot_id, "sha256": digest(data)} | TAKEN
            assert await told(hub, player, command_id, **detail) == CONTRADICTED
        command_id = await asked(hub, player, player_id, "take_screenshot")
        screenshot_id = await upload(player, 3, new, command=command_id)
        detail = {"screenshot_id": screenshot_id, "sha256": digest(old)} | TAKEN
        assert await told(hub, player, command_id, **detail) == CONTRADICTED


async def test_logs_are_those_that_were_sent_for_the_command(either_hub: Hub) -> None:  # noqa: F811
    hub = either_hub
    player_id, token = await hub.player()
    async with hub.connected(token, capabilities=["collect_logs"]) as player:
        mine = await asked(hub, player, player_id, "collect_logs")
        other = await asked(hub, player, player_id, "collect_logs")
        never = await asked(hub, player, player_id, "collect_logs")
        logs = await upload(player, 1, b"a line\n", kind="logs", mime="text/plain", command=mine)
        assert await told(hub, player, other, upload_id=logs) == CONTRADICTED
        assert await told(hub, player, never, upload_id="nothing") == ("failed", "no_evidence", None)
        assert await told(hub, player, mine, upload_id=logs) == VERIFIED


async def test_a_reboot_that_the_hello_contradicts_is_none(either_hub: Hub) -> None:  # noqa: F811
    hub = either_hub
    player_id, token = await hub.player()
    seen = {"seconds_away": 9, "boot_id": "boot-2", "boot_id_after": "boot-2"}
    async with hub.connected(token) as player:
        ids = [await asked(hub, player, player_id, "reboot") for _ in range(4)]
        # It has not been away.
        assert await told(hub, player, ids[0], boot_id_before="boot-1", **seen) == CONTRADICTED
    journal = [{"id": command_id, "state": "running"} for command_id in ids[1:]]
    async with hub.connected(token, boot_id="boot-2", journal=journal) as player:
        assert await told(hub, player, ids[1], boot_id_before="boot-0", **seen) == CONTRADICTED
        assert await told(hub, player, ids[2], boot_id_before="boot-1", **seen) == VERIFIED
        late = seen | {"boot_id": "boot-3", "boot_id_after": "boot-3"}
        assert await told(hub, player, ids[3], boot_id_before="boot-1", **late) == UNVERIFIED


async def test_only_a_display_may_say_that_it_cannot_tell(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token, capabilities=["set_volume", "set_display"]) as player:
            command_id = await asked(hub, player, player_id, "set_volume", {"volume": 40})
            assert await told(hub, player, command_id, volume=40, unverified=True) == VERIFIED
            command_id = await asked(hub, player, player_id, "set_volume", {"volume": 40})
            assert await told(hub, player, command_id, volume=41, unverified=True) == CONTRADICTED
            command_id = await asked(hub, player, player_id, "set_display", {"on": False})
            assert await told(hub, player, command_id, on=None, unverified=True) == UNVERIFIED


async def test_what_is_played_and_shown_is_this_players_own(either_hub: Hub) -> None:  # noqa: F811
    hub = either_hub
    player_id, token = await hub.player()
    asset = {"name": "News", "type": "web", "source_url": "https://news.example/"}
    asset_id = (await hub.client.post("/api/v1/assets", json=asset)).json()["data"]["id"]
    async with hub.connected(token, capabilities=["play", "identify", "reload_content"]) as player:
        for name, expected in (("News", VERIFIED), ("totally other", CONTRADICTED)):
            command_id = await asked(hub, player, player_id, "play", {"asset_id": asset_id})
            assert await told(hub, player, command_id, current_content=name) == expected
        for shown_id, expected in ((player_id, VERIFIED), (player_id + 1, CONTRADICTED)):
            command_id = await asked(hub, player, player_id, "identify")
            assert await told(hub, player, command_id, shown={"id": shown_id}) == expected
        revision = hub.registry.get(player_id).revision  # type: ignore[union-attr]
        for name, expected in (
            (revision, VERIFIED),
            ("0" * 32, UNVERIFIED),
            ("zzz", CONTRADICTED),
            (None, NO_EVIDENCE),
        ):
            command_id = await asked(hub, player, player_id, "reload_content")
            assert await told(hub, player, command_id, revision=name) == expected


async def test_a_name_that_was_another_since_the_command_was_sent_contradicts_nothing(either_hub: Hub) -> None:  # noqa: F811
    hub = either_hub
    player_id, token = await hub.player()

    async def asset(name: str) -> int:
        page = {"name": name, "type": "web", "source_url": "https://news.example/"}
        return int((await hub.client.post("/api/v1/assets", json=page)).json()["data"]["id"])

    first, second, third = [await asset(name) for name in ("One", "Two", "Three")]
    items = [{"asset_id": first}, {"asset_id": second}]
    playlist = (await hub.client.post("/api/v1/playlists", json={"name": "Day", "items": items})).json()["data"]["id"]
    async with hub.connected(token, capabilities=["play"]) as player:

        async def play(**payload: int) -> str:
            return await asked(hub, player, player_id, "play", payload)

        expected = {"One": VERIFIED, "Two": VERIFIED, "Day": VERIFIED, "Three": CONTRADICTED}
        for name, verdict in expected.items():
            assert await told(hub, player, await play(playlist_id=playlist), current_content=name) == verdict

        before = await play(asset_id=third)
        await hub.client.patch(f"/api/v1/assets/{third}", json={"name": "3"})
        assert await told(hub, player, before, current_content="Three") == UNVERIFIED
        assert await told(hub, player, await play(asset_id=third), current_content="Three") == CONTRADICTED

        before = await play(playlist_id=playlist)
        await hub.client.patch(f"/api/v1/assets/{second}", json={"name": "2"})
        assert await told(hub, player, before, current_content="Two") == UNVERIFIED

        before = await play(playlist_id=playlist)
        await hub.client.delete(f"/api/v1/assets/{first}")
        assert await told(hub, player, before, current_content="One") == UNVERIFIED
        assert await told(hub, player, await play(playlist_id=playlist), current_content="One") == CONTRADICTED

        before = await play(asset_id=third)
        await hub.client.delete(f"/api/v1/assets/{third}")
        assert await told(hub, player, before, current_content="3") == UNVERIFIED


@pytest.mark.parametrize(
    ("before", "expected"), [("boot-1", VERIFIED), ("boot-0", CONTRADICTED)], ids=["honest", "contradicted"]
)
async def test_a_hub_that_was_started_anew_judges_the_same(
    tmp_path: Path, before: str, expected: tuple[str, str | None, bool | None]
) -> None:
    given = settings(tmp_path)
    key = await make_team(given.database_url)
    async with running_hub(given, key) as hub:
        player_id, token = await hub.player()
        data = picture()
        async with hub.connected(token) as player:
            reboot = await asked(hub, player, player_id, "reboot")
            wrong = await asked(hub, player, player_id, "take_screenshot")
            screenshot_id = await upload(player, 1, data, command="another")
            await hub.event("command.acknowledged", command_id=wrong)
    details = {
        reboot: {"boot_id_before": before, "boot_id_after": "boot-2", "seconds_away": 9},
        wrong: {"screenshot_id": screenshot_id, "sha256": digest(data)} | TAKEN,
    }
    journal = [
        {
            "id": command_id,
            "state": "finished",
            "result": {
                "id": command_id,
                "status": "succeeded",
                "detail": detail,
                "finished_at": "2026-01-01T00:00:01Z",
                "boot_id": "boot-2",
            },
        }
        for command_id, detail in details.items()
    ]
    async with running_hub(given, key) as hub, hub.connected(token, boot_id="boot-2", journal=journal):
        assert await ended(hub, reboot) == expected
        assert await ended(hub, wrong) == CONTRADICTED
