"""What bodies and queries of several nouns share: their limits, and how strict they are.

Spot's calls ignore what they do not know, since clients in the field may send more than the document says. Our own
refuse it, so that a typing error is not taken for a wish. In changes, null means the same as absent: leave it as it is;
where null takes something away, the field says so.
"""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hub.api.http.requests import MAX_INTEGER
from hub.domain.text import is_line, is_plain, is_prose, is_seen, trimmed
from hub.domain.times import parse, rfc3339

Id = Annotated[int, Field(ge=1, le=MAX_INTEGER, strict=True)]
QueryId = Annotated[int, Field(ge=1, le=MAX_INTEGER)]


def _trimmed(value: Any) -> Any:
    return trimmed(value) if isinstance(value, str) else value


Trimmed = BeforeValidator(_trimmed)
"""What stands around a text is taken away before anything is asked of it: limits are of what is kept."""


def seen_line(text: str) -> str:
    """A text of one line in which something is to be seen. Raises ValueError."""
    if not is_seen(line(text)):
        raise ValueError("must have characters that can be seen, not spaces alone")
    return text


def line(text: str) -> str:
    """A text of one line, which may be empty. Raises ValueError."""
    if not is_line(text):
        raise ValueError("must be one line, without control characters and overrides of direction")
    return text


def prose(text: str) -> str:
    """A text of any number of lines. Raises ValueError."""
    if not is_prose(text):
        raise ValueError("must have no control characters but line breaks and tabs, and no overrides of direction")
    return text


def seen_prose(text: str) -> str:
    """A text of lines in which something is to be seen. Raises ValueError."""
    if not is_seen(prose(text)):
        raise ValueError("must have characters that can be seen, not spaces and line breaks alone")
    return text


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(seen_line), Trimmed]


def _email(text: str) -> str:
    text = text.strip()
    if not _EMAIL.fullmatch(text) or not is_plain(text):  # two accounts must not look like one
        raise ValueError("must be an e-mail address, such as name@example.com")
    return text


# Whether somebody reads there only a message can tell; this catches what cannot be an address.
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*")
Email = Annotated[
    str, Field(min_length=3, max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_email)
]
Password = Annotated[str, Field(min_length=8, max_length=200, json_schema_extra={"format": "password"})]


TimeZone = Annotated[
    str, Field(min_length=1, max_length=64, examples=["Europe/Berlin"], description="An IANA name of a time zone.")
]


def _moment(text: str) -> str:
    try:
        rfc3339(parse(text))  # and can be told again
    except (ValueError, OverflowError):
        raise ValueError("must be a time as RFC 3339 has it, such as 2027-01-01T00:00:00Z") from None
    return text


Moment = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"}), AfterValidator(_moment)]


def _unescaped(value: Any) -> Any:
    return value.replace("\\/", "/") if isinstance(value, str) else value


# Spot's Python samples send `image\/jpeg` and `https:\/\/`: PHP's escape, which Python keeps as a backslash.
Unescaped = Annotated[str, BeforeValidator(_unescaped)]


class Tolerant(BaseModel):
    """Ignores what it does not know (Spot's routes)."""

    model_config = ConfigDict(extra="ignore")


class Strict(BaseModel):
    """Refuses what it does not know (our own routes)."""

    model_config = ConfigDict(extra="forbid")


class Changes(Strict):
    """Some of these; what is absent or null stays as it is, but for the fields that null `clears`."""

    clears: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not changes_of(self):
            raise ValueError(f"must have at least one of {', '.join(type(self).model_fields)}")
        return self


def example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


def changes_of(body: BaseModel) -> dict[str, Any]:
    """What a caller wants changed: None where it is to be cleared."""
    cleared: frozenset[str] = getattr(body, "clears", frozenset())
    return dict.fromkeys(sorted(cleared & body.model_fields_set)) | body.model_dump(exclude_none=True)
