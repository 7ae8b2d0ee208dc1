"""One operator's connection: what it asks for is worked on by services, what happens is written as it was encoded once
for everybody."""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import orjson

from hub.domain.access import Actor
from hub.domain.commands import IdempotencyKey
from hub.domain.errors import HubError
from hub.domain.events import Topic
from hub.domain.ratelimit import Minute
from hub.protocol.closecodes import CloseCode
from hub.services.commands import Origin
from hub.services.container import Services
from hub.services.feed import RESUME_LIMIT, Told
from hub.sockets.frames import framed
from hub.sockets.operator.messages import Command, Ping, Subscribe, Unread, read, said
from hub.sockets.transport import Budget

OUTBOX_BYTES = 1_048_576  # unsent bytes at which an operator is too slow (4130): some thousand events
SLOW_S = 30.0  # for the network to take a page of the past
PLAYERS_A_PART = 500  # of a snapshot: some 100 KB, since libraries refuse messages of over a megabyte
MESSAGES_A_MINUTE = 600  # ten a second, more than a person with a mouse; past it 4029
UNREAD_A_MINUTE = 20  # messages that cannot be read, as on the players' socket; then 4000
COMMANDS_WAITING = 32  # of one connection; they are worked on one after the other
END_WITHIN_S = 120.0  # before its end a credential has a timer of its own: twice the time between two checks
INTERNAL_ERROR = 1011  # of RFC 6455
FACE = "signalbox"

log = logging.getLogger(__name__)


