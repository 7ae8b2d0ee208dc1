"""What holds for everything that a player sends, whichever transcript is being played."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hub.conformance.page import Fault, Section
from hub.conformance.transcript import Json
from hub.conformance.values import plain
from hub.protocol.codec import MAX_TEXT_BYTES, PLAYER_TO_HUB, MalformedMessage, decode
from hub.protocol.json_text import loads
from hub.protocol.messages import EVENT_NAMES as EVENTS
from hub.protocol.messages import Ack, Bye, DeviceEvent, Hello, PlayerMessage, Progress, Result, Telemetry, Upload

PROGRESS_MORE = 2  # above one a second since the command was sent, so that a slow network accuses nobody

_PLACES = {
    "unknown_type": Section.FROM_PLAYER,
    "invalid_field": Section.FROM_PLAYER,
}


@dataclass(slots=True)
class Asked:
    """A command that the player was sent: what it has said about it, and whether the outcome was confirmed."""

    name: str
    acked: bool = False
    result: Json | None = None
    confirmed: bool = False
    at: float = field(default_factory=time.monotonic)
    progresses: int = 0


class PlayerRules:
    """`accuse` hears what is wrong. `commands` are those of this run, `foreign` ids that a `hello` brought along."""

    def __init__(self, accuse: Callable[[Fault], None]) -> None:
        self._accuse = accuse
        self.commands: dict[str, Asked] = {}
        self.foreign: set[str] = set()
        self.hello: Hello | None = None
        self.journal: set[str] = set()  # ids in the present connection's hello
        self.told: list[Json] = []  # the results in it
        self.welcomed = self.drained = False
        self._greeted = False
        self._telemetry_s = self._screenshot_s = 0

    def connected(self) -> None:
        self.welcomed = self.drained = self._greeted = False

    def welcome(self, telemetry_s: int, screenshot_s: int) -> None:
        """The player was welcomed with these."""
        self.welcomed = True
        self._telemetry_s, self._screenshot_s = telemetry_s, screenshot_s

    def binary(self) -> None:
        if not self.welcomed:
            self._wrong(Section.OPENING, "A binary frame came before welcome.")

    def text(self, data: bytes) -> tuple[PlayerMessage, Json] | None:
        """The message of a text frame, typed and as it was written; None for one that is none."""
        try:
            message, raw = decode(data, PLAYER_TO_HUB), plain(loads(data))
        except MalformedMessage as defect:
            shown = data[:120].decode(errors="replace")
            if defect.code == "too_big":
                shown = f"{len(data)} bytes; the limit is {MAX_TEXT_BYTES}"
            self._wrong(
                _PLACES.get(defect.code, Section.FRAMES),
                f"A hub refuses this message ({defect.code}: {defect.message}): {shown}",
            )
            return None
        assert isinstance(raw, dict)  # it was decoded
        self._in_order(message)
        match message:
            case Hello():
                self._hello(message, raw)
            case Ack(id=id):
                self._of_known(id, "An ack")
                if id in self.commands:
                    self.commands[id].acked = True
            case Progress(id=id):
                self._progress(id)
            case Result(id=id):
                self._result(id, raw)
            case Telemetry() if self._telemetry_s == 0 and self.welcomed:
                self._wrong(Section.FROM_HUB, "Telemetry came although welcome said telemetry_s 0, which means never.")
            case Upload(kind="screenshot", command=None) if self._screenshot_s == 0:
                self._wrong(Section.FROM_HUB, "A screenshot came unasked although welcome said screenshot_s 0: never.")
            case DeviceEvent(name=name) if name not in EVENTS:
                self._wrong(Section.FROM_PLAYER, f"The protocol has no event {name}.")
            case _:
                pass
        return message, raw

    def _in_order(self, message: PlayerMessage) -> None:
        if isinstance(message, Hello):
            if self._greeted:
                self._wrong(Section.OPENING, "A second hello came on one connection.")
            self._greeted = True
        elif not self._greeted:
            self._wrong(Section.OPENING, f"The first message was {message.type}, not hello.")
        elif not self.welcomed:
            self._wrong(Section.OPENING, f"{message.type} came after hello and before welcome.")
        elif self.drained and isinstance(message, Bye):
            self._wrong(Section.FROM_HUB, "It said bye after drain.")

    def _hello(self, hello: Hello, raw: Json) -> None:
        before, self.hello = self.hello, hello
        if before is not None and before.hardware_id != hello.hardware_id:
            self._wrong(Section.FROM_PLAYER, "hello has another hardware_id than before; it stays the same.")
        rebooted = any(asked.name == "reboot" for asked in self.commands.values())
        if before is not None and before.boot_id != hello.boot_id and not rebooted:
            self._wrong(Section.FROM_PLAYER, "hello has another boot_id than before; it changes with a boot only.")
        entries = {entry.id: entry for entry in hello.journal}
        if len(entries) < len(hello.journal):
            self._wrong(Section.JOURNAL, "The journal in hello names a command twice.")
        self.journal = set(entries)
        self.foreign |= self.journal - self.commands.keys()
        for id, asked in self.commands.items():
            entry = entries.get(id)
            if entry is None and (asked.acked or asked.result) and not asked.confirmed:
                what = "told the result of" if asked.result else "acknowledged"
                self._wrong(
                    Section.JOURNAL, f"It {what} command {id}, and without a result_ok its hello does not name it."
                )
            if entry is not None and asked.result and entry.state == "accepted":
                self._wrong(Section.JOURNAL, f"Command {id} had a result, and its hello calls it accepted.")
        journal = raw["journal"]
        assert isinstance(journal, list)  # it was decoded
        self.told = []
        for written in journal:
            if isinstance(result := written.get("result"), Mapping) and written["state"] == "finished":
                self.told.append({**result, "id": written["id"]})
                self._result(str(written["id"]), result)

    def _result(self, id: str, raw: Json) -> None:
        self._of_known(id, "A result")
        asked = self.commands.get(id)
        if asked is None:
            return
        told = {key: value for key, value in raw.items() if key != "type" and value is not None}
        if asked.result is None:
            asked.result = told
            return
        differing = sorted(key for key in told.keys() | asked.result.keys() if told.get(key) != asked.result.get(key))
        if differing:
            self._wrong(
                Section.COMMANDS,
                f"Command {id} has two results, which differ in {', '.join(differing)}: it ran again, or its journal "
                "does not hold what was told.",
            )

    def _progress(self, id: str) -> None:
        self._of_known(id, "A progress")
        if (asked := self.commands.get(id)) is not None:
            asked.progresses += 1
            if asked.progresses > time.monotonic() - asked.at + PROGRESS_MORE:
                self._wrong(Section.FROM_PLAYER, f"progress of command {id} came more than once a second.")

    def _of_known(self, id: str, what: str) -> None:
        if id not in self.commands and id not in self.foreign:
            self._wrong(Section.COMMANDS, f"{what} names the command {id}, which nobody sent.")

    def _wrong(self, section: Section, text: str) -> None:
        self._accuse(Fault(section, text))
