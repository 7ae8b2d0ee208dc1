import asyncio
import hashlib
import io
import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from sqlmodel import select

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Forbidden, HubError, NotFound, TooMany, Unavailable
from hub.domain.times import DAY, HOUR, now_ms
from hub.services import player_uploads as service
from hub.services.commands import Commands, Origin
from hub.services.player_uploads import Begun, Finished, UploadRefused, Uploads
from hub.services.screenshots import Screenshots
from hub.store import events, players
from hub.store import uploads as store
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.tables import Asset, Player, Screenshot, Upload
from tests.cast import player_of, team_owner
from tests.media import png_chunk
from tests.object_storage import make_bucket, object_storage
from tests.quotas import all_plans

CHUNK = 65_536


def picture(kind: str = "PNG", color: str = "red", size: tuple[int, int] = (64, 48)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, kind)
    return file.getvalue()


def noise(pixels: int) -> bytes:
    """A PNG that does not compress, of about `pixels` times three bytes."""
    file = io.BytesIO()
    Image.frombytes("RGB", (pixels // 100, 100), os.urandom(pixels * 3)).save(file, "PNG")
    return file.getvalue()


@dataclass
class Stage:
    db: Database
    bus: LocalBus
    blobs: Blobs
    folder: Path
    owner: Actor
    player: Player
    uploads: Uploads

    def restarted(self, **settings: Any) -> Uploads:
        """The uploads of another process on the same disk."""
        return Uploads(self.db, self.bus, self.blobs, self.folder, lambda number: f"/image/{number}", **settings)

    async def begin(self, data: bytes, uploads: Uploads | None = None, **changes: Any) -> Begun:
        assert self.player.id is not None
        announcement: dict[str, Any] = {
            "player_id": self.player.id,
            "team_id": self.owner.team_id,
            "kind": "screenshot",
            "command_id": None,
            "mime": "image/png",
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "captured_at_ms": now_ms(),
            "source": "simulated",
        }
        return await (uploads or self.uploads).begin(**(announcement | changes))

    async def send(self, begun: Begun, data: bytes, stop: int | None = None, uploads: Uploads | None = None) -> None:
        for offset in range(begun.received, len(data) if stop is None else stop, CHUNK):
            await (uploads or self.uploads).write(begun.handle, offset, data[offset : offset + CHUNK])

    async def upload(self, data: bytes, uploads: Uploads | None = None, **changes: Any) -> Finished:
        uploads = uploads or self.uploads
        begun = await self.begin(data, uploads, **changes)
        if begun.done is not None:
            return begun.done
        await self.send(begun, data, uploads=uploads)
        return await uploads.finish(begun.handle)

    async def screenshots(self) -> list[Screenshot]:
        async with self.db.session() as session:
            return list(await session.exec(select(Screenshot)))

    async def blob_names(self) -> set[str]:
        return {
            stored.name for kind in ("screenshots", "logs") async for page in self.blobs.pages(kind) for stored in page
        }

    def temporary(self) -> list[Path]:
        return list(self.folder.iterdir())


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_storage() as address:
        yield address


both = pytest.mark.parametrize(
    ("database_url", "blobs"), [("sqlite", "disk"), ("postgres", "s3")], indirect=True, ids=["small", "large"]
)
"""What touches rows and files runs on a small hub's storage and on a large one's; the rest on the small one."""


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    if getattr(request, "param", "disk") == "disk":
        store = Blobs((tmp_path / "blobs").as_uri())
    else:
        endpoint = request.getfixturevalue("endpoint")
        bucket = f"signs-{uuid4().hex[:8]}"
        make_bucket(endpoint, bucket)
        store = Blobs(
            f"s3://{bucket}", endpoint=endpoint, access_key_id="id", secret_access_key="secret", allow_http=True
        )
    yield store
    store.close()


@pytest.fixture
async def stage(db: Database, blobs: Blobs, tmp_path: Path) -> Stage:
    owner = await team_owner(db, "lobby")
    bus, folder = LocalBus(), tmp_path / "unfinished"
    uploads = Uploads(db, bus, blobs, folder, lambda number: f"/image/{number}")
    return Stage(db, bus, blobs, folder, owner, await player_of(db, owner), uploads)


@both
@pytest.mark.parametrize(("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
async def test_a_picture_becomes_a_blob_a_row_and_an_event(stage: Stage, kind: str, mime: str) -> None:
    heard: list[Any] = []
    stage.bus.subscribe(("events", stage.owner.team_id), heard.append)
    data = picture(kind)

    done = await stage.upload(data, mime="application/octet-stream", command_id="cmd_1")

    [row] = await stage.screenshots()
    assert done == Finished(str(row.id), f"/image/{row.id}")
    assert (row.mime, row.size, row.command_id, row.source) == (mime, len(data), "cmd_1", "simulated")
    assert await stage.blobs.get(row.blob) == data
    assert row.blob.startswith(f"screenshots/{stage.owner.team_id}/{stage.player.id}/{row.sha256}-")
    assert stage.temporary() == []
    assert len(heard) == 1
    async with stage.db.session() as session:
        [event] = await events.after(session, stage.owner.team_id, 0, 10)
    assert event.type == "screenshot.created"
    told = events.as_data(event)
    assert (told["screenshot_id"], told["player_id"], told["command_id"]) == (row.id, stage.player.id, "cmd_1")


@both
async def test_many_chunks_arrive_in_order_and_whole(stage: Stage) -> None:
    data = noise(400_000)
    assert len(data) > 1_000_000

    await stage.upload(data)

    [row] = await stage.screenshots()
    assert await stage.blobs.get(row.blob) == data


@both
async def test_logs_have_an_id_of_their_own_and_no_picture(stage: Stage) -> None:
    done = await stage.upload(b"a line\n" * 100, kind="logs", command_id="cmd_2")

    assert done.id.startswith("upl_")
    assert done.url == f"/api/v1/uploads/{done.id}"
    assert await stage.screenshots() == []
    [name] = await stage.blob_names()
    assert name.endswith(f"-{done.id}.log")


async def test_logs_are_read_by_who_may_ask_for_them(stage: Stage) -> None:
    done = await stage.upload(b"a line\n" * 100, kind="logs", command_id="cmd_2")
    weak = replace(stage.owner, scopes=frozenset({"read:players"}))

    content = await stage.uploads.content(stage.owner, done.id)

    assert b"".join([piece async for piece in content.pieces]) == b"a line\n" * 100
    assert (content.mime, content.size) == ("text/plain", 700)
    with pytest.raises(Forbidden):
        await stage.uploads.content(weak, done.id)
    with pytest.raises(NotFound):
        await stage.uploads.content(await team_owner(stage.db, "rival"), done.id)


@both
async def test_an_interrupted_upload_goes_on_where_it_stopped(stage: Stage) -> None:
    data = noise(200_000)
    first = await stage.begin(data)
    await stage.send(first, data, stop=3 * CHUNK)
    await stage.uploads.release(first.handle)

    again = await stage.begin(data)

    assert again.received == 3 * CHUNK
    assert again.hasher.hexdigest() == hashlib.sha256(data[: 3 * CHUNK]).hexdigest()
    await stage.send(again, data)
    await stage.uploads.finish(again.handle)
    [row] = await stage.screenshots()
    assert await stage.blobs.get(row.blob) == data


async def test_an_upload_goes_on_after_a_crash_with_what_was_on_disk(stage: Stage) -> None:
    data = noise(400_000)
    first = await stage.begin(data)
    await stage.send(first, data, stop=10 * CHUNK)  # the process dies here, with some of it in memory only
    survivor = stage.restarted()

    again = await stage.begin(data, survivor)

    assert 0 < again.received <= 10 * CHUNK
    await stage.send(again, data, uploads=survivor)
    await survivor.finish(again.handle)
    [row] = await stage.screenshots()
    assert await stage.blobs.get(row.blob) == data


async def test_what_was_complete_when_the_connection_went_is_finished_by_the_next_announcement(stage: Stage) -> None:
    data = picture()
    first = await stage.begin(data)
    await stage.send(first, data)
    await stage.uploads.release(first.handle)

    again = await stage.begin(data)

    [row] = await stage.screenshots()
    assert again.done == Finished(str(row.id), f"/image/{row.id}")


@both
async def test_a_repeat_after_the_end_gets_the_same_id(stage: Stage) -> None:
    data, captured_at = picture(), now_ms()
    done = await stage.upload(data, captured_at_ms=captured_at)

    again = await stage.begin(data, captured_at_ms=captured_at)

    assert again.done == done
    assert len(await stage.screenshots()) == 1
    assert len(await stage.blob_names()) == 1


async def asset_of(stage: Stage, owner: Actor, name: str) -> int:
    asset = Asset(team_id=owner.team_id, content_id=f"cnt_{name}", name=name, type="image", created_at=1, updated_at=1)
    async with stage.db.transaction() as session:
        session.add(asset)
        await session.flush()
        assert asset.id is not None
        return asset.id


@both
async def test_a_picture_tells_what_was_shown_as_it_was_called_then(stage: Stage) -> None:
    shown = await asset_of(stage, stage.owner, "Summer")
    taken_at = now_ms() - HOUR
    done = await stage.upload(picture(), asset_id=shown, captured_at_ms=taken_at)
    async with stage.db.transaction() as session:
        asset = await session.get(Asset, shown)
        assert asset is not None
        asset.name = "Autumn"
        session.add(asset)
    pictures = Screenshots(stage.db, stage.blobs, "secret")
    summer = {"asset_id": shown, "name": "Summer"}
    assert (await pictures.latest(stage.owner, stage.player.id or 0))["current_item"] == summer
    async with stage.db.session() as session:
        [event] = await events.after(session, stage.owner.team_id, 0, 10)
    assert events.as_data(event)["current_item"] == summer

    again = await stage.begin(picture(), asset_id=shown, captured_at_ms=taken_at + 1)  # the same picture, later
    assert again.done == done
    assert (await pictures.get(stage.owner, int(done.id)))["current_item"] == {"asset_id": shown, "name": "Autumn"}
    assert (await stage.begin(picture(), captured_at_ms=taken_at + 2)).done == done
    assert (await pictures.get(stage.owner, int(done.id)))["current_item"] is None


@both
async def test_a_picture_shows_nothing_that_the_team_does_not_have(stage: Stage) -> None:
    theirs = await asset_of(stage, await team_owner(stage.db, "rival"), "Secret")
    pictures = Screenshots(stage.db, stage.blobs, "secret")
    for number, told in enumerate((None, 99, theirs, 2**53 - 1)):
        done = await stage.upload(picture(), asset_id=told, command_id=f"cmd_{number}")
        assert (await pictures.get(stage.owner, int(done.id)))["current_item"] is None


async def test_one_command_and_another_keep_their_own_pictures(stage: Stage) -> None:
    data = picture()

    ids = {(await stage.upload(data, command_id=command)).id for command in ("cmd_1", "cmd_2", None)}

    assert len(ids) == 3


@both
async def test_a_screen_that_still_shows_the_same_is_seen_again(stage: Stage) -> None:
    red, blue, at = picture(color="red"), picture(color="blue"), now_ms() - HOUR
    first = await stage.upload(red, captured_at_ms=at)
    await stage.upload(blue, captured_at_ms=at + 1000)

    again = await stage.upload(red, captured_at_ms=at + 2000)

    assert again == first
    async with stage.db.session() as session:
        latest = await store.latest_screenshot(session, stage.owner.team_id, stage.player.id or 0)
    assert latest is not None
    assert (str(latest.id), latest.captured_at) == (first.id, at + 2000)


async def test_a_clock_that_is_ahead_does_not_make_pictures_of_the_future(stage: Stage) -> None:
    await stage.upload(picture(), captured_at_ms=now_ms() + DAY)

    [row] = await stage.screenshots()
    assert row.captured_at <= now_ms()


@both
async def test_other_bytes_than_announced_are_refused_and_forgotten(stage: Stage) -> None:
    data = picture()
    begun = await stage.begin(data, sha256="0" * 64)
    await stage.send(begun, data)

    with pytest.raises(HubError) as refused:
        await stage.uploads.finish(begun.handle)

    assert refused.value.code == "sha256_mismatch"
    assert await stage.screenshots() == []
    assert await stage.blob_names() == set()
    assert stage.temporary() == []


async def test_fewer_bytes_than_announced_are_refused(stage: Stage) -> None:
    data = noise(100_000)
    begun = await stage.begin(data)
    await stage.send(begun, data, stop=CHUNK)

    with pytest.raises(HubError) as refused:
        await stage.uploads.finish(begun.handle)

    assert refused.value.code == "size_mismatch"
    assert await stage.screenshots() == []


async def test_nothing_at_all_is_refused(stage: Stage) -> None:
    begun = await stage.begin(picture())

    with pytest.raises(HubError) as refused:
        await stage.uploads.finish(begun.handle)

    assert refused.value.code == "size_mismatch"


async def test_a_chunk_out_of_place_or_beyond_the_end_is_refused(stage: Stage) -> None:
    data = noise(100_000)
    begun = await stage.begin(data)
    await stage.uploads.write(begun.handle, 0, data[:CHUNK])

    for offset, chunk in ((0, b"x"), (CHUNK + 1, b"x"), (CHUNK, b"x" * len(data))):
        with pytest.raises(HubError) as refused:
            await stage.uploads.write(begun.handle, offset, chunk)
        assert refused.value.code == "bad_chunk"


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n" + b"nothing that a PNG has",
        picture("GIF"),
        b"\xff\xd8\xff\xe0" + bytes(100),
    ],
    ids=["svg", "html", "png-by-name", "gif", "broken-jpeg"],
)
async def test_what_is_no_picture_is_refused(stage: Stage, data: bytes) -> None:
    with pytest.raises(HubError) as refused:
        await stage.upload(data, mime="image/png")

    assert refused.value.code == "not_an_image"
    assert await stage.blob_names() == set()


@pytest.mark.parametrize(("width", "height"), [(8_193, 1), (1, 60_000), (2_000_000_000, 2_000_000_000)])
async def test_a_header_that_claims_a_huge_picture_is_refused(stage: Stage, width: int, height: int) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    with pytest.raises(HubError) as refused:
        await stage.upload(data)

    assert refused.value.code == "not_an_image"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_that_nobody_can_decode_is_none(stage: Stage, kind: str) -> None:
    whole = picture(kind, size=(640, 480))
    for data in (whole[:40] + bytes(20), whole[: len(whole) // 2]):
        with pytest.raises(UploadRefused) as refused:
            await stage.upload(data)
        assert refused.value.code == "not_an_image"
    assert await stage.blob_names() == set()


async def test_a_picture_with_broken_metadata_is_one(stage: Stage) -> None:
    whole = picture("PNG")
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000)))

    await stage.upload(whole[:33] + text + png_chunk(b"eXIf", b"junk") + whole[33:])

    assert len(await stage.blob_names()) == 1


@pytest.mark.parametrize(("kind", "size"), [("screenshot", 10_000_001), ("logs", 20_000_001), ("screenshot", 0)])
async def test_a_size_over_the_limit_is_refused_before_the_first_byte(stage: Stage, kind: str, size: int) -> None:
    with pytest.raises(HubError) as refused:
        await stage.begin(b"", kind=kind, size=size)

    assert refused.value.code == "too_large"
    assert stage.temporary() == []


async def test_the_newer_of_two_connections_goes_on(stage: Stage) -> None:
    data = noise(200_000)
    older = await stage.begin(data)
    await stage.send(older, data, stop=5 * CHUNK)

    newer = await stage.begin(data)

    with pytest.raises(HubError) as refused:
        await stage.uploads.write(older.handle, 5 * CHUNK, data[5 * CHUNK : 6 * CHUNK])
    assert refused.value.code == "replaced"
    await stage.uploads.release(older.handle)
    assert newer.received == 5 * CHUNK
    await stage.send(newer, data)
    await stage.uploads.finish(newer.handle)
    [row] = await stage.screenshots()
    assert await stage.blobs.get(row.blob) == data


async def test_many_connections_at_once_store_the_picture_once(stage: Stage) -> None:
    data = noise(100_000)

    ended = await asyncio.gather(*(stage.upload(data) for _ in range(8)), return_exceptions=True)

    [row] = await stage.screenshots()
    assert {done.id for done in ended if isinstance(done, Finished)} == {str(row.id)}
    assert {lost.code for lost in ended if isinstance(lost, HubError)} <= {"replaced"}
    assert await stage.blobs.get(row.blob) == data


@both
async def test_two_nodes_that_finish_the_same_upload_keep_one(stage: Stage, tmp_path: Path) -> None:
    data = picture()
    other = Uploads(stage.db, stage.bus, stage.blobs, tmp_path / "other-node", lambda number: f"/image/{number}")
    here, there = await stage.begin(data), await stage.begin(data, other)
    await stage.send(here, data)
    await stage.send(there, data, uploads=other)

    first, second = await asyncio.gather(stage.uploads.finish(here.handle), other.finish(there.handle))

    assert first == second
    assert len(await stage.screenshots()) == 1
    assert len(await stage.blob_names()) == 1


@both
async def test_a_crash_between_blob_and_row_leaves_a_file_that_the_sweep_collects(stage: Stage, tmp_path: Path) -> None:
    dead = Database(f"sqlite:///{tmp_path / 'dead.db'}")
    await dead.start()
    owner = await team_owner(dead, "lobby")
    player = await player_of(dead, owner)
    assert player.id == stage.player.id
    crashing = Uploads(dead, stage.bus, stage.blobs, stage.folder, str)
    data = picture()
    begun = await stage.begin(data, crashing)
    await stage.send(begun, data, uploads=crashing)
    await dead.stop()  # as far as the rows are concerned, the process dies after the blob was stored

    with pytest.raises(Unavailable):
        await crashing.finish(begun.handle)

    [orphan] = await stage.blob_names()
    survivor = stage.restarted()
    done = await stage.begin(data, survivor)
    assert done.done is not None
    assert len(await stage.blob_names()) == 2
    await survivor.sweep(now_ms())
    assert orphan in await stage.blob_names()  # young ones may be about to get their row
    await stage.restarted().sweep(now_ms() + 2 * HOUR)
    [row] = await stage.screenshots()
    assert await stage.blob_names() == {row.blob}


@both
async def test_a_deleted_player_gets_no_picture_and_leaves_none(stage: Stage) -> None:
    data = picture()
    await stage.upload(picture(color="blue"))
    begun = await stage.begin(data)
    await stage.send(begun, data)
    async with stage.db.transaction() as session:
        await players.remove(session, await players.get(session, stage.owner.team_id, stage.player.id or 0))

    with pytest.raises(NotFound):
        await stage.uploads.finish(begun.handle)

    await stage.restarted().sweep(now_ms() + 2 * HOUR)
    assert await stage.blob_names() == set()
    assert stage.temporary() == []


async def test_unfinished_uploads_are_kept_for_an_hour(stage: Stage) -> None:
    data, busy = noise(200_000), noise(200_000)
    gone = await stage.begin(data)
    await stage.send(gone, data, stop=5 * CHUNK)
    await stage.uploads.release(gone.handle)
    alive = await stage.begin(busy)
    await stage.send(alive, busy, stop=5 * CHUNK)

    await stage.uploads.sweep(now_ms() + HOUR - 60_000)
    assert len(stage.temporary()) == 2
    await stage.uploads.sweep(now_ms() + HOUR + 60_000)

    assert stage.temporary() == [alive.handle.path]
    assert (await stage.begin(data)).received == 0


async def test_a_broken_upload_is_thrown_away(stage: Stage) -> None:
    data = noise(200_000)
    begun = await stage.begin(data)
    await stage.send(begun, data, stop=5 * CHUNK)

    await stage.uploads.discard(begun.handle)

    assert stage.temporary() == []
    assert (await stage.begin(data)).received == 0


async def test_what_may_become_too_much_is_put_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TEMPORARY_LIMIT", 1_000_000)
    uploads = stage.restarted()
    first = await stage.begin(b"", uploads, size=400_000, sha256="1" * 64)

    with pytest.raises(Unavailable):  # half of the room is for other teams
        await stage.begin(b"", uploads, size=400_000, sha256="2" * 64)

    await stage.begin(b"", uploads, size=400_000, sha256="1" * 64)  # the same one again is not more
    await uploads.release(first.handle)
    with pytest.raises(Unavailable):
        await stage.begin(b"", uploads, size=400_000, sha256="2" * 64)


async def test_a_team_has_a_quota_of_bytes_under_way_and_of_what_it_left_unfinished(stage: Stage) -> None:
    uploads = stage.restarted(quotas=all_plans(player_uploads=1_000))
    begun = await stage.begin(b"x" * 900, uploads)
    with pytest.raises(TooMany, match="quota player_uploads"):
        await stage.begin(b"y" * 200, uploads)
    await uploads.write(begun.handle, 0, b"x" * 800)
    await uploads.release(begun.handle)
    assert uploads.places.held(stage.owner.team_id) == 800
    await stage.begin(b"y" * 200, uploads)  # beside what waits for its rest
    await stage.begin(b"z" * 500, uploads)  # in place of it
    assert uploads.places.held(stage.owner.team_id) == 700
    await stage.begin(b"w" * 300, uploads)
    assert uploads.places.held(stage.owner.team_id) == 1_000


async def test_an_upload_that_keeps_no_pace_gives_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = stage.restarted(quotas=all_plans(player_uploads=1_000))
    monkeypatch.setattr(service, "IDLE_S", -1.0)
    slow = await stage.begin(b"x" * 900, uploads)
    monkeypatch.setattr(service, "IDLE_S", 60.0)
    await stage.begin(b"y" * 900, uploads)
    with pytest.raises(UploadRefused):
        await uploads.write(slow.handle, 0, b"x")
    with pytest.raises(TooMany):  # that one keeps it
        await stage.begin(b"z" * 900, uploads)


@both
async def test_a_player_has_a_quota_of_stored_bytes_and_the_oldest_give_way(stage: Stage) -> None:
    data = [bytes([65 + number]) * 300 for number in range(4)]
    ticks = itertools.count(now_ms())
    unbounded = stage.restarted(clock=lambda: next(ticks))
    uploads = stage.restarted(quotas=all_plans(player_bytes=1_000), clock=lambda: next(ticks))
    first, *_ = [await stage.upload(one, uploads, kind="logs") for one in data[:3]]
    with pytest.raises(Conflict, match="quota player_bytes"):
        await stage.upload(data[3], uploads, kind="logs")
    begun = await stage.begin(b"x" * 100, uploads, kind="logs")
    await uploads.write(begun.handle, 0, b"x" * 100)
    await stage.upload(data[3], unbounded, kind="logs")  # meanwhile
    with pytest.raises(Conflict, match="quota player_bytes"):
        await uploads.finish(begun.handle)
    assert len(await stage.blob_names()) == 4
    assert (await stage.upload(data[0], uploads, kind="logs")).id == first.id  # what is there is answered

    await uploads.sweep(now_ms())
    assert len(await stage.blob_names()) == 2
    assert not [name for name in await stage.blob_names() if first.id in name]
    await stage.upload(b"new", uploads, kind="logs")


@both
@pytest.mark.parametrize("kind", ["screenshot", "logs"])
async def test_a_command_has_a_few_uploads_and_no_more(stage: Stage, kind: str) -> None:
    data = [picture(size=(64, 40 + number)) for number in range(store.OF_ONE_COMMAND + 2)]
    begun = await stage.begin(data[-1], kind=kind, command_id="cmd_1")
    first, *_ = [await stage.upload(one, kind=kind, command_id="cmd_1") for one in data[: store.OF_ONE_COMMAND]]
    names = await stage.blob_names()
    with pytest.raises(Conflict) as refused:
        await stage.upload(data[store.OF_ONE_COMMAND], kind=kind, command_id="cmd_1")
    assert refused.value.code == "too_many_stored"
    with pytest.raises(Conflict):  # begun before
        await stage.send(begun, data[-1])
        await stage.uploads.finish(begun.handle)
    assert await stage.blob_names() == names
    assert (await stage.upload(data[0], kind=kind, command_id="cmd_1")).id == first.id
    for other in ("cmd_", "cmd_10", None):
        await stage.upload(data[-1], kind=kind, command_id=other)


@both
async def test_a_player_has_so_many_uploads_and_the_oldest_give_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST", 4)
    ticks = itertools.count(now_ms())
    uploads = stage.restarted(clock=lambda: next(ticks))
    logs = [
        await stage.upload(b"line %d\n" % number, uploads, kind="logs", command_id=f"cmd_{number}")
        for number in range(4)
    ]
    with pytest.raises(Conflict) as refused:
        await stage.upload(b"more", uploads, kind="logs")
    assert refused.value.code == "too_many_stored"
    await uploads.sweep(now_ms())
    left = await stage.blob_names()
    assert len(left) == 3
    assert not [name for name in left if logs[0].id in name]
    await stage.upload(b"more", uploads, kind="logs")


@both
async def test_only_the_newest_pictures_and_those_of_commands_stay(stage: Stage) -> None:
    uploads = stage.restarted(keep_per_player=2)
    commands = Commands(stage.db, stage.bus)
    sent = await commands.send(Origin(stage.owner, "test"), stage.player.id or 0, "take_screenshot")
    await stage.upload(picture(color="black"), uploads, command_id="cmd_of_nobody")
    asked = await stage.upload(picture(color="white"), uploads, command_id=sent["command_id"])
    own = [await stage.upload(picture(color=color), uploads) for color in ("red", "green", "blue")]
    logs = await stage.upload(b"a line\n", uploads, kind="logs", command_id="cmd_2")

    await uploads.sweep(now_ms())

    assert {str(row.id) for row in await stage.screenshots()} == {asked.id, own[1].id, own[2].id}
    assert len(await stage.blob_names()) == 4
    assert any(logs.id in name for name in await stage.blob_names())
    await uploads.sweep(now_ms() + 29 * DAY)
    assert len(await stage.blob_names()) == 4
    await uploads.sweep(now_ms() + 31 * DAY)
    assert await stage.blob_names() == set()
    async with stage.db.session() as session:
        assert list(await session.exec(select(Upload))) == []


async def test_a_full_disk_is_said_and_the_upload_can_be_tried_again(stage: Stage) -> None:
    data = noise(200_000)
    begun = await stage.begin(data)
    begun.handle.path.mkdir()  # nothing can be written here, not even by root

    with pytest.raises(Unavailable):
        await stage.send(begun, data)

    begun.handle.path.rmdir()
    await stage.upload(data)
    assert len(await stage.screenshots()) == 1
