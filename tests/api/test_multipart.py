"""Forms with files, as bytes come in from anyone; and the headers of what goes out."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hub.api import downloads, multipart
from hub.domain.errors import BadRequest, Invalid, UnsupportedMedia

FORM = "multipart/form-data; boundary=x"
WHOLE = (
    b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nSummer\r\n'
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="C:\\\\a\\\\b.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n--\r\n--xyz\r\n"
    b'\r\n--x\r\nContent-Disposition: form-data; name="blank"\r\n\r\n\r\n--x--\r\n'
)
FILE = b"\x89PNG\r\n--\r\n--xyz\r\n"
pieces = st.sampled_from(
    [b"--x", b"--x--", b"\r\n", b"\r\n\r\n", b":", b";", b"Content-Disposition: form-data", b'name="', b'name="file"',
     b'filename="a', b"\0", b"\xff", b'"', b"=", b"filename*=UTF-8''a"]
)  # fmt: skip


def read(parts: list[bytes], kind: str = FORM) -> tuple[multipart._Reader, bytes]:
    reader = multipart._Reader(kind.encode("latin-1"))
    file = b"".join(piece for part in parts for piece in reader.feed(part))
    reader.close()
    return reader, file


@given(st.lists(st.integers(1, len(WHOLE) - 1), unique=True).map(sorted))
def test_a_form_is_read_the_same_however_it_is_cut(cuts: list[int]) -> None:
    places = [0, *cuts, len(WHOLE)]
    reader, file = read([WHOLE[start:end] for start, end in pairwise(places)])
    assert file == FILE
    assert (reader.texts, reader.has_file, reader.filename) == ({"name": "Summer"}, True, "b.png")


@given(st.lists(pieces | st.binary(max_size=30), max_size=40), st.booleans())
def test_no_form_is_a_fault_of_ours(parts: list[bytes], begun: bool) -> None:
    try:
        read([b"--x\r\n" if begun else b"", *parts])
    except (BadRequest, Invalid):
        pass


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_content_type_is_a_fault_of_ours(kind: str) -> None:
    for header in (kind, f"multipart/form-data; boundary={kind}"):
        try:
            read([b"--x--\r\n"], header)
        except (BadRequest, UnsupportedMedia):
            pass


@given(st.text(max_size=300), st.sampled_from(["image/png", "text/html", "image/svg+xml", "video/mp4"]))
def test_any_name_fits_into_a_header_and_what_runs_is_never_shown(name: str, mime: str) -> None:
    value = downloads.disposition(name, mime)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    assert value.startswith("inline" if mime in ("image/png", "video/mp4") else "attachment")


@given(st.text("bytes=-0123456789, ", max_size=30), st.integers(0, 10**12))
def test_any_range_lies_within_the_file_or_is_none(text: str, size: int) -> None:
    span = downloads._span(text, size)
    if span is not None and span[0] < span[1]:
        assert 0 <= span[0] < span[1] <= size
