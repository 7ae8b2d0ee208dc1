"""Between wire text and messages: every limit is checked here, once, on the way in.

`decode` reads what the other end sent and raises MalformedMessage for anything the protocol does not allow; it never
raises anything else, whatever the input. `encode` writes what we send; `check` holds a message of our own making to the
same rules as a foreign one. Binary upload chunks have their own pair.

The rules themselves are compiled from the message models, see `checks`.
"""

import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar, get_args

from hub.protocol.checks import Reader, Refused, Writer, reader_of, writer_of
from hub.protocol.fields import ID_PATTERN
from hub.protocol.json_text import dumps, loads
from hub.protocol.messages import HubMessage, Message, PlayerMessage

MAX_TEXT_BYTES = 262_144
"""One text frame. Fits a journal of 1,000 entries or 500 plays, and takes two seconds on a 1 Mbit/s uplink."""

CHUNK_BYTES = 65_536
"""Data in one binary frame: small enough that an `ack` never waits long behind a screenshot."""

MAX_DEPTH = 32
"""Nesting of a whole message, unknown fields included. Ours need at most 5 levels and a free object's 16."""

_TOO_SHORT_TO_NEST = 2 * MAX_DEPTH
"""A text of this length cannot nest deeper than MAX_DEPTH: each level opens and closes."""

CHUNK_HEADER = struct.Struct("!IQ")
"""uint32 upload, uint64 offset, big-endian."""

M = TypeVar("M", bound=Message)

_READERS: dict[type[Any], Reader] = {cls: reader_of(cls) for cls in (*get_args(PlayerMessage), *get_args(HubMessage))}
_WRITERS: dict[type[Any], Writer] = {cls: writer_of(cls) for cls in _READERS}

PLAYER_TO_HUB: dict[str, type[PlayerMessage]] = {cls.type: cls for cls in get_args(PlayerMessage)}
HUB_TO_PLAYER: dict[str, type[HubMessage]] = {cls.type: cls for cls in get_args(HubMessage)}


class MalformedMessage(Exception):
    """A frame that the protocol does not allow.

    `code` is one of MALFORMED_CODES; `message` names the field and what is wrong with it; `ref` is the id, batch or
    upload number of the bad message when it could be read.
    """

    def __init__(self, code: str, message: str, ref: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.ref = ref


MALFORMED_CODES = {
    "too_big": "The text frame is over 256 KiB.",
    "not_json": "The text is not JSON (RFC 8259, valid UTF-8, finite numbers).",
    "not_an_object": "The JSON is not an object.",
    "too_deep": "The JSON nests too deeply.",
    "unknown_type": "There is no message of this `type` in this direction.",
    "invalid_field": "A field is missing, has the wrong type or is over its limit; the message names it.",
    "bad_chunk": "The binary frame has no header, no data or too much of it.",
}


class Chunk(NamedTuple):
    """One piece of an upload: `data` belongs at `offset`."""

    upload: int
    offset: int
    data: bytes


def encode(message: Message) -> str:
    """The text frame of a message. Free JSON objects are checked; the other fields are trusted, see `check`."""
    kind = type(message)
    try:
        text = dumps(_WRITERS[kind](message))
    except Refused as refusal:
        raise MalformedMessage(refusal.code, refusal.text()) from None
    except (TypeError, ValueError, RecursionError) as refusal:
        raise MalformedMessage("invalid_field", f"not JSON: {refusal}") from None
    if _over(text, MAX_TEXT_BYTES):
        raise MalformedMessage("too_big", f"{kind.type} is over {MAX_TEXT_BYTES} bytes")
    return text


def check(message: Message) -> None:
    """Raise MalformedMessage if the other end would refuse this message."""
    try:
        _READERS[type(message)](_WRITERS[type(message)](message))
    except Refused as refusal:
        raise MalformedMessage(refusal.code, refusal.text()) from None


def decode(text: str | bytes, allowed: Mapping[str, type[M]]) -> M:
    """The message in a text frame. `allowed` is PLAYER_TO_HUB or HUB_TO_PLAYER; unknown fields are ignored."""
    if _over(text, MAX_TEXT_BYTES):
        raise MalformedMessage("too_big", f"a text frame holds at most {MAX_TEXT_BYTES} bytes")
    try:
        raw = loads(text)
    except RecursionError:
        raise MalformedMessage("too_deep", "the JSON nests too deeply") from None
    except ValueError as refusal:
        raise MalformedMessage("not_json", f"not JSON: {refusal}"[:200]) from None
    if type(raw) is not dict:
        raise MalformedMessage("not_an_object", "a message is a JSON object")
    if len(text) > _TOO_SHORT_TO_NEST and _openers(text) > MAX_DEPTH and _deeper_than(raw, MAX_DEPTH):
        raise MalformedMessage("too_deep", f"a message nests at most {MAX_DEPTH} levels", _ref(raw))
    name = raw.get("type")
    kind = allowed.get(name) if type(name) is str else None
    if kind is None:
        said = f"unknown type {name[:64]!r}" if type(name) is str else "type: must be a string"
        raise MalformedMessage("unknown_type", said, _ref(raw))
    try:
        return _READERS[kind](raw)  # type: ignore[no-any-return]
    except Refused as refusal:
        raise MalformedMessage(refusal.code, refusal.text(), _ref(raw)) from None


def encode_chunk(upload: int, offset: int, data: bytes) -> bytes:
    """The binary frame of one chunk of an upload."""
    return CHUNK_HEADER.pack(upload, offset) + data


def decode_chunk(frame: bytes) -> Chunk:
    """The chunk in a binary frame; MalformedMessage (`bad_chunk`) if it is empty, too long or has no header."""
    size = len(frame) - CHUNK_HEADER.size
    if size < 0:
        raise MalformedMessage("bad_chunk", f"a chunk starts with a header of {CHUNK_HEADER.size} bytes")
    upload, offset = CHUNK_HEADER.unpack_from(frame)
    if not 1 <= size <= CHUNK_BYTES:
        raise MalformedMessage("bad_chunk", f"a chunk carries 1 to {CHUNK_BYTES} bytes", str(upload))
    return Chunk(upload, offset, frame[CHUNK_HEADER.size :])


def _over(text: str | bytes, limit: int) -> bool:
    """Whether the text has more than `limit` bytes of UTF-8; counts characters first, since four bytes is the most."""
    length = len(text)
    if length > limit:
        return True
    return isinstance(text, str) and length * 4 > limit and len(text.encode(errors="surrogatepass")) > limit


def _openers(text: str | bytes) -> int:
    """No less than the nesting depth, and cheap: only a text with many brackets is walked."""
    if isinstance(text, bytes):
        return text.count(b"{") + text.count(b"[")
    return text.count("{") + text.count("[")


def _deeper_than(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


_is_id = re.compile(ID_PATTERN).fullmatch


def _ref(raw: dict[str, Any]) -> str | None:
    for name in ("id", "batch", "upload"):
        value = raw.get(name)
        if type(value) is str and _is_id(value):
            return value
        if type(value) is int and 0 <= value < 2**32:
            return str(value)
    return None
