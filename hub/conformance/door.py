"""Where a player under test arrives: a small HTTP server with the calls of the protocol page, and its WebSocket.

It judges nothing by itself but how it is called; whether and when a connection is let in is the trial's decision.
"""

import asyncio
import hashlib
import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from hub.conformance.content import Content
from hub.conformance.operator import DEVICE_GRANT
from hub.conformance.page import Fault, Section
from hub.conformance.wire import HUGE_BYTES, QUIET_LOG, Wire
from hub.protocol.schema import SUBPROTOCOL

HEAD_BYTES = 65_536
BODY_BYTES = 65_536
HEAD_S = 10.0  # until the request head is complete
DECIDE_S = 90.0  # a connection that arrives while the kit waits for something else is held so long
EARLY_S = 0.05  # between the request and the 101, in which nothing may come
MOST_CONNECTIONS = 64
BEARER = "bearer."
INTERVAL_S = 1
POLLS = 3


@dataclass(slots=True, eq=False)
class Attempt:
    """A player that asks for its WebSocket. `at` is the loop's time when its request was complete."""

    at: float
    browser: bool
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: ServerProtocol
    accepting: Response
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def gone(self) -> bool:
        """Whether the player has given up."""
        return self.reader.at_eof() or self.writer.is_closing()


@dataclass(slots=True)
class _Pairing:
    at: float = field(default_factory=time.monotonic)
    polls: int = 0


