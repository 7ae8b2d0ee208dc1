"""The route table: from a request to the entry that answers it, and from whatever happens there to an answer.

For each request, in this order: path (404), method (405), caller (401), rate (429), scope (403), body size (413), body
type (415), body and query (400, 422), handler.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any, Final

from starlette.datastructures import URLPath
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from hub.api.http import requests
from hub.api.http.auth import authenticate, client_address
from hub.api.http.endpoint import MAX_SEGMENT, MAX_WAIT_S, PARAMETER, Call, Endpoint
from hub.api.http.errors import answer_for, answer_for_status, answer_for_unexpected
from hub.api.http.paths import plain
from hub.api.http.rate_limits import UNKNOWN_BODY_BYTES, Bodies, RateClass, RateLimiter
from hub.api.http.rate_limits import headers as pacing_headers
from hub.api.http.responses import HEADERS, PREFLIGHT, Answer, Header, Owner, reply, wire
from hub.client_address import NO_PROXIES, TrustedProxies
from hub.domain import text
from hub.domain.access import Actor
from hub.domain.errors import BadRequest, Forbidden, HubError, PreconditionFailed, TooMany, Unauthenticated
from hub.domain.ratelimit import Standing
from hub.domain.times import now_ms

RESOURCE: Final = "signalbox.resource"
"""Where a matched scope keeps its path's entries."""

_PREFIXES: Final = frozenset({"api", "v1"})
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_VERSION = re.compile(r'(?:W/)?"v(\d{1,18})"')

Observe = Callable[[str, str, int, float], None]


class _Prepared:
    """An entry with everything worked out that is the same for each request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        query = endpoint.query or (requests.NoParameters if endpoint.refuses_parameters else None)
        self.query = requests.QueryReader(query) if query else None
        self.rate = endpoint.rate_class

    async def read(self, scope: Scope, receive: Receive, turn: "_Turn") -> Call:
        """Everything up to the handler."""
        endpoint = self.endpoint
        headers: dict[bytes, bytes] = dict(scope["headers"])
        services = scope["state"]["services"]
        caller = None
        if endpoint.needs_auth or (endpoint.anonymous and b"authorization" in headers):
            try:
                caller = await authenticate(headers, services, turn.address)
            except Unauthenticated:
                turn.take(self.rate)
                raise
        turn.take("adcast.network" if self.rate == "adcast.player" else self.rate, caller)
        if caller is not None:
            if caller.kind not in endpoint.callers:
                raise Forbidden
            caller.require(endpoint.scope)
        call = Call(endpoint, scope, receive, services, scope["path_params"], caller, turn.address)
        if self.rate != "adcast.player":
            await self._read_input(call, headers, turn)
            return call
        try:  # the device names itself in its input
            await self._read_input(call, headers, turn)
        except HubError:
            turn.take(self.rate)
            raise
        turn.take(self.rate, device=getattr(call.body or call.query, "uuid", None))
        return call

    async def _read_body(self, call: Call, headers: Mapping[bytes, bytes], turn: "_Turn") -> bytes:
        if call.caller is not None:
            return await requests.read_body(call.receive, headers, self.endpoint.max_body_bytes)
        with turn.bodies.place(turn.address):
            return await requests.read_body(
                call.receive, headers, min(UNKNOWN_BODY_BYTES, self.endpoint.max_body_bytes)
            )

    async def _read_input(self, call: Call, headers: Mapping[bytes, bytes], turn: "_Turn") -> None:
        endpoint, scope = self.endpoint, call.scope
        document: dict[str, Any] = {}
        streamed = endpoint.multipart is not None and requests.is_multipart(headers)
        if (endpoint.body is not None or endpoint.query_in_body) and not streamed:
            call.raw_body = await self._read_body(call, headers, turn)
            document = requests.parse_body(call.raw_body, headers, form=endpoint.form)
        if endpoint.texts:
            call.raw_body = await self._read_body(call, headers, turn)
            requests.check_type(headers, endpoint.texts)
        if endpoint.body is not None and not streamed:
            call.body = requests.validated(endpoint.body, document)
        if self.query is not None:
            call.query = self.query.read(scope["query_string"], document if endpoint.query_in_body else {})
        if endpoint.waits and b"prefer" in headers:
            call.prefer_wait = _preferred_wait(scope["headers"])
            if call.caller is not None and (left_s := call.services.access.left_s(call.caller)) is not None:
                call.prefer_wait = min(call.prefer_wait, int(left_s))  # nobody waits beyond the end of their credential
        if endpoint.versioned and (tag := headers.get(b"if-match")) is not None:
            call.version = _version(tag.decode("latin-1"))
        if endpoint.idempotent and (key := headers.get(b"idempotency-key")) is not None:
            call.idempotency_key = _idempotency_key(key.decode("latin-1"))


class _Turn:
    """The place of one request in the rate limits: counted once, and told with whatever is answered."""

    def __init__(self, pacing: RateLimiter | None, bodies: Bodies, scope: Scope, proxies: TrustedProxies) -> None:
        self._pacing = pacing
        self.bodies = bodies
        self._standing: Standing | None = None
        self.address = client_address(scope, proxies)

    def take(self, rate: RateClass, caller: Actor | None = None, *, device: str | None = None) -> None:
        """Raises TooMany when it is not this caller's turn."""
        if self._pacing is None:
            return
        self._standing = self._pacing.take(rate, caller, self.address, now_ms(), device=device)
        if self._standing.retry_after:
            raise TooMany(retry_after=self._standing.retry_after)

    def headers(self) -> list[Header]:
        if self._pacing is None:
            return []
        # Not counted: a preflight, and what failed before its caller was known.
        standing = self._standing or self._pacing.take("hm.standard", None, self.address, now_ms(), cost=0)
        return pacing_headers(standing)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield  # what makes it an iterator


