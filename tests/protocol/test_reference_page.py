"""The reference page says what the code does: every message, field, limit, code and number of the protocol."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest

from hub.domain import pairing
from hub.domain.commands import CATALOGUE, MAX_DETAIL_BYTES, Spec, lookup
from hub.domain.presence import FAILED_BYTES, NOTICED_A_DAY, REPORTED_BYTES, REPORTED_MOST
from hub.protocol.checks import model_fields
from hub.protocol.closecodes import REACTIONS, CloseCode
from hub.protocol.codec import CHUNK_BYTES, HUB_TO_PLAYER, MAX_DEPTH, MAX_TEXT_BYTES, PLAYER_TO_HUB, decode
from hub.protocol.connection import DEFAULT_LIMITS
from hub.protocol.fields import (
    ID_PATTERN,
    MAX_OBJECT_DEPTH,
    MAX_SAFE_NUMBER,
    SHA256_PATTERN,
    TIME_PATTERN,
    Bytes,
    Many,
    Number,
    Text,
    Whole,
)
from hub.protocol.hub_session import ERROR_CODES
from hub.protocol.messages import EVENT_NAMES, AgentInfo, ErrorInfo, JournalEntry, Play, PlayerInfo
from hub.protocol.upload import MAX_UPLOAD_BYTES, UPLOAD_FAILURES
from hub.sockets.player.registry import CONNECTIONS
from hub.sockets.transport import CONTROL_A_MINUTE, PIECES, PlayerSocket
from hub.store.uploads import A_DAY

PAGE = (Path(__file__).parents[2] / "hub" / "docs" / "player-protocol.md").read_text()
PAIRING = "### Getting a token"
PARTS = (AgentInfo, PlayerInfo, JournalEntry, ErrorInfo, Play)


def section(title: str, text: str = PAGE) -> str:
    """What stands under a heading, up to the next one of the same or a higher level."""
    level = len(title) - len(title.lstrip("#"))
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"the page has no section {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("| `") or re.match(r"\| \d", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def told(hint: Any) -> str:
    """A field's type in the words of the page."""
    limit: Any = None
    if get_origin(hint) is Annotated:
        hint, limit = get_args(hint)
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if dataclasses.is_dataclass(hint):
        return f"`{getattr(hint, 'type', hint.__name__)}`"  # type: ignore[union-attr]
    match limit:
        case Text(time=True):
            return "time"
        case Text(pattern=pattern) if pattern:
            return {ID_PATTERN: "id", SHA256_PATTERN: "sha256"}[pattern]
        case Text(min=shortest, max=longest):
            return f"text, {shortest} to {longest}"
        case Whole(min=0, max=highest) if highest == 2**32 - 1:
            return "uint32"
        case Whole(min=lowest, max=highest) if highest == MAX_SAFE_NUMBER:
            return f"integer from {lowest}"
        case Whole(min=lowest, max=highest):
            return f"integer, {lowest} to {highest}"
        case Number(min=lowest, max=highest):
            return f"number, {lowest:g} to {highest:g}"
        case Bytes(max=most):
            return f"object of at most {most:,} bytes"
        case Many(max=most) if get_origin(hint) is list:
            return f"list of {told(get_args(hint)[0])}; at most {most}"
        case Many(max=most):
            return f"object of {told(get_args(hint)[1])}; at most {most}"
    return {bool: "boolean"}.get(hint, "object")


def holds_fields(cls: type[Any], text: str) -> None:
    written = {name.strip("`"): (kind, needed) for name, kind, needed, _ in rows(text)}
    meant = {name: (told(hint), "yes" if required else "") for name, hint, required in model_fields(cls)}
    assert written == meant


@pytest.mark.parametrize("name", PLAYER_TO_HUB)
def test_every_message_of_the_player_is_described_field_by_field(name: str) -> None:
    holds_fields(PLAYER_TO_HUB[name], section(f"### `{name}`", section("## From player to hub")))


@pytest.mark.parametrize("name", HUB_TO_PLAYER)
def test_every_message_of_the_hub_is_described_field_by_field(name: str) -> None:
    holds_fields(HUB_TO_PLAYER[name], section(f"### `{name}`", section("## From hub to player")))


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_described_field_by_field(part: type[Any]) -> None:
    holds_fields(part, section(f"### `{part.__name__}`", section("## Parts of messages")))


def test_the_page_describes_no_message_that_does_not_exist() -> None:
    for title, catalogue in (("## From player to hub", PLAYER_TO_HUB), ("## From hub to player", HUB_TO_PLAYER)):
        assert set(re.findall(r"^### `(\w+)`", section(title), re.MULTILINE)) == set(catalogue)


COMMANDS = section("### What each command takes and proves")
SPECS = (*CATALOGUE.values(), lookup("custom:name"))


def arguments(spec: Spec) -> list[str]:
    """What the payload of a command may have, in the words of the page."""
    schema = spec.payload.model_json_schema()
    found = []
    for name, field in schema.get("properties", {}).items():
        kind = field.get("anyOf", [field])[0]
        match kind:
            case {"format": "uri"}:
                words = "address"
            case {"pattern": _}:
                words = field["description"]
            case {"type": "string"}:
                words = f"text, {kind['minLength']} to {kind['maxLength']}"
            case {"type": "integer", "maximum": most} if most < MAX_SAFE_NUMBER:
                words = f"integer, {kind['minimum']} to {most}"
            case {"type": "integer"}:
                words = f"integer from {kind['minimum']}"
            case _:
                words = kind["type"]
        found.append(f"`{name}` {words}{', required' if name in schema.get('required', ()) else ''}")
    return found