class Door:
    """`accuse` hears what is wrong about a request, `fetched` which file (`manifest`, or an asset's number) was served
    whole. `now` tells the hub's clock (Unix milliseconds)."""

    def __init__(
        self, token: str, accuse: Callable[[Fault], None], now: Callable[[], int], fetched: Callable[[str], None]
    ) -> None:
        self.tokens = {token}
        self.content: Content | None = None
        self.url = ""
        self.paired = asyncio.Event()  # a pairing was begun and approved since this was cleared
        self.tried = asyncio.Event()  # a revoked token was tried since this was cleared
        self._revoked: set[str] = set()
        self.ever_paired = False
        self._fetched = fetched
        self._accuse = accuse
        self._now = now
        self._attempts: asyncio.Queue[Attempt] = asyncio.Queue()
        self._pairings: dict[str, _Pairing] = {}
        self._open = 0
        self._server: asyncio.Server | None = None
        self._requests: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int, shown: str) -> None:
        """Listen. `shown` is the host of the printed address. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=HEAD_BYTES)
        bound = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{bound}"

    def shut(self) -> None:
        if self._server is not None:
            self._server.close()

    async def attempt(self, within_s: float) -> Attempt:
        """The next player that is still there; of those that wait, the first. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                attempt = await self._attempts.get()
                if not attempt.gone:
                    return attempt
                attempt.over.set()

    def revoke(self) -> None:
        """No token is good any more; the next one comes from a pairing."""
        self._revoked |= self.tokens
        self.tokens.clear()
        self.tried.clear()
        self.paired.clear()

    def admit(self, attempt: Attempt) -> Wire:
        """Let it in."""
        attempt.protocol.send_response(attempt.accepting)
        for data in attempt.protocol.data_to_send():
            attempt.writer.write(data)
        attempt.over.set()
        return Wire(attempt.reader, attempt.writer, attempt.protocol)

    async def refuse(self, attempt: Attempt, status: int, retry_after_s: int | None) -> None:
        """Send it away."""
        more = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        await _answer(attempt.writer, status, {"message": "Not now.", "code": "not_now"}, more)
        attempt.writer.close()
        attempt.over.set()

    # --- inside ---

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve in a task of our own: of one that it made itself, asyncio reports a cancellation as an error."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        kept = False
        try:
            if self._open <= MOST_CONNECTIONS:
                async with asyncio.timeout(HEAD_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                kept = await self._request(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            pass
        finally:
            self._open -= 1
            if not kept:
                with suppress(OSError):
                    writer.close()

    async def _request(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection is a WebSocket now."""
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        url = urlsplit(target)
        path = "/" + url.path.strip("/")
        if path == "/ws/player":
            return await self._socket(head, url.query, reader, writer)
        body = b""
        if "content-length" in headers:
            body = await reader.readexactly(min(int(headers["content-length"]), BODY_BYTES))
        if (method, path) == ("POST", "/oauth/device_authorization"):
            await _answer(writer, *self._offer(_form(headers, body)))
        elif (method, path) == ("POST", "/oauth/token"):
            await _answer(writer, *self._token(_form(headers, body)))
        elif method == "GET" and path.startswith("/api/v1/player/"):
            await self._file(path, headers, writer)
        else:
            await _answer(writer, 404, {"message": "Not found.", "code": "not_found"})
        return False

    async def _socket(
        self, head: bytes, query: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        at = asyncio.get_running_loop().time()
        protocol = ServerProtocol(
            subprotocols=[Subprotocol(SUBPROTOCOL)], select_subprotocol=_choose, max_size=HUGE_BYTES, logger=QUIET_LOG
        )
        protocol.receive_data(head)
        requests = [event for event in protocol.events_received() if isinstance(event, Request)]
        if not requests:
            self._wrong("The request for the WebSocket cannot be read.")
            return False
        offered = [
            name.strip()
            for line in requests[0].headers.get_all("Sec-WebSocket-Protocol")
            for name in line.split(",")
        ]  # fmt: skip
        accepting = protocol.accept(requests[0])
        if accepting.status_code != 101:
            self._wrong(f"The request for the WebSocket is none: {accepting.body.decode().strip()[:200]}")
            await _answer(writer, accepting.status_code, {"message": "Bad request.", "code": "bad_request"})
            return False
        if parse_qs(query).keys() & {"token", "access_token"}:
            self._wrong("The token is in the query string; it belongs into the Authorization header.")
        scheme, _, token = requests[0].headers.get("Authorization", "").partition(" ")
        in_subprotocol = [name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)]
        token = token.strip() if scheme.lower() == "bearer" else next(iter(in_subprotocol), "")
        if token not in self.tokens:
            if token in self._revoked:
                self.tried.set()
            if not token:
                self._wrong("There is no credential: send Authorization: Bearer TOKEN.")
            await _answer(writer, 401, {"message": "Unauthenticated."})
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(EARLY_S):
                if early := await reader.read(1):
                    self._wrong("Frames were sent before the 101 answer; a hub does not read them.")
                    protocol.receive_data(early)
        attempt = Attempt(at, bool(in_subprotocol and not scheme), reader, writer, protocol, accepting)
        self._attempts.put_nowait(attempt)
        with suppress(TimeoutError):
            async with asyncio.timeout(DECIDE_S):
                await attempt.over.wait()
                return not writer.is_closing()
        return False

    def _wrong(self, text: str, section: Section = Section.CONNECTING) -> None:
        self._accuse(Fault(section, text))

    def _offer(self, form: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        if form.get("client_id") != "player":
            self._wrong("device_authorization came without client_id=player.", Section.TOKEN)
        if not form.get("hardware_id"):
            self._wrong("device_authorization came without hardware_id.", Section.TOKEN)
        code = secrets.token_hex(16)
        self._pairings[code] = _Pairing()
        return 200, {
            "device_code": code,
            "user_code": "".join(secrets.choice("ACDEFHJKLMNPQRTUVWXY34679") for _ in range(6)),
            "verification_uri": f"{self.url}/pair",
            "verification_uri_complete": f"{self.url}/pair",
            "qr_code": [],
            "expires_in": 600,
            "interval": INTERVAL_S,
        }

    def _token(self, form: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        """Pending at the first two polls, approved at the third."""
        pairing = self._pairings.get(form.get("device_code", ""))
        if form.get("grant_type") != DEVICE_GRANT or pairing is None:
            self._wrong("A poll of /oauth/token had another grant_type or an unknown device_code.", Section.TOKEN)
            return 400, {"error": "invalid_grant"}
        pairing.polls += 1
        if pairing.polls < POLLS:
            return 400, {"error": "authorization_pending"}
        if time.monotonic() - pairing.at < (POLLS - 1) * INTERVAL_S:  # a slow network only makes it more
            self._wrong(f"It polled /oauth/token more often than every {INTERVAL_S} s.", Section.TOKEN)
        del self._pairings[form["device_code"]]
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        self.ever_paired = True
        self.paired.set()
        return 200, {"access_token": token, "token_type": "Bearer", "player_name": "Conformance"}

    async def _file(self, path: str, headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
        token = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if token not in self.tokens:
            if token not in self._revoked:
                self._wrong(f"GET {path} came without the player's token.", Section.MANIFEST)
            await _answer(writer, 401, {"message": "Unauthenticated."})
            return
        content, name = self.content, path.removeprefix("/api/v1/player/").removeprefix("assets/")
        body, tag = None, ""
        if content is not None and name == "manifest":
            body, tag = content.manifest(self.url, self._now()), content.revision
            content.asked.append("manifest")
        elif content is not None:
            body = content.file(name)
            tag = hashlib.sha256(content.files.get(name, b"")).hexdigest()
        if body is None:
            await _answer(writer, 404, {"message": "Not found.", "code": "not_found"})
            return
        more, status = {"ETag": f'"{tag}"'}, 200
        if headers.get("if-none-match") == f'"{tag}"':
            status, body = 304, b""
        elif headers.get("range", "").startswith("bytes=") and name != "manifest":
            start = int(headers["range"].removeprefix("bytes=").partition("-")[0] or 0)
            status, whole, body = 206, len(body), body[start:]
            more["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        await _answer(writer, status, body, more)
        if status in (200, 304) and content is not None and name in content.asked:
            self._fetched(name)


def own_address() -> str:
    """The address of this machine in its network, for a door that listens on all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses an interface
            address: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
    return address


def _choose(protocol: ServerProtocol, offered: object) -> Subprotocol:
    if not isinstance(offered, list | tuple) or SUBPROTOCOL not in offered:
        raise NegotiationError(f"offer the subprotocol {SUBPROTOCOL}")
    return Subprotocol(SUBPROTOCOL)


def _form(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """A form or a JSON object, as the hub takes both."""
    if "json" in headers.get("content-type", ""):
        with suppress(ValueError):
            raw = json.loads(body)
            if isinstance(raw, dict):
                return {name: str(value) for name, value in raw.items() if value is not None}
        return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


async def _answer(
    writer: asyncio.StreamWriter, status: int, body: bytes | dict[str, object], more: Mapping[str, str] | None = None
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close", **(more or {})})
    with suppress(OSError):
        writer.write(Response(status, HTTPStatus(status).phrase, headers, data).serialize())
        await writer.drain()
