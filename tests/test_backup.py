"""`hub backup` and `hub restore`: a whole copy of a hub that goes on working, and a hub that goes on from the copy."""

import asyncio
import itertools
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from hub.domain.errors import CannotStart
from hub.store.backup import Places, back_up, copy_sqlite, restore
from hub.store.holding import nothing_removed
from tests.harness import Hub, make_team, running_hub, settings
from tests.media import picture
from tests.postgres import PostgresServer


async def run(*arguments: str | Path, **environment: str) -> tuple[int, str]:
    """A `hub` command as a process: (exit status, what it said)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"HUB_CONFIG": os.devnull} | environment,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def busy(hub: Hub) -> None:
    """Commits, one after another."""
    while True:
        await hub.services.events._db.check()


async def furnished(hub: Hub) -> tuple[str, int]:
    """A player, and an asset with a file: (the player's token, the asset's id)."""
    _, token = await hub.player()
    made = await hub.client.post("/api/v1/assets", files={"file": ("a.png", picture(), "image/png")})
    assert made.status_code == 201, made.text
    return token, made.json()["data"]["id"]


async def goes_on(hub: Hub, token: str, asset_id: int) -> None:
    """The player comes back with its token, and the file is there."""
    async with hub.connected(token):
        asset = (await hub.client.get(f"/api/v1/assets/{asset_id}")).json()["data"]
        assert (await hub.client.get(asset["url"])).content == picture()


def private(folder: Path) -> bool:
    return not any(path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*")))


async def test_a_busy_hub_is_copied_and_the_copy_goes_on(tmp_path: Path) -> None:
    copy, second = tmp_path / "copy", tmp_path / "second"
    async with running_hub(settings(tmp_path / "first")) as hub:
        token, asset_id = await furnished(hub)
        working = asyncio.create_task(busy(hub))
        status, said = await run("backup", copy, "--data", tmp_path / "first")
        assert (status, said.startswith(f"The backup {copy} is whole: ")) == (0, True), said
        assert not working.done()
        working.cancel()
    assert private(copy)
    status, said = await run("restore", copy, "--data", second)
    assert (status, said.split(".")[0]) == (0, f"The backup {copy} is restored"), said
    assert private(second)
    async with running_hub(settings(second), hub.key) as again:
        await goes_on(again, token, asset_id)
        with pytest.raises(CannotStart, match="A hub runs on"):
            restore(other(second), copy)


def test_a_copy_does_not_begin_anew_at_each_commit(tmp_path: Path) -> None:
    """And it is of the moment at which it began."""
    source = tmp_path / "hub.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (n INTEGER, text TEXT)")
        writer.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 2_000) for n in range(100)])
        steps = []

        def commit() -> None:
            assert len(steps) < 1_000, "it began anew"
            steps.append(writer.execute("INSERT INTO t VALUES (-1, ?)", ("y" * 2_000,)))

        copy_sqlite(source, tmp_path / "copy.db", pages=4, step=commit)
    assert len(steps) > 10
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*), min(n) FROM t").fetchone() == (100, 0)


@pytest.fixture(params=["sqlite", "postgres"])
def large(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Places of a hub whose database takes a while to copy."""
    data = tmp_path / "first"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return Places(data, server.database(), data / "blobs")
    return Places(data, f"sqlite:///{data}/hub.db", data / "blobs")


async def fill(places: Places) -> None:
    """Put 64 MiB into the database."""
    if places.sqlite is None:
        connection = await asyncpg.connect(places.database_url)
        await connection.execute(
            "CREATE TABLE filler AS SELECT gen_random_uuid() AS a, gen_random_uuid() AS b FROM generate_series(1, 1e6)"
        )
        await connection.close()
    else:
        with closing(sqlite3.connect(places.sqlite)) as database, database:
            database.execute("CREATE TABLE filler (data BLOB)")
            database.executemany("INSERT INTO filler VALUES (randomblob(?))", [(1 << 20,)] * 64)


async def named_in(places: Places) -> list[str]:
    """The files that the database there names."""
    query = "SELECT blob FROM stored_file UNION SELECT thumbnail FROM stored_file WHERE thumbnail IS NOT NULL"
    if places.sqlite is None:
        connection = await asyncpg.connect(places.database_url)
        named = [row[0] for row in await connection.fetch(query)]
        await connection.close()
        return named
    with closing(sqlite3.connect(places.sqlite)) as database:
        return [name for (name,) in database.execute(query)]


async def come_and_go(hub: Hub, seed: int) -> None:
    """Assets, each there for some moments."""
    for number in itertools.count():
        file = {"file": ("a.png", picture(size=(8 + seed, 8 + number % 100)), "image/png")}
        made = await hub.client.post("/api/v1/assets", files=file)
        await hub.client.get("/api/v1/assets")
        await hub.client.delete(f"/api/v1/assets/{made.json()['data']['id']}")


