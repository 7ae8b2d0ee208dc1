"""What players show: for themselves, for their connections, and for the people who ask why."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain import program as rules
from hub.domain.access import Actor
from hub.domain.errors import HubError, Invalid, NotFound
from hub.domain.explanation import Explanation, explaining, name_of
from hub.domain.manifest import asset_told, entry, playlist_told
from hub.domain.program import HORIZON_DAYS, Notice, Segment, Shown, TeamContent, by_weather
from hub.domain.timeline import local, zone_named
from hub.domain.times import DAY, MINUTE, SECOND, now_ms, rfc3339, rfc3339_or_none
from hub.domain.weather import Sky
from hub.services.apart import Aside
from hub.services.program_cache import ProgramCache, Team
from hub.services.weather import Weather
from hub.store import asked, players, programs
from hub.store.database import Database
from hub.store.tables import Player

PAST_DAYS, FUTURE_DAYS = 366, 3_660  # how far from now a program may be asked for
ACTIVATE_EVERY_MS = 15 * SECOND  # what turns between two minutes without a word here: weather, changes of other nodes
NAMED_PLAYERS = 100  # players that a schedule.activated event names; the number of all is beside them


class Programs:
    """Where a `base_url` is taken, it is the hub's address as the caller knows it, for when `public_url` is not set."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        weather: Weather,
        public_url: str = "",
        *,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._bus = bus
        self.weather = weather
        self._worlds = ProgramCache(db, bus, weather, clock=clock)
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._activated: dict[int, frozenset[int]] = {}  # by team: schedules that play, as last written
        self._aside = Aside("the activation of schedules of")
        self._activated_at = 0  # 0: something has changed since
        bus.subscribe(("content", None), self._changed)

    # For players and their connections -------------------------------------------------------------------------------

    async def now(self, player_id: int) -> dict[str, Any]:
        """What a player shows now, for faces that know no timelines. Raises NotFound.

        {"revision": of the manifest,
         "playlist": {"id", "name", "transition", "items": [{"id", "asset_id", "duration_s", "campaign_id", "asset"}]}
                     or None; `asset` is as manifests have it; of a layout the first zone that plays a playlist,
         "asset_ids": all that the player needs until its timeline ends}
        """
        async with self._db.session() as session:
            player = await session.get(Player, player_id)
        if player is None:
            raise NotFound
        team, here = await self._worlds.of(player.team_id, player_id)
        at = self._clock()
        found = await self._worlds.manifest(team, here, at)
        playlist_id = _playlist_of(team.world, (await self._worlds.step(team, here, at)).shown)
        playlist: dict[str, Any] | None = None
        if playlist_id is not None and (told := found.body["playlists"].get(str(playlist_id))) is not None:
            items = [item | {"asset": found.body["assets"][str(item["asset_id"])]} for item in told["items"]]
            playlist = {"id": playlist_id, **told, "items": items}
        return {"revision": found.revision, "playlist": playlist, "asset_ids": found.asset_ids}

    async def playing(self, team_id: int, player_id: int) -> dict[str, Any] | None:
        """{"id", "name"} of the playlist that plays now, or None. Raises NotFound."""
        team, here = await self._worlds.of(team_id, player_id)
        playlist_id = _playlist_of(team.world, (await self._worlds.step(team, here, self._clock())).shown)
        return None if playlist_id is None else {"id": playlist_id, "name": team.world.playlists[playlist_id].name}

    async def revision(self, team_id: int, player_id: int, version: int = 0) -> str:
        """The revision of the manifest that the player should have. Raises NotFound."""
        team, here = await self._worlds.of(team_id, player_id, version)
        return await self._worlds.revision(team, here, self._clock())

    async def revisions(self, team_id: int, player_ids: Collection[int], version: int = 0) -> dict[int, str]:
        """The same for many players of a team, by a content version of it or a newer one; those that are gone are left
        out."""
        found: dict[int, str] = {}
        turns = self._worlds.turns()
        for player_id in player_ids:
            await turns.pause()
            try:
                team, here = await self._worlds.of(team_id, player_id, version)
                found[player_id] = await self._worlds.revision(team, here, self._clock(), turns)
            except NotFound:
                continue
        return found

    async def versions(self, team_ids: Collection[int]) -> dict[int, int]:
        """The content version of each of the teams: while it, the day and the weather stay, so do revisions."""
        return await self._worlds.versions(team_ids)

    async def manifest(self, team_id: int, player_id: int, base_url: str = "") -> dict[str, Any]:
        """Everything that a player needs to go on by itself until `valid_until`. Raises NotFound."""
        team, here = await self._worlds.of(team_id, player_id)
        at = self._clock()
        found = await self._worlds.manifest(team, here, at)
        assets = self._addressed(found.body["assets"], base_url)
        return {"revision": found.revision, "generated_at": rfc3339(at), **found.body, "assets": assets}

    async def asked(self, team_id: int, player_id: int, command_id: str, base_url: str = "") -> dict[str, Any]:
        """What a `play` command of the player is to show, in the words of its manifest: {"playlists", "assets"}. Raises
        NotFound, also when it was deleted meanwhile or cannot be shown any more."""
        async with self._db.session() as session:
            payload = await asked.payload_of(session, player_id, command_id) or {}
            assets = await programs.assets(session, team_id, {payload.get("asset_id", 0)})
            shelf = await programs.stock(session, team_id, [payload.get("playlist_id", 0)])
        told = {str(id): asset_told(asset) for id, asset in {**assets, **shelf.assets}.items()}
        if not told:
            raise NotFound
        playlists = {str(id): playlist_told(shelf, id) for id in shelf.playlists}
        return {"playlists": playlists, "assets": self._addressed(told, base_url)}

    def _addressed(self, assets: Mapping[str, dict[str, Any]], base_url: str) -> dict[str, dict[str, Any]]:
        """The same with the addresses at which this hub has the files."""
        address = (self._public_url or base_url.rstrip("/")) + "/api/v1/player/assets/"
        return {id: asset if asset["url"] else asset | {"url": address + id} for id, asset in assets.items()}

    async def check_asset(self, team_id: int, player_id: int, asset_id: int) -> None:
        """Raise NotFound unless the player's manifest names the asset, or a `play` command asks for it."""
        team, here = await self._worlds.of(team_id, player_id)
        now = self._clock()
        if str(asset_id) not in (await self._worlds.manifest(team, here, now)).body["assets"]:
            async with self._db.session() as session:
                if not await asked.asks_for(session, player_id, asset_id, now):
                    raise NotFound

    # For people ------------------------------------------------------------------------------------------------------

    async def explain(self, actor: Actor, player_id: int, at: int | None = None) -> dict[str, Any]:
        """What the player shows now or at a time, and why; what it does not show, and why not. Raises Invalid (`at`),
        NotFound."""
        actor.require("read:players")
        now = self._clock()
        at = now if at is None else at
        if not now - PAST_DAYS * DAY <= at <= now + FUTURE_DAYS * DAY:
            raise Invalid.field("at", "must be a time of the last year or the next ten")
        async with self._db.session() as session:
            await players.get(session, actor.team_id, player_id)
            status = (await players.one(session, actor.team_id, player_id)).status
        team, here = await self._worlds.of(actor.team_id, player_id)
        sky = self._worlds.sky(team, here)
        found = await self._worlds.turns().through(explaining(team.world, team.screens[player_id], at, sky))
        segments = await self._worlds.segments(team, here, at, rules.horizon(here, at)[1])
        change = rules.next_change(segments, at, by_weather(sky))
        revision = await self._worlds.revision(team, here, now)
        reported = orjson.loads(status.reported).get("revision")
        return {
            "at": rfc3339(at),
            "timezone": here.timezone,
            "local_time": local(zone_named(here.timezone), at).isoformat(timespec="seconds"),
            **_described(team.world, found),
            "alerts": [
                _alert(notice)
                for notice in (team.world.notices[index] for index in here.notices)
                if notice.starts_at <= at and (notice.ends_at is None or notice.ends_at > at)
            ],
            "next_change_at": rfc3339_or_none(change),
            "weather": None if sky is None else _weather(sky),
            "revision": revision,
            "reported_revision": reported,
            "in_step": reported == revision,
            "reported_content": orjson.loads(status.telemetry).get("current_content"),
        }

    async def timeline(self, actor: Actor, player_id: int, days: int = HORIZON_DAYS) -> dict[str, Any]:
        """What the player shows in its coming days, from the beginning of today there. Raises NotFound."""
        actor.require("read:players")
        async with self._db.session() as session:
            await players.get(session, actor.team_id, player_id)
        team, here = await self._worlds.of(actor.team_id, player_id)
        start, end = rules.horizon(here, self._clock(), days)
        segments = await self._worlds.segments(team, here, start, end)
        turns, told = self._worlds.turns(), []
        for segment in segments:
            told.append(_window(team.world, segment))
            await turns.pause()
        return {
            "timezone": here.timezone,
            "from": rfc3339(start),
            "to": rfc3339(segments[-1].end),
            "windows": told,
        }

    # By itself -------------------------------------------------------------------------------------------------------

    async def activate_when_due(self) -> None:
        """`activate` as soon as a schedule may have begun: with the minute, with a change, and with the weather, which
        is looked at each quarter of a minute (a supervised loop calls this each second)."""
        now, last = self._clock(), self._activated_at
        if now // MINUTE == last // MINUTE and 0 <= now - last < ACTIVATE_EVERY_MS:
            return
        self._activated_at = now
        try:
            self._aside.check()
            await self._begin_activation()
        except HubError:
            self._activated_at = 0
            raise

    def _changed(self, _message: Any) -> None:
        self._activated_at = 0

    async def activate(self) -> None:
        """Write down which schedules play on some player now: a schedule.activated event where one begins to."""
        await self.settle()  # what is under way may have read an older state
        await self._begin_activation()
        await self.settle()

    async def settle(self) -> None:
        """Wait until no activation is under way. Raises Unavailable."""
        await self._aside.settle()

    async def stop(self) -> None:
        await self._aside.stop()

    async def _begin_activation(self) -> None:
        async with self._db.session() as session:
            teams = await programs.teams_with_schedules(session)
        for team_id in teams:
            self._aside.start(team_id, partial(self._activate, team_id))
        for team_id in self._activated.keys() - set(teams):
            del self._activated[team_id]

    async def _activate(self, team_id: int) -> None:
        team = await self._worlds.team(team_id)
        playing = await self._playing(team)
        if self._activated.get(team_id) == playing.keys():
            return
        facts = {plan.id: _fact(plan, playing[plan.id]) for plan in team.world.plans if plan.id in playing}
        begun = await self._db.write(programs.activate, team_id, facts, self._clock())
        self._activated[team_id] = frozenset(playing)
        if begun:
            self._bus.publish(("events", team_id))

    async def _playing(self, team: Team) -> dict[int, list[int]]:
        """The schedules that play now, and on which players."""
        at = self._clock()
        playing: dict[int, list[int]] = {}
        turns = self._worlds.turns()
        held: rules.Held = {}
        for here, player_ids in (await self._worlds.everywhere(team)).items():
            await turns.pause()
            step = await self._worlds.step(team, here, at, held, turns) if here.plans else None
            if step is not None and step.schedule is not None:
                playing.setdefault(step.schedule, []).extend(player_ids)
        return playing


