"""The far end of the agent's link: websockets' own server speaking the hub's half of the protocol, and remembering."""

import asyncio
import contextlib
import hashlib
import http
import time
from collections import deque
from dataclasses import dataclass, field

from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed

from hub.protocol.messages import Command, Hello, Plays, Result, Sync, Upload, Welcome
from hub.protocol.session import Binary, Close, HubSession, Ping, Text, UploadChunk
from hub.protocol.times import write_time
from tests.waiting import PATIENCE_S


@dataclass
class FarHub:
    """Switches are read at every message: `confirm` results, `cut_upload_at` (bytes stored) the connection,
    `cut_page_at` (bytes) the next file. `asked` are the paths and ranges of requests over HTTP."""

    url: str = ""
    token: str = "secret"
    refusals: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    connections: asyncio.Queue["FarConnection"] = field(default_factory=asyncio.Queue)
    opened: asyncio.Queue["FarConnection"] = field(default_factory=asyncio.Queue)
    confirm: bool = True
    ready_uploads: bool = True
    cut_upload_at: int | None = None
    settings: dict = field(default_factory=dict)
    alerts: list = field(default_factory=list)
    revision: str | None = None
    busy_pages: deque[tuple[int, str]] = field(default_factory=deque)  # statuses of files, with their Retry-After
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    cut_page_at: int | None = None
    confirm_plays: bool = True
    telemetry_s: int = 0
    screenshot_s: int = 0
    server_time: int | None = None
    blobs: dict[str, bytearray] = field(default_factory=dict)
    stored: list[Upload] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    count: int = 0

    async def welcomed(self) -> "FarConnection":
        """The next connection that has said hello and was welcomed."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.connections.get()

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self.refusals:
            status, headers = self.refusals.popleft()
            response = connection.respond(http.HTTPStatus(status), "no")
            response.headers.update(headers)
            return response
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "no")
        if request.path != "/ws/player":
            return self.page(request)
        return None

    def page(self, request: Request) -> Response:
        """What `pages` has under this path: (ETag, body), whole or in part."""
        self.asked.append((request.path, request.headers.get("Range", "")))
        if request.path not in self.pages:
            return Response(404, "Not Found", Headers({"Content-Length": "2"}), b"no")
        if "assets" in request.path and self.busy_pages:
            status, again = self.busy_pages.popleft()
            return Response(status, "Busy", Headers({"Content-Length": "2", "Retry-After": again}), b"no")
        tag, body = self.pages[request.path]
        headers = Headers({"ETag": f'"{tag}"', "Connection": "close"})
        if request.headers.get("If-None-Match") == f'"{tag}"':
            return Response(304, "Not Modified", headers, b"")
        start = 0
        if "Range" in request.headers and request.headers["If-Range"] == f'"{tag}"':
            start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        part = body[start:]
        headers["Content-Length"] = str(len(part))
        cut = None
        if "assets" in request.path:
            cut, self.cut_page_at = self.cut_page_at, None
        return Response(206 if start else 200, "OK", headers, part if cut is None else part[:cut])

    async def serve(self, socket: ServerConnection) -> None:
        self.count += 1
        connection = FarConnection(self, socket, self.count)
        self.opened.put_nowait(connection)
        await connection.run()

    def welcome(self, epoch: int) -> Welcome:
        return Welcome(
            player_id=7,
            name="Lobby",
            session=f"s{epoch}",
            epoch=epoch,
            server_time=write_time(self.server_time or time.time_ns() // 1_000_000),
            heartbeat_s=10,
            telemetry_s=self.telemetry_s,
            screenshot_s=self.screenshot_s,
            chunk_bytes=1024,
            window=4,
            revision=self.revision,
            settings=self.settings,
            alerts=self.alerts,
        )


class FarConnection:
    def __init__(self, hub: FarHub, socket: ServerConnection, epoch: int) -> None:
        self.hub = hub
        self.socket = socket
        self.epoch = epoch
        self.session = HubSession(time.monotonic())
        self.hello: Hello | None = None
        self.said: asyncio.Queue[object] = asyncio.Queue()
        self.passed: list[object] = []
        self.frames = 0
        self.is_cut = False
        self.over = asyncio.Event()
        self.code: int | None = None

    async def run(self) -> None:
        try:
            async for frame in self.socket:
                self.frames += 1
                receive = self.session.receive_text if isinstance(frame, str) else self.session.receive_binary
                for event in receive(frame, time.monotonic()):
                    await self.take(event)
                if self.is_cut:
                    break
                await self.flush()
        except ConnectionClosed:
            pass
        finally:
            self.code = self.socket.close_code
            self.over.set()

    async def take(self, event: object) -> None:
        match event:
            case Hello():
                self.hello = event
                self.session.welcome(self.hub.welcome(self.epoch))
                await self.flush()
                self.hub.connections.put_nowait(self)
            case Result() if self.hub.confirm:
                self.session.confirm_result(event.id)
            case Plays() if self.hub.confirm_plays:
                self.session.confirm_plays(event.batch)
            case Upload():
                blob = self.hub.blobs.setdefault(event.sha256, bytearray())
                self.hub.offsets.append(len(blob))
                if len(blob) == event.size:
                    self.session.upload_done(event.upload, "shot-again", "/shot")
                elif self.hub.ready_uploads:
                    hasher = hashlib.sha256(blob) if blob else None
                    self.session.upload_ready(event.upload, len(blob), hasher)
            case UploadChunk():
                blob = self.hub.blobs[event.upload.sha256]
                blob += event.data
                if self.hub.cut_upload_at is not None and len(blob) >= self.hub.cut_upload_at:
                    self.hub.cut_upload_at = None
                    self.cut()
                elif event.complete:
                    self.hub.stored.append(event.upload)
                    self.session.upload_done(event.upload.upload, f"shot-{len(self.hub.stored)}", "/shot")
                else:
                    self.session.upload_credit(event.upload.upload, len(blob))
        self.said.put_nowait(event)

    async def flush(self) -> None:
        for output in self.session.take_output():
            match output:
                case Text(text):
                    await self.socket.send(text)
                case Binary(data):
                    await self.socket.send(data)
                case Ping():
                    await self.socket.ping()
                case Close(code, reason):
                    await self.socket.close(code, reason)

    # --- for tests ---

    async def hear(self, kind: type, **fields: object):
        """The next message of this type with these fields; everything before it is put into `passed`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.said.get()
                if isinstance(message, kind) and all(getattr(message, k) == v for k, v in fields.items()):
                    return message
                self.passed.append(message)

    async def command(
        self, id: str, command: str, payload: dict | None = None, delivery: str = "safe", in_s: float = 60
    ):
        expires_at = write_time(time.time_ns() // 1_000_000 + round(in_s * 1000))
        self.session.command(
            Command(id=id, command=command, payload=payload or {}, delivery=delivery, expires_at=expires_at),
            time.monotonic(),
        )
        await self.flush()

    async def sync(self, revision: str) -> None:
        self.session.send(Sync(revision=revision))
        await self.flush()

    async def cancel(self, id: str) -> None:
        self.session.cancel(id)
        await self.flush()

    def cut(self) -> None:
        """The connection is lost, without a close frame."""
        self.is_cut = True
        self.socket.transport.abort()

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.over.wait()


@contextlib.asynccontextmanager
async def far_hub(tls=None, **switches):
    """`tls` is a server's SSLContext for `localhost`."""
    hub = FarHub(**switches)
    async with serve(
        hub.serve,
        "127.0.0.1",
        0,
        process_request=hub.admit,
        subprotocols=["signalbox.v1"],
        compression=None,
        ping_interval=None,
        close_timeout=1,
        ssl=tls,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        hub.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        yield hub