def _preferred_wait(headers: Iterable[Header]) -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most MAX_WAIT_S. A preference that cannot be read is no preference."""
    for name, value in headers:
        if name == b"prefer" and (found := _WAIT.search(value.decode("latin-1"))):
            return min(int(found[1]), MAX_WAIT_S)
    return 0


def _waiting(call: Call) -> AbstractContextManager[None]:
    """The place that a call has which waits. Raises TooMany, Unavailable."""
    if not call.prefer_wait or call.caller is None:
        return nullcontext()
    place: AbstractContextManager[None] = call.services.waits.taking(call.actor.team_id, call.actor.plan)
    return place


def _idempotency_key(key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key takes 1 to 255 printable ASCII characters.", code="bad_idempotency_key")
    return key


def _version(tag: str) -> int | None:
    """The version that If-Match names; None: any. What is none of our ETags fits nothing."""
    if tag.strip() == "*":
        return None
    found = _VERSION.fullmatch(tag.strip())
    if found is None:
        raise PreconditionFailed
    return int(found[1])


class _Resource:
    """One path with its methods."""

    def __init__(self, first: Endpoint) -> None:
        self.template = first.template
        self.names = [name for name, _ in first.parameters]
        self.owner = first.owner
        self.methods: dict[str, _Prepared] = {}

    def add(self, endpoint: Endpoint) -> None:
        if endpoint.method in self.methods or endpoint.template != self.template:
            raise ValueError(f"{endpoint.method} {endpoint.path}: the table already has {self.template} there")
        self.methods[endpoint.method] = _Prepared(endpoint)

    @property
    def allow(self) -> str:
        return ", ".join([*self.methods, *(["HEAD"] if "GET" in self.methods else []), "OPTIONS"])


class _Node:
    """A place in the tree of paths: literal segments first, then at most one parameter."""

    __slots__ = ("integer", "literals", "parameter", "resource")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.integer = False
        self.resource: _Resource | None = None

    def child(self, segment: str) -> "_Node":
        """The place one segment further, made when there is none."""
        found = PARAMETER.fullmatch(segment)
        if found is None:
            return self.literals.setdefault(segment, _Node())
        integer = found[2] is not None
        if self.parameter is None:
            self.parameter, self.integer = _Node(), integer
        elif self.integer != integer:
            raise ValueError(f"{segment} is an integer in one path and a text in another")
        return self.parameter


def _integer(segment: str) -> int | None:
    if not (segment.isascii() and segment.isdigit() and len(segment) <= 19):
        return None
    value = int(segment)
    return value if value <= requests.MAX_INTEGER else None


def _text(segment: str) -> str | None:
    return segment if 0 < len(segment) <= MAX_SEGMENT and text.is_line(segment) else None


class RouteTable(BaseRoute):
    """All entries as one Starlette route. A tree of segments finds the entry, so the last costs what the first does.

    Paths are read as `plain` has it. Without `pacing` there are no rate limits. `observe` is told of each answered
    request: path template, method, status, seconds. Services come from the lifespan state, under "services". What
    nobody serves under the prefixes of the API is answered here too, as a path of its own.
    """

    def __init__(
        self,
        entries: Iterable[Endpoint],
        *,
        proxies: TrustedProxies = NO_PROXIES,
        pacing: RateLimiter | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.entries = tuple(entries)
        self._proxies = proxies
        self._pacing = pacing
        self._bodies = Bodies()
        self._observe = observe
        self._headers = {owner: wire(headers) for owner, headers in HEADERS.items()}
        self._root = _Node()
        for entry in self.entries:
            node = self._root
            for segment in entry.path[1:].split("/"):
                node = node.child(segment)
            node.resource = node.resource or _Resource(entry)
            node.resource.add(entry)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        node = self._root
        values: list[int | str] = []
        segments = plain(scope["path"])[1:].split("/")
        nowhere = (Match.FULL, {"endpoint": self, RESOURCE: None}) if segments[0] in _PREFIXES else (Match.NONE, {})
        for segment in segments:
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
                continue
            value = _integer(segment) if node.integer else _text(segment)
            if node.parameter is None or value is None:
                return nowhere
            values.append(value)
            node = node.parameter
        resource = node.resource
        if resource is None:
            return nowhere
        path_params = dict(zip(resource.names, values, strict=True))
        return Match.FULL, {"endpoint": self, "path_params": path_params, RESOURCE: resource}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        resource: _Resource | None = scope[RESOURCE]
        method: str = scope["method"]
        head = method == "HEAD"
        prepared = resource.methods.get("GET" if head else method) if resource else None
        owner: Owner = prepared.endpoint.owner if prepared else resource.owner if resource else "own"
        turn = _Turn(self._pacing, self._bodies, scope, self._proxies)
        try:
            answer, payload = await self._answer(prepared, resource, scope, receive, turn)
        except ClientDisconnect:
            return
        if isinstance(answer, Response):
            for name, value in HEADERS[owner].items():
                if name != "content-type":
                    answer.headers.setdefault(name, value)
            answer.raw_headers.extend(turn.headers())
            if head and isinstance(answer, StreamingResponse):  # do not read a whole file only to throw it away
                answer.body_iterator = _nothing()
            await answer(scope, receive, send)
            status = answer.status_code
        else:
            await reply(send, answer, payload, [*self._headers[owner], *turn.headers()], head=head)
            status = answer.status
        if self._observe is not None:
            # Any other word is the caller's own, and would be a time series of its own.
            known = method if prepared or method == "OPTIONS" else "other"
            self._observe(resource.template if resource else "nowhere", known, status, perf_counter() - started)

    async def _answer(
        self,
        prepared: _Prepared | None,
        resource: _Resource | None,
        scope: Scope,
        receive: Receive,
        turn: _Turn,
    ) -> tuple[Answer | Response, bytes]:
        """The answer and its body in bytes, whatever happens."""
        answer: Answer | Response
        if prepared is None:
            answer = self._unserved(resource, scope["method"], turn)
            return answer, answer.encoded()
        try:
            call = await prepared.read(scope, receive, turn)
            with _waiting(call):
                answer = await prepared.endpoint.handler(call)
            if isinstance(answer, Response):
                return answer, b""
            if call.prefer_wait:
                answer = Answer(
                    answer.status, answer.body, {**answer.headers, "preference-applied": f"wait={call.prefer_wait}"}
                )
            return answer, answer.encoded()
        except HubError as error:
            answer = prepared.endpoint.failure(error)
        except ClientDisconnect:
            raise
        except Exception as error:
            answer = answer_for_unexpected(error, f"{scope['method']} {prepared.endpoint.template}")
        return answer, answer.encoded()

    @staticmethod
    def _unserved(resource: _Resource | None, method: str, turn: _Turn) -> Answer:
        if resource is not None and method == "OPTIONS":
            return Answer(204, None, {"allow": resource.allow, **PREFLIGHT})
        try:
            turn.take("hm.standard")
        except HubError as error:
            return answer_for(error)
        return answer_for_status(404) if resource is None else answer_for_status(405, {"allow": resource.allow})
