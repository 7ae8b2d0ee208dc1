"""The OpenAPI 3.1 document, made from the route table and served at /openapi.json."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson
from pydantic import BaseModel
from pydantic.json_schema import CoreModeRef, CoreRef, DefsRef, GenerateJsonSchema, JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.api.docs.examples import sample
from hub.api.http.endpoint import MAX_SEGMENT, MAX_WAIT_S, Endpoint
from hub.api.http.requests import MAX_INTEGER
from hub.domain.access import SCOPES
from hub.domain.errors import (
    Conflict,
    Gone,
    HubError,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooLarge,
    TooMany,
    Unavailable,
    UnsupportedMedia,
)

_Refs = Mapping[Any, dict[str, Any]]
"""A reference for each model and mode; pydantic types the key more widely than we use it."""

_ERROR_SCHEMA: Final = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "For programs; absent on 401."},
        "errors": {
            "type": "object",
            "description": "On 422: the wrong fields by dotted name, with a sentence for each fault.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}

_BYTES: Final = {"type": "string", "format": "binary"}

_HEADERS: Final = {
    "X-RateLimit-Limit": {
        "description": "Requests that may come at once after a pause.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "Requests that may come at once now.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-RateLimit-Reset": {
        "description": "When all of them may come again: Unix time in seconds.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "ETag": {
        "description": "The version, for If-Match and If-None-Match.",
        "schema": {"type": "string"},
    },
}


def _headers(*more: str) -> dict[str, Any]:
    """References to what every answer carries, and to `more`."""
    names = [name for name in _HEADERS if name.startswith("X-")]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, *more)}


_SECURITY: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, an account token (`12|...`), an access token of OAuth 2.0 or a JWT. Scopes:\n\n"
        + "\n".join(f"- `{scope}`: {meaning}" for scope, meaning in SCOPES.items()),
    },
    "oauth2": {
        "type": "oauth2",
        "description": "For programs of third parties: the authorization code grant with PKCE (S256).",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": "/oauth/authorize",
                "tokenUrl": "/oauth/token",
                "refreshUrl": "/oauth/token",
                "scopes": SCOPES,
            }
        },
    },
    "jwt": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The JWT of `POST /api/v1/authenticate`, as `Bearer <jwt>`, `HangarAuth <jwt>` or alone.",
    },
    "player": {"type": "http", "scheme": "bearer", "description": "The token of a player, which it got by pairing."},
}


_FACE = re.compile(r"^hub\.api\.(adcast|hangar|hangar_media)\.\w+\.")
_FACES: Final = {"adcast": "AdCast", "hangar": "Hangar", "hangar_media": "HangarMedia"}
_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")

_GROUPS: Final = {
    "own": "Signalbox and Spot (/api/v1)",
    "spot": "Signalbox and Spot (/api/v1)",
    "adcast": "AdCast (/api)",
    "hangar_media": "Hangar.Media (/v1)",
    "hangar": "Hangar (/api/v1)",
}


class _Error(NamedTuple):
    name: str
    description: str
    example: dict[str, Any]
    headers: dict[str, Any] = _headers()


def _documented(error: type[HubError], name: str, description: str) -> _Error:
    headers = _headers("Retry-After") if error.status in (429, 503) else _headers()
    return _Error(name, description, {"message": error.message, "code": error.code}, headers)


_ERRORS: Final[dict[int, _Error]] = {
    400: _Error(
        "BadRequest", "The request cannot be read.", {"message": "The body is not valid JSON.", "code": "not_json"}
    ),
    401: _Error(
        "Unauthenticated",
        "No credential, or one that is unknown, expired or revoked.",
        {"message": "Unauthenticated."},
        {**_headers(), "WWW-Authenticate": {"schema": {"type": "string"}}},
    ),
    403: _Error(
        "Forbidden",
        "The caller lacks the right.",
        {"message": "This API key lacks the required scope: read:players.", "code": "missing_scope"},
    ),
    404: _documented(NotFound, "NotFound", "Unknown, deleted, or another team's."),
    409: _documented(Conflict, "Conflict", "This contradicts what is stored."),
    410: _documented(Gone, "Gone", "This was here, and is over."),
    412: _documented(PreconditionFailed, "PreconditionFailed", "The stored version is another one."),
    413: _documented(TooLarge, "TooLarge", "Over a documented limit."),
    415: _documented(UnsupportedMedia, "UnsupportedMedia", "A content type that this call does not read."),
    422: _Error(
        "Invalid",
        "Readable, but a field is wrong.",
        {
            "message": Invalid.message,
            "code": Invalid.code,
            "errors": {"name": ["The name field is required."]},
        },
    ),
    429: _documented(TooMany, "TooMany", "Too many requests."),
    503: _documented(Unavailable, "Unavailable", "The hub cannot do this right now; nothing was changed."),
}

_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "description": f"`wait=N` (RFC 7240): wait up to N seconds, at most {MAX_WAIT_S}, for the final state.",
    "schema": {"type": "string", "examples": ["wait=10"]},
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Repeats with the same key get the first answer again, for 24 hours; with another body, a 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of the version that was read: refuses (412) to overwrite a newer one.",
    "schema": {"type": "string", "examples": ['"v3"']},
}


class _Named(GenerateJsonSchema):
    """A model is named as its class, and behind the name of its API where that is not ours: `AdCastPlaylist`.
    `One[Player]` is `OnePlayer`. Letters and digits only: generators of clients make a class of each."""

    def get_defs_ref(self, core_mode_ref: CoreModeRef) -> DefsRef:
        ref, mode = core_mode_ref
        own = _FACE.sub(lambda found: f"{found[0]}{_FACES[found[1]]}", ref)
        return super().get_defs_ref((CoreRef(own), mode))

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def normalize_name(self, name: str) -> str:
        return re.sub(r"[^A-Za-z0-9]", "", name)


def document(entries: Iterable[Endpoint], *, title: str, version: str, description: str = "") -> dict[str, Any]:
    """The document for all entries that are not internal. Raises ValueError on two calls or two
    models of one name."""
    public = [entry for entry in entries if not entry.internal]
    models = {model: None for entry in public for model in _models(entry)}
    refs, definitions = models_json_schema(
        list(models), ref_template="#/components/schemas/{model}", schema_generator=_Named
    )
    schemas = definitions.get("$defs", {})
    _check_names(schemas)
    for schema in schemas.values():
        schema.pop("title", None)  # the class's name again, without the face: generators would take that one
    paths: dict[str, dict[str, Any]] = {}
    names: set[str] = set()
    for entry in public:
        operation = _operation(entry, refs)
        if operation["operationId"] in names:
            raise ValueError(f"two public calls are named {operation['operationId']}")
        names.add(operation["operationId"])
        paths.setdefault(entry.template, {})[entry.method.lower()] = operation
    groups: dict[str, list[str]] = {}
    for entry in public:
        group = groups.setdefault(_group(entry), [])
        group += [tag for tag in entry.tags if not any(tag in tags for tags in groups.values())]
    _exemplify(paths, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tags in groups.values() for tag in tags],
        "x-tagGroups": [{"name": name, "tags": tags} for name, tags in groups.items()],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR_SCHEMA, **schemas},
            "headers": _HEADERS,
            "responses": {error.name: _error_response(error) for error in _ERRORS.values()},
            "securitySchemes": _SECURITY,
        },
    }


def _check_names(schemas: Iterable[str]) -> None:
    """Raise ValueError where pydantic had to tell two models apart by their module or direction, or their names differ
    by case alone."""
    seen = {"error"}  # the shape of all errors
    for name in schemas:
        if not _NAME.fullmatch(name) or name.lower() in seen:
            raise ValueError(f"two models in the document have one name: {name}")
        seen.add(name.lower())


def _group(entry: Endpoint) -> str:
    if entry.path.startswith(("/oauth/", "/.well-known/")):
        return "OAuth 2.0"
    return _GROUPS[entry.owner]


def _exemplify(paths: dict[str, dict[str, Any]], schemas: Mapping[str, Any]) -> None:
    """Give every body and answer of JSON an example."""
    for operations in paths.values():
        for operation in operations.values():
            for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
                for kind, media in holder.get("content", {}).items():
                    if "json" in kind and "example" not in media:
                        media["example"] = sample(media["schema"], schemas)


def route(content: Callable[[], dict[str, Any]]) -> Route:
    """/openapi.json, the same bytes for everyone, made when somebody asks first."""
    headers = {
        "content-type": "application/json",
        "cache-control": "public, max-age=60",
        "access-control-allow-origin": "*",
    }

    @cache
    def payload() -> bytes:
        return orjson.dumps(content())

    async def openapi(request: Request) -> Response:
        return Response(await asyncio.to_thread(payload), headers=headers)

    return Route("/openapi.json", openapi)


def _models(entry: Endpoint) -> Iterable[tuple[type[BaseModel], JsonSchemaMode]]:
    if entry.body is not None:
        yield entry.body, "validation"
    if entry.query is not None and entry.query_in_body:
        yield entry.query, "validation"
    for answer in entry.answers.values():
        if answer is not None:
            yield answer, "serialization"


def _operation(entry: Endpoint, refs: _Refs) -> dict[str, Any]:
    paragraphs = [entry.description] if entry.description else []
    if entry.scope is not None:
        paragraphs.append(f"Requires the scope `{entry.scope}`.")
    operation: dict[str, Any] = {
        "operationId": _name(entry),
        "summary": entry.summary,
        "description": "\n\n".join(paragraphs),
        "tags": list(entry.tags),
        "parameters": list(_parameters(entry)),
        "responses": _responses(entry, refs),
        "security": list(_security(entry)),
    }
    if entry.scope is not None:
        operation["x-required-scope"] = entry.scope
    if entry.deprecated:
        operation["deprecated"] = True
    if entry.body is not None:
        schema: dict[str, Any] = {"schema": refs[entry.body, "validation"]}
        kinds = ["application/json", *(["application/x-www-form-urlencoded"] if entry.form else [])]
        required = any(field.is_required() for field in entry.body.model_fields.values())
        operation["requestBody"] = {"required": required, "content": dict.fromkeys(kinds, schema)}
    if entry.multipart is not None:
        form = entry.multipart.model_json_schema()
        form["properties"]["file"] = {**_BYTES, "description": "The file itself."}
        body = operation.setdefault("requestBody", {"required": True, "content": {}})
        body["content"]["multipart/form-data"] = {"schema": form}
    if entry.texts:
        texts = {kind: {"schema": {"type": "string"}} for kind in entry.texts}
        operation["requestBody"] = {"required": True, "content": texts}
    if entry.binary:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": _BYTES}}}
    if entry.query is not None and entry.query_in_body:
        operation["requestBody"] = {
            "description": "The query parameters, each of which may come here instead. The query string wins.",
            "required": False,
            "content": {"application/json": {"schema": refs[entry.query, "validation"]}},
        }
    return operation


def _name(entry: Endpoint) -> str:
    """The handler's name; in the other faces, which have calls of the same name, `face_file_handler`."""
    name = getattr(entry.handler, "__name__", "")
    if entry.owner in ("own", "spot"):
        return name
    return f"{entry.owner}_{entry.handler.__module__.rpartition('.')[2]}_{name}"


