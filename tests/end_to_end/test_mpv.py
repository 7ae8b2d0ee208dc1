"""Hub, agent and a real mpv: what the hub shows is what mpv plays."""

import asyncio
import io
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.end_to_end.programs import Program, Programs
from tests.harness import Hub, running_hub, settings
from tests.requirements import require

RED, BLUE, TEAL = (200, 30, 40), (30, 60, 190), (20, 130, 130)
UNSEEN = {"AGENT_PLAYER__ARGS": '["--vo=null"]'}  # its pictures are fetched, and nobody looks at a screen
BACK_S = 30.0  # for a killed mpv to show its picture again


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings(tmp_path / "hub", players={"screenshot_s": 0})) as hub:
        yield hub


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server with teal.png on it; its address."""
    folder = tmp_path / "web"
    folder.mkdir()
    Image.new("RGB", (640, 360), TEAL).save(folder / "teal.png")

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Screen:
    """A player of the hub with a real agent and a real mpv, showing a picture that is red above blue."""

    def __init__(self, hub: Hub, player_id: int, agent: Program) -> None:
        self.hub = hub
        self.player_id = player_id
        self.agent = agent

    async def do(self, command: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        return await self.hub.story(await self.hub.command(self.player_id, command, payload), wait_s=30)

    async def colours(self) -> list[tuple[int, int, int]] | None:
        """What the hub shows near the top and the bottom; None when the player took no picture."""
        story = await self.do("take_screenshot")
        if story["status"] != "succeeded":
            return None
        assert story["detail"]["source"] == "mpv"
        link = (await self.hub.client.get(f"/api/v1/players/{self.player_id}/screenshot")).json()["url"]
        with Image.open(io.BytesIO((await self.hub.client.get(link)).content)) as picture:
            image = picture.convert("RGB")
        return [image.getpixel((image.width // 2, image.height * part // 4)) for part in (1, 3)]  # type: ignore[misc]

    async def until(self, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> None:
        async with asyncio.timeout(BACK_S):
            while not looks_like(await self.colours(), top, bottom):
                pass  # each look is a whole round trip

    def mpv_pid(self) -> int:
        agent = self.agent.process.pid
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, _, rest = stat.read_text().rpartition(")")
            except OSError:  # it has just ended
                continue
            if "(mpv" in name and rest.split()[:2][1] == str(agent):
                return int(stat.parent.name)
        raise AssertionError("the agent has no mpv")


def looks_like(seen: list[tuple[int, int, int]] | None, *wanted: tuple[int, int, int]) -> bool:
    """JPEG and YUV round a little."""
    return seen is not None and all(
        abs(a - b) <= 12 for pixel, colour in zip(seen, wanted, strict=True) for a, b in zip(pixel, colour, strict=True)
    )


@pytest.fixture
async def screen(run: Programs, hub: Hub, tmp_path: Path) -> Screen:
    require("mpv")
    poster = Image.new("RGB", (1280, 720), RED)
    poster.paste(BLUE, (0, 360, 1280, 720))
    poster.save(tmp_path / "poster.png")
    player_id, token = await hub.player("Window")
    (tmp_path / "token").write_text(token)
    agent = await run.agent(
        *("run", "--hub", hub.url, "--state", "device", "--token-file", "token"),
        *("--player", "mpv", "--content", "poster.png"),
        **UNSEEN,
    )
    await hub.event("player.online", player_id=player_id)
    return Screen(hub, player_id, agent)


@pytest.mark.timeout(120)
async def test_a_screenshot_through_the_hub_shows_what_mpv_plays(screen: Screen, web: str) -> None:
    await screen.until(RED, BLUE)

    story = await screen.do("set_volume", {"volume": 35})
    assert (story["status"], story["detail"]) == ("succeeded", {"volume": 35})

    story = await screen.do("play", {"url": f"{web}/teal.png", "duration_s": 6})
    assert story["status"] == "succeeded", story
    assert looks_like(await screen.colours(), TEAL, TEAL)
    await screen.until(RED, BLUE)  # it returns to its content by itself

    story = await screen.do("play", {"url": f"{web}/nothing.png"})
    assert (story["status"], story["error"]["code"]) == ("failed", "unplayable")
    assert await screen.agent.stop() == 0


@pytest.mark.timeout(120)
async def test_an_asset_that_no_program_has_is_played_and_the_screenshot_names_it(screen: Screen) -> None:
    await screen.until(RED, BLUE)
    file = io.BytesIO()
    Image.new("RGB", (640, 360), TEAL).save(file, "PNG")
    made = await screen.hub.client.post(
        "/api/v1/assets", files={"file": ("sale.png", file.getvalue(), "image/png")}, data={"name": "Sale"}
    )
    asset_id = made.json()["data"]["id"]

    story = await screen.do("play", {"asset_id": asset_id, "duration_s": 30})

    assert (story["status"], story["detail"]) == ("succeeded", {"current_content": "Sale"})
    assert looks_like(await screen.colours(), TEAL, TEAL)
    picture = await screen.hub.client.get(f"/api/v1/players/{screen.player_id}/screenshot")
    assert picture.json()["current_item"] == {"asset_id": asset_id, "name": "Sale"}
    assert (await screen.do("reload_content", {}))["status"] == "succeeded"
    await screen.until(RED, BLUE)


@pytest.mark.timeout(120)
async def test_an_mpv_that_is_killed_comes_back_as_it_was(screen: Screen) -> None:
    assert (await screen.do("set_volume", {"volume": 20}))["status"] == "succeeded"
    await screen.until(RED, BLUE)
    killed = screen.mpv_pid()
    os.kill(killed, signal.SIGKILL)
    event = await screen.hub.event("player.crashed", player_id=screen.player_id)
    assert event["data"]["detail"]["exit_status"] == -signal.SIGKILL
    await screen.until(RED, BLUE)
    assert screen.mpv_pid() != killed
    assert await screen.agent.stop() == 0


@pytest.mark.timeout(150)
async def test_what_the_hub_schedules_is_on_the_screen_and_proven(screen: Screen, run: Programs) -> None:
    hub = screen.hub
    file = io.BytesIO()
    Image.new("RGB", (640, 360), TEAL).save(file, "PNG")
    uploaded = await hub.client.post("/api/v1/assets", files={"file": ("teal.png", file.getvalue(), "image/png")})
    asset = uploaded.json()["data"]["id"]
    body = {"name": "News", "items": [{"asset_id": asset, "duration": 1}]}
    playlist = (await hub.client.post("/api/v1/playlists", json=body)).json()["data"]["id"]
    body = {"playlist_id": playlist, "targets": [{"type": "player", "id": screen.player_id}]}
    schedule = (await hub.client.post("/api/v1/schedules", json=body)).json()["data"]["id"]
    await screen.until(TEAL, TEAL)

    story = await screen.do("reload_content")
    program = (await hub.client.get(f"/api/v1/players/{screen.player_id}/program")).json()["data"]
    assert story["detail"] == {"revision": program["revision"]}
    assert program["playing"]["schedule"]["id"] == schedule

    await screen.agent.stop()
    after = (await hub.event("player.offline", player_id=screen.player_id))["cursor"]
    await run.agent(
        *("run", "--hub", hub.url, "--state", "device", "--token-file", "token", "--content", "poster.png"), **UNSEEN
    )
    await hub.event("player.online", after=after, player_id=screen.player_id)
    await screen.until(TEAL, TEAL)
    plays: list[dict[str, Any]] = []
    async with asyncio.timeout(BACK_S):
        while not plays:
            plays = (await hub.client.get("/api/v1/plays", params={"player_id": screen.player_id})).json()["data"]
    assert {(one["asset_id"], one["playlist_id"], one["schedule_id"]) for one in plays} == {(asset, playlist, schedule)}
    assert any(one["completed"] for one in plays)

    await hub.client.delete(f"/api/v1/schedules/{schedule}")
    await screen.until(RED, BLUE)  # nothing is scheduled: the device's own content


@pytest.mark.timeout(120)
async def test_an_emergency_is_shown_cleared_and_followed_by_the_next(screen: Screen) -> None:
    hub, client = screen.hub, screen.hub.client
    alert = {"title": "Fire alarm", "message": "Leave the building.", "severity": "extreme", "everyone": True}
    made = (await client.post("/api/v1/alerts", json=alert)).json()["data"]

    shown = await hub.event("alert.shown", player_id=screen.player_id)
    assert shown["data"]["detail"] == {"id": str(made["id"])}

    await client.post(f"/api/v1/alerts/{made['id']}/clear")
    later = (await client.post("/api/v1/alerts", json=alert | {"title": "Again"})).json()["data"]
    again = await hub.event("alert.shown", after=shown["cursor"], player_id=screen.player_id)
    assert again["data"]["detail"] == {"id": str(later["id"])}  # the screen has heard that the first is over
    assert await screen.agent.stop() == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("display", ["", ":99999"])
async def test_without_a_screen_nothing_is_told_as_shown(
    run: Programs, hub: Hub, web: str, tmp_path: Path, display: str
) -> None:
    require("mpv")
    player_id, token = await hub.player("Cupboard")
    (tmp_path / "token").write_text(token)
    agent = await run.agent(
        *("run", "--hub", hub.url, "--state", "device", "--token-file", "token", "--player", "mpv"),
        DISPLAY=display,
        WAYLAND_DISPLAY="",
    )
    await hub.event("player.online", player_id=player_id)
    screen = Screen(hub, player_id, agent)
    for command, payload in (("identify", {}), ("play", {"url": f"{web}/teal.png"})):
        story = await screen.do(command, payload)
        assert (story["status"], story["error"]["code"]) == ("failed", "no_screen"), story
        assert story["error"]["message"].startswith("mpv has no screen: DISPLAY")
    assert (await screen.do("set_volume", {"volume": 35}))["status"] == "succeeded"
    assert await agent.stop() == 0
    assert re.search(r"WARNING.* mpv has no screen: DISPLAY.*; nothing is to be seen", agent.text())
