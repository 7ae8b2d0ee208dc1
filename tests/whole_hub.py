"""The real hub, started on a temporary folder, with a named cast: an owner, a teammate with few rights, a stranger of
another team, and nobody at all. Every answer that passes here is held to the OpenAPI document."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Literal

import httpx2
import uvicorn
from jsonschema import Draft202012Validator
from PIL import Image
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from hub.api.http.routing import RouteTable
from hub.app import create_app, openapi_document
from hub.config import load
from hub.domain import ids
from hub.domain.access import Actor
from hub.domain.commands import CATALOGUE, Outcome
from hub.domain.presence import Device
from hub.domain.times import now_ms
from hub.services.container import Services
from hub.services.teams import prepare
from hub.store.database import Database
from tests.cast import team_owner
from tests.furnished import Furnished
from tests.ports import listener

BASE = "http://hub.test:8080"
CAPTURED_AT = 1_774_795_800_000  # 2026-03-29T14:50:00Z


@cache
def _strict_document() -> dict[str, Any]:
    """The OpenAPI document, but successes may hold nothing that it does not name."""
    document = deepcopy(openapi_document())
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if "properties" in schema and name != "Error":
            schema.setdefault("additionalProperties", False)
    return document


@cache
def _validator(path: str, method: str, status: str) -> Draft202012Validator | None:
    """Of the JSON of one documented answer; None where it is not JSON."""
    document = _strict_document()
    response = document["paths"][path][method.lower()]["responses"][status]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    return schema and Draft202012Validator({**schema, "components": document["components"]})


class Reference:
    """The OpenAPI document as a judge: each status is documented, and each body is what the document says."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table

    async def check(self, answer: httpx2.Response) -> None:
        await answer.aread()
        request = answer.request
        path = request.url.path
        resource = self._table.matches({"type": "http", "path": path})[1].get("signalbox.resource")
        method = "GET" if request.method == "HEAD" else request.method
        if resource is None or method == "OPTIONS" or answer.status_code in (405, 500):
            return
        where = f"{method} {resource.template} -> {answer.status_code}"
        documented = _strict_document()["paths"][resource.template][method.lower()]["responses"]
        assert str(answer.status_code) in documented, f"{where} is not in the OpenAPI document"
        validator = _validator(resource.template, method, str(answer.status_code))
        if validator is None or request.method == "HEAD":
            return
        faults = [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(answer.json())]
        assert not faults, f"{where}: {faults}"


class WholeHub:
    def __init__(self, app: Starlette, state: dict[str, Any], owner: Actor, stranger: Actor) -> None:
        self.state = state
        self.services: Services = state["services"]
        self._app = app
        self.table = next(route for route in app.routes if isinstance(route, RouteTable))
        self._reference = Reference(self.table)
        self.owner = owner
        self.stranger = stranger
        self.db: Database = self.services.players._db
        self._clients: list[httpx2.AsyncClient] = []
        self._address: str | None = None  # where it is served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The hub as an ASGI application."""
        await self._app({**scope, "state": dict(self.state)}, receive, send)

    def client(self, key: str | None = None) -> httpx2.AsyncClient:
        """Somebody with this key. Calls go over the network while the hub is served, else straight to it."""
        transport = None
        if self._address is None:
            transport = httpx2.ASGITransport(self, raise_app_exceptions=False, client=("192.0.2.7", 40_000))
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        hooks = {"response": [self._reference.check]}
        client = httpx2.AsyncClient(
            transport=transport,
            base_url=self._address or BASE,
            headers=headers,
            event_hooks=hooks,
            trust_env=False,
            timeout=60,
        )
        self._clients.append(client)
        return client

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The hub under uvicorn on a free port."""
        listening = listener()
        server = uvicorn.Server(uvicorn.Config(self, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            self._address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield self._address
        finally:
            self._address = None
            server.should_exit = True
            await running

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def as_owner(self, *scopes: str) -> httpx2.AsyncClient:
        """Somebody of the owner's team; without `scopes` the owner, who may do everything."""
        return self.client(await self._key(self.owner, scopes))

    async def as_stranger(self) -> httpx2.AsyncClient:
        """The owner of another team."""
        return self.client(await self._key(self.stranger, ()))

    async def _key(self, actor: Actor, scopes: tuple[str, ...]) -> str:
        wanted = sorted(scopes or actor.scopes)
        made = await self.services.access.create_key(
            actor, name=" ".join(wanted)[:100], scopes=wanted, expires_at=None, face="signalbox"
        )
        key: str = made["key"]
        return key

    async def shoot(self, player_id: int) -> bytes:
        """A picture of this player, uploaded as its socket does it. Answers the bytes."""
        file = io.BytesIO()
        Image.new("RGB", (64, 48), "teal").save(file, "PNG")
        await self.upload(player_id, "screenshot", "image/png", file.getvalue())
        return file.getvalue()

    async def upload(self, player_id: int, kind: Literal["screenshot", "logs"], mime: str, data: bytes) -> str:
        """What this player sends, as its socket hands it over. Answers the id that the player is told."""
        begun = await self.services.uploads.begin(
            player_id=player_id,
            team_id=self.owner.team_id,
            kind=kind,
            command_id=None,
            mime=mime,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            captured_at_ms=CAPTURED_AT,
            source="mpv",
        )
        assert begun.handle is not None
        await self.services.uploads.write(begun.handle, 0, data)
        return (await self.services.uploads.finish(begun.handle)).id

    async def connect(self, player_id: int) -> None:
        """The player's device is there, with everything that the log and the lists then say."""
        token = await self.services.players.issue_token(self.owner, player_id, face="signalbox")
        device = Device("pi-1", "Raspberry Pi 5", "12", "1.0", "device-agent 0.1", "mpv", "0.38", tuple(CATALOGUE))
        await self.services.presence.connect(player_id, ids.digest(token), "192.0.2.50", device)

    async def finish(self, player_id: int, command_id: str, status: str = "succeeded", **detail: Any) -> None:
        """The player's word on a command, as its socket hands it over."""
        error = None if status == "succeeded" else "broken"
        await self.services.commands.record(
            player_id, Outcome(command_id, status, detail or None, error, error, None, now_ms())
        )


async def _owners(db: Database) -> tuple[Actor, Actor]:
    await prepare(db)
    return await team_owner(db, "acme"), await team_owner(db, "other")


_OWNERS = Furnished(_owners)


@asynccontextmanager
async def whole_hub(folder: Path, database_url: str = "", **settings: Any) -> AsyncIterator[WholeHub]:
    """`database_url` is of a database without rows; by default a new file in the folder."""
    if database_url:
        database = Database(database_url)
        await database.start()
        owner, stranger = await _owners(database)
        await database.stop()
    else:
        owner, stranger = await _OWNERS.copy(folder / "hub.db")
    groups = {"server": {"data": folder}, "database": {"url": database_url}, **settings}
    app = create_app(load(**groups))
    async with app.router.lifespan_context(app) as state:
        hub = WholeHub(app, dict(state or {}), owner, stranger)
        yield hub
        await hub.close()
