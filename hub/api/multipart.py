"""Forms with a file (multipart/form-data), read as they come: the file goes on in pieces, the texts are kept."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from hub.api import reading
from hub.api.endpoint import Call
from hub.domain.errors import BadRequest, Invalid, UnsupportedMedia

MAX_PARTS: Final = 20  # of one form; the largest has seven
MAX_TEXT: Final = 16_384  # bytes of one text; an address takes 2,000
OVERHEAD: Final = 1 << 20  # bytes of a form beside its file: all its texts and headers

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
    async for piece in reading.pieces(call.receive, headers, max_bytes + OVERHEAD):
        for data in reader.feed(piece):
            await sink(data)
    reader.close()
    return Form(reading.validated(model, reader.texts), reader.has_file, reader.filename)


@dataclass(slots=True)
class _Part:
    name: str = ""
    is_file: bool = False
    text: bytearray = field(default_factory=bytearray)


class _Reader:
    """python-multipart's parser, from callbacks to texts and pieces of the file."""

    def __init__(self, content_type: bytes) -> None:
        kind, options = parse_options_header(content_type.decode("latin-1"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UnsupportedMedia("Send a form as multipart/form-data with its boundary.")
        self.texts: dict[str, str] = {}
        self.filename: str | None = None
        self.has_file = False
        self._part = _Part()
        self._header = bytearray(), bytearray()
        self._disposition = ""
        self._parts = 0
        self._ended = False
        self._pieces: list[bytes] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._name,
                    "on_part_data": self._take,
                    "on_part_end": self._end,
                    "on_end": self._finish,
                },
            )
        except FormParserError as error:
            raise _broken() from error

    def feed(self, data: bytes) -> list[bytes]:
        """What of `data` belongs to the file."""
        self._pieces = []
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _broken() from error
        return self._pieces

    def close(self) -> None:
        if not self._ended:
            raise _broken()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequest(f"The form has more than {MAX_PARTS} parts.", code="bad_form")
        self._part, self._disposition = _Part(), ""

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = value.decode("latin-1")
        self._header = bytearray(), bytearray()

    def _name(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise BadRequest("A part of the form has no name.", code="bad_form")
        self._part.name = options[b"name"].decode("utf-8", "replace")[:100]
        if b"filename" in options:
            if self._part.name != "file" or self.has_file:
                raise Invalid.field("file", "Send one file, in the field file.")
            self._part.is_file = self.has_file = True
            self.filename = options[b"filename"].decode("utf-8", "replace") or None

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._pieces.append(data[start:end])
            return
        self._part.text += data[start:end]
        if len(self._part.text) > MAX_TEXT:
            raise Invalid.field(self._part.name, f"The {self._part.name} field has at most {MAX_TEXT} bytes.")

    def _end(self) -> None:
        if self._part.is_file:
            return
        text = self._part.text.decode("utf-8", "replace")
        if "\0" in text or "\0" in self._part.name:
            raise Invalid.field(self._part.name.replace("\0", ""), "Texts must not contain NUL characters.")
        if text:
            self.texts[self._part.name] = text

    def _finish(self) -> None:
        self._ended = True


def _broken() -> BadRequest:
    return BadRequest("The body is no whole form.", code="bad_form")
