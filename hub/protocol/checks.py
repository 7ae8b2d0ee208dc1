"""Readers and writers compiled from the message models: one small function per field, made once at import, because
every frame of every player passes here."""

import dataclasses
import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from hub.protocol.fields import MAX_OBJECT_DEPTH, MAX_SAFE_NUMBER, Bytes, Many, Number, Text, Whole
from hub.protocol.json_text import dumps


class Refused(Exception):
    """A value that breaks a rule. `path` collects the field's names from the inside out, on the way up."""

    def __init__(self, rule: str, code: str = "invalid_field") -> None:
        super().__init__(rule)
        self.rule = rule
        self.code = code
        self.path: list[str] = []

    def text(self) -> str:
        """`journal.0.result.status: must be one of ...`"""
        return f"{'.'.join(reversed(self.path))}: {self.rule}"[:500]


Reader = Callable[[Any], Any]
"""From a JSON value to a field's value; raises Refused."""

Writer = Callable[[Any], dict[str, Any]]
"""From a message or part to its JSON object, without the absent fields."""


def _read_text(limit: Text) -> Reader:
    shortest, longest = limit.min, limit.max
    rule = f"must be a string of {shortest} to {longest} characters without NUL"
    if limit.time:
        return _read_time(limit)
    if limit.pattern is not None:
        matches = re.compile(limit.pattern).fullmatch
        rule = f"must be a string that matches {limit.pattern}"

        def read_pattern(value: Any) -> Any:
            if type(value) is str and matches(value):
                return value
            raise Refused(rule)

        return read_pattern

    def read(value: Any) -> Any:
        if type(value) is str and shortest <= len(value) <= longest and "\0" not in value:
            return value
        raise Refused(rule)

    return read


def _read_time(limit: Text) -> Reader:
    matches = re.compile(limit.pattern or "").fullmatch

    def read(value: Any) -> Any:
        if type(value) is str and matches(value):
            try:
                datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                return value
        raise Refused("must be a time in UTC such as 2026-03-29T14:30:00Z")

    return read


def _read_whole(limit: Whole) -> Reader:
    lowest, highest = limit.min, limit.max
    rule = f"must be an integer from {lowest} to {highest}"

    def read(value: Any) -> Any:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and lowest <= value <= highest:
            return value
        raise Refused(rule)

    return read


def _read_number(limit: Number) -> Reader:
    lowest, highest = limit.min, limit.max
    rule = f"must be a number from {lowest:g} to {highest:g}"

    def read(value: Any) -> Any:
        if (type(value) is int or type(value) is float) and lowest <= value <= highest:
            return value
        raise Refused(rule)

    return read


def _read_boolean(value: Any) -> Any:
    if value is True or value is False:
        return value
    raise Refused("must be true or false")


def _read_object(value: Any) -> Any:
    if type(value) is dict:
        if value:
            _check_json(value, MAX_OBJECT_DEPTH)
        return value
    raise Refused("must be a JSON object")


def _read_small_object(limit: Bytes) -> Reader:
    most = limit.max
    rule = f"must be a JSON object of at most {most} bytes"

    def read(value: Any) -> Any:
        if len(dumps(_read_object(value)).encode()) > most:
            raise Refused(rule)
        return value

    return read


def _check_json(value: Any, levels: int) -> None:
    kind = type(value)
    if kind is str:
        if "\0" in value:
            raise Refused("must not contain NUL")
    elif kind is int or kind is float:
        if not -MAX_SAFE_NUMBER <= value <= MAX_SAFE_NUMBER:
            raise Refused(f"numbers must be within {MAX_SAFE_NUMBER} of 0")
    elif kind is dict or kind is list:
        if not levels:
            raise Refused(f"must nest at most {MAX_OBJECT_DEPTH} levels", "too_deep")
        if kind is dict:
            for name, child in value.items():
                if type(name) is not str or "\0" in name:
                    raise Refused("names must be strings without NUL")
                _check_json(child, levels - 1)
        else:
            for child in value:
                _check_json(child, levels - 1)
    elif value is not None and kind is not bool:
        raise Refused(f"{kind.__name__} is not JSON")


