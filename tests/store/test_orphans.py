"""Rows that refer to what was deleted at the same moment, by both ways into the database."""

import asyncio

import pytest

from hub.domain.errors import Unavailable
from hub.store.database import Database
from hub.store.statements import Statement, Unit
from hub.store.tables import GroupMember, Meta

_JOIN = Statement("INSERT INTO group_member (group_id, player_id) VALUES (:group_id, :player_id)")
_NOTE = Statement("INSERT INTO meta (name, value) VALUES (:name, 'x')")


def join(note: str) -> Unit:
    yield _NOTE(name=note)
    yield _JOIN(group_id=7, player_id=7)


def note(name: str) -> Unit:
    yield _NOTE(name=name)


async def noted(db: Database) -> set[str]:
    async with db.session() as session:
        return {name for name in ("joined", "joined too", "beside") if await session.get(Meta, name)}


async def test_a_unit_is_told_that_something_moved_and_stores_nothing(db: Database) -> None:
    works = [db.submit(join, "joined"), db.submit(note, "beside"), db.submit(join, "joined too")]
    first, _, last = await asyncio.gather(*works, return_exceptions=True)
    for refusal in (first, last):
        assert isinstance(refusal, Unavailable)
        assert (refusal.code, refusal.retry_after) == ("moved", 1)
    assert await noted(db) == {"beside"}


async def test_a_session_is_told_the_same(db: Database) -> None:
    with pytest.raises(Unavailable) as refusal:
        async with db.transaction() as session:
            session.add(Meta(name="joined", value="x"))
            session.add(GroupMember(group_id=7, player_id=7))
    assert refusal.value.code == "moved"
    assert await noted(db) == set()


async def test_the_database_goes_on_afterwards(db: Database) -> None:
    with pytest.raises(Unavailable):
        await db.write(join, "joined")
    await db.write(note, "beside")
    assert await noted(db) == {"beside"}
