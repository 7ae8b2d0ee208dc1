"""`hub demo`: a hub on an empty database and three real agents beside it, shown at work, then left to its visitor.

Everything goes the way it goes in earnest: the agents are processes of their own that pair with a code, the operator's
part is played through the public API, and the pictures come from what the players show.
"""

import asyncio
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.status import Status

from hub.app import create_app
from hub.config import load
from hub.server import configure, serving
from hub.services.teams import create_team, prepare
from hub.store.database import Database

NAMES = ("Lobby", "Cafeteria", "Window")
COLOURS = ((24, 78, 119), (155, 34, 38), (34, 87, 52))
GRACE_S = 5  # a lost player is offline after this; the usual 15 s would make a long pause in a tour
NO_REBOOT = shlex.join([sys.executable, "-c", "raise SystemExit('The demo does not reboot your machine.')"])
WINDOW = ("--fullscreen=no", "--keepaspect-window=no")  # small ones side by side, which leave the terminal free
UNSEEN = "--vo=null"  # for mpv without a display: it plays, and its picture can be fetched
STEP_S = 60  # no step takes longer, or it has failed


class StepFailed(Exception):
    """A step of the tour did not do what it shows; the text says what was seen instead."""


async def tour(*, once: bool, port: int) -> int:
    """Show everything; answers the exit status. Without `once` the hub stays up until Ctrl-C."""
    console = Console(highlight=False)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="signalbox-demo-") as folder:
        async with AsyncExitStack() as stack:
            demo = Demo(console, Path(folder), "mpv" if shutil.which("mpv") else "simulated", stack)
            showing = asyncio.create_task(demo.show(port))
            stopped = asyncio.create_task(stop.wait())
            with demo.progress:
                await asyncio.wait([showing, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not showing.done():
                showing.cancel()
                await asyncio.wait([showing])
                console.print("Stopped.")
                return 130
            try:
                showing.result()
            except (StepFailed, httpx2.HTTPError, TimeoutError) as error:
                console.print(f"[bold red]failed[/]  {error or type(error).__name__}")
                return 1
            demo.farewell()
            if not once:
                await stopped
            stopped.cancel()
    return 0


class Demo:
    def __init__(self, console: Console, folder: Path, kind: str, stack: AsyncExitStack) -> None:
        self._console = console
        self._folder = folder
        self._kind = kind
        self._stack = stack
        self._agents: dict[str, asyncio.subprocess.Process] = {}
        self._ids: dict[str, int] = {}
        self._client: httpx2.AsyncClient
        self._url = ""
        self._key = ""
        self.progress = console.status("starting a hub") if console.is_terminal else nullcontext()

    async def show(self, port: int) -> None:
        """The tour, step by step. Raises StepFailed."""
        await self._start_hub(port)
        why = "" if self._kind == "mpv" else " (mpv is not installed)"
        if not why and not _has_windows():
            why = " without a window: no DISPLAY is set"
        self._say("players", f"three agents, each driving a {self._kind} player{why}")
        self._doing("pairing the players")
        try:
            async with asyncio.TaskGroup() as group:
                for name, colour in zip(NAMES, COLOURS, strict=True):
                    group.create_task(self._pair(name, colour))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        first, second, third = NAMES
        await self._command(
            first,
            "identify",
            {"seconds": 5},
            lambda detail: f"it shows: {', '.join(map(str, detail['shown'].values()))}",
        )
        await self._command(second, "set_volume", {"volume": 35}, lambda detail: f"read back: {detail['volume']} %")
        await self._screenshot(third)
        await self._pull_the_plug(second)

    def farewell(self) -> None:
        player = self._ids[NAMES[2]]  # there is a picture of this one
        auth = f"-H 'Authorization: Bearer {self._key}'"
        self._console.print(
            f"\n[bold]The hub is yours at {self._url}[/]  (API key {self._key})\n\n"
            f"  curl {auth} {self._url}/api/v1/players\n"
            f"  curl {auth} {self._url}/api/v1/players/{player}/screenshot\n"
            f'  curl {auth} -H \'Prefer: wait=20\' --json \'{{"player_id": {player}, "command": "reload_content"}}\''
            f" {self._url}/api/v1/commands\n\n"
            f"  {_own_program()} watch --url {self._url} --key {self._key}\n",
            soft_wrap=True,
            markup=True,
        )

    # Steps

    async def _start_hub(self, port: int) -> None:
        for name in [name for name in os.environ if name.upper().startswith("HUB_")]:
            del os.environ[name]  # of a hub in earnest, whose database and files are not to be played with
        settings = load(
            Path(os.devnull),
            server={"data": self._folder / "hub", "port": port},
            players={"unclean_grace_s": GRACE_S},
        )
        db = Database(settings.database_url, wait_s=settings.database.wait_s)
        await db.start()
        await prepare(db)
        _, self._key = await create_team(db, name="Demo", email="demo@example.com", password=secrets.token_hex(16))
        await db.stop()
        config = configure(create_app(settings), host=settings.server.host, port=port)
        _, bound = await self._stack.enter_async_context(serving(config))
        self._url = f"http://127.0.0.1:{bound}"
        headers = {"Authorization": f"Bearer {self._key}"}
        self._client = httpx2.AsyncClient(base_url=self._url, headers=headers, timeout=STEP_S)
        self._stack.push_async_callback(self._client.aclose)
        self._stack.push_async_callback(self._stop_agents)
        self._say("hub", f"listens on {self._url}, on an empty database")

    async def _pair(self, name: str, colour: tuple[int, int, int]) -> None:
        """The agent shows a code, the operator enters it."""
        _poster(self._folder / f"{name}.png", name, colour)
        code = await self._read_code(await self._start_agent(name), name)
        answer = await self._client.post("/api/v1/players/pair", json={"code": code, "name": name})
        if answer.is_error:
            raise StepFailed(f"pairing {name}: {answer.text}")
        self._ids[name] = answer.json()["data"]["player_id"]
        self._say("paired", f"{name}, by the code {code} that its agent showed")
        await self._until("online", name)

    async def _read_code(self, process: asyncio.subprocess.Process, name: str) -> str:
        assert process.stderr is not None
        said = ""
        async with asyncio.timeout(STEP_S):
            while line := (await process.stderr.readline()).decode():
                said += line
                if found := re.search(r" not paired: enter the code (\S{6}) at ", line):
                    return found[1]
        raise StepFailed(f"pairing {name}: no code was shown. The agent said: {said.strip()}")

    async def _start_agent(self, name: str) -> asyncio.subprocess.Process:
        place = NAMES.index(name) * 100 // (len(NAMES) - 1)
        look = [*WINDOW, f"--geometry=32%x32%+{place}%+6%"] if _has_windows() else [UNSEEN]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "device_agent.cli", "run"),
            *("--hub", self._url, "--state", str(self._folder / name), "--player", self._kind, "--name", name),
            *("--content", str(self._folder / f"{name}.png"), "--reboot-command", NO_REBOOT, "--log-level", "warning"),
            env=os.environ | {"AGENT_PLAYER__ARGS": json.dumps(look)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._agents[name] = process
        return process

    async def _until(self, status: str, name: str, after: str | None = None) -> dict[str, Any]:
        """Wait for the event that says so, and show it."""
        async with asyncio.timeout(STEP_S):
            while True:
                params = {"limit": 1000} | ({"after": after} if after else {})
                page = await self._client.get("/api/v1/events", params=params, headers={"Prefer": "wait=20"})
                for event in page.json()["data"]:
                    if event["event"] == f"player.{status}" and event["data"]["player_id"] == self._ids[name]:
                        self._say(status, f"{name} ({event['timestamp']})")
                        return dict(event)
                after = page.json()["meta"]["next"]

    async def _command(self, name: str, command: str, payload: dict[str, Any], outcome: Any) -> dict[str, Any]:
        self._doing(f"{command} for {name}")
        body = {"player_id": self._ids[name], "command": command, "payload": payload}
        answer = await self._client.post("/api/v1/commands", json=body)
        if answer.is_error:
            raise StepFailed(f"{command} for {name}: {answer.text}")
        path = f"/api/v1/commands/{answer.json()['command_id']}"
        story = (await self._client.get(path, headers={"Prefer": "wait=30"})).json()["data"]
        if story["status"] != "succeeded":
            raise StepFailed(f"{command} for {name} ended as {story['status']}: {story['error'] or story['detail']}")
        self._say("command", f"{command} for {name}: succeeded, {outcome(story['detail'])}")
        return dict(story["detail"])

    async def _screenshot(self, name: str) -> None:
        await self._command(name, "take_screenshot", {}, lambda detail: f"taken from {detail['source']}")
        link = (await self._client.get(f"/api/v1/players/{self._ids[name]}/screenshot")).json()["url"]
        picture = await self._client.get(link)
        path = self._folder / f"screenshot.{picture.headers['content-type'].removeprefix('image/')}"
        path.write_bytes(picture.content)
        with Image.open(path) as image:
            self._say("picture", f"{image.width} x {image.height}, {len(picture.content)} bytes, in {path}")
            if self._kind == "mpv":
                _check_poster(image.convert("RGB"), COLOURS[NAMES.index(name)])

    async def _pull_the_plug(self, name: str) -> None:
        after = (await self._client.get("/api/v1/events", params={"after": "latest"})).json()["meta"]["next"]
        self._agents[name].kill()
        await self._agents[name].wait()
        self._say("killed", f"the agent of {name}, without a goodbye; it is offline after {GRACE_S} s of grace")
        self._doing(f"waiting for {name} to be missed")
        event = await self._until("offline", name, after)
        await self._start_agent(name)
        await self._until("online", name, event["cursor"])

    # Around them

    async def _stop_agents(self) -> None:
        running = [process for process in self._agents.values() if process.returncode is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def _doing(self, text: str) -> None:
        """Tell, on a terminal, what takes so long."""
        if isinstance(self.progress, Status):
            self.progress.update(text)

    def _say(self, what: str, text: str) -> None:
        self._console.print(f"[bold cyan]{what:8}[/] {text}", soft_wrap=True)


def _has_windows() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _own_program() -> str:
    """How a shell finds the `hub` command that runs: by its name only where that leads to it."""
    here = Path(sys.executable).with_name("hub")
    found = shutil.which("hub")
    if found is not None and Path(found) == here:
        return "hub"
    return shlex.quote(os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here))


def _poster(path: Path, name: str, colour: tuple[int, int, int]) -> None:
    """Something to play: the player's name on its colour."""
    image = Image.new("RGB", (1280, 720), colour)
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 40, 1240, 680), outline=(255, 255, 255), width=6)
    draw.text((640, 320), name, fill=(255, 255, 255), anchor="mm", font=ImageFont.load_default(140))
    draw.text((640, 470), "Signalbox", fill=(255, 255, 255), anchor="mm", font=ImageFont.load_default(48))
    image.save(path)


def _check_poster(image: Image.Image, colour: tuple[int, int, int]) -> None:
    """The picture shows the poster: its colour is where the poster has it."""
    seen = image.getpixel((image.width // 2, image.height * 9 // 10))
    assert isinstance(seen, tuple)
    if any(abs(a - b) > 24 for a, b in zip(seen, colour, strict=True)):
        raise StepFailed(f"the screenshot does not show what mpv plays: {seen} where {colour} was expected")
