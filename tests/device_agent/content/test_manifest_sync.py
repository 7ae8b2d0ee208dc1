"""The whole agent and the hub's program: fetched, kept, played, proven; with files that break off and hubs that are
away."""

import asyncio
import hashlib
import json

import pytest

from device_agent.content.cache import Cache
from device_agent.content.manifest_sync import ManifestSync
from device_agent.content.program import Asset
from device_agent.players.simulated import SimulatedPlayer
from hub.protocol.messages import DeviceEvent, Plays, Result, SettingsReport
from tests.tcp_server import tcp_server
from tests.waiting import PATIENCE_S

POSTER, FILM = b"poster" * 500, b"film" * 5_000
FROM, TO = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


class Screen(SimulatedPlayer):
    """Tells what is put on it."""

    def __init__(self) -> None:
        super().__init__("Test")
        self.shown: asyncio.Queue[str] = asyncio.Queue()

    async def play(self, uri, *, duration_s=None):
        current = await super().play(uri, duration_s=duration_s)
        self.shown.put_nowait(current)
        return current

    async def clear(self):
        await super().clear()
        self.shown.put_nowait("")

    async def next(self):
        async with asyncio.timeout(PATIENCE_S):
            return await self.shown.get()


@pytest.fixture
def screen():
    return Screen()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def asset(name, data, kind="image"):
    return {
        "type": kind, "name": name, "url": "http://elsewhere.example/x", "sha256": digest(data), "size": len(data),
        "mime_type": "image/png", "duration_s": None,
    }  # fmt: skip


def publish(hub, revision, *items, files=None, **window):
    """Give the hub a manifest with one playlist of (asset id, seconds)."""
    told = {
        "revision": revision,
        "generated_at": FROM,
        "valid_until": TO,
        "timezone": "UTC",
        "timeline": [{"from": FROM, "to": TO, "kind": "playlist", "playlist_id": 3, "schedule_id": 4} | window],
        "conditions": {},
        "playlists": {
            "3": {
                "name": "News",
                "transition": "none",
                "items": [{"id": n, "asset_id": id, "duration_s": s, "campaign_id": 9} for n, (id, s) in items],
            }
        },
        "layouts": {},
        "assets": {str(id): told for id, (told, _) in (files or {}).items()},
        "alerts": [],
    }
    hub.revision = revision
    hub.pages["/api/v1/player/manifest"] = (revision, json.dumps(told).encode())
    for id, (told, data) in (files or {}).items():
        hub.pages[f"/api/v1/player/assets/{id}"] = (told["sha256"], data)


BOTH = {5: (asset("Poster", POSTER), POSTER), 6: (asset("Film", FILM, "video"), FILM)}


async def test_it_fetches_what_the_hub_has_for_it_and_plays_it_in_turn(hub, start_agent, screen, tmp_path):
    publish(hub, "r1", (1, (5, 1)), (2, (6, 1)), files=BOTH)
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        assert connection.hello.revision is None
        assert (await connection.hear(SettingsReport, reported={"revision": "r1"})).failed is None
        downloads = tmp_path / "downloads"
        assert [await screen.next() for _ in range(3)] == [
            str(downloads / digest(data)) for data in (POSTER, FILM, POSTER)
        ]
        assert (downloads / digest(FILM)).read_bytes() == FILM

        await connection.command("c1", "play", {"asset_id": 6, "duration_s": 600}, "idempotent")
        assert (await connection.hear(Result)).detail == {"current_content": "Film"}
        await connection.command("c2", "play", {"playlist_id": 3}, "idempotent")
        assert (await connection.hear(Result)).detail == {"current_content": "Poster"}
        await connection.command("c3", "play", {"playlist_id": 8}, "idempotent")
        assert (await connection.hear(Result)).error.code == "not_found"

        publish(hub, "r2", kind="nothing")
        await connection.sync("r2")
        await connection.hear(SettingsReport, reported={"revision": "r2"})
        await connection.command("c4", "reload_content", {}, "idempotent")
        assert (await connection.hear(Result)).detail == {"revision": "r2"}
        while await screen.next():  # at the end the screen is cleared
            pass
    async with start_agent(player=Screen()):
        assert (await hub.welcomed()).hello.revision == "r2"


