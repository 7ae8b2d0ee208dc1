"""JSON Schema (2020-12) of every message and one AsyncAPI 3.0 document, made from the message models.

`python -m hub.protocol.schema` prints the AsyncAPI document. What JSON Schema cannot say, the decoder checks beyond it:
that a time exists (`format` only annotates), that a journal entry's result is for its own id, how deep free objects
nest, and the size of the frame.
"""

import dataclasses
import json
from collections.abc import Callable
from inspect import cleandoc
from typing import Annotated, Any, Literal, get_args, get_origin

from hub.protocol.checks import model_fields
from hub.protocol.codec import CHUNK_BYTES, HUB_TO_PLAYER, MAX_TEXT_BYTES, PLAYER_TO_HUB
from hub.protocol.fields import MAX_SAFE_NUMBER, Bytes, Many, Number, Text, Whole
from hub.protocol.messages import JournalEntry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUBPROTOCOL = "signalbox.v1"

Schema = dict[str, Any]
Refer = Callable[[str], str]

_NO_NUL = r"^[^\u0000]*$"

_JSON: Schema = {
    "description": "Any JSON value, its numbers within 2^53 - 1 of 0, without NUL in its strings.",
    "type": ["null", "boolean", "number", "string", "array", "object"],
    "minimum": -MAX_SAFE_NUMBER,
    "maximum": MAX_SAFE_NUMBER,
    "pattern": _NO_NUL,
    "propertyNames": {"pattern": _NO_NUL},
}


def message_schema(cls: type[Any]) -> Schema:
    """The self-contained schema of one message; unknown fields are allowed, an optional field may be null."""
    parts: dict[str, Schema] = {}
    schema = _object(cls, parts, lambda name: f"#/$defs/{name}")
    return {"$schema": DIALECT, "title": cls.__name__, **schema, **({"$defs": parts} if parts else {})}


def message_schemas() -> dict[str, dict[str, Schema]]:
    """{"player_to_hub": {type: schema}, "hub_to_player": {type: schema}}."""
    return {
        "player_to_hub": {name: message_schema(cls) for name, cls in PLAYER_TO_HUB.items()},
        "hub_to_player": {name: message_schema(cls) for name, cls in HUB_TO_PLAYER.items()},
    }


def asyncapi() -> Schema:
    """The whole protocol as one AsyncAPI 3.0 document, told from the hub's side (it receives what players send)."""
    parts: dict[str, Schema] = {}
    messages: dict[str, Schema] = {}
    channel: dict[str, Schema] = {}
    directions: dict[str, list[Schema]] = {"receive": [], "send": []}
    for action, catalogue in (("receive", PLAYER_TO_HUB), ("send", HUB_TO_PLAYER)):
        for name, cls in catalogue.items():
            payload = _object(cls, parts, lambda part: f"#/components/schemas/{part}")
            messages[cls.__name__] = {
                "name": name,
                "title": cls.__name__,
                "summary": payload.pop("description"),
                "contentType": "application/json",
                "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": payload},
            }
            channel[cls.__name__] = {"$ref": f"#/components/messages/{cls.__name__}"}
            directions[action].append({"$ref": f"#/channels/player/messages/{cls.__name__}"})
    messages["Chunk"] = {
        "name": "chunk",
        "title": "Chunk",
        "summary": f"Binary frame: uint32 upload, uint64 offset (big-endian), then 1 to {CHUNK_BYTES} bytes of data.",
        "contentType": "application/octet-stream",
    }
    channel["Chunk"] = {"$ref": "#/components/messages/Chunk"}
    directions["receive"].append({"$ref": "#/channels/player/messages/Chunk"})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Signalbox player protocol",
            "version": SUBPROTOCOL.rpartition(".v")[2],
            "description": "Commands, presence, telemetry, screenshots and proof of play over one WebSocket a player. "
            f"Text frames hold one JSON object of at most {MAX_TEXT_BYTES} bytes.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "player": {
                "address": "/ws/player",
                "description": f"The WebSocket of one player, with the subprotocol {SUBPROTOCOL}.",
                "messages": channel,
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "headers": {
                            "type": "object",
                            "required": ["Sec-WebSocket-Protocol"],
                            "properties": {
                                "Authorization": {"type": "string", "pattern": "^Bearer .+$"},
                                "Sec-WebSocket-Protocol": {"type": "string"},
                            },
                        },
                        "bindingVersion": "0.1.0",
                    }
                },
            }
        },
        "operations": {
            "fromPlayer": {
                "action": "receive",
                "channel": {"$ref": "#/channels/player"},
                "messages": directions["receive"],
            },
            "toPlayer": {"action": "send", "channel": {"$ref": "#/channels/player"}, "messages": directions["send"]},
        },
        "components": {"messages": messages, "schemas": parts},
    }


