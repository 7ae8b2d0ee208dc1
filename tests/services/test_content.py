"""Assets and their files: what is kept of an upload, of a deletion, and of what goes wrong in between."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import Conflict, HubError, Invalid, NotFound, TooLarge, Unavailable
from hub.domain.times import DAY, HOUR, now_ms
from hub.services.content import Content
from hub.services.direct_uploads import DirectUploads
from hub.services.downloads import Downloads
from hub.services.folders import Folders
from hub.services.media_probe import Prober
from hub.services.spool import Spool
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.tables import Asset, EventRow, Layout, Playlist, PlaylistItem, StoredFile, Team, UploadTicket, Zone
from tests.cast import team_owner
from tests.media import picture
from tests.object_storage import make_bucket, object_storage

FACE = "signalbox"
LIMIT = 1_000_000


@dataclass
class Place:
    """The services around one database, with everything that a file passes through."""

    db: Database
    bus: LocalBus
    blobs: Blobs
    incoming: Path
    content: Content
    direct_uploads: DirectUploads
    folders: Folders
    owner: Actor

    async def add(self, data: bytes, actor: Actor | None = None, **more: Any) -> dict[str, Any]:
        async with self.content.receiving(self.owner.team_id) as incoming:
            await incoming.write(data)
            return await self.content.add_file(actor or self.owner, incoming, **{"face": FACE, **more})

    async def kept(self) -> list[str]:
        return sorted([found.name async for page in self.blobs.pages("content") for found in page])

    async def rows(self, table: type[Any]) -> list[Any]:
        async with self.db.session() as session:
            return list(await session.exec(select(table).order_by(*table.__table__.primary_key.columns)))

    async def said(self) -> list[str]:
        return [row.type for row in await self.rows(EventRow)]

    def left(self) -> list[Path]:
        return list(self.incoming.iterdir())


def place(db: Database, owner: Actor, blobs: Blobs, folder: Path, **intake: Any) -> Place:
    bus = LocalBus()
    downloads = Downloads(db, blobs, "secret", "https://hub.example")
    content = Content(
        db, bus, blobs, Spool(folder, max_bytes=LIMIT, **intake), Prober(10_000_000, path="/nowhere"), downloads
    )
    return Place(
        db, bus, blobs, folder, content, DirectUploads(db, content, "secret"), Folders(db, bus, content), owner
    )


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Blobs]:
    store = Blobs((tmp_path / "blobs").as_uri())
    yield store
    store.close()


@pytest.fixture
async def here(db: Database, blobs: Blobs, tmp_path: Path) -> Place:
    return place(db, await team_owner(db, "acme"), blobs, tmp_path / "incoming")


async def test_equal_bytes_are_kept_once_a_team_and_go_with_the_last_asset(here: Place) -> None:
    stranger = await team_owner(here.db, "other")
    heard: list[Any] = []
    here.bus.subscribe(("content", here.owner.team_id), heard.append)
    first = await here.add(picture(), filename="a.png")
    second = await here.add(picture(), filename="b.png", name="Other name")
    theirs = await here.add(picture(), stranger)

    assert len(heard) == 2
    assert first["sha256"] == second["sha256"] == theirs["sha256"]
    assert [(file.team_id, file.size) for file in await here.rows(StoredFile)] == [
        (here.owner.team_id, len(picture())),
        (stranger.team_id, len(picture())),
    ]
    assert len(await here.kept()) == 4  # two files with their thumbnails

    await here.content.delete(here.owner, first["id"], face=FACE)
    assert len(await here.kept()) == 4
    with pytest.raises(NotFound):
        await here.content.delete(here.owner, theirs["id"], face=FACE)
    await here.content.delete(here.owner, second["id"], face=FACE)
    assert len(await here.kept()) == 2
    assert [row.id for row in await here.rows(Asset)] == [theirs["id"]]
    assert (await here.said()).count("content.deleted") == 2
    assert [team.content_version for team in await here.rows(Team)] == [5, 2]  # from 1, with each change
    assert here.left() == []


async def test_the_same_file_uploaded_and_deleted_at_once_is_never_an_asset_without_its_bytes(here: Place) -> None:
    data = picture(color="red")
    for _ in range(3):
        old = await here.add(data)
        outcomes = await asyncio.gather(
            here.content.delete(here.owner, old["id"], face=FACE),
            *(here.add(data) for _ in range(4)),
            return_exceptions=True,
        )
        assert not [each for each in outcomes if isinstance(each, BaseException)]
        files, names = await here.rows(StoredFile), set(await here.kept())
        assert len(files) == 1
        assert names == {files[0].blob, files[0].thumbnail}
        for asset in await here.rows(Asset):
            assert asset.file_id == files[0].id
            await here.content.delete(here.owner, asset.id or 0, face=FACE)
        assert await here.kept() == []


async def test_what_was_shown_somewhere_is_taken_out_there_and_said_so(here: Place) -> None:
    kept, gone = await here.add(picture(color="red")), await here.add(picture(color="blue"))
    team, now = here.owner.team_id, now_ms()
    async with here.db.transaction() as session:
        playlist = Playlist(team_id=team, name="Lobby", created_at=1, updated_at=1)
        other = Playlist(team_id=team, name="Other", created_at=1, updated_at=1)
        layout = Layout(team_id=team, name="Split", created_at=1, updated_at=1)
        session.add_all([playlist, other, layout])
        await session.flush()
        assert playlist.id is not None
        assert other.id is not None
        assert layout.id is not None
        for position, asset in enumerate([gone, kept, gone]):
            session.add(PlaylistItem(playlist_id=playlist.id, asset_id=asset["id"], position=position))
        session.add(PlaylistItem(playlist_id=other.id, asset_id=kept["id"], position=0))
        session.add(Zone(layout_id=layout.id, name="Left", position=0, asset_id=gone["id"]))
    await here.content.delete(here.owner, gone["id"], face=FACE)

    assert [(item.playlist_id, item.asset_id) for item in await here.rows(PlaylistItem)] == [
        (playlist.id, kept["id"]),
        (other.id, kept["id"]),
    ]
    assert [(row.name, row.version, row.updated_at >= now) for row in await here.rows(Playlist)] == [
        ("Lobby", 2, True),
        ("Other", 1, False),
    ]
    assert [zone.asset_id for zone in await here.rows(Zone)] == [None]
    assert [row.version for row in await here.rows(Layout)] == [2]
    assert (await here.said())[-3:] == ["content.deleted", "playlist.updated", "layout.updated"]


async def test_an_upload_that_fails_leaves_nothing(here: Place) -> None:
    folder = await here.folders.create(here.owner, name="Summer", parent_id=None, face=FACE)

    async def refuse(*_: Any) -> None:
        raise Conflict("refused in the transaction")

    failing: list[tuple[type[HubError], bytes, dict[str, Any]]] = [
        (Invalid, b"", {}),
        (Invalid, b"PK\x03\x04" + bytes(100), {"filename": "a.png"}),
        (Invalid, picture()[:50], {}),
        (Invalid, picture(), {"type": "video"}),
        (Invalid, picture(), {"announced": "image/jpeg"}),
        (Invalid, picture(), {"folder_id": folder["id"] + 1}),
        (TooLarge, bytes(LIMIT + 1), {}),
        (Conflict, picture(), {"also": refuse}),
    ]
    before = await here.said()
    for error, data, more in failing:
        with pytest.raises(error):
            await here.add(data, **more)
        assert (await here.rows(Asset), await here.rows(StoredFile), await here.kept(), here.left()) == ([], [], [], [])
    with pytest.raises(asyncio.CancelledError):  # whoever sends goes away
        async with here.content.receiving(here.owner.team_id) as incoming:
            await incoming.write(bytes(LIMIT))
            raise asyncio.CancelledError
    assert here.left() == []
    assert await here.said() == before


async def test_a_full_disk_refuses_uploads_before_it_stops_the_database(sqlite_db: Database, tmp_path: Path) -> None:
    blobs = Blobs((tmp_path / "blobs").as_uri())
    here = place(sqlite_db, await team_owner(sqlite_db, "acme"), blobs, tmp_path / "incoming", keep_free=1 << 60)
    with pytest.raises(Unavailable) as refused:
        await here.add(picture())
    assert refused.value.retry_after
    assert here.left() == []
    here = place(sqlite_db, here.owner, blobs, tmp_path / "incoming")
    (tmp_path / "blobs" / "content").write_text("in the way")
    with pytest.raises(Unavailable):
        await here.add(picture())
    assert await here.rows(Asset) == []
    assert here.left() == []
    blobs.close()


async def test_only_so_many_uploads_are_under_way_and_leftovers_go_at_the_start(
    sqlite_db: Database, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.services.spool.AT_ONCE", 1)
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "old.part").write_bytes(b"cut off by a crash")
    here = place(sqlite_db, await team_owner(sqlite_db, "acme"), blobs, tmp_path / "incoming")
    assert here.left() == []
    async with here.content.receiving(here.owner.team_id):
        with pytest.raises(Unavailable):
            await here.add(picture())
    await here.add(picture())


async def test_blobs_that_belong_to_nobody_are_collected_when_they_are_old_enough(here: Place) -> None:
    asset = await here.add(picture())
    mine = await here.kept()
    orphan = f"content/{here.owner.team_id}/{asset['sha256']}-0123"  # as a crash between blob and row leaves it
    await here.blobs.put(orphan, b"x")
    await here.blobs.put("content/99/strange", b"x")
    await here.content.sweep(now_ms())
    assert orphan in await here.kept()
    await here.content.sweep(now_ms() + 2 * HOUR)  # it was looked at today
    assert orphan in await here.kept()
    await here.content.sweep(now_ms() + DAY + HOUR)
    assert await here.kept() == mine


async def test_a_ticket_makes_one_asset_whoever_comes_first(here: Place) -> None:
    data = picture(color="green")
    issued = await here.direct_uploads.issue(here.owner, filename="a.png", mime="image/png", face=FACE)
    [ticket] = await here.rows(UploadTicket)
    with pytest.raises(Conflict):
        await here.direct_uploads.confirm(here.owner, issued["asset_key"], {}, face=FACE)

    async def redeem(content: bytes) -> tuple[dict[str, Any], bool]:
        async with here.content.receiving(here.owner.team_id) as incoming:
            await incoming.write(content)
            return await here.direct_uploads.redeem(ticket, incoming)

    outcomes = await asyncio.gather(redeem(data), redeem(data), redeem(data))
    assert sorted(is_new for _, is_new in outcomes) == [False, False, True]
    assert len({asset["id"] for asset, _ in outcomes}) == 1
    with pytest.raises(Conflict):
        await redeem(picture(color="black"))
    assert len(await here.rows(Asset)) == 1
    assert len(await here.kept()) == 2

    await here.direct_uploads.sweep(now_ms() + 2 * DAY)
    assert await here.rows(UploadTicket) == []
    named = await here.direct_uploads.confirm(here.owner, issued["asset_key"], {"name": "Green"}, face=FACE)
    assert (named["name"], named["key"]) == ("Green", issued["asset_key"])
    stranger = await team_owner(here.db, "other")
    with pytest.raises(Invalid):
        await here.direct_uploads.confirm(stranger, issued["asset_key"], {}, face=FACE)


async def test_a_folder_goes_with_everything_in_it_only_when_that_is_said(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = await here.folders.create(here.owner, name="Top", parent_id=None, face=FACE)
    below = await here.folders.create(here.owner, name="Below", parent_id=top["id"], face=FACE)
    beside = await here.folders.create(here.owner, name="Beside", parent_id=None, face=FACE)
    await here.add(picture(), folder_id=below["id"])
    other = await here.add(picture(color="red"), folder_id=beside["id"])
    with pytest.raises(Conflict):
        await here.folders.delete(here.owner, top["id"], recursive=False, face=FACE)
    with monkeypatch.context() as small, pytest.raises(Conflict):
        small.setattr("hub.services.folders.MAX_DELETED", 1)
        await here.folders.delete(here.owner, top["id"], recursive=True, face=FACE)
    await here.folders.delete(here.owner, top["id"], recursive=True, face=FACE)
    assert [folder["name"] for folder in await here.folders.listing(here.owner)] == ["Beside"]
    assert [row.id for row in await here.rows(Asset)] == [other["id"]]
    assert len(await here.kept()) == 2


async def test_files_live_in_a_bucket_as_well(sqlite_db: Database, tmp_path: Path) -> None:
    with object_storage() as endpoint:
        make_bucket(endpoint, "signs")
        blobs = Blobs(
            "s3://signs/hub", endpoint=endpoint, access_key_id="id", secret_access_key="secret", allow_http=True
        )
        here = place(sqlite_db, await team_owner(sqlite_db, "acme"), blobs, tmp_path / "incoming")
        data = picture("BMP", (500, 500))
        first, second = await here.add(data), await here.add(data, name="again")
        downloads = Downloads(sqlite_db, blobs, "secret")
        found = await downloads.file(here.owner.team_id, first["id"])
        assert found.open is not None
        assert b"".join([piece async for piece in await found.open(0, None)]) == data
        assert b"".join([piece async for piece in await found.open(10, 20)]) == data[10:20]
        for asset in (first, second):
            await here.content.delete(here.owner, asset["id"], face=FACE)
        assert await here.kept() == []
        blobs.close()
