"""Folders, which assets are sorted into."""

from typing import Any

from hub.bus.base import Bus
from hub.domain import content as rules
from hub.domain.access import Actor
from hub.domain.errors import Conflict
from hub.domain.quotas import Quotas
from hub.domain.times import rfc3339
from hub.services.content import Content
from hub.services.recorded_change import change, check_version
from hub.store import content as store
from hub.store.database import Database
from hub.store.tables import Folder

MAX_DELETED = 1_000  # assets, and folders, deleted with a folder in one call: each asset is an event


class Folders:
    """A folder is told as {id, name, parent_id, assets_count, created_at, version}; the count is of the assets right
    in it."""

    def __init__(self, db: Database, bus: Bus, content: Content, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._content = content

    async def listing(self, actor: Actor) -> list[dict[str, Any]]:
        """All folders, flat: `parent_id` makes the tree."""
        actor.require("read:content")
        async with self._db.session() as session:
            return [_describe(folder, number) for folder, number in await store.folders(session, actor.team_id)]

    async def get(self, actor: Actor, folder_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:content")
        return await self._detail(actor, folder_id)

    async def create(self, actor: Actor, *, name: str, parent_id: int | None, face: str) -> dict[str, Any]:
        """Raises Invalid for a parent that is not there, Conflict when the tree would be too deep."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            await made.check(self._quotas, "folders")
            rules.place(await store.parents(made.session, actor.team_id), None, parent_id)
            folder = Folder(team_id=actor.team_id, name=name, parent_id=parent_id, created_at=made.now)
            made.session.add(folder)
            await made.session.flush()
            await made.say("folder.created", **_named(folder))
        return _describe(folder, 0)

    async def update(
        self, actor: Actor, folder_id: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `name` or `parent_id` (None: to the top). Raises NotFound, Invalid, Conflict, PreconditionFailed."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            folder = await store.folder(made.session, actor.team_id, folder_id)
            check_version(folder, version)
            if "name" in changes:
                folder.name = changes["name"]
            if "parent_id" in changes:
                parents = await store.parents(made.session, actor.team_id)
                below = max(rules.inside(parents, folder_id).values())
                rules.place(parents, folder_id, changes["parent_id"], below)
                folder.parent_id = changes["parent_id"]
            folder.version += 1
            made.session.add(folder)
            await made.say("folder.updated", **_named(folder), changed=sorted(changes))
        return await self._detail(actor, folder_id)

    async def delete(self, actor: Actor, folder_id: int, *, recursive: bool, face: str) -> None:
        """Remove an empty folder, or with `recursive` all that is in it as well, assets included. Raises NotFound, and
        Conflict for a folder that is not empty or holds more than MAX_DELETED assets or folders."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            folder = await store.folder(made.session, actor.team_id, folder_id)
            tree = rules.inside(await store.parents(made.session, actor.team_id), folder_id)
            if len(tree) > MAX_DELETED:
                raise Conflict(f"More than {MAX_DELETED} folders: delete some of them first.", code="folder_too_large")
            assets = await store.in_folders(made.session, actor.team_id, list(tree), MAX_DELETED + 1)
            if not recursive and (len(tree) > 1 or assets):
                raise Conflict(
                    "The folder is not empty. ?recursive=true deletes what is in it.", code="folder_not_empty"
                )
            if len(assets) > MAX_DELETED:
                raise Conflict(f"More than {MAX_DELETED} assets: delete some of them first.", code="folder_too_large")
            blobs: list[str] = []
            if assets:
                made.shown = True
                blobs = await self._content.remove(made, assets)
            await store.remove_folders(made.session, list(tree))
            await made.say("folder.deleted", **_named(folder), assets=len(assets), folders=len(tree) - 1)
        await self._content.discard(blobs)

    async def _detail(self, actor: Actor, folder_id: int) -> dict[str, Any]:
        async with self._db.session() as session:
            folder = await store.folder(session, actor.team_id, folder_id)
            number = await store.count(session, actor.team_id, folder_id=folder_id)
        return _describe(folder, number)


def _named(folder: Folder) -> dict[str, Any]:
    return {"folder_id": folder.id, "name": folder.name, "parent_id": folder.parent_id}


def _describe(folder: Folder, assets: int) -> dict[str, Any]:
    return {
        "id": folder.id,
        "name": folder.name,
        "parent_id": folder.parent_id,
        "assets_count": assets,
        "created_at": rfc3339(folder.created_at),
        "version": folder.version,
    }
