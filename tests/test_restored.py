"""What the world outside sees of a hub that went back in time: nothing that was given out comes again as another
thing, and whoever reads the log is told that it is another one."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.domain.events import Log
from hub.store.backup import Places, back_up, restore
from tests.harness import Hub, running_hub, settings
from tests.postgres import PostgresServer
from tests.receiver import Heard, Receiver, status

TWO = ("sqlite", "postgres")


@pytest.fixture(params=TWO)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Places]:
    """Where hubs of this name keep things, on either kind of database."""
    urls: dict[str, str] = {}

    def of(name: str) -> Places:
        if request.param == "postgres" and name not in urls:
            server: PostgresServer = request.getfixturevalue("postgres")
            urls[name] = server.database()
        data = tmp_path / name
        return Places(data, urls.get(name, f"sqlite:///{data}/hub.db"), data / "blobs")

    return of


@asynccontextmanager
async def hub_at(places: Places, key: str | None = None) -> AsyncIterator[Hub]:
    webhooks = {"allow_networks": ["127.0.0.0/8"], "retry_s": [1] * 50}
    async with running_hub(settings(places.data, places.database_url, webhooks=webhooks), key) as hub:
        yield hub


async def playlist(hub: Hub, name: str) -> None:
    assert (await hub.client.post("/api/v1/playlists", json={"name": name})).status_code == 201


async def newest_cursor(hub: Hub) -> str:
    cursor: str = (await hub.client.get("/api/v1/events", params={"after": "latest"})).json()["meta"]["next"]
    return cursor


async def heard_of(receiver: Receiver, *names: str) -> list[Heard]:
    """The deliveries about these playlists, in this order."""
    found: dict[str, Heard] = {}
    while set(names) - set(found):
        heard = await receiver.next()
        found[heard.event["data"].get("name", "")] = heard
    return [found[name] for name in names]


async def epoch(hub: Hub, token: str) -> int:
    async with hub.socket(token) as player:
        welcome = await player.hello()
    number: int = welcome["epoch"]
    return number


async def test_nothing_that_was_given_out_comes_again_after_a_restore(
    places: Callable[[str], Places], tmp_path: Path
) -> None:
    first, second = places("first"), places("second")
    async with Receiver(status(500)) as receiver:
        async with hub_at(first) as hub:
            player_id, token = await hub.player()
            body = {"url": receiver.url, "events": ["playlist.created"]}
            assert (await hub.client.post("/api/v1/webhooks", json=body)).status_code == 201
            await playlist(hub, "pending")
            [pending] = await heard_of(receiver, "pending")
            await asyncio.to_thread(back_up, first, tmp_path / "copy")
            receiver.replies = [status(200)]
            await playlist(hub, "lost")
            before = await heard_of(receiver, "lost")
            other_id, _ = await hub.player("lost")
            epochs = [await epoch(hub, token) for _ in range(3)]
            cursor = await newest_cursor(hub)
        while not receiver.heard.empty():
            receiver.heard.get_nowait()  # the old world's
        await asyncio.to_thread(restore, second, tmp_path / "copy")
        async with hub_at(second, hub.key) as hub:
            await playlist(hub, "new")
            again, new = await heard_of(receiver, "pending", "new")
            new_id, _ = await hub.player("new")
            new_epoch = await epoch(hub, token)
            refused = [
                await hub.client.get("/api/v1/events", params={"after": cursor}),
                await hub.client.get(
                    "/api/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": cursor}
                ),
            ]
    assert again.headers["webhook-id"] == pending.headers["webhook-id"]  # the receiver may have it
    assert new.headers["webhook-id"] not in {one.headers["webhook-id"] for one in (pending, *before)}
    assert new.event["cursor"].partition("-")[0] != cursor.partition("-")[0]
    assert again.event["cursor"].partition("-")[0] == new.event["cursor"].partition("-")[0]
    assert int(new.event["cursor"].partition("-")[2]) > int(cursor.partition("-")[2])
    assert new_id not in (player_id, other_id)
    assert new_epoch > max(epochs)
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_cursor"), answer.text


async def test_the_second_restore_of_one_backup_repeats_nothing_of_the_first(
    places: Callable[[str], Places], tmp_path: Path
) -> None:
    async with hub_at(places("first")) as hub:
        _, token = await hub.player()
        await epoch(hub, token)
        await asyncio.to_thread(back_up, places("first"), tmp_path / "copy")
    seen: list[tuple[str, int]] = []
    for name in ("second", "third"):
        await asyncio.to_thread(restore, places(name), tmp_path / "copy")
        async with hub_at(places(name), hub.key) as again:
            seen.append((await newest_cursor(again), await epoch(again, token)))
    assert seen[0][0].partition("-")[0] != seen[1][0].partition("-")[0]
    assert seen[1][1] > 1_000 < seen[0][1]


async def test_an_older_copy_in_the_databases_place_is_noticed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    places = Places(data, f"sqlite:///{data}/hub.db", data / "blobs")
    async with hub_at(places) as hub:
        _, token = await hub.player()
        same = (await newest_cursor(hub)).partition("-")[0]
    shutil.copy(data / "hub.db", tmp_path / "older.db")
    async with hub_at(places, hub.key) as again:
        assert (await newest_cursor(again)).partition("-")[0] == same  # nothing happened to it
        await playlist(again, "lost")
        epochs = [await epoch(again, token) for _ in range(3)]
        cursor = await newest_cursor(again)
    shutil.copy(tmp_path / "older.db", data / "hub.db")
    async with hub_at(places, hub.key) as again:
        assert (await newest_cursor(again)).partition("-")[0] != same
        assert (await again.client.get("/api/v1/events", params={"after": cursor})).status_code == 422
        assert await epoch(again, token) > max(epochs)
        assert (await again.client.get("/readyz")).status_code == 200  # the files are still its own


async def test_a_cursor_ahead_of_the_log_is_refused_and_not_waited_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with hub_at(Places(data, f"sqlite:///{data}/hub.db", data / "blobs")) as hub:
        log_id, _, number = (await newest_cursor(hub)).partition("-")
        for ahead in (1, 10**9):
            parameters = {"after": f"{log_id}-{int(number) + ahead}"}
            answer = await hub.client.get("/api/v1/events", params=parameters, headers={"Prefer": "wait=30"})
            assert (answer.status_code, answer.json()["code"]) == (422, "unknown_cursor")
        assert (await hub.client.get("/api/v1/events", params={"after": f"{log_id}-{number}"})).status_code == 200


def test_message_ids_of_all_logs_are_different() -> None:
    first = Log("aa")
    second = Log("bb", (("aa", 7),))
    third = Log("cc", (("aa", 7), ("bb", 1_009)))
    ids: dict[tuple[Any, ...], str] = {("a", n): first.message_id(n) for n in (7, 8, 1_009, 1_010)}
    ids |= {("b", n): second.message_id(n) for n in (8, 1_009, 1_010)}
    ids |= {("c", n): third.message_id(n) for n in (1_010, 2_020)}
    assert len(set(ids.values())) == len(ids)
    assert {log.message_id(7) for log in (first, second, third)} == {"msg_7"}
    assert second.message_id(1_009) == third.message_id(1_009)
    assert {log.name for log in (first, second, third)} == {"aa"}
