"""Files that the hub keeps: screenshots and logs, in a local folder (the default) or an S3 bucket.

Names are made by the hub, never from a client's text: `screenshots/<team>/<player>/<sha256>-<upload>.<ext>`.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from hub.domain.errors import CannotStart, NotFound, TooLarge, Unavailable
from hub.store.holding import removing
from hub.store.private import close_to_others, identity, open_folder

THREADS = 16  # operations at once; each is short, and a bucket that hangs must not take the hub's other threads
GET_LIMIT = 32 << 20  # bytes `get` reads into memory: above every upload that the hub accepts
PIECE = 262_144  # bytes of one step of `stream`: what a caller who does not read on keeps in memory
PARTS_AT_ONCE = 4  # of 5 MB each, of one file on its way into a bucket: within a request's time on a slow uplink
PAGE = 1_000  # names a step of `pages`: what S3 lists at once
POSTPONED = 100_000  # names of blobs to be removed later; past it, and after a crash, they are collected as orphans
READINESS = "readiness"
OWNER = "database-id"  # the blob that names the database whose files these are
OWNER_BYTES = 64  # of such a name, at most

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    name: str
    size: int
    modified_at: int


@dataclass(frozen=True, slots=True)
class Content:
    """What is served of a team's blob: `size` bytes in all, in pieces. `etag` names them (their SHA-256)."""

    team_id: int
    mime: str
    size: int
    etag: str
    pieces: AsyncIterator[bytes]


