"""One hub to a database: a second one would take the players of the first for the victims of a crash, and commands
whose players it does not have. `hub init` and `hub password` are no hubs, and work beside one."""

import asyncio
import fcntl
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, Protocol

from hub.domain.errors import CannotStart, HubError, Unavailable
from hub.store.failures import described, is_outage
from hub.store.postgres import CONNECT_S, connect, place_of
from hub.store.private import open_lock

LOCK = 7235901448  # of PostgreSQL's advisory ones, which each database of a server has for itself
TAKE_S = 2.0  # for a predecessor that was killed a moment ago: the server needs that to see it gone
AGAIN_S = 0.2  # between attempts to take the lock
LOOK_S = 2.0  # between looks at the lock's connection: with ANSWER_S how late we notice that nothing comes back on it
ANSWER_S = 5.0
SERVER_SETTINGS = {
    # The server gives up a hub that has vanished after 25 s, where the system's own idea is two hours. It is later than
    # the hub notices by itself, so that nobody else has the lock before we know that we do not.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "idle_session_timeout": "0",
}

log = logging.getLogger(__name__)


class Sole(Protocol):
    """That this process is the database's one hub.

    returned    set when it is so again, after a time in which another hub may have been
    superseded  done when another hub has taken over, with a sentence that says so: nothing is stored any more
    """

    returned: asyncio.Event
    superseded: "asyncio.Future[str]"

    async def start(self) -> None:
        """Raises CannotStart when there is a hub already."""
        ...

    async def stop(self) -> None: ...


class FileSole:
    """Of a SQLite file: the system's locks on a file beside it and on the database itself, where SQLite's own are of
    another kind (fcntl) and do not meet them. They end with the process, however that ends.

    The second is there for whoever removes the first. `start` after, and `stop` after, all that SQLite does with the
    file: when any of a process's descriptors of it is closed, the locks of SQLite there are gone."""

    def __init__(self, path: str) -> None:
        self.returned = asyncio.Event()
        self._path = Path(os.path.realpath(path))
        self._files: list[IO[bytes]] = []

    async def start(self) -> None:
        self.superseded: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            for path in (self._path.with_name(f"{self._path.name}.lock"), self._path):
                file = open_lock(path) if path != self._path else path.open("r+b", buffering=0)
                self._files.append(file)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(f"Another hub runs on the database {self._path} already.") from None
        except OSError as error:
            raise CannotStart(f"The locks of {self._path} cannot be taken: {error.strerror}.") from None

    async def stop(self) -> None:
        while self._files:
            self._files.pop().close()


class PostgresSole:
    """Of a PostgreSQL database: an advisory lock, held for life by a connection that does nothing else. It is gone with
    that connection. Then nothing is acknowledged until it is ours again; if another hub has it, for ever."""

    def __init__(self, dsn: str) -> None:
        self.returned = asyncio.Event()
        self._dsn = dsn
        self._name = f"signalbox hub {token_hex(8)}"  # by which the server knows a session of this process
        self._connection: Any = None
        self._asking = asyncio.Lock()
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.superseded: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        until = time.monotonic() + TAKE_S
        while not await self._take():
            if time.monotonic() >= until:
                raise CannotStart(f"Another hub runs on the database {place_of(self._dsn)} already.")
            await asyncio.sleep(AGAIN_S)
        self._task = asyncio.create_task(self._keep(), name="store-sole")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._connection is not None:
            with suppress(Exception):  # so the lock is free when this returns, unless the way to the server is broken
                await self._connection.close(timeout=ANSWER_S)
        self._drop()

    def check(self) -> None:
        """Raises Unavailable when this is not, as far as we know, the database's one hub."""
        if self._connection is None or self._lost.is_set():
            raise Unavailable(retry_after=1, code="superseded" if self.superseded.done() else None)

    async def verify(self) -> None:
        """The same, after asking the server."""
        self.check()
        async with self._asking:
            self.check()
            try:
                await self._connection.fetchval("SELECT 1", timeout=ANSWER_S)
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and not is_outage(error):
                    raise
                self._lost.set()
                raise Unavailable(retry_after=1) from error

    async def _take(self) -> bool:
        """Whether the lock is ours now. Raises what the driver does."""
        connection = await connect(
            self._dsn, timeout=CONNECT_S, server_settings=SERVER_SETTINGS | {"application_name": self._name}
        )
        try:
            taken = await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK, timeout=ANSWER_S)
        except BaseException:
            connection.terminate()
            raise
        if not taken:
            connection.terminate()
            return False
        self._lost.clear()
        connection.add_termination_listener(self._ended)
        self._connection = connection
        return True

    def _ended(self, connection: Any) -> None:
        if connection is self._connection:
            self._lost.set()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._lost.wait()
            with suppress(HubError):
                await self.verify()
                continue
            self._drop()
            log.warning("the lock on the database is lost; nothing is stored until it is held again")
            if not await self._retake():
                self.superseded.set_result(
                    f"Another hub has taken the database {place_of(self._dsn)} over; this one ends."
                )
                return
            log.warning("the lock on the database is held again")
            self.returned.set()

    async def _retake(self) -> bool:
        """Take the lock as soon as there is a server. False: another hub has it."""
        said = ""
        while True:
            try:
                if await self._take():
                    return True
                if await self._is_anothers():
                    return False
            except Exception as error:
                if not is_outage(error):
                    log.exception("the lock on the database cannot be taken")
                elif described(error) != said:
                    said = described(error)
                    log.warning("the lock on the database cannot be taken yet: %s", said)
            await asyncio.sleep(AGAIN_S)

    async def _is_anothers(self) -> bool:
        """Whether another hub has the lock. A session of our own that the server takes for alive is ended."""
        connection = await connect(self._dsn, timeout=CONNECT_S)
        try:
            holders = await connection.fetch(
                """SELECT a.pid, a.application_name AS name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                   WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                         AND (l.classid::bigint << 32) + l.objid::bigint = $1
                         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
                LOCK, timeout=ANSWER_S,
            )  # fmt: skip
            for holder in holders:
                if holder["name"] != self._name:
                    return True
                await connection.execute("SELECT pg_terminate_backend($1)", holder["pid"], timeout=ANSWER_S)
            return False
        finally:
            connection.terminate()