async def test_a_screenshot_carries_what_was_on_the_screen(hub, start_agent, screen, tmp_path):
    source = tmp_path / "own.png"
    source.write_bytes(b"x")
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    async with start_agent(player=screen, options={"content": str(source)}):
        connection = await hub.welcomed()
        assert await screen.next() == str(source)
        assert await screen.next() == str(tmp_path / "downloads" / digest(FILM))
        for number, (command, payload) in enumerate(
            [("set_volume", {"volume": 5}), ("play", {"url": "https://example.com/a.mp4"}), ("reload_content", {})]
        ):
            await connection.command(f"c{number}", command, payload, "idempotent")
            assert (await connection.hear(Result, id=f"c{number}")).status == "succeeded"
            await connection.command(f"s{number}", "take_screenshot", {"max_width": 300 + number}, "safe")
            assert (await connection.hear(Result, id=f"s{number}")).status == "succeeded"
    assert [upload.asset_id for upload in hub.stored] == [6, None, 6]


@pytest.mark.parametrize(
    "url", ["{own}", "file://{own}", "own.png", "//{own}", "av://lavfi:testsrc", "edl://{own}", "memory://x", "fd://0"]
)
async def test_an_address_that_leads_to_this_device_is_never_opened(hub, start_agent, screen, tmp_path, url):
    (tmp_path / "own.png").write_bytes(b"x")
    told = asset("Own", b"", "livestream") | {"url": url.format(own=tmp_path / "own.png"), "sha256": None, "size": None}
    publish(hub, "r1", (1, (7, 1)), (2, (6, 3600)), files={7: (told, b"")} | {6: BOTH[6]})
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        film = str(tmp_path / "downloads" / digest(FILM))
        assert await screen.next() == film
        await connection.command("c1", "play", {"asset_id": 7}, "idempotent")
        assert (await connection.hear(Result)).error.code == "unsupported_source"
        await connection.command("c2", "play", {"playlist_id": 3}, "idempotent")
        assert (await connection.hear(Result)).detail == {"current_content": "Film"}
    assert screen.shown.empty()


async def test_without_its_hub_it_plays_on_from_what_is_on_its_disk(hub, start_agent, screen, tmp_path):
    publish(hub, "r1", (1, (5, 3600)), files=BOTH)
    async with start_agent(player=screen):
        await hub.welcomed()
        first = await screen.next()
    again = Screen()
    async with start_agent(player=again, options={"hub_url": "http://127.0.0.1:9"}):
        assert await again.next() == first
    (tmp_path / "manifest.json").write_bytes(b'{"revision": "r1", "timeline"')
    source = tmp_path / "own.png"
    source.write_bytes(b"x")
    again = Screen()
    async with start_agent(player=again, options={"hub_url": "http://127.0.0.1:9", "content": str(source)}):
        assert await again.next() == str(source)  # a torn manifest is none


async def test_its_own_content_stands_where_the_program_shows_nothing(hub, start_agent, screen, tmp_path):
    source = tmp_path / "own.png"
    source.write_bytes(b"x")
    publish(hub, "r1", kind="nothing")
    async with start_agent(player=screen, options={"content": str(source)}):
        connection = await hub.welcomed()
        assert await screen.next() == str(source)
        publish(hub, "r2", (1, (5, 3600)), files=BOTH)
        await connection.sync("r2")
        assert await screen.next() == str(tmp_path / "downloads" / digest(POSTER))


async def test_a_file_that_broke_off_is_gone_on_with(hub, start_agent, screen, tmp_path, monkeypatch):
    monkeypatch.setattr("device_agent.content.manifest_sync.AGAIN_S", 0.0)
    publish(hub, "r1", (1, (6, 3600)), files=BOTH)
    hub.cut_page_at = 5_000
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        failed = await connection.hear(DeviceEvent, name="download.failed")
        assert (failed.data["asset_id"], failed.data["name"]) == (6, "Film")
        assert await screen.next() == str(tmp_path / "downloads" / digest(FILM))
        assert hub.asked[1:3] == [("/api/v1/player/assets/6", ""), ("/api/v1/player/assets/6", "bytes=5000-")]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_hub_without_room_is_asked_again_when_it_says_and_nothing_has_failed(hub, tmp_path, status):
    publish(hub, "r1", (1, (6, 3600)), (2, (5, 3600)), files=BOTH)
    hub.busy_pages.extend([(status, "40"), (status, "40"), (status, "4000"), (status, "soon")])
    pauses, told, failed, idle = [], asyncio.Queue(), asyncio.Event(), asyncio.Event()

    async def sleep(seconds):
        pauses.append(seconds)
        if failed.is_set():
            idle.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    def notice(name, data):
        told.put_nowait((name, data["asset_id"]))
        failed.set()

    cache = Cache(tmp_path / "downloads", 1_000_000)
    following = ManifestSync(
        hub.url, tmp_path, cache, frozenset({"video", "image"}), token=lambda: hub.token, now=lambda: 2_000_000_000_000,
        notice=notice, changed=lambda: None, adopted=lambda: None, sleep=sleep,
    )  # fmt: skip
    running = asyncio.create_task(following.run())
    following.told("r1")
    async with asyncio.timeout(PATIENCE_S):
        assert await told.get() == ("download.failed", 6)  # of the answer that says no time
        await idle.wait()  # no request is under way at the end
    assert following.revision == "r1"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    first, _, second, *_ = pauses
    assert 40 <= first <= 80
    assert 300 <= second <= 600


