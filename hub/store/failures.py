"""What the drivers of the databases raise, in two kinds: an outage, and something wrong with what was asked."""

import asyncio
import logging
import sqlite3
import sys
import time

from sqlalchemy.exc import DBAPIError, PendingRollbackError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.domain.errors import Unavailable

log = logging.getLogger(__name__)

AGAIN_S = 1.0  # between two lines on an outage: one says as much as the hundred callers that it hits at once

_DRIVERS = frozenset({"asyncpg", "aiosqlite", "uvloop"})
_ORPHAN = "23503"  # PostgreSQL's foreign_key_violation
_FAULTS = frozenset({"22", "23", "42"})
"""Classes of PostgreSQL's error codes that speak against the statement: its data, a constraint, its words. All others
are of the server and the way to it: connection, rolled back, read only, resources, an administrator, the system."""


def is_outage(error: BaseException) -> bool:
    """Whether the database or the way to it failed, and nothing is said against what was asked: the same may work in a
    moment. Whatever a driver raises is one, unless it is known for a fault of the statement: drivers raise much
    that none of their pages names when a connection breaks under them."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        cause = error.orig if error.orig is None or isinstance(error.orig, sqlite3.Error) else error.orig.__cause__
        return cause is not None and is_outage(cause)
    if isinstance(error, sqlite3.Error):
        return not isinstance(error, sqlite3.IntegrityError)
    if isinstance(error, OSError | PoolTimeout | PendingRollbackError | ResourceClosedError):
        return True
    if (asyncpg := sys.modules.get("asyncpg")) is not None:  # where it raised something it is loaded
        if isinstance(error, asyncpg.PostgresError):
            return str(error.sqlstate)[:2] not in _FAULTS
        if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
            return not isinstance(error, ValueError)  # those are about arguments
    if isinstance(error, asyncio.CancelledError):
        # What a driver has left of a connection that broke. Whoever is really told to end has been asked to.
        task = asyncio.current_task()
        return task is not None and task.cancelling() == 0
    return isinstance(error, Exception) and not isinstance(error, ValueError) and _raised_in(error) in _DRIVERS


def is_orphan(error: BaseException | None) -> bool:
    """Whether a row was refused for what it refers to, which is not there: callers look before they store, so it was
    deleted in between."""
    if isinstance(error, DBAPIError):
        return error.orig is not None and (is_orphan(error.orig) or is_orphan(error.orig.__cause__))
    if isinstance(error, sqlite3.IntegrityError):
        return error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
    return _sqlstate(error) == _ORPHAN


def deleted_meanwhile() -> Unavailable:
    """What the caller is told then: the same call again is told what is missing."""
    return Unavailable("Something that this is about was deleted at the same moment.", code="moved", retry_after=1)


def _sqlstate(error: BaseException | None) -> str | None:
    asyncpg = sys.modules.get("asyncpg")
    return str(error.sqlstate) if asyncpg is not None and isinstance(error, asyncpg.PostgresError) else None


def _raised_in(error: Exception) -> str | None:
    """The package in whose code it was raised."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return None if frame is None else str(frame.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


_warned_at = float("-inf")


def warn(error: BaseException) -> None:
    """One line in the log, for all whom the same moment hits."""
    global _warned_at
    now = time.monotonic()
    if now - _warned_at >= AGAIN_S:
        _warned_at = now
        log.warning("the database failed: %s", described(error))


def described(error: BaseException) -> str:
    """On one line: what it was, and what it said."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig.__cause__ or error.orig
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
