"""Forms with a file (multipart/form-data), read as they come: the file goes on in pieces, the texts are kept."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from hub.api import parameters
from hub.api.http import requests
from hub.api.http.endpoint import Call
from hub.domain.content import MAX_GIVEN_FILENAME
from hub.domain.errors import BadRequest, Invalid, UnsupportedMedia

MAX_PARTS: Final = 20  # of one form; the largest has seven
MAX_TEXT: Final = 16_384  # bytes of one text; an address takes 2,000
MAX_HEADER: Final = 16_384  # bytes; a file name of as many characters as are taken, percent-encoded, has 12,000
MAX_HEADERS: Final = 8  # of one part; browsers send two
OVERHEAD: Final = 1 << 20  # bytes of a form beside its file: all its texts and headers

_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")  # at most 70 characters (RFC 2046, section 5.1.1)

Sink = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Form:
    """A form as read: `fields` is a model as the entry declares it (`multipart=`), `filename` that of the file part;
    `has_file` tells whether there was one."""

    fields: Any
    has_file: bool
    filename: str | None


async def read_form(call: Call, sink: Sink, max_bytes: int) -> Form:
    """Read the body of `call` into texts, held to the model of its entry, and a part `file` of at most `max_bytes`,
    handed to `sink` piece by piece. A text left blank counts as absent.

    Raises BadRequest for what is no whole form, Invalid for wrong fields, and what `sink` raises.
    """
    model = call.endpoint.multipart
    assert model is not None, f"{call.endpoint.method} {call.endpoint.path} takes no form with a file"
    headers = dict(call.scope["headers"])
    reader = _Reader(headers.get(b"content-type", b""))
    async for piece in requests.pieces(call.receive, headers, max_bytes + OVERHEAD):
        for data in reader.feed(piece):
            await sink(data)
    reader.close()
    return Form(requests.validated(model, reader.texts), reader.has_file, reader.filename)


class _Parser(PushMultipartParser):  # type: ignore[misc]  # the library has no types
    """Leaves it to us what a part must say of itself."""

    def _create_segment(self, headerlist: list[tuple[str, str]]) -> MultipartSegment:
        return MultipartSegment(headerlist)


class _Reader:
    """The events of the parser, taken for texts and pieces of the file, whatever the pieces that the body comes in."""

    def __init__(self, content_type: bytes) -> None:
        try:
            kind, given = parameters.read(content_type.decode("latin-1"))
        except ValueError:
            kind, given = "", {}
        boundary = given.get("boundary", "")
        if kind != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
            raise UnsupportedMedia("Send a form as multipart/form-data with its boundary.")
        self.texts: dict[str, str] = {}
        self.filename: str | None = None
        self.has_file = False
        self._parser = _Parser(
            boundary, header_charset="latin-1", max_header_size=MAX_HEADER, max_header_count=MAX_HEADERS
        )
        self._opening = f"--{boundary}".encode()
        self._begun: bytes | None = b""  # the bytes before the first delimiter is whole
        self._parts = 0
        self._name, self._charset = "", "utf-8"
        self._text: bytearray | None = None  # None: the part is the file

    def feed(self, data: bytes) -> list[bytes]:
        """What of `data` belongs to the file."""
        if self._begun is not None:
            self._begun += data
            # The parser would pass over text before the first delimiter, and find it or not by where the body is cut.
            begins = self._begun.removeprefix(b"\r\n")
            if len(begins) < len(self._opening):
                return []
            if not begins.startswith(self._opening):
                raise _broken()
            data, self._begun = self._begun, None
        pieces: list[bytes] = []
        try:
            for event in self._parser.parse(data) if data else ():
                if event is None:
                    self._end()
                elif isinstance(event, MultipartSegment):
                    self._begin(event)
                elif self._text is None:
                    pieces.append(event)
                else:
                    self._take(self._text, event)
        except ParserLimitReached:
            headers = f"A part of the form has at most {MAX_HEADERS} headers of {MAX_HEADER:,} bytes each"
            name = f"a file name at most {MAX_GIVEN_FILENAME:,} characters"
            raise BadRequest(f"{headers}, and {name}.", code="bad_form") from None
        except MultipartError as error:
            raise _broken() from error
        return pieces

    def close(self) -> None:
        try:
            self._parser.close()
        except MultipartError as error:
            raise _broken() from error

    def _begin(self, segment: MultipartSegment) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequest(f"The form has more than {MAX_PARTS} parts.", code="bad_form")
        headers = [value for name, value in segment.headerlist if name == "Content-Disposition"]
        try:
            if len(headers) > 1:
                raise ValueError
            kind, given = parameters.read(headers[0]) if headers else ("", {})
        except ValueError:
            raise BadRequest("A part of the form is named twice.", code="bad_form") from None
        self._name = given.get("name", "")[:100]
        if kind != "form-data" or not self._name:
            raise BadRequest("A part of the form has no name.", code="bad_form")
        self._text, self._charset = bytearray(), segment.charset or "utf-8"
        if "filename" in given:
            if self._name != "file" or self.has_file:
                raise Invalid.field("file", "must have one file, and no other field any")
            self._text, self.has_file = None, True
            self.filename = given["filename"] or None
            if self.filename is not None and len(self.filename) > MAX_GIVEN_FILENAME:
                raise Invalid.field("file", f"must have a name of at most {MAX_GIVEN_FILENAME:,} characters")

    def _take(self, text: bytearray, data: bytes) -> None:
        text += data
        if len(text) > MAX_TEXT:
            raise Invalid.field(self._name, f"must have at most {MAX_TEXT} bytes")

    def _end(self) -> None:
        if self._text is None:
            return
        raw = bytes(self._text)
        text = parameters.decoded(raw, self._charset)
        if text is None:
            text = raw.decode("utf-8", "replace")
        if "\0" in text or "\0" in self._name:
            raise Invalid.field(self._name.replace("\0", ""), "must not contain NUL characters")
        if text:
            self.texts[self._name] = text


def _broken() -> BadRequest:
    return BadRequest("The body is no whole form.", code="bad_form")
