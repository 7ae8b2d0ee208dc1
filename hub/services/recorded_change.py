"""One change by an operator: rows, what is said of it in the event log, and who is woken after the commit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain.access import Actor
from hub.domain.errors import PreconditionFailed
from hub.domain.events import Event
from hub.domain.quotas import Quotas
from hub.domain.times import now_ms
from hub.store import events, quotas
from hub.store.database import Database
from hub.store.teams import touch_content


@dataclass(slots=True)
class Change:
    """A transaction in progress. `shown`: players might show something else after it."""

    db: Database
    session: AsyncSession
    actor: Actor
    face: str
    now: int
    shown: bool

    async def say(self, kind: str, /, **data: Any) -> None:
        """Write an event of this change."""
        event = Event(kind, self.actor.team_id, self.now, data, actor=self.actor, face=self.face)
        await self.db.run(self.session, events.append(event))

    async def check(self, limits: Quotas, name: str, more: int = 1) -> None:
        """Before something is added that a quota counts. Raises Conflict or TooMany when it does not fit."""
        await self.db.run(self.session, quotas.check(limits, self.actor.team_id, name, self.now, more))


@asynccontextmanager
async def change(db: Database, bus: Bus, actor: Actor, face: str, *, shown: bool = True) -> AsyncIterator[Change]:
    """Committed at the end of the block, undone if it raises. Writers take turns: what is read in here stays so until
    the commit."""
    async with db.transaction() as session:
        under_way = Change(db, session, actor, face, now_ms(), shown)
        yield under_way
        await session.flush()
        if under_way.shown:
            await touch_content(session, actor.team_id)
    bus.publish(("events", actor.team_id))
    if under_way.shown:
        bus.publish(("content", actor.team_id))


def check_version(row: Any, version: int | None) -> None:
    """Raise PreconditionFailed when the caller has seen another version (`If-Match`) than the row's."""
    if version is not None and version != row.version:
        raise PreconditionFailed
