"""The content of teams, read from either database, schedules that begin to play, and the weather."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from sqlalchemy import event
from sqlmodel import col, select

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import Invalid, NotFound
from hub.domain.times import DAY, HOUR, MINUTE, now_ms, parse
from hub.services import program_cache
from hub.services.commands import Commands, Origin
from hub.services.programs import Programs
from hub.services.weather import Weather
from hub.store.database import Database
from hub.store.tables import (
    Asset,
    EventRow,
    GroupMember,
    Holiday,
    Location,
    Player,
    PlayerGroup,
    Playlist,
    PlaylistItem,
    Schedule,
    ScheduleTarget,
)
from hub.store.teams import touch_content
from tests.cast import player_of, team_owner
from tests.tcp_server import tcp_server

NINE = parse("2026-03-04T09:00:00Z")  # a Wednesday
HOT = [{"type": "weather", "operator": "gt", "value": "30", "unit": "celsius"}]


class Stage:
    """A team with a place, a group, a player in both, and playlists of one web page each."""

    def __init__(self, db: Database, owner: Actor, url: str = "") -> None:
        self.db = db
        self.owner = owner
        self.now = NINE
        self.bus = LocalBus()
        self.weather = Weather(self.bus, url, clock=lambda: self.now)
        self.programs = Programs(db, self.bus, self.weather, clock=lambda: self.now)

    async def set(self) -> None:
        team = self.owner.team_id
        self.player = (await player_of(self.db, self.owner)).id or 0
        self.place = await self.add(
            Location(team_id=team, name="Sydney", timezone="Australia/Sydney", latitude=-33.87, longitude=151.21,
                     created_at=NINE)
        )  # fmt: skip
        self.group = await self.add(PlayerGroup(team_id=team, name="Lobbies", created_at=NINE))
        async with self.db.transaction() as session:
            session.add(GroupMember(group_id=self.group, player_id=self.player))
            player = await session.get(Player, self.player)
            assert player is not None
            player.location_id = self.place

    async def add(self, row: Any) -> int:
        async with self.db.transaction() as session:
            session.add(row)
            await session.flush()
            number: int = row.id
        return number

    async def playlist(self, name: str, **more: Any) -> int:
        team = self.owner.team_id
        asset = await self.add(
            Asset(team_id=team, content_id=f"cnt_{name}", name=name, type="web", source_url="https://example.com",
                  created_at=NINE, updated_at=NINE)
        )  # fmt: skip
        playlist = await self.add(Playlist(team_id=team, name=name, created_at=NINE, updated_at=NINE, **more))
        await self.add(PlaylistItem(playlist_id=playlist, asset_id=asset, position=1, duration_s=10))
        return playlist

    async def schedule(self, name: str, playlist: int, kind: str, target: int, **more: Any) -> int:
        schedule = await self.add(
            Schedule(team_id=self.owner.team_id, schedule_id=f"sch_{name}", name=name, playlist_id=playlist,
                     created_at=NINE, updated_at=NINE, **more)
        )  # fmt: skip
        async with self.db.transaction() as session:
            session.add(ScheduleTarget(schedule_id=schedule, kind=kind, target_id=target))
        return schedule

    async def touch(self) -> None:
        async with self.db.transaction() as session:
            await touch_content(session, self.owner.team_id)

    async def shown(self) -> str | None:
        playing = await self.programs.playing(self.owner.team_id, self.player)
        return playing["name"] if playing else None

    async def begun(self) -> None:
        """The supervised loop comes by, and what it begins is done."""
        await self.programs.activate_when_due()
        await self.programs.settle()

    async def activated(self) -> list[str]:
        async with self.db.session() as session:
            rows = await session.exec(select(EventRow).where(EventRow.type == "schedule.activated"))
            return [orjson.loads(row.data)["name"] for row in rows]


async def test_what_a_team_has_is_read_and_read_again_when_it_changes(db: Database) -> None:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.set()
    await stage.playlist("standard", is_default=True)
    evening = await stage.playlist("evening")
    assert await stage.shown() == "standard"
    revision = await stage.programs.revision(stage.owner.team_id, stage.player)
    await stage.schedule("evening", evening, "group", stage.group, start_time="20:00", end_time="23:00")
    await stage.touch()
    assert await stage.shown() == "standard"  # for a second at most, without a word on the bus
    stage.bus.publish(("content", stage.owner.team_id))
    assert await stage.shown() == "evening"  # nine in UTC is eight in the evening in Sydney
    changed = await stage.programs.revision(stage.owner.team_id, stage.player)
    assert changed != revision

    stage.now = NINE + 4 * HOUR - MINUTE  # the last minute of the day there
    assert await stage.programs.revision(stage.owner.team_id, stage.player) == changed
    stage.now = NINE + DAY
    assert await stage.programs.revision(stage.owner.team_id, stage.player) != changed
    manifest = await stage.programs.manifest(stage.owner.team_id, stage.player)
    assert manifest["timeline"][1]["from"] == "2026-03-05T09:00:00Z"
    assert len(manifest["timeline"]) == 2 * 14 + 1

    await stage.add(Holiday(team_id=stage.owner.team_id, day="2026-03-05", name="Local day", location_id=stage.place))
    conditions = orjson.dumps([{"type": "day_type", "operator": "eq", "value": "holiday"}]).decode()
    feast = await stage.playlist("feast")
    await stage.schedule("feast", feast, "location", stage.place, priority=1, conditions=conditions)
    await stage.touch()
    version = (await stage.programs.versions([stage.owner.team_id]))[stage.owner.team_id]
    later = await stage.programs.revisions(stage.owner.team_id, [stage.player, 99_999], version)  # no second of delay
    assert list(later) == [stage.player]
    assert await stage.shown() == "feast"
    newcomer = (await player_of(db, stage.owner, "Newcomer")).id or 0
    assert (await stage.programs.now(newcomer))["playlist"]["name"] == "standard"
    with pytest.raises(NotFound):
        await stage.programs.now(99_999)


async def test_an_address_that_could_be_read_from_a_players_disk_is_in_no_manifest(db: Database) -> None:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.set()
    await stage.playlist("standard", is_default=True)
    before = await stage.programs.manifest(stage.owner.team_id, stage.player)
    async with db.transaction() as session:  # as a hub that judged less had stored it
        asset = (await session.exec(select(Asset))).one()
        asset.source_url = "/etc/passwd"
        session.add(asset)
    await stage.touch()
    stage.bus.publish(("content", stage.owner.team_id))
    after = await stage.programs.manifest(stage.owner.team_id, stage.player)
    assert [asset["url"] for asset in before["assets"].values()] == ["https://example.com"]
    assert after["assets"] == {}


async def test_a_schedule_is_seen_to_begin_with_its_minute_and_with_a_change(db: Database) -> None:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.set()
    day = await stage.playlist("day")
    await stage.schedule("day", day, "player", stage.player, start_time="20:01", end_time="23:00")
    stage.now += MINUTE - 1
    await stage.begun()
    assert await stage.activated() == []
    stage.now += 1
    await stage.begun()
    assert await stage.activated() == ["day"]
    await stage.schedule("urgent", day, "player", stage.player, priority=9)
    await stage.touch()
    stage.bus.publish(("content", stage.owner.team_id))
    await stage.begun()
    assert await stage.activated() == ["day", "urgent"]


async def test_a_schedule_that_begins_to_play_is_one_event(db: Database) -> None:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.set()
    await player_of(db, stage.owner, "Unscheduled")
    day, night = await stage.playlist("day"), await stage.playlist("night")
    await stage.schedule("day", day, "location", stage.place, start_time="08:00", end_time="20:00")
    await stage.schedule("night", night, "player", stage.player, start_time="20:00", end_time="08:00")
    await stage.schedule("never", day, "group", stage.group, is_active=False)
    await stage.programs.activate()
    await stage.programs.activate()
    assert await stage.activated() == ["night"]
    again = Stage(db, stage.owner)  # after a restart, or on another node
    await again.programs.activate()
    assert await stage.activated() == ["night"]
    stage.now += 12 * HOUR
    await stage.programs.activate()
    assert await stage.activated() == ["night", "day"]
    stage.now += 12 * HOUR
    again.now = stage.now
    await asyncio.gather(stage.programs.activate(), again.programs.activate())
    assert await stage.activated() == ["night", "day", "night"]


@asynccontextmanager
async def weather_service(answers: list[bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """An address that gives these answers in turn, the last one for ever; and the paths that were asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split()[1])
        body = answers.pop(0) if len(answers) > 1 else answers[0]
        status = b"200 OK" if body else b"503 Unavailable"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()

    async with tcp_server(serve) as port:
        yield f"http://127.0.0.1:{port}/at?latitude={{latitude}}&longitude={{longitude}}", asked


