"""The agent and `play` commands for what is not in its program: fetched from the hub, shown, told once it plays."""

import asyncio
import json

import pytest

from device_agent.players.base import PlayerError
from hub.protocol.messages import Plays, Result, SettingsReport
from tests.device_agent.content.test_manifest_sync import BOTH, FILM, Screen, asset, digest, publish

NEWS, SPORT = b"news" * 900, b"sport" * 900
OTHERS = {21: (asset("News", NEWS), NEWS), 22: (asset("Sport", SPORT), SPORT)}


def ask(hub, command, files, items=None):
    """Let the hub tell what this command is to show: the assets, or a playlist of (asset id, seconds)."""
    told = {
        "playlists": {
            "8": {
                "name": "Extra",
                "transition": "none",
                "items": [
                    {"id": id, "asset_id": id, "duration_s": seconds, "campaign_id": None} for id, seconds in items
                ],
            }
        }
        if items
        else {},
        "assets": {str(id): told for id, (told, _) in files.items()},
    }
    hub.pages[f"/api/v1/player/commands/{command}/content"] = ("", json.dumps(told).encode())
    for id, (told, data) in files.items():
        if data is not None:
            hub.pages[f"/api/v1/player/assets/{id}"] = (told["sha256"], data)


@pytest.fixture
def screen():
    return Screen()


async def test_an_asset_that_is_not_in_the_program_is_fetched_and_played(hub, start_agent, screen, tmp_path):
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    ask(hub, "c1", {21: OTHERS[21]})
    film, news = str(tmp_path / "downloads" / digest(FILM)), str(tmp_path / "downloads" / digest(NEWS))
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        assert await screen.next() == film
        await connection.command("c1", "play", {"asset_id": 21, "duration_s": 2}, "idempotent")
        result = await connection.hear(Result)
        assert (result.status, result.detail) == ("succeeded", {"current_content": "News"})
        assert await screen.next() == news
        assert await screen.next() == film  # by itself, when the two seconds are over
        proven = [(one.asset_id, one.playlist_id) for one in (await connection.hear(Plays)).entries]
        assert (21, None) in proven


async def test_a_playlist_that_is_not_in_the_program_is_fetched_and_played(hub, start_agent, screen, tmp_path):
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    ask(hub, "c1", OTHERS, [(21, 1), (22, 1)])
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        await screen.next()
        await connection.command("c1", "play", {"playlist_id": 8}, "idempotent")
        assert (await connection.hear(Result)).detail == {"current_content": "News"}
        names = [str(tmp_path / "downloads" / digest(data)) for data in (NEWS, SPORT, NEWS)]
        assert [await screen.next() for _ in range(3)] == names


async def test_the_hub_knows_better_than_the_program_what_a_playlist_is(hub, start_agent, screen, tmp_path):
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    ask(hub, "c1", {21: OTHERS[21]}, [(21, 1)])
    changed = hub.pages["/api/v1/player/commands/c1/content"][1].replace(b'"8"', b'"3"')
    hub.pages["/api/v1/player/commands/c1/content"] = ("", changed)
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        await connection.command("c1", "play", {"playlist_id": 3}, "idempotent")
        assert (await connection.hear(Result)).detail == {"current_content": "News"}


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ({21: (OTHERS[21][0], None)}, "failed", "download_failed"),
        ({21: (OTHERS[21][0], NEWS[:-1] + b"X")}, "failed", "download_failed"),
        ({22: OTHERS[22]}, "rejected", "not_found"),
        ({21: (asset("Page", b"", "hologram"), b"")}, "rejected", "unsupported_source"),
        ({21: (asset("Own", b"", "livestream") | {"url": "/etc/passwd", "sha256": None}, None)}, "rejected",
         "unsupported_source"),
    ],
    ids=["no file", "other bytes", "other content", "a kind unknown to the player", "an address of its own"],
)  # fmt: skip
async def test_what_cannot_be_played_is_told_and_changes_nothing(
    hub, start_agent, screen, tmp_path, files, status, code
):
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    ask(hub, "c1", files)
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        assert await screen.next() == str(tmp_path / "downloads" / digest(FILM))
        await connection.command("c1", "play", {"asset_id": 21}, "idempotent")
        result = await connection.hear(Result)
        assert (result.status, result.error.code) == (status, code)
        assert await screen.current() == str(tmp_path / "downloads" / digest(FILM))
        assert screen.shown.empty()


async def test_an_answer_of_the_hub_that_cannot_be_read_is_told(hub, start_agent, screen):
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    hub.pages["/api/v1/player/commands/c1/content"] = ("", b'{"assets": {"21": 5}, "playlists": []}')
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        await connection.command("c1", "play", {"asset_id": 21}, "idempotent")
        assert (await connection.hear(Result)).error.code == "download_failed"


class Stubborn(Screen):
    """Does not show what has this in its name."""

    refused = ""

    async def play(self, uri, *, duration_s=None):
        if self.refused and self.refused in uri:
            raise PlayerError("unplayable", "This film is damaged.")
        return await super().play(uri, duration_s=duration_s)


async def test_what_the_player_refuses_is_told_in_its_words_and_the_program_goes_on(hub, start_agent, tmp_path):
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    ask(hub, "c1", {21: OTHERS[21]})
    screen = Stubborn()
    screen.refused = digest(NEWS)
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        assert await screen.next() == str(tmp_path / "downloads" / digest(FILM))
        await connection.command("c1", "play", {"asset_id": 21}, "idempotent")
        error = (await connection.hear(Result)).error
        assert (error.code, error.message) == ("unplayable", "This film is damaged.")
        assert await screen.next() == str(tmp_path / "downloads" / digest(FILM))


class Slow(Screen):
    """Says when it is asked for something, and never shows it."""

    def __init__(self):
        super().__init__()
        self.asked = asyncio.Event()

    async def play(self, uri, *, duration_s=None):
        self.asked.set()
        await asyncio.Event().wait()


async def test_an_agent_that_was_restarted_plays_it_after_all(hub, start_agent, tmp_path):
    publish(hub, "r1", kind="nothing")
    ask(hub, "c1", {21: OTHERS[21]})
    slow = Slow()
    async with start_agent(player=slow, kill=True):
        connection = await hub.welcomed()
        await connection.command("c1", "play", {"asset_id": 21}, "idempotent")
        async with asyncio.timeout(20):
            await slow.asked.wait()
    screen = Screen()
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        assert [entry.state for entry in connection.hello.journal] == ["running"]
        assert (await connection.hear(Result)).detail == {"current_content": "News"}
        assert await screen.current() == str(tmp_path / "downloads" / digest(NEWS))


async def test_what_is_played_by_a_command_is_not_deleted_for_the_program(hub, start_agent, screen, tmp_path):
    big = {id: (asset(f"Big {id}", bytes([id]) * 300_000), bytes([id]) * 300_000) for id in (31, 32, 33, 34)}
    publish(hub, "r1", kind="nothing")
    ask(hub, "c1", {31: big[31]})
    async with start_agent(player=screen, options={"cache_mb": 1}):
        connection = await hub.welcomed()
        await connection.command("c1", "play", {"asset_id": 31}, "idempotent")
        assert (await connection.hear(Result)).status == "succeeded"
        for revision, id in (("r2", 32), ("r3", 33), ("r4", 34)):
            publish(hub, revision, (1, (id, 3600)), files={id: big[id]})
            await connection.sync(revision)
            await connection.hear(SettingsReport, reported={"revision": revision})
    left = {path.name for path in (tmp_path / "downloads").iterdir()}
    assert left == {digest(big[id][1]) for id in (31, 33, 34)}
