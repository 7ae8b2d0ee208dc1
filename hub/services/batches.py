"""One command to a group: members frozen at creation, paced, stopped after too many failures, or tried dry."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from hub.bus.base import Bus
from hub.domain import commands as rules
from hub.domain import ids
from hub.domain.access import Actor
from hub.domain.commands import IdempotencyKey, Replay
from hub.domain.errors import HubError, Invalid, NotFound
from hub.domain.quotas import Quotas
from hub.domain.times import now_ms, rfc3339, rfc3339_or_none
from hub.services.commands import Commands, Origin, new_row
from hub.store import asked
from hub.store import batches as store
from hub.store import commands as command_store
from hub.store import players as player_store
from hub.store.database import Database
from hub.store.statements import Row
from hub.store.tables import Batch


class Batches:
    def __init__(
        self,
        db: Database,
        bus: Bus,
        commands: Commands,
        *,
        quotas: Quotas | None = None,
        steady: Callable[[int], bool] = lambda now: True,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._commands = commands
        self._steady = steady
        self._touched: set[str] = set()
        bus.subscribe(("batches", None), self._touched.add)

    async def send(
        self,
        origin: Origin,
        group_id: int,
        name: str,
        payload: Mapping[str, Any] | None = None,
        *,
        ttl_s: int | None = None,
        rate_per_minute: int | None = None,
        max_failures: int | None = None,
        dry_run: bool = False,
        idempotency: IdempotencyKey | None = None,
    ) -> dict[str, Any]:
        """Send a command to every member of a group that can do it; to nobody where the group is empty.

        Answers {"batch_id", "command_id" (the first, if any), "commands": [{"player_id", "command_id"}], "skipped":
        [{"player_id", "name", "reason"}]}; with `dry_run` {"would_send": [...], "skipped": [...]} and nothing stored.
        Raises Forbidden, Invalid, NotFound, Conflict, TooMany, Unavailable.
        """
        actor = origin.actor
        spec = rules.lookup(name)
        actor.require(spec.scope)
        payload = rules.check_payload(spec, payload)
        if idempotency is not None and not dry_run:  # the group may have changed since the first time
            earlier: Replay | None = await self._db.write(command_store.replay, actor.team_id, idempotency)
            if earlier is not None:
                return cast("dict[str, Any]", orjson.loads(earlier.answer))
        async with self._db.session() as session:
            await player_store.group(session, actor.team_id, group_id)
            members = await player_store.members(session, group_id)
            targets = await store.targets(session, actor.team_id, members)
            full = await store.full(session, members)
            if spec.name == "play":
                await self._db.run(session, asked.check(actor.team_id, payload))
        able, skipped = [], []
        polling = {player.id for player, _ in targets if player.uuid is not None and player.token_digest is None}
        for player, online in targets:
            about = {"player_id": player.id, "name": player.name, "status": "online" if online else "offline"}
            if player.quarantined_at is not None:
                skipped.append(about | {"reason": "quarantined"})
            elif player.id in full:
                skipped.append(about | {"reason": "has too many unfinished commands"})
            elif not command_store.can(player.capabilities, spec.name):
                skipped.append(about | {"reason": f"cannot do {spec.name}"})
            else:
                able.append(about)
        if dry_run:
            return {"would_send": able, "skipped": skipped}
        if not able and skipped:
            raise Invalid.field("group_id", "names a group of which no player can take the command", code="no_targets")

        now = now_ms()
        held = rate_per_minute is not None
        batch = Batch(
            id=ids.batch_id(),
            team_id=actor.team_id,
            group_id=group_id,
            command=spec.name,
            payload=orjson.dumps(payload).decode(),
            created_at=now,
            created_by=actor.name,
            rate_per_minute=rate_per_minute,
            max_failures=max_failures,
            ttl_s=ttl_s or spec.start_within_s,
            release_at=now if held else None,
        )
        numbers = [cast("int", about["player_id"]) for about in able]
        rows = [
            new_row(
                origin,
                spec,
                number,
                payload,
                rules.time_to_start(spec, ttl_s, polls=number in polling),
                now,
                batch_id=batch.id,
                held=held,
            )
            for number in numbers
        ]
        answer: dict[str, Any] = {
            "batch_id": batch.id,
            "command_id": rows[0].id if rows else None,
            "commands": [{"player_id": row.player_id, "command_id": row.id} for row in rows],
            "skipped": skipped,
        }
        replay: Replay | None = await self._db.write(
            store.create, batch, rows, spec, actor, now, idempotency, orjson.dumps(answer).decode(), self._quotas
        )
        if replay is not None:
            return cast("dict[str, Any]", orjson.loads(replay.answer))
        if held:
            await self.release()
        else:
            self._commands.queued(actor.team_id, [row.player_id for row in rows])
        return answer

    async def get(self, actor: Actor, batch_id: str) -> dict[str, Any]:
        """Counts by state and what is left. Raises NotFound."""
        async with self._db.session() as session:
            batch = await store.get(session, actor.team_id, batch_id)
            if batch is None:
                raise NotFound
            counts = await store.counts(session, [batch_id])
        return _describe(batch, counts[batch_id])

    async def listing(self, actor: Actor, *, before: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The same of all, newest first; `before` is the last id of the page before."""
        async with self._db.session() as session:
            found = await store.listing(session, actor.team_id, before=before, limit=limit)
            counts = await store.counts(session, [batch.id for batch in found])
        return [_describe(batch, counts[batch.id]) for batch in found]

    async def abort(self, origin: Origin, batch_id: str) -> dict[str, Any]:
        """Call back what has not gone out yet. What has gone out runs to its own end. Raises NotFound."""
        await self.get(origin.actor, batch_id)
        rows = await self._db.write(store.abort, batch_id, origin.actor.team_id, origin.actor, now_ms())
        self._settle(rows)
        return await self.get(origin.actor, batch_id)

    async def release(self) -> None:
        """Let go whose turn has come (a supervised loop calls this each second)."""
        now = now_ms()
        if not self._steady(now):
            return
        for row in await self._db.write(store.release, now):
            self._commands.queued(row["team_id"], [row["player_id"]])

    async def check(self) -> None:
        """Abort the batches of which more failed than their makers allow (a supervised loop calls this each second)."""
        for batch_id in tuple(self._touched):
            self._touched.discard(batch_id)
            try:
                self._settle(await self._db.write(store.check_failures, batch_id, now_ms()))
            except HubError:
                self._touched.add(batch_id)
                raise

    def _settle(self, rows: list[Row]) -> None:
        for row in rows:
            self._commands.settled(row)


def _describe(batch: Batch, counts: Mapping[str, int]) -> dict[str, Any]:
    live = sum(counts.get(state, 0) for state in rules.LIVE)
    status = "aborted" if batch.aborted_at else ("running" if live else "finished")
    return {
        "id": batch.id,
        "command": batch.command,
        "group_id": batch.group_id,
        "status": status,
        "total": sum(counts.values()),
        "counts": {state: counts.get(state, 0) for state in rules.STATES},
        "rate_per_minute": batch.rate_per_minute,
        "max_failures": batch.max_failures,
        "created_at": rfc3339(batch.created_at),
        "created_by": batch.created_by,
        "aborted_at": rfc3339_or_none(batch.aborted_at),
    }
