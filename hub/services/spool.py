"""Files on their way in: bytes gather in a temporary file, hashed as they come, and never as a whole in memory."""

import hashlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from hub.domain.errors import Invalid, TooLarge, Unavailable
from hub.domain.quotas import Quotas
from hub.services.quotas import Places
from hub.services.threads import in_thread
from hub.store.private import open_folder

log = logging.getLogger(__name__)

FLUSH_BYTES = 1 << 20  # gathered in memory before a write; many files at once still fit beside everything else
KEEP_FREE_BYTES = 256 << 20  # of the disk, for the database: an upload must not be what stops it
AT_ONCE = 32  # files on their way in; more would only slow one another down


@dataclass(slots=True)
class Sender:
    """The team that a file comes from; `stored` are the bytes of its assets when the file began to arrive."""

    team_id: int
    plan: str
    stored: int


class SpooledFile:
    """A file that is arriving. After `finish`, `size` and `sha256` are those of the whole. It is gone from the disk
    when the block that made it ends."""

    def __init__(self, intake: "Spool", sender: Sender, path: Path) -> None:
        self.path = path
        self.size = 0
        self.sha256 = ""
        self._intake = intake
        self._sender = sender
        self._gathered = bytearray()
        self._hasher = hashlib.sha256()
        self._file: BinaryIO | None = None

    async def write(self, data: bytes) -> None:
        """Take the next bytes in. Raises TooLarge, Conflict when the team has no room for them, or Unavailable when the
        disk does not take them."""
        self.size += len(data)
        self._intake.arrived[self._sender.team_id] += len(data)
        if self.size > self._intake.max_bytes:
            raise TooLarge(f"A file has at most {self._intake.max_bytes:,} bytes.", code="file_too_large")
        self._intake.check(self._sender)
        self._gathered += data
        if len(self._gathered) >= FLUSH_BYTES:
            await self._flush()

    async def finish(self) -> None:
        """All bytes have come. Raises Invalid when there are none."""
        await self._flush()
        if self.size == 0:
            raise Invalid.field("file", "must not be empty", code="bad_file")
        self.sha256 = self._hasher.hexdigest()

    async def discard(self) -> None:
        await in_thread(self._remove)

    async def _flush(self) -> None:
        data = bytes(self._gathered)
        self._gathered.clear()
        try:
            await in_thread(self._append, data)
        except OSError as error:
            raise _disk(error) from error

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self.path.open("xb", buffering=0)
        if shutil.disk_usage(self.path.parent).free < self._intake.keep_free + len(data):
            raise OSError("the disk is full but for what the database needs")
        view = memoryview(data)
        while view:
            view = view[os.write(self._file.fileno(), view) :]
        self._hasher.update(data)

    def _remove(self) -> None:
        if self._file is not None:
            self._file.close()
        self.path.unlink(missing_ok=True)


class Spool:
    """`folder` is for temporary files, on a local disk; what an earlier process left there is removed."""

    def __init__(
        self, folder: Path, *, max_bytes: int, keep_free: int = KEEP_FREE_BYTES, quotas: Quotas | None = None
    ) -> None:
        self.max_bytes = max_bytes
        self.keep_free = keep_free
        self.places = Places("uploads", AT_ONCE, quotas)
        self._folder = folder
        self._quotas = quotas or Quotas()
        self.arrived: Counter[int] = Counter()  # bytes of each team's files that are on their way in
        open_folder("folder of incoming files", folder)
        for path in folder.glob("*.part"):
            path.unlink(missing_ok=True)

    def check(self, sender: Sender, more: int = 0) -> None:
        """Raise Conflict unless so many bytes more fit beside what the team has stored and what is arriving."""
        self._quotas.check("stored_bytes", sender.plan, sender.stored + self.arrived[sender.team_id], more)

    @asynccontextmanager
    async def receiving(self, sender: Sender, expected: int = 0) -> AsyncIterator[SpooledFile]:
        """A place for one file, of `expected` bytes at least. Raises TooMany or Unavailable when too many are under
        way, Conflict when the team has no room for it."""
        if expected <= self.max_bytes:  # else the file is too large for any team
            self.check(sender, expected)
        with self.places.taking(sender.team_id, sender.plan):
            incoming = SpooledFile(self, sender, self._folder / f"{uuid4().hex}.part")
            try:
                yield incoming
            finally:
                self.arrived[sender.team_id] -= incoming.size
                if not self.arrived[sender.team_id]:
                    del self.arrived[sender.team_id]
                await incoming.discard()


def _disk(error: OSError) -> Unavailable:
    log.error("uploads cannot be written: %s", error)
    return Unavailable("The hub cannot store files right now.", retry_after=60)
