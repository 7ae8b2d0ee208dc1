"""mpv as a child process: plays, is asked what it plays, photographs its own window, and comes back when it dies.

What should be on screen is kept here (`_wanted`), what is on screen is always asked of mpv. A card of our own is shown
while there is nothing to play, so that the wall is never in doubt and a screenshot always possible.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device_agent.players import picture
from device_agent.players.base import Banner, Look, PairingCard, Picture, PlayerError, check_volume
from device_agent.players.mpv_arguments import FIXED, NO_OUTPUT, SDL_DRIVERS, WINDOW, why_dark
from device_agent.players.mpv_ipc import REQUEST_S, Event, MpvLink
from device_agent.players.mpv_overlays import Overlays
from device_agent.players.mpv_shrink import grey, shrink
from device_agent.players.source import check_source

log = logging.getLogger(__name__)

START_S = 15.0  # a cold start from a slow SD card
LOAD_S = 20.0  # until the first frame; a failed load and the way back together stay within a minute
STOP_S = 3.0  # for mpv to quit before it is killed
PHOTO_S = 15.0  # a 4K frame on a small board
CHECK_S = 10.0  # between looks at whether mpv still answers and still plays
QUICK_RESTARTS = 5
QUICK_RESTART_S = 0.5
SLOW_RESTART_S = 30.0
HEALTHY_S = 60.0  # a life this long makes the next restart quick again
JPEG_QUALITY = 85
LOOK_QUALITY = 70  # JPEG; black stays black
MOVES_S = (0.7, 1.1, 1.3)  # pauses in which a film must get on; no short one that repeats fits into all of them
SLOWEST_FPS = 5.0  # of a film; one of slides stands still for longer than we look
LONGEST_TEXT = 1000  # characters; more would not fit on a screen
MASTER_QUALITY = 95  # of the full-size picture that is only an intermediate for a smaller one

OnEvent = Callable[[str, dict[str, Any]], None]


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of our own, gone afterwards; the standard library's would load 1 MB of compression with it. Raises
    PlayerError."""
    folder = Path(os.environ.get("TMPDIR") or "/tmp", f"signalbox-shot-{os.urandom(8).hex()}")
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise PlayerError("no_picture", f"There is no place for a picture: {error}.") from None
    try:
        yield folder
    finally:
        for file in folder.iterdir():
            file.unlink(missing_ok=True)
        folder.rmdir()


