"""Locations, which give players their time zone and weather, and the days off there."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain.access import Actor
from hub.domain.errors import Invalid
from hub.domain.opening_hours import parse_hours, read_hours, told
from hub.domain.playback import checked_day, checked_zone_name
from hub.domain.quotas import Quotas
from hub.domain.times import rfc3339
from hub.domain.wording import unknown
from hub.services.recorded_change import Change, change, check_version
from hub.store import locations as store
from hub.store.database import Database
from hub.store.ownership import of_team
from hub.store.schedules import forget_target
from hub.store.tables import Holiday, Location


class Locations:
    def __init__(self, db: Database, bus: Bus, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus

    async def listing(
        self, actor: Actor, *, search: str | None = None, page: int = 1, per_page: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """(locations, how many there are in all). Without `per_page` all of them."""
        actor.require("read:players")
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id, search=search, offset=offset, limit=per_page)
            total = await store.count(session, actor.team_id, search=search) if per_page else len(found)
        return [_describe(location, number) for location, number in found], total

    async def get(self, actor: Actor, location_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:players")
        return await self._detail(actor, location_id)

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        timezone: str,
        address: str | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
        opening_hours: Sequence[Mapping[str, Any]] | None = None,
        face: str,
    ) -> dict[str, Any]:
        """A new location; `timezone` by its IANA name, both degrees or neither. `opening_hours` have `days`, `from` and
        `to` each; None: always open. Raises Invalid."""
        actor.require("write:players")
        async with change(self._db, self._bus, actor, face) as made:
            await made.check(self._quotas, "locations")
            location = Location(
                team_id=actor.team_id,
                name=name,
                address=address,
                timezone=checked_zone_name(timezone),
                latitude=latitude,
                longitude=longitude,
                opening_hours=_kept(opening_hours),
                created_at=made.now,
            )
            _check_degrees(location)
            made.session.add(location)
            await made.session.flush()
            await made.say("location.created", **_named(location))
        return await self._detail(actor, location.id or 0)

    async def update(
        self, actor: Actor, location_id: int, changes: dict[str, Any], *, version: int | None = None, face: str
    ) -> dict[str, Any]:
        """Change what `create` takes; an address, degrees or opening hours of None are cleared.

        Raises NotFound, Invalid, PreconditionFailed.
        """
        actor.require("write:players")
        async with change(self._db, self._bus, actor, face) as made:
            location = await store.get(made.session, actor.team_id, location_id)
            check_version(location, version)
            if "timezone" in changes:
                checked_zone_name(changes["timezone"])
            for name in ("name", "address", "timezone", "latitude", "longitude"):
                if name in changes:
                    setattr(location, name, changes[name])
            if "opening_hours" in changes:
                location.opening_hours = _kept(changes["opening_hours"])
            _check_degrees(location)
            location.version += 1
            made.session.add(location)
            await made.say("location.updated", **_named(location), changed=sorted(changes))
        return await self._detail(actor, location_id)

    async def delete(self, actor: Actor, location_id: int, *, face: str) -> None:
        """The location is gone with its holidays, and nothing is scheduled for it; its players stand nowhere.

        Raises NotFound.
        """
        actor.require("write:players")
        async with change(self._db, self._bus, actor, face) as made:
            location = await store.get(made.session, actor.team_id, location_id)
            player_ids = await store.players(made.session, location_id)
            await store.empty(made.session, location_id, made.now)
            await forget_target(made.session, "location", location_id)
            await made.session.delete(location)
            await made.say("location.deleted", **_named(location), player_ids=player_ids)

    # Holidays --------------------------------------------------------------------------------------------------------

    async def holidays(
        self,
        actor: Actor,
        *,
        first: str | None = None,
        last: str | None = None,
        location_id: int | None = None,
        page: int = 1,
        per_page: int | None = None,
    ) -> tuple[list[dict[str, Any]], int]:
        """(days off by date, how many there are in all), from `first` to `last` inclusive. Raises Invalid."""
        actor.require("read:content")
        for field, day in (("from", first), ("to", last)):
            if day is not None:
                checked_day(field, day)
        offset = (page - 1) * per_page if per_page else 0
        wanted: dict[str, Any] = {"first": first, "last": last, "location_id": location_id}
        async with self._db.session() as session:
            found = await store.holidays(session, actor.team_id, **wanted, offset=offset, limit=per_page)
            total = await store.count_holidays(session, actor.team_id, **wanted) if per_page else len(found)
        return [_describe_holiday(holiday) for holiday in found], total

    async def holiday(self, actor: Actor, holiday_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:content")
        async with self._db.session() as session:
            return _describe_holiday(await store.holiday(session, actor.team_id, holiday_id))

    async def create_holiday(
        self, actor: Actor, *, day: str, name: str, location_id: int | None = None, face: str
    ) -> dict[str, Any]:
        """A day off at one location, or without one everywhere. Raises Invalid."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            await made.check(self._quotas, "holidays")
            await _check_location(made, location_id)
            day = checked_day("date", day)
            holiday = Holiday(team_id=actor.team_id, day=day, name=name, location_id=location_id)
            made.session.add(holiday)
            await made.session.flush()
            described = _describe_holiday(holiday)
            await made.say("holiday.created", **_holiday_named(holiday))
        return described

    async def update_holiday(
        self, actor: Actor, holiday_id: int, changes: dict[str, Any], *, version: int | None = None, face: str
    ) -> dict[str, Any]:
        """Change `date`, `name` or `location_id` (None: everywhere). Raises NotFound, Invalid, PreconditionFailed."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            holiday = await store.holiday(made.session, actor.team_id, holiday_id)
            check_version(holiday, version)
            await _check_location(made, changes.get("location_id"))
            if "date" in changes:
                holiday.day = checked_day("date", changes["date"])
            for name in ("name", "location_id"):
                if name in changes:
                    setattr(holiday, name, changes[name])
            holiday.version += 1
            made.session.add(holiday)
            described = _describe_holiday(holiday)
            await made.say("holiday.updated", **_holiday_named(holiday), changed=sorted(changes))
        return described

    async def delete_holiday(self, actor: Actor, holiday_id: int, *, face: str) -> None:
        """Raises NotFound."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            holiday = await store.holiday(made.session, actor.team_id, holiday_id)
            await made.session.delete(holiday)
            await made.say("holiday.deleted", **_holiday_named(holiday))

    # ------------------------------------------------------------------------------------------------------------------

    async def _detail(self, actor: Actor, location_id: int) -> dict[str, Any]:
        async with self._db.session() as session:
            location = await store.get(session, actor.team_id, location_id)
            player_ids = await store.players(session, location_id)
        return _describe(location, len(player_ids)) | {"player_ids": player_ids}