def test_every_command_is_listed_with_its_payload_and_its_evidence() -> None:
    table = {row[0].strip("`"): row[1:] for row in rows(COMMANDS) if len(row) == 4}
    assert set(table) == {spec.name.replace(":name", ":NAME") for spec in SPECS}
    for spec in SPECS:
        delivery, payload, evidence = table[spec.name.replace(":name", ":NAME")]
        assert delivery == f"`{spec.delivery}`"
        if spec.name.startswith("custom:"):
            assert payload == "any object"
        else:
            assert [one for one in payload.partition(".")[0].split("; ") if one] == arguments(spec)
        assert re.findall(r"`(\w+)`", evidence) == list(spec.evidence)


def test_every_key_of_the_evidence_is_explained() -> None:
    explained = {key for row in rows(COMMANDS) if len(row) == 2 for key in re.findall(r"`(\w+)`", row[0])}
    assert explained == {key for spec in SPECS for key in spec.evidence}


def test_every_error_of_pairing_is_listed() -> None:
    told = [(error.strip("`"), int(status), meaning) for error, status, _, meaning, _ in rows(section(PAIRING))]
    assert {error for error, status, _ in told if status == 400} == {
        *pairing.REFUSALS,
        "invalid_client",
        "invalid_request",
        "unsupported_grant_type",
    }
    waits = {status: meaning for error, status, meaning in told if error == "temporarily_unavailable"}
    assert set(waits) == {429, 503}
    assert f"{pairing.OPEN_PER_ADDRESS} devices of this address" in waits[429]
    assert f"wait {pairing.SLOWER_S} s longer" in section(PAIRING)


def test_every_error_code_is_listed_with_its_meaning() -> None:
    assert {code.strip("`"): meaning for code, meaning in rows(section("## Error codes"))} == ERROR_CODES


def test_every_upload_failure_is_listed_with_its_meaning() -> None:
    assert {code.strip("`"): text for code, text in rows(section("### When an upload fails"))} == UPLOAD_FAILURES


def test_every_close_code_is_listed_with_what_the_player_does() -> None:
    table = {int(code): (reason, reaction) for code, reason, reaction in rows(section("## Close codes"))}
    assert set(table) == set(CloseCode)
    for code, (reason, reaction) in table.items():
        meant = REACTIONS[CloseCode(code)]
        assert reason == meant.reason
        assert ("log loudly" in reaction) == meant.loud
        assert ("pairing" in reaction) == meant.pair
        assert ("delay given" in reaction) == meant.given
        assert ("backoff" in reaction) == (meant.delay_s is None and not meant.given)
        assert re.findall(r"(\d+) s\b", reaction) == ([f"{meant.delay_s:g}"] if meant.delay_s else [])


def test_the_known_events_are_listed() -> None:
    assert set(re.findall(r"`([a-z]+\.[a-z]+)`", section("### `event`"))) == set(EVENT_NAMES)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("## Frames", [f"{MAX_TEXT_BYTES:,} bytes", f"{MAX_DEPTH} levels"]),
        ("### `result`", [f"{MAX_DETAIL_BYTES:,} bytes"]),
        ("### `settings`", [f"latest {REPORTED_MOST}", f"{REPORTED_BYTES:,} bytes", f"{FAILED_BYTES:,} bytes"]),
        ("### `event`", [f"{NOTICED_A_DAY:,} events"]),
        ("## Values", [ID_PATTERN, TIME_PATTERN, SHA256_PATTERN, f"{MAX_OBJECT_DEPTH} levels", "2^53 - 1"]),
        (
            "## Limits",
            [
                f"{DEFAULT_LIMITS.hello_timeout_s} s",
                f"{DEFAULT_LIMITS.heartbeat_s} s",
                f"{DEFAULT_LIMITS.suspect_after_s} s",
                f"{DEFAULT_LIMITS.silence_s} s",
                f"{DEFAULT_LIMITS.window} commands",
                f"{DEFAULT_LIMITS.ack_s} s",
                f"{DEFAULT_LIMITS.upload_window} chunks",
                f"{DEFAULT_LIMITS.uploads} uploads",
                f"{DEFAULT_LIMITS.malformed_per_minute} refused messages",
                f"{PlayerSocket.FRAMES_A_MINUTE:,} frames",
                f"{PlayerSocket.BYTES_A_MINUTE // 2**20} MiB",
                f"{CONTROL_A_MINUTE} pings and pongs",
                f"{PIECES:,} frames",
                f"{CHUNK_BYTES:,} bytes",
                f"{MAX_UPLOAD_BYTES['screenshot']:,} bytes",
                f"{MAX_UPLOAD_BYTES['logs']:,} bytes",
                f"{CONNECTIONS.capacity} at once, then one each {CONNECTIONS.every_us // 1_000_000} s",
                f"{NOTICED_A_DAY:,} events",
                f"{A_DAY:,} new uploads",
            ],
        ),
    ],
)
def test_the_numbers_are_the_ones_in_force(title: str, words: list[str]) -> None:
    text = section(title)
    assert [word for word in words if word not in text] == []


def test_every_frame_in_the_transcript_is_one_the_decoder_reads() -> None:
    lines = re.findall(r"^(player|hub): (\{.*\})$", section("## A connection, word by word"), re.MULTILINE)
    assert len(lines) > 10
    for speaker, frame in lines:
        decode(frame, PLAYER_TO_HUB if speaker == "player" else HUB_TO_PLAYER)
