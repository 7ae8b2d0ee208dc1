"""The route table: one entry says all there is to say about a call, and both the routing and the OpenAPI document are
made from it.

For each request, in this order: path (404), method (405), caller (401), scope (403), body size (413), body type (415),
body and query (400, 422), handler. Handlers get a Call, return an Answer and raise the errors of `hub.domain.errors`.
"""

import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from time import perf_counter
from typing import Any, Final

from pydantic import BaseModel
from starlette.datastructures import URLPath
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from hub.api import reading
from hub.api.answer import HEADERS, PREFLIGHT, Answer, Header, Owner, reply, wire
from hub.api.auth import Network, authenticate, client_address
from hub.api.errors import answer_for, answer_for_status, answer_for_unexpected
from hub.domain.access import SCOPES, Actor, ActorKind
from hub.domain.errors import BadRequest, Forbidden, HubError, PreconditionFailed

MAX_WAIT_S: Final = 30  # of `Prefer: wait=N`; proxies commonly cut a silent request at 60
MAX_BODY_BYTES: Final = 256 * 1024  # as much as a message of the player protocol
MAX_SEGMENT: Final = 200  # characters of a text in a path; our longest id has 30

OPERATORS: Final[frozenset[ActorKind]] = frozenset({"key", "user"})

_PARAMETER = re.compile(r"\{([a-z_]+)(:int)?\}")
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_VERSION = re.compile(r'(?:W/)?"v(\d{1,18})"')
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_RESOURCE: Final = "signalbox.resource"


@dataclass(slots=True)
class Call:
    """One request, read and authorised. `path`, `query` and `body` are as the entry declares them.

    `prefer_wait` is in seconds, 0 when the caller does not wait. `version` is the one that If-Match asks for.
    `address` is the caller's. `services` is what the lifespan yields as such.
    """

    endpoint: "Endpoint"
    scope: Scope
    receive: Receive
    services: Any
    path: dict[str, Any]
    caller: Actor | None
    address: str | None = None
    query: Any = None
    body: Any = None
    raw_body: bytes = b""
    prefer_wait: int = 0
    idempotency_key: str | None = None
    version: int | None = None

    @property
    def actor(self) -> Actor:
        """The caller. Only entries that need no credential have none, and must not ask."""
        assert self.caller is not None, f"{self.endpoint.method} {self.endpoint.path} takes anonymous calls"
        return self.caller

    @property
    def request(self) -> Request:
        """Starlette's view, for streams and cookies; where the entry has a body model, the body is already read."""
        return Request(self.scope, self.receive)

    @property
    def base_url(self) -> str:
        """The hub's address as this caller wrote it (`http://hub.local:8080`), for links in the answer."""
        host: bytes = dict(self.scope["headers"]).get(b"host", b"")
        if not _HOST.fullmatch(host):
            name, port = self.scope.get("server") or ("localhost", None)
            host = (f"{name}:{port}" if port else name).encode()
        return f"{self.scope.get('scheme', 'http')}://{host.decode()}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over method, path and body: the same Idempotency-Key with another one is a different request."""
        head = f"{self.scope['method']} {self.scope['path']}\n".encode()
        return hashlib.sha256(head + self.raw_body).hexdigest()


Handler = Callable[[Call], Awaitable[Answer | Response]]
Failure = Callable[[HubError], Answer]
Observe = Callable[[str, str, int, float], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One entry of the table. The handler's docstring is its description in the API reference.

    A handler answers JSON by an Answer; a stream or a file may be a Starlette Response.
    """

    method: str
    path: str
    """Segments are literal, `{name}` for a text or `{name:int}` for a positive integer; anything else is a 404."""
    handler: Handler
    _: KW_ONLY
    summary: str
    tags: tuple[str, ...]
    scope: str | None = None
    """What the caller must hold; None: any caller of the kinds in `callers`."""
    owner: Owner = "own"
    rate: str = "team"
    """Rate class, by name."""
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    query_in_body: bool = False
    """The parameters may also come as a JSON body, as Spot's samples send them; the query string wins per field."""
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=lambda: {200: None})
    errors: tuple[int, ...] = ()
    """Error statuses beside those that follow from the rest of the entry."""
    max_body_bytes: int = MAX_BODY_BYTES
    needs_auth: bool = True
    anonymous: bool = False
    """Without `needs_auth`: whoever brings a credential is known by it, and a bad one is refused."""
    callers: frozenset[ActorKind] = OPERATORS
    form: bool = False
    """The body may also be a form, as OAuth's calls are written."""
    waits: bool = False
    """Honours `Prefer: wait=N`."""
    idempotent: bool = False
    """Honours `Idempotency-Key`."""
    versioned: bool = False
    """Honours `If-Match`."""
    failure: Failure = answer_for
    """How an error is told; OAuth 2.0 has a form of its own."""
    deprecated: bool = False
    internal: bool = False
    """Left out of the OpenAPI document."""

    def __post_init__(self) -> None:
        """A mistake in an entry stops the start, not a request."""
        if self.scope is not None and self.scope not in SCOPES:
            raise ValueError(f"{self.method} {self.path}: there is no scope {self.scope}")
        if self.query_in_body and (self.query is None or self.body is not None):
            raise ValueError(f"{self.method} {self.path}: query_in_body takes a query model and no body model")
        for model in filter(None, (self.body, self.query)):
            if unbounded := reading.unbounded_fields(model):
                raise ValueError(f"{self.method} {self.path}: without limits: {', '.join(unbounded)}")

    @property
    def parameters(self) -> list[tuple[str, bool]]:
        """Path parameters in order, with whether each is an integer."""
        return [(name, kind == ":int") for name, kind in _PARAMETER.findall(self.path)]

    @property
    def template(self) -> str:
        """The path as OpenAPI and metrics write it."""
        return _PARAMETER.sub(r"{\1}", self.path)

    @property
    def description(self) -> str:
        return inspect.getdoc(self.handler) or ""


