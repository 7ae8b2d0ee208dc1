"""Transcripts: what is said between a player and a hub, line by line, as data. The manual describes the format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

from hub.conformance.page import Section
from hub.protocol.json_text import loads

Role = Literal["player", "hub"]
Json = Mapping[str, object]

WITHIN_S = 10.0
"""For what is waited for, unless a step says otherwise: a slow device on a slow link writes to its disk in it."""

BOTH: dict[str, frozenset[str]] = {
    "connect": frozenset(),  # its fields differ, see below
    "cut": frozenset(),
    "close": frozenset({"code"}),
    "closed": frozenset({"code", "older"}),
    "ping": frozenset({"bytes"}),
    "pinged": frozenset(),
}
VERBS: dict[Role, dict[str, frozenset[str]]] = {
    "player": BOTH
    | {
        "connect": frozenset({"welcome", "hold", "not_before_s", "hub_clock_s", "silent"}),
        "refuse": frozenset({"status", "retry_after_s"}),
        "take": frozenset({"upload", "until"}),
        "serve": frozenset({"revision", "spoiled"}),
        "fetched": frozenset({"file"}),
        "deaf": frozenset(),
        "revoke": frozenset(),
        "paired": frozenset(),
        "backoff": frozenset(),
    },
    "hub": BOTH
    | {
        "connect": frozenset({"hello", "credential", "subprotocol", "path", "status", "silent", "beside"}),
        "text": frozenset({"text", "hex", "bytes", "times"}),
        "pings": frozenset({"times"}),
        "binary": frozenset({"hex"}),
        "chunk": frozenset({"upload", "offset", "bytes"}),
        "give": frozenset({"upload", "from", "until"}),
        "ask": frozenset({"call", "body", "id"}),
        "pair": frozenset(),
        "get": frozenset({"revision", "status", "known"}),
    },
}
"""The steps beside the lines of the two speakers, with the fields of each, by whom the transcript tests."""

_MARKS = {"says", "section", "within_s", "never", "unless", "pieces"}
_HEAD = {"title", "section", "needs", "extra", "last", "steps"}


class BadTranscript(ValueError):
    """A transcript that cannot be read; the text names file and fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line. `verb` is the speaker (`player`, `hub`) or another step; `says` is what a failure means; `never` are
    patterns of what must not come while it is waited for. `unless`: left out when the last `hello` has this command in
    its journal."""

    verb: str
    body: Json
    section: Section
    says: str = ""
    within_s: float = WITHIN_S
    never: Sequence[Json] = ()
    unless: str = ""
    pieces: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """`needs` are commands of which the player must have one, or for a hub an `operator`. `extra` says why it is left
    out unless asked for; `last`: the other end may be away for long afterwards."""

    name: str
    tests: Role
    title: str
    section: Section
    steps: Sequence[Step]
    needs: Sequence[str] = ()
    extra: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True)
class KnownCommand:
    """A command as the kit sends it: its arguments, how often it may run, and what proves a success."""

    payload: Json
    delivery: str
    detail: Json


def _folder() -> Traversable:
    return files("hub.conformance") / "transcripts"


@cache
def known_commands() -> dict[str, KnownCommand]:
    """By name, the ones that disturb least first."""
    table = loads((_folder() / "commands.json").read_text("utf-8"))
    return {name: KnownCommand(one["payload"], one["delivery"], one["detail"]) for name, one in table.items()}


@cache
def transcripts(tests: Role) -> tuple[Transcript, ...]:
    """All that are shipped, in the order of their files: `10-opening.json` is `opening`. Raises BadTranscript."""
    found = sorted((file for file in (_folder() / tests).iterdir() if file.name.endswith(".json")), key=_by_name)
    return tuple(read(file.name, file.read_text("utf-8"), tests) for file in found)


def _by_name(file: Traversable) -> str:
    return file.name


def read(file: str, text: str, tests: Role) -> Transcript:
    """One file. Raises BadTranscript."""
    try:
        raw = loads(text)
        if extra := raw.keys() - _HEAD:
            raise ValueError(f"unknown fields {sorted(extra)}")
        section = Section(raw["section"])
        return Transcript(
            name=file.removesuffix(".json").partition("-")[2],
            tests=tests,
            title=raw["title"],
            section=section,
            steps=tuple(_step(step, tests, section) for step in raw["steps"]),
            needs=tuple(raw.get("needs", ())),
            extra=raw.get("extra", ""),
            last=raw.get("last", False),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise BadTranscript(f"{file}: {fault}") from None


def _step(raw: Json, tests: Role, section: Section) -> Step:
    verbs = raw.keys() - _MARKS
    if len(verbs) != 1:
        raise ValueError(f"a step has one verb, not {sorted(verbs)}")
    [verb] = verbs
    body, marks = raw[verb], {name: value for name, value in raw.items() if name in _MARKS}
    if not isinstance(body, Mapping):
        raise ValueError(f"{verb}: must be an object")
    if verb not in ("player", "hub"):
        fields = VERBS[tests].get(verb)
        if fields is None:
            raise ValueError(f"unknown step {verb}")
        if extra := body.keys() - fields:
            raise ValueError(f"{verb}: unknown fields {sorted(extra)}")
    where = Section(str(marks.pop("section", section)))
    never = marks.pop("never", ())
    if not isinstance(never, Sequence):
        raise ValueError("never: must be a list")
    says, unless = str(marks.pop("says", "")), str(marks.pop("unless", ""))
    within_s, pieces = _number(marks.pop("within_s", WITHIN_S)), int(_number(marks.pop("pieces", 1)))
    return Step(
        verb=verb, body=body, section=where, says=says, within_s=within_s, never=never, unless=unless, pieces=pieces
    )  # fmt: skip


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return value