async def test_files_that_come_and_go_meanwhile_are_all_in_the_copy(
    large: Places, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    copy, second = tmp_path / "copy", replace(large, data=tmp_path / "second", files=tmp_path / "second" / "blobs")
    if large.sqlite is None:
        second = replace(second, database_url=request.getfixturevalue("postgres").database())
    else:
        second = replace(second, database_url=f"sqlite:///{second.data}/hub.db")
    async with running_hub(settings(large.data, large.database_url)) as hub:
        await fill(large)
        coming = [asyncio.create_task(come_and_go(hub, seed)) for seed in range(6)]
        status, said = await run("backup", copy, "--data", large.data, HUB_DATABASE__URL=large.database_url)
        assert (status, said.startswith(f"The backup {copy} is whole: ")) == (0, True), said
        assert not any(one.done() for one in coming)
        for one in coming:
            one.cancel()
        await asyncio.wait(coming)
    await asyncio.to_thread(restore, second, copy)
    assert second.files is not None
    named = await named_in(second)
    assert [name for name in named if not (second.files / name).exists()] == []


async def test_what_is_removed_during_a_backup_goes_after_it(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        _, asset_id = await furnished(hub)
        _, other_id = await furnished(hub)
        files = tmp_path / "blobs"
        kept = [path for path in (files / "content").rglob("*") if path.is_file()]
        assert kept
        with nothing_removed(files):
            for one in (asset_id, other_id):
                assert (await hub.client.delete(f"/api/v1/assets/{one}")).status_code == 200
            assert all(path.exists() for path in kept)
        made = await hub.client.post("/api/v1/assets", files={"file": ("b.png", picture(size=(9, 9)), "image/png")})
        await hub.client.delete(f"/api/v1/assets/{made.json()['data']['id']}")
        assert not any(path.exists() for path in kept)


async def test_files_that_the_hub_has_lost_are_told(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path / "first")) as hub:
        await furnished(hub)
    [*files] = [path for path in (tmp_path / "first" / "blobs" / "content").rglob("*") if path.is_file()]
    for path in files:
        path.unlink()
    status, said = await run("backup", tmp_path / "copy", "--data", tmp_path / "first")
    assert (status, f"but {len(files)} files that the database names are not in" in said) == (3, True), said
    assert (tmp_path / "copy" / "backup.json").exists()


@pytest.fixture
async def places(tmp_path: Path) -> Places:
    """A hub that does not run, with one file."""
    data = tmp_path / "data"
    await make_team(f"sqlite:///{data}/hub.db")
    (data / "blobs" / "content").mkdir(parents=True)
    (data / "blobs" / "content" / "one.png").write_bytes(b"one")
    return Places(data, f"sqlite:///{data}/hub.db", data / "blobs")


def other(folder: Path) -> Places:
    return Places(folder, f"sqlite:///{folder}/hub.db", folder / "blobs")


def test_what_would_overwrite_something_is_refused(places: Places, tmp_path: Path) -> None:
    copy, full = tmp_path / "copy", tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    refused = {
        "not empty": lambda: back_up(places, full),
        "not a folder": lambda: back_up(places, full / "mine"),
        "among the files": lambda: back_up(places, places.data / "blobs" / "copy"),
    }
    for why, attempt in refused.items():
        with pytest.raises(CannotStart, match=why):
            attempt()
    back_up(places, copy)
    for why, target in (("not empty", full), ("not empty", places.data)):
        with pytest.raises(CannotStart, match=why):
            restore(other(target), copy)
    assert [path.name for path in full.iterdir()] == ["mine"]


def test_what_is_not_whole_is_neither_kept_nor_restored(places: Places, tmp_path: Path) -> None:
    copy, target = tmp_path / "copy", tmp_path / "target"
    back_up(places, copy)
    database = bytearray((copy / "hub.db").read_bytes())
    middle = len(database) // 2
    database[middle : middle + 8_192] = bytes(8_192)
    (copy / "hub.db").write_bytes(database)
    with pytest.raises(CannotStart, match=r"damaged|cannot be copied"):
        restore(other(target), copy)
    assert not target.exists()
    shutil.copy(copy / "hub.db", places.data / "hub.db")
    with pytest.raises(CannotStart, match=r"damaged|cannot be copied"):
        back_up(places, target)
    assert not target.exists()
    (copy / "backup.json").unlink()
    with pytest.raises(CannotStart, match="no backup"):
        restore(other(target), copy)
    (copy / "backup.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(CannotStart, match="newer version"):
        restore(other(target), copy)
    with pytest.raises(CannotStart, match="There is no database"):
        back_up(other(tmp_path / "nothing"), target)
    assert not target.exists()


async def test_postgres(postgres: PostgresServer, tmp_path: Path) -> None:
    first, second, copy = postgres.database(), postgres.database(), tmp_path / "copy"

    def on(database: str, name: str) -> Places:
        return Places(tmp_path / name, database, tmp_path / name / "blobs")

    async with running_hub(settings(tmp_path / "first", first)) as hub:
        token, asset_id = await furnished(hub)
        working = asyncio.create_task(busy(hub))
        status, said = await run("backup", copy, "--data", tmp_path / "first", HUB_DATABASE__URL=first)
        assert status == 0, said
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        with pytest.raises(CannotStart, match="Another hub runs on the database"):
            await asyncio.to_thread(restore, on(first, "x"), copy)
    assert private(copy)
    with pytest.raises(CannotStart, match="is not empty; take a new one"):
        await asyncio.to_thread(restore, on(first, "x"), copy)
    with pytest.raises(CannotStart, match="is of a hub on PostgreSQL"):
        restore(other(tmp_path / "x"), copy)
    await asyncio.to_thread(restore, on(second, "second"), copy)
    async with running_hub(settings(tmp_path / "second", second), hub.key) as again:
        await goes_on(again, token, asset_id)


async def test_programs_that_are_not_there_are_named(tmp_path: Path) -> None:
    status, said = await run(
        "backup", tmp_path / "copy", HUB_DATABASE__URL="postgresql://x@127.0.0.1/x", PATH=str(tmp_path),
        HUB_SERVER__DATA=str(tmp_path / "data"),
    )  # fmt: skip
    assert (status, said.startswith("pg_dump is not installed")) == (1, True), said
