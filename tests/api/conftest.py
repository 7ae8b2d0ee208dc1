"""A small made-up API behind a real server: one entry for each rule of the machinery."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any

import httpx2
import pytest
import uvicorn
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hub.api import health
from hub.api.http.endpoint import Call, Endpoint
from hub.api.http.errors import HANDLERS
from hub.api.http.responses import Answer
from hub.api.http.routing import RouteTable
from hub.domain.access import Actor
from hub.domain.errors import Conflict, TooMany, Unavailable
from hub.metrics import CONTENT_TYPE, Metrics
from tests.ports import listener

KEYS = {
    "sbk_owner": Actor("key", 1, 1, "owner", frozenset({"read:players", "write:players"})),
    "sbk_viewer": Actor("key", 2, 1, "viewer", frozenset({"read:players"})),
    "sbp_player": Actor("player", 7, 1, "Lobby", frozenset({"read:players", "write:players"})),
}
OWNER = {"authorization": "Bearer sbk_owner"}


class Access:
    """The one call that the machinery makes of the services; remembers what it was told of the caller."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, str | None]] = []

    async def authenticate(self, token: str, *, address: str | None, agent: str | None) -> Actor | None:
        self.seen.append((address, agent))
        return KEYS.get(token)


class Thing(BaseModel):
    name: str
    volume: int


class Item(BaseModel):
    asset_id: Annotated[int, Field(ge=1, le=2**63 - 1)]


class NewThing(BaseModel):
    model_config = {"json_schema_extra": {"examples": [{"name": "Lobby", "volume": 20}]}}

    name: Annotated[str, Field(min_length=1, max_length=50)]
    volume: Annotated[int, Field(ge=0, le=100)] = 50
    items: Annotated[list[Item], Field(max_length=5)] = []
    payload: dict[str, Any] = {}


class ThingFilter(BaseModel):
    status: Annotated[str | None, Field(max_length=20, description="online or offline")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 25
    ids: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(max_length=3)] = []


class Upload(BaseModel):
    title: Annotated[str | None, Field(max_length=50)] = None


class Optional_(BaseModel):
    note: Annotated[str | None, Field(max_length=20)] = None


async def list_things(call: Call) -> Answer:
    """Everything there is."""
    return Answer(200, {"data": [], "meta": call.query.model_dump()})


async def search_things(call: Call) -> Answer:
    return Answer(200, call.query.model_dump())


async def create_thing(call: Call) -> Answer:
    return Answer(201, {"data": call.body.model_dump(), "by": call.actor.name}, {"location": "/api/v1/things/1"})


async def get_thing(call: Call) -> Answer:
    return Answer(200, Thing(name=f"thing {call.path['thing_id']}", volume=1))


async def delete_thing(call: Call) -> Answer:
    return Answer(204)


async def get_word(call: Call) -> Answer:
    return Answer(200, call.path)


async def pair_thing(call: Call) -> Answer:
    return Answer(200, {"note": call.body.note})


async def wait_thing(call: Call) -> Answer:
    return Answer(200, {"wait": call.prefer_wait, "key": call.idempotency_key, "fingerprint": call.fingerprint})


async def fail_thing(call: Call) -> Answer:
    match call.path["how"]:
        case "conflict":
            raise Conflict("That name is taken.", code="name_taken")
        case "slow_down":
            raise TooMany(retry_after=7)
        case "unavailable":
            raise Unavailable
        case "unsendable":
            return Answer(200, {"value": object()})
    raise RuntimeError("postgresql://hub:hunter2@db")


async def anonymous_thing(call: Call) -> Answer:
    return Answer(200, {"anonymous": call.caller is None})


async def stream_thing(call: Call) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        if call.scope["method"] == "HEAD":
            raise AssertionError("nobody wants to read this")
        yield b"data: 1\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


async def read_file(call: Call) -> Answer:
    raise AssertionError


async def turn_picture(call: Call) -> Answer:
    raise AssertionError


async def upload_thing(call: Call) -> Answer:
    return Answer(200, {"bytes": len(await call.request.body())})


