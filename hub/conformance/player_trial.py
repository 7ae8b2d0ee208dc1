"""A player under test: the kit is its hub."""

import asyncio
import secrets
import time
from collections.abc import Mapping

from hub.conformance.content import Content
from hub.conformance.door import Attempt, Door
from hub.conformance.intake import Intake, Taken
from hub.conformance.page import Broken, Fault, Section, Unreachable
from hub.conformance.player_rules import Asked, PlayerRules
from hub.conformance.transcript import Json, Step, Transcript, known_commands
from hub.conformance.trial import Trial, in_words, names, part, whole
from hub.conformance.values import Values
from hub.conformance.waits import Waits
from hub.conformance.wire import Ended, Heard, Wire
from hub.protocol.closecodes import CloseCode
from hub.protocol.codec import CHUNK_BYTES
from hub.protocol.messages import Hello, Plays, Result, Upload
from hub.protocol.times import write_time

BACK_S = 20.0  # for a player that was told to come back at once
AWAY_S = 75.0  # for one that was lost: the longest backoff is 60 s
TRIED_S = 3.0  # in which a revoked token must not be tried
LEAVE_S = 5.0  # for a player that was told to go
HELLO_S = 10.0
EARLY_S = 0.1  # that a delay may seem too short: clocks are read at both ends


