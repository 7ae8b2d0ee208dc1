"""The numbers of events become visible in their order: who has seen number N has seen all before it.

A sequence gives numbers when rows are written, and a reader sees rows when they are committed, which may be the other
way round. The first test shows what that does to a reader, the others that the hub's own writers never let it happen.
"""

import asyncio
import itertools

import asyncpg

from hub.domain.events import Event
from hub.services.teams import prepare
from hub.store import events, retention
from hub.store.database import Database
from tests.cast import team_owner

INSERT = "INSERT INTO event (team_id, type, at, data) VALUES (1, 'player.created', 0, '{}') RETURNING id"


async def test_without_turns_a_reader_misses_what_commits_late(postgres_url: str) -> None:
    db = Database(postgres_url)
    await db.start()
    late, early = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    try:
        first = late.transaction()
        await first.start()
        lower = await late.fetchval(INSERT)
        higher = await early.fetchval(INSERT)  # commits at once

        async with db.session() as session:
            seen = [row.id for row in await events.after(session, 1, 0, 10)]
        assert seen == [higher]  # the reader goes on from here
        await first.commit()
        async with db.session() as session:
            assert await events.after(session, 1, seen[-1], 10) == []  # and never sees the lower one
        assert lower < higher
    finally:
        await late.close()
        await early.close()
        await db.stop()


async def test_a_reader_of_the_hubs_log_misses_nothing(database_url: str) -> None:
    """Two nodes write by both ways at once, units and sessions, while a third reads on and on."""
    nodes = [Database(database_url) for _ in range(3)]
    for node in nodes:
        await node.start()
    await prepare(nodes[0])
    owner = await team_owner(nodes[0], "acme")
    turn = itertools.count()
    done = asyncio.Event()

    def event() -> Event:
        return Event("player.created", owner.team_id, 0, {"number": next(turn)})

    async def by_units(node: Database) -> None:
        for _ in range(20):
            await asyncio.gather(*(node.write(events.append, event()) for _ in range(5)))

    async def by_sessions(node: Database) -> None:
        for _ in range(50):
            async with node.transaction() as session:
                await node.run(session, events.append(event()))
                await asyncio.sleep(0)  # others get their chance to overtake

    async def read() -> list[int]:
        seen: list[int] = []
        while True:
            last = done.is_set()
            async with nodes[2].session() as session:
                page = await events.after(session, owner.team_id, seen[-1] if seen else 0, 1_000)
            seen += [row.id for row in page if row.id is not None]
            if last:
                return seen
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    await asyncio.gather(*(work(node) for node in nodes[:2] for work in (by_units, by_sessions)))
    done.set()
    seen = await reading
    async with nodes[2].session() as session:
        everything = [row.id for row in await events.after(session, owner.team_id, 0, 10_000)]
    assert seen == everything
    assert len(everything) == 300
    for node in nodes:
        await node.stop()


async def test_a_moment_stays_the_same_whatever_is_written_meanwhile(db: Database) -> None:
    await prepare(db)
    owner = await team_owner(db, "acme")
    async with db.moment() as session:
        before = await events.newest(session)
        written = await db.write(events.append, Event("player.created", owner.team_id, 0, {}))
        assert await events.newest(session) == before < written
    async with db.moment() as session:
        assert await events.newest(session) == written


async def test_the_log_knows_up_to_where_it_has_forgotten(db: Database) -> None:
    await prepare(db)
    owner = await team_owner(db, "acme")
    numbers = [await db.write(events.append, Event("player.created", owner.team_id, at, {})) for at in (1, 5, 2)]
    for before, floor in ((1, 0), (2, numbers[0]), (3, numbers[2]), (3, numbers[2])):
        await db.write(retention.forget, "events", before)
        async with db.session() as session:
            assert await events.floor(session) == floor
