"""Playlists: what is shown one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.bus.base import Bus
from hub.domain.access import Actor
from hub.domain.errors import Invalid
from hub.domain.playback import MAX_ITEMS
from hub.domain.quotas import Quotas
from hub.domain.times import rfc3339
from hub.domain.wording import unknown
from hub.services.downloads import Downloads
from hub.services.recorded_change import Change, change, check_version
from hub.services.schedules import named as schedule_named
from hub.store import playlists as store
from hub.store.database import Database
from hub.store.ownership import of_team
from hub.store.tables import Asset, Campaign, Playlist, PlaylistItem


class Playlists:
    """Wherever a `base_url` is taken, it is the hub's address as the caller knows it, for the links to assets."""

    def __init__(self, db: Database, bus: Bus, downloads: Downloads, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._describe_asset = downloads.describe

    async def listing(
        self, actor: Actor, *, search: str | None = None, page: int = 1, per_page: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """(playlists without their items, how many there are in all). Without `per_page` all of them."""
        actor.require("read:content")
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id, search=search, offset=offset, limit=per_page)
            total = await store.count(session, actor.team_id, search=search) if per_page else len(found)
        return [_describe(playlist, number) for playlist, number in found], total

    async def get(self, actor: Actor, playlist_id: int, *, base_url: str = "") -> dict[str, Any]:
        """One playlist with its items and their assets. Raises NotFound."""
        actor.require("read:content")
        return await self._detail(actor, playlist_id, base_url)

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        description: str | None = None,
        transition: str = "none",
        is_default: bool = False,
        items: Sequence[Mapping[str, Any]] = (),
        face: str,
        base_url: str = "",
    ) -> dict[str, Any]:
        """A new playlist. `items` as `replace_items` takes them. Raises Invalid."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            await made.check(self._quotas, "playlists")
            if is_default:
                await self._unmark(made)
            playlist = Playlist(
                team_id=actor.team_id,
                name=name,
                description=description,
                transition=transition,
                is_default=is_default,
                created_at=made.now,
                updated_at=made.now,
            )
            made.session.add(playlist)
            await made.session.flush()
            await self._fill(made, playlist, items)
            await made.say("playlist.created", **named(playlist))
        return await self._detail(actor, playlist.id or 0, base_url)

    async def update(
        self,
        actor: Actor,
        playlist_id: int,
        changes: dict[str, Any],
        *,
        version: int | None = None,
        face: str,
        base_url: str = "",
    ) -> dict[str, Any]:
        """Change `name`, `description`, `transition`, `is_default` or `items`; a description of None clears it.

        Raises NotFound, Invalid, Conflict (quota), PreconditionFailed.
        """
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            playlist = await store.get(made.session, actor.team_id, playlist_id)
            check_version(playlist, version)
            if changes.get("is_default"):
                await self._unmark(made, but=playlist_id)
            for name in ("name", "description", "transition", "is_default"):
                if name in changes:
                    setattr(playlist, name, changes[name])
            if "items" in changes:
                await self._fill(made, playlist, changes["items"])
            await self._changed(made, playlist, sorted(changes))
        return await self._detail(actor, playlist_id, base_url)

    async def replace_items(
        self,
        actor: Actor,
        playlist_id: int,
        items: Sequence[Mapping[str, Any]],
        *,
        version: int | None = None,
        face: str,
        base_url: str = "",
    ) -> dict[str, Any]:
        """These items in this order and no others: {`asset_id` or `asset_key`, `duration`?, `campaign_id`?}.

        Raises NotFound, Invalid (`items.0.asset_id`), Conflict (quota), PreconditionFailed.
        """
        return await self.update(actor, playlist_id, {"items": items}, version=version, face=face, base_url=base_url)

    async def delete(self, actor: Actor, playlist_id: int, *, face: str) -> None:
        """The playlist is gone, and its schedules with it; zones that played it are empty. Raises NotFound."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            playlist = await store.get(made.session, actor.team_id, playlist_id)
            schedules, layouts = await store.used_by(made.session, playlist_id)
            await made.session.delete(playlist)
            await made.session.flush()
            for layout in layouts:
                layout.version += 1
                layout.updated_at = made.now
                made.session.add(layout)
                await made.say("layout.updated", layout_id=layout.id, name=layout.name, changed=["zones"])
            for schedule in schedules:
                await made.say("schedule.deleted", **schedule_named(schedule))
            await made.say("playlist.deleted", **named(playlist), schedule_ids=[schedule.id for schedule in schedules])

    # ------------------------------------------------------------------------------------------------------------------

    async def _detail(self, actor: Actor, playlist_id: int, base_url: str) -> dict[str, Any]:
        async with self._db.session() as session:
            playlist = await store.get(session, actor.team_id, playlist_id)
            items = await store.items(session, playlist_id)
        shown = [_describe_item(item) | {"asset": self._describe_asset(found, base_url)} for item, found in items]
        return _describe(playlist, len(items)) | {"items": shown}

    async def _unmark(self, made: Change, *, but: int | None = None) -> None:
        for former in await store.no_default(made.session, made.actor.team_id, but=but):
            await self._changed(made, former, ["is_default"])

    async def _changed(self, made: Change, playlist: Playlist, changed: Sequence[str]) -> None:
        playlist.version += 1
        playlist.updated_at = made.now
        made.session.add(playlist)
        await made.session.flush()
        await made.say("playlist.updated", **named(playlist), changed=list(changed))

    async def _fill(self, made: Change, playlist: Playlist, items: Sequence[Mapping[str, Any]]) -> None:
        if len(items) > MAX_ITEMS:
            raise Invalid.field("items", f"must have at most {MAX_ITEMS:,} entries")
        session, team_id = made.session, made.actor.team_id
        by_key = await store.assets_by_key(session, team_id, (item["asset_key"] for item in items if _keyed(item)))
        asset_ids = [by_key.get(item["asset_key"]) if _keyed(item) else item["asset_id"] for item in items]
        assets = await of_team(session, Asset, team_id, [number for number in asset_ids if number is not None])
        paid_for = {item["campaign_id"] for item in items if item.get("campaign_id") is not None}
        unpaid = paid_for - await of_team(session, Campaign, team_id, paid_for)
        for index, (item, asset_id) in enumerate(zip(items, asset_ids, strict=True)):
            if asset_id not in assets:
                raise unknown(f"items.{index}.{'asset_key' if _keyed(item) else 'asset_id'}", "asset")
            if item.get("campaign_id") in unpaid:
                raise unknown(f"items.{index}.campaign_id", "campaign")
        entries = [
            PlaylistItem(
                playlist_id=playlist.id or 0,
                asset_id=asset_id or 0,
                position=order,
                duration_s=item.get("duration"),
                campaign_id=item.get("campaign_id"),
            )
            for order, (item, asset_id) in enumerate(zip(items, asset_ids, strict=True), 1)
        ]
        if len(entries) > await store.clear(session, playlist.id or 0):
            await made.check(self._quotas, "playlist_items", len(entries))
        await store.add_items(session, entries)


def _keyed(item: Mapping[str, Any]) -> bool:
    """Whether the item names its asset by key."""
    return item.get("asset_id") is None


def named(playlist: Playlist) -> dict[str, Any]:
    """A playlist as events tell of it."""
    return {"playlist_id": playlist.id, "name": playlist.name}


def _describe(playlist: Playlist, items: int) -> dict[str, Any]:
    return {
        "id": playlist.id,
        "name": playlist.name,
        "description": playlist.description,
        "transition": playlist.transition,
        "is_default": playlist.is_default,
        "items_count": items,
        "created_at": rfc3339(playlist.created_at),
        "updated_at": rfc3339(playlist.updated_at),
        "version": playlist.version,
    }


def _describe_item(item: PlaylistItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "asset_id": item.asset_id,
        "order": item.position,
        "duration": item.duration_s,
        "campaign_id": item.campaign_id,
    }
