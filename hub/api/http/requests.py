"""From bytes to models: request bodies, forms and query strings, and the words for what is wrong with them.

Whatever passes here can be stored and sent back: no NUL characters (PostgreSQL keeps none), no integers beyond 63 bits
(SQLite's limit), no nesting that an encoder refuses, no number that JSON lacks.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from hub.domain import wording
from hub.domain.errors import BadRequest, Invalid, TooLarge, UnsupportedMedia

MAX_INTEGER: Final = 2**63 - 1
MAX_DEPTH: Final = 32  # levels; the deepest documented body has five
MAX_PARAMETERS: Final = 100  # of one query string or form; the busiest route has ten
BODY_S: Final = 30.0  # seconds for a whole body to arrive: 256 KiB over the slowest mobile link
IDLE_S: Final = 60.0  # seconds without a byte of a file: a mobile link between two cells takes less
SLOWEST: Final = 2_000  # bytes a second of a file, over any minute; less would hold a place among uploads for days

_SUSPECT = re.compile(rb"\\u0000|\d{19}")  # only bodies with one of these are searched value by value


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """The whole body, given up at the first byte beyond `limit`. Raises TooLarge, BadRequest, ClientDisconnect."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)
    if not declared and b"transfer-encoding" not in headers:
        return b""
    body = bytearray()
    more = True
    try:
        async with asyncio.timeout(BODY_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise BadRequest("The body did not arrive in time.", code="body_timeout") from None
    return bytes(body)


def declared_length(headers: Mapping[bytes, bytes]) -> int | None:
    """What Content-Length says; None without one, or where it is no number of bytes."""
    declared = headers.get(b"content-length", b"")
    return int(declared) if declared.isdigit() and len(declared) <= 18 else None


def is_multipart(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"multipart/form-data"


async def pieces(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> AsyncIterator[bytes]:
    """The body as it comes, for what is too large to be held. Raises TooLarge, BadRequest (nothing came for IDLE_S, or
    for longer less than SLOWEST: what came faster before is no credit), UnsupportedMedia, ClientDisconnect."""
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("Send the body without a content encoding.")
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)
    if not declared and b"transfer-encoding" not in headers:
        return
    received, more = 0, True
    clock = asyncio.get_running_loop().time
    deadline = clock() + IDLE_S
    while more:
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BadRequest("The body did not arrive in time.", code="body_timeout") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        received += len(piece)
        if received > limit:
            raise _too_large(limit)
        came = clock()
        yield piece
        deadline = min(deadline + len(piece) / SLOWEST, came + IDLE_S) + clock() - came  # our own disk's time is ours


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit:,} bytes.")


def parse_body(raw: bytes, headers: Mapping[bytes, bytes], *, form: bool) -> dict[str, Any]:
    """The body as an object: JSON, or a form where `form` allows one. An empty body is an empty object."""
    if not raw:
        return {}
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("Send the body without a content encoding.")
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json")):
        return _parse_json(raw)
    if form and kind == b"application/x-www-form-urlencoded":
        return dict(_pairs(raw.decode("utf-8", "replace"), "body"))
    raise UnsupportedMedia("Send the body as application/json.")


def check_type(headers: Mapping[bytes, bytes], kinds: Sequence[str]) -> None:
    """Raise UnsupportedMedia unless the body is of one of these content types."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if kind not in kinds or headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia(f"Send the body as {kinds[0]}, without a content encoding.")


def _parse_json(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except ValueError:  # a RecursionError cannot come: orjson counts its own levels
        raise BadRequest("The body is not valid JSON.", code="not_json") from None
    if not isinstance(document, dict):
        raise Invalid.field("body", "must be a JSON object")
    if _SUSPECT.search(raw) or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _refuse_unstorable(document)
    return document


def _refuse_unstorable(document: dict[str, Any]) -> None:
    todo: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, str):
            if "\0" in value:
                raise _unstorable(path, "must not contain NUL characters")
        elif isinstance(value, int | float):
            if abs(value) > MAX_INTEGER:  # an integer beyond 64 bits arrives here as a float
                raise _unstorable(path, "is out of range")
        elif isinstance(value, dict | list):
            if len(path) >= MAX_DEPTH:
                raise BadRequest(f"The body is nested more than {MAX_DEPTH} levels deep.", code="nested_too_deep")
            if isinstance(value, dict):
                if any("\0" in key for key in value):
                    raise _unstorable(path, "must not contain NUL characters")
                todo.extend(((*path, key), item) for key, item in value.items())
            else:
                todo.extend(((*path, index), item) for index, item in enumerate(value))


def _unstorable(path: tuple[str | int, ...], what: str) -> Invalid:
    name = wording.dotted(path) or "body"
    return Invalid.field(name, what)


def _pairs(text: str, where: str) -> list[tuple[str, str]]:
    """Names and values of a query string or form. A parameter left blank counts as absent."""
    try:
        pairs = parse_qsl(text, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise BadRequest(f"The {where} has more than {MAX_PARAMETERS} parameters.") from None
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise _unstorable((name.replace("\0", ""),), "must not contain NUL characters")
    return pairs


class NoParameters(BaseModel):
    """The query of a call that takes none."""

    model_config = ConfigDict(extra="forbid")


class QueryReader:
    """Reads query strings into `model`: the last of repeated parameters counts, unless the field is a list."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._lists = {
            field.alias or name for name, field in model.model_fields.items() if _takes_list(field.annotation)
        }

    def read(self, query_string: bytes, fallback: Mapping[str, Any]) -> BaseModel:
        """`fallback` has values for what the query string does not name."""
        values: dict[str, Any] = {}
        if query_string:
            for name, value in _pairs(query_string.decode("utf-8", "replace"), "query"):
                if name in self._lists:
                    values.setdefault(name, []).append(value)
                else:
                    values[name] = value
        return validated(self._model, {**fallback, **values})


def _takes_list(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return any(map(_takes_list, get_args(annotation)))
    return get_origin(annotation) is list


def validated(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """`values` as a `model`. Raises Invalid, with dotted names and a sentence for each fault."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise wording.invalid(error) from None