def _read_choice(choices: tuple[str, ...]) -> Reader:
    rule = f"must be one of {', '.join(choices)}"
    known = frozenset(choices)

    def read(value: Any) -> Any:
        if type(value) is str and value in known:
            return value
        raise Refused(rule)

    return read


def _read_list(item: Reader, limit: Many) -> Reader:
    rule = f"must be a list of at most {limit.max} entries"

    def read(value: Any) -> Any:
        if type(value) is not list or len(value) > limit.max:
            raise Refused(rule)
        position = 0
        read_items = []
        try:
            for position, entry in enumerate(value):  # noqa: B007 (read in the handler below)
                read_items.append(item(entry))
        except Refused as refusal:
            refusal.path.append(str(position))
            raise
        return read_items

    return read


def _read_map(item: Reader, limit: Many) -> Reader:
    rule = f"must be an object of at most {limit.max} entries, with names of at most 100 characters without NUL"

    def read(value: Any) -> Any:
        if type(value) is not dict or len(value) > limit.max:
            raise Refused(rule)
        for name, entry in value.items():
            if type(name) is not str or len(name) > 100 or "\0" in name:
                raise Refused(rule)
            item(entry)
        return value

    return read


def reader_of(cls: type[Any]) -> Reader:
    """The reader of a whole message or part: from its JSON object to an instance."""
    plan = [(name, _reader(hint), required) for name, hint, required in model_fields(cls)]

    def refuse(refusal: Refused, name: str) -> NoReturn:
        refusal.path.append(name)
        raise refusal

    def read(raw: Any) -> Any:
        if type(raw) is not dict:
            raise Refused("must be a JSON object")
        values = {}
        for name, read_field, required in plan:
            value = raw.get(name)
            if value is not None:
                try:
                    values[name] = read_field(value)
                except Refused as refusal:
                    refuse(refusal, name)
            elif required:
                refuse(Refused("is required"), name)
        try:
            return cls(**values)
        except ValueError as refusal:
            raise Refused(str(refusal)) from None

    return read


def model_fields(cls: type[Any]) -> list[tuple[str, Any, bool]]:
    """(name, type without `| None`, required) of every field of a message or part, in order."""
    hints = get_type_hints(cls, include_extras=True)
    fields = []
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        required = field.default is dataclasses.MISSING
        if not required:
            (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
        fields.append((field.name, hint, required))
    return fields


def _reader(hint: Any) -> Reader:
    """The checker for a field's type; a type that no rule covers stops the import."""
    limit: Any = None
    if get_origin(hint) is Annotated:
        hint, limit = get_args(hint)
    origin = get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return reader_of(hint)  # type: ignore[arg-type]
    if origin is Literal:
        return _read_choice(get_args(hint))
    if hint is bool:
        return _read_boolean
    if hint is str and isinstance(limit, Text):
        return _read_text(limit)
    if hint is int and isinstance(limit, Whole):
        return _read_whole(limit)
    if hint is float and isinstance(limit, Number):
        return _read_number(limit)
    if origin is list and isinstance(limit, Many):
        return _read_list(_reader(get_args(hint)[0]), limit)
    if origin is dict and isinstance(limit, Many):
        return _read_map(_reader(get_args(hint)[1]), limit)
    if hint == dict[str, Any]:
        return _read_small_object(limit) if isinstance(limit, Bytes) else _read_object
    raise TypeError(f"no rule for a field of type {hint!r}")


def writer_of(cls: type[Any]) -> Writer:
    """The writer of a whole message or part."""
    head = {"type": cls.type} if hasattr(cls, "type") else {}
    plan = [(name, _field_writer(hint)) for name, hint, _ in model_fields(cls)]

    def write(message: Any) -> dict[str, Any]:
        raw = dict(head)
        for name, write_field in plan:
            value = getattr(message, name)
            if value is not None:
                raw[name] = value if write_field is None else write_field(value)
        return raw

    return write


def _field_writer(hint: Any) -> Callable[[Any], Any] | None:
    """How a field's value becomes JSON; None when it already is."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if dataclasses.is_dataclass(hint):
        return writer_of(hint)  # type: ignore[arg-type]
    if hint == dict[str, Any]:
        return _read_object
    if get_origin(hint) is list:
        write_item = _field_writer(get_args(hint)[0])
        if write_item is not None:
            return lambda items: [write_item(item) for item in items]
    return None
