"""Reading the event log. A cursor is the log's id and a number: `3f2a9c-1042`."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hub.bus.base import Bus
from hub.domain.access import Actor
from hub.domain.errors import Invalid
from hub.domain.events import number_of, scope_of
from hub.domain.times import rfc3339
from hub.services.access import concerns
from hub.services.waiting import Patience
from hub.store import events as store
from hub.store.database import Database
from hub.store.tables import EventRow

POLL_S = 1.0  # how often the log itself is looked at, whatever the bus says

_CREDENTIALS = {
    "key": ("key", "key_id"),
    "login": ("login", "login_id"),
    "grant": ("grant", "grant_id"),
    "member": ("user", "user_id"),
    "team": ("team", "team_id"),
}
"""Whose credentials an event concerns, by its first word: the kind of subject, and where its data has the id."""


class Events:
    def __init__(self, db: Database, bus: Bus, *, patience: Patience | None = None) -> None:
        self._db = db
        self._bus = bus
        self._patience = patience or Patience()
        self._log_id: str | None = None
        self._followed: int | None = None

    async def page(
        self,
        actor: Actor,
        *,
        after: str | None,
        limit: int,
        types: Sequence[str] = (),
        player_id: int | None = None,
        wait_s: float = 0,
    ) -> dict[str, Any]:
        """Events past the cursor `after` (None: from the first, `latest`: from now on), oldest first, that the actor
        may see, of these `types` and of this player where given; waits up to `wait_s` for the first one,
        and no longer than the hub runs, or until something happens to the actor's credential: then nothing is told.

        Answers {"data": [{"cursor", "event", "timestamp", "data"}], "meta": {"next"}}; `next` is the cursor to go on
        from, also when nothing came: one call looks at some thousand events at most.

        Raises Invalid for a cursor of another log, or ahead of it.
        """
        actor.require("read:players")
        log_id = await self.log_id()
        number = await self.newest() if after == "latest" else 0 if after is None else number_of(after, log_id)
        is_known = after in (None, "latest")
        heard = asyncio.Event()
        changed = False

        def look(subject: Sequence[Any]) -> None:
            nonlocal changed
            if concerns(actor, *subject):
                changed = True
                heard.set()

        stops = [
            self._bus.subscribe(("events", actor.team_id), lambda _: heard.set()),
            self._bus.subscribe(("credentials", None), look),
        ]
        clock = asyncio.get_running_loop().time
        deadline = clock() + wait_s
        try:
            while True:
                heard.clear()
                async with self._db.session() as session:
                    rows, looked = await store.chosen_after(
                        session, actor.team_id, number, limit, types=types, player_id=player_id
                    )
                if changed:  # the caller asks again, as what it is now
                    return {"data": [], "meta": {"next": f"{log_id}-{number}"}}
                shown = [row for row in rows if scope_of(row.type) in actor.scopes]
                if looked == number and not is_known:
                    await self._check(number)
                    is_known = True
                nothing_new, number = looked == number, looked
                if shown or clock() >= deadline or self._patience.over:
                    data = [describe(row, log_id) for row in shown]
                    return {"data": data, "meta": {"next": f"{log_id}-{number}"}}
                if nothing_new:
                    await self._patience.set_within(heard, min(POLL_S, deadline - clock()))
        finally:
            for stop in stops:
                stop()

    async def _check(self, number: int) -> None:
        """Raise Invalid for a cursor that the log has not reached: it is of a state that the database has lost."""
        async with self._db.session() as session:
            if number > max(await store.newest(session), await store.floor(session)):
                raise Invalid.field("after", "must be a cursor that this hub's log has reached", code="unknown_cursor")

    async def log_id(self) -> str:
        if self._log_id is None:
            async with self._db.session() as session:
                self._log_id = await store.log_id(session)
        return self._log_id

    async def follow(self) -> None:
        """Pass on the revocations that were written since the last call, here or on another node, whatever the bus
        does. The first call only takes its bearings."""
        async with self._db.session() as session:
            newest = await store.newest(session)
            rows = [] if self._followed is None else await store.revocations(session, self._followed, newest)
        self._followed = newest
        for row in rows:
            concerned = _CREDENTIALS.get(row.type.partition(".")[0])
            if concerned is not None:
                kind, field = concerned
                self._bus.publish(("credentials", None), (kind, store.as_data(row)[field]))
            else:
                message = "quarantined" if row.type == "player.quarantined" else "revoked"
                self._bus.publish(("player", row.player_id), message)

    async def newest(self) -> int:
        async with self._db.session() as session:
            return await store.newest(session)


def describe(row: EventRow, log_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "cursor": f"{log_id}-{row.id}",
        "event": row.type,
        "timestamp": rfc3339(row.at),
        "data": store.as_data(row),
    }
    if row.actor_kind:
        answer["actor"] = {
            "kind": row.actor_kind,
            "id": row.actor_id,
            "name": row.actor_name,
            "face": row.face,
            "address": row.address,
        }
    return answer
