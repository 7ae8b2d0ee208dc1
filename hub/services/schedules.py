"""Schedules: a playlist or a layout at certain times, for players, groups and locations."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids, wording
from hub.domain.access import Actor
from hub.domain.errors import Invalid, NotFound
from hub.domain.playback import MAX_TARGETS, Target
from hub.domain.quotas import Quotas
from hub.domain.schedules import parse_rule, read_rule
from hub.domain.times import rfc3339
from hub.services.recorded_change import Change, change, check_version
from hub.store import layouts, playlists
from hub.store import schedules as store
from hub.store.database import Database
from hub.store.tables import Schedule

RULE = ("days_of_week", "start_time", "end_time", "start_date", "end_date", "conditions")
PLAIN = ("name", "priority", "is_active")


class Schedules:
    """`fields` are, all optional but one of the first two: `playlist_id` or `layout_id`; `name` (else that of what it
    plays); those of `hub.domain.schedules.read_rule`; `priority` (-1000 to 1000, the highest wins); `is_active`."""

    def __init__(self, db: Database, bus: Bus, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus

    async def listing(
        self,
        actor: Actor,
        *,
        search: str | None = None,
        is_active: bool | None = None,
        target: Target | None = None,
        page: int = 1,
        per_page: int | None = None,
    ) -> tuple[list[dict[str, Any]], int]:
        """(schedules with their targets, how many there are in all). Without `per_page` all of them."""
        actor.require("read:content")
        offset = (page - 1) * per_page if per_page else 0
        wanted: dict[str, Any] = {"search": search, "is_active": is_active, "target": target}
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id, **wanted, offset=offset, limit=per_page)
            total = await store.count(session, actor.team_id, **wanted) if per_page else len(found)
            return await _described(session, found), total

    async def get(self, actor: Actor, schedule_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:content")
        return await self._detail(actor, schedule_id)

    async def by_schedule_id(self, actor: Actor, schedule_id: str) -> int:
        """The number of the schedule with this `sch_` id. Raises NotFound."""
        async with self._db.session() as session:
            return (await store.by_schedule_id(session, actor.team_id, schedule_id)).id or 0

    async def create(
        self, actor: Actor, fields: Mapping[str, Any], targets: Sequence[Target] = (), *, face: str
    ) -> dict[str, Any]:
        """A new schedule. Without targets it plays nowhere until it is assigned. Raises Invalid, Conflict (quota)."""
        actor.require("write:content")
        rule = read_rule(**{name: fields.get(name) for name in RULE})
        async with change(self._db, self._bus, actor, face) as made:
            await made.check(self._quotas, "schedules")
            playlist_id, layout_id = fields.get("playlist_id"), fields.get("layout_id")
            plays = await self._checked(made, playlist_id, layout_id)
            schedule = Schedule(
                team_id=actor.team_id,
                schedule_id=ids.schedule_id(),
                name=fields.get("name") or plays,
                playlist_id=playlist_id,
                layout_id=layout_id,
                priority=fields.get("priority") or 0,
                is_active=fields.get("is_active") is not False,
                created_at=made.now,
                updated_at=made.now,
                **rule.columns(),
            )
            made.session.add(schedule)
            await made.session.flush()
            await self._aim(made, schedule, targets)
            await made.say("schedule.created", **named(schedule))
        return await self._detail(actor, schedule.id or 0)

    async def update(
        self,
        actor: Actor,
        schedule_id: int,
        fields: Mapping[str, Any],
        targets: Sequence[Target] | None = None,
        *,
        version: int | None = None,
        face: str,
    ) -> dict[str, Any]:
        """Change the fields given; a time, date or list that is None or empty is cleared. A playlist takes the place of
        a layout and the other way round. `targets`, when given, replace all.

        Raises NotFound, Invalid, PreconditionFailed.
        """
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            schedule = await store.get(made.session, actor.team_id, schedule_id)
            check_version(schedule, version)
            rule = parse_rule(schedule).told() | {name: fields[name] for name in RULE if name in fields}
            for name, value in read_rule(**rule).columns().items():
                setattr(schedule, name, value)
            if fields.get("playlist_id") is not None or fields.get("layout_id") is not None:
                await self._checked(made, fields.get("playlist_id"), fields.get("layout_id"))
                schedule.playlist_id, schedule.layout_id = fields.get("playlist_id"), fields.get("layout_id")
            for name in PLAIN:
                if fields.get(name) is not None:
                    setattr(schedule, name, fields[name])
            changed = set(fields)
            if targets is not None:
                await self._aim(made, schedule, targets)
                changed.add("targets")
            await self._changed(made, schedule, sorted(changed))
        return await self._detail(actor, schedule_id)

    async def delete(self, actor: Actor, schedule_id: int, *, face: str) -> None:
        """Raises NotFound."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            schedule = await store.get(made.session, actor.team_id, schedule_id)
            await made.session.delete(schedule)
            await made.say("schedule.deleted", **named(schedule))

    async def assign(self, actor: Actor, schedule_id: int, targets: Sequence[Target], *, face: str) -> dict[str, Any]:
        """From now on the schedule is for these targets and no others. Raises NotFound, Invalid (`targets`)."""
        return await self.update(actor, schedule_id, {}, targets, face=face)

    async def assign_players(
        self, actor: Actor, schedule_id: int, players: Sequence[int | str], *, face: str
    ) -> dict[str, Any]:
        """The same with players only, by their numbers or `scr_` ids. Raises NotFound, Invalid (`screen_ids`)."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            schedule = await store.get(made.session, actor.team_id, schedule_id)
            screens = {player for player in players if isinstance(player, str)}
            numbers = await store.players_by_screen(made.session, actor.team_id, screens)
            targets = [
                Target("player", numbers.get(player, 0) if isinstance(player, str) else player) for player in players
            ]
            of_team = await store.of_team(made.session, actor.team_id, set(targets))
            unknown = [str(player) for player, target in zip(players, targets, strict=True) if target not in of_team]
            if unknown:
                raise wording.unknown("screen_ids", "screen", unknown)
            await self._aim(made, schedule, targets)
            await self._changed(made, schedule, ["targets"])
        return await self._detail(actor, schedule_id)

    # ------------------------------------------------------------------------------------------------------------------

    async def _detail(self, actor: Actor, schedule_id: int) -> dict[str, Any]:
        async with self._db.session() as session:
            schedule = await store.get(session, actor.team_id, schedule_id)
            return (await _described(session, [schedule]))[0]

    async def _checked(self, made: Change, playlist_id: int | None, layout_id: int | None) -> str:
        """The name of the one thing that a schedule is to play."""
        if (playlist_id is None) == (layout_id is None):
            raise Invalid.field("playlist_id", "must be there, or layout_id, but not both")
        team_id = made.actor.team_id
        try:
            if playlist_id is not None:
                return (await playlists.get(made.session, team_id, playlist_id)).name
            return (await layouts.get(made.session, team_id, layout_id or 0)).name
        except NotFound:
            field = "layout_id" if playlist_id is None else "playlist_id"
            raise wording.unknown(field, field.removesuffix("_id")) from None

    async def _aim(self, made: Change, schedule: Schedule, targets: Sequence[Target]) -> None:
        wanted = set(targets)
        if len(wanted) > MAX_TARGETS:
            raise Invalid.field("targets", f"must have at most {MAX_TARGETS:,} entries; use groups for more")
        unknown = sorted(wanted - await store.of_team(made.session, made.actor.team_id, wanted))
        if unknown:
            raise wording.unknown("targets", "target", (f"{target.kind} {target.id}" for target in unknown))
        if len(wanted) > await store.clear_targets(made.session, schedule.id or 0):
            await made.check(self._quotas, "schedule_targets", len(wanted))
        await store.add_targets(made.session, schedule.id or 0, wanted)

    async def _changed(self, made: Change, schedule: Schedule, changed: Sequence[str]) -> None:
        schedule.version += 1
        schedule.updated_at = made.now
        made.session.add(schedule)
        await made.session.flush()
        await made.say("schedule.updated", **named(schedule), changed=list(changed))


async def _described(session: AsyncSession, schedules: Sequence[Schedule]) -> list[dict[str, Any]]:
    named = await store.targets(session, [schedule.id or 0 for schedule in schedules])
    players = {target.id for targets in named.values() for target in targets if target.kind == "player"}
    screens = await store.screens(session, players)
    return [_describe(schedule, named[schedule.id or 0], screens) for schedule in schedules]


def named(schedule: Schedule) -> dict[str, Any]:
    """A schedule as events tell of it."""
    return {"schedule_id": schedule.id, "id": schedule.schedule_id, "name": schedule.name}


def _describe(schedule: Schedule, targets: Sequence[Target], screens: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": schedule.id,
        "schedule_id": schedule.schedule_id,
        "name": schedule.name,
        "playlist_id": schedule.playlist_id,
        "layout_id": schedule.layout_id,
        **parse_rule(schedule).told(),
        "priority": schedule.priority,
        "is_active": schedule.is_active,
        "targets": [{"type": target.kind, "id": target.id} for target in targets],
        "screen_ids": [screens[target.id] for target in targets if target.kind == "player" and target.id in screens],
        "created_at": rfc3339(schedule.created_at),
        "updated_at": rfc3339(schedule.updated_at),
        "version": schedule.version,
    }
