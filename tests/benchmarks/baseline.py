"""What the hub is measured against: uvicorn and Starlette with as little as the same exchange needs.

`python -m tests.benchmarks.baseline STORAGE DATABASE` prints its port. Players are their numbers, credentials are
believed, and the garbage collector and the compression of sockets are set as the hub sets them, so that what differs is
the work alone. STORAGE is one of

    none           nothing is kept
    orm            the rows that the hub keeps (command and event, each move of the command), one SQLModel session with
                   one commit a step
    hub-without    the hub's own routes, keys, checks and services over a writer that keeps nothing
"""

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import orjson
import uvicorn
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from hub.api.http.routing import RouteTable
from hub.api.v1.routes import ENTRIES
from hub.bus.local import LocalBus
from hub.domain.times import now_ms
from hub.services.access import Access
from hub.services.commands import Commands
from hub.store.database import Database
from hub.store.sqlite import PRAGMAS
from hub.store.tables import Command, EventRow, Player

PINGS_S = 10.0  # as the hub's heartbeat


class Nothing:
    """Keeps nothing."""

    async def queued(self, command_id: str, player_id: int, body: dict[str, Any]) -> None: ...
    async def moved(self, command_id: str, state: str) -> None: ...


class Sessions:
    """Keeps what the hub keeps, the ordinary way."""

    def __init__(self, database: str) -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{database}")

        @event.listens_for(engine.sync_engine, "connect")
        def _connect(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for pragma in PRAGMAS:
                cursor.execute(pragma)
            cursor.close()

        self._engine = engine
        # SQLite has one writer. Waiting for it here is quicker and fairer than fighting for its lock.
        self._turn = asyncio.Lock()

    async def queued(self, command_id: str, player_id: int, body: dict[str, Any]) -> None:
        now = now_ms()
        command = Command(
            id=command_id,
            team_id=1,
            player_id=player_id,
            command=body["command"],
            payload=orjson.dumps(body["payload"]).decode(),
            delivery="safe",
            state="queued",
            finish_within_s=60,
            created_at=now,
            expires_at=now + 60_000,
            due_at=now + 60_000,
            actor_kind="key",
            actor_id=1,
            actor_name="First key",
            face="own",
        )
        async with self._turn, AsyncSession(self._engine) as session:
            player = await session.get(Player, player_id)
            live = select(func.count()).where(
                col(Command.player_id) == player_id, col(Command.state).in_(("held", "queued", "sent", "acked"))
            )
            if player is None or (await session.exec(live)).one() >= 1_000:
                raise LookupError(player_id)
            session.add(command)
            session.add(_event(command, "command.queued", now))
            await session.commit()

    async def moved(self, command_id: str, state: str) -> None:
        now = now_ms()
        async with self._turn, AsyncSession(self._engine) as session:
            command = (await session.exec(select(Command).where(col(Command.id) == command_id))).one()
            command.state = state
            command.version += 1
            session.add(command)
            session.add(_event(command, f"command.{state}", now))
            await session.commit()


def _event(command: Command, kind: str, now: int) -> EventRow:
    data = {"command_id": command.id, "player_id": command.player_id, "command": command.command}
    return EventRow(team_id=1, type=kind, at=now, player_id=command.player_id, data=orjson.dumps(data).decode())


class Bare:
    def __init__(self, storage: Nothing | Sessions) -> None:
        self.storage = storage
        self.sockets: dict[int, WebSocket] = {}
        self.number = 0
        self.unacked: set[str] = set()
        self.all_acked = asyncio.Event()
        self.hook: str | None = None
        self.http = httpx2.AsyncClient(verify=False, trust_env=False)

    async def player(self, socket: WebSocket) -> None:
        player_id = int(socket.headers["authorization"].removeprefix("Bearer "))
        await socket.accept(subprotocol="signalbox.v1")
        uploads: dict[int, int] = {}
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                if (text := message.get("text")) is not None:
                    await self.heard(socket, player_id, orjson.loads(text), uploads)
                else:
                    await self.chunk(socket, message["bytes"], uploads)
        except WebSocketDisconnect:
            pass
        finally:
            if self.sockets.get(player_id) is socket:
                del self.sockets[player_id]
            if self.hook is not None:
                await self.http.post(self.hook, json={"event": "player.offline", "data": {"player_id": player_id}})

    async def heard(self, socket: WebSocket, player_id: int, message: dict[str, Any], uploads: dict[int, int]) -> None:
        kind = message["type"]
        if kind == "hello":
            self.sockets[player_id] = socket
            await socket.send_text(_text({"type": "welcome", "player_id": player_id, "session": "s", "epoch": 1}))
        elif kind == "ack":
            await self.storage.moved(message["id"], "acked")
            self.unacked.discard(message["id"])
            if not self.unacked:
                self.all_acked.set()
        elif kind == "result":
            await self.storage.moved(message["id"], message["status"])
            await socket.send_text(_text({"type": "result_ok", "id": message["id"]}))
        elif kind == "upload":
            uploads[message["upload"]] = message["size"]
            await socket.send_text(_text({"type": "upload_ready", "upload": message["upload"], "received": 0}))

    async def chunk(self, socket: WebSocket, frame: bytes, uploads: dict[int, int]) -> None:
        number, received = int.from_bytes(frame[:4], "big"), int.from_bytes(frame[4:12], "big") + len(frame) - 12
        if received < uploads[number]:
            await socket.send_text(_text({"type": "upload_credit", "upload": number, "received": received}))
        else:
            await socket.send_text(_text({"type": "upload_done", "upload": number, "id": "1", "url": "/1"}))

    async def command(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        player_id = body["player_id"]
        command_id = self.new_id()
        await self.storage.queued(command_id, player_id, body)
        socket = self.sockets.get(player_id)
        if socket is not None:
            await self.storage.moved(command_id, "sent")
            await socket.send_text(_command(command_id, body))
        return _answer({"command_id": command_id, "status": "queued"})

    async def batch(self, request: Request) -> Response:
        """To everybody; answered when everybody has acknowledged."""
        body = orjson.loads(await request.body())
        batch = [(self.new_id(), socket) for socket in list(self.sockets.values())]
        self.unacked = {command_id for command_id, _ in batch}
        self.all_acked.clear()
        for command_id, socket in batch:
            await socket.send_text(_command(command_id, body))
        await self.all_acked.wait()
        return _answer({"batch_id": self.new_id()})

    async def webhook(self, request: Request) -> Response:
        self.hook = orjson.loads(await request.body())["url"]
        return _answer({"id": 1})

    def new_id(self) -> str:
        self.number += 1
        return f"cmd_{time.time_ns() // 1_000_000:013d}{self.number:013d}"

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                WebSocketRoute("/ws/player", self.player),
                Route("/api/v1/commands", self.command, methods=["POST"]),
                Route("/api/v1/batches", self.batch, methods=["POST"]),
                Route("/api/v1/webhooks", self.webhook, methods=["POST"]),
                Route("/healthz", _healthz),
                Route("/api/v1/players/1", _healthz),
            ]
        )


