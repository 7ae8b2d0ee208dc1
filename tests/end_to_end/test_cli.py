"""The two programs as their users know them, against each other: from an empty folder to a stop."""

import json
import signal
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.end_to_end.programs import Program, Programs

OWNER = {"HUB_OWNER_PASSWORD": "correct horse battery"}


@dataclass(frozen=True, slots=True)
class Shop:
    """A hub that serves, and how to reach it; a simulated player of it, online."""

    run: Programs
    serve: Program
    agent: Program
    environment: dict[str, str]

    async def hub(self, *arguments: str) -> tuple[int, str]:
        """Run a `hub` command against the hub: (exit status, output)."""
        program = await self.run.hub(*arguments, **self.environment)
        return await program.end(), program.text()


async def initialise(run: Programs) -> Program:
    arguments = ("--data", "data", "--team", "Shop", "--email", "me@example.com", "--json")
    return await run.hub("init", *arguments, **OWNER)


async def serving(run: Programs) -> tuple[Program, str, str]:
    """A new hub that serves: (its process, its address, its first key)."""
    init = await initialise(run)
    assert await init.end() == 0
    key = json.loads(init.text())["api_key"]
    serve = await run.hub("serve", "--data", "data", "--port", "0")
    return serve, (await serve.line(r"listens on (http://127\.0\.0\.1:\d+)$"))[1], key


def client(url: str, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)


@pytest.fixture
async def shop(run: Programs, tmp_path: Path) -> Shop:
    serve, url, key = await serving(run)
    async with client(url, key) as operator:
        player_id = (await operator.post("/api/v1/players", json={"name": "Lobby"})).json()["data"]["id"]
        (tmp_path / "token").write_text((await operator.post(f"/api/v1/players/{player_id}/token")).json()["token"])
    device = ("--state", "device", "--player", "simulated", "--token-file", "token")
    agent = await run.agent("run", "--hub", url, *device)
    await agent.line("connected to .* as Lobby")
    return Shop(run, serve, agent, {"HUB_URL": url, "HUB_KEY": key})


async def test_a_device_is_paired_by_the_code_that_it_shows(run: Programs, tmp_path: Path) -> None:
    _, url, key = await serving(run)
    pair = await run.agent("pair", "--hub", url, "--state", "device", AGENT_PLAYER__KIND="simulated")
    code = (await pair.line(r"^Code: (\S{6})$"))[1]
    async with client(url, key) as operator:
        waiting = (await operator.get(f"/api/v1/players/pair/{code}")).json()["data"]
        assert waiting["model"] == "Simulated machine"
        answer = await operator.post("/api/v1/players/pair", json={"code": code, "name": "Lobby"})
        assert answer.status_code == 200, answer.text
    assert await pair.end() == 0
    assert (tmp_path / "device" / "token").stat().st_mode & 0o077 == 0  # the token is its user's alone
    agent = await run.agent("run", "--hub", url, "--state", "device", "--player", "simulated")
    await agent.line("connected to .* as Lobby")


async def test_init_makes_one_team_an_owner_and_a_key(run: Programs) -> None:
    first = await initialise(run)
    assert await first.end() == 0
    made = json.loads(first.text())  # one line of JSON and nothing else
    assert made["team_id"] == 1
    assert made["api_key"].startswith("sbk_")
    again = await initialise(run)
    assert await again.end() == 1
    assert again.lines == ["me@example.com has an account already."]


async def test_an_operator_lists_commands_and_watches(shop: Shop) -> None:
    watch = await shop.run.hub("watch", **shop.environment)
    status, text = await shop.hub("players")
    assert status == 0
    assert any(line.split()[:3] == ["1", "Lobby", "online"] for line in text.splitlines()), text
    status, text = await shop.hub("players", "--json")
    assert [(one["id"], one["name"], one["status"]) for one in json.loads(text)] == [(1, "Lobby", "online")]

    status, text = await shop.hub("command", "1", "set_volume", "--payload", '{"volume": 35}', "--wait")
    accepted, outcome = text.splitlines()
    assert (status, accepted.split()[1], outcome.split(maxsplit=1)[1]) == (0, "queued", 'succeeded {"volume":35}')
    assert accepted.split()[0] == outcome.split()[0]
    status, text = await shop.hub("command", "1", "identify")
    assert (status, text.split()[1]) == (0, "queued")
    status, text = await shop.hub("command", "1", "play", "--payload", '{"asset_id": 1}', "--wait")
    assert (status, text) == (1, "payload.asset_id: The payload.asset_id field names an unknown asset.")
    status, text = await shop.hub("command", "1", "take_screenshoot")
    meant = (
        "command: The command field names an unknown command: take_screenshoot. "
        "Did you mean take_screenshot? There are clear_cache, "
    )
    assert (status, text.startswith(meant)) == (1, True), text
    status, text = await shop.hub("command", "2", "identify")
    assert (status, text) == (1, "The team has no player 2; `hub players` lists those that it has.")

    assert await shop.agent.stop() == 0
    offline = await watch.line(r"player\.offline +(\{.*\})$")
    assert json.loads(offline[1])["reason"] == "bye"
    assert any("command.finished" in line and '"succeeded"' in line for line in watch.lines)