class Seam(Protocol):
    """What a connection needs of the bytes under it."""

    @property
    def buffered(self) -> int: ...
    def send_framed(self, frame: bytes) -> None: ...
    async def drained(self) -> None: ...
    def ping(self) -> None: ...
    def close(self, code: int, reason: str = "") -> None: ...
    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What a connection is given by whoever keeps all of them. `count` counts one request of a caller from an address,
    and raises TooMany when it is not its turn."""

    services: Services
    count: Callable[[Actor, str | None], None]
    leave: Callable[["OperatorConnection"], None]
    closed: Callable[[int], None]
    draining: Callable[[], bool]


class OperatorConnection:
    def __init__(
        self, context: ConnectionContext, seam: Seam, token: str, actor: Actor, address: str | None, now: float
    ) -> None:
        self.actor = actor
        self.topics: frozenset[Topic] = frozenset()
        self._context = context
        self._seam = seam
        self._token = token
        self._address = address
        self._closed = False
        self._life_at = now
        self._pinged = False
        self._messages = Minute(MESSAGES_A_MINUTE)
        self._unread = Minute(UNREAD_A_MINUTE - 1)
        self._commands: deque[Command] = deque()
        self._working: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.TimerHandle | None = None
        self._await_end()

    # From the transport

    def share(self, budget: Budget) -> Budget:
        """Each has its own: what operators send is stored only as commands, which have the pace of their plan."""
        return budget

    def on_text(self, data: bytes) -> None:
        if not self._messages.take(1, self._alive()):
            self.close(CloseCode.FLOODING, "too many messages")
            return
        try:
            message = read(data)
        except Unread as unread:
            self._refuse(unread.code, unread.message, unread.ref)
            return
        if isinstance(message, Ping):
            self._say("pong", ref=message.ref)
        elif isinstance(message, Subscribe):
            try:
                self._context.count(self.actor, self._address)
            except HubError as error:  # the earlier subscription goes on
                self._fail("error", error, message.ref)
                return
            if self._serving is not None:
                self._serving.cancel()
            self.topics = frozenset()
            self._serving = self._spawn(self._serve(message))
        elif len(self._commands) >= COMMANDS_WAITING:
            self._say("refused", ref=message.ref, code="busy", message="Too many commands of this connection wait.")
        else:
            self._commands.append(message)
            if self._working is None or self._working.done():
                self._working = self._spawn(self._work())

    def on_binary(self, data: bytes) -> None:
        self._alive()
        self._refuse("binary", "Only text frames are taken here.", None)

    def on_life(self) -> None:
        self._alive()

    def on_excess(self, code: CloseCode, reason: str) -> None:
        self.close(code, reason)

    def on_lost(self) -> None:
        self._closed = True
        self._no_end()
        for task in self._tasks:
            task.cancel()
        self._context.leave(self)

    # From the registry

    def abort(self) -> None:
        """End it now, without a word."""
        self._seam.abort()

    def sweep(self, now: float, heartbeat_s: float, silence_s: float) -> None:
        """Ping who is silent, drop who stays so."""
        silent_s = now - self._life_at
        if silent_s >= silence_s and self._pinged:
            self._seam.abort()
        elif silent_s >= heartbeat_s and not self._pinged:
            self._pinged = True
            self._seam.ping()

    def excuse(self, seconds: float, now: float) -> None:
        """The hub itself has read nothing for so long."""
        self._life_at = min(now, self._life_at + seconds)

    def check(self) -> None:
        """Something happened to the credential: look whether it is still good, and for what."""
        self._checking = self._spawn(self._check())

    def close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._context.closed(code)
            self._seam.close(code, reason)
            self._no_end()
            for task in self._tasks:
                task.cancel()

    def write(self, frame: bytes) -> None:
        """A frame that is the same for many."""
        if not self._closed:
            self._seam.send_framed(frame)

    # ------------------------------------------------------------------------------------------------------------------

    def _alive(self) -> float:
        """The second of now."""
        self._life_at = asyncio.get_running_loop().time()
        self._pinged = False
        return self._life_at

    def _refuse(self, code: str, message: str, ref: str | None) -> None:
        self._say("error", code=code, message=message, **({} if ref is None else {"ref": ref}))
        if not self._unread.take(1, self._life_at):
            self.close(CloseCode.PROTOCOL_ERROR, "too many messages that cannot be read")

    def _fail(self, kind: Literal["error", "refused"], error: HubError, ref: str | None) -> None:
        """What was asked for was not done."""
        said = {"ref": ref, "errors": error.errors or None, "retry_after": error.retry_after}
        given = {name: value for name, value in said.items() if value is not None}
        self._say(kind, code=error.code, message=error.message, **given)

    def _say(self, kind: str, **fields: Any) -> None:
        self.write(framed(said(kind, **fields)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an operator's connection failed", exc_info=error)
            self.close(INTERNAL_ERROR, "the hub failed")

    async def _check(self) -> None:
        actor = await self._context.services.access.renewed(self._token, self.actor)
        if actor is None:
            self.close(CloseCode.REVOKED, "the credential is not good any more")
        else:
            self.actor = actor
            self._await_end()

    def _await_end(self) -> None:
        """Be there when the credential ends. Later ends are looked for by the check of each minute, by which the clock
        may have been put right."""
        self._no_end()
        left_s = self._context.services.access.left_s(self.actor)
        if left_s is not None and left_s <= END_WITHIN_S:
            self._ending = asyncio.get_running_loop().call_later(left_s, self.check)

    def _no_end(self) -> None:
        if self._ending is not None:
            self._ending.cancel()

    async def _settled(self) -> None:
        """What is asked after a change, or after the end, is judged by what the credential is then."""
        if self._context.services.access.left_s(self.actor) == 0:
            self.check()
        if self._checking is not None:
            await asyncio.wait([self._checking])

    # The feed

    async def _serve(self, message: Subscribe) -> None:
        feed = self._context.services.feed
        team_id = self.actor.team_id
        await self._settled()
        try:
            self.actor.require("read:players")
            with feed.joined(team_id, self._tell, self._fell_behind) as listener:
                await feed.ready(team_id)
                number = None
                if message.after is not None:
                    number = await feed.position(message.after, RESUME_LIMIT)
                    if number is None:
                        self._say("reset")
                self.topics = frozenset(message.topics)
                if number is None:
                    number = await self._snapshot()
                else:
                    async for page in feed.past(team_id, number):
                        for told in page:
                            self._tell(told)
                            await self._drained()
                        number = page[-1].number
                listener.release(number)
                await asyncio.Event().wait()  # until cancelled
        except HubError as error:
            self.topics = frozenset()
            self._fail("error", error, message.ref)

    async def _snapshot(self) -> int:
        snapshot = await self._context.services.feed.snapshot(self.actor.team_id)
        players = snapshot.players if self.topics & {"players", "events"} else []
        counts = snapshot.counts()
        for start in range(0, max(len(players), 1), PLAYERS_A_PART):
            part = players[start : start + PLAYERS_A_PART]
            more = start + PLAYERS_A_PART < len(players)
            self._say("snapshot", cursor=snapshot.cursor, players=part, counts=counts, more=more)
            await self._drained()
        return snapshot.number

    def _tell(self, told: Told) -> None:
        if self.topics & told.topics and told.scope in self.actor.scopes:
            frame = told.framed.get("event")
            if frame is None:
                frame = told.framed["event"] = framed(b'{"type":"event",' + told.body[1:])
            self.write(frame)

    async def _drained(self) -> None:
        """Go on when the network has taken most of it: whoever asks for the past is not cut off for its length."""
        if self._seam.buffered < OUTBOX_BYTES // 4:
            return
        try:
            async with asyncio.timeout(SLOW_S):
                await self._seam.drained()
        except TimeoutError:
            self._fell_behind()

    def _fell_behind(self) -> None:
        if self._context.draining():
            self.close(CloseCode.DRAIN, "this hub is going away")
        else:
            self.close(CloseCode.TOO_SLOW, "too slow to read")

    # Commands

    async def _work(self) -> None:
        while self._commands:
            message = self._commands.popleft()
            await self._settled()
            try:
                self._context.count(self.actor, self._address)
                self._say("accepted", ref=message.ref, **await self._send(message))
            except HubError as error:
                self._fail("refused", error, message.ref)

    async def _send(self, message: Command) -> dict[str, Any]:
        services, origin = self._context.services, Origin(self.actor, FACE)
        key = None
        if message.idempotency_key is not None:
            asked = message.model_dump(exclude={"ref", "idempotency_key"})
            request = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
            key = IdempotencyKey(message.idempotency_key, request)
        about: dict[str, Any] = {"ttl_s": message.ttl_s, "idempotency": key}
        if message.player_id is not None:
            sent = await services.commands.send(origin, message.player_id, message.command, message.payload, **about)
            return {"command_id": sent["command_id"]}
        assert message.group_id is not None
        batch = await services.batches.send(origin, message.group_id, message.command, message.payload, **about)
        return {"batch_id": batch["batch_id"]}