async def _healthz(request: Request) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def _command(command_id: str, body: dict[str, Any]) -> str:
    return _text(
        {
            "type": "command",
            "id": command_id,
            "command": body["command"],
            "payload": body["payload"],
            "delivery": "safe",
            "expires_at": "2030-01-01T00:00:00.000Z",
        }
    )


def _answer(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status_code=202, media_type="application/json")


class Unkept:
    """In the place of the database, for a service that only writes."""

    async def write(self, unit: Any, *args: Any, **kwargs: Any) -> None:
        return None


def hub_without_storage(database: str) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        db = Database(f"sqlite:///{database}")  # for the key of the caller, which is looked up once
        await db.start()
        bus = LocalBus()
        keeps_nothing: Any = Unkept()
        yield {"services": SimpleNamespace(access=Access(db, bus), commands=Commands(keeps_nothing, bus))}
        await db.stop()

    return Starlette(routes=[RouteTable(ENTRIES)], lifespan=lifespan)


async def main(storage: str, database: str) -> None:
    if storage == "hub-without":
        app = hub_without_storage(database)
    else:
        app = Bare(Sessions(database) if storage == "orm" else Nothing()).app()
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=PINGS_S,
        backlog=4096,
        access_log=False,
        log_level="warning",
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.wait([serving], timeout=0.01)
        if serving.done():
            raise SystemExit(1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], str(Path(sys.argv[2]))))
