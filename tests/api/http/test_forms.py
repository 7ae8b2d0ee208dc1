"""Forms with files, as bytes come in from anyone; and the headers of what goes out."""

from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.api.http import files, forms
from hub.domain import content
from hub.domain.errors import BadRequest, Invalid, UnsupportedMedia

FORM = "multipart/form-data; boundary=x"
WHOLE = (
    b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nSummer\r\n'
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="C:\\\\a\\\\b.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n--\r\n--yz\r\n"
    b'\r\n--x\r\nContent-Disposition: form-data; name="blank"\r\n\r\n\r\n--x--\r\n'
)
FILE = b"\x89PNG\r\n--\r\n--yz\r\n"
pieces = st.sampled_from(
    [b"--x", b"--x--", b"\r\n", b"\r\n\r\n", b":", b";", b"Content-Disposition: form-data", b'name="', b'name="file"',
     b'filename="a', b"filename*0*=", b"=?utf-8?Q?", b"\0", b"\xff", b'"', b"=", b"filename*=UTF-8''a"]
)  # fmt: skip


def read(parts: list[bytes], kind: str = FORM) -> tuple[forms._Reader, bytes]:
    reader = forms._Reader(kind.encode("latin-1"))
    file = b"".join(piece for part in parts for piece in reader.feed(part))
    reader.close()
    return reader, file


@given(st.lists(st.integers(1, len(WHOLE) - 1), unique=True).map(sorted))
def test_a_form_is_read_the_same_however_it_is_cut(cuts: list[int]) -> None:
    places = [0, *cuts, len(WHOLE)]
    reader, file = read([WHOLE[start:end] for start, end in pairwise(places)])
    assert file == FILE
    assert (reader.texts, reader.has_file, reader.filename) == ({"name": "Summer"}, True, "C:\\a\\b.png")


def filename(*parameters: str) -> str | None:
    """Of a file that is sent with this header, cut in two at every place."""
    header = "; ".join(['Content-Disposition: form-data; name="file"', *parameters]).encode()
    form = b"--x\r\n" + header + b"\r\n\r\nfile\r\n--x--\r\n"
    found = set()
    for cut in range(len(form)):
        reader, file = read([form[:cut], form[cut:]])
        assert (file, reader.has_file, reader.texts) == (b"file", True, {})
        found.add(reader.filename)
    [name] = found
    return name


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        # .NET's HttpClient, for a name beyond ASCII and for one within
        (['filename="=?utf-8?B?UHLDvGZ1bmcucG5n?="', "filename*=utf-8''Pr%C3%BCfung.png"], "Prüfung.png"),
        (["filename=a.png", "filename*=utf-8''a.png"], "a.png"),
        # mail libraries
        (['filename="=?utf-8?B?UHLDvGZ1bmcucG5n?="'], "Prüfung.png"),
        (['filename="=?ISO-8859-1?Q?Pr=FCf_ung=2Epng?="'], "Prüf ung.png"),
        (['filename="=?UTF-8?B?UHLDvGY=?= =?UTF-8?B?dW5nLnBuZw==?="'], "Prüfung.png"),
        (['filename="=?utf-8?B?not base64?="'], "=?utf-8?B?not base64?="),
        (['filename="=?utf-7?B?K0FNdy0=?="'], "=?utf-7?B?K0FNdy0=?="),
        # RFC 8187, in any order and spelling
        (["filename*=UTF-8'de'Pr%c3%bcfung.png"], "Prüfung.png"),
        (["filename*=iso-8859-1''Pr%FCfung.png"], "Prüfung.png"),
        (["FileName* = utf-8''a%3Bb.png", "filename=a_b.png"], "a;b.png"),
        (["filename*=\"utf-8''a%20b.png\""], "a b.png"),
        # ... and what is none: the plain name counts, or the file has no name
        (["filename=b.png", "filename*=utf-8''%FF"], "b.png"),
        (["filename=b.png", "filename*=utf-8''100%"], "b.png"),
        (["filename=b.png", "filename*=utf-7''a"], "b.png"),
        (["filename=b.png", "filename*=a.png"], "b.png"),
        (["filename*=koi8-r''%C1"], None),
        (['filename=""'], None),
        # RFC 2231
        (['filename*0="a long "', 'filename*1="name.png"'], "a long name.png"),
        (["filename*1=%C3%BC.png", "filename*0*=utf-8''Pr%C3", "filename*1*=%BCf", "filename*2=.png"], "Prüf.png"),
        (["filename*0=a", "filename*2=c", "filename=z"], "a"),
        # browsers
        (['filename="a%22b;c%0D%0Ad.png"'], 'a"b;c\r\nd.png'),
        (['filename="100%25 \\o.png"'], "100%25 \\o.png"),
        (['filename="ends in \\"'], "ends in \\"),
        (['filename="Prüfung 👩\u200d🚒.png"'], "Prüfung 👩\u200d🚒.png"),
        # older programs
        (['filename="a \\"b\\"; c\\\\d.png"'], 'a "b"; c\\d.png'),
        (["filename=two words.png "], "two words.png"),
        (['filename="a"b.png"'], 'a"b.png'),
    ],
)
def test_file_names_are_read_as_clients_write_them(parameters: list[str], name: str | None) -> None:
    assert filename(*parameters) == name


