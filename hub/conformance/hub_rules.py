"""What holds for everything that a hub sends, whichever transcript is being played."""

from collections.abc import Callable

from hub.conformance.page import Fault, Section
from hub.conformance.transcript import Json
from hub.conformance.values import plain
from hub.protocol.codec import HUB_TO_PLAYER, MalformedMessage, decode
from hub.protocol.connection import DEFAULT_LIMITS
from hub.protocol.json_text import loads
from hub.protocol.messages import (
    Command,
    Error,
    HubMessage,
    PlaysOk,
    ResultOk,
    UploadCredit,
    UploadDone,
    UploadFailed,
    UploadReady,
    Welcome,
)
from hub.protocol.times import read_time


class HubRules:
    """`accuse` hears what is wrong. The kit tells what it says by `said`."""

    def __init__(self, accuse: Callable[[Fault], None], wall: Callable[[], int]) -> None:
        self._accuse = accuse
        self._wall = wall
        self._commands: dict[str, Command] = {}
        self._settled: set[str] = set()  # results that were told
        self._batches: set[str] = set()
        self._unacked: set[str] = set()
        self._uploads: dict[int, int] = {}  # number: bytes sent
        self._ended: set[int] = set()
        self._epoch = -1
        self._sessions: set[str] = set()
        self._welcomed = False

    @property
    def commands(self) -> frozenset[str]:
        """The ids of all that have come."""
        return frozenset(self._commands)

    def connected(self) -> None:
        self._welcomed = False
        self._unacked.clear()
        self._uploads.clear()
        self._ended.clear()

    def anew(self) -> None:
        """Another player from now on, whose epochs count from the beginning."""
        self._epoch = -1

    def said(self, message: Json) -> None:
        """The kit has sent this."""
        id, kind = str(message.get("id")), message.get("type")
        if kind in ("ack", "result"):
            self._unacked.discard(id)
        if kind == "result":
            self._settled.add(id)
        elif kind == "plays":
            self._batches.add(str(message.get("batch")))
        elif kind == "upload" and isinstance(number := message.get("upload"), int):
            self._uploads.setdefault(number, 0)
        elif kind == "hello" and isinstance(journal := message.get("journal"), list):
            self._settled |= {str(entry["id"]) for entry in journal if entry["state"] == "finished"}

    def sent(self, number: int, end: int) -> None:
        """Bytes up to here have left."""
        self._uploads[number] = max(end, self._uploads.get(number, 0))

    def text(self, data: bytes) -> Json | None:
        """The message as it was written; None for one that no player could read."""
        try:
            message, raw = decode(data, HUB_TO_PLAYER), plain(loads(data))
        except MalformedMessage as defect:
            self._wrong(
                Section.FROM_HUB if defect.code in ("unknown_type", "invalid_field") else Section.FRAMES,
                f"A player cannot read this ({defect.code}: {defect.message}): {data[:120].decode(errors='replace')}",
            )
            return None
        if not self._welcomed and not isinstance(message, Welcome | Error):
            self._wrong(Section.OPENING, f"{message.type} came before welcome.")
        self._judge(message)
        assert isinstance(raw, dict)  # it was decoded
        return raw

    def binary(self) -> None:
        self._wrong(Section.FRAMES, "It sent a binary frame; only players send them.")

    def _judge(self, message: HubMessage) -> None:
        match message:
            case Welcome():
                self._welcome(message)
            case Command():
                self._command(message)
            case ResultOk(id=id) if id not in self._settled:
                self._wrong(Section.COMMANDS, f"result_ok names {id}, of which no result was told.")
            case PlaysOk(batch=batch) if batch not in self._batches:
                self._wrong(Section.FROM_HUB, f"plays_ok names the batch {batch}, which was not sent.")
            case (
                UploadReady(upload=number)
                | UploadCredit(upload=number)
                | UploadDone(upload=number)
                | UploadFailed(upload=number)
            ):
                self._upload(message, number)
            case _:
                pass

    def _welcome(self, welcome: Welcome) -> None:
        if self._welcomed:
            self._wrong(Section.OPENING, "A second welcome came on one connection.")
        self._welcomed = True
        if welcome.epoch <= self._epoch:
            self._wrong(Section.FROM_HUB, f"epoch is {welcome.epoch} after {self._epoch}; it rises.")
        if welcome.session in self._sessions:
            self._wrong(Section.FROM_HUB, "Two connections have the same session.")
        self._epoch = welcome.epoch
        self._sessions.add(welcome.session)

    def _command(self, command: Command) -> None:
        known = self._commands.setdefault(command.id, command)
        if known != command:
            self._wrong(Section.COMMANDS, f"Command {command.id} came twice, with different contents.")
        if command.id in self._settled:
            self._wrong(Section.COMMANDS, f"Command {command.id} was sent again after its result.")
        if read_time(command.expires_at) < self._wall():
            self._wrong(Section.COMMANDS, f"Command {command.id} was sent after its expires_at.")
        self._unacked.add(command.id)
        if len(self._unacked) > DEFAULT_LIMITS.window:
            self._wrong(Section.LIMITS, f"{len(self._unacked)} commands are under way without an ack; 8 are the most.")

    def _upload(self, message: UploadReady | UploadCredit | UploadDone | UploadFailed, number: int) -> None:
        if number not in self._uploads:
            self._wrong(Section.UPLOADS, f"{message.type} names upload {number}, which was not announced.")
        elif number in self._ended:
            self._wrong(Section.UPLOADS, f"{message.type} came for upload {number}, which was over.")
        elif isinstance(message, UploadCredit) and message.received > self._uploads[number]:
            self._wrong(Section.UPLOADS, f"upload_credit names {message.received} bytes, and fewer were sent.")
        if isinstance(message, UploadDone | UploadFailed):
            self._ended.add(number)

    def _wrong(self, section: Section, text: str) -> None:
        self._accuse(Fault(section, text))
