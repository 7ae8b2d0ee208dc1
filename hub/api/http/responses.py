"""What a handler gives back, and the headers each kind of route puts on every answer, errors included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Send

Owner = Literal["own", "spot", "adcast", "hangar", "hangar_media"]
"""Whose document describes a route. It decides the headers, per route and never per prefix."""

_COMMON: Final = {
    "content-type": "application/json",
    "x-api-version": "1.2",
    "x-content-type-options": "nosniff",
    # Any origin: callers prove themselves by a header that no browser sends by itself, never by an ambient cookie.
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-api-version, "
    "retry-after, preference-applied, location, etag, content-range",
}

HEADERS: Final[Mapping[Owner, Mapping[str, str]]] = {
    "own": {"cache-control": "no-store", **_COMMON},
    "spot": {"cache-control": "no-cache, private", **_COMMON},
    "adcast": {"cache-control": "no-cache, private", **_COMMON},
    "hangar": {"cache-control": "no-store", **_COMMON},
    "hangar_media": {"cache-control": "no-cache, private", **_COMMON},
}

PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "Authorization, Content-Type, Accept, Idempotency-Key, Prefer, If-Match, "
    "If-None-Match, Last-Event-ID, Range",
    "access-control-max-age": "86400",  # seconds; the longest any browser honours
}

Header = tuple[bytes, bytes]
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Answer:
    """One JSON answer. `body` is what is sent: an object, a list, a shape, or None for an empty body.

    `headers` (lower case names) are added to the owner's, or stand in for one of the same name.
    """

    status: int = 200
    body: dict[str, Any] | list[Any] | BaseModel | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, BaseModel):
            return self.body.__pydantic_serializer__.to_json(self.body, by_alias=True)
        return orjson.dumps(self.body)


def wire(headers: Mapping[str, str]) -> list[Header]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def reply(send: Send, answer: Answer, payload: bytes, owner_headers: Sequence[Header], *, head: bool) -> None:
    """Send `answer`, whose body is `payload`; for HEAD everything but the body."""
    headers = list(owner_headers)
    if answer.headers:
        own = wire(answer.headers)
        replaced = {name for name, _ in own}
        headers = [header for header in headers if header[0] not in replaced] + own
    if answer.status in _BODILESS:
        payload = b""
        headers = [header for header in headers if header[0] != b"content-type"]
    else:
        headers.append((b"content-length", b"%d" % len(payload)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else payload})


def as_response(answer: Answer, owner: Owner = "own") -> Response:
    """The same for places where Starlette wants a Response."""
    return Response(answer.encoded(), answer.status, {**HEADERS[owner], **answer.headers})
