"""An example for every schema of the OpenAPI document: the one its model gives, else one made from its fields."""

from collections.abc import Mapping
from typing import Any, Final

_MAX_DEPTH: Final = 8  # a model that holds itself ends here

_TEXTS: Final = {
    "name": "Lobby Display",
    "email": "john@example.com",
    "message": "Done.",
    "url": "https://example.com/lobby.jpg",
    "token": "sbp_7Hc2...",
    "timezone": "Europe/Berlin",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "ip_address": "192.168.1.42",
    "address": "192.168.1.42",
    "model": "Raspberry Pi 5",
    "version": "1.4.0",
    "app_version": "1.4.0",
    "os_version": "12",
    "mime": "image/jpeg",
    "mime_type": "image/jpeg",
    "filename": "lobby.jpg",
    "command": "reboot",
    "event": "player.online",
    "screen_id": "scr_01JARW8K9BXYZ",
    "command_id": "cmd_01K6Z3T5V9N0C4M2R8Q7W1X6YA",
    "batch_id": "bat_01K6Z3T5V9N0C4M2R8Q7W1X6YB",
}
_TIME: Final = "2026-03-29T14:30:00Z"
_FORMATS: Final = {"date-time": _TIME, "date": "2026-03-29", "time": "09:00", "uri": "https://example.com/"}


def sample(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A value that the schema allows, as a reader would expect it there. `definitions` are what `$ref` points into."""
    return _sample(schema, definitions, "", 0)


def _sample(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str, depth: int) -> Any:
    if "$ref" in schema:
        return _sample(definitions[schema["$ref"].rpartition("/")[2]], definitions, name, depth)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("const", "example"):
        if given in schema:
            return schema[given]
    if schema.get("default") not in (None, [], {}, ""):
        return schema["default"]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            options = [option for option in schema[several] if option.get("type") != "null"]
            return _sample(options[0], definitions, name, depth) if options and depth < _MAX_DEPTH else None
    match schema.get("type"):
        case "object":
            inner = schema.get("properties", {})
            return {key: _sample(value, definitions, key, depth + 1) for key, value in inner.items()}
        case "array":
            few = depth >= _MAX_DEPTH and not schema.get("minItems")
            return [] if few else [_sample(schema.get("items", {}), definitions, name, depth + 1)]
        case "string":
            return _text(schema, name)
        case "integer" | "number":
            return max(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1), 1)
        case "boolean":
            return False
    return None if name else {}


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if name in _TEXTS:
        return _TEXTS[name]
    if name.endswith("_at") or name in ("from", "to", "timestamp", "period"):
        return _TIME
    if name.endswith(("url", "uri")):
        return _TEXTS["url"]
    return name or "text"
