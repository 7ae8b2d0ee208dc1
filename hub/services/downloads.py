"""What is said of assets, and their bytes for whoever may have them: by a credential, or by a signed link."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hub.domain import signing
from hub.domain.access import Actor
from hub.domain.errors import NotFound
from hub.domain.times import now_ms, rfc3339
from hub.store import content as store
from hub.store.blobs import Blobs
from hub.store.content import Found
from hub.store.database import Database

THUMBNAIL_MIME = "image/webp"


@dataclass(frozen=True, slots=True)
class Download:
    """What is behind an asset: a file (`open` gives the bytes from a start to before an end), or an address to go
    to. `tag` names the bytes, for an ETag: their SHA-256. `team_id` is whose it is."""

    team_id: int
    type: str
    filename: str | None
    source_url: str | None
    mime: str = ""
    size: int = 0
    tag: str = ""
    open: Callable[[int, int | None], Awaitable[AsyncIterator[bytes]]] | None = None


class Downloads:
    """`secret` signs links, and `public_url` stands before them, as with screenshots. Wherever a `base_url` is taken,
    it is the hub's address as the caller knows it, for when `public_url` is not set.

    The description of an asset, the same for every face:
    {id, content_id, key, name, type, mime_type, filename, status, size, sha256, width, height, duration_s, folder_id,
    source_url, url, thumbnail_url, created_at, updated_at, version}; `url` is a signed link, good for an hour, to a
    file, or the address itself; sizes in bytes and pixels; what is not known is None.
    """

    def __init__(
        self, db: Database, blobs: Blobs, secret: str, public_url: str = "", *, clock: Callable[[], int] = now_ms
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._secret = secret.encode()
        self._public_url = public_url.rstrip("/")
        self._clock = clock

    async def download(self, actor: Actor | None, asset_id: int, expires: str, signature: str) -> Download:
        """What is behind an asset, for whoever may read content, or brings the two values of a signed link. Raises
        Forbidden, Gone (the link is over), NotFound."""
        found = await self._allowed(actor, asset_id, _path(asset_id, "download"), expires, signature)
        return self._download(found)

    async def file(self, team_id: int, asset_id: int) -> Download:
        """The same for a caller whose right to it was checked otherwise. Raises NotFound."""
        async with self._db.session() as session:
            return self._download(await store.get(session, team_id, asset_id))

    async def thumbnail(self, actor: Actor | None, asset_id: int, expires: str, signature: str) -> Download:
        """The small picture of an asset. Raises as `download`, and NotFound when there is none."""
        found = await self._allowed(actor, asset_id, _path(asset_id, "thumbnail"), expires, signature)
        if found.file is None or found.file.thumbnail is None:
            raise NotFound("This asset has no thumbnail.", code="no_thumbnail")
        blob = found.file.thumbnail
        size = (await self._blobs.head(blob)).size
        return self._of(found, blob, "thumbnail.webp", THUMBNAIL_MIME, size, f"{found.file.sha256}-small")

    def describe(self, found: Found, base_url: str = "") -> dict[str, Any]:
        """The description of an asset; see the class."""
        asset, file = found.asset, found.file
        assert asset.id is not None
        has_thumbnail = file is not None and file.thumbnail is not None
        return {
            "id": asset.id,
            "content_id": asset.content_id,
            "key": asset.key,
            "name": asset.name,
            "type": asset.type,
            "mime_type": file.mime if file else None,
            "filename": asset.filename,
            "status": asset.status,
            "size": file.size if file else None,
            "sha256": file.sha256 if file else None,
            "width": file.width if file else None,
            "height": file.height if file else None,
            "duration_s": asset.duration_s,
            "folder_id": asset.folder_id,
            "source_url": asset.source_url,
            "url": asset.source_url or self.link(asset.id, "download", base_url),
            "thumbnail_url": self.link(asset.id, "thumbnail", base_url) if has_thumbnail else None,
            "created_at": rfc3339(asset.created_at),
            "updated_at": rfc3339(asset.updated_at),
            "version": asset.version,
        }

    def link(self, asset_id: int, what: str, base_url: str = "") -> str:
        """A signed link to the `download` or the `thumbnail`, good for an hour."""
        expires_at = self._clock() + signing.LIFETIME
        link = signing.signed(self._secret, "GET", _path(asset_id, what), expires_at)
        return (self._public_url or base_url.rstrip("/")) + link

    async def _allowed(self, actor: Actor | None, asset_id: int, path: str, expires: str, signature: str) -> Found:
        if actor is not None:
            actor.require("read:content")
            async with self._db.session() as session:
                return await store.get(session, actor.team_id, asset_id)
        signing.verify(self._secret, "GET", path, expires, signature, self._clock())
        async with self._db.session() as session:
            return await store.any_team(session, asset_id)

    def _download(self, found: Found) -> Download:
        asset, file = found.asset, found.file
        if file is None:
            return Download(asset.team_id, asset.type, None, asset.source_url)

        name = asset.filename or asset.name
        return self._of(found, file.blob, name, file.mime, file.size, file.sha256)

    def _of(self, found: Found, blob: str, filename: str, mime: str, size: int, tag: str) -> Download:
        def read(start: int, end: int | None) -> Awaitable[AsyncIterator[bytes]]:
            return self._blobs.stream(blob, start, end)

        return Download(found.asset.team_id, found.asset.type, filename, None, mime, size, tag, read)


def _path(asset_id: int, what: str) -> str:
    return f"/api/v1/assets/{asset_id}/{what}"
