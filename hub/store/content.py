"""Assets with their files, folders, and tickets of direct uploads. Every query is scoped by team.

A stored file has a blob of a name that no other ever had: whoever removes the row may remove the blob after the commit,
whatever is uploaded meanwhile.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import Asset, Folder, Layout, Playlist, PlaylistItem, StoredFile, UploadTicket, Zone

SOME = 500  # values in one IN list


@dataclass(frozen=True, slots=True)
class Found:
    """An asset, with its file when it has one."""

    asset: Asset
    file: StoredFile | None


# Assets --------------------------------------------------------------------------------------------------------------


async def find(
    session: AsyncSession,
    team_id: int,
    *,
    type: str | None = None,
    status: str | None = None,
    search: str | None = None,
    folder_id: int | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Found]:
    """Assets of the team in the order of their numbers."""
    query = select(Asset, StoredFile).join(StoredFile, col(StoredFile.id) == col(Asset.file_id), isouter=True)
    query = _filtered(query, team_id, type, status, search, folder_id).order_by(col(Asset.id))
    return [Found(asset, file) for asset, file in await session.exec(query.offset(offset).limit(limit))]


async def count(
    session: AsyncSession,
    team_id: int,
    *,
    type: str | None = None,
    status: str | None = None,
    search: str | None = None,
    folder_id: int | None = None,
) -> int:
    query = _filtered(select(func.count()).select_from(Asset), team_id, type, status, search, folder_id)
    return int((await session.exec(query)).one())


def _filtered(
    query: Any, team_id: int, type: str | None, status: str | None, search: str | None, folder_id: int | None
) -> Any:
    query = query.where(col(Asset.team_id) == team_id)
    if type is not None:
        query = query.where(col(Asset.type) == type)
    if status is not None:
        query = query.where(col(Asset.status) == status)
    if folder_id is not None:
        query = query.where(col(Asset.folder_id) == folder_id)
    if search:
        query = query.where(
            col(Asset.name).icontains(search, autoescape=True) | col(Asset.filename).icontains(search, autoescape=True)
        )
    return query


async def get(session: AsyncSession, team_id: int, asset_id: int) -> Found:
    """One asset. Raises NotFound."""
    found = await some(session, team_id, [asset_id])
    if not found:
        raise NotFound
    return found[0]


async def any_team(session: AsyncSession, asset_id: int) -> Found:
    """One asset, for a caller whose right was checked otherwise. Raises NotFound."""
    asset = await session.get(Asset, asset_id)
    if asset is None:
        raise NotFound
    return Found(asset, None if asset.file_id is None else await session.get(StoredFile, asset.file_id))


async def some(session: AsyncSession, team_id: int, asset_ids: Collection[int]) -> list[Found]:
    """Those of the assets that are the team's, in the order of their numbers."""
    wanted, found = sorted(set(asset_ids)), []
    for start in range(0, len(wanted), SOME):
        query = select(Asset, StoredFile).join(StoredFile, col(StoredFile.id) == col(Asset.file_id), isouter=True)
        query = query.where(col(Asset.team_id) == team_id, col(Asset.id).in_(wanted[start : start + SOME]))
        found += [Found(asset, file) for asset, file in await session.exec(query.order_by(col(Asset.id)))]
    return found


async def by_content_id(session: AsyncSession, team_id: int, content_id: str) -> Asset | None:
    query = select(Asset).where(col(Asset.content_id) == content_id, col(Asset.team_id) == team_id)
    return (await session.exec(query)).first()


async def by_key(session: AsyncSession, team_id: int, key: str) -> Asset | None:
    """The asset that a direct upload became, by the key of its ticket."""
    return (await session.exec(select(Asset).where(col(Asset.key) == key, col(Asset.team_id) == team_id))).first()


