"""Layouts: a picture divided into zones, and who has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.bus.base import Bus
from hub.domain import wording
from hub.domain.access import Actor
from hub.domain.errors import Invalid, sentence
from hub.domain.playback import checked_zones
from hub.domain.quotas import Quotas
from hub.domain.times import rfc3339
from hub.services.recorded_change import Change, change, check_version
from hub.services.schedules import named as schedule_named
from hub.store import layouts as store
from hub.store.database import Database
from hub.store.ownership import of_team
from hub.store.tables import Asset, Layout, Player, PlayerGroup, Playlist, Zone


class Layouts:
    def __init__(self, db: Database, bus: Bus, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus

    async def listing(
        self, actor: Actor, *, search: str | None = None, page: int = 1, per_page: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """(layouts without their zones, how many there are in all). Without `per_page` all of them."""
        actor.require("read:content")
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id, search=search, offset=offset, limit=per_page)
            total = await store.count(session, actor.team_id, search=search) if per_page else len(found)
        return [_describe(layout, number) for layout, number in found], total

    async def get(self, actor: Actor, layout_id: int) -> dict[str, Any]:
        """One layout with its zones and who has it. Raises NotFound."""
        actor.require("read:content")
        return await self._detail(actor, layout_id)

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        description: str | None = None,
        width: int = 1920,
        height: int = 1080,
        zones: Sequence[Mapping[str, Any]] = (),
        face: str,
    ) -> dict[str, Any]:
        """A new layout; `width` and `height` in pixels, `zones` as `checked_zones` takes them. Raises Invalid."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            await made.check(self._quotas, "layouts")
            layout = Layout(
                team_id=actor.team_id,
                name=name,
                description=description,
                width=width,
                height=height,
                created_at=made.now,
                updated_at=made.now,
            )
            made.session.add(layout)
            await made.session.flush()
            await self._divide(made, layout, zones)
            await made.say("layout.created", **_named(layout))
        return await self._detail(actor, layout.id or 0)

    async def update(
        self, actor: Actor, layout_id: int, changes: dict[str, Any], *, version: int | None = None, face: str
    ) -> dict[str, Any]:
        """Change `name`, `description`, `width`, `height`, or replace all `zones`; a description of None clears it.

        Raises NotFound, Invalid, PreconditionFailed.
        """
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            layout = await store.get(made.session, actor.team_id, layout_id)
            check_version(layout, version)
            for name in ("name", "description", "width", "height"):
                if name in changes:
                    setattr(layout, name, changes[name])
            if "zones" in changes:
                await self._divide(made, layout, changes["zones"])
            layout.version += 1
            layout.updated_at = made.now
            made.session.add(layout)
            await made.say("layout.updated", **_named(layout), changed=sorted(changes))
        return await self._detail(actor, layout_id)

    async def delete(self, actor: Actor, layout_id: int, *, face: str) -> None:
        """The layout is gone, and its schedules with it; players and groups that had it have none. Raises NotFound."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            layout = await store.get(made.session, actor.team_id, layout_id)
            schedules = await store.schedules_of(made.session, layout_id)
            player_ids, group_ids = await store.holders(made.session, layout_id)
            await store.take_away(made.session, layout_id, made.now)
            await made.session.delete(layout)
            await made.session.flush()
            for schedule in schedules:
                await made.say("schedule.deleted", **schedule_named(schedule))
            gone = {"schedule_ids": [schedule.id for schedule in schedules]}
            await made.say("layout.deleted", **_named(layout), **gone, player_ids=player_ids, group_ids=group_ids)

    async def assign(
        self, actor: Actor, layout_id: int, *, player_ids: Sequence[int], group_ids: Sequence[int], face: str
    ) -> int:
        """Give the layout to players, and to groups for all who are or become members. A player's own layout comes
        before its group's. Answers the number of players reached. Raises NotFound, Invalid."""
        actor.require("write:content")
        if not player_ids and not group_ids:
            what = "is required: give player_ids or group_ids"
            raise Invalid(errors={name: [sentence(name, what)] for name in ("player_ids", "group_ids")})
        async with change(self._db, self._bus, actor, face) as made:
            layout = await store.get(made.session, actor.team_id, layout_id)
            for name, table, wanted in (("player_ids", Player, player_ids), ("group_ids", PlayerGroup, group_ids)):
                unknown = sorted(set(wanted) - await of_team(made.session, table, actor.team_id, wanted))
                if unknown:
                    raise wording.unknown(name, name.removesuffix("_ids").replace("_", " "), unknown)
            await store.assign(made.session, layout_id, player_ids, group_ids, made.now)
            reached = await store.reached(made.session, player_ids, group_ids)
            assigned = {"player_ids": sorted(set(player_ids)), "group_ids": sorted(set(group_ids))}
            await made.say("layout.assigned", **_named(layout), **assigned)
        return reached

    # ------------------------------------------------------------------------------------------------------------------

    async def _detail(self, actor: Actor, layout_id: int) -> dict[str, Any]:
        async with self._db.session() as session:
            layout = await store.get(session, actor.team_id, layout_id)
            zones = await store.zones(session, layout_id)
            player_ids, group_ids = await store.holders(session, layout_id)
        return _describe(layout, len(zones)) | {
            "zones": [_describe_zone(zone) for zone in zones],
            "player_ids": player_ids,
            "group_ids": group_ids,
        }

    async def _divide(self, made: Change, layout: Layout, zones: Sequence[Mapping[str, Any]]) -> None:
        kept = checked_zones(zones)
        session, team_id = made.session, made.actor.team_id
        for name, table in (("playlist_id", Playlist), ("asset_id", Asset)):
            wanted = {zone[name] for zone in kept if zone[name] is not None}
            known = await of_team(session, table, team_id, wanted)
            for index, zone in enumerate(kept):
                if zone[name] is not None and zone[name] not in known:
                    raise wording.unknown(f"zones.{index}.{name}", name.removesuffix("_id"))
        await store.set_zones(session, layout.id or 0, [Zone(layout_id=layout.id or 0, **zone) for zone in kept])


def _named(layout: Layout) -> dict[str, Any]:
    return {"layout_id": layout.id, "name": layout.name}


def _describe(layout: Layout, zones: int) -> dict[str, Any]:
    return {
        "id": layout.id,
        "name": layout.name,
        "description": layout.description,
        "width": layout.width,
        "height": layout.height,
        "zones_count": zones,
        "created_at": rfc3339(layout.created_at),
        "updated_at": rfc3339(layout.updated_at),
        "version": layout.version,
    }


def _describe_zone(zone: Zone) -> dict[str, Any]:
    return {
        "id": zone.id,
        "name": zone.name,
        "x": zone.x,
        "y": zone.y,
        "width": zone.width,
        "height": zone.height,
        "playlist_id": zone.playlist_id,
        "asset_id": zone.asset_id,
    }
