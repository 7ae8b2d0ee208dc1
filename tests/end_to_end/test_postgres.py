"""Hubs as processes on a real PostgreSQL server: one to a database, and a start that says what is wrong."""

import asyncio
from pathlib import Path

import asyncpg
import httpx2
import pytest

from hub.store.sole import LOCK
from tests.end_to_end.programs import Program, Programs
from tests.harness import make_team
from tests.ports import free_port
from tests.postgres import PostgresServer


async def serve(run: Programs, folder: Path, url: str, **environment: str) -> Program:
    settings = {"HUB_CONFIG": "/dev/null", "HUB_DATABASE__URL": url} | environment
    return await run.hub("serve", "--data", str(folder), "--port", "0", **settings)


async def port_of(hub: Program) -> int:
    return int((await hub.line(r"listens on http://127\.0\.0\.1:(\d+)"))[1])


async def test_one_hub_to_a_database(run: Programs, tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.database()
    await make_team(url)
    place = url.partition("@")[2].partition("/")
    first = await serve(run, tmp_path / "one", url)
    port = await port_of(first)
    second = await serve(run, tmp_path / "two", url)
    assert await second.end() == 1
    assert second.lines == [f"Another hub runs on the database {place[2]} at {place[0]} already."]
    beside = {"HUB_CONFIG": "/dev/null", "HUB_DATABASE__URL": url, "HUB_PASSWORD": "another password"}
    changed = await run.hub("password", "owner@example.com", **beside)
    assert await changed.end() == 0
    first.process.kill()  # without a goodbye: nothing is left to clean up
    await first.end()
    third = await serve(run, tmp_path / "two", url)
    port = await port_of(third)

    # Another hub has got the lock, while the network to the server was away.
    other, administrator = await asyncpg.connect(url), await asyncpg.connect(url)
    taking = asyncio.create_task(other.execute("SELECT pg_advisory_lock($1)", LOCK))
    while not await administrator.fetchval("SELECT COUNT(*) FROM pg_locks WHERE NOT granted"):
        pass
    await administrator.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND application_name LIKE 'signalbox hub %'"""
    )
    await taking
    assert await third.end() == 1
    assert third.lines[-1] == f"Another hub has taken the database {place[2]} at {place[0]} over; this one ends."
    assert "Traceback" not in third.text()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=60)
    await other.close()
    await administrator.close()


async def test_a_start_without_a_server_ends_in_one_sentence(run: Programs, tmp_path: Path) -> None:
    place = f"127.0.0.1:{free_port()}"
    environment = {
        "HUB_CONFIG": "/dev/null",
        "HUB_DATABASE__URL": f"postgresql://hub:secret@{place}/signs",
        "HUB_DATABASE__WAIT_S": "1",
        "HUB_OWNER_PASSWORD": "correct horse battery",
        "HUB_PASSWORD": "correct horse battery",
    }
    started = [
        await run.hub("serve", "--data", str(tmp_path), "--port", "0", **environment),
        await run.hub("init", "--team", "T", "--email", "ada@example.com", "--data", str(tmp_path), **environment),
        await run.hub("password", "ada@example.com", "--data", str(tmp_path), **environment),
    ]
    for program in started:
        assert await program.end() == 1
        waits, ends = program.lines
        assert f"waiting up to 1 s for the database signs at {place}: " in waits
        assert ends.startswith(f"The database signs at {place} cannot be reached within 1 s: ")
        assert "secret" not in program.text()


async def test_a_hub_waits_for_its_server_and_stops_without_it(
    run: Programs, tmp_path: Path, own_postgres: PostgresServer
) -> None:
    url = own_postgres.database()
    await asyncio.to_thread(own_postgres.down)
    hub = await serve(run, tmp_path, url)
    await hub.line("waiting up to 60 s for the database ")
    await asyncio.to_thread(own_postgres.up)
    await port_of(hub)
    await asyncio.to_thread(own_postgres.crash)
    await hub.line("the lock on the database is lost")
    assert await hub.stop() == 0
    assert "Traceback" not in hub.text()
