"""A hub under test: the kit is its player, and with a key of its API also the operator."""

import asyncio
import hashlib
import json
import secrets
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.http11 import Response
from websockets.protocol import CONNECTING
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from hub.conformance.hub_rules import HubRules
from hub.conformance.operator import Operator, http, read_object
from hub.conformance.page import Broken, Fault, Section, Unreachable
from hub.conformance.transcript import Json, Step, Transcript, known_commands
from hub.conformance.trial import Trial, in_words, part, whole
from hub.conformance.values import Values
from hub.conformance.wire import HUGE_BYTES, QUIET_LOG, Heard, Wire
from hub.domain.errors import Invalid
from hub.protocol.codec import encode_chunk
from hub.protocol.schema import SUBPROTOCOL
from hub.protocol.times import read_time, write_time

OPEN_S = 20.0
HELLO_S = 30.0  # for welcome, as the page has it
LEAVE_S = 5.0
BLOB_BYTES = 300_000  # five chunks of 64 KiB: more than a window of four
BOOT_ID = "kit-boot"


@dataclass(frozen=True, slots=True)
class Refused:
    """The hub answered the upgrade with this; `body` is its JSON object."""

    status: int
    body: Json


class HubTrial(Trial):
    """`token` is a player's; without one the operator makes a player, and removes it at the end."""

    tests = "hub"

    def __init__(self, url: str, operator: Operator | None, token: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid.field("url", f"must look like https://hub.example.com, not {url[:100]}")
        self._url = url.rstrip("/")
        self._operator = operator
        self._token = token
        self._rules = HubRules(self.accuse, self.now)
        self._welcome: Json = {}
        self._server_time: tuple[int, float] | None = None  # of the last welcome, and when it came (monotonic)
        self._blob = b""
        self._past: frozenset[str] = frozenset()  # commands that came in earlier transcripts
        self._older: Wire | None = None
        self._steps |= {
            "hub": self._expected,
            "player": self._line,
            "connect": self._connect,
            "text": self._text,
            "binary": self._binary,
            "pings": self._pings,
            "chunk": self._chunk,
            "give": self._give,
            "ask": self._ask,
            "pair": self._pair,
            "get": self._get,
        }

    def now(self) -> int:
        if self._server_time is None:
            return time.time_ns() // 1_000_000
        at, came = self._server_time
        return at + int((time.monotonic() - came) * 1000)

    async def unfit(self, transcript: Transcript) -> str:
        if "operator" in transcript.needs and self._operator is None:
            return "needs --key, to send commands as an operator"
        if self._operator is not None and self._operator.player_id and transcript.last:
            await self._operator.remove_player()  # what ends a player for a minute, or for good, has one of its own
            self._token = ""
        if not self._token and self._operator is not None:
            self._token = await self._operator.make_player()
            self._rules.anew()
        return ""

    def begin(self, transcript: Transcript, values: Values) -> None:
        self._past = self._rules.commands
        self._blob = secrets.token_bytes(BLOB_BYTES)
        values["sha256"], values["size"] = hashlib.sha256(self._blob).hexdigest(), BLOB_BYTES
        values["other_sha256"] = hashlib.sha256(self._blob + b"x").hexdigest()
        values["player"] = self._operator.player_id if self._operator else 0
        values["boot"] = BOOT_ID
        values["batch"], values["entry"] = f"b-{secrets.token_hex(5)}", f"p-{secrets.token_hex(5)}"
        values["number"] = secrets.randbelow(1_000_000)

    async def end(self) -> None:
        if self._operator is not None and self._operator.player_id:
            with suppress(Unreachable):
                await self._operator.remove_player()
        await self._part()

    # --- steps ---

    async def _line(self, step: Step) -> None:
        """The player says something; a result needs no more than id and status."""
        message = dict(step.body)
        if message.get("type") == "result":
            message = {"finished_at": write_time(self.now()), "boot_id": BOOT_ID} | message
        self._open(step)
        self._tell(self._case.values.filled(message), step.pieces)

    async def _connect(self, step: Step) -> None:
        """A new connection: `hello` and `welcome` unless `silent`; or the refusal with this `status`."""
        body, values = step.body, self._case.values
        if body.get("beside") is True:
            self._older, self._wire = self._wire, None
        else:
            await self._part()
        self._heard.clear()
        self._rules.connected()
        answer = await self._dial(body)
        status = body.get("status")
        if isinstance(answer, Refused):
            if status != answer.status:
                expected = f"HTTP {status}" if status else "101"
                raise Broken(step.section, in_words(step, f"It answered HTTP {answer.status}, not {expected}."))
            if not isinstance(answer.body.get("message"), str):
                raise Broken(step.section, in_words(step, f"The body of its {status} is no JSON with a message."))
            return
        self._wire = answer
        if status is not None:
            raise Broken(step.section, in_words(step, f"It let the player in, and should answer {status}."))
        if body.get("silent") is True:
            return
        known = known_commands()
        hello: dict[str, object] = {
            "type": "hello",
            "agent": {"name": "conformance-kit", "version": "1"},
            "boot_id": BOOT_ID,
            "hardware_id": "conformance-kit",
            "clock": write_time(time.time_ns() // 1_000_000),
            "capabilities": list(known),
            "player": {"kind": "conformance", "version": "1"},
            "journal": [],
        } | values.filled(part(body, "hello"))
        self._tell(hello)
        wait = Step(verb="hub", body={"type": "welcome"}, section=Section.OPENING, within_s=HELLO_S, says=step.says)
        await self._expected(wait)
        self._heard.insert(0, self._welcome)

    async def _text(self, step: Step) -> None:
        """A text frame as it stands here; `bytes` long, or the bytes of `hex`, `times` over."""
        wire, body = self._open(step), step.body
        data = str(body.get("text", "")).encode()
        if isinstance(raw := body.get("hex"), str):
            data = bytes.fromhex(raw)
        if "bytes" in body:
            data = data.ljust(whole(body, "bytes"), b" ")
        for _ in range(whole(body, "times", 1)):
            wire.say_bytes(data, text=True)

    async def _binary(self, step: Step) -> None:
        """A binary frame that is no chunk."""
        self._open(step).say_bytes(bytes.fromhex(str(step.body.get("hex", ""))))

    async def _pings(self, step: Step) -> None:
        wire = self._open(step)
        for _ in range(whole(step.body, "times")):
            wire.ping(b"")

    async def _chunk(self, step: Step) -> None:
        """A piece of the upload, wherever it belongs."""
        number, offset = self._number(step), whole(step.body, "offset")
        piece = self._blob[offset : offset + whole(step.body, "bytes")]
        self._open(step).say_bytes(encode_chunk(number, offset, piece))
        self._rules.sent(number, offset + len(piece))

    async def _give(self, step: Step) -> None:
        """Send the upload `from` there, as far as its window goes and credit comes, `until` half or the end."""
        number, wire, values = self._number(step), self._open(step), self._case.values
        at = credited = whole(values.filled(step.body), "from", 0)
        goal = BLOB_BYTES if step.body.get("until", "end") == "end" else BLOB_BYTES // 2
        chunk_bytes, window = whole(self._welcome, "chunk_bytes"), whole(self._welcome, "window")
        while at < goal:
            while at < goal and at + chunk_bytes <= credited + window * chunk_bytes:
                piece = self._blob[at : min(at + chunk_bytes, goal)]
                wire.say_bytes(encode_chunk(number, at, piece))
                at += len(piece)
                self._rules.sent(number, at)
            if at < goal:
                pattern = {"type": "upload_credit", "upload": number, "received": {"above": credited}}
                line = Step(
                    verb="hub",
                    body=pattern,
                    section=step.section,
                    says="The window was used up.",
                    within_s=step.within_s,
                )
                credits: list[Json] = []
                await self._until(line, lambda message: self._is_credit(pattern, message, credits), "send credit")  # noqa: B023
                credited = whole(credits[-1], "received")

    def _is_credit(self, pattern: Json, message: Json, found: list[Json]) -> bool:
        if not self._case.values.matches(pattern, message):
            return False
        found.append(message)
        return True

    async def _ask(self, step: Step) -> None:
        """The operator makes a call of the REST API; the answer's `command_id` becomes what `id` names."""
        assert self._operator is not None  # such transcripts need one
        method, _, path = str(step.body.get("call")).partition(" ")
        values = self._case.values
        for word in path.split("/"):
            if word.startswith("$"):
                path = path.replace(word, str(values.fill(word)))
        raw = step.body.get("body")
        body = values.filled(raw) if isinstance(raw, Mapping) else None
        answer = await self._operator.call(method, path, body)
        if isinstance(name := step.body.get("id"), str):
            inside = part(answer, "data")
            values[name] = answer.get("command_id") or answer.get("id") or inside.get("id")

    async def _pair(self, step: Step) -> None:
        """The player gets another token, by a pairing."""
        assert self._operator is not None  # such transcripts need one
        self._token = await self._operator.pair(step.section)

    async def _get(self, step: Step) -> None:
        """The player fetches its manifest: the ETag is the revision, and a known one is 304."""
        values = self._case.values
        known = f'"{values.fill(step.body.get("revision"))}"'
        headers = {"If-None-Match": known} if step.body.get("known") is True else {}
        async with http(self._url, self._token) as player:
            answer = await player.get("/api/v1/player/manifest", headers=headers)
        if answer.status_code != whole(step.body, "status", 200):
            raise Broken(step.section, in_words(step, f"GET of the manifest answered {answer.status_code}."))
        if answer.status_code == 200:
            revision = read_object(answer.content).get("revision")
            if not values.matches(step.body.get("revision"), revision):
                raise Broken(step.section, in_words(step, f"The manifest has the revision {revision}."))
            if answer.headers.get("etag") != f'"{revision}"':
                raise Broken(step.section, in_words(step, "The ETag is not the revision in quotes."))

    async def _closed(self, step: Step) -> None:
        if step.body.get("older") is not True:
            await super()._closed(step)
            return
        newer, self._wire, self._older = self._wire, self._older, None
        heard, self._heard = self._heard, []
        try:
            await super()._closed(step)
        finally:
            self._wire, self._heard = newer, heard

    # --- what arrives ---

    def take(self, heard: Heard) -> None:
        if heard.kind == "binary":
            self._rules.binary()
        elif heard.kind == "text":
            message = self._rules.text(heard.data)
            if message is not None:
                self._heard.append(message)
                if message["type"] == "welcome":
                    self._welcome = message
                    self._server_time = read_time(str(message["server_time"])), time.monotonic()
                elif message["type"] == "command" and message["id"] in self._past:
                    self._settle(str(message["id"]))
        else:
            self._heard.append({"type": f"({heard.kind})", "data": heard.data.hex()})

    def _settle(self, id: str) -> None:
        """End a command that an earlier transcript has left, so that it takes no room."""
        error = {"code": "conformance", "message": "A test of the hub is over."}
        result = {"type": "result", "id": id, "status": "failed", "error": error}
        self._tell(result | {"finished_at": write_time(self.now()), "boot_id": BOOT_ID})

    # --- inside ---

    async def _dial(self, body: Json) -> Wire | Refused:
        """Ask for the WebSocket. Raises Unreachable."""
        address = "ws" + self._url.removeprefix("http") + str(body.get("path", "/ws/player"))
        offered = [str(body.get("subprotocol", SUBPROTOCOL))]
        credential = body.get("credential", "header")
        token = self._token if credential != "wrong" and credential != "wrong subprotocol" else "no-such-token"
        if credential in ("subprotocol", "wrong subprotocol"):
            offered.append(f"bearer.{token}")
        if credential == "query":
            address += f"?token={token}"
        try:
            uri = parse_uri(address)
            protocol = ClientProtocol(
                uri, subprotocols=[Subprotocol(one) for one in offered], max_size=HUGE_BYTES, logger=QUIET_LOG
            )
            async with asyncio.timeout(OPEN_S):
                tls = ssl.create_default_context() if uri.secure else None
                reader, writer = await asyncio.open_connection(uri.host, uri.port, ssl=tls)
                request = protocol.connect()
                if credential in ("header", "wrong"):
                    request.headers["Authorization"] = f"Bearer {token}"
                if body.get("subprotocol", "") is None:
                    del request.headers["Sec-WebSocket-Protocol"]
                protocol.send_request(request)
                writer.write(b"".join(protocol.data_to_send()))
                response = await _response(protocol, reader)
        except (OSError, TimeoutError, InvalidURI, ValueError) as error:
            raise Unreachable(f"{self._url} is not reached: {str(error) or 'timed out'}.") from None
        if response is not None and response.status_code == 101:
            if protocol.subprotocol != SUBPROTOCOL:
                self._wrong(f"The 101 answer names the subprotocol {protocol.subprotocol}, not {SUBPROTOCOL}.")
            if "Sec-WebSocket-Extensions" in response.headers:
                self._wrong("The 101 answer names an extension that nobody offered.")
            return Wire(reader, writer, protocol)
        writer.close()
        if response is None:
            raise Unreachable(f"{self._url} does not answer as a WebSocket server: {protocol.handshake_exc}.")
        raw: object = None
        with suppress(ValueError):
            raw = json.loads(response.body)
        return Refused(response.status_code, raw if isinstance(raw, dict) else {})

    def _wrong(self, text: str) -> None:
        self.accuse(Fault(Section.CONNECTING, text))

    async def _part(self) -> None:
        for wire in (self._wire, self._older):
            if wire is not None:
                if wire.ended is None:
                    wire.close(1000)
                    await self._hear_out(wire)
                await wire.leave()
        self._wire = self._older = None

    async def _hear_out(self, wire: Wire) -> None:
        """What was under way when we left is held against the rules too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                while isinstance(heard := await wire.hear(), Heard):
                    self.take(heard)

    def _tell(self, message: Mapping[str, object], pieces: int = 1) -> None:
        self._rules.said(message)
        self._say(message, pieces)

    def _number(self, step: Step) -> int:
        value = self._case.values.fill(step.body.get("upload"))
        return value if isinstance(value, int) else 0


async def _response(protocol: ClientProtocol, reader: asyncio.StreamReader) -> Response | None:
    """What the hub answers to the upgrade; None for nothing that is HTTP."""
    while True:
        data = await reader.read(65_536)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        if protocol.state is not CONNECTING and protocol.handshake_exc is None:
            # The frames behind the answer, which may be the close already, stay for the wire.
            return next((event for event in protocol.events if isinstance(event, Response)), None)
        refusal = protocol.handshake_exc
        if isinstance(refusal, InvalidStatus):
            return refusal.response
        if refusal is not None or not data:
            return None