def _object(cls: type[Any], parts: dict[str, Schema], refer: Refer) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    if hasattr(cls, "type"):
        properties["type"] = {"const": cls.type}
        required.append("type")
    for name, hint, needed in model_fields(cls):
        schema = _field(hint, parts, refer)
        properties[name] = schema if needed else _or_null(schema)
        if needed:
            required.append(name)
    description = cleandoc(cls.__doc__ or "").replace("\n", " ")
    answer = {"description": description, "type": "object", "properties": properties, "required": required}
    if cls is JournalEntry:
        answer["if"] = {"properties": {"state": {"const": "finished"}}}
        answer["then"] = {"required": ["result"], "properties": {"result": {"type": "object"}}}
    return answer


def _or_null(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _field(hint: Any, parts: dict[str, Schema], refer: Refer) -> Schema:
    limit: Any = None
    if get_origin(hint) is Annotated:
        hint, limit = get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return {"$ref": refer(_part(hint, parts, refer))}
    if get_origin(hint) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if hint is bool:
        return {"type": "boolean"}
    match limit:
        case Text(time=True, pattern=pattern):
            return {"type": "string", "format": "date-time", "pattern": pattern}
        case Text(pattern=str(pattern)):
            return {"type": "string", "pattern": pattern}
        case Text(max=longest, min=shortest):
            return {"type": "string", "minLength": shortest, "maxLength": longest, "pattern": _NO_NUL}
        case Whole(min=lowest, max=highest):
            return {"type": "integer", "minimum": lowest, "maximum": highest}
        case Number(min=lowest, max=highest):
            return {"type": "number", "minimum": lowest, "maximum": highest}
        case Many(max=most) if get_origin(hint) is list:
            return {"type": "array", "items": _field(get_args(hint)[0], parts, refer), "maxItems": most}
        case Many(max=most):
            return {
                "type": "object",
                "propertyNames": {"maxLength": 100, "pattern": _NO_NUL},
                "additionalProperties": _field(get_args(hint)[1], parts, refer),
                "maxProperties": most,
            }
    size = {"description": f"At most {limit.max} bytes as JSON text."} if isinstance(limit, Bytes) else {}
    ref = {"$ref": refer("Json")}
    parts.setdefault("Json", _JSON | {"items": ref, "additionalProperties": ref})
    return {"type": "object", "propertyNames": {"pattern": _NO_NUL}, "additionalProperties": ref} | size


def _part(cls: type[Any], parts: dict[str, Schema], refer: Refer) -> str:
    """Describe a nested model once; inside another message its own `type` may be left out."""
    name = cls.__name__ if not hasattr(cls, "type") else f"Nested{cls.__name__}"
    if name not in parts:
        schema = _object(cls, parts, refer)
        schema["properties"].pop("type", None)
        schema["required"] = [field for field in schema["required"] if field != "type"]
        parts[name] = schema
    return name


if __name__ == "__main__":
    print(json.dumps(asyncapi(), indent=2))