async def test_a_file_that_is_coming_in_is_waited_for_and_not_fetched_twice(tmp_path):
    asked, go_on = asyncio.Queue(), asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.put_nowait("once")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FILM) + FILM[:5_000])
        await go_on.wait()
        writer.write(FILM[5_000:])
        await writer.drain()

    def nothing(*_):
        pass

    film = Asset(6, "video", "Film", "", digest(FILM), len(FILM), None)
    cache = Cache(tmp_path / "downloads", 1_000_000)
    async with tcp_server(serve) as port:
        following = ManifestSync(
            f"http://127.0.0.1:{port}", tmp_path, cache, frozenset({"video"}),
            token=lambda: "t", now=lambda: 0, notice=nothing, changed=nothing, adopted=nothing,
        )  # fmt: skip
        first = asyncio.create_task(following.file(film))
        async with asyncio.timeout(PATIENCE_S):
            assert await asked.get() == "once"
            first.cancel()  # as a command does whose time is over; its download goes on
            others = [asyncio.create_task(following.file(film)) for _ in range(2)]
            await asyncio.sleep(0)  # both have begun
            go_on.set()
            assert await asyncio.gather(*others) == [tmp_path / "downloads" / digest(FILM)] * 2
    assert cache.find(film).read_bytes() == FILM
    assert asked.empty()


async def test_bytes_that_are_not_what_the_manifest_says_are_never_shown(hub, start_agent, screen, tmp_path):
    publish(hub, "r1", (1, (5, 1)), (2, (6, 3600)), files=BOTH)
    hub.pages["/api/v1/player/assets/5"] = (digest(POSTER), POSTER[:-1] + b"X")
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        failed = await connection.hear(DeviceEvent, name="download.failed")
        assert failed.data["asset_id"] == 5
        assert await screen.next() == str(tmp_path / "downloads" / digest(FILM))
        assert not (tmp_path / "downloads" / digest(POSTER)).exists()


async def test_what_was_shown_is_told_until_the_hub_has_it(hub, start_agent, screen, tmp_path):
    publish(hub, "r1", (1, (5, 1)), (2, (6, 3600)), files=BOTH)
    hub.confirm_plays = False
    async with start_agent(player=screen):
        connection = await hub.welcomed()
        assert await screen.next()
        assert await screen.next()  # the first is over
    async with start_agent(player=Screen()):
        connection = await hub.welcomed()
        told = (await connection.hear(Plays)).entries
        assert [(one.asset_id, one.completed, one.duration_s >= 1) for one in told] == [(5, True, True)]
        assert (told[0].playlist_id, told[0].schedule_id, told[0].campaign_id) == (3, 4, 9)
    hub.confirm_plays = True
    async with start_agent(player=Screen()):
        connection = await hub.welcomed()
        assert (await connection.hear(Plays)).entries[0].id == told[0].id
        await connection.command("c1", "clear_cache", {}, "idempotent")
        await connection.hear(Result)
    async with start_agent(player=Screen()):
        connection = await hub.welcomed()
        await connection.command("c2", "set_volume", {"volume": 3}, "idempotent")
        await connection.hear(Result)
        kept = [one for message in connection.passed if isinstance(message, Plays) for one in message.entries]
        assert told[0].id not in [one.id for one in kept]


async def test_the_cache_gives_up_what_was_used_longest_ago(hub, start_agent, screen, tmp_path):
    big = {id: (asset(f"Big {id}", bytes([id]) * 400_000), bytes([id]) * 400_000) for id in (1, 2, 3)}
    publish(hub, "r1", (1, (1, 3600)), files={1: big[1], 2: big[2]})
    downloads = tmp_path / "downloads"
    async with start_agent(player=screen, options={"cache_mb": 1}):
        connection = await hub.welcomed()
        await screen.next()
        publish(hub, "r2", (1, (3, 3600)), files={3: big[3]})
        await connection.command("c1", "reload_content", {}, "idempotent")
        assert (await connection.hear(Result)).detail == {"revision": "r2"}
        assert await screen.next() == str(downloads / digest(big[3][1]))
        assert len(list(downloads.iterdir())) == 2
        huge = bytes(1_200_000)
        publish(hub, "r3", (1, (4, 3600)), files={4: (asset("Huge", huge), huge)})
        await connection.sync("r3")
        failed = await connection.hear(DeviceEvent, name="download.failed")
        assert "do not fit" in failed.data["reason"]