LEGACY = [
    ("Prüfung.png", "latin-1", "Prüfung.png"),
    ("größte Öl–Preise “Été” 5 €.png", "windows-1252", "größte Öl–Preise “Été” 5 €.png"),
    ("C:\\Bücher\\Straße.png", "windows-1252", "C:\\Bücher\\Straße.png"),
    ("ソフト.png", "shift_jis", "\ufffd\ufffd\ufffd.png"),  # the second byte of its first sign is a backslash
    ("表.png", "shift_jis", "\ufffd.png"),
    ("日本語.png", "shift_jis", "\ufffd\ufffd\ufffd.png"),
    ("夏のセール2.png", "euc_jp", "\ufffd\ufffd\ufffd\ufffd\ufffd2.png"),
    ("夏季促销 3.png", "gbk", "\ufffd\ufffd\ufffd\ufffd 3.png"),
    ("許功蓋.png", "big5", "\ufffd\ufffd\ufffd.png"),
    ("여름.png", "euc_kr", "\ufffd\ufffd.png"),
]


@pytest.mark.parametrize(("said", "charset", "kept"), LEGACY)
def test_a_name_in_another_character_set_is_kept_as_far_as_it_can_be_told(said: str, charset: str, kept: str) -> None:
    name = b'Content-Disposition: form-data; name="file"; filename="' + said.encode(charset) + b'"'
    assert read([b"--x\r\n" + name + b"\r\n\r\n\r\n--x--"])[0].filename == kept


@given(
    st.text(max_size=60), st.sampled_from(["shift_jis", "gbk", "big5", "euc_kr", "koi8-r", "windows-1251", "latin-1"])
)
def test_no_character_set_loses_the_end_of_a_name(said: str, charset: str) -> None:
    raw = said.encode(charset, "ignore").replace(b"\r", b"").replace(b"\n", b"").replace(b'"', b"").replace(b"=?", b"")
    name = b'Content-Disposition: form-data; name="file"; filename="a' + raw + b'.png"'
    kept = read([b"--x\r\n" + name + b"\r\n\r\n\r\n--x--"])[0].filename
    assert kept is not None
    assert kept.endswith(".png")


def named(parameter: bytes) -> bytes:
    return b"--x\r\nContent-Disposition: form-data; name=file; " + parameter + b"\r\n\r\nx\r\n--x--"


def test_a_file_name_that_is_too_long_is_told_so() -> None:
    longest = "é" * (content.MAX_GIVEN_FILENAME - 4) + ".png"
    for parameter in (f'filename="{longest}"'.encode(), f"filename*=utf-8''{quote(longest)}".encode()):
        assert read([named(parameter)])[0].filename == longest
    for size in (1_001, 5_000, 16_000):
        with pytest.raises(Invalid) as refusal:
            read([named(b'filename="' + b"a" * size + b'"')])
        assert refusal.value.errors == {"file": ["The file field must have a name of at most 1,000 characters."]}
    for size in (17_000, 500_000):
        form = named(b'filename="' + b"a" * size + b'"')
        for cut in (len(form), 1_000):
            with pytest.raises(BadRequest, match="a file name at most 1,000 characters"):
                read([form[at : at + cut] for at in range(0, len(form), cut)])


