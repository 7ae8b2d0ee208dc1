import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hub.domain.errors import CannotStart, NotFound, TooLarge, Unavailable
from hub.store.blobs import OWNER, Blobs
from tests.object_storage import make_bucket, object_storage


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_storage() as address:
        yield address


@pytest.fixture(params=["disk", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    if request.param == "disk":
        store = Blobs((tmp_path / "blobs").as_uri())
    else:
        endpoint = request.getfixturevalue("endpoint")
        bucket = f"signs-{uuid4().hex[:8]}"
        make_bucket(endpoint, bucket)
        store = Blobs(
            f"s3://{bucket}/hub",
            endpoint=endpoint,
            access_key_id="id",
            secret_access_key="secret",
            allow_http=True,
        )
    yield store
    store.close()


async def test_what_was_put_is_read_back(blobs: Blobs) -> None:
    await blobs.put("screenshots/1/2/a.png", b"picture")

    assert await blobs.get("screenshots/1/2/a.png") == b"picture"
    head = await blobs.head("screenshots/1/2/a.png")
    assert (head.name, head.size) == ("screenshots/1/2/a.png", 7)
    assert head.modified_at > 1_700_000_000_000


async def test_a_file_larger_than_one_part_arrives_whole(blobs: Blobs, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 4096 * 7)  # 7 MiB: obstore sends it to S3 in several parts
    await blobs.put_file("logs/1/2/large.log", path)

    assert await blobs.get("logs/1/2/large.log") == path.read_bytes()


async def test_a_file_on_the_same_disk_takes_no_room_twice(tmp_path: Path) -> None:
    blobs = Blobs((tmp_path / "blobs").as_uri())
    for text in ("first", "second"):  # the second in place of the first
        path = tmp_path / text
        path.write_text(text)
        await blobs.put_file("content/1/a", path)
        assert (tmp_path / "blobs/content/1/a").samefile(path) == (text == "first")
        path.unlink()
        assert await blobs.get("content/1/a") == text.encode()
    blobs.close()


async def test_a_range_is_streamed_in_pieces(blobs: Blobs) -> None:
    data = bytes(range(256)) * 4096
    await blobs.put("a", data)

    pieces = [piece async for piece in await blobs.stream("a", 100, 700_000)]

    assert b"".join(pieces) == data[100:700_000]
    assert max(map(len, pieces)) <= 262_144  # a caller who does not read on keeps one in memory
    assert b"".join([piece async for piece in await blobs.stream("a")]) == data
    assert [piece async for piece in await blobs.stream("a", len(data))] == []


async def test_reading_into_memory_is_bounded(blobs: Blobs) -> None:
    await blobs.put("a", b"x" * 100)

    with pytest.raises(TooLarge):
        await blobs.get("a", limit=99)


async def test_what_is_not_there_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        await blobs.get("screenshots/none.png")
    with pytest.raises(NotFound):
        await blobs.stream("screenshots/none.png")
    with pytest.raises(NotFound):
        await blobs.head("screenshots/none.png")


async def test_deleting_is_done_once_and_repeated_without_complaint(blobs: Blobs) -> None:
    await blobs.put("a/1", b"x")
    await blobs.put("a/2", b"x")

    await blobs.delete("a/none", "a/1")
    await blobs.delete("a/none", "a/1")

    assert [stored.name async for page in blobs.pages("a") for stored in page] == ["a/2"]


async def test_listing_stays_in_its_folder(blobs: Blobs) -> None:
    for name in ("screenshots/1/2/a.png", "screenshots/1/3/b.png", "screenshots2/c.png", "logs/d.log"):
        await blobs.put(name, b"x")

    names = {stored.name async for page in blobs.pages("screenshots") for stored in page}

    assert names == {"screenshots/1/2/a.png", "screenshots/1/3/b.png"}


async def test_what_a_crash_left_half_written_is_removed_when_it_is_old(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    store = Blobs(folder.as_uri())
    killed = """if True:
        import obstore, os, sys
        from obstore.store import LocalStore
        def pieces():
            yield bytes(6 << 20)
            yield bytes(6 << 20)
            os._exit(0)
        obstore.put(LocalStore(sys.argv[1]), "content/1/large", pieces(), max_concurrency=1)"""
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", killed, str(folder)], check=True, timeout=60)
    await store.put("content/1/whole", b"x")
    [left] = list(folder.rglob("large*"))
    written_at = left.stat().st_mtime_ns // 1_000_000

    await store.sweep(written_at)
    assert left.exists()
    await store.sweep(written_at + 1)
    assert not left.exists()
    assert await store.get("content/1/whole") == b"x"
    store.close()


async def test_a_store_is_one_databases(blobs: Blobs) -> None:
    await blobs.check()  # as a hub without a database id left it
    await blobs.claim("first", [])
    await blobs.put("content/1/a", b"x")
    await blobs.claim("first", [])
    with pytest.raises(CannotStart, match="belong to another database"):
        await blobs.claim("second", ["content/1/a"])
    with pytest.raises(Unavailable):
        await blobs.delete("content/1/a")

    assert await blobs.get(OWNER) == b"first"
    assert await blobs.get("content/1/a") == b"x"


async def test_files_without_an_owner_belong_to_the_database_that_names_one(blobs: Blobs) -> None:
    await blobs.put("content/1/a", b"x")
    for named in ([], ["content/1/of-another-store"]):
        with pytest.raises(CannotStart, match="the database names none of them"):
            await blobs.claim("first", named)
    await blobs.claim("second", ["content/1/lost", "content/1/a"])

    assert await blobs.get(OWNER) == b"second"


async def test_an_empty_store_is_not_that_of_a_database_that_names_files(blobs: Blobs) -> None:
    """The folder where a disk is not mounted, or another bucket than before."""
    for _ in range(2):
        with pytest.raises(CannotStart, match="is empty, and the database names files") as refusal:
            await blobs.claim("first", ["content/1/a"])
        with pytest.raises(NotFound):
            await blobs.get(OWNER)
    assert refusal.value.message.endswith(f"put a file {OWNER} with the text first there.")
    with pytest.raises(Unavailable):
        await blobs.put("content/1/b", b"x")
    await blobs.claim("new", [])  # whose is the way out, said by hand
    await blobs.claim("new", ["content/1/a"])


async def test_a_folder_is_closed_once_it_is_claimed_and_not_where_it_is_anothers(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    (folder / "letters").mkdir(parents=True)
    (folder / "letters/one.txt").touch()
    open_ones = [folder, folder / "letters", folder / "letters/one.txt"]
    for path in open_ones:
        path.chmod(0o755)
    blobs = Blobs(folder.as_uri())
    with pytest.raises(CannotStart):
        await blobs.claim("first", [])
    assert [path.stat().st_mode & 0o777 for path in open_ones] == [0o755] * 3
    await blobs.claim("first", ["letters/one.txt"])
    assert [path.stat().st_mode & 0o777 for path in open_ones] == [0o700] * 3
    blobs.close()


async def test_nothing_is_listed_for_removal_once_the_store_is_anothers(blobs: Blobs) -> None:
    """Two that took an empty store in the same moment."""
    await blobs.claim("first", [])
    await blobs.put(OWNER, b"second")
    with pytest.raises(Unavailable):
        await anext(blobs.pages("content"))


async def test_a_working_store_is_ready(blobs: Blobs) -> None:
    await blobs.check()


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    store = Blobs((tmp_path / "blobs").as_uri())
    (tmp_path / "blobs" / "screenshots").write_text("in the way")

    with pytest.raises(Unavailable):
        await store.put("screenshots/1/a.png", b"x")
    (tmp_path / "blobs" / "screenshots").unlink()
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_text("in the way")
    with pytest.raises(Unavailable):
        await store.check()
    store.close()


async def test_a_folder_that_is_moved_away_is_missed_and_not_made_again(tmp_path: Path) -> None:
    folder, away = tmp_path / "blobs", tmp_path / "away"
    store = Blobs(folder.as_uri())
    await store.put("content/1/a", b"x")
    (tmp_path / "file").write_bytes(b"y")
    for make in (False, True):  # something else has its name
        folder.rename(away)
        if make:
            folder.mkdir()
        for attempt in (
            store.check(),
            store.put("content/1/b", b"y"),
            store.put_file("content/1/c", tmp_path / "file"),
            store.get("content/1/a"),
        ):
            with pytest.raises(Unavailable):
                await attempt
        assert folder.exists() == make
        if make:
            folder.rmdir()
        away.rename(folder)
        await store.check()
        assert await store.get("content/1/a") == b"x"
    store.close()


def test_a_folder_that_the_database_names_files_in_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="There is no folder of the files"):
        Blobs((tmp_path / "blobs").as_uri(), make=False)
    assert not (tmp_path / "blobs").exists()


async def test_a_bucket_that_does_not_answer_is_unavailable() -> None:
    store = Blobs(
        "s3://signs", endpoint="http://127.0.0.1:1", access_key_id="id", secret_access_key="secret", allow_http=True
    )

    with pytest.raises(Unavailable):
        await store.check()
    store.close()


def test_another_kind_of_place_is_refused() -> None:
    with pytest.raises(ValueError, match="file:// or s3://"):
        Blobs("ftp://somewhere/blobs")
