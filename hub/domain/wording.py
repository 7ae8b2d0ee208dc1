"""The words for what is wrong with input, wherever it is checked: by dotted name, with a sentence for each fault."""

from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hub.domain.errors import Invalid, sentence

MAX_FAULTS: Final = 20  # told in one answer; nobody fixes more at a time
MAX_UNKNOWN: Final = 10  # of one list, likewise


def invalid(error: ValidationError, *within: str) -> Invalid:
    """What pydantic found, as an answer; the names stand `within` the field that was checked."""
    errors: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False, include_input=False)[:MAX_FAULTS]:
        name = dotted((*within, *fault["loc"])) or "body"
        errors.setdefault(name, []).append(_sentence(name, fault))
    return Invalid(errors=errors)


def dotted(path: tuple[str | int, ...]) -> str:
    # Names in a free-form object are the caller's: cut, so that an answer cannot be made to echo a whole body.
    return ".".join(str(part)[:100] for part in path)


_SENTENCES: Final = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_unicode": "must be UTF-8",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "has the wrong format",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is out of range",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "url_type": "must be text",
    "url_parsing": "must be an address that begins with https:// or http://",
    "url_scheme": "must be an address that begins with https:// or http://",
    "url_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


def _sentence(name: str, fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":  # raised by a validator of ours
        return sentence(name, str(context["error"]))
    if kind == "string_too_short":
        shortest = context["min_length"]
        return sentence(name, "must not be empty" if shortest == 1 else f"must have at least {shortest} characters")
    if kind == "too_short" and context["min_length"] == 1:
        return sentence(name, "must not be empty")
    what = _SENTENCES.get(kind)
    if what is None:
        return sentence(name, f"is not valid: {fault['msg'][:1].lower()}{fault['msg'][1:]}")
    return sentence(name, what.format_map(context))


def unknown(name: str, thing: str, which: Iterable[object] = ()) -> Invalid:
    """A field names something that is not there for the caller: one `thing`, or those in `which` of a list."""
    some = [str(one)[:64] for one in which]
    if not some:
        return Invalid.field(name, f"names an unknown {thing}")
    named = ", ".join(some[:MAX_UNKNOWN]) + (" and more" if len(some) > MAX_UNKNOWN else "")
    several = len(some) > 1
    return Invalid.field(name, f"names {'' if several else 'an '}unknown {thing}{'s' if several else ''}: {named}")
