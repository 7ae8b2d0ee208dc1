"""The Common Alerting Protocol 1.2 (OASIS), as authorities send it: from XML to the warnings that are to be shown, and
where.

A message has blocks (`info`), each for a language and an area of its own: those of one language are a sequence that is
read whole, and say different things in different places. A block may also say that a danger is over, or have expired.

The parser is the standard library's, told to refuse what makes XML dangerous: document types, and with them entities.
XML signatures are not checked; who may send is decided by the credential of the call.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, TypeVar
from xml.parsers import expat

from hub.domain.alerts import SEVERITIES
from hub.domain.errors import Invalid
from hub.domain.geo import Area, Effort, Point, TooIntricate, reached, unwrapped
from hub.domain.text import cut, some_lines
from hub.domain.times import DAY, parse, rfc3339

_Shape = TypeVar("_Shape")

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
MAX_DEPTH: Final = 32  # of elements; CAP needs five
MAX_INFOS: Final = 50  # blocks of one message
MAX_POINTS: Final = 10_000  # of all polygons of a message; a country's border at a kilometre has fewer
MAX_CIRCLES: Final = 1_000  # of a message; each is measured against the team's locations
# Of locations with edges and circles, of a message: a few seconds of a core. With 20,000 locations a border of 10,000
# points takes 150,000, a ring that goes to and fro over all of them 200 million.
MAX_COMPARISONS: Final = 5_000_000
# Messages that others refer to are waited for as long, in ms, from when they were sent: no warning that is still of use
# comes so late. And how far a sender's clock may be ahead of ours.
LATEST: Final = 30 * DAY
AHEAD: Final = DAY
MAX_ID: Final = 200  # characters of identifier and sender
TITLE_CHARACTERS: Final = 100
MESSAGE_CHARACTERS: Final = 1_000

STATUSES: Final = ("Actual", "Exercise", "System", "Test", "Draft")
TYPES: Final = ("Alert", "Update", "Cancel", "Ack", "Error")
SCOPES: Final = ("Public", "Restricted", "Private")
PAST: Final = "Past"  # an urgency: no action is required any more
ALL_CLEAR: Final = "AllClear"  # a type of response: the danger is over
NO_RESPONSE: Final = "None"
# Types of response that ask for something: who is to take shelter is in danger, whatever else the block says.
PROTECTIVE: Final = frozenset({"Shelter", "Evacuate", "Prepare", "Execute", "Avoid"})


@dataclass(frozen=True, slots=True)
class Info:
    """One block. Times are Unix ms. `is_over` says that its danger has passed: it is an all-clear, not a warning.
    `unread`: what is wrong with each of its polygons and circles that are none, and are not among its areas."""

    language: str
    title: str
    message: str
    severity: str
    starts_at: int
    ends_at: int | None
    is_over: bool
    areas: tuple[Area, ...]
    unread: tuple[Invalid, ...] = ()

    @property
    def has_places(self) -> bool:
        """Whether its area is given by coordinates at all."""
        return any(area.polygons or area.circles for area in self.areas)


@dataclass(frozen=True, slots=True)
class Warned:
    """What is to be shown, and the ids of the places in its area."""

    title: str
    message: str
    severity: str
    starts_at: int
    ends_at: int | None
    places: tuple[int, ...] = ()

    @property
    def part(self) -> str:
        """Names it within its message, by what it says and so wherever it stands there: 32 hexadecimal digits."""
        words = (self.title, self.message, self.severity, self.starts_at, self.ends_at)
        return sha256(repr(words).encode()).hexdigest()[:32]


Name = tuple[str, str, int | str]
"""Sender, identifier and instant of a message: Unix ms, or the text where that is no time."""


def name_of(key: str) -> Name:
    """What a key or reference (sender,identifier,sent) names, however its time is written."""
    sender, identifier, sent = key.split(",")
    try:
        return sender, identifier, parse(sent)
    except (ValueError, OverflowError):
        return sender, identifier, sent


def may_come(name: Name, now: int) -> bool:
    """Whether a message that has not come yet is still to be expected."""
    sent = name[2]
    return isinstance(sent, int) and now - LATEST <= sent <= now + AHEAD


def is_later(key: str, other: str) -> bool:
    """Whether the message was sent after the other one; not where one of the times is none."""
    sent, before = name_of(key)[2], name_of(other)[2]
    return isinstance(sent, int) and isinstance(before, int) and sent > before


@dataclass(frozen=True, slots=True)
class Message:
    """`key` names it, `references` those that it is about, both as CAP writes them: sender,identifier,sent."""

    key: str
    status: str
    type: str
    scope: str
    references: tuple[str, ...]
    infos: tuple[Info, ...]

    @property
    def replaces(self) -> bool:
        """Whether it takes the place of the messages that it refers to; an Alert may only mention them."""
        return self.type in ("Update", "Cancel")

    def current(self, now: int) -> list[Info]:
        """Its blocks that have not expired."""
        return [info for info in self.infos if info.ends_at is None or info.ends_at > now]

    def warnings(self, language: str | None, now: int) -> list[Warned]:
        """What it warns of, wherever that is: in this language, else in the first that it has."""
        for sequence in self._by_language(language, now):
            return _warnings((info, ()) for info in sequence)
        return []

    def warnings_at(self, places: Sequence[tuple[int, Point]], language: str | None, now: int) -> list[Warned]:
        """What it warns of at these (id, point). Each place hears it in this language, else in the first that the
        message has for it: the languages of a country may be those of its regions. Raises Invalid."""
        found: list[tuple[Info, tuple[int, ...]]] = []
        effort = Effort(MAX_COMPARISONS)
        unserved = dict(places)
        for sequence in self._by_language(language, now):
            try:
                served = [(info, tuple(reached(info.areas, unserved.items(), effort))) for info in sequence]
            except TooIntricate:
                raise _wrong("polygon", "The areas are too intricate for so many locations.") from None
            for _, ids in served:
                for place_id in ids:
                    unserved.pop(place_id, None)
            found += served
        return _warnings((info, ids) for info, ids in found if ids)

    def _by_language(self, language: str | None, now: int) -> list[list[Info]]:
        """The blocks that have not expired, those of the wanted language first. Languages match as far as they are
        given: `de` is `de-DE`."""
        sequences: dict[str, list[Info]] = {}
        for info in self.current(now):
            sequences.setdefault(info.language.lower(), []).append(info)
        wanted = (language or "").lower()
        return [sequences[name] for name in sorted(sequences, key=lambda name: not _matches(wanted, name))]


def _matches(wanted: str, language: str) -> bool:
    return bool(wanted) and (
        language == wanted or language.startswith(wanted + "-") or wanted.startswith(language + "-")
    )


def _warnings(blocks: Iterable[tuple[Info, tuple[int, ...]]]) -> list[Warned]:
    """Blocks that say the same about different areas are one warning; those of what is over are none."""
    places: dict[Warned, dict[int, None]] = {}
    for info, ids in blocks:
        if not info.is_over:
            words = Warned(info.title, info.message, info.severity, info.starts_at, info.ends_at)
            places.setdefault(words, {}).update(dict.fromkeys(ids))
    return [replace(words, places=tuple(ids)) for words, ids in places.items()]


def read(text: bytes) -> Message:
    """Read a message. Raises Invalid, which names the element."""
    root = _tree(text)
    if root.name != "alert":
        raise _wrong("alert", f"must be the root of a document of CAP 1.2 (namespace {NAMESPACE})")
    identifier, sender, sent = (_name(root, name) for name in ("identifier", "sender", "sent"))
    sent_at = _time(root, "sent")
    assert sent_at is not None  # `_name` has seen it
    status, kind, scope = (
        _word(root, name, words) for name, words in (("status", STATUSES), ("msgType", TYPES), ("scope", SCOPES))
    )
    references = tuple(root.text("references").split())
    if len(references) > MAX_INFOS or any(len(one) > 3 * MAX_ID or one.count(",") != 2 for one in references):
        raise _wrong("references", "must have each written sender,identifier,sent, with spaces between them")
    if kind in ("Update", "Cancel") and not references:
        raise _wrong("references", f"is required in a message of the type {kind}: it names those that it is about")
    blocks = root.all("info")
    if len(blocks) > MAX_INFOS:
        raise _wrong("info", f"must be there at most {MAX_INFOS} times")
    if kind in ("Alert", "Update") and not blocks:
        raise _wrong("info", "is required: there is nothing to show")
    infos = tuple(_info(one, sent_at) for one in blocks)
    if sum(len(ring) for info in infos for area in info.areas for ring in area.polygons) > MAX_POINTS:
        raise _wrong("polygon", f"must have at most {MAX_POINTS} points")
    if sum(len(area.circles) for info in infos for area in info.areas) > MAX_CIRCLES:
        raise _wrong("circle", f"must be there at most {MAX_CIRCLES} times")
    return Message(f"{sender},{identifier},{sent}", status, kind, scope, references, infos)


def _info(block: "_Element", sent_at: int) -> Info:
    headline, event = block.text("headline"), block.text("event")
    if not headline and not event:
        raise _wrong("event", "is required, or a headline")
    texts = [block.text(name, lines=True) for name in ("description", "instruction")]
    message = "\n".join(text for text in texts if text) or headline or event
    ends_at = _time(block, "expires")
    urgency = block.text("urgency")
    unread: list[Invalid] = []
    return Info(
        language=block.text("language")[:35] or "en-US",
        title=_cut(headline or event, TITLE_CHARACTERS),
        message=_cut(message, MESSAGE_CHARACTERS),
        severity=_word(block, "severity", tuple(one.capitalize() for one in SEVERITIES)).lower(),
        starts_at=_starts_at(block, sent_at, ends_at, urgency),
        ends_at=ends_at,
        is_over=_is_over(block, urgency),
        areas=tuple(_area(one, unread) for one in block.all("area")),
        unread=tuple(unread),
    )


def _is_over(block: "_Element", urgency: str) -> bool:
    """Where its words contradict each other, it is a warning: one too many does less harm than one too few."""
    responses = {one.content().strip() for one in block.all("responseType")} - {"", NO_RESPONSE}
    return responses == {ALL_CLEAR} or (urgency == PAST and not responses & PROTECTIVE)


def _starts_at(block: "_Element", sent_at: int, ends_at: int | None, urgency: str) -> int:
    """When to show it: what asks for action soon, from when it is in effect; else not before the event itself begins,
    unless the words expire before that."""
    effective, onset = _time(block, "effective"), _time(block, "onset")
    in_effect = sent_at if effective is None else effective
    if onset is None or urgency in ("Immediate", "Expected") or (ends_at is not None and ends_at <= onset):
        return in_effect
    return onset


def _area(block: "_Element", unread: list[Invalid]) -> Area:
    """What is no polygon or circle is passed over and added to `unread`: the others count all the same."""
    return Area(_shapes(block, "polygon", _polygon, unread), _shapes(block, "circle", _circle, unread))


def _shapes(block: "_Element", name: str, read: Callable[[str], _Shape], unread: list[Invalid]) -> tuple[_Shape, ...]:
    """Elements without content are none: some senders write them for what they leave out."""
    shapes = []
    for text in (one.content().strip() for one in block.all(name)):
        try:
            if text:
                shapes.append(read(text))
        except Invalid as error:
            unread.append(error)
    return tuple(shapes)


def _polygon(text: str) -> tuple[Point, ...]:
    points = tuple(_point(pair, "polygon") for pair in text.split())
    if len(points) < 4 or points[0] != points[-1]:
        raise _wrong("polygon", "must have at least four points, the last of which is the first")
    return unwrapped(points)


def _circle(text: str) -> tuple[Point, float]:
    parts = text.split()
    if len(parts) != 2:
        raise _wrong("circle", "must be written latitude,longitude radius")
    centre, radius = parts
    return _point(centre, "circle"), _number(radius, "circle", 0, 20_100)


def _point(text: str, element: str) -> Point:
    latitude, comma, longitude = text.partition(",")
    if not comma:
        raise _wrong(element, "must have points written latitude,longitude")
    return _number(latitude, element, -90, 90), _number(longitude, element, -180, 180)


def _number(text: str, element: str, least: float, most: float) -> float:
    if not re.fullmatch(r"[+-]?\d{1,6}(\.\d{1,20})?", text) or not least <= float(text) <= most:
        raise _wrong(element, f"has {text[:20]!r}, which is not a number from {least:g} to {most:g}")
    return float(text)


def _name(root: "_Element", name: str) -> str:
    text = root.text(name)
    if not text or len(text) > MAX_ID or re.search(r"[\s,<&]", text):
        raise _wrong(name, f"must have 1 to {MAX_ID} characters, without spaces, commas, < and &")
    return text


def _word(block: "_Element", name: str, words: Sequence[str]) -> str:
    text = block.text(name)
    if text not in words:
        raise _wrong(name, f"must be one of {', '.join(words)}")
    return text


def _time(block: "_Element", name: str) -> int | None:
    text = block.text(name)
    if not text:
        return None
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)", text):
            raise ValueError(text)
        at = parse(text)
        rfc3339(at)  # can be told again: in UTC it may lie beyond the years 1 to 9999
        return at
    except (ValueError, OverflowError):
        raise _wrong(name, "must be a time written 2026-05-24T16:49:00-07:00") from None


def _cut(text: str, characters: int) -> str:
    """At most so many characters, cut at a word, with a mark."""
    if len(text) <= characters:
        return text
    kept = cut(text, characters - 1)
    return (kept.rpartition(" ")[0] or kept).rstrip() + "…"


def _wrong(element: str, what: str) -> Invalid:
    return Invalid.field(element, what, code="bad_cap")


# XML


@dataclass(slots=True)
class _Element:
    name: str
    pieces: list[str] = field(default_factory=list)
    children: list["_Element"] = field(default_factory=list)

    def content(self) -> str:
        return "".join(self.pieces)

    def all(self, name: str) -> list["_Element"]:
        return [child for child in self.children if child.name == name]

    def text(self, name: str, *, lines: bool = False) -> str:
        """The text of the first child of this name, what no text may have left out; in one line unless `lines`."""
        found = self.all(name)
        said = found[0].content() if found else ""
        text = some_lines(said)
        return text if lines else text.replace("\n", " ")


def _tree(text: bytes) -> _Element:
    """The elements of CAP 1.2; those of other namespaces (signatures) are passed over."""
    parser = expat.ParserCreate(namespace_separator=" ")
    top = _Element("")
    open_ones: list[_Element | None] = [top]

    def start(name: str, _attributes: Any) -> None:
        if len(open_ones) > MAX_DEPTH:
            raise _wrong("alert", "nests its elements too deeply")
        namespace, _, local = name.rpartition(" ")
        parent = open_ones[-1]
        element = _Element(local) if namespace == NAMESPACE and parent is not None else None
        if element is not None and parent is not None:
            parent.children.append(element)
        open_ones.append(element)

    def end(_name: str) -> None:
        open_ones.pop()

    def characters(data: str) -> None:
        if (element := open_ones[-1]) is not None:
            element.pieces.append(data)

    def refuse(*_: Any) -> None:
        raise _wrong("alert", "must have no document type and no entities")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise _wrong("alert", f"must be XML: {str(error)[:100]}") from None
    return top.children[0] if top.children else top
