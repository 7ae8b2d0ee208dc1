"""The connection to the hub: kept up for ever, one after another, each driven by a `PlayerSession`.

What arrives goes to the owner; acks, results and reports go out when there is a connection, and nowhere when there is
none: what must not be lost is in the journal, and the next `hello` tells of it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from device_agent.connection.faults import NONE, Faults
from device_agent.connection.reconnect import Reconnect
from device_agent.connection.websocket import Closed, Refused, Wire, connect
from device_agent.journal import Probe
from hub.dial import in_words
from hub.protocol.closecodes import LOST, CloseCode, Reaction, reaction_to, reaction_to_refusal
from hub.protocol.codec import MalformedMessage
from hub.protocol.connection import Binary, Close, Ping, Recovered, Silent, Suspect, Text
from hub.protocol.json_text import loads
from hub.protocol.messages import (
    DeviceEvent,
    Drain,
    Error,
    Hello,
    Plays,
    Result,
    SettingsReport,
    Telemetry,
    Upload,
    Welcome,
)
from hub.protocol.player_session import PlayerEvent, PlayerSession, ReadChunk

log = logging.getLogger(__name__)

Leaving = Literal["rebooting", "shutdown", "updating", "stopping"]
"""Why a player goes, as its goodbye says."""

GOODBYE = 1000
GOING = 1001


class Owner(Protocol):
    """Whoever knows what to say and what to do."""

    async def hello(self) -> Hello: ...

    def welcomed(self, welcome: Welcome) -> None:
        """A connection is open: everything may be sent."""

    async def heard(self, message: PlayerEvent) -> None:
        """A message of the hub that is not the link's own business."""

    def read_chunk(self, upload: int, offset: int, size: int) -> bytes | None:
        """Bytes of an upload; None when it is not wanted any more."""

    def parted(self) -> None:
        """The welcomed connection is over."""

    def refused(self, reaction: Reaction) -> None:
        """The hub does not let this player in for now."""


@dataclass(slots=True)
class Counters:
    """What a link went through, for the report of a fleet."""

    connects: int = 0
    losses: int = 0
    refusals: int = 0