def _kept(opening_hours: Sequence[Mapping[str, Any]] | None) -> str | None:
    return None if opening_hours is None else orjson.dumps(told(read_hours(opening_hours))).decode()


def _check_degrees(location: Location) -> None:
    if (location.latitude is None) != (location.longitude is None):
        missing = "latitude" if location.latitude is None else "longitude"
        raise Invalid.field(missing, "is required: latitude and longitude go together")


async def _check_location(made: Change, location_id: int | None) -> None:
    if location_id is not None and not await of_team(made.session, Location, made.actor.team_id, [location_id]):
        raise unknown("location_id", "location")


def _named(location: Location) -> dict[str, Any]:
    return {"location_id": location.id, "name": location.name}


def _holiday_named(holiday: Holiday) -> dict[str, Any]:
    return {"holiday_id": holiday.id, "name": holiday.name, "date": holiday.day, "location_id": holiday.location_id}


def _describe(location: Location, players: int) -> dict[str, Any]:
    return {
        "id": location.id,
        "name": location.name,
        "address": location.address,
        "timezone": location.timezone,
        "latitude": location.latitude,
        "longitude": location.longitude,
        "opening_hours": told(parse_hours(location.opening_hours)),
        "players_count": players,
        "created_at": rfc3339(location.created_at),
        "version": location.version,
    }


def _describe_holiday(holiday: Holiday) -> dict[str, Any]:
    return {
        "id": holiday.id,
        "date": holiday.day,
        "name": holiday.name,
        "location_id": holiday.location_id,
        "version": holiday.version,
    }
