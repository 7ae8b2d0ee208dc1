"""Whose files are in a store: the database that names them, told by the name of its first log."""

import logging

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import Unavailable
from hub.store import events
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.tables import Export, StoredFile, Upload

log = logging.getLogger(__name__)

SOME = 20  # names of each kind, the newest: a few may be lost, and one that is there tells that the store is ours


async def names_files(db: Database) -> bool:
    async with db.session() as session:
        return bool(await named(session))


async def claim(db: Database, blobs: Blobs) -> None:
    """Have the store for this database alone: see `Blobs.claim`. A bucket that is away is asked later. Raises
    CannotStart, and Unavailable for the database."""
    async with db.session() as session:
        database, names = (await events.log(session)).name, await named(session)
    try:
        await blobs.claim(database, names)
    except Unavailable:
        log.warning("the files cannot be reached; nothing is stored there until they can")


async def named(session: AsyncSession) -> list[str]:
    """Some of the blobs that the database names: none only when it names none at all."""
    files = await session.exec(select(StoredFile.blob).order_by(col(StoredFile.id).desc()).limit(SOME))
    uploads = await session.exec(select(Upload.blob).order_by(col(Upload.created_at).desc()).limit(SOME))
    made = select(Export.blob).where(col(Export.blob).is_not(None)).order_by(col(Export.expires_at).desc()).limit(SOME)
    exports = await session.exec(made)
    return [*files, *uploads, *(blob for blob in exports if blob is not None)]