class Link:
    """`token` may be None until a pairing brings one. `probe` hears of every text frame, by its type, right before and
    after it is written. `opening` limits how many upgrades go on at once in one process."""

    def __init__(
        self,
        hub_url: str,
        token: str | None,
        owner: Owner,
        *,
        chance: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        faults: Faults = NONE,
        probe: Probe | None = None,
        opening: asyncio.Semaphore | None = None,
        name: str = "",
    ) -> None:
        self._hub_url = hub_url
        self._token = token
        self._owner = owner
        self._chance = chance or random.Random()
        self._sleep = sleep
        self._faults = faults
        self._probe = probe
        self._opening = opening or asyncio.Semaphore(1)
        self._name = f"{name}: " if name else ""
        self._reconnect = Reconnect(self._chance)
        self._session: PlayerSession | None = None
        self._wire: Wire | None = None
        self._close: Close | None = None  # the session's last word
        self._welcomed_at: float | None = None
        self._drained: tuple[float, float] | None = None  # when the hub said so, and the delay it gave
        self._wanted = asyncio.Event()  # cleared by `part`
        self._wanted.set()
        self._woken = asyncio.Event()
        self.counters = Counters()
        self.leaving: Leaving = "stopping"

    @property
    def token(self) -> str | None:
        """What this player proves itself with."""
        return self._token

    @property
    def connected(self) -> bool:
        """Whether the present connection is welcomed."""
        return self._welcomed_at is not None

    # --- sending: True when it went out on a welcomed connection ---

    def ack(self, id: str) -> bool:
        return self._say(lambda session: session.ack(id))

    def result(self, result: Result) -> bool:
        return self._say(lambda session: session.result(result))

    def send(self, message: Telemetry | DeviceEvent | SettingsReport | Plays) -> bool:
        return self._say(lambda session: session.send(message))

    def upload(self, message: Upload) -> bool:
        return self._say(lambda session: session.upload(message))

    # --- for ever ---

    async def run(self) -> None:
        """Until cancelled; the connection is cut then, `part` before it for a goodbye."""
        while True:
            await self._wanted.wait()
            self._woken.clear()
            if self._token is None:
                await self._woken.wait()
                continue
            delay_s, why = await self._attempt(self._token)
            if self._wanted.is_set():
                log.info("%s%s; next attempt in %.1f s", self._name, why, delay_s)
                await self._pause(delay_s)

    async def part(self) -> None:
        """Say goodbye, close, and stay away."""
        reason = self.leaving
        self._wanted.clear()
        wire = self._wire
        if wire is not None:
            self._say(lambda session: session.bye(reason))
            await wire.close(GOODBYE, reason)

    def use(self, token: str) -> None:
        """Connect with a new token, at once."""
        self._token = token
        if self._wire is not None:
            self._wire.abort()
        self._woken.set()

    # --- one connection ---

    async def _attempt(self, token: str) -> tuple[float, str]:
        """One connection from beginning to end; seconds until the next, and why this one is over."""
        self._welcomed_at = self._drained = None
        loop = asyncio.get_running_loop()
        try:
            async with self._opening:
                wire = await connect(self._hub_url, token)
        except Refused as refusal:
            self.counters.refusals += 1
            reaction = reaction_to_refusal(refusal.status)
            if refusal.retry_after_s is not None:
                reaction = replace(reaction, delay_s=refusal.retry_after_s)
            self._react(reaction, str(refusal))
            return self._reconnect.delay_s(reaction), f"{self._hub_url}: {refusal}"
        except (OSError, UnicodeError, Closed) as failure:  # a name that is none is a UnicodeError
            return self._reconnect.delay_s(LOST), f"{self._hub_url} is not reached: {in_words(failure)}"
        began = loop.time()
        closed = await self._converse(wire)
        now = loop.time()
        reaction = reaction_to(closed.code)
        why = f"{closed.reason or reaction.reason} ({closed.code or 'no close code'})"
        if self._welcomed_at is not None:
            self.counters.losses += 1
        self._react(reaction, why)
        given_s = None
        if self._drained is not None:
            drained_at, after_s = self._drained
            given_s = max(0.0, after_s - (now - drained_at))
        delay_s = self._reconnect.delay_s(reaction, given_s=given_s, welcomed_at=self._welcomed_at, now=now)
        self._welcomed_at = None
        return delay_s, f"disconnected after {now - began:.0f} s: {why}"

    def _react(self, reaction: Reaction, why: str) -> None:
        if reaction.loud:
            log.error("%sthe hub and this agent do not understand each other: %s", self._name, why)
        if reaction.delay_s is not None:
            self._owner.refused(reaction)

    async def _converse(self, wire: Wire) -> Closed:
        """Speak until the connection is over; how it ended."""
        loop = asyncio.get_running_loop()
        self._wire, self._close = wire, None
        afflicted = asyncio.create_task(self._faults.afflict(wire, self._chance)) if self._faults != NONE else None
        try:
            session = self._session = PlayerSession(await self._owner.hello(), loop.time())
            self._flush()
            while self._wanted.is_set():
                try:
                    async with asyncio.timeout_at(session.next_deadline()):
                        frame = await wire.recv()
                except TimeoutError:
                    events = session.tick(loop.time())
                else:
                    events = _receive(session, frame, loop.time())
                for event in events:
                    await self._take(session, event)
                self._flush()
                if Silent() in events:
                    return Closed(None, "the hub was silent for too long")
                if self._close is not None:
                    await wire.close(self._close.code, self._close.reason)
                    return Closed(self._close.code, self._close.reason)
                if self._drained is not None:
                    await wire.close(GOING, "drained")
                    return Closed(CloseCode.DRAIN, "")
            return Closed(None, "")
        except Closed as closed:
            return closed
        finally:
            self._session = self._wire = None
            if afflicted is not None:
                afflicted.cancel()
            wire.abort()
            if self.connected:
                self._owner.parted()

    async def _take(self, session: PlayerSession, event: PlayerEvent) -> None:
        match event:
            case Welcome():
                self._welcomed_at = asyncio.get_running_loop().time()
                self.counters.connects += 1
                log.info(
                    "%sconnected to %s as %s (player %d), session %s, epoch %d",
                    self._name, self._hub_url, event.name, event.player_id, event.session, event.epoch,
                )  # fmt: skip
                self._owner.welcomed(event)
            case Drain():
                self._drained = (asyncio.get_running_loop().time(), event.reconnect_after_ms / 1000)
            case ReadChunk():
                data = self._owner.read_chunk(event.upload, event.offset, event.size)
                if data is not None:
                    session.chunk(event.upload, event.offset, data)
            case Error():
                log.warning("%sthe hub refused a message (%s): %s", self._name, event.ref, event.message)
            case Suspect() | Recovered() | Silent():
                pass
            case _:
                await self._owner.heard(event)

    def _say(self, speak: Callable[[PlayerSession], bool]) -> bool:
        session = self._session
        if session is None:
            return False
        try:
            said = speak(session)
        except MalformedMessage as defect:
            log.error("%snot sent, the hub would refuse it: %s", self._name, defect)
            return False
        self._flush()
        return said

    def _flush(self) -> None:
        if self._session is None or self._wire is None:
            return
        for output in self._session.take_output():
            match output:
                case Text(text) if self._probe is not None:
                    kind = loads(text)["type"]
                    self._probe(f"before send {kind}")
                    self._wire.send(text)
                    self._probe(f"after send {kind}")
                case Text(text):
                    self._wire.send(text)
                case Binary(data):
                    self._wire.send(data)
                case Ping():
                    self._wire.ping()
                case Close():
                    self._close = output

    async def _pause(self, delay_s: float) -> None:
        """Wait, or until there is a reason to try at once."""
        waits = {asyncio.ensure_future(self._sleep(delay_s)), asyncio.ensure_future(self._woken.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _receive(session: PlayerSession, frame: str | bytes | None, now: float) -> list[PlayerEvent]:
    if frame is None:
        return session.receive_life(now)
    if isinstance(frame, str):
        return session.receive_text(frame, now)
    return session.receive_binary(frame, now)
