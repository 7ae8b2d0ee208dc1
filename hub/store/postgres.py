"""The way to a PostgreSQL server, when a hub or one of its commands starts."""

import asyncio
import logging
import time
from typing import Any
from urllib.parse import urlsplit

from hub.domain.errors import CannotStart
from hub.store.failures import described, is_outage

CONNECT_S = 5.0  # to a database server
AGAIN_S = 0.5  # between two attempts to reach one that is not there yet
OLDEST = 15  # version of the server: what is older is not tested with, and its makers' care for it ends in 2026

log = logging.getLogger(__name__)


async def connect(dsn: str, **options: Any) -> Any:
    """A connection as asyncpg makes it."""
    import asyncpg

    return await asyncpg.connect(dsn, **options)


def place_of(dsn: str) -> str:
    """Where a database is, without user and password."""
    parts = urlsplit(dsn)
    return f"{parts.path.removeprefix('/') or 'of the user'} at {parts.netloc.rpartition('@')[2] or 'this machine'}"


async def reach(dsn: str, wait_s: float) -> None:
    """Return when the server lets us in and is new enough for us. A server that is not there, or only just starts, is
    waited for, `wait_s` seconds and one attempt at most. Raises CannotStart."""
    until = time.monotonic() + wait_s
    waiting = False
    while True:
        try:
            connection = await connect(dsn, timeout=CONNECT_S)
        except Exception as error:
            if not _may_pass(error):
                raise CannotStart(f"The database {place_of(dsn)} cannot be used: {described(error)}") from error
            if time.monotonic() + AGAIN_S >= until:
                sentence = f"The database {place_of(dsn)} cannot be reached within {wait_s:g} s: {described(error)}"
                raise CannotStart(sentence) from error
            if not waiting:
                waiting = True
                log.warning("waiting up to %g s for the database %s: %s", wait_s, place_of(dsn), described(error))
            await asyncio.sleep(AGAIN_S)
        else:
            version = connection.get_server_version()
            connection.terminate()
            if version.major < OLDEST:
                raise CannotStart(
                    f"The database {place_of(dsn)} is PostgreSQL {version.major}; the hub needs {OLDEST} or newer."
                )
            return


def _may_pass(error: Exception) -> bool:
    """Whether waiting may help: not against a password, a name or a server that is something else."""
    import asyncpg

    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError):
        return False
    if isinstance(error, asyncpg.InternalClientError):  # what came was no word of PostgreSQL's
        return False
    if type(error) is ConnectionError and "rejected SSL" in str(error):  # nor was this
        return False
    return is_outage(error)
