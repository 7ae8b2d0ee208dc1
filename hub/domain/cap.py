"""The Common Alerting Protocol 1.2 (OASIS), as authorities send it: from XML to what an alert needs, and the geometry
of whom it is for.

The parser is the standard library's, told to refuse what makes XML dangerous: document types, and with them entities.
XML signatures are not checked; who may send is decided by the credential of the call.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final
from xml.parsers import expat

from hub.domain.alerts import SEVERITIES
from hub.domain.errors import Invalid
from hub.domain.text import cut, some_lines
from hub.domain.times import parse

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
MAX_DEPTH: Final = 32  # of elements; CAP needs five
MAX_INFOS: Final = 50  # languages of one message
MAX_POINTS: Final = 10_000  # of all polygons of a message; a country's border at a kilometre has fewer
MAX_ID: Final = 200  # characters of identifier and sender
TITLE_CHARACTERS: Final = 100
MESSAGE_CHARACTERS: Final = 1_000
EARTH_KM: Final = 6_371.0

STATUSES: Final = ("Actual", "Exercise", "System", "Test", "Draft")
TYPES: Final = ("Alert", "Update", "Cancel", "Ack", "Error")

Point = tuple[float, float]
"""Latitude and longitude in degrees."""


@dataclass(frozen=True, slots=True)
class Area:
    polygons: tuple[tuple[Point, ...], ...] = ()
    circles: tuple[tuple[Point, float], ...] = ()
    """Centre and radius in km."""

    def holds(self, point: Point) -> bool:
        return any(_in_polygon(point, polygon) for polygon in self.polygons) or any(
            _distance_km(point, centre) <= radius for centre, radius in self.circles
        )


@dataclass(frozen=True, slots=True)
class Info:
    """One language's text. Times are Unix ms."""

    language: str
    title: str
    message: str
    severity: str
    starts_at: int | None
    ends_at: int | None
    areas: tuple[Area, ...]

    @property
    def has_places(self) -> bool:
        """Whether its area is given by coordinates at all."""
        return any(area.polygons or area.circles for area in self.areas)


@dataclass(frozen=True, slots=True)
class Message:
    """`key` names it, `references` those that it is about, both as CAP writes them: sender,identifier,sent."""

    key: str
    status: str
    type: str
    references: tuple[str, ...]
    infos: tuple[Info, ...]

    def info(self, language: str | None) -> Info:
        """What it says in this language, or in its first. Languages match as far as they are given: `de` is `de-DE`."""
        wanted = (language or "").lower()
        for info in self.infos:
            said = info.language.lower()
            if wanted and (said == wanted or said.startswith(wanted + "-") or wanted.startswith(said + "-")):
                return info
        return self.infos[0]


def read(text: bytes) -> Message:
    """Read a message. Raises Invalid, which names the element."""
    root = _tree(text)
    if root.name != "alert":
        raise _wrong("alert", f"The document is no alert of CAP 1.2 (namespace {NAMESPACE}).")
    identifier, sender, sent = (_name(root, name) for name in ("identifier", "sender", "sent"))
    _time(root, "sent")
    status, kind = _word(root, "status", STATUSES), _word(root, "msgType", TYPES)
    references = tuple(root.text("references").split())
    if len(references) > MAX_INFOS or any(len(one) > 3 * MAX_ID or one.count(",") != 2 for one in references):
        raise _wrong("references", "Each is written sender,identifier,sent, with spaces between them.")
    if kind in ("Update", "Cancel") and not references:
        raise _wrong("references", f"A message of the type {kind} names those that it is about.")
    blocks = root.all("info")
    if len(blocks) > MAX_INFOS:
        raise _wrong("info", f"At most {MAX_INFOS} of them.")
    if kind in ("Alert", "Update") and not blocks:
        raise _wrong("info", "There is nothing to show.")
    return Message(f"{sender},{identifier},{sent}", status, kind, references, tuple(_info(one) for one in blocks))


def _info(block: "_Element") -> Info:
    headline, event = block.text("headline"), block.text("event")
    if not headline and not event:
        raise _wrong("event", "What has happened? Give event or headline.")
    texts = [block.text(name, lines=True) for name in ("description", "instruction")]
    message = "\n".join(text for text in texts if text) or headline or event
    starts = [_time(block, name) for name in ("onset", "effective")]
    return Info(
        language=block.text("language")[:35] or "en-US",
        title=_cut(headline or event, TITLE_CHARACTERS),
        message=_cut(message, MESSAGE_CHARACTERS),
        severity=_word(block, "severity", tuple(one.capitalize() for one in SEVERITIES)).lower(),
        starts_at=next((at for at in starts if at is not None), None),
        ends_at=_time(block, "expires"),
        areas=tuple(_area(one) for one in block.all("area")),
    )


