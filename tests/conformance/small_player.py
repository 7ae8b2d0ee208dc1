"""A small player that does what the page says, as far as the tests need it; others do one thing otherwise."""

import asyncio
import hashlib
import json
import random
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from tests.harness import NO_TLS

SHOT = bytes(range(256)) * 20


def ms(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000


def moment() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SmallPlayer:
    """`run` connects for ever. Journal and settings are in memory: the tests do not restart it."""

    query_token = False
    pings = True

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self.journal: dict[str, dict[str, Any] | None] = {}  # id: result, None while it runs
        self.confirmed: set[str] = set()
        self.cancelled: set[str] = set()
        self.failures = 0
        self.given_s: float | None = None
        self.socket: ClientConnection
        self.welcome: dict[str, Any] = {}
        self.welcomed_at = 0.0
        self.uploading: dict[str, Any] | None = None  # id of its command, and how far it is
        self.numbers = iter(range(1, 1000))
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            self.given_s = None
            with suppress(OSError, WebSocketException):
                await self.connection()
            for task in self.tasks:
                task.cancel()
            await asyncio.sleep(self.delay_s())

    def delay_s(self) -> float:
        if self.given_s is not None:
            return self.given_s
        self.failures += 1
        return random.uniform(0, 2.0 ** (self.failures - 1))

    async def connection(self) -> None:
        query = f"?token={self.token}" if self.query_token else ""
        try:
            async with connect(
                f"ws{self.url.removeprefix('http')}/ws/player{query}",
                subprotocols=["signalbox.v1"],
                additional_headers={"Authorization": f"Bearer {self.token}"},
                compression=None, ping_interval=None, proxy=None,
            ) as self.socket:  # fmt: skip
                await self.greet()
                async for text in self.socket:
                    message = json.loads(text)
                    handle = getattr(self, f"on_{message['type']}", None)
                    if handle is None:
                        await self.on_unknown(message)
                    else:
                        await handle(message)
        except InvalidStatus as refusal:
            self.given_s = self.after_refusal(refusal)
        except ConnectionClosed:
            pass
        if self.socket.close_code == 4001:
            await self.revoked()

    def after_refusal(self, refusal: InvalidStatus) -> float:
        return float(refusal.response.headers.get("Retry-After", 60))

    async def revoked(self) -> None:
        await asyncio.sleep(600)

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    def told(self) -> list[dict[str, Any]]:
        return [
            {"id": id, "state": "finished", "result": result} if result else {"id": id, "state": "running"}
            for id, result in self.journal.items()
        ]

    async def greet(self) -> None:
        await self.say(
            type="hello", agent={"name": "small", "version": "1"}, boot_id="boot", hardware_id="small", clock=moment(),
            capabilities=["identify", "take_screenshot"], player={"kind": "none", "version": "1"}, journal=self.told(),
        )  # fmt: skip

    # --- what the hub says ---

    async def on_unknown(self, message: dict[str, Any]) -> None:
        pass

    async def on_welcome(self, message: dict[str, Any]) -> None:
        self.welcome, self.welcomed_at = message, time.monotonic()
        if self.pings:
            self.beside(self.mind_the_hub)
        if message["telemetry_s"]:
            self.beside(self.tell)
        await self.on_settings({"desired": message["settings"]})
        if self.uploading is not None:
            await self.announce()

    async def on_settings(self, message: dict[str, Any]) -> None:
        known = {"volume"}
        desired = message["desired"]
        failed = {name: "There is no such setting." for name in desired if name not in known}
        reported = {name: value for name, value in desired.items() if name in known}
        await self.say(type="settings", reported=reported, **({"failed": failed} if failed else {}))

    async def on_command(self, message: dict[str, Any]) -> None:
        id = message["id"]
        if id in self.confirmed:
            return
        if id in self.journal:
            await self.again(message)
        elif not self.in_time(message["expires_at"]):
            await self.end(id, "rejected", error={"code": "expired", "message": "Too late."})
        else:
            self.journal[id] = None
            await self.say(type="ack", id=id)
            await self.do(message)

    async def again(self, message: dict[str, Any]) -> None:
        result = self.journal[message["id"]]
        await self.say(**({"type": "result", **result} if result else {"type": "ack", "id": message["id"]}))

    async def on_cancel(self, message: dict[str, Any]) -> None:
        if message["id"] in self.confirmed:
            return
        if message["id"] in self.journal:
            await self.again(message)
        else:
            await self.end(message["id"], "cancelled")

    async def on_result_ok(self, message: dict[str, Any]) -> None:
        self.journal.pop(message["id"], None)
        self.confirmed.add(message["id"])

    async def on_drain(self, message: dict[str, Any]) -> None:
        self.given_s = message["reconnect_after_ms"] / 1000
        await self.socket.close(1001)

    # --- commands ---

    def in_time(self, expires_at: str) -> bool:
        now = ms(self.welcome["server_time"]) + (time.monotonic() - self.welcomed_at) * 1000
        return now <= ms(expires_at)

    async def do(self, message: dict[str, Any]) -> None:
        match message["command"]:
            case "identify":
                await self.end(message["id"], "succeeded", detail={"shown": {"name": "small"}})
            case "take_screenshot":
                self.uploading = {"command": message["id"]}
                await self.announce()
            case _:
                error = {"code": "unsupported_command", "message": "There is no such command."}
                await self.end(message["id"], "rejected", error=error)

    async def end(self, id: str, status: str, **more: Any) -> None:
        self.journal[id] = {"id": id, "status": status, "finished_at": moment(), "boot_id": "boot", **more}
        await self.say(type="result", **self.journal[id])

    # --- uploads ---

    def shot(self) -> bytes:
        return SHOT

    async def announce(self) -> None:
        assert self.uploading is not None
        number, data = next(self.numbers), self.shot()
        self.uploading |= {"number": number, "at": 0, "data": data}
        await self.say(
            type="upload", upload=number, kind="screenshot", command=self.uploading["command"], mime="image/png",
            size=len(data), sha256=hashlib.sha256(data).hexdigest(), captured_at=moment(), source="small",
        )  # fmt: skip

    async def on_upload_ready(self, message: dict[str, Any]) -> None:
        assert self.uploading is not None
        self.uploading["at"] = message["received"]
        await self.send_chunks(message["received"])

    async def on_upload_credit(self, message: dict[str, Any]) -> None:
        await self.send_chunks(message["received"])

    async def send_chunks(self, credited: int) -> None:
        if self.uploading is None:
            return
        chunk, data = self.welcome["chunk_bytes"], self.uploading["data"]
        while (at := self.uploading["at"]) < len(data) and at + chunk <= credited + self.window() * chunk:
            self.uploading["at"] = at + len(data[at : at + chunk])
            await self.send_chunk(at, data[at : at + chunk])

    def window(self) -> int:
        window: int = self.welcome["window"]
        return window

    async def send_chunk(self, at: int, data: bytes) -> None:
        assert self.uploading is not None
        await self.socket.send(struct.pack("!IQ", self.uploading["number"], at) + data)

    async def on_upload_done(self, message: dict[str, Any]) -> None:
        if self.uploading is not None:
            command, self.uploading = self.uploading["command"], None
            await self.end(command, "succeeded", detail={"screenshot_id": message["id"]})

    async def on_upload_failed(self, message: dict[str, Any]) -> None:
        if self.uploading is not None:
            command, self.uploading = self.uploading["command"], None
            await self.end(command, "failed", error={"code": message["code"], "message": message["message"]})

    # --- beside ---

    def beside(self, duty: Callable[[], Any]) -> None:
        task = asyncio.create_task(duty())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def mind_the_hub(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(self.welcome["heartbeat_s"])
                await self.socket.ping()

    async def tell(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self.say(type="telemetry", volume=40)
                await asyncio.sleep(self.welcome["telemetry_s"])

    async def fetch(self, path: str, **headers: str) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.url, verify=NO_TLS) as client:
            return await client.get(path, headers=headers)