class Blobs:
    """`url` is `file:///folder` or `s3://bucket/prefix`; the other arguments are for the bucket.

    CannotStart says why a folder cannot be used; once it is claimed it is closed to other users. It is made only here,
    and only if `make`: one that is moved away or unmounted later is missed until it is back. All methods raise
    Unavailable when the folder or the bucket cannot be used; reading raises NotFound.

    obstore's blocking calls run in our own threads: its asynchronous ones deliver results from threads that the
    interpreter does not know, and a process that ends just then aborts instead of exiting.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str = "us-east-1",
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        allow_http: bool = False,
        make: bool = True,
    ) -> None:
        place = urlsplit(url)
        self._place = url
        self._database: str | None = None  # whose the files are; None: nobody has said
        self._named: Sequence[str] = ()
        self._is_own = False
        self._missed = False
        self._postponed: deque[str] = deque(maxlen=POSTPONED)
        self._opened: tuple[int, int] | None = None  # what the folder was
        self._folder: Path | None = None
        self._store: LocalStore | S3Store
        if place.scheme == "file":
            self._folder = Path(url2pathname(place.path))
            self._place = str(self._folder)
            if not make and not self._folder.exists():
                raise CannotStart(
                    f"There is no folder of the files {self._folder}, and the database names files in it: put it back."
                )
            open_folder("folder of the files", self._folder)
            self._opened = identity(self._folder)
            self._store = LocalStore(self._folder, automatic_cleanup=True)
        elif place.scheme == "s3":
            options: dict[str, Any] = {
                "endpoint": endpoint,
                "region": region,
                "access_key_id": access_key_id,
                "secret_access_key": secret_access_key,
                "prefix": place.path.strip("/") or None,
            }
            self._store = S3Store(
                place.netloc,
                **{name: value for name, value in options.items() if value is not None},
                client_options={"allow_http": allow_http, "connect_timeout": "5s", "timeout": "30s"},
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
            )
        else:
            raise ValueError(f"blobs live at file:// or s3://, not {place.scheme}://")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store-blobs")

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def claim(self, database: str, named: Sequence[str]) -> None:
        """Have the store for this database alone: what no row of it names is removed from here, and would be another
        hub's. A blob says whose the store is. One that does not say it is taken when it has one of the blobs `named`,
        which are some that the database names, or when there are none of either: an empty folder may be one whose disk
        is not mounted, and an empty bucket another one than before.

        Raises CannotStart when the store is another's or may be, Unavailable when it cannot be asked now: then it is
        asked again before anything is stored, listed or removed."""
        self._database, self._named, self._is_own = database, named, False
        await self._run(self._take)
        self._is_own = True
        if self._folder is not None:  # and not before: what is another's is not touched
            folder = self._folder
            await self._run(lambda: close_to_others("folder of the files", folder, within=[folder]))

    async def put(self, name: str, data: bytes) -> None:
        await self._own()
        await self._run(lambda: self._put(name, data))

    async def put_file(self, name: str, path: Path) -> None:
        """Bring a local file, which must not change any more, into the store; when this returns, it is durable there.
        In a folder on the same disk it gets a second name and no copy: a file of gigabytes takes no room twice."""
        await self._own()
        await self._run(lambda: self._put(name, path))

    async def get(self, name: str, limit: int = GET_LIMIT) -> bytes:
        """The whole content. Raises TooLarge when it has more than `limit` bytes."""

        def read() -> bytes:
            found = obstore.get(self._store, name)
            if found.meta["size"] > limit:
                raise TooLarge
            return bytes(found.bytes())

        return await self._run(read)

    async def stream(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Bytes `start` to before `end` in pieces. What can fail at once fails before the first piece.

        Each piece is a request of its own: one for the whole would have to end within its timeout, and whoever takes
        the pieces may be slow.
        """
        size = (await self.head(name)).size
        return self._pieces(name, start, size if end is None else min(end, size))

    async def head(self, name: str) -> Stored:
        return await self._run(lambda: _stored(obstore.head(self._store, name)))

    async def delete(self, *names: str) -> None:
        """Remove what is there; a name that is not is no error. Of a folder that is being copied nothing is removed:
        later, with what is removed then."""
        if names or self._postponed:
            await self._own()
            await self._run(lambda: self._delete(names))

    async def pages(self, prefix: str) -> AsyncIterator[list[Stored]]:
        """Everything below the folder `prefix`, some hundred at a time, in no order. Whoever lists may remove what it
        does not know, so the store is asked once more whose it is."""
        await self._own(again=True)
        listing = iter(obstore.list(self._store, prefix, chunk_size=PAGE))
        while (page := await self._run(lambda: next(listing, None))) is not None:
            yield [_stored(found) for found in page]

    async def sweep(self, before: int) -> None:
        """Remove what was left of writes that a crash cut off, last written to before `before` (Unix ms). They have no
        name yet and no listing tells of them. In a bucket that is for a rule on its incomplete uploads."""
        if self._folder is not None:
            await self._own(again=True)
            await self._run(partial(_sweep, self._folder, before))

    async def check(self) -> None:
        """Raise Unavailable unless something can be stored (readiness)."""
        await self._own()
        await self._run(lambda: obstore.put(self._store, READINESS, b"ready"))

    async def _own(self, *, again: bool = False) -> None:
        """Raise Unavailable unless the store is this database's, if it is claimed at all."""
        if self._database is None or (self._is_own and not again):
            return
        try:
            await self._run(self._take)
        except CannotStart as error:
            log.error("%s", error.message)
            raise Unavailable("The hub cannot reach its files right now.", retry_after=5) from error
        self._is_own = True

    def _take(self) -> None:
        """Raises CannotStart as `claim` does, and what the store does."""
        assert self._database is not None
        owner = self._owner()
        if owner is None:
            way_out = f"put a file {OWNER} with the text {self._database} there"
            if not any(map(self._has, self._named)):
                if not self._is_empty():
                    raise CannotStart(
                        f"There are files in {self._place}, and the database names none of them: set blobs.url to an "
                        f"empty place, or use the database that belongs to them; if they are this hub's all the same, "
                        f"{way_out}."
                    )
                if self._named:
                    raise CannotStart(
                        f"{self._place} is empty, and the database names files in it: mount the disk that has them, or "
                        f"set blobs.url to where they are; to go on without them, {way_out}."
                    )
            self._put(OWNER, self._database.encode())
            owner = self._owner()
        if owner != self._database:
            raise CannotStart(
                f"The files in {self._place} belong to another database, as {OWNER} there says: set blobs.url to a "
                f"place of this hub's own, or use the database that belongs to them."
            )

    def _owner(self) -> str | None:
        """What the store says whose it is; None: it does not."""
        try:
            found = obstore.get(self._store, OWNER)
        except FileNotFoundError:
            return None
        return bytes(found.bytes()).decode(errors="replace").strip() if found.meta["size"] <= OWNER_BYTES else ""

    def _has(self, name: str) -> bool:
        try:
            obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def _is_empty(self) -> bool:
        """But for what every hub leaves."""
        if self._folder is not None:  # where a listing has no files that are not whole, and fails at closed folders
            names = (name for _, _, names in os.walk(self._folder) for name in names)
            return all(name == READINESS for name in names)
        return all(found["path"] == READINESS for found in next(iter(obstore.list(self._store, chunk_size=PAGE)), ()))

    def _put(self, name: str, content: bytes | Path) -> None:
        if self._folder is None:
            obstore.put(self._store, name, content, max_concurrency=PARTS_AT_ONCE)
            return
        path = self._folder / name
        folder_is_new = not path.parent.is_dir()
        if not (isinstance(content, Path) and _linked(content, path)):
            obstore.put(self._store, name, content, max_concurrency=PARTS_AT_ONCE)
        _fsync(path)  # the bytes survive a power cut, and with the folder synced so does the name
        path = path.parent
        _fsync(path)
        while folder_is_new and path != self._folder:
            path = path.parent
            _fsync(path)
        self._look()

    def _delete(self, names: tuple[str, ...]) -> None:
        if self._folder is None:
            obstore.delete(self._store, list(names))
            return
        with removing(self._folder) as may:
            if not may:
                self._postponed.extend(names)
                return
            for name in (*names, *self._due()):
                try:
                    obstore.delete(self._store, name)
                except FileNotFoundError:
                    pass

    def _due(self) -> Iterator[str]:
        with suppress(IndexError):
            while True:
                yield self._postponed.popleft()

    async def _pieces(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        for at in range(start, end, PIECE):
            yield await self._run(partial(self._piece, name, at, min(at + PIECE, end)))

    def _piece(self, name: str, start: int, end: int) -> bytes:
        return bytes(obstore.get_range(self._store, name, start=start, end=end))

    def _look(self) -> None:
        """Raise Unavailable when the folder is not the one of the start: what is put into another would be lost, and
        what is missing there is not gone."""
        if self._folder is None:
            return
        if identity(self._folder) != self._opened:
            if not self._missed:
                log.error("%s was moved, removed or replaced: no file is stored until it is put back", self._folder)
            self._missed = True
            raise Unavailable("The hub cannot reach its files right now.", retry_after=5)
        if self._missed:
            log.warning("%s is back", self._folder)
            self._missed = False

    async def _run(self, work: Callable[[], T]) -> T:
        def looked() -> T:
            self._look()
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, looked)
        except FileNotFoundError as error:
            raise NotFound from error
        except (BaseError, OSError) as error:
            raise Unavailable("The hub cannot reach its files right now.", retry_after=5) from error


def _stored(found: Any) -> Stored:
    return Stored(found["path"], found["size"], int(found["last_modified"].timestamp() * 1000))


def _linked(file: Path, path: Path) -> bool:
    """Whether `path` could become another name of the file: not on another disk, on one without such names, or where
    something has that name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, path)
    except OSError:
        return False
    return True


def _sweep(folder: Path, before: int) -> None:
    for path in folder.rglob("*#*"):  # as obstore calls a file until it is whole: our own names have no such sign
        try:
            if path.stat().st_mtime_ns // 1_000_000 < before:
                path.unlink()
        except FileNotFoundError:
            pass


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