async def remove(
    session: AsyncSession, assets: Sequence[Asset], now: int
) -> tuple[list[str], list[Playlist], list[Layout]]:
    """Remove assets, and from playlists and zones what shows them: (blobs that nobody owns any more, to be removed
    after the commit; playlists and layouts that were changed, one version newer)."""
    asset_ids = [asset.id for asset in assets]
    items = select(PlaylistItem.playlist_id).where(col(PlaylistItem.asset_id).in_(asset_ids))
    playlists = list(await session.exec(select(Playlist).where(col(Playlist.id).in_(items))))
    zones = select(Zone.layout_id).where(col(Zone.asset_id).in_(asset_ids))
    layouts = list(await session.exec(select(Layout).where(col(Layout.id).in_(zones))))
    await session.exec(delete(PlaylistItem).where(col(PlaylistItem.asset_id).in_(asset_ids)))
    await session.exec(update(Zone).where(col(Zone.asset_id).in_(asset_ids)).values(asset_id=None))
    await session.exec(delete(Asset).where(col(Asset.id).in_(asset_ids)))
    touched: list[Any] = [*playlists, *layouts]
    for changed in touched:
        changed.version += 1
        changed.updated_at = now
        session.add(changed)
    file_ids = {asset.file_id for asset in assets if asset.file_id is not None}
    in_use = select(Asset.id).where(col(Asset.file_id) == col(StoredFile.id)).exists()
    unowned = await session.exec(
        delete(StoredFile)
        .where(col(StoredFile.id).in_(file_ids), ~in_use)
        .returning(col(StoredFile.blob), col(StoredFile.thumbnail))
    )
    blobs = [name for names in unowned for name in names if name is not None]
    await session.flush()
    return blobs, playlists, layouts


# Files ---------------------------------------------------------------------------------------------------------------


async def file_of(session: AsyncSession, team_id: int, sha256: str) -> StoredFile | None:
    query = select(StoredFile).where(col(StoredFile.team_id) == team_id, col(StoredFile.sha256) == sha256)
    return (await session.exec(query)).first()


async def owned(
    session: AsyncSession, names: Sequence[str], team_ids: Collection[int], hashes: Sequence[str]
) -> set[str]:
    """Those of the blobs that a row owns; `team_ids` and `hashes` are the teams and the SHA-256 in their names."""
    found: set[str] = set()
    for start in range(0, len(hashes), SOME):
        some = hashes[start : start + SOME]
        query = select(StoredFile.blob, StoredFile.thumbnail)
        query = query.where(col(StoredFile.team_id).in_(team_ids), col(StoredFile.sha256).in_(some))
        for blob, thumbnail in await session.exec(query):
            found |= {blob, thumbnail or blob}
    return found & set(names)


# Folders -------------------------------------------------------------------------------------------------------------


async def folders(session: AsyncSession, team_id: int) -> list[tuple[Folder, int]]:
    """(folder, number of the assets right in it), by number."""
    query = (
        select(Folder, func.count(col(Asset.id)))
        .join(Asset, col(Asset.folder_id) == col(Folder.id), isouter=True)
        .where(col(Folder.team_id) == team_id)
        .group_by(*Folder.__table__.columns)  # type: ignore[attr-defined]
        .order_by(col(Folder.id))
    )
    return [(folder, int(number)) for folder, number in await session.exec(query)]


async def folder(session: AsyncSession, team_id: int, folder_id: int) -> Folder:
    """One folder. Raises NotFound."""
    query = select(Folder).where(col(Folder.id) == folder_id, col(Folder.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def has_folder(session: AsyncSession, team_id: int, folder_id: int) -> bool:
    query = select(Folder.id).where(col(Folder.id) == folder_id, col(Folder.team_id) == team_id)
    return (await session.exec(query)).first() is not None


async def parents(session: AsyncSession, team_id: int) -> dict[int, int | None]:
    """The team's tree: folder -> the folder it is in."""
    query = select(Folder.id, Folder.parent_id).where(col(Folder.team_id) == team_id)
    return {number: parent for number, parent in await session.exec(query) if number is not None}


async def in_folders(session: AsyncSession, team_id: int, folder_ids: Collection[int], limit: int) -> list[Asset]:
    query = select(Asset).where(col(Asset.team_id) == team_id, col(Asset.folder_id).in_(folder_ids))
    return list((await session.exec(query.order_by(col(Asset.id)).limit(limit))).all())


async def remove_folders(session: AsyncSession, folder_ids: Collection[int]) -> None:
    await session.exec(delete(Folder).where(col(Folder.id).in_(folder_ids)))


# Direct uploads ------------------------------------------------------------------------------------------------------


async def ticket(session: AsyncSession, key: str) -> UploadTicket | None:
    return await session.get(UploadTicket, key)


async def forget_tickets(session: AsyncSession, before: int) -> None:
    """Remove tickets that ended before `before`; the assets they became keep the key."""
    await session.exec(delete(UploadTicket).where(col(UploadTicket.expires_at) < before))
