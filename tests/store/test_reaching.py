"""The first steps towards a PostgreSQL server: who is waited for, who is not, and the sentence for each."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import text

from hub.domain.errors import CannotStart
from hub.services.teams import all_teams, create_team, prepare, set_plan
from hub.store.database import Database
from hub.store.postgres import SETTINGS, reach
from tests.ports import free_port
from tests.postgres import PostgresServer
from tests.tcp_server import Talk, tcp_server
from tests.waiting import PATIENCE_S

FOR_EVER = 3_600.0  # whoever waited for what cannot come would wait for so long


@asynccontextmanager
async def far_end(talk: Talk) -> AsyncIterator[str]:
    """The URL of a server that is something else."""
    async with tcp_server(talk) as port:
        yield f"postgresql://hub:secret@127.0.0.1:{port}/signs"


async def refused(url: str, wait_s: float = FOR_EVER) -> str:
    with pytest.raises(CannotStart) as told:
        async with asyncio.timeout(PATIENCE_S):
            await reach(url, wait_s)
    sentence = told.value.message
    assert "secret" not in sentence
    assert "\n" not in sentence
    return sentence


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def shell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()
    await reader.read()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    await reader.read()


async def old_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """PostgreSQL 14, as far as the greeting."""
    if (await reader.readexactly(8))[4:] == struct.pack("!i", 80877103):  # it asks for TLS
        writer.write(b"N")
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        await reader.readexactly(length - 4)
    told = b"server_version\0" + b"14.11\0"
    writer.write(b"R" + struct.pack("!ii", 8, 0) + b"S" + struct.pack("!i", 4 + len(told)) + told)
    writer.write(b"K" + struct.pack("!iii", 12, 1, 1) + b"Z" + struct.pack("!i", 5) + b"I")
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("talk", [web, shell])
async def test_what_is_no_postgresql_is_not_waited_for(talk: Talk) -> None:
    async with far_end(talk) as url:
        place = url.partition("@")[2].partition("/")[0]
        assert (await refused(url)).startswith(f"The database signs at {place} cannot be used: ")


async def test_a_server_that_is_too_old_is_named(postgres: PostgresServer) -> None:
    async with far_end(old_server) as url:
        assert (await refused(url)).endswith("is PostgreSQL 14; the hub needs 15 or newer.")
    await reach(postgres.database(), 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url + "_gone", "InvalidCatalogNameError"),
        (lambda url: url.replace("hub@", "nobody@"), "InvalidAuthorizationSpecificationError"),
        (lambda url: url.replace("hub@", "locked:secret@"), "InvalidPasswordError"),
        (lambda url: url.replace("127.0.0.1:", "127.0.0.1:port"), "ValueError"),
    ],
)
async def test_what_no_waiting_mends_is_told_at_once(
    postgres: PostgresServer, change: Callable[[str], str], reason: str
) -> None:
    url = postgres.database()
    connection = await asyncpg.connect(url)
    await connection.execute(
        "DO $$ BEGIN CREATE ROLE locked LOGIN PASSWORD 'another'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    await connection.close()
    assert f"cannot be used: {reason}: " in await refused(change(url))


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_keep_every_text_is_refused(postgres: PostgresServer, encoding: str) -> None:
    url = postgres.database(encoding)
    assert f"has the encoding {encoding}, which cannot keep every text; " in await refused(url)
    with pytest.raises(CannotStart, match=encoding):
        await Database(url).start()


async def configured(url: str, setting: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET {setting}")
    await connection.close()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("default_transaction_read_only = on", "can only be read"),
        ("synchronous_commit = off", "would acknowledge what a crash then loses"),
    ],
)
async def test_a_database_that_keeps_nothing_is_refused_at_once(
    postgres: PostgresServer, setting: str, sentence: str
) -> None:
    url = postgres.database()
    await configured(url, setting)
    assert sentence in await refused(url)


@pytest.mark.parametrize(
    "setting",
    [
        "client_encoding = LATIN1",
        "standard_conforming_strings = off",
        "default_transaction_isolation = serializable",
        "DateStyle = 'SQL, DMY'",
        "TimeZone = 'Asia/Kolkata'",
        "bytea_output = escape",
    ],
)
async def test_other_settings_of_a_database_change_nothing(postgres: PostgresServer, setting: str) -> None:
    url = postgres.database()
    await configured(url, setting)
    db = Database(url)
    await db.start()
    name = "Café 🖼 \\' Ελλάδα"
    await prepare(db)
    number, _ = await create_team(db, name=name, email="ada@example.com", password="correct horse")
    assert await set_plan(db, number, "pro") == name
    assert await all_teams(db) == [(number, "pro", name)]
    async with db.session() as session:
        for what, value in SETTINGS.items():
            found = await session.exec(text("SELECT current_setting(:what)"), params={"what": what})  # type: ignore[call-overload]
            assert found.scalar() == value
    await db.check()
    await db.stop()


async def test_the_address_is_read_by_the_same_rules_for_every_connection(postgres: PostgresServer) -> None:
    """SQLAlchemy would take what stands behind the question mark for arguments of its own."""
    db = Database(f"{postgres.database()}?sslmode=disable&application_name=signs")
    await db.start()
    await db.check()
    async with db.session() as session:
        found = await session.exec(text("SELECT current_setting('application_name')"))  # type: ignore[call-overload]
        assert found.scalar() == "signs"
    await db.stop()


async def test_a_standby_is_waited_for(own_postgres: PostgresServer) -> None:
    url = own_postgres.database()
    own_postgres.become_standby()
    assert "cannot be reached within 0.3 s: Standby: it is a standby" in await refused(url, wait_s=0.3)
    waiting = asyncio.create_task(reach(url, FOR_EVER))
    own_postgres.promote()
    await waiting


async def test_a_server_that_is_not_there_or_says_nothing_is_waited_for_so_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = f"postgresql://hub:secret@127.0.0.1:{free_port()}/signs"
    sentence = await refused(url, wait_s=1.2)
    assert "cannot be reached within 1.2 s: " in sentence
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("waiting up to 1.2 s for the database signs at 127.0.0.1:")
    async with far_end(silence) as url:
        assert "cannot be reached within 0.3 s: TimeoutError" in await refused(url, wait_s=0.3)


async def test_a_server_that_comes_late_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """It hangs up on the first two that come, as one that only starts does."""
    came = 0

    async def starting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came > 2:
            await old_server(reader, writer)

    caplog.set_level(logging.WARNING)
    async with far_end(starting) as url:
        assert "is PostgreSQL 14" in await refused(url)
    assert len(caplog.records) == 1