def _security(entry: Endpoint) -> Iterable[dict[str, list[str]]]:
    if entry.needs_auth or entry.anonymous:
        if "key" in entry.callers or "user" in entry.callers:
            yield {"bearer": []}
            yield {"jwt": []} if entry.owner == "hangar" else {"oauth2": [entry.scope] if entry.scope else []}
        if "player" in entry.callers:
            yield {"player": []}
    if entry.anonymous:
        yield {}


def _parameters(entry: Endpoint) -> Iterable[dict[str, Any]]:
    for name, integer in entry.parameters:
        kind: dict[str, Any] = (
            {"type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_INTEGER}
            if integer
            else {"type": "string", "minLength": 1, "maxLength": MAX_SEGMENT}
        )
        yield {"name": name, "in": "path", "required": True, "schema": kind}
    if entry.query is not None:
        schema = entry.query.model_json_schema()
        if "$defs" in schema:
            raise ValueError(f"{entry.method} {entry.path}: query parameters are plain values or lists of them")
        required = schema.get("required", [])
        for name, kind in schema["properties"].items():
            needed = name in required and not entry.query_in_body
            parameter = {"name": name, "in": "query", "required": needed}
            if "description" in kind:
                parameter["description"] = kind["description"]
            yield {**parameter, "schema": {k: v for k, v in kind.items() if k not in ("title", "description")}}
    if entry.waits:
        yield _PREFER
    if entry.idempotent:
        yield _IDEMPOTENCY_KEY
    if entry.versioned:
        yield _IF_MATCH


def _responses(entry: Endpoint, refs: _Refs) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, model in entry.answers.items():
        headers = _headers("ETag") if model is not None and _versioned(model) else _headers()
        responses[str(status)] = {"description": f"{HTTPStatus(status).phrase}.", "headers": headers}
        if model is not None:
            responses[str(status)]["content"] = {"application/json": {"schema": refs[model, "serialization"]}}
        if entry.produces is not None and status < 300:
            responses[str(status)].setdefault("content", {})[entry.produces] = {"schema": _BYTES}
    for status in sorted(_error_statuses(entry) - entry.answers.keys()):
        responses[str(status)] = (
            {"$ref": f"#/components/responses/{_ERRORS[status].name}"}
            if status in _ERRORS
            else _error_response(_Error("", f"{HTTPStatus(status).phrase}.", {"message": HTTPStatus(status).phrase}))
        )
    return responses


def _versioned(model: type[BaseModel]) -> bool:
    """Whether this is one thing with a version, which its answer tells as an ETag."""
    data = model.model_fields.get("data")
    return data is not None and "version" in getattr(data.annotation, "model_fields", ())


def _error_statuses(entry: Endpoint) -> set[int]:
    """What an entry can fail with: follows from what it reads, and what it says itself."""
    statuses = {429, 503, *entry.errors}
    if entry.needs_auth:
        statuses |= {401, 403}
    if entry.anonymous:
        statuses.add(401)
    if entry.parameters:
        statuses.add(404)
    if entry.query is not None or entry.refuses_parameters:
        statuses |= {400, 422}
    if entry.body is not None or entry.query_in_body or entry.multipart is not None or entry.binary:
        statuses |= {400, 413, 415, 422}
    if entry.idempotent:
        statuses |= {400, 409}
    if entry.versioned:
        statuses.add(412)
    if 201 in entry.answers:  # a quota of what it makes may be used up
        statuses.add(409)
    return statuses


def _error_response(error: _Error) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        "description": error.description,
        "headers": error.headers,
        "content": {"application/json": {"schema": schema, "example": error.example}},
    }
