"""Playing one transcript: what both trials share, that of a player and that of a hub."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hub.conformance.page import Broken, Fault, Section, Unreachable
from hub.conformance.transcript import Json, Role, Step, Transcript
from hub.conformance.values import Values
from hub.conformance.wire import Ended, Heard, Wire

MOST_FAULTS = 20  # told of one transcript; a defect that repeats itself says nothing new
SHOWN = 200  # characters of a frame in a fault's text

Outcome = Literal["passed", "failed", "not tried", "not reached"]
Play = Callable[[Step], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one transcript; `why` it was not tried or not reached."""

    transcript: Transcript
    outcome: Outcome
    faults: Sequence[Fault] = ()
    why: str = ""


@dataclass(slots=True)
class _Case:
    """The transcript that is being played."""

    values: Values
    faults: list[Fault] = field(default_factory=list)


class Trial(ABC):
    """The kit at one end of the protocol. `_heard` are the messages of the present connection that no line has taken
    yet, as JSON objects; the frames without a message stand there as `{"type": "(ping)"}` and `{"type": "(pong)"}`."""

    tests: Role

    def __init__(self) -> None:
        self._wire: Wire | None = None
        self._heard: list[Json] = []
        self._case = _Case(Values(self.now))
        self._gone = ""  # since when nobody is there any more
        self._steps: dict[str, Play] = {
            "cut": self._cut,
            "close": self._close,
            "closed": self._closed,
            "ping": self._ping,
            "pinged": self._pinged,
        }

    # --- for the program ---

    async def play(self, transcript: Transcript) -> Verdict:
        """Line by line, until one is not kept. Raises Unreachable."""
        if self._gone:
            raise Unreachable(self._gone)
        case = self._case = _Case(Values(self.now))
        try:
            why = await self.unfit(transcript)
            if why and not case.faults:
                return Verdict(transcript, "not tried", why=why)
            self.begin(transcript, case.values)
            for step in () if why else transcript.steps:
                await self._steps[step.verb](step)
        except Broken as broken:
            self.accuse(broken.fault)
        except Unreachable as end:
            if not case.faults:
                raise
            self._gone = str(end)
            self.accuse(Fault(transcript.section, self._gone))
        return Verdict(transcript, "failed" if case.faults else "passed", case.faults)

    def accuse(self, fault: Fault) -> None:
        """Note what the other end does wrong, once."""
        if fault not in self._case.faults and len(self._case.faults) < MOST_FAULTS:
            self._case.faults.append(fault)

    @property
    def faults(self) -> Sequence[Fault]:
        """Of the transcript that is being played, so far."""
        return self._case.faults

    @abstractmethod
    async def unfit(self, transcript: Transcript) -> str:
        """Why this transcript cannot be played with this other end; empty when it can."""

    @abstractmethod
    def begin(self, transcript: Transcript, values: Values) -> None:
        """A transcript is about to be played."""

    @abstractmethod
    async def end(self) -> None:
        """Leave the other end as it should be left."""

    @abstractmethod
    def now(self) -> int:
        """The hub's clock, Unix milliseconds."""

    @abstractmethod
    def take(self, heard: Heard) -> None:
        """A frame arrived: hold it against the rules, answer what is answered by itself, put its message into
        `_heard`."""

    # --- steps of both ---

    async def _cut(self, step: Step) -> None:
        if self._wire is not None:
            await self._wire.cut()
            self._wire = None

    async def _close(self, step: Step) -> None:
        if self._wire is not None:
            self._wire.close(whole(step.body, "code"))
            await self._wire.leave()
            self._wire = None

    async def _closed(self, step: Step) -> None:
        """The other end ends the connection, with `code` where one is named."""
        end = await self._until(step, lambda message: False, "close the connection")
        code = step.body.get("code")
        self._wire = None
        if code is not None and (end is None or end.code != code):
            seen = "without a close frame" if end is None or end.code is None else f"with {end.code}"
            raise Broken(step.section, in_words(step, f"It closed {seen}, not with {code}."))

    async def _ping(self, step: Step) -> None:
        data = bytes(whole(step.body, "bytes", 4))
        wire = self._open(step)
        wire.ping(data)
        await self._until(step, lambda message: message == {"type": "(pong)", "data": data.hex()}, "answer a ping")

    async def _pinged(self, step: Step) -> None:
        await self._until(step, lambda message: message["type"] == "(ping)", "send a ping")

    async def _expected(self, step: Step) -> None:
        """A line of the other end."""
        pattern, values = step.body, self._case.values
        await self._until(step, lambda message: values.matches(pattern, message), f"send {_shown(pattern, values)}")

    # --- inside ---

    def _open(self, step: Step) -> Wire:
        if self._wire is None or self._wire.ended is not None:
            raise Broken(step.section, in_words(step, f"There is no connection any more {_how(self._wire)}."))
        return self._wire

    async def _until(self, step: Step, wanted: Callable[[Json], bool], what: str) -> Ended | None:
        """Wait for a message that is `wanted`, and take it out of `_heard`; or for the end of the connection, which is
        told where that was waited for. Raises Broken."""
        looked, waits_for_end = 0, step.verb == "closed"
        passed: list[str] = []
        try:
            async with asyncio.timeout(step.within_s):
                while True:
                    for message in self._heard[looked:]:
                        if wanted(message):
                            self._heard.remove(message)
                            return None
                        for unwanted in step.never:
                            if self._case.values.matches(unwanted, message):
                                seen = f"It sent {_shown(message)}."
                                raise Broken(step.section, in_words(step, seen))
                        passed.append(str(message["type"]))
                    looked = len(self._heard)
                    wire = self._open(step) if not waits_for_end else self._wire
                    if wire is None:
                        return None
                    heard = await wire.hear()
                    if isinstance(heard, Heard):
                        self.take(heard)
                        continue
                    self._ended(heard)
                    if waits_for_end:
                        return heard
                    raise Broken(
                        step.section, in_words(step, f"The connection ended {_how(wire)} before it could {what}.")
                    )
        except TimeoutError:
            instead = f"; it sent {', '.join(dict.fromkeys(passed))}" if passed else ""
            seen = f"It did not {what} within {step.within_s:g} s{instead}."
            raise Broken(step.section, in_words(step, seen)) from None

    def _ended(self, end: Ended) -> None:
        if end.defect:
            self.accuse(Fault(Section.FRAMES, f"What it sent is no WebSocket frame: {end.defect}."))

    def _say(self, message: Json, pieces: int = 1) -> None:
        if self._wire is not None:
            self._wire.say(json.dumps(message), pieces)


