"""The hub's end of a connection: what a player may say when, and what is done about everything else.

It lives `waiting` (for hello) -> `greeted` (the hub registers the connection) -> `open` (after welcome) -> `parting`
(drain or bye: no new commands) and is closed at any time. After a `hello` its owner subscribes to wake-ups, applies the
journal (`journal.reconcile`), commits, then calls `welcome`. Events are the player's messages themselves, validated,
and the few classes named here and in `connection`.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from hub.protocol.closecodes import CloseCode
from hub.protocol.codec import (
    MALFORMED_CODES,
    PLAYER_TO_HUB,
    MalformedMessage,
    check,
    decode,
    decode_chunk,
    encode,
)
from hub.protocol.connection import (
    DEFAULT_LIMITS,
    Limits,
    Recovered,
    Session,
    Silent,
    Suspect,
    Text,
)
from hub.protocol.fields import MAX_PROSE
from hub.protocol.messages import (
    Ack,
    Alert,
    Bye,
    Cancel,
    Command,
    Drain,
    Error,
    Hello,
    HubMessage,
    PlayerMessage,
    PlaysOk,
    Progress,
    Result,
    ResultOk,
    Settings,
    Sync,
    Upload,
    UploadCredit,
    UploadDone,
    UploadFailed,
    UploadReady,
    Welcome,
)
from hub.protocol.upload import Hasher, UploadReceiver, UploadRefused, refuse_oversize

ERROR_CODES = MALFORMED_CODES | {
    "hello_expected": "Something other than `hello` came first.",
    "welcome_expected": "Something followed `hello` before `welcome` had answered it.",
    "unknown_upload": "A chunk names an upload that was never announced on this connection.",
    "duplicate_upload": "This upload number is already in use on this connection.",
    "unknown_event": "The hub knows no device event of this name.",
    "not_supported": "The hub does not take this kind of message yet; keep what must not be lost.",
}
"""Every `code` that an `error` message carries, and when."""

_REMEMBERED_UPLOADS = 32
"""Numbers of ended uploads, so that chunks that were under way when one failed are no offence."""

_REMEMBERED_PROGRESS = 64
"""Commands whose last progress is remembered, far more than a device runs at once."""


@dataclass(frozen=True, slots=True)
class UploadChunk:
    """The next bytes of an upload; store them, then call `upload_credit` (or, when `complete`, `upload_done`).

    `complete` also says that size and sha256 agree.
    """

    upload: Upload
    offset: int
    data: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class UploadBroken:
    """The session has failed an upload that the owner knew of; whatever was stored of it can go."""

    upload: Upload
    code: str


HubEvent = PlayerMessage | UploadChunk | UploadBroken | Suspect | Recovered | Silent


@dataclass(slots=True)
class _Unacked:
    """A command that is on its way: what to say again at which monotonic second, and the pause before that."""

    text: str
    again_at: float
    pause_s: float


class NoRoom(Exception):
    """A command was handed over while `room` was 0."""


class HubSession(Session):
    """The hub's end for one player.

    Calls after the close do nothing, so that an answer from the database may come late; only `command` raises NoRoom,
    because a command that did not go out must not count as sent.
    """

    __slots__ = (
        "_ended",
        "_progress",
        "_state",
        "_unacked",
        "_upload_window",
        "_uploads",
    )

    _OPENING_TIMEOUT = CloseCode.HELLO_TIMEOUT

    def __init__(self, now: float, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits, opening_by=now + limits.hello_timeout_s)
        self._state: Literal["waiting", "greeted", "open", "parting"] = "waiting"
        self._upload_window = limits.upload_window
        self._unacked: dict[str, _Unacked] | None = None
        self._progress: dict[str, float] | None = None
        self._uploads: dict[int, UploadReceiver] | None = None
        self._ended: deque[int] | None = None

    # Receiving

    def receive_text(self, data: str | bytes, now: float) -> list[HubEvent]:
        """One whole text frame."""
        if self.closed:
            return []
        events: list[HubEvent] = self._alive(now)
        try:
            message = decode(data, PLAYER_TO_HUB)
        except MalformedMessage as refusal:
            if refusal.code == "too_big":
                self.close(CloseCode.TOO_BIG)
            else:
                self._refuse(now, refusal.code, refusal.message, refusal.ref)
            return events
        if self._admit(message, now):
            events.append(message)
        return events

    def receive_binary(self, data: bytes, now: float) -> list[HubEvent]:
        """One whole binary frame."""
        if self.closed:
            return []
        events: list[HubEvent] = self._alive(now)
        if self._state == "waiting" or self._state == "greeted":
            self._refuse_early(now)
            return events
        try:
            number, offset, piece = decode_chunk(data)
        except MalformedMessage as refusal:
            self._refuse(now, refusal.code, refusal.message, refusal.ref)
            return events
        receiver = self._uploads.get(number) if self._uploads else None
        if receiver is None:
            if not self._ended or number not in self._ended:
                self._refuse(now, "unknown_upload", "announce an upload before its chunks", str(number))
            return events
        if receiver.complete:
            self._refuse(now, "bad_chunk", "the announced size has arrived already", str(number))
            return events
        try:
            complete = receiver.take(offset, piece)
        except UploadRefused as refusal:
            self.upload_failed(number, refusal.code, refusal.message)
            self._count_malformed(now, refusal.message)
            events.append(UploadBroken(receiver.upload, refusal.code))
        else:
            events.append(UploadChunk(receiver.upload, offset, piece, complete))
        return events

    # Time

    def next_deadline(self) -> float | None:
        """As of every session; also that of a command which is to be said again."""
        deadline = self._liveness_deadline()
        if deadline is None or not self._unacked or not self._asks():
            return deadline
        return min(deadline, *(each.again_at for each in self._unacked.values()))

    def excuse(self, seconds: float, now: float) -> None:
        """As `Session.excuse`; an `ack` that is not read yet need not be asked for."""
        super().excuse(seconds, now)
        for unacked in (self._unacked or {}).values():
            unacked.again_at += seconds

    def tick(self, now: float) -> list[HubEvent]:
        """Also say again what has had no answer for too long: the player may have been unable to write it down, and it
        runs no id twice. One that does not answer pings is not asked."""
        events: list[HubEvent] = super().tick(now)
        if self._unacked and self._asks():
            for each in self._unacked.values():
                if each.again_at <= now:
                    self._out.append(Text(each.text))
                    each.pause_s = min(2 * each.pause_s, self._limits.ack_longest_s)
                    each.again_at = now + each.pause_s
        return events

    def _asks(self) -> bool:
        return self._state == "open" and not self._suspect and not self.closed

    # Sending

    @property
    def room(self) -> int:
        """How many commands may go out now."""
        if self._state != "open" or self.closed:
            return 0
        return self._limits.window - (len(self._unacked) if self._unacked else 0)

    def welcome(self, message: Welcome) -> None:
        """Accept the connection, once, after its `hello`; liveness starts."""
        if self.closed:
            return
        if self._state != "greeted":
            raise ValueError("a welcome answers one hello, once")
        check(message)
        self._say(message)
        self._state = "open"
        self._upload_window = message.window
        self._start_liveness(self._limits.heartbeat_s, self._limits.silence_s)

    def command(self, message: Command, now: float) -> None:
        """Send a command; it takes room, and is said again from time to time, until its `ack` or `result`. Raises
        NoRoom, or MalformedMessage for a payload that no frame can carry (such a command can never be sent)."""
        if self.room <= 0:
            raise NoRoom(message.id)
        text = encode(message)
        if self._unacked is None:
            self._unacked = {}
        pause_s = self._limits.ack_s
        self._unacked[message.id] = _Unacked(text, now + pause_s, pause_s)
        self._out.append(Text(text))

    def cancel(self, id: str) -> None:
        """Take a command back, if that is still possible; its result will tell. From now on this is said again in the
        command's place, so that one which was not written down yet never is."""
        message = Cancel(id=id)
        if self._unacked and (unacked := self._unacked.get(id)):
            unacked.text = encode(message)
        self._tell(message)

    def confirm_result(self, id: str) -> None:
        """The outcome is committed."""
        self._tell(ResultOk(id=id))

    def confirm_plays(self, batch: str) -> None:
        """The batch is committed."""
        self._tell(PlaysOk(batch=batch))

    def upload_ready(self, upload: int, received: int = 0, hasher: Hasher | None = None) -> None:
        """Ask for the bytes from `received` on; to resume, pass a sha256 fed with the stored bytes before it."""
        if self._uploads and (receiver := self._uploads.get(upload)):
            receiver.open(received, hasher)
            self._tell(UploadReady(upload=upload, received=received))

    def upload_credit(self, upload: int, received: int) -> None:
        """Everything before `received` is stored."""
        if self._uploads and (receiver := self._uploads.get(upload)):
            receiver.credit(received)
            self._tell(UploadCredit(upload=upload, received=receiver.credited))

    def upload_done(self, upload: int, id: str, url: str) -> None:
        """The upload is committed, now or before (a repeat)."""
        done = UploadDone(upload=upload, id=id, url=url)
        check(done)
        if self._end_upload(upload):
            self._tell(done)

    def upload_failed(self, upload: int, code: str, message: str) -> None:
        """The upload ends without a result."""
        if self._end_upload(upload):
            self._tell(UploadFailed(upload=upload, code=code, message=message[:MAX_PROSE]))

    def send(self, message: Sync | Settings | Alert) -> None:
        """Tell an open connection something that needs no answer. Raises MalformedMessage."""
        check(message)
        self._tell(message)

    def drain(self, reconnect_after_ms: int) -> None:
        """No more commands; the player goes elsewhere after the delay. Before `welcome` this closes at once."""
        if self._state == "open" or self._state == "parting":
            self._state = "parting"
            message = Drain(reconnect_after_ms=reconnect_after_ms)
            check(message)
            self._tell(message)
        else:
            self.close(CloseCode.DRAIN)

    def error(self, code: str, message: str, ref: str | None = None) -> None:
        """Tell the player that something it sent was refused."""
        self._say(Error(code=code, message=message[:MAX_PROSE], ref=ref))

    # Inside

    def _tell(self, message: HubMessage) -> None:
        if self._state == "open" or self._state == "parting":
            self._say(message)

    def _refuse(self, now: float, code: str, message: str, ref: str | None = None) -> None:
        self.error(code, message, ref)
        self._count_malformed(now, f"{code}: {message}")

    def _refuse_early(self, now: float) -> None:
        if self._state == "waiting":
            self._refuse(now, "hello_expected", "the first message is hello")
        else:
            self._refuse(now, "welcome_expected", "wait for welcome")

    def _admit(self, message: PlayerMessage, now: float) -> bool:
        """Whether the owner gets to see this message; keeps the window, the states and the uploads."""
        if isinstance(message, Hello):
            return self._greeted()
        if self._state == "waiting" or self._state == "greeted":
            self._refuse_early(now)
            return False
        if isinstance(message, (Ack, Result)):
            if self._unacked:
                self._unacked.pop(message.id, None)
        elif isinstance(message, Progress):
            return self._progress_due(message.id, now)
        elif isinstance(message, Upload):
            return self._announced(message, now)
        elif isinstance(message, Bye):
            self._state = "parting"
        return True

    def _greeted(self) -> bool:
        if self._state != "waiting":
            self.close(CloseCode.PROTOCOL_ERROR, "a second hello")
            return False
        self._state = "greeted"
        self._opening_by = None
        return True

    def _progress_due(self, id: str, now: float) -> bool:
        if self._progress is None:
            self._progress = {}
        last = self._progress.get(id)
        if last is not None and now - last < self._limits.progress_interval_s:
            return False
        if len(self._progress) >= _REMEMBERED_PROGRESS:
            self._progress.clear()
        self._progress[id] = now
        return True

    def _announced(self, upload: Upload, now: float) -> bool:
        number = upload.upload
        if (self._uploads and number in self._uploads) or (self._ended and number in self._ended):
            self._refuse(now, "duplicate_upload", "every upload of a connection has its own number", str(number))
            return False
        if self._uploads is None:
            self._uploads = {}
        self._uploads[number] = UploadReceiver(upload, self._upload_window)
        try:
            if len(self._uploads) > self._limits.uploads:
                raise UploadRefused("too_many_uploads", f"at most {self._limits.uploads} uploads at once")
            refuse_oversize(upload)
        except UploadRefused as refusal:
            self.upload_failed(number, refusal.code, refusal.message)
            return False
        return True

    def _end_upload(self, number: int) -> bool:
        if not self._uploads or self._uploads.pop(number, None) is None:
            return False
        if self._ended is None:
            self._ended = deque(maxlen=_REMEMBERED_UPLOADS)
        self._ended.append(number)
        return True