class _Prepared:
    """An entry with everything worked out that is the same for each request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.query = reading.QueryReader(endpoint.query) if endpoint.query else None

    async def read(self, scope: Scope, receive: Receive, path: dict[str, Any], trusted: Sequence[Network]) -> Call:
        """Everything up to the handler."""
        endpoint = self.endpoint
        headers: dict[bytes, bytes] = dict(scope["headers"])
        services = scope["state"]["services"]
        caller = None
        if endpoint.needs_auth or (endpoint.anonymous and b"authorization" in headers):
            caller = await authenticate(scope, headers, services, trusted)
            if caller.kind not in endpoint.callers:
                raise Forbidden
            caller.require(endpoint.scope)
        address = caller.address if caller else client_address(scope, headers, trusted)
        call = Call(endpoint, scope, receive, services, path, caller, address)
        document: dict[str, Any] = {}
        if endpoint.body is not None or endpoint.query_in_body:
            call.raw_body = await reading.read_body(receive, headers, endpoint.max_body_bytes)
            document = reading.parse_body(call.raw_body, headers, form=endpoint.form)
        if endpoint.body is not None:
            call.body = reading.validated(endpoint.body, document)
        if self.query is not None:
            call.query = self.query.read(scope["query_string"], document if endpoint.query_in_body else {})
        if endpoint.waits and b"prefer" in headers:
            call.prefer_wait = _preferred_wait(scope["headers"])
        if endpoint.versioned and (tag := headers.get(b"if-match")) is not None:
            call.version = _version(tag.decode("latin-1"))
        if endpoint.idempotent and (key := headers.get(b"idempotency-key")) is not None:
            call.idempotency_key = _idempotency_key(key.decode("latin-1"))
        return call


def _preferred_wait(headers: Iterable[Header]) -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most MAX_WAIT_S. A preference that cannot be read is no preference."""
    for name, value in headers:
        if name == b"prefer" and (found := _WAIT.search(value.decode("latin-1"))):
            return min(int(found[1]), MAX_WAIT_S)
    return 0


def _idempotency_key(key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key takes 1 to 255 printable ASCII characters.", code="bad_idempotency_key")
    return key


def etag(version: int) -> str:
    """The ETag of a version, as If-Match brings it back."""
    return f'"v{version}"'


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
        found = _PARAMETER.fullmatch(segment)
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
    return value if value <= reading.MAX_INTEGER else None


def _text(segment: str) -> str | None:
    return segment if 0 < len(segment) <= MAX_SEGMENT and segment.isprintable() else None


class RouteTable(BaseRoute):
    """All entries as one Starlette route. A tree of segments finds the entry, so the last costs what the first does.

    Doubled leading slashes and trailing ones are overlooked. `observe` is told of each answered request: path
    template, method, status, seconds. Services come from the lifespan state, under "services".
    """

    def __init__(
        self,
        entries: Iterable[Endpoint],
        *,
        trusted_proxies: Sequence[Network] = (),
        observe: Observe | None = None,
    ) -> None:
        self.entries = tuple(entries)
        self._trusted = tuple(trusted_proxies)
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
        for segment in scope["path"].strip("/").split("/"):
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
                continue
            value = _integer(segment) if node.integer else _text(segment)
            if node.parameter is None or value is None:
                return Match.NONE, {}
            values.append(value)
            node = node.parameter
        resource = node.resource
        if resource is None:
            return Match.NONE, {}
        path_params = dict(zip(resource.names, values, strict=True))
        return Match.FULL, {"endpoint": self, "path_params": path_params, _RESOURCE: resource}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        resource: _Resource = scope[_RESOURCE]
        method: str = scope["method"]
        head = method == "HEAD"
        prepared = resource.methods.get("GET" if head else method)
        owner = prepared.endpoint.owner if prepared else resource.owner
        try:
            answer, payload = await self._answer(prepared, resource, scope, receive)
        except ClientDisconnect:
            return
        if isinstance(answer, Response):
            for name, value in HEADERS[owner].items():
                if name != "content-type":
                    answer.headers.setdefault(name, value)
            await answer(scope, receive, send)
            status = answer.status_code
        else:
            await reply(send, answer, payload, self._headers[owner], head=head)
            status = answer.status
        if self._observe is not None:
            # Any other word is the caller's own, and would be a time series of its own.
            known = method if prepared or method == "OPTIONS" else "other"
            self._observe(resource.template, known, status, perf_counter() - started)

    async def _answer(
        self, prepared: _Prepared | None, resource: _Resource, scope: Scope, receive: Receive
    ) -> tuple[Answer | Response, bytes]:
        """The answer and its body in bytes, whatever happens."""
        answer: Answer | Response
        if prepared is None:
            if scope["method"] == "OPTIONS":
                return Answer(204, None, {"allow": resource.allow, **PREFLIGHT}), b""
            answer = answer_for_status(405, {"allow": resource.allow})
            return answer, answer.encoded()
        try:
            call = await prepared.read(scope, receive, scope["path_params"], self._trusted)
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
            answer = answer_for_unexpected(error, f"{scope['method']} {resource.template}")
        return answer, answer.encoded()
