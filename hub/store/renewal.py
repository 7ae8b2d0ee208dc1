"""A database that went back in time: a backup that was restored, an older copy that was put in its place.

What was given out after the moment of the copy is known outside, and is not given out again for something else: the
event log begins anew under another id, and numbers go on from higher ones, those of rows (by which callers, links and
logins name them) and the epochs of connections.
"""

import json
import logging
import os
import secrets
from pathlib import Path
from typing import Any

from sqlalchemy import func, text
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.events import Log
from hub.domain.times import DAY, SECOND
from hub.store import events, teams
from hub.store.database import Database
from hub.store.tables import Delivery, EventRow, Team

MARGIN = 1_000  # numbers left out in any case
LONGEST_MS = 3_650 * DAY  # of a copy's age: a clock that is wrong does not use up the epochs, which have 32 bits
# Tables that get up to a thousand rows a second leave out a number for each millisecond of the copy's age. Others, and
# the connections of one player, get less than one a second over any time that counts.
QUICK = ("event", "delivery", "play")
LOGS_KEPT = 100  # of the earlier logs, the newest, for deliveries that are still to be made; and the first
MARK = "hub.mark"
MARK_BYTES = 1_024

_EPOCHS = text("UPDATE presence SET epoch = epoch + :step")
_SQLITE_GOES_ON = text("UPDATE sqlite_sequence SET seq = seq + :step WHERE name = :name")
_SQLITE_BEGINS = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :step)")
_POSTGRES_GOES_ON = text("""
    SELECT setval(pg_get_serial_sequence(:name, 'id'),
                  nextval(pg_get_serial_sequence(:name, 'id')) + CAST(:step AS BIGINT))""")

log = logging.getLogger(__name__)


async def renew(db: Database, now: int) -> None:
    """Begin a new log, and leave out all numbers that may have been given out since the database was copied."""
    async with db.transaction() as session:
        old = await events.log(session)
        age_ms = min(max(0, now - await _known_at(session, now)), LONGEST_MS)
        last = (await session.exec(select(func.max(Delivery.id)))).one() or 0
        earlier = [*old.earlier, (old.id, last)]
        kept = [earlier[0], *earlier[1:][-LOGS_KEPT:]]
        await teams.set_fact(session, events.EARLIER_LOGS, json.dumps(kept))
        await teams.set_fact(session, events.LOG_ID, secrets.token_hex(6))
        connection = await session.connection()
        numbers = MARGIN + age_ms // SECOND
        await connection.execute(_EPOCHS, {"step": numbers})
        for name, table in SQLModel.metadata.tables.items():
            if table.primary_key.columns.values()[0].autoincrement is not True:
                continue
            step: dict[str, Any] = {"name": name, "step": MARGIN + age_ms if name in QUICK else numbers}
            if not db.is_sqlite:
                await connection.execute(_POSTGRES_GOES_ON, step)
            elif not (await connection.execute(_SQLITE_GOES_ON, step)).rowcount:  # it has never had a row
                await connection.execute(_SQLITE_BEGINS, step)


async def _known_at(session: AsyncSession, now: int) -> int:
    """The time of the last thing that the database knows of: it was copied no sooner."""
    at = (await session.exec(select(func.max(EventRow.at)))).one()
    if at is None:
        at = (await session.exec(select(func.max(Team.created_at)))).one()
    return now if at is None else at


class LogMark:
    """A word in the data folder about how far the log was, to notice a database in its place that is behind: an older
    copy. What was written after the last `keep` is not noticed, nor what happens to a hub without its data folder."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._path = folder / MARK
        self._kept = ""

    async def check(self, now: int) -> None:
        """At a start, before anything is read from the log: begin a new one if the database went back."""
        said, newest = _read(self._path), await self._newest()
        database, log_id, number = said or (newest[0].name, newest[0].id, 0)
        if database == newest[0].name and (log_id != newest[0].id or number > newest[1]):
            log.warning("the database is older than its last run: a new event log begins, and cursors are good no more")
            await renew(self._db, now)
        await self.keep()

    async def keep(self) -> None:
        """For the next start."""
        current, number = await self._newest()
        text = json.dumps([current.name, current.id, number])
        if text == self._kept:
            return
        fresh = self._path.with_name(f"{MARK}.new")
        try:
            fresh.write_text(text)
            os.replace(fresh, self._path)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)
        else:
            self._kept = text

    async def _newest(self) -> tuple[Log, int]:
        async with self._db.session() as session:
            return await events.log(session), max(await events.newest(session), await events.floor(session))


def _read(path: Path) -> tuple[str, str, int] | None:
    """(the database, its log, a number that this has reached); None: nobody says."""
    try:
        with path.open("rb") as file:
            database, log_id, number = json.loads(file.read(MARK_BYTES))
        return str(database), str(log_id), int(number)
    except (OSError, ValueError, TypeError):
        return None
