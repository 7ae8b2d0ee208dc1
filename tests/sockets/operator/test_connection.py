"""The operator feed, over real sockets."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.domain.times import SECOND, now_ms
from hub.sockets.operator import connection as connection_module
from hub.store.tables import AccountToken
from tests.harness import PASSWORD, Hub, running_hub, settings
from tests.operator import Operator, operator
from tests.quotas import settings_of
from tests.waiting import PATIENCE_S


@pytest.fixture
async def hub(tmp_path: Path) -> Any:
    async with running_hub(settings(tmp_path, players={"heartbeat_s": 1, "silence_s": 3600})) as hub:
        yield hub


async def key(hub: Hub, *scopes: str) -> tuple[int, str]:
    made = (await hub.client.post("/api/v1/api-keys", json={"name": "Wall", "scopes": list(scopes)})).json()["data"]
    return made["id"], made["key"]


async def test_a_snapshot_then_what_happens(hub: Hub) -> None:
    player_id, token = await hub.player("Lobby")
    async with operator(hub.url, hub.key) as one:
        snapshot = await one.subscribe("players")
        [player] = snapshot["players"]
        assert (player["player_id"], player["name"], player["status"]) == (player_id, "Lobby", "offline")
        assert snapshot["counts"] == one.state.counts

        async with hub.connected(token):
            event = await one.until("event", event="player.online")
            assert event["data"]["player_id"] == player_id
            assert one.state.players[player_id]["status"] == "online"
            [logged] = [
                told
                for told in (await hub.client.get("/api/v1/events")).json()["data"]
                if told["event"] == "player.online"
            ]
            assert {name: value for name, value in event.items() if name != "type"} == logged


async def test_everybody_who_listens_is_sent_the_same_bytes(hub: Hub) -> None:
    async with operator(hub.url, hub.key) as one, operator(hub.url, hub.key) as other:
        for who in (one, other):
            await who.subscribe("events")
        await hub.player("Lobby")
        heard = [await who.connection.recv(decode=False) for who in (one, other)]
        assert heard[0] == heard[1]


async def test_who_comes_back_with_a_cursor_is_told_what_it_missed(hub: Hub) -> None:
    async with operator(hub.url, hub.key) as one:
        await one.subscribe("players")
        state = one.state
    for name in ("First", "Second"):
        await hub.player(name)

    async with operator(hub.url, hub.key, state) as again:
        message = await again.subscribe("players")
        assert (message["type"], message["data"]["name"]) == ("event", "First")
        await again.until("event", event="player.created")
        assert state.resets == 0
    async with operator(hub.url, hub.key) as fresh:
        await fresh.subscribe("players")
        assert fresh.state.players == state.players


@pytest.mark.parametrize("cursor", ["other-1", "nonsense", "", "{log}-99999999"])
async def test_a_cursor_that_leads_nowhere_is_a_reset_and_a_snapshot(hub: Hub, cursor: str) -> None:
    log_id = await hub.services.events.log_id()
    async with operator(hub.url, hub.key) as one:
        await one.say(type="subscribe", topics=["players"], after=cursor.format(log=log_id))
        assert (await one.hear())["type"] == "reset"
        assert (await one.hear())["type"] == "snapshot"


async def test_who_was_away_for_too_long_gets_a_snapshot(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "RESUME_LIMIT", 1)
    async with operator(hub.url, hub.key) as one:
        await one.subscribe("players")
        state = one.state
    for name in ("First", "Second"):
        await hub.player(name)
    async with operator(hub.url, hub.key, state) as again:
        assert (await again.subscribe("players"))["type"] == "snapshot"
        assert state.resets == 1


async def test_a_large_team_comes_in_parts(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PLAYERS_A_PART", 2)
    for number in range(5):
        await hub.player(f"Player {number}")
    async with operator(hub.url, hub.key) as one:
        await one.subscribe("players")
        assert sorted(player["name"] for player in one.state.players.values()) == [f"Player {n}" for n in range(5)]
        assert one.state.told_counts == one.state.counts


async def test_topics_and_scopes_decide_what_is_told(hub: Hub) -> None:
    player_id, _ = await hub.player()
    _, weak = await key(hub, "read:players")
    async with operator(hub.url, weak) as everything, operator(hub.url, hub.key) as commands:
        await everything.subscribe("events")
        assert (await commands.subscribe("commands"))["players"] == []
        await key(hub, "read:content")  # `key.created` is for admins
        await hub.client.post("/api/v1/playlists", json={"name": "News"})  # for readers of content
        await hub.command(player_id, "identify")

        assert (await everything.until("event"))["event"] == "command.queued"
        assert (await commands.until("event"))["event"] == "command.queued"


async def test_commands_go_over_the_same_socket(hub: Hub) -> None:
    player_id, token = await hub.player()
    group = (await hub.client.post("/api/v1/player-groups", json={"name": "All", "player_ids": [player_id]})).json()
    async with operator(hub.url, hub.key) as one, hub.connected(token) as player:
        await one.say(type="command", ref="1", player_id=player_id, command="identify", payload={"seconds": 5})
        accepted = await one.until("accepted", ref="1")
        command = await player.until("command")
        assert command["id"] == accepted["command_id"]
        story = await hub.story(accepted["command_id"])
        assert (story["requested_by"]["face"], story["payload"]) == ("signalbox", {"seconds": 5})

        await one.say(type="command", ref="2", group_id=group["data"]["id"], command="identify")
        assert (await one.until("accepted", ref="2"))["batch_id"].startswith("bat_")

        same = {"player_id": player_id, "command": "identify", "idempotency_key": "once"}
        await one.say(type="command", ref="3", **same)
        await one.say(type="command", ref="4", **same)
        first, second = await one.until("accepted", ref="3"), await one.until("accepted", ref="4")
        assert first["command_id"] == second["command_id"]
        await one.say(type="command", ref="5", **same | {"command": "reboot"})
        assert (await one.until("refused", ref="5"))["code"] == "idempotency_key_reused"


async def test_what_is_asked_over_the_socket_counts_in_the_pace_of_the_plan(tmp_path: Path) -> None:
    """One request a minute, so that none comes back while this runs."""
    async with running_hub(settings(tmp_path)) as hub:
        player_id, _ = await hub.player()
    identify = {"type": "command", "player_id": player_id, "command": "identify"}
    slow = settings(tmp_path, rate_limits={"unlimited": 1})
    async with running_hub(slow, hub.key) as hub, operator(hub.url, hub.key) as one:
        await one.say(**identify, ref="first")
        await one.until("accepted", ref="first")
        await one.say(**identify, ref="second")
        refused = await one.until("refused", ref="second")
        assert (refused["code"], refused["message"]) == ("too_many_requests", "Too many requests.")
        assert 1 <= refused["retry_after"] <= 60
        assert (await hub.client.get("/api/v1/players")).status_code == 429
        await one.say(type="subscribe", topics=["events"], ref="third")
        error = await one.until("error", ref="third")
        assert (error["code"], error["retry_after"] >= 1) == ("too_many_requests", True)
    async with running_hub(slow, hub.key) as hub, operator(hub.url, hub.key) as one:
        commands = (await hub.client.get("/api/v1/commands")).json()["data"]
        assert len(commands) == 1
        await one.say(**identify, ref="last")
        assert (await one.until("refused", ref="last"))["code"] == "too_many_requests"
    async with running_hub(slow, hub.key) as hub, operator(hub.url, hub.key) as one:
        await one.subscribe("events")
        await one.say(type="subscribe", topics=["players"])
        assert (await one.until("error"))["code"] == "too_many_requests"
        await hub.services.presence.noticed(player_id, "picture.black", {})
        assert (await one.until("event"))["event"] == "picture.black"  # the earlier subscription goes on


async def test_commands_over_the_socket_count_in_the_quota_of_the_day(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, quotas=settings_of(commands_per_day=1))) as hub:
        player_id, _ = await hub.player()
        group = (await hub.client.post("/api/v1/player-groups", json={"name": "All", "player_ids": [player_id]})).json()
        async with operator(hub.url, hub.key) as one:
            await one.say(type="command", ref="first", player_id=player_id, command="identify")
            await one.until("accepted", ref="first")
            for ref, whom in (("one", {"player_id": player_id}), ("all", {"group_id": group["data"]["id"]})):
                await one.say(type="command", ref=ref, command="identify", **whom)
                refused = await one.until("refused", ref=ref)
                assert (refused["code"], refused["retry_after"]) == ("quota_exceeded", 3_600)
                assert "quota commands_per_day" in refused["message"]


async def test_what_a_key_may_not_do_is_refused_message_by_message(hub: Hub) -> None:
    player_id, _ = await hub.player()
    _, weak = await key(hub, "read:players")
    async with operator(hub.url, weak) as one:
        await one.say(type="command", ref="a", player_id=player_id, command="reboot")
        assert (await one.until("refused"))["code"] == "missing_scope"
        await one.subscribe("players")
    _, writer = await key(hub, "write:players")
    async with operator(hub.url, writer) as one:
        await one.say(type="subscribe", topics=["players"], ref="s")
        assert (await one.until("error"))["code"] == "missing_scope"
        await one.say(type="command", ref="b", player_id=player_id, command="nonsense")
        assert (await one.until("refused"))["ref"] == "b"
        await one.say(type="command", ref="c", player_id=999, command="reboot")
        assert (await one.until("refused"))["code"] == "not_found"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "not_json"),
        ("[]", "not_json"),
        ("{}", "unknown_type"),
        ('{"type": 5}', "unknown_type"),
        ('{"type": "snapshot", "ref": "r"}', "unknown_type"),
        ('{"type": "subscribe", "ref": "r"}', "invalid_field"),
        ('{"type": "subscribe", "topics": ["weather"]}', "invalid_field"),
        ('{"type": "subscribe", "topics": []}', "invalid_field"),
        ('{"type": "command", "ref": "r", "command": "reboot"}', "invalid_field"),
        ('{"type": "command", "ref": "r", "command": "reboot", "player_id": "1"}', "invalid_field"),
        ('{"type": "command", "ref": "r", "command": "reboot", "player_id": 1, "group_id": 1}', "invalid_field"),
        ('{"type": "command", "command": "reboot", "player_id": 1}', "invalid_field"),
        ('{"type": "ping", "ref": ' + '"x"' * 40 + "}", "not_json"),
        (b"\x00\x01", "binary"),
    ],
)
async def test_what_cannot_be_read_is_said_and_the_connection_lives(hub: Hub, text: Any, code: str) -> None:
    async with operator(hub.url, hub.key) as one:
        await one.connection.send(text)
        error = await one.hear()
        assert (error["type"], error["code"]) == ("error", code)
        await one.say(type="ping", ref="alive")
        assert await one.hear() == {"type": "pong", "ref": "alive"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": "subscribe"}, "The topics field is required."),
        ({"type": "subscribe", "topics": []}, "The topics field must not be empty."),
        ({"type": "command", "ref": "r", "command": 5}, "The command field must be text."),
        ({"type": "command", "ref": "r", "command": "reboot", "player_id": "1"},
         "The player_id field must be a whole number."),
        ({"type": "command", "ref": "r", "command": "reboot"},
         "The player_id field must be there, or group_id, but not both."),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_told_as_calls_tell_it(hub: Hub, fields: dict[str, Any], said: str) -> None:
    async with operator(hub.url, hub.key) as one:
        await one.say(**fields)
        assert (await one.until("error"))["message"] == said


async def test_too_much_nonsense_and_too_many_messages_end_a_connection(hub: Hub) -> None:
    async with operator(hub.url, hub.key) as one:
        for _ in range(connection_module.UNREAD_A_MINUTE):
            await one.connection.send("nonsense")
        assert await _rest(one) == 4000
    async with operator(hub.url, hub.key) as other:
        for _ in range(connection_module.MESSAGES_A_MINUTE + 1):
            await other.say(type="ping")
        assert await _rest(other) == 4029


@pytest.mark.parametrize("token", [None, "sbk_nonsense", "x"])
async def test_without_a_good_credential_nobody_gets_in(hub: Hub, token: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with operator(hub.url, token):
            pass
    assert refused.value.response.status_code == 401


async def test_a_player_is_no_operator_and_an_operator_no_player(hub: Hub) -> None:
    _, token = await hub.player()
    with pytest.raises(InvalidStatus) as refused:
        async with operator(hub.url, token):
            pass
    assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus):
        async with hub.socket(hub.key):
            pass
    with pytest.raises(InvalidStatus) as wrong:
        async with operator(hub.url, hub.key, subprotocols=["signalbox.v1"]):
            pass
    assert wrong.value.response.status_code == 400
    plain = await hub.client.get("/ws/operator")
    assert (plain.status_code, plain.json()["code"]) == (426, "upgrade_required")


async def test_a_browser_sends_its_credential_as_a_subprotocol(hub: Hub) -> None:
    protocols = ["signalbox.operator.v1", f"bearer.{hub.key}"]
    async with operator(hub.url, None, subprotocols=protocols) as one:
        assert one.connection.subprotocol == "signalbox.operator.v1"
        await one.subscribe("players")
    async with operator(hub.url, None, subprotocols=["signalbox.operator.v1", "bearer.wrong"]) as other:
        assert await other.closed() == 4001


async def test_a_revoked_key_is_out_and_a_changed_one_has_its_new_rights(hub: Hub) -> None:
    key_id, secret = await key(hub, "read:players", "write:players")
    player_id, _ = await hub.player()
    async with operator(hub.url, secret) as one:
        await one.subscribe("players")
        await hub.client.patch(f"/api/v1/api-keys/{key_id}", json={"scopes": ["read:players"]})
        await one.say(type="ping", ref="after the change")
        await one.until("pong")
        await one.say(type="command", ref="x", player_id=player_id, command="reboot")
        assert (await one.until("refused"))["code"] == "missing_scope"
        await hub.client.delete(f"/api/v1/api-keys/{key_id}")
        assert await one.closed() == 4001


async def test_a_slow_reader_is_cut_off_and_goes_on_from_its_cursor(hub: Hub) -> None:
    player_id, _ = await hub.player()
    long = {"note": "x" * 100_000}
    async with operator(hub.url, hub.key) as quick, operator(hub.url, hub.key, max_queue=1) as slow:
        await quick.subscribe("players")
        await slow.subscribe("players")
        slow.connection.transport.pause_reading()
        connections = tuple(hub.operators._connections)
        while not any(connection._closed for connection in connections):
            await hub.services.presence.noticed(player_id, "picture.black", long)
            await quick.until("event")  # nobody waits for the slow one
        slow.connection.transport.resume_reading()
        assert await _rest(slow) == 4130
        async with operator(hub.url, hub.key, slow.state) as again:
            await again.say(type="subscribe", topics=["players"], after=slow.state.cursor)
            while again.state.cursor != quick.state.cursor:
                assert (await again.hear())["type"] in ("event", "now")
            assert again.state.resets == 0


async def _rest(one: Operator) -> int | None:
    """Read what had arrived before the end; the close code."""
    try:
        while True:
            one.state.apply(json.loads(await one.connection.recv()))
    except ConnectionClosed:
        return one.connection.close_code


async def test_latest_values_are_told_to_those_who_want_them(hub: Hub) -> None:
    player_id, token = await hub.player()
    async with operator(hub.url, hub.key) as one, hub.connected(token) as player:
        await one.subscribe("players", "commands")
        await one.until("now")  # the hub has begun to collect
        await player.send(type="telemetry", volume=35, cpu_percent=7)
        while True:
            now = await one.until("now")
            told = [one for one in now.get("players", ()) if one.get("telemetry")]
            if told:
                break
        assert (told[0]["player_id"], told[0]["telemetry"]) == (player_id, {"volume": 35, "cpu_percent": 7})
        assert told[0]["suspect"] is False
        command_id = await hub.command(player_id, "reboot")
        await player.until("command")
        await player.send(type="ack", id=command_id)
        await player.send(type="progress", id=command_id, percent=40, note="half way")
        while not (now := await one.until("now")).get("commands"):
            pass
        assert now["commands"] == [
            {"command_id": command_id, "player_id": player_id, "percent": 40, "note": "half way"}
        ]


async def test_a_silent_operator_is_dropped_and_a_pong_is_life_enough(tmp_path: Path) -> None:
    async with (
        running_hub(settings(tmp_path, players={"heartbeat_s": 1, "silence_s": 3})) as hub,
        operator(hub.url, hub.key) as lively,
        operator(hub.url, hub.key) as silent,
    ):
        silent.connection.transport.pause_reading()
        gone, places = asyncio.Event(), hub.operators.places
        give_back = places.give_back
        places.give_back = lambda team_id: (give_back(team_id), gone.set())  # type: ignore[method-assign]
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
        await lively.say(type="ping", ref="still here")
        await lively.until("pong", ref="still here")
        silent.connection.transport.abort()


async def test_operators_are_sent_away_when_the_hub_stops(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with running_hub(settings(tmp_path)) as hub:
            one = await stack.enter_async_context(operator(hub.url, hub.key))
            await one.subscribe("players")
        assert await one.closed() == 4150


async def ending(hub: Hub) -> dict[str, Any]:
    """A key that ends within seconds: whole ones, at least one of which is left."""
    ends_at = datetime.fromtimestamp(int(time.time()) + 3, UTC).isoformat()
    body = {"name": "Guest", "scopes": ["read:players", "write:players"], "expires_at": ends_at}
    made: dict[str, Any] = (await hub.client.post("/api/v1/api-keys", json=body)).json()["data"]
    return made


async def over(hub: Hub, token: str) -> None:
    """Return when the credential has ended, as every call says."""
    async with hub.as_(token) as client, asyncio.timeout(PATIENCE_S):
        while (await client.get("/api/v1/me")).status_code == 200:
            pass


@pytest.mark.parametrize("kind", ["key", "jwt", "login"])
async def test_a_credential_commands_until_its_end_and_no_longer(hub: Hub, kind: str) -> None:
    player_id, _ = await hub.player()
    token = (await ending(hub))["key"]
    if kind == "jwt":
        token = (await hub.client.post("/api/v1/authenticate", params={"apiKey": token})).json()["token"]
    elif kind == "login":
        body = {"email": "owner@example.com", "password": PASSWORD}
        token = (await hub.client.post("/api/auth/login", json=body)).json()["token"]
        async with hub.services.accounts._db.transaction() as session:
            login = await session.get_one(AccountToken, int(token.partition("|")[0]))
            login.expires_at = now_ms() + 2 * SECOND
            session.add(login)
    command = {"type": "command", "player_id": player_id, "command": "identify"}
    async with operator(hub.url, token) as idle, operator(hub.url, token) as busy:
        await idle.subscribe("players")
        await busy.say(**command, ref="in time")
        await busy.until("accepted")
        await over(hub, token)
        heard: list[dict[str, Any]] = []
        with suppress(ConnectionClosed):
            await busy.say(**command, ref="too late")
            while True:
                heard.append(await busy.hear())
        await hub.client.patch(f"/api/v1/players/{player_id}", json={"name": "Renamed"})
        assert [await one.closed() for one in (idle, busy)] == [4001, 4001]
        assert [one for one in heard if one.get("ref") == "too late"] == []
        with suppress(ConnectionClosed):
            while True:
                heard.append(await idle.hear())
        assert [one["event"] for one in heard if one["type"] == "event"] == []
    assert len((await hub.client.get("/api/v1/commands")).json()["data"]) == 1


async def test_a_login_that_is_used_goes_on(hub: Hub) -> None:
    """Its end by idleness moves with its use; a socket does not end at the one that was known when it began."""
    body = {"email": "owner@example.com", "password": PASSWORD}
    token = (await hub.client.post("/api/auth/login", json=body)).json()["token"]
    player_id, _ = await hub.player()
    async with operator(hub.url, token) as one:
        await one.subscribe("players")
        [connection] = hub.operators._connections
        connection.actor = replace(connection.actor, ends_at=now_ms() - 1)
        await one.say(type="command", ref="x", player_id=player_id, command="identify")
        await one.until("accepted")
        assert connection.actor.ends_at is not None
        assert connection.actor.ends_at > now_ms()
