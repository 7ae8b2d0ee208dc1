"""What both ends of a `signalbox.v1` connection share, without any I/O: outputs, limits, liveness, closing.

Whoever owns the socket feeds frames in, handles the events that come back, writes what `take_output` returns, and calls
`tick` when `next_deadline` has passed. Time is monotonic seconds, passed in. Nothing here raises for what the other end
sent.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar

from hub.protocol.closecodes import REACTIONS, CloseCode
from hub.protocol.codec import encode
from hub.protocol.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every number of a connection, with its reason. Seconds unless named otherwise."""

    hello_timeout_s: float = 10
    """From the upgrade to a `hello`: one slow round trip and an agent that reads its journal."""

    heartbeat_s: float = 10
    """Silence before a ping. Shorter keeps slow radios awake, longer delays the first doubt."""

    suspect_after_s: float = 5
    """How long a ping may stay unanswered before the other end is suspect: a Wi-Fi roam, a TCP retransmission."""

    silence_s: float = 30
    """Silence that ends the connection. Two roams in a row fit; a half-open player is noticed within 35 s."""

    window: int = 8
    """Commands without an `ack`. Hides a round trip, yet little is re-sent after a cut."""

    ack_s: float = 10
    """Until a command without an `ack` is said again: a slow disk and a slow radio answer within that. Twice as long
    each time after, up to `ack_longest_s`."""

    ack_longest_s: float = 60
    """A player whose disk is full is asked once a minute, which costs nothing and finds it well again soon enough."""

    upload_window: int = 4
    """Chunks beyond the last credit, see `upload.WINDOW_CHUNKS`."""

    uploads: int = 4
    """Uploads open at once: a screenshot, an asked-for one, logs, and one to spare."""

    malformed_per_minute: int = 20
    """Refused messages before the connection ends: room for a newer agent's unknown messages, none for a broken one."""

    progress_interval_s: float = 1
    """The least time between two `progress` of one command; faster ones are dropped."""


DEFAULT_LIMITS = Limits()

MAX_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, 5.5)."""

_MINUTE_S = 60.0


# Outputs: what the owner of the socket writes


@dataclass(slots=True)
class Text:
    """A text frame."""

    text: str


@dataclass(slots=True)
class Binary:
    """A binary frame."""

    data: bytes


@dataclass(slots=True)
class Ping:
    """A WebSocket ping; any frame that comes back counts as its answer."""


@dataclass(slots=True)
class Close:
    """A close frame; nothing follows."""

    code: CloseCode
    reason: str


Output = Text | Binary | Ping | Close


# Events of both ends; the others are the received messages themselves, see `hub_session` and `player_session`


@dataclass(frozen=True, slots=True)
class Suspect:
    """A ping went unanswered for `suspect_after_s`. The connection is still open."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A sign of life after Suspect."""


@dataclass(frozen=True, slots=True)
class Silent:
    """No life for `silence_s`: the session has closed itself, the socket can be dropped without a goodbye."""


class Session:
    """One end of a connection: liveness, outputs and closing. Subclasses read messages.

    The opening has a deadline of its own (`_opening_by`); liveness starts when it is over. Silence is judged only when
    a ping had its time to be answered: after a pause of our own process (a suspended machine) the other end gets a
    fresh chance.
    """

    __slots__ = (
        "_heartbeat_s",
        "_life_at",
        "_limits",
        "_malformed",
        "_opening_by",
        "_out",
        "_ping_at",
        "_silence_s",
        "_suspect",
        "closed",
    )

    _OPENING_TIMEOUT: ClassVar[CloseCode]

    def __init__(self, limits: Limits, opening_by: float) -> None:
        self.closed = False
        self._limits = limits
        self._opening_by: float | None = opening_by
        self._out: list[Output] = []
        self._heartbeat_s: float | None = None  # None until liveness starts
        self._silence_s = limits.silence_s
        self._life_at = 0.0
        self._ping_at: float | None = None
        self._suspect = False
        self._malformed: deque[float] | None = None

    def receive_life(self, now: float) -> list[Any]:
        """A pong, a ping or any other frame without content for us."""
        return [] if self.closed else self._alive(now)

    def next_deadline(self) -> float | None:
        """The monotonic second at which to call `tick`; None when there is nothing to wait for."""
        return self._liveness_deadline()

    def _liveness_deadline(self) -> float | None:
        if self.closed:
            return None
        if self._heartbeat_s is None:
            return self._opening_by
        if self._ping_at is None:
            return self._life_at + self._heartbeat_s
        return self._life_at + self._silence_s if self._suspect else self._ping_at + self._limits.suspect_after_s

    def tick(self, now: float) -> list[Any]:
        """Do what the deadline asks for; harmless before it."""
        deadline = self._liveness_deadline()
        if deadline is None or now < deadline:
            return []
        if self._heartbeat_s is None:
            self.close(self._OPENING_TIMEOUT)
            return []
        if self._ping_at is None:
            self._ping_at = now
            self._out.append(Ping())
            return []
        if not self._suspect:
            self._suspect = True
            return [Suspect()]
        self.close(CloseCode.GOING_AWAY, "silent for too long")
        return [Silent()]

    def excuse(self, seconds: float, now: float) -> None:
        """This end has read nothing for so long until now: it is no silence of the other one."""
        if self._opening_by is not None:
            self._opening_by += seconds
        self._life_at = min(now, self._life_at + seconds)
        if self._ping_at is not None:
            self._ping_at = min(now, self._ping_at + seconds)

    def take_output(self) -> list[Output]:
        """What is to be written now, in order; each output is handed out once."""
        if not self._out:
            return []
        out, self._out = self._out, []
        return out

    def close(self, code: CloseCode, reason: str = "") -> None:
        """End the connection: a Close is the last output. Closing again changes nothing."""
        if self.closed:
            return
        self.closed = True
        said = (reason or REACTIONS[code].reason).encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        self._out.append(Close(code, said))

    def _start_liveness(self, heartbeat_s: float, silence_s: float) -> None:
        self._opening_by = None
        self._heartbeat_s = heartbeat_s
        self._silence_s = silence_s

    def _alive(self, now: float) -> list[Any]:
        self._life_at = now
        self._ping_at = None
        if self._suspect:
            self._suspect = False
            return [Recovered()]
        return []

    def _say(self, message: Message) -> None:
        if not self.closed:
            self._out.append(Text(encode(message)))

    def _count_malformed(self, now: float, why: str) -> None:
        """Close once too many refused messages arrived within a minute."""
        limit = self._limits.malformed_per_minute
        if self._malformed is None:
            self._malformed = deque(maxlen=limit)
        self._malformed.append(now)
        if len(self._malformed) == limit and now - self._malformed[0] < _MINUTE_S:
            self.close(CloseCode.PROTOCOL_ERROR, f"{limit} refused messages within a minute, the last: {why}")