class MpvPlayer:
    """`args` are added to mpv's command line; `on_event` hears of `player.crashed`; `clock` is Unix milliseconds.

    Where mpv can open no screen it still runs, so that it can be asked and photographed, but what claims that something
    is to be seen fails with `no_screen`; `--vo=null` in `args` says that nobody has to see anything."""

    kind = "mpv"
    capabilities = frozenset({"play", "set_volume", "identify", "take_screenshot", "restart_player"})
    content_types = frozenset({"image", "video", "audio", "livestream"})
    sees = True

    def __init__(
        self,
        name: str = "",
        *,
        binary: str = "mpv",
        args: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.name = name
        self._binary = binary
        self._environment = {"SDL_VIDEODRIVER": SDL_DRIVERS, **(os.environ if environment is None else environment)}
        self._args = (*FIXED, *WINDOW, *args)
        self._unseen_by_choice = f"--vo={NO_OUTPUT}" in args
        self._no_screen = f"mpv has no screen: {why_dark(self._environment, args)}"
        self._dark = False  # whether this mpv found no screen
        self._on_event = on_event or (lambda name, data: None)
        self._clock = clock

        self._card_fd: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._outputs: Any = []  # those that mpv may use, in its own form
        self._started_at = 0.0
        self._link: MpvLink | None = None
        self._files: asyncio.Queue[Event] | None = None  # events of the load underway
        self._turn = asyncio.Lock()  # one change of process or content at a time, and no picture in between
        self._keeper: asyncio.Task[None] | None = None
        self._timer: asyncio.Task[None] | None = None
        self._volume = 100
        self._overlays = Overlays(self._ask)
        self._wanted: str | None = None  # what should play
        self._afterwards: str | None = None  # what should play once a `duration_s` is over
        self._shown: str | None = None  # what mpv was last made to play; None while that is uncertain

    # --- life ---

    async def start(self) -> None:
        if self._keeper is not None:
            return
        self._card_fd = os.memfd_create("card")  # inherited by mpv, and no file to be left behind
        self._write_card(self._card_fd)
        try:
            async with self._turn:
                await self._launch()
        except BaseException:
            self._drop_card()
            raise
        self._keeper = asyncio.create_task(self._keep(), name="mpv-keeper")

    async def stop(self) -> None:
        for task in (self._keeper, self._timer):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._keeper = self._timer = None
        async with self._turn:
            await self._end()
        self._wanted = self._afterwards = None
        self._drop_card()

    async def restart(self) -> tuple[int, float]:
        async with self._turn:
            if self._keeper is None:
                raise PlayerError("player_down", "The player was not started.")
            await self._end()
            await self._launch()
        return await self.identity()

    async def identity(self) -> tuple[int, float]:
        if self._process is None or self._process.returncode is not None:
            raise PlayerError("player_down", "mpv is not running.")
        return self._process.pid, self._started_at

    async def version(self) -> str:
        return str(await self._ask("get_property", "mpv-version")).removeprefix("mpv ")

    # --- content ---

    async def play(self, uri: str, *, duration_s: int | None = None) -> str:
        check_source(uri)
        async with self._turn:
            self._check_screen()
            try:
                await self._load(uri)
            except PlayerError:
                await self._succeeds(self._restore())
                raise
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._wanted = uri
            if duration_s is None:
                self._afterwards = uri
            else:
                self._timer = asyncio.create_task(self._return_after(duration_s), name="mpv-return")
        return await self.current() or uri

    async def clear(self) -> None:
        async with self._turn:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._wanted = self._afterwards = None
            await self._restore()

    async def current(self) -> str | None:
        try:
            path = str(await self._ask("get_property", "path"))
        except PlayerError as error:
            if error.code == "player_refused":  # mpv plays nothing
                return None
            raise
        if self._dark or path != self._shown or path == self._card:  # another path: its first frame is not out yet
            return None
        return path

    async def set_volume(self, volume: int) -> int:
        await self._ask("set_property", "volume", check_volume(volume))
        self._volume = volume
        return round(float(await self._ask("get_property", "volume")))

    async def volume(self) -> int | None:
        return round(float(await self._ask("get_property", "volume")))

    async def show_text(self, text: str, seconds: float) -> None:
        self._check_screen()
        await self._ask("show-text", text[:LONGEST_TEXT], round(seconds * 1000))

    async def show_banner(self, banner: Banner | None) -> None:
        await self._overlays.show_banner(banner)  # remembered for the screen that may come
        if banner is not None:
            self._check_screen()

    async def show_pairing(self, card: PairingCard | None) -> None:
        await self._overlays.show_pairing(card)

    async def rename(self, name: str) -> None:
        async with self._turn:
            if name == self.name:
                return
            self.name = name
            if self._card_fd is None:
                return
            self._write_card(self._card_fd)
            if self._link is not None and self._wanted is None:
                await self._load(self._card)

    async def screenshot(self, *, max_width: int | None = None, quality: int | None = None) -> Picture:
        """A JPEG of the window with everything in it, or of the decoded frame where there is no window to read."""
        quality = min(100, max(1, JPEG_QUALITY if quality is None else quality))
        with _folder() as folder:
            file = folder / "full.jpg"
            async with self._turn:
                captured_at = self._clock()
                await self._photograph(file, MASTER_QUALITY if max_width else quality)
            if max_width:
                file = await shrink(self._binary, file, max(16, max_width), quality)
            return Picture(data=file.read_bytes(), mime="image/jpeg", source="mpv", captured_at=captured_at)

    async def look(self) -> Look:
        with _folder() as folder:
            file = folder / "full.jpg"
            async with self._turn:
                await self._photograph(file, LOOK_QUALITY)
            pixels = await grey(self._binary, file)
        return Look(brightest=max(pixels), moves=await self._moves())

    async def _moves(self) -> bool | None:
        before = await self._position()
        if before is None:
            return None
        for pause_s in MOVES_S:
            await asyncio.sleep(pause_s)
            if await self._position() != before:
                return True
        return False

    async def _position(self) -> float | None:
        """How far the film on screen is, in seconds; None when none is there."""
        tracks = await self._ask("get_property", "track-list")
        films = [track for track in tracks if track["type"] == "video" and not track.get("image", True)]
        if not any(track["selected"] and track.get("demux-fps", 0) >= SLOWEST_FPS for track in films):
            return None
        try:
            return float(await self._ask("get_property", "time-pos"))
        except PlayerError as error:
            if error.code != "player_refused":
                raise
            return None

    # --- the process ---

    @property
    def _card(self) -> str:
        """The card's path, as mpv sees it."""
        return f"/proc/self/fd/{self._card_fd}"

    def _write_card(self, file: int) -> None:
        card = picture.card(self.name or "Ready", [("", "No content yet")], width=1280, background=(24, 26, 32))
        os.truncate(file, 0)
        os.pwrite(file, card, 0)

    def _drop_card(self) -> None:
        if self._card_fd is not None:
            os.close(self._card_fd)
            self._card_fd = None

    async def _ask(self, *command: Any, timeout: float = REQUEST_S) -> Any:
        if self._link is None:
            raise PlayerError("player_down", "mpv is not running.")
        return await self._link.request(*command, timeout=timeout)

    async def _launch(self) -> None:
        """A new mpv that answers and shows what is wanted; on failure none is left."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._started_at = time.time()
                self._process = await asyncio.create_subprocess_exec(
                    self._binary,
                    *self._args,
                    f"--volume={self._volume}",
                    f"--input-ipc-client=fd://{theirs.fileno()}",
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), *([] if self._card_fd is None else [self._card_fd])],
                    env=self._environment,
                    start_new_session=True,  # Ctrl-C in a terminal is the agent's business
                )
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise PlayerError("player_missing", f"{self._binary} did not start: {error.strerror}.") from None
            raise
        try:
            self._link = await MpvLink.over(ours, self._heard)
            await self._link.request("get_property", "mpv-version", timeout=START_S)
            self._dark = False
            self._outputs = await self._ask("get_property", "vo")
            await self._open_screen()
            await self._overlays.attach()
        except BaseException as error:
            await self._end()
            if isinstance(error, PlayerError) and error.code == "player_down":
                raise PlayerError("player_missing", f"{self._binary} ended at once; are its arguments right?") from None
            raise

    async def _open_screen(self) -> None:
        """Show what is wanted; an mpv that can open no screen goes on without one."""
        failure: PlayerError | None = None
        try:
            await self._restore()
        except PlayerError as error:
            failure = error
        if self._unseen_by_choice or await self._has_output():
            if failure is not None:
                raise failure
            if self._dark:
                log.warning("mpv has a screen now")
            self._dark = False
            return
        if not self._dark:
            log.warning("%s; nothing is to be seen", self._no_screen)
        self._dark = True
        await self._ask("set_property", "vo", NO_OUTPUT)
        await self._restore()

    async def _look_for_screen(self) -> None:
        """At boot the agent may have been faster than the display."""
        await self._ask("set_property", "vo", self._outputs)
        await self._ask("set_property", "force-window", "yes")  # mpv forgets it when it finds no screen
        await self._open_screen()

    async def _has_output(self) -> bool:
        try:
            return str(await self._ask("get_property", "current-vo")) != NO_OUTPUT
        except PlayerError as error:
            if error.code != "player_refused":  # mpv draws nowhere
                raise
            return False

    def _check_screen(self) -> None:
        if self._dark:
            raise PlayerError("no_screen", f"{self._no_screen}.")

    async def _end(self) -> None:
        """No mpv is left afterwards."""
        link, process = self._link, self._process
        self._link = self._shown = None
        await self._overlays.detach()
        if link is not None:
            await link.close()  # mpv quits when this closes
        if process is not None and process.returncode is None:
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _keep(self) -> None:
        """Bring mpv back whenever it dies."""
        failures = 0
        while True:
            process, began = self._process, time.monotonic()
            assert process is not None  # start() launched one
            await self._until_gone(process)
            async with self._turn:
                if self._process is not process:
                    continue  # restarted on request
                await self._end()
            failures = 1 if time.monotonic() - began >= HEALTHY_S else failures + 1
            self._on_event("player.crashed", {"player": self.kind, "exit_status": process.returncode})
            await asyncio.sleep(QUICK_RESTART_S if failures <= QUICK_RESTARTS else SLOW_RESTART_S)
            async with self._turn:
                if self._process is process:
                    await self._succeeds(self._launch())

    async def _until_gone(self, process: asyncio.subprocess.Process) -> None:
        """Return when mpv has exited. One that hangs is killed; content that ended or was lost is put back."""
        exited = asyncio.create_task(process.wait())
        try:
            while not (await asyncio.wait({exited}, timeout=CHECK_S))[0]:
                async with self._turn:
                    if process.returncode is not None or self._process is not process:
                        continue
                    try:
                        idle = await self._ask("get_property", "idle-active", timeout=START_S)
                    except PlayerError:
                        process.kill()
                        continue
                    if self._dark:
                        await self._succeeds(self._look_for_screen())
                    elif idle or self._shown != (self._wanted or self._card):
                        await self._succeeds(self._restore())
        finally:
            exited.cancel()
            await asyncio.gather(exited, return_exceptions=True)

    @staticmethod
    async def _succeeds(attempt: Awaitable[None]) -> bool:
        try:
            await attempt
        except PlayerError:
            return False
        return True

    # --- the file on screen ---

    def _heard(self, event: Event) -> None:
        self._overlays.heard(event)
        if self._files is not None and event["event"] in ("start-file", "playback-restart", "end-file", "closed"):
            self._files.put_nowait(event)

    async def _load(self, uri: str) -> None:
        """Return when the first frame of `uri` is out."""
        if self._link is None:
            raise PlayerError("player_down", "mpv is not running.")
        self._shown = None
        self._files = asyncio.Queue()
        try:
            async with asyncio.timeout(LOAD_S):
                reply = await self._link.request("loadfile", uri, "replace")
                await self._first_frame(uri, reply["playlist_entry_id"])
                await self._check_decoded(uri)
        except TimeoutError:
            raise PlayerError("timeout", f"{uri} did not start within {LOAD_S:g} s.") from None
        finally:
            self._files = None
        self._shown = uri

    async def _first_frame(self, uri: str, entry: int) -> None:
        assert self._files is not None
        started = False  # events of the file before may still be on their way
        while True:
            event = await self._files.get()
            if event["event"] == "closed":
                raise PlayerError("player_down", "mpv ended while it opened the file.")
            if event.get("playlist_entry_id") == entry:
                if event["event"] == "end-file":
                    reason = event.get("file_error") or event.get("reason")
                    raise PlayerError("unplayable", f"mpv cannot play {uri}: {reason}.")
                started = True
            elif event["event"] == "playback-restart" and started:
                return

    async def _check_decoded(self, uri: str) -> None:
        """mpv goes on quietly when it recognised a file but can decode nothing of it, or only the sound of a video."""
        tracks = await self._ask("get_property", "track-list")
        kind = "video" if any(track["type"] == "video" for track in tracks) else "audio"
        try:
            await self._ask("get_property", f"{kind}-params")
        except PlayerError as error:
            if error.code != "player_refused":
                raise
            raise PlayerError("unplayable", f"mpv cannot decode the {kind} of {uri}.") from None

    async def _restore(self) -> None:
        """Show what is wanted, or the card when that fails or nothing is wanted."""
        if self._wanted is not None and await self._succeeds(self._load(self._wanted)):
            return
        await self._load(self._card)

    async def _return_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        async with self._turn:
            self._timer = None
            self._wanted = self._afterwards
            await self._succeeds(self._restore())

    # --- pictures ---

    async def _photograph(self, file: Path, quality: int) -> None:
        await self._ask("set_property", "screenshot-jpeg-quality", quality)
        for mode in (
            ("subtitles", "video") if self._dark or self._unseen_by_choice else ("window", "subtitles", "video")
        ):
            try:
                await self._ask("screenshot-to-file", str(file), mode, timeout=PHOTO_S)
                return
            except PlayerError as error:
                if error.code != "player_refused":
                    raise
        raise PlayerError("no_picture", "mpv shows no picture.")