async def test_the_weather_switches_between_a_window_and_its_fallback(sqlite_db: Database) -> None:
    cold = b'{"current": {"temperature_2m": 12.5, "weather_code": 61}}'
    hot = b'{"current": {"temperature_2m": 31, "weather_code": 0}}'
    async with weather_service([cold, hot, b"", b"{]", b'{"current": {"weather_code": 12345}}']) as (url, asked):
        stage = Stage(sqlite_db, await team_owner(sqlite_db, "acme"), url)
        await stage.set()
        heard: list[Any] = []
        stage.bus.subscribe(("weather", None), heard.append)
        await stage.playlist("standard", is_default=True)
        ice = await stage.playlist("ice")
        await stage.schedule("ice", ice, "player", stage.player, conditions=orjson.dumps(HOT).decode())
        assert await stage.shown() == "standard"
        unknown = await stage.programs.revision(stage.owner.team_id, stage.player)
        await stage.weather.refresh()
        assert (asked, len(heard)) == (["/at?latitude=-33.87&longitude=151.21"], 1)
        assert await stage.shown() == "standard"
        assert await stage.programs.revision(stage.owner.team_id, stage.player) == unknown
        explained = await stage.programs.explain(stage.owner, stage.player)
        assert explained["weather"] == {"celsius": 12.5, "word": "rain", "read_at": "2026-03-04T09:00:00Z"}

        await stage.weather.refresh()  # still good
        stage.now += 15 * MINUTE
        await stage.weather.refresh()
        assert (len(asked), len(heard)) == (2, 2)
        assert await stage.shown() == "ice"
        manifest = await stage.programs.manifest(stage.owner.team_id, stage.player)
        assert manifest["conditions"] == {"weather gt 30 celsius": True}
        assert manifest["revision"] != unknown

        for _ in range(4):  # broken answers, for a while the last reading stands
            assert await stage.shown() == "ice"
            stage.now += 15 * MINUTE
            await stage.weather.refresh()
        assert len(asked) == 6
        stage.now += 15 * MINUTE
        assert await stage.shown() == "standard"
        await stage.weather.refresh()
        assert len(heard) == 3
        stage.now += 2 * HOUR
        await stage.weather.refresh()
        assert len(asked) == 7  # nobody asks about it any more