async def test_a_command_that_failed_tells_why_and_in_detail(shop: Shop, tmp_path: Path) -> None:
    assert await shop.agent.stop() == 0
    (tmp_path / "agent.toml").write_text('[custom.count]\ncommand = ["sh", "-c", "echo three; exit 4"]\n')
    device = ("--state", "device", "--player", "simulated", "--token-file", "token", "--config", "agent.toml")
    agent = await shop.run.agent("run", "--hub", shop.environment["HUB_URL"], *device)
    await agent.line("connected to .* as Lobby")
    status, text = await shop.hub("command", "1", "custom:count", "--wait")
    outcome = text.splitlines()[-1].split(maxsplit=1)[1]
    assert (status, outcome) == (1, 'failed sh exited with 4. {"exit_status":4,"output":"three\\n"}')


async def test_who_stops_waiting_for_a_command_knows_which_it_was(shop: Shop) -> None:
    assert await shop.agent.stop() == 0  # nobody does it
    waiting = await shop.run.hub("command", "1", "identify", "--wait", **shop.environment)
    command_id = (await waiting.line(r"^(\S+) queued$"))[1]
    waiting.process.send_signal(signal.SIGINT)
    assert await waiting.end() == 130
    assert waiting.lines[1:] == [f"The command goes on; GET /api/v1/commands/{command_id} tells its outcome."]


async def test_no_name_writes_to_the_terminal(shop: Shop, tmp_path: Path) -> None:
    async with client(shop.environment["HUB_URL"], shop.environment["HUB_KEY"]) as operator:
        made = await operator.post("/api/v1/players", json={"name": "[/] [red]ශ්\u200dරී[/red] {x}"})
        assert made.status_code == 201
    # As a device of any make, or a hub before this one, may have left it.
    with sqlite3.connect(tmp_path / "data" / "hub.db", timeout=10) as database:
        database.execute("UPDATE player SET name = ?, model = ? WHERE id = 1", ("a\x1b[2J\nb", "\x9b2J\u202e"))
    database.close()
    status, text = await shop.hub("players")
    assert status == 0, text
    assert "[/] [red]ශ්\u200dරී[/red] {x}" in text
    assert "a\\u001b[2J\\u000ab" in text
    assert "\\u009b2J\\u202e" in text
    assert not set(text) & set("\x1b\x9b\u202e")


async def test_a_team_has_a_name_that_can_be_read(run: Programs) -> None:
    for name, status, says in (
        ("\x1b[2J", 1, "team: The team field must be one line"),
        ("a\nb", 1, "team: The team field must be one line"),
        (" \u200d", 1, "team: The team field must have characters that can be seen"),
        ("\udcff", 2, "Invalid value for '--team': it is not UTF-8"),
    ):
        init = await run.hub("init", "--data", "data", "--team", name, "--email", "me@example.com", **OWNER)
        assert (await init.end(), says in init.text()) == (status, True), init.text()


async def test_a_stopping_hub_sends_its_players_away_and_ends_well(shop: Shop) -> None:
    url = shop.environment["HUB_URL"]
    watch = await shop.run.hub("watch", **shop.environment)
    status, _ = await shop.hub("command", "1", "identify")
    await watch.line("command.queued")
    assert await shop.serve.stop() == 0
    await shop.agent.line(r"disconnected .*\(4150\); next attempt in")  # told when to come back, not cut off
    await watch.line(f"^The hub at {url} is gone: this hub is going away; waiting for it.$")
    status, text = await shop.hub("players")
    assert (status, text.startswith("No answer from")) == (1, True)
    again = await shop.run.hub("serve", "--data", "data", "--port", url.rpartition(":")[2])
    await watch.line(f"^The hub at {url} is back.$")
    assert await again.stop() == 0
    assert await shop.agent.stop() == 0
