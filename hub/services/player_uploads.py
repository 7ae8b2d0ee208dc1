"""Uploads from players: bytes gather in a temporary file, are checked, and become a blob with its rows.

The key of an upload is (player, kind, command, sha256). Whoever announces it again continues where the bytes stopped,
or gets the id that it has already. Of two connections that send the same upload the newer one goes on.
"""

import asyncio
import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hub.bus.base import Bus
from hub.domain import content, ids
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Invalid, Unavailable
from hub.domain.quotas import Quotas
from hub.domain.times import DAY, HOUR, is_due, now_ms
from hub.services import pictures
from hub.services.quotas import Places
from hub.services.spool import KEEP_FREE_BYTES
from hub.services.team_locks import OnePerTeam
from hub.services.threads import in_thread
from hub.store import quotas as team_quotas
from hub.store import uploads as store
from hub.store.blobs import Blobs, Content
from hub.store.database import Database
from hub.store.private import open_folder
from hub.store.uploads import Kept

log = logging.getLogger(__name__)

Kind = Literal["screenshot", "logs"]

SIZE_LIMITS: dict[str, int] = {"screenshot": 10_000_000, "logs": 20_000_000}  # bytes, as the protocol says
PIXELS_A_SIDE = 8_192  # twice 4K: no screen is larger, and decoded it is still 256 MB
LOOKS_AT_ONCE = 2  # pictures being decoded: half a gigabyte at most, and threads are left for other work
FLUSH_BYTES = 256 << 10  # gathered in memory before a write: a usual screenshot is written once, when it is complete
GATHERED_LIMIT = 64 << 20  # bytes in memory over all uploads; past it every chunk is written at once
KEEP_UNFINISHED_MS = HOUR  # a player that was away longer starts anew
TEMPORARY_LIMIT = 2 << 30  # bytes that all unfinished uploads may become
IDLE_S = 60.0  # seconds without a byte, after which an upload gives way to others that want its room
SLOWEST = 2_000  # bytes a second over any minute; who is slower gives way too
ORPHANS_EVERY_MS = DAY  # between looks at every blob
SWEEP_ROWS = 500  # uploads removed in one transaction
SWEEP_TURNS = 40  # of those in one sweep; the next one goes on

_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}  # of screenshots


