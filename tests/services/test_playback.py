"""What the API's stories show on SQLite, where the databases might differ: races, whole lists replaced, and what goes
with what it hangs on."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain.access import Actor
from hub.domain.errors import Invalid, PreconditionFailed
from hub.domain.playback import Target
from hub.domain.presence import Graces
from hub.services.campaigns import Campaigns
from hub.services.downloads import Downloads
from hub.services.layouts import Layouts
from hub.services.locations import Locations
from hub.services.players import Players
from hub.services.playlists import Playlists
from hub.services.presence import PresenceService
from hub.services.schedules import Schedules
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.tables import Asset, EventRow, PlaylistItem, ScheduleTarget
from tests.cast import player_of, team_owner

FACE = "test"


class Stage:
    def __init__(self, db: Database, folder: Path, owner: Actor) -> None:
        bus = LocalBus()
        self.db, self.owner = db, owner
        self.playlists = Playlists(db, bus, Downloads(db, Blobs(folder.as_uri()), "secret"))
        self.layouts, self.schedules = Layouts(db, bus), Schedules(db, bus)
        self.locations, self.campaigns = Locations(db, bus), Campaigns(db, bus)
        self.players = Players(db, bus, PresenceService(db, bus, "hub", Graces()))

    async def playlist(self, name: str, **fields: Any) -> int:
        number: int = (await self.playlists.create(self.owner, name=name, **fields, face=FACE))["id"]
        return number

    async def assets(self, number: int) -> list[int]:
        team = self.owner.team_id
        made = [
            Asset(team_id=team, content_id=f"cnt_{index}", name="x", type="web", created_at=1, updated_at=1)
            for index in range(number)
        ]
        for asset in made:
            asset.source_url = "https://example.com/"
        async with self.db.transaction() as session:
            session.add_all(made)
        return [asset.id or 0 for asset in made]

    async def said(self) -> list[str]:
        async with self.db.session() as session:
            return list(await session.exec(select(EventRow.type).order_by(col(EventRow.id))))


@pytest.fixture
async def stage(db: Database, tmp_path: Path) -> Stage:
    return Stage(db, tmp_path, await team_owner(db, "acme"))


async def test_whoever_comes_last_has_the_default_and_there_is_one(stage: Stage, tmp_path: Path) -> None:
    names = [f"Playlist {number}" for number in range(8)]
    made = await asyncio.gather(*(stage.playlist(name, is_default=True) for name in names))
    await asyncio.gather(
        *(stage.playlists.update(stage.owner, one, {"is_default": True}, face=FACE) for one in (*made, *made))
    )
    listed, total = await stage.playlists.listing(stage.owner)
    assert total == len(names)
    assert [one["is_default"] for one in listed].count(True) == 1

    other = Stage(stage.db, tmp_path / "other", await team_owner(stage.db, "other"))
    await other.playlist("Theirs", is_default=True)
    assert (await stage.playlists.listing(stage.owner))[0] == listed


async def test_items_are_replaced_as_one_and_lists_come_in_pages(stage: Stage) -> None:
    assets = await stage.assets(700)  # more than one IN list holds
    playlist = await stage.playlist("News", items=[{"asset_id": asset} for asset in assets])
    other = await stage.playlist("100% news", items=[{"asset_id": assets[0]}])

    lists = [[{"asset_id": asset, "duration": number} for asset in assets[:5]] for number in range(1, 6)]
    await asyncio.gather(*(stage.playlists.replace_items(stage.owner, playlist, one, face=FACE) for one in lists))
    detail = await stage.playlists.get(stage.owner, playlist)
    assert len({item["duration"] for item in detail["items"]}) == 1
    assert [item["order"] for item in detail["items"]] == [1, 2, 3, 4, 5]
    assert detail["version"] == 6
    with pytest.raises(PreconditionFailed):
        await stage.playlists.replace_items(stage.owner, playlist, [], version=5, face=FACE)
    with pytest.raises(Invalid):
        await stage.playlists.replace_items(stage.owner, playlist, [{"asset_id": assets[-1] + 1}], face=FACE)
    assert await stage.playlists.get(stage.owner, playlist) == detail

    page, total = await stage.playlists.listing(stage.owner, page=2, per_page=1)
    assert ([one["id"] for one in page], total, page[0]["items_count"]) == ([other], 2, 1)
    found, total = await stage.playlists.listing(stage.owner, search="0% N", page=1, per_page=9)
    assert ([one["id"] for one in found], total) == ([other], 1)


async def test_what_hangs_on_a_thing_goes_with_it_or_forgets_it(stage: Stage) -> None:
    owner = stage.owner
    [asset] = await stage.assets(1)
    campaign = (await stage.campaigns.create(owner, {"name": "Cola", "price": "0.05"}, face=FACE))["id"]
    playlist = await stage.playlist("News", items=[{"asset_id": asset, "campaign_id": campaign}])
    zone = {"x": 0, "y": 0, "width": 100, "height": 100, "playlist_id": playlist}
    layout = (await stage.layouts.create(owner, name="Main", zones=[zone], face=FACE))["id"]
    place = (await stage.locations.create(owner, name="Berlin", timezone="Europe/Berlin", face=FACE))["id"]
    lobby = (await player_of(stage.db, owner)).id or 0
    group = (await stage.players.create_group(owner, name="All", player_ids=[lobby], face=FACE))["id"]
    await stage.players.update(owner, lobby, {"location_id": place, "layout_id": layout}, version=1, face=FACE)
    assert await stage.layouts.assign(owner, layout, player_ids=[lobby], group_ids=[group], face=FACE) == 1
    targets = [Target("player", lobby), Target("group", group), Target("location", place)]
    plays = await stage.schedules.create(owner, {"playlist_id": playlist}, targets, face=FACE)
    shows = await stage.schedules.create(owner, {"layout_id": layout}, targets, face=FACE)

    await stage.campaigns.delete(owner, campaign, face=FACE)
    assert (await stage.playlists.get(owner, playlist))["items"][0]["campaign_id"] is None
    await stage.locations.delete(owner, place, face=FACE)
    assert (await stage.players.get(owner, lobby))["location_id"] is None
    assert (await stage.schedules.get(owner, plays["id"]))["targets"] == plays["targets"][:2]
    await stage.playlists.delete(owner, playlist, face=FACE)
    assert [one["id"] for one in (await stage.schedules.listing(owner))[0]] == [shows["id"]]
    assert (await stage.layouts.get(owner, layout))["zones"][0]["playlist_id"] is None
    await stage.layouts.delete(owner, layout, face=FACE)
    assert await stage.schedules.listing(owner, page=1, per_page=5) == ([], 0)
    player = await stage.players.get(owner, lobby)
    assert (player["layout_id"], player["layout"]) == (None, None)
    assert (await stage.players.group(owner, group))["layout_id"] is None
    async with stage.db.session() as session:
        assert [list(await session.exec(select(table))) for table in (PlaylistItem, ScheduleTarget)] == [[], []]
    assert [kind for kind in await stage.said() if kind.endswith(".deleted")] == [
        "campaign.deleted",
        "location.deleted",
        "schedule.deleted",
        "playlist.deleted",
        "schedule.deleted",
        "layout.deleted",
    ]


async def test_a_schedule_is_for_as_many_as_it_names(stage: Stage) -> None:
    playlist = await stage.playlist("News")
    players = [(await player_of(stage.db, stage.owner, name)) for name in ("One", "Two")]
    schedule = await stage.schedules.create(
        stage.owner, {"playlist_id": playlist, "name": "Morning", "days_of_week": [7, 1]}, face=FACE
    )
    number = await stage.schedules.by_schedule_id(stage.owner, schedule["schedule_id"])

    some: tuple[list[int | str], ...] = ([players[0].screen_id, players[1].id or 0], [players[1].screen_id], [])
    for named in some:
        assigned = await stage.schedules.assign_players(stage.owner, number, named, face=FACE)
        assert len(assigned["screen_ids"]) == len(named)
    with pytest.raises(Invalid):
        await stage.schedules.assign_players(stage.owner, number, [ids.screen_id()], face=FACE)

    await stage.schedules.assign(stage.owner, number, [Target("player", players[0].id or 0)] * 3, face=FACE)
    for wanted, found in ((players[0], 1), (players[1], 0)):
        target = Target("player", wanted.id or 0)
        listed, total = await stage.schedules.listing(stage.owner, target=target, page=1, per_page=5)
        assert (len(listed), total) == (found, found)
    found_inactive, total = await stage.schedules.listing(stage.owner, is_active=False)
    assert (found_inactive, total) == ([], 0)