def _playlist_of(world: TeamContent, shown: Shown) -> int | None:
    """The playlist that is shown; of a layout, the one of its first zone that plays one."""
    if shown.kind == "playlist":
        return shown.id
    layout = world.layouts.get(shown.id) if shown.kind == "layout" else None
    zones = layout.zones if layout else ()
    return next((zone.playlist_id for zone in zones if zone.playlist_id in world.playlists), None)


def _described(world: TeamContent, found: Explanation) -> dict[str, Any]:
    plan, shown = found.schedule, found.step.shown
    return {
        "playing": {
            "kind": shown.kind,
            "id": shown.id or None,
            "name": name_of(world, shown),
            "schedule": None if plan is None else {"id": plan.id, "schedule_id": plan.schedule_id, "name": plan.name},
        },
        "reason": {"code": found.reason.code, "message": found.reason.message},
        "others": [
            {
                "kind": other.kind,
                "id": other.id,
                "name": other.name,
                "code": other.reason.code,
                "message": other.reason.message,
            }
            for other in found.others
        ],
        "schedules_for_others": found.elsewhere,
    }


def _alert(notice: Notice) -> dict[str, Any]:
    return {"id": notice.id, "title": notice.title, "severity": notice.severity}


def _weather(sky: Sky) -> dict[str, Any]:
    return {"celsius": sky.celsius, "word": sky.word, "read_at": rfc3339(sky.at)}


def _window(world: TeamContent, segment: Segment) -> dict[str, Any]:
    """A window of the timeline, with the names of what it shows."""
    told = step = entry(segment)
    for one in segment.chain:
        step["name"] = name_of(world, one.shown)
        step = step.get("fallback", {})
    return told


def _fact(plan: rules.Plan, player_ids: list[int]) -> dict[str, Any]:
    return {
        "schedule_id": plan.schedule_id,
        "id": plan.id,
        "name": plan.name,
        "playlist_id": plan.shown.id if plan.shown.kind == "playlist" else None,
        "layout_id": plan.shown.id if plan.shown.kind == "layout" else None,
        "players_count": len(player_ids),
        "player_ids": sorted(player_ids)[:NAMED_PLAYERS],
    }
