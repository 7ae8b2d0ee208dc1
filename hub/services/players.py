"""Players, their tokens and their groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids, masking, wording
from hub.domain import presence as rules
from hub.domain.access import Actor
from hub.domain.errors import Invalid, NotFound, PreconditionFailed, Unavailable
from hub.domain.events import Event
from hub.domain.playback import checked_zone_name
from hub.domain.polling import unsupported
from hub.domain.presence import PICTURE
from hub.domain.quotas import Quotas
from hub.domain.times import now_ms, rfc3339, rfc3339_or_none
from hub.services.presence import FAILED, Heard, PresenceService
from hub.services.programs import Programs
from hub.services.teams import has_team
from hub.store import commands, events, pairing, presence, wishes
from hub.store import players as store
from hub.store import quotas as team_quotas
from hub.store.database import Database
from hub.store.layouts import layout_of
from hub.store.ownership import of_team
from hub.store.players import Found
from hub.store.schedules import forget_target
from hub.store.statements import Row
from hub.store.tables import Layout, Location, Player, PlayerGroup, Screenshot
from hub.store.tables import Session as SessionRow
from hub.store.teams import touch_content
from hub.store.uploads import latest_screenshot

SHOWN = frozenset({"group_ids", "location_id", "layout_id", "timezone"})  # changes that may change what is shown
NO_TEAM_RETRY_S = 10  # a wrong folder is noticed at once, and the right hub is up within seconds
MEMBERS_LIMIT = 10_000  # players of one group: what one batch can carry


class Players:
    """Without `programs` nobody knows what plays."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        presence: PresenceService,
        programs: Programs | None = None,
        *,
        quotas: Quotas | None = None,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._presence = presence
        self._programs = programs
        self._teams_seen = False

    # Players ---------------------------------------------------------------------------------------------------------

    async def listing(
        self,
        actor: Actor,
        *,
        online: bool | None = None,
        group_id: int | None = None,
        search: str | None = None,
        page: int = 1,
        per_page: int | None = None,
    ) -> tuple[list[dict[str, Any]], int]:
        """(players, how many there are in all). Without `per_page` all of them."""
        actor.require("read:players")
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found = await store.find(
                session, actor.team_id, online=online, group_id=group_id, search=search, offset=offset, limit=per_page
            )
            total = len(found)
            if per_page:
                total = await store.count(session, actor.team_id, online=online, group_id=group_id, search=search)
        return [self._describe(player) for player in found], total

    async def get(self, actor: Actor, player_id: int) -> dict[str, Any]:
        """One player in full. Raises NotFound."""
        actor.require("read:players")
        return await self._detail(actor, player_id)

    async def by_screen_id(self, actor: Actor, screen_id: str) -> int:
        """The number of the player `scr_...`. Raises NotFound."""
        async with self._db.session() as session:
            found = await store.by_screen_id(session, actor.team_id, screen_id)
        if found is None or found.id is None:
            raise NotFound
        return found.id

    async def create(self, actor: Actor, *, name: str, face: str, scope: str = "admin") -> dict[str, Any]:
        """A player that has no device yet: give it a token, or pair a device with it. `scope`: what the caller needs,
        where a face's document says another one. Raises Forbidden, Conflict (quota).
        """
        actor.require(scope)
        now = now_ms()
        async with self._db.transaction() as session:
            await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "players", now))
            player = await store.create(session, new_player(actor.team_id, name, now))
            await self._db.run(session, events.append(player_event("player.created", player, actor, face, now)))
        self._bus.publish(("events", actor.team_id))
        return await self._detail(actor, player.id or 0)

    async def update(
        self, actor: Actor, player_id: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `name`, `group_ids`, `location_id`, `layout_id`, `timezone` (the last three cleared by None),
        `settings` (those given; a connected device is told at once) or `quarantined`, for a `reason`. What the hub has
        quarantined only an admin lets in again. `version`: the one that the caller has seen.

        Raises NotFound, Forbidden, Invalid, PreconditionFailed.
        """
        actor.require("write:players")
        now = now_ms()
        over: list[Row] = []
        async with self._db.transaction() as session:
            player = await store.get(session, actor.team_id, player_id)
            if version is not None and version != player.version:
                raise PreconditionFailed
            if "name" in changes:
                player.name = changes["name"]
            turned = "quarantined" in changes and changes["quarantined"] != (player.quarantined_at is not None)
            lifted, put_out = turned and not changes["quarantined"], turned and changes["quarantined"]
            if changes.get("quarantined") is False and player.quarantined_by is None:
                actor.require("admin")
            if put_out:
                player.quarantined_at, player.quarantined_by = now, actor.name
                player.quarantine_reason = changes.get("reason")
            if lifted:
                player.quarantined_at = player.quarantine_reason = player.quarantined_by = None
                await self._db.run(session, presence.trust(player_id))
            if changes.get("quarantined"):  # once more, perhaps: codes that were opened since are not meant either
                await self._db.run(session, pairing.void(player_id))
            if "group_ids" in changes:
                await self._join_groups(session, actor, player_id, changes["group_ids"])
            for name, table in (("location_id", Location), ("layout_id", Layout)):
                if name in changes:
                    await _check_own(session, actor, name, table, changes[name])
                    setattr(player, name, changes[name])
            if "timezone" in changes:
                player.timezone = None if changes["timezone"] is None else checked_zone_name(changes["timezone"])
            if "settings" in changes:
                settings = _wish(player, changes["settings"])
                over = await self._db.run(session, commands.overrule(player_id, settings, now))
            shown = bool(changes.keys() & SHOWN)
            if shown:
                await touch_content(session, actor.team_id)
            player.version += 1
            player.updated_at = now
            session.add(player)
            await session.flush()
            data = {"changed": sorted(changes)}
            await self._db.run(session, events.append(player_event("player.updated", player, actor, face, now, **data)))
            if put_out:
                event = player_event("player.quarantined", player, actor, face, now, reason=player.quarantine_reason)
                await self._db.run(session, events.append(event))
        self._bus.publish(("events", actor.team_id))
        if put_out:
            self._bus.publish(("player", player_id), "quarantined")
        if changes.keys() & {"settings", "name"}:
            self._bus.publish(("player", player_id), "settings")
        self._tell_over(over)
        if lifted:
            self._bus.publish(("trusted", player_id), player_id)
        if shown:
            self._bus.publish(("content", actor.team_id))
        return await self._detail(actor, player_id)

    async def delete(self, actor: Actor, player_id: int, *, face: str, scope: str = "admin") -> None:
        """The player is gone, its token dead and its connection closed. `scope`: as `create`. Raises NotFound."""
        actor.require(scope)
        now = now_ms()
        async with self._db.transaction() as session:
            player = await store.get(session, actor.team_id, player_id)
            event = player_event("player.deleted", player, actor, face, now)
            await forget_target(session, "player", player_id)
            await store.remove(session, player)
            await self._db.run(session, events.append(event))
        self._bus.publish(("player", player_id), "revoked")
        self._bus.publish(("events", actor.team_id))

    async def issue_token(self, actor: Actor, player_id: int, *, face: str) -> str:
        """A new token for the player, shown this once; the old one is dead, its connection closed, its codes void.

        Raises Forbidden, NotFound.
        """
        actor.require("admin")
        now = now_ms()
        secret = ids.new_secret(ids.PLAYER_TOKEN_PREFIX)
        async with self._db.transaction() as session:
            player = await store.get(session, actor.team_id, player_id)
            give_token(player, secret, now)
            session.add(player)
            await self._db.run(session, pairing.void(player_id))
            await self._db.run(session, presence.trust(player_id))
            await self._db.run(session, events.append(player_event("token.issued", player, actor, face, now)))
        self._bus.publish(("player", player_id), "revoked")
        self._bus.publish(("events", actor.team_id))
        return secret

    async def revoke_token(self, actor: Actor, player_id: int, *, face: str) -> None:
        """The player's token is dead, its connection closed, its codes void. Raises Forbidden, NotFound."""
        actor.require("admin")
        now = now_ms()
        async with self._db.transaction() as session:
            player = await store.get(session, actor.team_id, player_id)
            player.token_digest = player.token_prefix = player.token_issued_at = None
            session.add(player)
            await self._db.run(session, pairing.void(player_id))
            await self._db.run(session, events.append(player_event("token.revoked", player, actor, face, now)))
        self._bus.publish(("player", player_id), "revoked")
        self._bus.publish(("events", actor.team_id))

    async def by_token(self, token: str) -> tuple[int, str, bool] | None:
        """(player id, digest, quarantined) of a player's token, or None. Raises Unavailable on a hub without a team."""
        if not token.startswith(ids.PLAYER_TOKEN_PREFIX):
            return None
        digest = ids.digest(token)
        found = await self.by_token_digest(digest)
        if found is None and not await self._has_a_team():
            raise Unavailable("This hub has no team yet.", code="no_team", retry_after=NO_TEAM_RETRY_S)
        return None if found is None else (found[0], digest, found[1])

    async def _has_a_team(self) -> bool:
        """A hub without one knows no player: it was started where its data is not, and says nothing about a token."""
        if not self._teams_seen:
            self._teams_seen = await has_team(self._db)
        return self._teams_seen

    async def by_token_digest(self, digest: str) -> tuple[int, bool] | None:
        """(player id, quarantined) of the player whose token this is now, or None."""
        async with self._db.session() as session:
            player = await store.by_token(session, digest)
        return None if player is None or player.id is None else (player.id, player.quarantined_at is not None)

    # Groups ----------------------------------------------------------------------------------------------------------

    async def groups(self, actor: Actor) -> list[dict[str, Any]]:
        actor.require("read:players")
        async with self._db.session() as session:
            return [_describe_group(group, number) for group, number in await store.groups(session, actor.team_id)]

    async def group(self, actor: Actor, group_id: int) -> dict[str, Any]:
        """One group with its members' ids. Raises NotFound."""
        actor.require("read:players")
        return await self._group_detail(actor, group_id)

    async def create_group(self, actor: Actor, *, name: str, player_ids: Sequence[int], face: str) -> dict[str, Any]:
        actor.require("write:players")
        now = now_ms()
        async with self._db.transaction() as session:
            await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "groups", now))
            group = PlayerGroup(team_id=actor.team_id, name=name, created_at=now)
            session.add(group)
            await session.flush()
            await self._fill_group(session, actor, group, player_ids)
            await touch_content(session, actor.team_id)
            await self._db.run(session, events.append(_group_event("group.created", group, actor, face, now)))
        self._bus.publish(("events", actor.team_id))
        self._bus.publish(("content", actor.team_id))
        return await self._group_detail(actor, group.id or 0)

    async def update_group(
        self, actor: Actor, group_id: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `name`, `layout_id` (None takes it away), replace the members by `player_ids`, or wish for `settings`
        of all that are members then.

        Raises NotFound, Invalid, PreconditionFailed.
        """
        actor.require("write:players")
        now = now_ms()
        over: list[Row] = []
        async with self._db.transaction() as session:
            group = await store.group(session, actor.team_id, group_id)
            if version is not None and version != group.version:
                raise PreconditionFailed
            if "name" in changes:
                group.name = changes["name"]
            if "layout_id" in changes:
                await _check_own(session, actor, "layout_id", Layout, changes["layout_id"])
                group.layout_id = changes["layout_id"]
            if "player_ids" in changes:
                await self._fill_group(session, actor, group, changes["player_ids"])
            told = await store.members(session, group_id) if "settings" in changes else []
            for player in await store.some(session, told):
                _wish(player, changes["settings"])
                player.version += 1
                player.updated_at = now
            if told:
                over = await self._db.run(session, commands.overrule_in_group(group_id, _set(changes["settings"]), now))
            await touch_content(session, actor.team_id)
            group.version += 1
            session.add(group)
            await session.flush()
            await self._db.run(session, events.append(_group_event("group.updated", group, actor, face, now)))
        for player_id in told:
            self._bus.publish(("player", player_id), "settings")
        self._tell_over(over)
        self._bus.publish(("events", actor.team_id))
        self._bus.publish(("content", actor.team_id))
        return await self._group_detail(actor, group_id)

    async def delete_group(self, actor: Actor, group_id: int, *, face: str) -> None:
        actor.require("write:players")
        now = now_ms()
        async with self._db.transaction() as session:
            group = await store.group(session, actor.team_id, group_id)
            event = _group_event("group.deleted", group, actor, face, now)
            await forget_target(session, "group", group_id)
            await session.delete(group)
            await touch_content(session, actor.team_id)
            await self._db.run(session, events.append(event))
        self._bus.publish(("events", actor.team_id))
        self._bus.publish(("content", actor.team_id))

    # ------------------------------------------------------------------------------------------------------------------

    def _tell_over(self, commands: Sequence[Row]) -> None:
        for row in commands:
            self._bus.publish(("settled", row["id"]), row)

    async def _detail(self, actor: Actor, player_id: int) -> dict[str, Any]:
        heard = self._presence.heard(player_id)
        async with self._db.session() as session:
            found = await store.one(session, actor.team_id, player_id)
            screenshot = await latest_screenshot(session, actor.team_id, player_id)
            layout = await layout_of(session, found.player, found.group_ids)
            link = await session.get(SessionRow, found.presence.session_id or "")
        reported = rules.reported(orjson.loads(found.status.reported), heard.reported)
        picture = reported.pop(PICTURE, (None, None))
        detail = _describe_detail(found.player, found, heard, reported, screenshot, layout)
        detail["presence"] = self._facts(found, link, detail["connected"], picture)
        if self._programs is not None:
            detail["playlist"] = await self._programs.playing(actor.team_id, player_id)
        return self._describe(found) | detail | {"suspect": self._presence.is_suspect(player_id)}

    def _facts(
        self, found: Found, link: SessionRow | None, connected: bool, picture: tuple[bool | None, int | None]
    ) -> dict[str, Any]:
        """Presence as three facts, each with its time: none of them follows from another. `picture`: whether it
        changes, since when."""
        began = link.started_at if link is not None and connected else None
        ended = None if found.presence.online else found.presence.since  # within a grace the end is not told yet
        healthy, healthy_at = self._presence.health(found.player.id or 0) or (connected, began)
        return {
            "epoch": found.presence.epoch,
            "connected": _fact(connected, began if connected else ended),
            "agent_healthy": _fact(connected and healthy, healthy_at if connected else ended),
            "picture_changing": _fact(*picture),
        }

    async def _group_detail(self, actor: Actor, group_id: int) -> dict[str, Any]:
        async with self._db.session() as session:
            group = await store.group(session, actor.team_id, group_id)
            members = await store.members(session, group_id)
        return _describe_group(group, len(members)) | {"player_ids": members, "version": group.version}

    async def _fill_group(self, session: Any, actor: Actor, group: PlayerGroup, player_ids: Sequence[int]) -> None:
        if len(player_ids) > MEMBERS_LIMIT:
            raise Invalid.field("player_ids", f"must have at most {MEMBERS_LIMIT} entries")
        known = await of_team(session, Player, actor.team_id, player_ids)
        if unknown := sorted(set(player_ids) - known):
            raise wording.unknown("player_ids", "player", unknown)
        await store.set_members(session, group.id or 0, player_ids)

    async def _join_groups(self, session: Any, actor: Actor, player_id: int, group_ids: Sequence[int]) -> None:
        unknown = sorted(set(group_ids) - await of_team(session, PlayerGroup, actor.team_id, group_ids))
        if unknown:
            raise wording.unknown("group_ids", "group", unknown)
        await store.set_groups(session, player_id, group_ids)

    def _describe(self, found: Found) -> dict[str, Any]:
        player, presence, status = found.player, found.presence, found.status
        assert player.id is not None
        last_seen = max((at for at in (self._presence.last_seen(player.id), status.last_seen_at) if at), default=None)
        return {
            "id": player.id,
            "screen_id": player.screen_id,
            "name": player.name,
            "status": "online" if presence.online else "offline",
            "status_since": rfc3339(presence.since),
            "last_seen_at": rfc3339_or_none(last_seen),
            "ip_address": orjson.loads(status.telemetry).get("ip_address") or status.address,
            "model": player.model,
            "os_version": player.os_version,
            "app_version": player.app_version,
            "group_ids": list(found.group_ids),
            "quarantined": player.quarantined_at is not None,
            "paired": player.token_digest is not None or player.uuid is not None,
            "uuid": player.uuid,
        }


def new_player(team_id: int, name: str, now: int) -> Player:
    return Player(team_id=team_id, screen_id=ids.screen_id(), name=name, created_at=now, updated_at=now)


def give_token(player: Player, secret: str, now: int) -> None:
    player.token_digest, player.token_prefix, player.token_issued_at = ids.digest(secret), ids.visible_part(secret), now


async def _check_own(session: AsyncSession, actor: Actor, field: str, table: Any, number: int | None) -> None:
    if number is not None and not await of_team(session, table, actor.team_id, [number]):
        raise wording.unknown(field, field.removesuffix("_id"))


def _polls(player: Player) -> bool:
    return player.uuid is not None and player.token_digest is None


def _describe_detail(
    player: Player,
    found: Found,
    heard: Heard,
    reported: dict[str, Any],
    screenshot: Screenshot | None,
    layout: Layout | None,
) -> dict[str, Any]:
    settings = orjson.loads(player.settings)
    secrets = masking.secrets_in(settings)
    settings.pop("pin", None)
    status = found.status
    telemetry = {**orjson.loads(status.telemetry), **heard.telemetry}
    failed = reported.pop(FAILED, {})
    if _polls(player):
        failed = unsupported(settings, telemetry)
        read = {"volume": telemetry.get("volume"), "display_on": telemetry.get("screen_on")}
        reported = {name: value for name, value in read.items() if value is not None}
    address = heard.address or status.address
    return {
        "ip_address": telemetry.get("ip_address") or address,
        "layout": None if layout is None else {"id": layout.id, "name": layout.name},
        "playlist": None,
        "layout_id": player.layout_id,
        "location_id": player.location_id,
        "timezone": player.timezone,
        "group_id": found.group_ids[0] if found.group_ids else None,
        "created_at": rfc3339(player.created_at),
        "updated_at": rfc3339(player.updated_at),
        "version": player.version,
        "hardware_id": player.hardware_id,
        "agent": player.agent,
        "player": {"kind": player.player_kind, "version": player.player_version} if player.player_kind else None,
        "capabilities": orjson.loads(player.capabilities) if player.capabilities else None,
        "settings": settings,
        "reported": masking.masked(reported, secrets),
        "settings_failed": masking.masked(failed, secrets),
        "telemetry": telemetry,
        "telemetry_at": rfc3339_or_none(status.telemetry_at),
        "connection_address": address,
        "connected": found.presence.node is not None or (_polls(player) and found.presence.online),
        "quarantine": _quarantine(player),
        "token_prefix": player.token_prefix,
        "last_screenshot_at": rfc3339(screenshot.captured_at) if screenshot else None,
    }


def _wish(player: Player, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Have the player wished to have these settings, younger than all that was asked for before. Answers what is set
    by it."""
    changes = _set(settings)
    player.settings = orjson.dumps(orjson.loads(player.settings) | changes).decode()
    player.wishes += 1
    player.wished = wishes.marked(player.wished, changes, player.wishes)
    return changes


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of these settings sets: a pin is that of the lock."""
    return dict(settings) | ({"pin": None} if settings.get("locked") is False else {})


def _fact(value: bool | None, since: int | None) -> dict[str, Any]:
    return {"value": value, "since": rfc3339_or_none(since)}


def _quarantine(player: Player) -> dict[str, Any] | None:
    if player.quarantined_at is None:
        return None
    return {
        "since": rfc3339(player.quarantined_at),
        "reason": player.quarantine_reason,
        "by": player.quarantined_by,
    }


def _describe_group(group: PlayerGroup, players: int) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "players_count": players,
        "layout_id": group.layout_id,
        "created_at": rfc3339(group.created_at),
    }


def player_event(kind: str, player: Player, actor: Actor | None, face: str, now: int, **more: Any) -> Event:
    data = {
        "player_id": player.id,
        "screen_id": player.screen_id,
        "name": player.name,
        "quarantined": player.quarantined_at is not None,
    } | more
    if kind == "player.created":
        data |= {"status": "offline", "since": rfc3339(player.created_at)}
    return Event(kind, player.team_id, now, data, player_id=player.id, actor=actor, face=face)


def _group_event(kind: str, group: PlayerGroup, actor: Actor, face: str, now: int) -> Event:
    return Event(kind, group.team_id, now, {"group_id": group.id, "name": group.name}, actor=actor, face=face)