def part(*headers: str) -> list[bytes]:
    return [b"--x\r\n", *(f"{header}\r\n".encode() for header in headers), b"\r\nx\r\n--x--\r\n"]


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Type: text/plain"],
        ["Content-Disposition: form-data"],
        ['Content-Disposition: form-data; filename="a.png"'],
        ['Content-Disposition: form-data; name=""; filename="a.png"'],
        ['Content-Disposition: attachment; name="file"'],
    ],
)
def test_a_part_without_a_name_is_told_so(headers: list[str]) -> None:
    with pytest.raises(BadRequest, match="has no name") as refusal:
        read(part(*headers))
    assert refusal.value.code == "bad_form"


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Disposition: form-data; name=a; name=file"],
        ["Content-Disposition: form-data; name=file; filename=a; FILENAME=b"],
        ["Content-Disposition: form-data; name=a", "content-disposition: form-data; name=file"],
    ],
)
def test_a_part_with_two_names_is_refused(headers: list[str]) -> None:
    with pytest.raises(BadRequest, match="named twice"):
        read(part(*headers))


@pytest.mark.parametrize(
    "form",
    [
        b"preamble\r\n--x\r\n",  # which browsers never send
        b"\n--x\r\n",
        b"--y\r\n",
        b"--xy\r\n",
        b"--x\n",
        b"--x\r\nContent-Disposition: form-data; name=a\n\nx\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--x-",
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nx",
        b"",
        b"--",
    ],
)
def test_what_is_no_whole_form_is_none_however_it_is_cut(form: bytes) -> None:
    for cuts in ([], [1], [2, 3], range(1, len(form))):
        places = [0, *cuts, len(form)]
        with pytest.raises(BadRequest, match="no whole form"):
            read([form[start:end] for start, end in pairwise(places)])


@pytest.mark.parametrize("headers", [b"a: b\r\n" * 9, b"a: " + b"b" * 16_400 + b"\r\n"])
def test_the_limits_of_a_part_s_headers_are_told(headers: bytes) -> None:
    form = b"--x\r\n" + headers + b"\r\nx\r\n--x--"
    for size in (1, 7, len(form)):
        with pytest.raises(BadRequest, match="at most 8 headers of 16,384 bytes"):
            read([form[at : at + size] for at in range(0, len(form), size)])


def test_a_form_may_begin_and_end_with_more_than_its_parts() -> None:
    form = b"\r\n--x\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--x--\r\nepilogue"
    for size in (1, 2, 7, len(form)):
        reader, _ = read([form[at : at + size] for at in range(0, len(form), size)] + [b""])
        assert reader.texts == {"a": "x"}


def test_a_text_says_its_character_set() -> None:
    head = b"--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=%s\r\n\r\n%s\r\n--x--"
    for charset, said in (
        (b"ISO-8859-1", b"\xfc"),
        (b"utf-8", b"\xc3\xbc"),
        (b"utf-7", b"\xc3\xbc"),
        (b"", b"\xc3\xbc"),
    ):
        assert read([head % (charset, said)])[0].texts == {"a": "ü"}


@pytest.mark.parametrize("boundary", ["a:b", "----=_Part_1_2.3", '"a b=c"', "x" * 70, "'()+_,-./:=?"])
def test_boundaries_are_read_as_clients_write_them(boundary: str) -> None:
    form = f"--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--{boundary}--".replace('"', "")
    assert read([form.encode()], f"Multipart/Form-Data;charset=utf-8;boundary={boundary}")[0].texts == {"a": "x"}
    with pytest.raises(UnsupportedMedia):
        read([], "multipart/form-data; boundary=" + "x" * 71)


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


@example("=?utf-8?q?invoice=2Eexe?=", "image/png")
@given(st.text(max_size=300), st.sampled_from(["image/png", "text/html", "image/svg+xml", "video/mp4"]))
def test_any_name_fits_into_a_header_and_what_runs_is_never_shown(name: str, mime: str) -> None:
    value = files.disposition(name, mime)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    assert "=?" not in value
    assert value.startswith("inline" if mime in ("image/png", "video/mp4") else "attachment")


@given(st.text("bytes=-0123456789, ", max_size=30), st.integers(0, 10**12))
def test_any_range_lies_within_the_file_or_is_none(text: str, size: int) -> None:
    span = files._span(text, size)
    if span is not None and span[0] < span[1]:
        assert 0 <= span[0] < span[1] <= size
