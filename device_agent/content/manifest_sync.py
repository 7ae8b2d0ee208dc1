"""Having the manifest that the hub last told of, and the files that it names; on disk, so that a start without a hub
goes on where it was."""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from device_agent.aside import put_aside
from device_agent.content.cache import Cache, write_whole
from device_agent.content.download import DownloadFault, fetch_asked, fetch_manifest
from device_agent.content.program import LARGEST_BYTES, Asset, Contents, ManifestFault, Program, Showing, read_contents

log = logging.getLogger(__name__)

FILE = "manifest.json"

AGAIN_S = 5.0
LONGEST_AGAIN_S = 300.0
"""Between attempts to fetch what did not come: at first soon, then as often as a hub under repair can bear."""

NEWEST_S = 240.0
"""How long `newest` and `bring` may take. The hub gives `reload_content` 300 s."""

Notice = Callable[[str, dict[str, Any]], None]


class ManifestSync:
    """`token`, `now` (Unix milliseconds, as well as it is known) and `playing` (what a `play` command shows) are asked
    each time; `changed` is called when there is another program or another file; `adopted` once the hub may know of a
    new revision."""

    def __init__(
        self,
        hub_url: str,
        state: Path,
        cache: Cache,
        types: frozenset[str],
        *,
        token: Callable[[], str | None],
        now: Callable[[], int],
        notice: Notice,
        changed: Callable[[], None],
        adopted: Callable[[], None],
        playing: Callable[[], Showing] = Showing,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hub_url = hub_url
        self._file = state / FILE
        self.cache = cache
        self._types = types
        self._token = token
        self._now = now
        self._notice = notice
        self._changed = changed
        self._adopted = adopted
        self._playing = playing
        self._brought = Showing()  # for a `play` command that waits for its files
        self._sleep = sleep
        self.program: Program | None = None
        self._unstored: bytes | None = None  # a manifest that the disk refused
        self._wanted: str | None = None  # the revision that the hub last told of
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._failed: set[int] = set()  # assets whose failure was told
        self._coming: dict[str, asyncio.Task[None]] = {}  # downloads under way, by hash
        self._stop = threading.Event()

    @property
    def revision(self) -> str | None:
        """Of the program that plays."""
        return self.program.revision if self.program else None

    def load(self) -> None:
        """The program of before this start, if there is one. Blocks."""
        try:
            with self._file.open("rb") as file:
                self.program = Program(file.read(LARGEST_BYTES + 1), self._types)
        except FileNotFoundError:
            pass
        except ManifestFault as fault:
            self._put_aside(str(fault))
        except OSError as fault:
            if self._file.is_dir():
                self._put_aside("it is a folder")
            else:
                log.warning("the stored manifest is not used: %s", fault)

    def _put_aside(self, why: str) -> None:
        try:
            put_aside(self._file, why)
        except OSError as error:
            log.error("the stored manifest cannot be put aside: %s", error.strerror)

    def told(self, revision: str | None) -> None:
        """The hub has a manifest of this revision; None: it has none for this player."""
        self._wanted = revision
        self._woken.set()

    def look(self) -> None:
        """Files may be missing."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        again_s = AGAIN_S
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                asked_s = 0.0
                try:
                    async with self._turn:
                        complete = await self._follow()
                except (DownloadFault, ManifestFault, OSError) as fault:
                    log.warning("%s", fault)
                    complete = False
                    if isinstance(fault, DownloadFault) and fault.again_s is not None:
                        # Not all players of a fleet at the same moment.
                        asked_s = min(fault.again_s, LONGEST_AGAIN_S) * random.uniform(1, 2)
                except Exception:  # must not take the commands down with it
                    log.exception("a defect of the agent")
                    complete = False
                if complete:
                    again_s = AGAIN_S
                else:
                    await self._sleep(asked_s)  # whatever else there is to look at: nothing would come
                    await self._pause(again_s)
                    again_s = min(again_s * 2, LONGEST_AGAIN_S)
                    self._woken.set()
        finally:
            self._stop.set()

    async def newest(self) -> str | None:
        """Fetch the manifest and what plays now, at once; the revision that plays then. Raises DownloadFault."""
        if self._wanted is None:
            return self.revision
        try:
            async with asyncio.timeout(NEWEST_S), self._turn:
                fresh = await self._fetch(None)
                await self._prepare(fresh)
                self._adopt(fresh)
        except TimeoutError:
            raise DownloadFault(f"the content was not here within {NEWEST_S:g} s") from None
        except (ManifestFault, OSError) as fault:
            raise DownloadFault(str(fault)) from None
        self._woken.set()
        return self.revision

    async def asked(self, command_id: str) -> Contents:
        """What a `play` command is to show, as the hub has it now. Raises DownloadFault."""
        token = self._token()
        if token is None:
            raise DownloadFault("there is no token to fetch with")
        try:
            return read_contents(await asyncio.to_thread(fetch_asked, self._hub_url, token, command_id), self._types)
        except ManifestFault as fault:
            raise DownloadFault(str(fault)) from None

    async def bring(self, showing: Showing) -> None:
        """Have all files of it here, and none of them give way to another. Raises DownloadFault."""
        self._brought = showing
        try:
            async with asyncio.timeout(NEWEST_S):
                for asset in dict.fromkeys(item.asset for item in showing.items if item.asset.sha256):
                    await self.file(asset)
        except TimeoutError:
            raise DownloadFault(f"the files were not here within {NEWEST_S:g} s") from None
        finally:
            self._brought = Showing()

    async def file(self, asset: Asset) -> Path:
        """Where an asset's file is, fetched when it was not here. Raises DownloadFault."""
        path = self.cache.find(asset)
        if path is None:
            await self._download(asset)
            path = self.cache.find(asset)
        if path is None:
            raise DownloadFault("the file is not here")
        return path

    # --- inside ---

    async def _follow(self) -> bool:
        """Catch up with what the hub told; whether everything is here."""
        if self._wanted is not None and self._wanted != self.revision:
            fresh = await self._fetch(self.revision)
            if fresh is not None:
                await self._prepare(fresh)
                self._adopt(fresh)
        program = self.program
        if program is None:
            return True
        if self._unstored is not None:
            await self._store(self._unstored)
        complete = self._unstored is None
        for asset in program.files(self._now()):
            if self._wanted not in (None, self.revision):  # told of another one meanwhile
                return False
            complete = await self._have(asset) and complete
        return complete

    async def _fetch(self, known: str | None) -> Program | None:
        token = self._token()
        if token is None:
            raise DownloadFault("there is no token to fetch the manifest with")
        data = await asyncio.to_thread(fetch_manifest, self._hub_url, token, known)
        if data is None:
            return None
        program = Program(data, self._types)
        await self._store(data)
        return program

    async def _store(self, data: bytes) -> None:
        """Keep the manifest for a start without a hub. A disk that refuses it must not keep it off the screen."""
        try:
            await asyncio.to_thread(write_whole, self._file, data)
            self._unstored = None
        except OSError as error:
            log.error("the manifest is not stored yet: %s", error)
            self._unstored = data

    async def _prepare(self, program: Program | None) -> None:
        """The files of what plays now come before the change to it: nobody needs to see the gap."""
        if program is not None:
            try:
                for item in program.at(self._now())[0].items:
                    if item.asset.sha256:
                        await self._have(item.asset)
            except DownloadFault as fault:  # the hub is busy; a new program does not wait for its files
                log.warning("%s", fault)

    def _adopt(self, program: Program | None) -> None:
        if program is None:
            return
        if self.program is None or program.revision != self.program.revision:
            log.info("program of revision %s", program.revision)
            self._failed.clear()
        self.program = program
        self._changed()
        self._adopted()

    async def _have(self, asset: Asset) -> bool:
        """Whether the asset's file is here now. A failure is told once. Raises DownloadFault when the hub has no room
        for any file now, which is no failure."""
        if self.cache.find(asset) is not None:
            return True
        try:
            await self._download(asset)
        except DownloadFault as fault:
            if fault.again_s is not None:
                raise
            log.warning("asset %d (%s): %s", asset.id, asset.name, fault)
            if asset.id not in self._failed:
                self._failed.add(asset.id)
                self._notice("download.failed", {"asset_id": asset.id, "name": asset.name, "reason": str(fault)})
            return fault.final
        self._changed()
        return True

    async def _download(self, asset: Asset) -> None:
        """Fetch the asset's file; whoever wants a file that is coming in waits for that. A caller that goes away ends
        no download, since its thread goes on."""
        assert asset.sha256 is not None
        coming = self._coming.get(asset.sha256)
        if coming is None:
            coming = self._coming[asset.sha256] = asyncio.create_task(self._fetch_file(asset))
            coming.add_done_callback(partial(self._came, asset.sha256))
        await asyncio.shield(coming)

    def _came(self, sha256: str, download: asyncio.Task[None]) -> None:
        del self._coming[sha256]
        if not download.cancelled():
            download.exception()  # told by those who wait, if there are any

    async def _fetch_file(self, asset: Asset) -> None:
        token = self._token()
        if token is None:
            raise DownloadFault("there is no token to fetch files with")
        following = self.program.at(self._now())[0] if self.program else Showing()
        needed = (*following.items, *self._playing().items, *self._brought.items)
        keep = {item.asset.sha256 for item in needed if item.asset.sha256} | self._coming.keys()
        await asyncio.to_thread(self.cache.fetch, self._hub_url, token, asset, keep, self._stop)

    async def _pause(self, seconds: float) -> None:
        """Wait, or until there is a reason to look at once."""
        waits = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._woken.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