class PlayerTrial(Trial):
    """`patience_s` is for the first connection. What a transcript does not hold back is answered as a hub would:
    uploads are taken, results and plays confirmed."""

    tests = "player"

    def __init__(self, door: Door, patience_s: float) -> None:
        super().__init__()
        self._door = door
        self._patience_s = patience_s
        self._rules = PlayerRules(self.accuse)
        self._intake = Intake(self.accuse)
        self._skew_ms = 0  # of the hub's clock in the present connection
        self._epoch = 0
        self._hello: Json = {}
        self._hold: frozenset[str] = frozenset()
        self._waiting: Attempt | None = None
        self._waits = Waits()
        self._browser = False
        self._deaf: Wire | None = None
        self._window_bytes = 0
        self._came = False
        self._late = False  # it did not come back when it should have
        self._steps |= {
            "hub": self._line,
            "player": self._expected,
            "connect": self._connect,
            "refuse": self._refuse,
            "take": self._take_bytes,
            "serve": self._serve,
            "fetched": self._fetched,
            "deaf": self._deafen,
            "revoke": self._revoke,
            "paired": self._paired,
            "backoff": self._backoff,
        }

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self._skew_ms

    async def unfit(self, transcript: Transcript) -> str:
        if not self._came or self._late:
            self._waiting = await self._attempt(AWAY_S if self._came else self._patience_s)
            self._came, self._late = True, False
        if transcript.needs and self._rules.hello is None:
            await self._welcome({})
        if transcript.needs and self._chosen(transcript) is None:
            return f"the player has none of the commands {', '.join(transcript.needs)}"
        return ""

    def begin(self, transcript: Transcript, values: Values) -> None:
        values["command"] = self._chosen(transcript) or "identify"
        self._waits.begin()
        self._door.content = None
        self._door.paired.clear()

    async def end(self) -> None:
        await self._part()

    # --- steps ---

    async def _line(self, step: Step) -> None:
        """The hub says something. A command needs no more than its id: the rest is that of the chosen command."""
        message = dict(step.body)
        if message.get("type") == "command":
            name = self._case.values.fill(message.setdefault("command", "$command"))
            known = known_commands().get(str(name))
            message.setdefault("payload", known.payload if known else {})
            message.setdefault("delivery", known.delivery if known else "safe")
            message.setdefault("expires_at", "$in 60")
        filled = self._case.values.filled(message)
        if step.unless and self._case.values.get(step.unless.removeprefix("$")) in self._rules.journal:
            return
        self._open(step)
        self._tell(filled, step.pieces)

    async def _connect(self, step: Step) -> None:
        """The player's next connection, welcomed unless `silent`."""
        await self._part()
        try:
            patience_s = max(AWAY_S if self._waits.lost else BACK_S, step.within_s)
            attempt = self._waiting or await self._attempt(patience_s)
        except Unreachable as away:
            self._late = True
            raise Broken(step.section, in_words(step, str(away))) from None
        self._waiting = attempt
        if self._deaf is not None:
            self._deaf.abort()
            self._deaf = None
        waited, not_before = self._waits.back(attempt.at), step.body.get("not_before_s")
        if isinstance(not_before, int | float) and waited < not_before - EARLY_S:
            said = f"It was back after {waited:.2f} s, and should have waited {not_before:g} s."
            self.accuse(Fault(step.section, in_words(step, said)))
        self._skew_ms = 1000 * whole(step.body, "hub_clock_s", 0)
        self._hold = frozenset(names(step.body, "hold"))
        await self._welcome(part(step.body, "welcome"), silent=step.body.get("silent") is True)

    async def _refuse(self, step: Step) -> None:
        """The player's next attempt gets this HTTP answer."""
        await self._part()
        attempt = self._waiting or await self._attempt(AWAY_S if self._waits.lost else BACK_S)
        self._waiting = None
        retry_after = step.body.get("retry_after_s")
        await self._door.refuse(
            attempt, whole(step.body, "status"), retry_after if isinstance(retry_after, int) else None
        )
        self._waits.left(lost=retry_after is None)

    async def _take_bytes(self, step: Step) -> None:
        """Take an upload's bytes until half of it or all of it is here; or, without crediting any, a `window`."""
        taken, until = self._upload(step), step.body.get("until", "end")
        goal = taken.upload.size if until == "end" else taken.upload.size // 2
        wire = self._open(step)
        try:
            async with asyncio.timeout(step.within_s):
                while len(taken.data) < goal:
                    before = len(taken.data)
                    if until == "window" and before >= min(goal, taken.credited + self._window_bytes):
                        break
                    heard = await wire.hear()
                    if isinstance(heard, Ended):
                        self._ended(heard)
                        raise Broken(step.section, in_words(step, "The connection ended in the middle of an upload."))
                    self.take(heard)
                    if until != "window" and before < len(taken.data) < taken.upload.size:
                        self._tell(
                            {"type": "upload_credit", "upload": taken.upload.upload, "received": len(taken.data)}
                        )
        except TimeoutError:
            said = f"Only {len(taken.data)} of {taken.upload.size} bytes came within {step.within_s:g} s."
            raise Broken(step.section, in_words(step, said)) from None
        self._case.values["received"] = len(taken.data)
        if until == "end":
            self._done(taken)

    async def _serve(self, step: Step) -> None:
        """From now on there is a manifest with this revision."""
        revision = str(self._case.values.fill(step.body.get("revision", "$revision")))
        self._door.content = Content(revision, spoiled=whole(step.body, "spoiled", 0))

    async def _fetched(self, step: Step) -> None:
        """The player fetches a file (`manifest`, or an asset's number), whole."""
        file, content = str(step.body.get("file")), self._door.content
        if content is None or file not in content.asked:
            fetched = {"type": "(fetched)", "data": file}
            await self._until(step, lambda message: message == fetched, f"fetch {file}")

    def fetched(self, file: str) -> None:
        """The door has served a file; whoever hears the player hears of it."""
        if self._wire is not None:
            self._wire.notice(Heard("fetched", file.encode()))

    async def _deafen(self, step: Step) -> None:
        """The connection stays open, and nothing is heard or said on it any more."""
        if self._wire is not None:
            self._deaf, self._wire = self._wire, None
            self._deaf.deafen()
            self._waits.left(lost=True)

    async def _revoke(self, step: Step) -> None:
        """The player's token is good no more."""
        self._door.revoke()
        wire = self._open(step)
        wire.close(CloseCode.REVOKED)
        await wire.leave()
        self._wire = None
        self._waits.left(lost=False)

    async def _paired(self, step: Step) -> None:
        """A player that was paired here asks for another pairing, and does not try the old token before; one whose
        token was given cannot pair, and is watched for a moment."""
        pairs = self._door.ever_paired
        waits = {asyncio.create_task(event.wait()) for event in (self._door.paired, self._door.tried)}
        try:
            await asyncio.wait(waits, timeout=step.within_s if pairs else TRIED_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._waits.left(lost=False)
        if self._door.tried.is_set():
            raise Broken(step.section, in_words(step, "It tried the old token at once."))
        if pairs and not self._door.paired.is_set():
            raise Broken(step.section, in_words(step, f"No pairing began within {step.within_s:g} s."))

    async def _backoff(self, step: Step) -> None:
        """What the waits after lost connections look like."""
        if (fault := self._waits.fault(step.section)) is not None:
            self.accuse(fault)

    # --- connecting and parting ---

    async def _attempt(self, within_s: float) -> Attempt:
        try:
            return await self._door.attempt(within_s)
        except TimeoutError:
            first = "No player has come" if not self._came else "The player did not come back"
            raise Unreachable(f"{first} within {within_s:g} s.") from None

    async def _welcome(self, changes: Json, *, silent: bool = False) -> None:
        """Let the waiting player in, hear its hello and welcome it."""
        attempt = self._waiting or await self._attempt(BACK_S)
        self._waiting = None
        self._browser = attempt.browser
        self._heard.clear()
        self._rules.connected()
        wire = self._wire = self._door.admit(attempt)
        hello = Step(verb="player", body={"type": "hello"}, section=Section.OPENING, within_s=HELLO_S)
        await self._expected(hello)
        self._heard.insert(0, {"type": "hello", **self._hello})
        if silent:
            return
        wire.ping(b"early")  # while the answer is under way, nothing else may come
        pong = {"type": "(pong)", "data": b"early".hex()}
        answer = Step(verb="ping", body=pong, section=Section.LIVENESS, says="A ping has no pong.")
        await self._until(answer, lambda message: message == pong, "answer a ping")
        self._epoch += 1
        welcome: dict[str, object] = {
            "type": "welcome",
            "player_id": 1,
            "name": "Conformance",
            "session": f"s-{secrets.token_hex(4)}",
            "epoch": self._epoch,
            "server_time": write_time(self.now()),
            "heartbeat_s": 10,
            "telemetry_s": 0,
            "screenshot_s": 0,
            "chunk_bytes": CHUNK_BYTES,
            "window": 4,
            "settings": {},
            "alerts": [],
        } | self._case.values.filled(changes)
        chunk_bytes, window = whole(welcome, "chunk_bytes"), whole(welcome, "window")
        self._window_bytes = chunk_bytes * window
        self._intake.connected(chunk_bytes, window)
        self._rules.welcome(whole(welcome, "telemetry_s"), whole(welcome, "screenshot_s"))
        self._say(welcome)
        for result in self._rules.told:
            self._heard.append({"type": "result", **result})  # an entry in the journal counts as sending
            self._confirm(str(result["id"]))

    async def _part(self) -> None:
        """Send the player away for no time, as a hub does that restarts, so that the next transcript starts anew."""
        wire = self._wire
        if wire is None:
            return
        self._hold = frozenset({"result", "plays", "upload"})
        if wire.ended is None:
            if self._rules.welcomed and not self._rules.drained:
                self._tell({"type": "drain", "reconnect_after_ms": 0})
            try:
                async with asyncio.timeout(LEAVE_S):
                    while not isinstance(heard := await wire.hear(), Ended):
                        self.take(heard)
            except TimeoutError:
                wire.close(CloseCode.DRAIN)
        else:
            self._waits.left(lost=not self._rules.drained)
        await wire.leave()
        self._wire = None

    def _left_if_lost(self) -> None:
        if not self._rules.drained:
            self._waits.left(lost=True)

    async def _cut(self, step: Step) -> None:
        await super()._cut(step)
        self._left_if_lost()

    async def _close(self, step: Step) -> None:
        await super()._close(step)
        self._waits.left(lost=True)

    async def _closed(self, step: Step) -> None:
        await super()._closed(step)
        self._left_if_lost()

    async def _pinged(self, step: Step) -> None:
        """A ping; from a browser, which cannot send any, whatever it sends instead."""
        browser = self._browser
        await self._until(step, lambda message: browser or message["type"] == "(ping)", "send a ping")

    # --- what arrives ---

    def take(self, heard: Heard) -> None:
        if heard.kind == "binary":
            self._rules.binary()
            taken = self._intake.chunk(heard.data)
            if taken is not None and "upload" not in self._hold:
                self._serve_upload(taken)
        elif heard.kind == "text":
            if (both := self._rules.text(heard.data)) is not None:
                message, raw = both
                self._heard.append(raw)
                match message:
                    case Hello():
                        self._hello = raw
                    case Result():
                        self._confirm(message.id)
                    case Plays() if "plays" not in self._hold:
                        self._tell({"type": "plays_ok", "batch": message.batch})
                    case Upload():
                        taken = self._intake.announced(message)
                        if taken is not None and "upload" not in self._hold:
                            self._tell({"type": "upload_ready", "upload": message.upload, "received": 0})
                    case _:
                        pass
        else:
            data = heard.data.decode() if heard.kind == "fetched" else heard.data.hex()
            self._heard.append({"type": f"({heard.kind})", "data": data})

    def _confirm(self, id: str) -> None:
        asked = self._rules.commands.get(id)
        status = asked.result.get("status") if asked and asked.result else None
        if status == "succeeded" and self._intake.awaited(id):
            text = f"The result of command {id} came before the upload_done of what it asked for."
            self.accuse(Fault(Section.UPLOADS, text))
        if "result" not in self._hold:
            self._tell({"type": "result_ok", "id": id})

    def _serve_upload(self, taken: Taken) -> None:
        if taken.whole:
            self._done(taken)
        else:
            self._tell({"type": "upload_credit", "upload": taken.upload.upload, "received": len(taken.data)})

    def _done(self, taken: Taken) -> None:
        number, id = taken.upload.upload, f"shot-{taken.upload.sha256[:8]}"
        self._tell({"type": "upload_done", "upload": number, "id": id, "url": f"/api/v1/screenshots/{id}"})

    def _tell(self, message: Mapping[str, object], pieces: int = 1) -> None:
        """Say it, and remember what it means for the rules."""
        number, received, id = message.get("upload"), message.get("received"), message.get("id")
        match message.get("type"):
            case "command":
                self._rules.commands.setdefault(str(id), Asked(str(message["command"])))
            case "cancel":
                self._rules.commands.setdefault(str(id), Asked(""))
            case "result_ok" if asked := self._rules.commands.get(str(id)):
                asked.confirmed = True
            case "drain":
                self._rules.drained = True
                self._waits.left(lost=False)
            case "upload_ready" if isinstance(number, int) and isinstance(received, int):
                self._intake.ready(number, received)
            case "upload_credit" if isinstance(number, int) and isinstance(received, int):
                self._intake.credit(number, received)
            case "upload_done" | "upload_failed" as kind if isinstance(number, int):
                self._intake.end(number, done=kind == "upload_done")
            case _:
                pass
        self._say(message, pieces)

    # --- inside ---

    def _chosen(self, transcript: Transcript) -> str | None:
        """The first of the commands that a transcript may use and the player has."""
        hello = self._rules.hello
        capable = hello.capabilities if hello else []
        return next((name for name in transcript.needs if name in capable), None)

    def _upload(self, step: Step) -> Taken:
        number = self._case.values.fill(step.body.get("upload"))
        taken = self._intake.find(number) if isinstance(number, int) else None
        if taken is None:
            raise Broken(step.section, in_words(step, "There is no such upload on this connection."))
        return taken
