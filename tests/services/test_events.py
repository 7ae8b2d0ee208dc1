"""Pages of the event log: as long as was asked for, unless their bytes are too many."""

import pytest

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.events import Event
from hub.domain.times import now_ms
from hub.services.events import Events
from hub.services.feed import Feed
from hub.services.teams import prepare
from hub.store import events as store
from hub.store.database import Database
from tests.cast import team_owner

pytestmark = pytest.mark.usefixtures("named_log")
LARGE = 200_000  # bytes of data of an event


@pytest.fixture
async def named_log(db: Database) -> None:
    await prepare(db)


async def write(db: Database, owner: Actor, number: int, size: int) -> None:
    for _ in range(number):
        await db.write(store.append, Event("storage.low", owner.team_id, now_ms(), {"x": "y" * size}))


async def test_a_page_ends_early_where_its_events_are_large(db: Database) -> None:
    owner = await team_owner(db, "team")
    await write(db, owner, 12, LARGE)
    log = Events(db, LocalBus())
    pages: list[int] = []
    after = None
    while True:
        page = await log.page(owner, after=after, limit=1_000, types=["storage.low"])
        after = page["meta"]["next"]
        if not page["data"]:
            break
        pages.append(len(page["data"]))
    most = store.PAGE_BYTES // LARGE
    assert pages == [most, most, 12 - 2 * most]


async def test_one_event_makes_a_page_however_large_it_is(db: Database) -> None:
    owner = await team_owner(db, "team")
    await write(db, owner, 2, store.PAGE_BYTES + 1)
    log = Events(db, LocalBus())
    page = await log.page(owner, after=None, limit=1_000, types=["storage.low"])
    assert len(page["data"]) == 1
    page = await log.page(owner, after=page["meta"]["next"], limit=1_000)
    assert len(page["data"]) == 1


async def test_small_events_fill_a_page_as_far_as_was_asked_for(db: Database) -> None:
    owner = await team_owner(db, "team")
    await write(db, owner, store.PART * 2 + 5, 10)
    log = Events(db, LocalBus())
    for limit in (1, store.PART - 1, store.PART, store.PART + 1, store.PART * 2 + 5):
        page = await log.page(owner, after=None, limit=limit, types=["storage.low"])
        assert len(page["data"]) == limit
    page = await log.page(owner, after=None, limit=1_000, types=["storage.low"])
    assert len(page["data"]) == store.PART * 2 + 5
    assert page["meta"]["next"] == f"{await log.log_id()}-{await log.newest()}"


async def test_the_feed_reads_no_more_at_once_and_misses_nothing(db: Database) -> None:
    owner = await team_owner(db, "team")
    start = await Events(db, LocalBus()).newest()
    await write(db, owner, 12, LARGE)
    feed = Feed(db, LocalBus(), Events(db, LocalBus()))
    pages = [[told.number for told in page] async for page in feed.past(owner.team_id, start)]
    numbers = [number for page in pages for number in page]
    assert max(len(page) for page in pages) == store.PAGE_BYTES // LARGE
    assert len(numbers) == 12
    assert numbers == sorted(numbers)