async def test_the_weather_is_read_as_it_comes_and_never_unpacked(sqlite_db: Database) -> None:
    """A few bytes may be gigabytes; whether it was unpacked shows in that it cannot be read."""
    told: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        packed = gzip.compress(b'{"current": {"temperature_2m": 12.5}}')
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
        await writer.drain()

    async with tcp_server(answer) as port:
        url = f"http://127.0.0.1:{port}/?at={{latitude}},{{longitude}}"
        stage = Stage(sqlite_db, await team_owner(sqlite_db, "acme"), url)
        stage.weather.sky((-33.87, 151.21))
        await stage.weather.refresh()
        assert stage.weather.sky((-33.87, 151.21)) is None
    assert "accept-encoding: identity\r\n" in told[0]


async def test_the_weather_is_read_again_after_the_clock_was_ahead(sqlite_db: Database) -> None:
    answer = b'{"current": {"temperature_2m": 12.5, "weather_code": 61}}'
    async with weather_service([answer] * 2) as (url, asked):
        stage = Stage(sqlite_db, await team_owner(sqlite_db, "acme"), url)
        stage.now += 2 * HOUR
        for _ in range(2):
            stage.weather.sky((-33.87, 151.21))
            await stage.weather.refresh()
            stage.now = NINE
        assert len(asked) == 2


async def test_a_playlist_shows_something_as_long_as_one_of_its_items_can_be_shown(db: Database) -> None:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.set()
    team = stage.owner.team_id
    disk = await stage.add(
        Asset(team_id=team, content_id="cnt_disk", name="disk", type="web", source_url="/etc/passwd",
              created_at=NINE, updated_at=NINE)
    )  # fmt: skip
    mixed = await stage.add(Playlist(team_id=team, name="mixed", created_at=NINE, updated_at=NINE))
    await stage.add(PlaylistItem(playlist_id=mixed, asset_id=disk, position=1))
    await stage.schedule("mixed", mixed, "player", stage.player)
    assert await stage.shown() is None
    page = await stage.add(
        Asset(team_id=team, content_id="cnt_page", name="page", type="web", source_url="https://example.com",
              created_at=NINE, updated_at=NINE)
    )  # fmt: skip
    await stage.add(PlaylistItem(playlist_id=mixed, asset_id=page, position=2))
    await stage.touch()
    stage.now += MINUTE
    assert await stage.shown() == "mixed"
    manifest = await stage.programs.manifest(team, stage.player)
    assert [item["asset_id"] for item in manifest["playlists"][str(mixed)]["items"]] == [page]