def _area(block: "_Element") -> Area:
    polygons = [_polygon(one.content()) for one in block.all("polygon")]
    if sum(map(len, polygons)) > MAX_POINTS:
        raise _wrong("polygon", f"At most {MAX_POINTS} points.")
    return Area(tuple(polygons), tuple(_circle(one.content()) for one in block.all("circle")))


def _polygon(text: str) -> tuple[Point, ...]:
    points = tuple(_point(pair, "polygon") for pair in text.split())
    if len(points) < 4 or points[0] != points[-1]:
        raise _wrong("polygon", "At least four points, the last of which is the first.")
    longitudes = [longitude for _, longitude in points]
    if max(longitudes) - min(longitudes) > 180:
        raise _wrong("polygon", "A polygon across the antimeridian is not understood; send it in two parts.")
    return points


def _circle(text: str) -> tuple[Point, float]:
    centre, _, radius = text.strip().partition(" ")
    return _point(centre, "circle"), _number(radius.strip(), "circle", 0, 20_100)


def _point(text: str, element: str) -> Point:
    latitude, comma, longitude = text.partition(",")
    if not comma:
        raise _wrong(element, "A point is written latitude,longitude.")
    return _number(latitude, element, -90, 90), _number(longitude, element, -180, 180)


def _number(text: str, element: str, least: float, most: float) -> float:
    if not re.fullmatch(r"[+-]?\d{1,6}(\.\d{1,20})?", text) or not least <= float(text) <= most:
        raise _wrong(element, f"{text[:20]!r} is not a number from {least:g} to {most:g}.")
    return float(text)


def _name(root: "_Element", name: str) -> str:
    text = root.text(name)
    if not text or len(text) > MAX_ID or re.search(r"[\s,<&]", text):
        raise _wrong(name, f"1 to {MAX_ID} characters, without spaces, commas, < and &.")
    return text


def _word(block: "_Element", name: str, words: Sequence[str]) -> str:
    text = block.text(name)
    if text not in words:
        raise _wrong(name, f"One of {', '.join(words)}.")
    return text


def _time(block: "_Element", name: str) -> int | None:
    text = block.text(name)
    if not text:
        return None
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)", text):
            raise ValueError(text)
        return parse(text)
    except (ValueError, OverflowError):
        raise _wrong(name, "A time is written 2026-05-24T16:49:00-07:00.") from None


def _cut(text: str, characters: int) -> str:
    """At most so many characters, cut at a word, with a mark."""
    if len(text) <= characters:
        return text
    kept = cut(text, characters - 1)
    return (kept.rpartition(" ")[0] or kept).rstrip() + "…"


def _wrong(element: str, text: str) -> Invalid:
    return Invalid.field(element, text, code="bad_cap")


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
            raise _wrong("alert", "The elements nest too deeply.")
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
        raise _wrong("alert", "Document types and entities are not taken.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise _wrong("alert", f"This is not XML: {str(error)[:100]}.") from None
    return top.children[0] if top.children else top


# Geometry: flat enough at the size of a warning


def reached(areas: Iterable[Area], places: Iterable[tuple[int, Point]]) -> list[int]:
    """Which of the (id, point) lie in one of the areas, their borders included."""
    some = list(areas)
    return [number for number, point in places if any(area.holds(point) for area in some)]


def _in_polygon(point: Point, polygon: Sequence[Point]) -> bool:
    """By counting the borders to the east; on a border counts as inside."""
    y, x = point
    inside = False
    for (y1, x1), (y2, x2) in pairwise(polygon):
        near = min(y1, y2) <= y <= max(y1, y2) and min(x1, x2) <= x <= max(x1, x2)
        if near and math.isclose((y2 - y1) * (x - x1), (x2 - x1) * (y - y1), abs_tol=1e-12):
            return True
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _distance_km(one: Point, other: Point) -> float:
    (y1, x1), (y2, x2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = math.sin((y2 - y1) / 2) ** 2 + math.cos(y1) * math.cos(y2) * math.sin((x2 - x1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
