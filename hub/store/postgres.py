"""The way to a PostgreSQL server, when a hub or one of its commands starts."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hub.domain.errors import CannotStart
from hub.store.failures import described, is_outage

CONNECT_S = 5.0  # to a database server
AGAIN_S = 0.5  # between two attempts to reach one that is not there yet
SETTINGS = {
    # What our statements are written for, whatever the settings of the role, the database or the server are.
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
}
OLDEST = 15  # version of the server: what is older is not tested with, and its makers' care for it ends in 2026

log = logging.getLogger(__name__)


async def connect(dsn: str, *, server_settings: Mapping[str, str] = {}, **options: Any) -> Any:
    """A connection as asyncpg makes it: its text is UTF-8, on our side at least."""
    import asyncpg

    return await asyncpg.connect(dsn, server_settings={**SETTINGS, **server_settings}, **options)


def place_of(dsn: str) -> str:
    """Where a database is, without user and password."""
    parts = urlsplit(dsn)
    return f"{parts.path.removeprefix('/') or 'of the user'} at {parts.netloc.rpartition('@')[2] or 'this machine'}"


async def reach(dsn: str, wait_s: float) -> None:
    """Return when the server lets us in, is new enough for us and keeps what we store, to the character. One that is
    not there, only just starts or is a standby is waited for, `wait_s` seconds and one attempt at most. Raises
    CannotStart."""
    until = time.monotonic() + wait_s
    waiting = False
    while True:
        try:
            connection = await connect(dsn, timeout=CONNECT_S)
            try:
                await _judge(connection, dsn)
            finally:
                connection.terminate()
            return
        except CannotStart:
            raise
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


class Standby(OSError):
    """The server follows another one, and takes nothing itself until it is promoted."""


async def _judge(connection: Any, dsn: str) -> None:
    """Raises CannotStart for what stays as it is, and what the driver does; Standby."""
    place = place_of(dsn)
    version = connection.get_server_version()
    if version.major < OLDEST:
        raise CannotStart(f"The database {place} is PostgreSQL {version.major}; the hub needs {OLDEST} or newer.")
    found = await connection.fetchrow(
        """SELECT current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS follows,
                  current_setting('default_transaction_read_only') AS read_only,
                  current_setting('synchronous_commit') AS synchronous""",
        timeout=CONNECT_S,
    )
    if found["encoding"] != "UTF8":
        raise CannotStart(
            f"The database {place} has the encoding {found['encoding']}, which cannot keep every text; the hub needs "
            f"one with UTF8 (createdb --encoding=UTF8 --template=template0)."
        )
    if found["follows"]:
        raise Standby("it is a standby, which can only be read")
    if found["read_only"] == "on":
        raise CannotStart(f"The database {place} can only be read: default_transaction_read_only is on for the hub.")
    if found["synchronous"] == "off":
        raise CannotStart(
            f"The database {place} would acknowledge what a crash then loses: set synchronous_commit to on, for the "
            f"hub's role at least (ALTER ROLE ... SET synchronous_commit = on)."
        )


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