async def test_a_look_at_one_player_reads_the_items_of_what_it_shows_and_of_nothing_else(sqlite_db: Database) -> None:
    stage = Stage(sqlite_db, await team_owner(sqlite_db, "acme"))
    await stage.set()
    other, shown = await stage.playlist("other"), await stage.playlist("shown", is_default=True)
    read: list[str] = []
    async with sqlite_db.session() as session:
        engine = session.get_bind().engine

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "FROM playlist_item" in statement and "playlist_item.duration_s" in statement:
            read.append(str(values))

    event.listen(engine, "before_cursor_execute", note)
    await stage.programs.manifest(stage.owner.team_id, stage.player)
    event.remove(engine, "before_cursor_execute", note)
    assert read == [str((shown,))]
    assert other != shown


async def test_others_have_their_turn_while_a_large_program_is_worked_out(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_cache, "TURN_S", 0.0)  # a turn after each stretch, however fast the machine
    monkeypatch.setattr(program_cache, "BRIEF_S", 3_600.0)
    stage = Stage(sqlite_db, await team_owner(sqlite_db, "acme"))
    await stage.set()
    playlist, team = await stage.playlist("day", is_default=True), stage.owner.team_id
    async with sqlite_db.transaction() as session:
        for number in range(320):
            minute = f"{number // 60:02}:{number % 60:02}"
            row = Schedule(team_id=team, schedule_id=f"sch_{number}", name=minute, playlist_id=playlist,
                           start_time=minute, end_time="12:00", created_at=NINE, updated_at=NINE)  # fmt: skip
            session.add(row)
            await session.flush()
            session.add(ScheduleTarget(schedule_id=row.id or 0, kind="player", target_id=stage.player))
    await stage.programs.playing(team, stage.player)  # the team is read
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    for look in (
        lambda: stage.programs.manifest(team, stage.player),
        lambda: stage.programs.timeline(stage.owner, stage.player),
        lambda: stage.programs.explain(stage.owner, stage.player),
        lambda: stage.programs.playing(team, stage.player),
    ):
        turns = 0
        await look()
        assert turns >= 320 // 32, look
    running.cancel()


async def test_a_team_whose_schedules_take_long_keeps_no_other_waiting(db: Database) -> None:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.set()
    await stage.schedule("day", await stage.playlist("day"), "player", stage.player)
    large = await team_owner(db, "large")
    playlist = await stage.add(Playlist(team_id=large.team_id, name="all", created_at=NINE, updated_at=NINE))
    await stage.add(
        Schedule(team_id=large.team_id, schedule_id="sch_all", name="all", playlist_id=playlist,
                 created_at=NINE, updated_at=NINE)
    )  # fmt: skip
    heard = asyncio.Event()
    stage.bus.subscribe(("events", stage.owner.team_id), lambda _: heard.set())
    reading = stage.programs._worlds._reading.setdefault(large.team_id, asyncio.Lock())
    async with reading, asyncio.timeout(60):
        await stage.programs.activate_when_due()
        await heard.wait()
    assert await stage.activated() == ["day"]
    await stage.programs.settle()


async def test_what_is_played_by_a_command_is_told_and_its_files_are_open_to_its_player(db: Database) -> None:
    stage = Stage(db, await team_owner(db, "acme"))
    await stage.set()
    extra, other = await stage.playlist("extra"), await stage.playlist("other")
    stage.now = now_ms()
    programs, team = stage.programs, stage.owner.team_id
    commands = Commands(db, stage.bus)
    async with db.session() as session:
        items = list(await session.exec(select(PlaylistItem).order_by(col(PlaylistItem.id))))
    asset, another = items[0].asset_id, items[1].asset_id
    for number in (asset, another):
        with pytest.raises(NotFound):
            await programs.check_asset(team, stage.player, number)
    sent = await commands.send(Origin(stage.owner, "test"), stage.player, "play", {"playlist_id": extra})
    told = await programs.asked(team, stage.player, sent["command_id"])
    assert (list(told["playlists"]), list(told["assets"])) == ([str(extra)], [str(asset)])
    await programs.check_asset(team, stage.player, asset)
    with pytest.raises(NotFound):
        await programs.check_asset(team, stage.player, another)
    sent = await commands.send(Origin(stage.owner, "test"), stage.player, "play", {"asset_id": another})
    assert list((await programs.asked(team, stage.player, sent["command_id"]))["assets"]) == [str(another)]
    await programs.check_asset(team, stage.player, another)
    with pytest.raises(NotFound):  # the older one gave way to it
        await programs.check_asset(team, stage.player, asset)
    stage.now += 9 * DAY
    with pytest.raises(NotFound):
        await programs.check_asset(team, stage.player, another)
    rival = await team_owner(db, "rival")
    for payload in ({"playlist_id": other}, {"asset_id": asset}):
        with pytest.raises(Invalid):
            await commands.send(Origin(rival, "test"), (await player_of(db, rival)).id or 0, "play", payload)
