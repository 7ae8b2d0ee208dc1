"""Sending commands and learning what became of them. The row is the truth; the bus only says "look"."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from hub.bus.base import Bus
from hub.domain import commands as rules
from hub.domain import ids, masking
from hub.domain.access import Actor
from hub.domain.commands import IdempotencyKey, Outcome, Replay
from hub.domain.errors import NotFound, Unavailable
from hub.domain.quotas import Quotas
from hub.domain.times import SECOND, now_ms, rfc3339, rfc3339_or_none
from hub.services.waiting import Patience
from hub.store import commands as store
from hub.store.database import Database
from hub.store.statements import Row
from hub.store.tables import Command

SWEEP_LIMIT = 500  # rows a sweep moves in one transaction
PROGRESS_LIMIT = 64  # commands of one player whose progress is remembered; far more than run at once
ENDED_LIMIT = 10_000  # commands that ended last or never ran there, of which that is known without a look into the rows


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, for the audit line: the actor and the API document whose call it was."""

    actor: Actor
    face: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A claimed command, ready for the wire; `expires_at` in Unix ms."""

    id: str
    command: str
    payload: dict[str, Any]
    delivery: rules.Delivery
    expires_at: int


class Commands:
    """`count` is told each state that a command enters, for the metrics. `steady`: whether a time may end something."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        count: Callable[[str], None] = lambda state: None,
        *,
        patience: Patience | None = None,
        clock: Callable[[], int] = now_ms,
        steady: Callable[[int], bool] = lambda now: True,
        quotas: Quotas | None = None,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._count = count
        self._patience = patience or Patience()
        self._clock = clock
        self._steady = steady
        self._progress: dict[int, dict[str, dict[str, Any]]] = {}  # by player and command
        self._secrets: dict[tuple[int, str], frozenset[str]] = {}  # that must not come back in a note, by the same
        self._asked: dict[tuple[int, str], dict[str, Any]] = {}  # whose rows are being read
        self._ended: dict[tuple[int, str], None] = {}
        bus.subscribe(("settled", None), self.settled)

    async def send(
        self,
        origin: Origin,
        player_id: int,
        name: str,
        payload: Mapping[str, Any] | None = None,
        *,
        ttl_s: int | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> dict[str, Any]:
        """Queue a command; after return it is on disk. Answers {"command_id", "status": "queued"}, or the stored answer
        of an earlier request with the same key.

        Raises Forbidden, Invalid (unknown command, bad payload, player cannot do it), NotFound, Conflict, TooMany (of
        the team on this day), Unavailable.
        """
        spec = rules.lookup(name)
        origin.actor.require(spec.scope)
        payload = rules.check_payload(spec, payload)
        now = self._clock()
        row = new_row(origin, spec, player_id, payload, ttl_s, now)
        answer = {"command_id": row.id, "status": "queued"}
        replay: Replay | None = await self._db.write(
            store.send,
            row,
            spec,
            origin.actor,
            now,
            self._quotas,
            idempotency,
            202,
            orjson.dumps(answer).decode(),
            key=player_id,
        )
        if replay is not None:
            return cast(dict[str, Any], orjson.loads(replay.answer))
        self.queued(origin.actor.team_id, [player_id])
        return answer

    async def get(self, actor: Actor, command_id: str) -> dict[str, Any]:
        """The whole story of one command. Raises NotFound."""
        async with self._db.session() as session:
            row = await store.get(session, actor.team_id, command_id)
        if row is None:
            raise NotFound
        return self._story(row)

    async def listing(
        self,
        actor: Actor,
        *,
        player_id: int | None = None,
        batch_id: str | None = None,
        states: Sequence[str] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Newest first; `before` is the last id of the page before."""
        async with self._db.session() as session:
            rows = await store.listing(
                session,
                actor.team_id,
                player_id=player_id,
                batch_id=batch_id,
                states=states,
                before=before,
                limit=limit,
            )
        return [self._story(row) for row in rows]

    async def cancel(self, origin: Origin, command_id: str) -> str:
        """Call a command back. Answers the state after: `cancelled` means it will not run; `sent` or `acked` means the
        player was asked and its result tells; another final state means that it was over before. Raises NotFound."""
        actor = origin.actor
        row: Row = await self._db.write(store.cancel, actor.team_id, command_id, actor, origin.face, self._clock())
        if row["state"] in ("sent", "acked"):
            self._bus.publish(("player", row["player_id"]), "cancel")
        else:
            self.settled(row)
        return str(row["state"])

    async def wait(self, actor: Actor, command_id: str, seconds: float) -> dict[str, Any]:
        """The story of a command once it is final, or as it stands after `seconds`, or when the hub stops. Raises
        NotFound."""
        heard = asyncio.Event()
        stop = self._bus.subscribe(("command", command_id), lambda _: heard.set())
        try:
            story = await self.get(actor, command_id)
            clock = asyncio.get_running_loop().time
            deadline = clock() + seconds
            while story["status"] not in rules.FINAL:
                if not await self._patience.set_within(heard, deadline - clock()):  # not every step is worth a wake-up
                    return await self.get(actor, command_id)
                heard.clear()
                story = await self.get(actor, command_id)
            return story
        finally:
            stop()

    # For the player's socket -----------------------------------------------------------------------------------------

    async def claim(self, player_id: int, node: str, epoch: int, room: int) -> list[Outgoing]:
        """Take up to `room` queued commands for this connection. They count as sent from now on, and only for it.
        Raises Unavailable when it is the player's no more."""
        rows: list[Row] | None = await self._db.write(
            store.claim, player_id, node, epoch, room, self._clock(), key=player_id
        )
        if rows is None:
            raise Unavailable("The player's connection is another one by now.", code="moved", retry_after=1)
        for row in rows:
            self._count("sent")
            self.published(row["team_id"])
        return [
            Outgoing(row["id"], row["command"], orjson.loads(row["payload"]), row["delivery"], row["expires_at"])
            for row in rows
        ]

    async def cancels(self, player_id: int) -> list[str]:
        """Commands whose cancellation the player has yet to answer."""
        return cast(list[str], await self._db.write(store.cancels, player_id, key=player_id))

    async def acknowledge(self, player_id: int, command_id: str) -> None:
        """The player has it in its journal."""
        if await self._db.write(store.acknowledge, player_id, command_id, self._clock(), key=player_id):
            self._count("acked")
            self._bus.publish(("command", command_id))

    async def progress(self, player_id: int, command_id: str, percent: int | None, note: str | None) -> None:
        """How far a command is, in the words of this player: a latest value, kept in memory and lost with it. Told only
        if the command is the player's own, and only until it ends; the first word on each is held against its row."""
        own = (player_id, command_id)
        progress: dict[str, Any] = {"percent": percent, "note": note}
        secrets = self._secrets.get(own, frozenset())
        if own in self._ended:
            return
        if command_id not in self._progress.get(player_id, ()):
            asked = own in self._asked
            self._asked[own] = progress
            if asked:
                return
            try:
                async with self._db.session() as session:
                    payload = await store.running(session, player_id, command_id)
            finally:
                progress = self._asked.pop(own)  # the latest word: more may have come meanwhile
            if payload is None:
                self._note_end(own)
            if payload is None or own in self._ended:
                return
            if secrets := masking.secrets_in(orjson.loads(payload)):
                self._secrets[own] = secrets
        if progress["note"] is not None:
            progress["note"] = masking.masked_text(progress["note"], secrets)
        of_player = self._progress.setdefault(player_id, {})
        of_player.pop(command_id, None)
        if len(of_player) >= PROGRESS_LIMIT:
            quiet = next(iter(of_player))  # for longest
            del of_player[quiet]
            self._secrets.pop((player_id, quiet), None)
        of_player[command_id] = progress
        self._bus.publish(("progress", command_id), {"command_id": command_id, "player_id": player_id} | progress)

    async def record(self, player_id: int, outcome: Outcome) -> None:
        """The player's word on a command, durable on return. A result that settles nothing any more is fine: the
        player repeats what it was not thanked for."""
        recorded: tuple[Row, bool] | None = await self._db.write(
            store.record, player_id, outcome, self._clock(), key=player_id
        )
        if recorded is not None:
            row, strays = recorded
            self.settled(row)
            if strays:
                self._bus.publish(("player", player_id), "settings")

    async def sent_once(self, player_id: int) -> list[str]:
        """Ids of what the player was sent, must not run twice, and has not acknowledged."""
        found: list[str] = await self._db.write(store.sent_once, player_id, key=player_id)
        return found

    async def reconcile(
        self, player_id: int, epoch: int, *, requeue: Sequence[str], acked: Sequence[str], lost: Sequence[str]
    ) -> None:
        """Apply the comparison, for the connection of this epoch."""
        over: list[Row] = await self._db.write(
            store.reconcile, player_id, epoch, requeue, acked, lost, self._clock(), key=player_id
        )
        for row in over:
            self.settled(row)
        for command_id in acked:
            self._bus.publish(("command", command_id))

    def _story(self, row: Command) -> dict[str, Any]:
        progress = None if row.state in rules.FINAL else self._progress.get(row.player_id, {}).get(row.id)
        return describe(row) | {"progress": progress}

    # For the supervised loops ----------------------------------------------------------------------------------------

    async def sweep(self) -> bool:
        """Move what time alone moves. Answers whether there may be more."""
        now = self._clock()
        if not self._steady(now):
            return False
        rows: list[Row] = await self._db.write(store.expire, now, SWEEP_LIMIT)
        for row in rows:
            self.settled(row)
            if row["cancel_requested_at"] is not None:
                self._bus.publish(("player", row["player_id"]), "cancel")
        return len(rows) == SWEEP_LIMIT

    def queued(self, team_id: int, player_ids: Sequence[int]) -> None:
        """Commands for these players are on disk: whoever holds their sockets may send them."""
        for player_id in player_ids:
            self._count("queued")
            self._bus.publish(("player", player_id), "commands")
        self.published(team_id)

    def settled(self, row: Row) -> None:
        """Tell whoever waits for this command or its batch."""
        self._note_end((row["player_id"], row["id"]))
        self._count(row["state"])
        self._bus.publish(("command", row["id"]))
        if row["batch_id"]:
            self._bus.publish(("batches", None), row["batch_id"])
        self.published(row["team_id"])

    def _note_end(self, own: tuple[int, str]) -> None:
        player_id, command_id = own
        if (of_player := self._progress.get(player_id)) is not None:
            of_player.pop(command_id, None)
            if not of_player:
                del self._progress[player_id]
        self._secrets.pop(own, None)
        self._ended.pop(own, None)
        if len(self._ended) >= ENDED_LIMIT:
            del self._ended[next(iter(self._ended))]
        self._ended[own] = None

    def published(self, team_id: int) -> None:
        """The event log of the team has grown."""
        self._bus.publish(("events", team_id))


def new_row(
    origin: Origin,
    spec: rules.Spec,
    player_id: int,
    payload: Mapping[str, Any],
    ttl_s: int | None,
    now: int,
    *,
    batch_id: str | None = None,
    held: bool = False,
) -> store.Draft:
    """A command about to be stored. Its deadline starts now, or when a paced batch releases it."""
    deadline = None if held else now + (ttl_s or spec.start_within_s) * SECOND
    actor = origin.actor
    return store.Draft(
        id=ids.command_id(),
        team_id=actor.team_id,
        player_id=player_id,
        batch_id=batch_id,
        command=spec.name,
        payload=orjson.dumps(payload).decode(),
        delivery=spec.delivery,
        state="held" if held else "queued",
        finish_within_s=spec.finish_within_s,
        created_at=now,
        expires_at=deadline,
        due_at=deadline,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        face=origin.face,
        address=actor.address,
    )


def describe(row: Command) -> dict[str, Any]:
    """A command as the API tells it. A PIN is a secret and not told, in nobody's words."""
    payload = orjson.loads(row.payload)
    secrets = masking.secrets_in(payload)
    message = None if row.error_message is None else masking.masked_text(row.error_message, secrets)
    error = {"code": row.error_code, "message": message} if row.error_code else None
    return {
        "id": row.id,
        "player_id": row.player_id,
        "batch_id": row.batch_id,
        "command": row.command,
        "payload": masking.masked(payload),
        "status": row.state,
        "created_at": rfc3339(row.created_at),
        "expires_at": rfc3339_or_none(row.expires_at),
        "sent_at": rfc3339_or_none(row.sent_at),
        "acknowledged_at": rfc3339_or_none(row.acked_at),
        "started_at": rfc3339_or_none(row.started_at),
        "finished_at": rfc3339_or_none(row.finished_at),
        "cancel_requested_at": rfc3339_or_none(row.cancel_requested_at),
        "detail": masking.masked(orjson.loads(row.detail), secrets) if row.detail else None,
        "error": error,
        "late": row.late,
        "superseded_by": row.superseded_by,
        "requested_by": {
            "kind": row.actor_kind,
            "id": row.actor_id,
            "name": row.actor_name,
            "face": row.face,
            "address": row.address,
        },
    }
