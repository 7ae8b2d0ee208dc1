"""Headers with parameters: as forms and their clients write them, and Content-Disposition as downloads do (RFC 6266,
RFC 7578).

A file's name arrives in many dresses, and one client may send two of them at once. The first that can be read counts:
`filename*` (RFC 8187), its continuations `filename*0*` (RFC 2231), then `filename`, in which browsers write a quote as
%22, older programs as a quoted pair, and mail libraries the whole as an encoded word (RFC 2047).

Bytes that are not UTF-8 are in a character set that nobody names. Those of western European letters are told; of any
other each sign becomes U+FFFD, and what is ASCII stays: the end of the name above all.
"""

import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

MAX_PARAMETERS: Final = 20  # of one header; a client sends three, a long name in continuations some ten
CHARSETS: Final = frozenset({"utf-8", "iso-8859-1", "us-ascii"})
"""Those of RFC 8187 and its forerunner. Python knows a hundred more, some of which take long over hostile input."""

# A quoted string ends before the next parameter. Where quoted pairs lead past that, the backslash was one of the name:
# browsers write a name that ends in one as it is.
_PARAMETER = re.compile(
    r""";[ \t]*([^\s=;"]+)[ \t]*=[ \t]*
    (?: "(?P<pairs>(?:[^"\\]|\\.)*)"(?=[ \t]*(?:;|\Z)) | "(?P<raw>[^"]*)"(?=[ \t]*(?:;|\Z)) | (?P<bare>[^;]*) )""",
    re.VERBOSE | re.DOTALL,
)
_PAIR = re.compile(r'\\(["\\])')
_BROWSER_ESCAPE = re.compile(r"%(22|0[AaDd])")
_ENCODED_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?\s]*)\?=")
_EXTENDED = re.compile(r"([^'%]*)'[^'%]*'((?:%[0-9A-Fa-f]{2}|[^%])*)", re.DOTALL)


def read(header: str) -> tuple[str, dict[str, str]]:
    """`header`, its bytes read as Latin-1, taken apart: its first word and the parameters by name. A parameter of which
    no form can be read is there and empty. Raises ValueError for what says something twice or too much."""
    kind, _, rest = header.partition(";")
    given: dict[str, str] = {}
    for found in _PARAMETER.finditer(";" + rest):
        name = found[1].lower()
        if name in given or len(given) >= MAX_PARAMETERS:
            raise ValueError(name)
        if (pairs := found["pairs"]) is not None:
            given[name] = _PAIR.sub(r"\1", pairs)
        else:
            given[name] = found["raw"] if found["raw"] is not None else found["bare"].strip(' \t"')
    return kind.strip().lower(), {name: _best(name, given) for name in {name.partition("*")[0] for name in given}}


def _best(name: str, given: Mapping[str, str]) -> str:
    for text in (_extended(given.get(f"{name}*", "")), _joined(name, given)):
        if text:
            return text
    return _plain(given.get(name, ""))


def _extended(text: str) -> str | None:
    """`charset'language'percent-encoded`."""
    found = _EXTENDED.fullmatch(text)
    return found and decoded(unquote_to_bytes(found[2].encode("latin-1")), found[1])


def _joined(name: str, given: Mapping[str, str]) -> str | None:
    """The continuations, from number 0 as far as none is missing. The first one may name the character set."""
    charset, pieces = "utf-8", []
    for number in range(MAX_PARAMETERS):
        key = f"{name}*{number}"
        if (text := given.get(f"{key}*")) is not None:
            if number == 0 and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            pieces.append(unquote_to_bytes(text.encode("latin-1")))
        elif (text := given.get(key)) is not None:
            pieces.append(text.encode("latin-1"))
        else:
            break
    return decoded(b"".join(pieces), charset)


def _plain(text: str) -> str:
    if text.startswith("=?") and (words := _encoded_words(text)) is not None:
        return words
    raw = text.encode("latin-1")
    said = decoded(raw, "utf-8")
    return _BROWSER_ESCAPE.sub(lambda found: chr(int(found[1], 16)), _western(raw) if said is None else said)


# In western European names two letters beyond ASCII may stand side by side (größte), but not three, and none of these
# signs stands before a backslash.
_NOT_WESTERN = re.compile(r"[^\x00-\x7f]{3}|[^\x00-\x7fŠšŒœŽžŸ€‘’“”–—…™\xa0-\xff]|[€‘’“”–—…™\xa0-\xbf]\\")
# The two bytes of a sign in Shift_JIS, GBK, Big5 and their like; the second may be a letter or a backslash of ASCII.
_SIGN = re.compile(rb"[\x80-\xff][\x40-\xff]?")


def _western(raw: bytes) -> str:
    try:
        said = raw.decode("windows-1252")
        if not _NOT_WESTERN.search(said):
            return said
    except UnicodeDecodeError:
        pass
    return _SIGN.sub("\N{REPLACEMENT CHARACTER}".encode(), raw).decode()


def _encoded_words(text: str) -> str | None:
    said = []
    for word in text.split():
        found = _ENCODED_WORD.fullmatch(word)
        if found is None:
            return None
        try:
            raw = found[3].encode("latin-1")
            raw = binascii.a2b_base64(raw) if found[2] in "Bb" else binascii.a2b_qp(raw, header=True)
        except binascii.Error:
            return None
        said.append(decoded(raw, found[1]))
    return None if None in said else "".join(filter(None, said))


def decoded(raw: bytes, charset: str) -> str | None:
    """None where the bytes are none of this character set, or it is not among CHARSETS."""
    try:
        return raw.decode(charset.lower()) if charset.lower() in CHARSETS else None
    except UnicodeDecodeError:
        return None


def disposition(kind: str, filename: str) -> str:
    """The Content-Disposition of a download: the name for those that know ASCII alone and, if that loses any, whole."""
    plain = re.sub(r'[^ -~]|["\\%]|=(?=\?)', "_", filename)  # an encoded word is none: some browsers decode it
    value = f'{kind}; filename="{plain}"'
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe='')}"
