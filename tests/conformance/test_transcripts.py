"""The transcripts as they are shipped: each can be read, and says only what the protocol has."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from hub.api.docs import manual
from hub.conformance.page import Section
from hub.conformance.transcript import (
    VERBS,
    BadTranscript,
    Role,
    Step,
    Transcript,
    known_commands,
    read,
    transcripts,
)
from hub.conformance.values import Values
from hub.domain.commands import CATALOGUE
from hub.protocol.codec import HUB_TO_PLAYER, PLAYER_TO_HUB, decode

ROLES: tuple[Role, ...] = ("player", "hub")
ALL = [transcript for role in ROLES for transcript in transcripts(role)]
NUMBERS = {"number", "size", "upload", "again", "received"}


def one(name: str, **head: Any) -> str:
    return json.dumps({"title": "A test", "section": "Commands", "steps": []} | head)


def test_names_are_unique_and_every_file_is_read() -> None:
    for role in ROLES:
        folder = Path(str(files("hub.conformance") / "transcripts" / role))
        names = [transcript.name for transcript in transcripts(role)]
        assert len(names) == len(set(names)) == len(list(folder.iterdir()))


def test_every_section_is_a_heading_of_the_page() -> None:
    headings = set(re.findall(r"^#+ (.+)$", manual.source("player-protocol"), re.MULTILINE))
    assert [section for section in Section if section.value not in headings] == []


def test_every_message_of_the_page_is_said_or_waited_for_in_some_transcript() -> None:
    said = {str(step.body.get("type")) for transcript in ALL for step in lines(transcript)}
    for catalogue in (PLAYER_TO_HUB, HUB_TO_PLAYER):
        missing = catalogue.keys() - said - {"bye"}  # said by who is stopped; what must not be said is in a `never`
        assert not missing


def test_the_commands_are_those_of_the_catalogue() -> None:
    for name, known in known_commands().items():
        assert known.delivery == CATALOGUE[name].delivery
        CATALOGUE[name].payload.model_validate(known.payload)
    for transcript in ALL:
        assert set(transcript.needs) <= known_commands().keys() | {"operator"}


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: f"{transcript.tests}-{transcript.name}")
def test_what_the_kit_says_is_what_the_protocol_has(transcript: Transcript) -> None:
    speaker: Role = "hub" if transcript.tests == "player" else "player"
    catalogue: Mapping[str, type[Any]] = HUB_TO_PLAYER if speaker == "hub" else PLAYER_TO_HUB
    known = dict.fromkeys(NUMBERS, 1) | dict.fromkeys(("sha256", "other_sha256"), "a" * 64)
    for step in lines(transcript):
        message = Values(lambda: 1_800_000_000_000, **known).filled(step.body)
        if step.verb != speaker or str(message["type"]).startswith("x-") or message.get("percent") == 300:
            continue
        if message["type"] == "command":
            message = {
                "command": "identify",
                "payload": {},
                "delivery": "safe",
                "expires_at": "2030-01-01T00:00:00Z",
            } | (message)
        if message["type"] == "result":
            message = {"finished_at": "2030-01-01T00:00:00Z", "boot_id": "b"} | message
        decode(json.dumps(message), catalogue)


def lines(transcript: Transcript) -> list[Step]:
    return [step for step in transcript.steps if step.verb in ROLES]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "10-x.json"),
        ("[]", "10-x.json"),
        (one("x", section="Nowhere"), "Nowhere"),
        (one("x", colour="red"), "colour"),
        (one("x", steps=[{"jump": {}}]), "jump"),
        (one("x", steps=[{"cut": {}, "close": {"code": 1}}]), "one verb"),
        (one("x", steps=[{"cut": {"deep": 1}}]), "deep"),
        (one("x", steps=[{"cut": []}]), "object"),
        (one("x", steps=[{"cut": {}, "within_s": "long"}]), "long"),
    ],
)
def test_a_transcript_that_cannot_be_read_is_told_with_its_file(text: str, fault: str) -> None:
    with pytest.raises(BadTranscript, match=fault):
        read("10-x.json", text, "player")


def test_the_manual_describes_every_step() -> None:
    page = manual.source("conformance")
    told = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert told == {verb for verbs in VERBS.values() for verb in verbs} | set(ROLES)
    for verbs in VERBS.values():
        for verb, fields in verbs.items():
            [row] = re.findall(rf"^\| `{verb}` \|.*$", page, re.MULTILINE)
            assert [field for field in fields if f"`{field}`" not in row] == [], verb