class UploadRefused(Invalid):
    """The upload is over. `code`: too_large, size_mismatch, sha256_mismatch, not_an_image, bad_chunk, or replaced (the
    same upload goes on in another connection)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


@dataclass(frozen=True, slots=True)
class Finished:
    """A stored upload: the screenshot's number, or for logs the upload's own id, and where it is to be had (a picture
    by a signed link, logs with a credential)."""

    id: str
    url: str


@dataclass(slots=True, eq=False)
class Handle:
    """One upload under way in one connection. `received` counts all bytes taken in, also those still in memory."""

    key: str
    player_id: int
    team_id: int
    kind: Kind
    command_id: str | None
    size: int
    sha256: str
    captured_at: int
    source: str
    asset_id: int | None
    path: Path
    deadline: float
    received: int = 0
    replaced: bool = False
    gathered: bytearray = field(default_factory=bytearray)
    hasher: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class _Left:
    """Bytes that wait on the disk for the rest of their upload."""

    team_id: int
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class Begun:
    """`done`: it was stored before. Else the bytes from `received` on are wanted, and `hasher` is a sha256 that has
    taken in those before."""

    handle: Handle
    received: int
    hasher: "hashlib._Hash"
    done: Finished | None = None


class Uploads:
    """`folder` is for temporary files, on a local disk; `url_of` makes a picture's address from its number."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        blobs: Blobs,
        folder: Path,
        url_of: Callable[[int], str],
        *,
        keep_per_player: int = 50,
        retention_days: int = 30,
        quotas: Quotas | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._bus = bus
        self._blobs = blobs
        self._folder = folder
        self._url_of = url_of
        self._keep = keep_per_player
        self._retention_ms = retention_days * DAY
        self._clock = clock
        self._quotas = quotas or Quotas()
        self.places = Places("player_uploads", TEMPORARY_LIMIT, quotas)
        self._open: dict[str, Handle] = {}
        self._left: dict[str, _Left] = {}
        self._gathered = 0
        self._looks = OnePerTeam(LOOKS_AT_ONCE)
        self._orphans_due_at = 0
        open_folder("folder of unfinished uploads", folder)

    async def begin(
        self,
        *,
        player_id: int,
        team_id: int,
        kind: Kind,
        command_id: str | None,
        mime: str,
        size: int,
        sha256: str,
        captured_at_ms: int,
        source: str,
        asset_id: int | None = None,
    ) -> Begun:
        """Announce an upload. `mime` is the sender's word and decides nothing: the content does. `asset_id` is what
        the player showed, None where it does not tell; it is kept where the team has such an asset.

        Raises UploadRefused, Conflict when the player has too much stored, or TooMany or Unavailable when too much is
        under way.
        """
        if not 0 < size <= SIZE_LIMITS[kind]:
            raise UploadRefused("too_large", f"{kind}: between 1 and {SIZE_LIMITS[kind]} bytes, not {size}.")
        key = f"{player_id}/{kind}/{command_id or ''}/{sha256}"
        async with self._db.session() as session:
            plan = await self._db.run(session, team_quotas.plan_of(team_id))
        await self._make_room(team_id, plan, key, size)
        before = self._open.get(key)
        self._take(team_id, plan, size, self._held_under(key))
        self._left.pop(key, None)
        handle = Handle(
            key=key,
            player_id=player_id,
            team_id=team_id,
            kind=kind,
            command_id=command_id,
            size=size,
            sha256=sha256,
            captured_at=min(captured_at_ms, self._clock()),  # a device's clock may be ahead, its picture is not
            source=source,
            asset_id=asset_id,
            path=self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.part",
            deadline=_now() + IDLE_S,
        )
        self._open[key] = handle
        async with handle.lock:
            try:
                if before is not None:
                    before.replaced = True
                    async with before.lock:  # what it was doing is done before its file changes hands
                        await self._write_out(before)
                return await self._resume(handle)
            except BaseException:
                self._forget(handle)
                raise

    async def write(self, handle: Handle, offset: int, data: bytes) -> None:
        """Take the next bytes in; when this returns, credit may be given. Raises UploadRefused (`bad_chunk`,
        `replaced`) or Unavailable when the disk does not take them; the upload is then over in this connection."""
        async with handle.lock:
            self._check_open(handle)
            if offset != handle.received or offset + len(data) > handle.size:
                raise UploadRefused("bad_chunk", f"Byte {handle.received} of {handle.size} is next, not {offset}.")
            handle.gathered += data
            handle.received += len(data)
            handle.deadline = min(handle.deadline + len(data) / SLOWEST, _now() + IDLE_S)
            self._gathered += len(data)
            if len(handle.gathered) >= FLUSH_BYTES or self._gathered > GATHERED_LIMIT:
                await self._write_out(handle)

    async def finish(self, handle: Handle) -> Finished:
        """All bytes were sent: check, store, record. Raises UploadRefused, or Conflict when the player has too much
        stored (nothing is kept of it), NotFound when the player was deleted, or Unavailable (the bytes stay for another
        try)."""
        async with handle.lock:
            self._check_open(handle)
            try:
                return await self._store(handle)
            except Unavailable:
                self._forget(handle, left=handle.received)
                raise
            finally:
                self._forget(handle)

    async def release(self, handle: Handle) -> None:
        """The connection is gone; what came stays for an hour, for the player to go on from."""
        async with handle.lock:
            if self._open.get(handle.key) is handle:
                try:
                    await self._write_out(handle)
                finally:
                    self._forget(handle, left=handle.received)

    async def discard(self, handle: Handle) -> None:
        """The upload was broken; nothing of it is of use."""
        async with handle.lock:
            if self._open.get(handle.key) is handle:
                self._forget(handle)
                await in_thread(handle.path.unlink, missing_ok=True)

    async def content(self, actor: Actor, upload_id: str) -> Content:
        """What was uploaded, for whoever may ask a player for it. Logs are for reading as text or for saving; nothing
        in them is to be trusted as a page. Raises NotFound."""
        actor.require("write:players")
        async with self._db.session() as session:
            row = await store.upload(session, actor.team_id, upload_id)
        return Content(actor.team_id, row.mime, row.size, row.sha256, await self._blobs.stream(row.blob))

    async def sweep(self, now: int) -> None:
        """Remove unfinished uploads that nobody continued, pictures and logs past their time, and, once a day, blobs
        that no row knows (left by a crash, or by a deleted player)."""
        removed = await in_thread(self._sweep_folder, now)
        for key in [key for key, left in self._left.items() if left.path in removed]:
            left = self._left.pop(key)
            self.places.give_back(left.team_id, left.size)
        for _ in range(SWEEP_TURNS):
            async with self._db.session() as session:
                gone = await store.expired(session, now - self._retention_ms, SWEEP_ROWS)
                gone += await store.surplus(session, self._keep, SWEEP_ROWS)
                gone += await store.heaviest(session, self._quotas.by_plan("player_bytes"), SWEEP_ROWS)
            gone = list({upload.id: upload for upload in gone}.values())
            if gone:  # rows first: a row whose file is gone would be a backup's fault
                await self._db.write(store.forget, gone)
            await self._blobs.delete(*(upload.blob for upload in gone))
            if len(gone) < SWEEP_ROWS:
                break
        if is_due(self._orphans_due_at, now, ORPHANS_EVERY_MS):
            self._orphans_due_at = now + ORPHANS_EVERY_MS
            await self._sweep_orphans(now)

    async def _resume(self, handle: Handle) -> Begun:
        self._check_open(handle)
        kept: Kept | None = await self._db.write(
            store.find_or_check,
            handle.key,
            handle.player_id,
            handle.team_id,
            handle.size,
            self._quotas,
            self._clock(),
            key=handle.player_id,
        )
        if kept is not None:
            if kept.screenshot_id is not None and handle.command_id is None:
                await self._db.write(
                    store.seen_again,
                    kept.screenshot_id,
                    handle.captured_at,
                    handle.asset_id,
                    self._clock(),
                    key=handle.player_id,
                )
            self._forget(handle)
            return Begun(handle, handle.size, handle.hasher, self._finished(kept))
        try:
            handle.received = await in_thread(_take_up, handle)
        except OSError as error:
            raise _disk(error) from error
        if handle.received == handle.size:  # complete but for its end: the sender may have nothing left to send
            done = await self._store(handle)
            self._forget(handle)
            return Begun(handle, handle.size, handle.hasher, done)
        return Begun(handle, handle.received, handle.hasher.copy())

    async def _store(self, handle: Handle) -> Finished:
        await self._write_out(handle)
        try:
            async with self._looks.of(handle.team_id) if handle.kind == "screenshot" else nullcontext():
                mime, extension = await in_thread(_examine, handle)
        except UploadRefused:
            await in_thread(handle.path.unlink, missing_ok=True)
            raise
        except OSError as error:
            raise _disk(error) from error
        upload_id = ids.upload_id()
        folder = "screenshots" if handle.kind == "screenshot" else "logs"
        blob = f"{folder}/{handle.team_id}/{handle.player_id}/{handle.sha256}-{upload_id}.{extension}"
        await self._blobs.put_file(blob, handle.path)
        new = store.NewUpload(
            id=upload_id,
            key=handle.key,
            player_id=handle.player_id,
            kind=handle.kind,
            command_id=handle.command_id,
            blob=blob,
            mime=mime,
            size=handle.size,
            sha256=handle.sha256,
            source=handle.source,
            captured_at=handle.captured_at,
            asset_id=handle.asset_id,
        )
        try:
            kept: Kept = await self._db.write(store.record, new, self._clock(), self._quotas, key=handle.player_id)
        except Conflict:  # no room
            await self._blobs.delete(blob)
            await in_thread(handle.path.unlink, missing_ok=True)
            raise
        if kept.screenshot_id is not None:
            self._bus.publish(("events", handle.team_id))
        await in_thread(handle.path.unlink, missing_ok=True)
        if kept.blob != blob:  # another node was faster with the same upload
            await self._blobs.delete(blob)
        return self._finished(kept)

    def _finished(self, kept: Kept) -> Finished:
        if kept.screenshot_id is None:
            return Finished(kept.id, f"/api/v1/uploads/{kept.id}")
        return Finished(str(kept.screenshot_id), self._url_of(kept.screenshot_id))

    def _check_open(self, handle: Handle) -> None:
        if handle.replaced or self._open.get(handle.key) is not handle:
            raise UploadRefused("replaced", "This upload has ended, or goes on in another connection.")

    def _forget(self, handle: Handle, left: int = 0) -> None:
        """It is not under way any more; so many bytes stay on the disk, and count until they are gone."""
        self._gathered -= len(handle.gathered)
        handle.gathered.clear()
        if self._open.get(handle.key) is handle:
            del self._open[handle.key]
            self.places.give_back(handle.team_id, handle.size - left)
            if left:
                self._left[handle.key] = _Left(handle.team_id, left, handle.path)

    def _held_under(self, key: str) -> int:
        """Bytes that count for an earlier beginning of the same upload."""
        if (before := self._open.get(key)) is not None:
            return before.size
        return self._left[key].size if key in self._left else 0

    def _take(self, team_id: int, plan: str, size: int, held: int) -> None:
        if size > held:
            self.places.take(team_id, plan, size - held)
        else:
            self.places.give_back(team_id, held - size)

    async def _make_room(self, team_id: int, plan: str, key: str, size: int) -> None:
        """What keeps no pace, of any team, and then what the team itself has left behind, gives way to an upload that
        would find no room."""
        if size <= self.places.room(team_id, plan) + self._held_under(key):
            return
        now = _now()
        for handle in [one for one in self._open.values() if one.deadline < now and one.key != key]:
            await self.discard(handle)
        for other in [one for one, left in self._left.items() if left.team_id == team_id and one != key]:
            if size <= self.places.room(team_id, plan) + self._held_under(key):
                return
            if (left := self._left.pop(other, None)) is not None:
                self.places.give_back(team_id, left.size)
                await in_thread(left.path.unlink, missing_ok=True)

    async def _write_out(self, handle: Handle) -> None:
        """Append what was gathered to the file, and to the hash."""
        if not handle.gathered:
            return
        data = bytes(handle.gathered)
        self._gathered -= len(data)
        handle.gathered.clear()
        try:
            await in_thread(_append, handle, data)
        except OSError as error:
            self._forget(handle)
            raise _disk(error) from error

    def _sweep_folder(self, now: int) -> set[Path]:
        busy = {handle.path for handle in list(self._open.values())}
        found: list[tuple[int, int, Path]] = []
        for path in self._folder.glob("*.part"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path not in busy:
                found.append((status.st_mtime_ns // 1_000_000, status.st_size, path))
        removed: set[Path] = set()
        room = TEMPORARY_LIMIT
        for changed_at, size, path in sorted(found, reverse=True):  # the newest stay
            room -= size
            if changed_at < now - KEEP_UNFINISHED_MS or room < 0:
                path.unlink(missing_ok=True)
                removed.add(path)
        return removed

    async def _sweep_orphans(self, now: int) -> None:
        removed = 0
        for folder in ("screenshots", "logs"):
            async for page in self._blobs.pages(folder):
                settled = {_upload_of(found.name): found.name for found in page if found.modified_at < now - HOUR}
                async with self._db.session() as session:
                    owned = await store.owned(session, settled)
                orphans = [name for upload_id, name in settled.items() if upload_id not in owned]
                await self._blobs.delete(*orphans)
                removed += len(orphans)
        if removed:
            log.info("removed %d files that belonged to nobody", removed)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _take_up(handle: Handle) -> int:
    """Hash what an earlier connection left; answers how much it is. What can only be wrong starts from nothing."""
    try:
        with handle.path.open("rb") as file:
            while piece := file.read(1 << 20):
                handle.hasher.update(piece)
            received = file.tell()
    except FileNotFoundError:
        return 0
    if received > handle.size or (received == handle.size and handle.hasher.hexdigest() != handle.sha256):
        handle.path.unlink()
        handle.hasher = hashlib.sha256()
        return 0
    return received


def _append(handle: Handle, data: bytes) -> None:
    if shutil.disk_usage(handle.path.parent).free < KEEP_FREE_BYTES + len(data):
        raise OSError("the disk is full but for what the database needs")
    with handle.path.open("ab") as file:
        file.write(data)
    handle.hasher.update(data)


def _examine(handle: Handle) -> tuple[str, str]:
    """(media type, file extension) of the complete file, by its content. Raises UploadRefused."""
    size = os.stat(handle.path).st_size if handle.received else 0
    if size != handle.size:
        raise UploadRefused("size_mismatch", f"{size} bytes came, {handle.size} were announced.")
    if handle.hasher.hexdigest() != handle.sha256:
        raise UploadRefused("sha256_mismatch", "The bytes do not have the announced SHA-256.")
    if handle.kind == "logs":
        with handle.path.open("rb") as file:
            return ("application/gzip", "gz") if file.read(2) == b"\x1f\x8b" else ("text/plain", "log")
    try:
        with handle.path.open("rb") as file:
            kind = content.sniff(file.read(content.HEAD_BYTES))
        extension = _EXTENSIONS[kind.mime]
        width, height = pictures.size(handle.path, kind)
        if max(width, height) <= PIXELS_A_SIDE:
            pictures.read(handle.path, kind, PIXELS_A_SIDE**2)
    except Exception as error:  # a hostile file makes the decoder raise whatever it likes
        raise UploadRefused("not_an_image", "This is not a whole PNG, JPEG or WebP picture.") from error
    if max(width, height) > PIXELS_A_SIDE:
        raise UploadRefused("not_an_image", f"{width}x{height} pixels are more than {PIXELS_A_SIDE} a side.")
    return kind.mime, extension


def _upload_of(blob: str) -> str:
    """The upload id inside a blob's name."""
    return blob.rpartition("-")[2].partition(".")[0]


def _disk(error: OSError) -> Unavailable:
    log.error("uploads cannot be written: %s", error)
    return Unavailable("The hub cannot store files right now.", retry_after=5)
