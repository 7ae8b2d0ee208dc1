"""The hub's end of uploads, as the kit takes it: every byte is held against the page."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from hub.conformance.page import Fault, Section
from hub.protocol.codec import MalformedMessage, decode_chunk
from hub.protocol.messages import Upload

MOST_OPEN = 4


@dataclass(slots=True)
class Taken:
    """One upload. `data` are the bytes that are here; `credited` those that the player was told of."""

    upload: Upload
    ready: bool = False
    credited: int = 0
    ended: bool = False
    done: bool = False
    data: bytearray = field(default_factory=bytearray)

    @property
    def whole(self) -> bool:
        return len(self.data) >= self.upload.size


class Intake:
    """The uploads of one player, over all its connections; `accuse` hears what is wrong."""

    def __init__(self, accuse: Callable[[Fault], None]) -> None:
        self._accuse = accuse
        self._open: dict[int, Taken] = {}
        self._kept: dict[tuple[str, str | None, str], bytearray] = {}  # by kind, command and hash
        self._commands: set[str] = set()  # that an upload was announced for
        self._done: dict[str, str] = {}  # the hash of the upload that is done, by its command
        self._told: set[str] = set()  # commands whose upload_done went out on this connection
        self._chunk_bytes = 0
        self._window = 0

    def connected(self, chunk_bytes: int, window: int) -> None:
        """A new connection was welcomed, with these numbers."""
        self._open.clear()
        self._told.clear()
        self._chunk_bytes, self._window = chunk_bytes, window

    def announced(self, upload: Upload) -> Taken | None:
        """None for one that no hub would take."""
        number = upload.upload
        if number in self._open:
            self._wrong(f"It announced an upload with the number {number}, which this connection has had already.")
            return None
        if sum(not one.ended for one in self._open.values()) >= MOST_OPEN:
            self._accuse(Fault(Section.LIMITS, f"It has more than {MOST_OPEN} uploads open at once."))
        if upload.command is not None:
            done = self._done.get(upload.command)
            if done is not None and (done != upload.sha256 or upload.command in self._told):
                self._accuse(
                    Fault(
                        Section.COMMANDS,
                        f"It uploads for command {upload.command} again after upload_done: the command ran twice.",
                    )
                )
            self._commands.add(upload.command)
        kept = self._kept.setdefault((upload.kind, upload.command, upload.sha256), bytearray())
        taken = self._open[number] = Taken(upload, data=kept)
        return taken

    def find(self, number: int) -> Taken | None:
        return self._open.get(number)

    def ready(self, number: int, received: int) -> None:
        """The player was told to send from here."""
        if taken := self._open.get(number):
            del taken.data[received:]
            taken.ready, taken.credited = True, received

    def credit(self, number: int, received: int) -> None:
        if taken := self._open.get(number):
            taken.credited = received

    def end(self, number: int, *, done: bool) -> None:
        """The player was told that it is done, or that it failed."""
        if taken := self._open.get(number):
            taken.ended, taken.done = True, done
            if done and taken.upload.command is not None:
                self._done[taken.upload.command] = taken.upload.sha256
                self._told.add(taken.upload.command)

    def awaited(self, command: str) -> bool:
        """Whether an upload for this command was announced and none is done."""
        return command in self._commands and command not in self._done

    def chunk(self, frame: bytes) -> Taken | None:
        """The upload that has grown by this frame."""
        try:
            number, offset, data = decode_chunk(frame)
        except MalformedMessage as defect:
            self._wrong(f"A binary frame is no chunk: {defect.message}.", Section.FRAMES)
            return None
        taken = self._open.get(number)
        if taken is None:
            self._wrong(f"A chunk names upload {number}, which was not announced on this connection.")
        elif taken.ended:
            return None  # it was under way
        elif not taken.ready:
            self._wrong("A chunk came before upload_ready.")
        elif len(data) > self._chunk_bytes:
            self._wrong(f"A chunk has {len(data)} bytes; welcome allowed chunk_bytes {self._chunk_bytes}.")
        elif offset != len(taken.data):
            self._wrong(f"A chunk of upload {number} has offset {offset}; {len(taken.data)} was next.")
        elif offset + len(data) > taken.upload.size:
            self._wrong(f"Upload {number} is longer than the {taken.upload.size} bytes that were announced.")
        elif offset + len(data) > taken.credited + self._window * self._chunk_bytes:
            self._wrong(
                f"A chunk ends at {offset + len(data)}: more than window x chunk_bytes "
                f"({self._window} x {self._chunk_bytes}) beyond the last credit, {taken.credited}."
            )
        else:
            taken.data += data
            if taken.whole and hashlib.sha256(taken.data).hexdigest() != taken.upload.sha256:
                self._wrong(f"The bytes of upload {number} do not have the announced SHA-256.")
            return taken
        return None

    def _wrong(self, text: str, section: Section = Section.UPLOADS) -> None:
        self._accuse(Fault(section, text))
