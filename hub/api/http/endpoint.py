"""What an API is made of: one Endpoint says all there is to say about a call. Routing (`hub.api.http.routing`) and the
OpenAPI document (`hub.api.docs.openapi`) are both made from the list of them.

Handlers get a Call, return an Answer and raise the errors of `hub.domain.errors`.
"""

import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from hub.api.http.errors import answer_for
from hub.api.http.rate_limits import RateClass
from hub.api.http.responses import Answer, Owner
from hub.domain.access import SCOPES, Actor, ActorKind
from hub.domain.addresses import authority
from hub.domain.errors import HubError
from hub.services.container import Services

MAX_WAIT_S: Final = 30  # of `Prefer: wait=N`; proxies commonly cut a silent request at 60
MAX_BODY_BYTES: Final = 256 * 1024  # as much as a message of the player protocol
MAX_SEGMENT: Final = 200  # characters of a text in a path; our longest id has 30

OPERATORS: Final[frozenset[ActorKind]] = frozenset({"key", "user"})

PARAMETER = re.compile(r"\{([a-z_]+)(:int)?\}")
"""A path's `{name}` or `{name:int}`."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")


@dataclass(slots=True)
class Call:
    """One request, read and authorised. `path`, `query` and `body` are as the entry declares them.

    `prefer_wait` is in seconds, 0 when the caller does not wait. `version` is the one that If-Match asks for.
    `address` is the caller's. `services` is what the lifespan yields as such.
    """

    endpoint: "Endpoint"
    scope: Scope
    receive: Receive
    services: Services
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
            host = authority(name, port).encode()
        return f"{self.scope.get('scheme', 'http')}://{host.decode()}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over method, path and body: the same Idempotency-Key with another one is a different request."""
        head = f"{self.scope['method']} {self.scope['path']}\n".encode()
        return hashlib.sha256(head + self.raw_body).hexdigest()


Handler = Callable[[Call], Awaitable[Answer | Response]]
Failure = Callable[[HubError], Answer]


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
    rate: RateClass | None = None
    """Rate class; None: what the owner's document says."""
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    query_in_body: bool = False
    """The parameters may also come as a JSON body, as Spot's samples send them; the query string wins per field."""
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=lambda: {200: None})
    errors: tuple[int, ...] = ()
    """Error statuses beside those that follow from the rest of the entry."""
    produces: str | None = None
    """Content type of a success that is no JSON, such as `image/*`; beside an answer's model, what `Accept` may ask
    for instead."""
    max_body_bytes: int = MAX_BODY_BYTES
    needs_auth: bool = True
    anonymous: bool = False
    """Without `needs_auth`: whoever brings a credential is known by it, and a bad one is refused."""
    callers: frozenset[ActorKind] = OPERATORS
    form: bool = False
    """The body may also be a form, as OAuth's calls are written."""
    multipart: type[BaseModel] | None = None
    """The body may also be multipart/form-data, with these texts and a part `file`: see hub.api.http.forms. `call.body`
    is then None and the handler reads the form."""
    texts: tuple[str, ...] = ()
    """The body is a text of one of these content types, which the handler reads from `call.raw_body`."""
    binary: bool = False
    """The body is a file, which the handler reads as a stream."""
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

    @property
    def rate_class(self) -> RateClass:
        if self.rate is not None:
            return self.rate
        match self.owner:
            case "own" | "spot":
                return "spot.plan"
            case "adcast":
                return "adcast.token"
            case "hangar":
                return "hangar.default"
            case "hangar_media":
                return "hm.read" if self.method == "GET" else "hm.write"

    @property
    def refuses_parameters(self) -> bool:
        """Takes no query parameters, and says so; other APIs overlook them, and OAuth must (RFC 6749, 3.1)."""
        return self.query is None and self.owner == "own" and not self.path.startswith(("/oauth/", "/.well-known/"))

    @property
    def parameters(self) -> list[tuple[str, bool]]:
        """Path parameters in order, with whether each is an integer."""
        return [(name, kind == ":int") for name, kind in PARAMETER.findall(self.path)]

    @property
    def template(self) -> str:
        """The path as OpenAPI and metrics write it."""
        return PARAMETER.sub(r"{\1}", self.path)

    @property
    def description(self) -> str:
        return inspect.getdoc(self.handler) or ""


def etag(version: int) -> str:
    """The ETag of a version, as If-Match brings it back."""
    return f'"v{version}"'
