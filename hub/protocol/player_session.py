"""The player's end of a connection: `hello` goes out first, everything else after `welcome`.

Events are the hub's messages themselves, validated; `upload_ready` and `upload_credit` become ReadChunk events.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from hub.protocol.closecodes import CloseCode
from hub.protocol.codec import (
    CHUNK_BYTES,
    HUB_TO_PLAYER,
    MalformedMessage,
    check,
    decode,
    encode,
    encode_chunk,
)
from hub.protocol.connection import (
    DEFAULT_LIMITS,
    Binary,
    Limits,
    Recovered,
    Session,
    Silent,
    Suspect,
    Text,
)
from hub.protocol.messages import (
    Ack,
    Bye,
    DeviceEvent,
    Drain,
    Error,
    Hello,
    HubMessage,
    JournalEntry,
    PlayerMessage,
    Plays,
    Progress,
    Result,
    SettingsReport,
    Telemetry,
    Upload,
    UploadCredit,
    UploadDone,
    UploadFailed,
    UploadReady,
    Welcome,
)
from hub.protocol.upload import UploadSender


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """Read `size` bytes at `offset` of this upload and hand them to `chunk`."""

    upload: int
    offset: int
    size: int


PlayerEvent = HubMessage | ReadChunk | Suspect | Recovered | Silent


class PlayerSession(Session):
    """The player's end. Every sending call says whether the message goes out on this connection: False means that there
    is no welcome yet, or the connection is over; what must not be lost stays in the player's own journal.

    Everything that is sent is checked first, by the hub's own rules: MalformedMessage tells of a defect in the caller.
    """

    __slots__ = ("_chunk_bytes", "_draining", "_held", "_open", "_uploads", "_window")

    _OPENING_TIMEOUT = CloseCode.GOING_AWAY

    def __init__(self, hello: Hello, now: float, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits, opening_by=now + limits.silence_s)
        self._open = False
        self._draining = False
        self._chunk_bytes = CHUNK_BYTES
        self._window = limits.upload_window
        self._uploads: dict[int, UploadSender] = {}
        check(hello)
        text, self._held = _fit_hello(hello)
        self._out.append(Text(text))

    # Receiving

    def receive_text(self, data: str | bytes, now: float) -> list[PlayerEvent]:
        """One whole text frame."""
        if self.closed:
            return []
        events: list[PlayerEvent] = self._alive(now)
        try:
            message = decode(data, HUB_TO_PLAYER)
        except MalformedMessage as refusal:
            if refusal.code != "unknown_type":  # a newer hub may say more than we know
                self._count_malformed(now, f"{refusal.code}: {refusal.message}")
            return events
        if not self._open and not isinstance(message, Welcome | Error):
            self._count_malformed(now, f"{message.type} before welcome")
            return events
        match message:
            case Welcome():
                if self._open:
                    self.close(CloseCode.PROTOCOL_ERROR, "a second welcome")
                    return events
                self._welcomed(message)
                events.append(message)
            case UploadReady():
                if sender := self._uploads.get(message.upload):
                    events.extend(_reads(message.upload, sender.open(message.received)))
            case UploadCredit():
                if sender := self._uploads.get(message.upload):
                    events.extend(_reads(message.upload, sender.credit(message.received)))
            case UploadDone() | UploadFailed():
                if self._uploads.pop(message.upload, None):
                    events.append(message)
            case Drain():
                self._draining = True
                events.append(message)
            case _:
                events.append(message)
        return events

    def receive_binary(self, data: bytes, now: float) -> list[PlayerEvent]:
        """One whole binary frame: the hub sends none in this version, so it is only a sign of life."""
        return self.receive_life(now)

    # Sending

    def ack(self, id: str) -> bool:
        """The command is in the durable journal."""
        return self._send(Ack(id=id))

    def progress(self, id: str, percent: int | None = None, note: str | None = None) -> bool:
        """How far a running command is; more than one a second is dropped by the hub."""
        return self._send(Progress(id=id, percent=percent, note=note))

    def result(self, message: Result) -> bool:
        """The outcome of a command. Before `welcome` it is held: `hello` may have said less than is true now."""
        if not self._open and not self.closed:
            check(message)
            self._held[message.id] = message
            return True
        return self._send(message)

    def send(self, message: Telemetry | Plays | DeviceEvent | SettingsReport) -> bool:
        """Anything that is not part of an exchange with its own call."""
        return self._send(message)

    def upload(self, message: Upload) -> bool:
        """Announce an upload; ReadChunk events follow when the hub is ready. False also while `uploads` are open."""
        if message.upload in self._uploads:
            raise ValueError(f"upload {message.upload} is already open")
        if len(self._uploads) >= self._limits.uploads or not self._send(message):
            return False
        self._uploads[message.upload] = UploadSender(message, self._chunk_bytes, self._window)
        return True

    def chunk(self, upload: int, offset: int, data: bytes) -> bool:
        """The bytes that a ReadChunk asked for. False also when the upload ended meanwhile."""
        if self.closed or upload not in self._uploads:
            return False
        self._out.append(Binary(encode_chunk(upload, offset, data)))
        return True

    def bye(self, reason: Literal["rebooting", "shutdown", "updating", "stopping"]) -> bool:
        """A clean goodbye, to be followed by closing; not said when the hub drains."""
        return not self._draining and self._send(Bye(reason=reason))

    # Inside

    def _send(self, message: PlayerMessage) -> bool:
        if not self._open or self.closed:
            return False
        check(message)
        self._say(message)
        return True

    def _welcomed(self, welcome: Welcome) -> None:
        self._open = True
        self._chunk_bytes = welcome.chunk_bytes
        self._window = welcome.window
        self._start_liveness(welcome.heartbeat_s, max(self._limits.silence_s, 3 * welcome.heartbeat_s))
        held, self._held = self._held, {}
        for result in held.values():
            self._say(result)


def _reads(upload: int, chunks: list[tuple[int, int]]) -> list[ReadChunk]:
    return [ReadChunk(upload, offset, size) for offset, size in chunks]


def _fit_hello(hello: Hello) -> tuple[str, dict[str, Result]]:
    """The frame of a `hello`, and the results it had no room for.

    Outcomes gathered over a long time offline can be more than a frame holds. The largest then travel as messages of
    their own, after `welcome`; until then the journal calls their commands running, which the hub reads as acked.
    """
    held: dict[str, Result] = {}
    finished = sorted(
        (entry for entry in hello.journal if entry.result),
        key=lambda entry: len(encode(entry.result)) if entry.result else 0,
    )
    while True:
        try:
            return encode(hello), held
        except MalformedMessage as refusal:
            if refusal.code != "too_big" or not finished:
                raise
        moved = [finished.pop() for _ in range((len(finished) + 1) // 2)]
        held.update((entry.id, entry.result) for entry in moved if entry.result)
        journal = [JournalEntry(id=entry.id, state="running") if entry.id in held else entry for entry in hello.journal]
        hello = dataclasses.replace(hello, journal=journal)