THINGS = ("Things",)
ENTRIES = (
    Endpoint("GET", "/api/v1/things", list_things, summary="List", tags=THINGS, scope="read:players", owner="spot",
             query=ThingFilter),
    Endpoint("GET", "/api/v1/search", search_things, summary="Search", tags=THINGS, needs_auth=False,
             query=ThingFilter, query_in_body=True),
    Endpoint("POST", "/api/v1/things", create_thing, summary="Create", tags=THINGS, scope="write:players", owner="spot",
             body=NewThing, answers={201: Thing}, max_body_bytes=100_000),
    Endpoint("GET", "/api/v1/things/{thing_id:int}", get_thing, summary="Get", tags=THINGS, scope="read:players",
             answers={200: Thing}),
    Endpoint("DELETE", "/api/v1/things/{thing_id:int}", delete_thing, summary="Delete", tags=THINGS,
             scope="write:players", answers={204: None}, errors=(409,)),
    Endpoint("POST", "/api/v1/things/pair", pair_thing, summary="Pair", tags=THINGS, body=Optional_, form=True),
    Endpoint("GET", "/api/v1/words/{word}", get_word, summary="Word", tags=THINGS, needs_auth=False),
    Endpoint("POST", "/api/v1/waits", wait_thing, summary="Wait", tags=THINGS, needs_auth=False, body=Optional_,
             waits=True, idempotent=True, deprecated=True),
    Endpoint("GET", "/api/v1/failures/{how}", fail_thing, summary="Fail", tags=THINGS, owner="spot", needs_auth=False),
    Endpoint("GET", "/api/v1/anonymous", anonymous_thing, summary="Anyone", tags=THINGS, needs_auth=False),
    Endpoint("GET", "/api/v1/stream", stream_thing, summary="Stream", tags=THINGS, needs_auth=False),
    Endpoint("POST", "/api/v1/files", read_file, summary="File", tags=THINGS, needs_auth=False,
             multipart=Upload),
    Endpoint("PUT", "/api/v1/picture", turn_picture, summary="Turn", tags=THINGS, needs_auth=False, binary=True,
             produces="image/*"),
    Endpoint("PUT", "/api/v1/upload", upload_thing, summary="Upload", tags=THINGS, needs_auth=False, internal=True),
)  # fmt: skip


class Hub:
    """The made-up app with the parts that a test looks at; `checks` may be changed while it runs."""

    def __init__(self, **table: Any) -> None:
        self.access = Access()
        self.metrics = Metrics()
        self.checks: dict[str, health.Check] = {}
        self.state = {"services": SimpleNamespace(access=self.access)}
        self.app = Starlette(
            routes=[
                *health.routes(self.checks),
                health.metrics(self.metrics.render, CONTENT_TYPE),
                RouteTable(ENTRIES, observe=self.metrics.observe_request, **table),
                Route("/plain", self._plain),
            ],
            exception_handlers=HANDLERS,
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield self.state

    async def _plain(self, request: Any) -> None:
        raise RuntimeError("hunter2")

    @contextlib.asynccontextmanager
    async def called(self) -> AsyncIterator[httpx2.AsyncClient]:
        """The same without a server between, for the many tests that look at answers only."""

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await self.app({**scope, "state": dict(self.state)}, receive, send)

        transport = httpx2.ASGITransport(with_state, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://hub", headers=OWNER) as client:
            yield client

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[httpx2.AsyncClient]:
        """The app under uvicorn on a free port, and a client of it that holds the owner's key."""
        listening = listener()
        config = uvicorn.Config(self.app, ws="none", log_config=None, proxy_headers=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
                headers=OWNER,
                trust_env=False,
                timeout=60,
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await running


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def make_hub() -> type[Hub]:
    return Hub


@pytest.fixture
def entries() -> tuple[Endpoint, ...]:
    return ENTRIES


@pytest.fixture
async def client(hub: Hub) -> AsyncIterator[httpx2.AsyncClient]:
    async with hub.called() as connected:
        yield connected


@pytest.fixture
async def wire(hub: Hub) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the app under uvicorn, where what the server makes of an answer matters."""
    async with hub.served() as connected:
        yield connected
