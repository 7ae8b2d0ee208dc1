"""A hub that stands still for longer than anybody may be silent: stopped as a suspended machine is."""

import asyncio
import json
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.end_to_end.programs import Programs
from tests.end_to_end.test_cli import client, initialise
from tests.harness import Player
from tests.operator import operator

SILENCE_S = 6.0
PACE = {"HUB_PLAYERS__HEARTBEAT_S": "1", "HUB_PLAYERS__SILENCE_S": f"{SILENCE_S:.0f}"}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_nobody_is_silent_while_the_hub_stands_still(run: Programs, tmp_path: Path, loop: str) -> None:
    """The player and the operator owe an answer when the hub stops, and give it before it goes on. A command that is
    done meanwhile has not expired."""
    init = await initialise(run)
    assert await init.end() == 0
    key = json.loads(init.text())["api_key"]
    serve = await run.hub("serve", "--data", "data", "--port", "0", HUB_SERVER__LOOP=loop, **PACE)
    url = (await serve.line(r"listens on (http://127\.0\.0\.1:\d+)$"))[1]
    async with client(url, key) as api, operator(url, key) as watcher, operator(url, key) as quiet:
        tokens = []
        for name in ("Raw", "Agent"):
            player_id = (await api.post("/api/v1/players", json={"name": name})).json()["data"]["id"]
            tokens.append((await api.post(f"/api/v1/players/{player_id}/token")).json()["token"])
        (tmp_path / "token").write_text(tokens[1])
        device = ("--state", "device", "--player", "simulated", "--token-file", "token")
        agent = await run.agent("run", "--hub", url, *device)
        await agent.line("connected to .* as Agent")
        raw_id = (await api.get("/api/v1/players", params={"search": "Raw"})).json()["data"][0]["id"]
        await watcher.subscribe("players")
        async with connect(
            url.replace("http://", "ws://") + "/ws/player",
            subprotocols=[Subprotocol("signalbox.v1")],
            additional_headers={"Authorization": f"Bearer {tokens[0]}"},
            compression=None,
            ping_interval=None,
            proxy=None,
        ) as connection:
            player = Player(connection)
            await player.hello()
            asked = {"player_id": raw_id, "command": "identify", "payload": {}, "ttl_s": 5}
            command_id = (await api.post("/api/v1/commands", json=asked)).json()["command_id"]
            assert (await player.until("command"))["id"] == command_id
            quiet.connection.transport.pause_reading()
            connection.transport.pause_reading()
            suspected = False
            while not suspected:
                now = await watcher.until("now")
                suspected = any(one["player_id"] == raw_id and one["suspect"] for one in now.get("players", ()))
            serve.process.send_signal(signal.SIGSTOP)
            quiet.connection.transport.resume_reading()
            connection.transport.resume_reading()
            await player.send(type="ack", id=command_id)
            await player.result(command_id, shown=True)
            await asyncio.sleep(SILENCE_S + 1)  # the time is what is tried
            serve.process.send_signal(signal.SIGCONT)

            await player.until("result_ok")
            for one in (quiet, watcher):
                await one.say(type="ping", ref="there")
                await one.until("pong", ref="there")
            story = (await api.get(f"/api/v1/commands/{command_id}")).json()["data"]
            assert story["status"] == "succeeded", story
            again = (await api.post("/api/v1/commands", json=asked)).json()["command_id"]
            assert (await player.until("command"))["id"] == again
            events = (await api.get("/api/v1/events", params={"limit": 1000})).json()["data"]
            assert "player.offline" not in {event["event"] for event in events}
            assert (await api.get("/api/v1/players")).json()["meta"]["total"] == 2