def in_words(step: Step, seen: str) -> str:
    """What a step means, and what was seen."""
    return f"{step.says} {seen}".strip()


def whole(body: Json, name: str, otherwise: int | None = None) -> int:
    """An integer of a step. Raises Broken for none: a defect of the transcript."""
    value = body.get(name, otherwise)
    if not isinstance(value, int):
        raise Broken(Section.FRAMES, f"The transcript has no number {name}.")
    return value


def names(body: Json, field_name: str) -> Sequence[str]:
    """A list of words of a step."""
    value = body.get(field_name, ())
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def part(body: Json, name: str) -> Json:
    """An object of a step; empty where there is none."""
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


def _how(wire: Wire | None) -> str:
    if wire is None or wire.ended is None:
        return "at the other end"
    if wire.ended.code is None:
        return "(lost, without a close frame)"
    return f"(closed with {wire.ended.code} {wire.ended.reason})".replace(" )", ")")


def _shown(message: Json, values: Values | None = None) -> str:
    """A message as JSON, short; names that stand for something as that."""
    known = {key: _known(value, values) if values else value for key, value in message.items()}
    text = json.dumps(known, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _known(value: object, values: Values) -> object:
    if isinstance(value, str) and value.startswith("$") and value != "$any":
        return values.get(value[1:], value)
    return value
