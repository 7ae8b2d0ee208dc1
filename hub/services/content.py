"""Assets: what there is to show.

A file is kept once a team and content (`StoredFile`), under a blob name that no other file ever had. The name decides
all races: a deletion removes exactly the blobs of the rows that it removed, so bytes that are uploaded again meanwhile
have a row and a blob of their own.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from hub.bus.base import Bus
from hub.domain import content as rules
from hub.domain import ids
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Invalid, NotFound, Unavailable
from hub.domain.quotas import Quotas
from hub.domain.times import DAY, HOUR, is_due, now_ms
from hub.domain.wording import unknown
from hub.services.downloads import Downloads
from hub.services.media_probe import Probed, Prober
from hub.services.recorded_change import Change, change, check_version
from hub.services.spool import Sender, Spool, SpooledFile
from hub.services.team_locks import TeamLocks
from hub.store import content as store
from hub.store import quotas as team_quotas
from hub.store.blobs import Blobs
from hub.store.content import Found
from hub.store.database import Database
from hub.store.tables import Asset, StoredFile

log = logging.getLogger(__name__)

FOLDER = "content"  # of the blob store
GRACE_MS = HOUR  # a blob without a row may still get one: its transaction follows within seconds
TRIES = 3  # of storing a file whose equal is deleted at the same moments

Also = Callable[[Change, Asset], Awaitable[None]]
"""Something more to do in the transaction that makes an asset."""


class Content:
    """Descriptions of assets are those of Downloads, which also says what a `base_url` is."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        blobs: Blobs,
        intake: Spool,
        prober: Prober,
        downloads: Downloads,
        *,
        quotas: Quotas | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._bus = bus
        self._blobs = blobs
        self._intake = intake
        self._quotas = quotas or Quotas()
        self._examining = TeamLocks()
        self._prober = prober
        self._describe = downloads.describe
        self._clock = clock
        self._orphans_due_at = 0

    @property
    def max_bytes(self) -> int:
        """The largest file that is taken."""
        return self._intake.max_bytes

    # Reading ---------------------------------------------------------------------------------------------------------

    async def listing(
        self,
        actor: Actor,
        *,
        type: str | None = None,
        status: str | None = None,
        search: str | None = None,
        folder_id: int | None = None,
        page: int = 1,
        per_page: int | None = None,
        base_url: str = "",
    ) -> tuple[list[dict[str, Any]], int]:
        """(assets, how many there are in all). Without `per_page` all of them."""
        actor.require("read:content")
        wanted: dict[str, Any] = {"type": type, "status": status, "search": search, "folder_id": folder_id}
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id, **wanted, offset=offset, limit=per_page)
            total = len(found)
            if per_page:
                total = await store.count(session, actor.team_id, **wanted)
        return [self._describe(each, base_url) for each in found], total

    async def get(self, actor: Actor, asset_id: int, *, base_url: str = "") -> dict[str, Any]:
        """One asset. Raises NotFound."""
        actor.require("read:content")
        async with self._db.session() as session:
            return self._describe(await store.get(session, actor.team_id, asset_id), base_url)

    async def some(self, team_id: int, asset_ids: Collection[int], *, base_url: str = "") -> dict[int, dict[str, Any]]:
        """The descriptions of those of the assets that are the team's, for playlists and programs."""
        async with self._db.session() as session:
            found = await store.some(session, team_id, asset_ids)
        return {each.asset.id or 0: self._describe(each, base_url) for each in found}

    async def by_content_id(self, actor: Actor, content_id: str) -> int:
        """The number of the asset `cnt_...`. Raises NotFound."""
        async with self._db.session() as session:
            asset = await store.by_content_id(session, actor.team_id, content_id)
        if asset is None or asset.id is None:
            raise NotFound
        return asset.id

    async def by_key(self, actor: Actor, key: str) -> int | None:
        """The number of the asset that a direct upload became; None while it has not, or for another team's key."""
        async with self._db.session() as session:
            asset = await store.by_key(session, actor.team_id, key)
        return asset.id if asset else None

    # Adding ----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def receiving(self, team_id: int, expected: int = 0) -> AsyncIterator[SpooledFile]:
        """A place for a file of the team on its way in, of `expected` bytes at least: write to it, then `add_file`, all
        inside the block. Raises TooMany, Unavailable, or Conflict when there is no room for it."""
        async with self._db.session() as session:
            plan = await self._db.run(session, team_quotas.plan_of(team_id))
            stored = await self._db.run(session, team_quotas.used(team_id, "stored_bytes", self._clock()))
        async with self._intake.receiving(Sender(team_id, plan, stored), expected) as incoming:
            yield incoming

    async def add_address(
        self,
        actor: Actor,
        *,
        name: str,
        type: str,
        url: str,
        duration_s: int | None = None,
        folder_id: int | None = None,
        face: str,
        base_url: str = "",
    ) -> dict[str, Any]:
        """An asset that is an address: youtube, web or livestream. Raises Invalid."""
        actor.require("write:content")
        if type not in rules.ADDRESS_TYPES:
            raise Invalid.field("type", f"{type} is for files: upload one")
        asset = self._new(actor, name=name, type=type, duration_s=duration_s, folder_id=folder_id)
        asset.source_url = rules.address(type, url)
        return self._describe(await self._publish(actor, asset, None, face), base_url)

    async def add_file(
        self,
        actor: Actor,
        incoming: SpooledFile,
        *,
        name: str | None = None,
        type: str | None = None,
        filename: str | None = None,
        duration_s: int | None = None,
        folder_id: int | None = None,
        announced: str | None = None,
        also: Also | None = None,
        face: str,
        base_url: str = "",
    ) -> dict[str, Any]:
        """An asset from a file that has arrived. `type` is what the caller takes it for; it must agree with the
        content, as must the media type that was `announced`. Without a name it is called by its file.

        Raises Invalid, on `file` for what cannot be shown, Conflict when the team has no room for it, or Unavailable
        when it cannot be stored. Nothing is left of it then.
        """
        actor.require("write:content")
        await incoming.finish()
        filename = rules.filename(filename)
        asset = self._new(
            actor, name=name or filename or "Untitled", type="", duration_s=duration_s, folder_id=folder_id
        )
        asset.filename = filename
        for _ in range(TRIES):
            async with self._db.session() as session:
                await _check_folder(session, actor, folder_id)
                file = await store.file_of(session, actor.team_id, incoming.sha256)
            if file is None:
                async with self._examining.of(actor.team_id):  # one at a time of each team
                    probed = await self._prober.probe(incoming.path)
                _agree(probed.mime, type, announced)
                file = await self._store(actor.team_id, incoming, probed)
            else:
                _agree(file.mime, type, announced)
            asset.type = file.mime.partition("/")[0]
            asset.duration_s = duration_s or rules.whole_seconds(file.duration_ms)
            unclaimed = [] if file.id is not None else _blobs_of(file)
            try:
                found = await self._publish(actor, asset, file, face, also)
            except _Vanished:
                continue
            except (Conflict, Invalid, NotFound):  # after any other failure the rows may be there all the same
                await self._blobs.delete(*unclaimed)
                raise
            if found.file is not file:
                await self._blobs.delete(*unclaimed)
            return self._describe(found, base_url)
        raise Unavailable("The same file is being deleted again and again.", retry_after=1)

    # Changing --------------------------------------------------------------------------------------------------------

    async def update(
        self,
        actor: Actor,
        asset_id: int,
        changes: dict[str, Any],
        *,
        version: int | None = None,
        face: str,
        base_url: str = "",
    ) -> dict[str, Any]:
        """Change `name`, `duration_s` or `folder_id` (None: out of its folder). `version`: the one that the caller has
        seen. Raises NotFound, Invalid, PreconditionFailed."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            found = await store.get(made.session, actor.team_id, asset_id)
            asset = found.asset
            check_version(asset, version)
            await _check_folder(made.session, actor, changes.get("folder_id"))
            for name in ("name", "duration_s", "folder_id"):
                if name in changes:
                    setattr(asset, name, changes[name])
            asset.version += 1
            asset.updated_at = made.now
            made.session.add(asset)
            await made.say("content.updated", **named(asset), changed=sorted(changes))
        return self._describe(found, base_url)

    async def delete(self, actor: Actor, asset_id: int, *, face: str) -> None:
        """Remove an asset, from playlists and zones too. The bytes go with the last asset that has them. Raises
        NotFound."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            found = await store.get(made.session, actor.team_id, asset_id)
            blobs = await self.remove(made, [found.asset])
        await self.discard(blobs)

    async def remove(self, made: Change, assets: Sequence[Asset]) -> list[str]:
        """Remove these assets inside a change, and say so. What it answers is for `discard`, after the commit."""
        blobs, playlists, layouts = await store.remove(made.session, assets, made.now)
        for asset in assets:
            await made.say("content.deleted", **named(asset))
        for playlist in playlists:
            await made.say("playlist.updated", playlist_id=playlist.id, name=playlist.name, changed=["items"])
        for layout in layouts:
            await made.say("layout.updated", layout_id=layout.id, name=layout.name, changed=["zones"])
        return blobs

    async def discard(self, blobs: Sequence[str]) -> None:
        """Delete blobs whose rows are gone. What cannot be deleted now is collected as an orphan."""
        try:
            await self._blobs.delete(*blobs)
        except Unavailable:
            log.warning("%d blobs could not be deleted; they are collected later", len(blobs))

    async def sweep(self, now: int) -> None:
        """Once a day: delete blobs that no row knows, left by a crash or by a store that was away."""
        if not is_due(self._orphans_due_at, now, DAY):
            return
        self._orphans_due_at = now + DAY
        await self._blobs.sweep(now - GRACE_MS)
        deleted = 0
        async for page in self._blobs.pages(FOLDER):
            settled = [found.name for found in page if found.modified_at < now - GRACE_MS]
            places = [name.split("/") for name in settled]
            teams = {int(team) for _, team, *_ in places if team.isdecimal()}
            hashes = sorted({place[-1].partition("-")[0] for place in places})
            async with self._db.session() as session:
                owned = await store.owned(session, settled, teams, hashes)
            orphans = [name for name in settled if name not in owned]
            await self._blobs.delete(*orphans)
            deleted += len(orphans)
        if deleted:
            log.info("deleted %d files that belonged to nobody", deleted)

    # ------------------------------------------------------------------------------------------------------------------

    def _new(self, actor: Actor, *, name: str, type: str, duration_s: int | None, folder_id: int | None) -> Asset:
        now = self._clock()
        return Asset(
            team_id=actor.team_id,
            content_id=ids.content_id(),
            name=name,
            type=type,
            duration_s=duration_s,
            folder_id=folder_id,
            created_at=now,
            updated_at=now,
        )

    async def _store(self, team_id: int, incoming: SpooledFile, probed: Probed) -> StoredFile:
        """The blobs of a new file, and its row to be."""
        blob = f"{FOLDER}/{team_id}/{incoming.sha256}-{uuid4().hex}"
        thumbnail = None if probed.thumbnail is None else blob + ".webp"
        await self._blobs.put_file(blob, incoming.path)
        if thumbnail is not None and probed.thumbnail is not None:
            await self._blobs.put(thumbnail, probed.thumbnail)
        return StoredFile(
            team_id=team_id,
            sha256=incoming.sha256,
            size=incoming.size,
            mime=probed.mime,
            blob=blob,
            thumbnail=thumbnail,
            width=probed.width,
            height=probed.height,
            duration_ms=probed.duration_ms,
            created_at=self._clock(),
        )

    async def _publish(
        self, actor: Actor, asset: Asset, file: StoredFile | None, face: str, also: Also | None = None
    ) -> Found:
        """Write a new asset and `content.published`. Of equal files the one that has a row already is taken. Raises
        _Vanished when `file` was such a row and is gone."""
        async with change(self._db, self._bus, actor, face) as made:
            await _check_folder(made.session, actor, asset.folder_id)
            await made.check(self._quotas, "assets")
            kept = None
            if file is not None:
                kept = await store.file_of(made.session, actor.team_id, file.sha256)
                if kept is None:
                    if file.id is not None:
                        raise _Vanished
                    await made.check(self._quotas, "stored_bytes", file.size)
                    made.session.add(file)
                    await made.session.flush()
                    kept = file
                asset.file_id = kept.id
            made.session.add(asset)
            await made.session.flush()
            if also is not None:
                await also(made, asset)
                await made.session.flush()
            await made.say("content.published", **named(asset))
        return Found(asset, kept)


class _Vanished(Exception):
    """The row of an equal file was removed between two looks: the file is to be stored after all."""


def named(asset: Asset) -> dict[str, Any]:
    """An asset as events tell of it."""
    return {"asset_id": asset.id, "content_id": asset.content_id, "name": asset.name, "type": asset.type}


def _blobs_of(file: StoredFile) -> list[str]:
    return [file.blob, *([file.thumbnail] if file.thumbnail else [])]


def _agree(mime: str, type: str | None, announced: str | None) -> None:
    """Raise Invalid unless the content is what the caller says it is."""
    found = mime.partition("/")[0]
    if type is not None and type != found:
        raise rules.refused(f"This is {mime}: of the type {found}, not {type}.")
    if announced is not None and not rules.agrees(announced, mime):
        raise rules.refused(f"This is {mime}, announced as {announced}.")


async def _check_folder(session: Any, actor: Actor, folder_id: int | None) -> None:
    if folder_id is not None and not await store.has_folder(session, actor.team_id, folder_id):
        raise unknown("folder_id", "folder")
