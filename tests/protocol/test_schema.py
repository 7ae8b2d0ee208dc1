"""The published schemas say the same as the decoder, for every message, good and bad."""

import json
import re
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

from hub.protocol.codec import HUB_TO_PLAYER, PLAYER_TO_HUB, MalformedMessage, decode
from hub.protocol.json_text import dumps, loads
from hub.protocol.schema import asyncapi, message_schemas
from tests.protocol.frames import FROM_HUB, FROM_PLAYER, RESULT, hello_with

CATALOGUES = {"player_to_hub": (PLAYER_TO_HUB, FROM_PLAYER), "hub_to_player": (HUB_TO_PLAYER, FROM_HUB)}
SCHEMAS = message_schemas()
MESSAGES = [(direction, name) for direction, schemas in SCHEMAS.items() for name in schemas]


def anchored(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    """`$` of ECMA 262 is the end, and not also the place before a last line feed as in Python."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


moments = FormatChecker(formats=())


@moments.checks("date-time", raises=ValueError)
def is_a_moment(text: object) -> bool:
    return not isinstance(text, str) or bool(datetime.fromisoformat(text))


Validator = validators.extend(Draft202012Validator, {"pattern": anchored})


def schema_admits(direction: str, name: str, message: Any) -> bool:
    return bool(Validator(SCHEMAS[direction][name], format_checker=moments).is_valid(message))


def decoder_admits(direction: str, message: Any) -> bool:
    try:
        decode(dumps(message), CATALOGUES[direction][0])
    except MalformedMessage as refusal:
        assume("own id" not in refusal.message)  # that two fields are equal is beyond JSON Schema
        return False
    return True


@pytest.mark.parametrize(("direction", "name"), MESSAGES)
def test_every_schema_is_one_and_admits_the_sample(direction: str, name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[direction][name])
    assert schema_admits(direction, name, loads(CATALOGUES[direction][1][name]))


def test_there_is_a_schema_for_every_message() -> None:
    for direction, (catalogue, _) in CATALOGUES.items():
        assert set(SCHEMAS[direction]) == set(catalogue)


ODD_VALUES = r"""null
true
0
-1
50
101
1.0
0.5
9007199254740992
1e300
""
"x"
"two words"
"a\u0000"
"c\n"
"2026-03-29T14:30:00Z"
"2026-02-30T00:00:00Z"
"2026-03-29T14:30:00Z\n"
"screenshot"
"once"
"running"
"finished"
[]
{}
[{}]
["x"]
[1]
{"a":{"b":[1,"x",null,true]}}
{"a":1152921504606846976}
{"a\u0000":1}
{"a":{"b":"\u0000"}}
{"x":"y"}
{"code":"x","message":""}
{"code":"","message":""}
[{"id":"c-1","state":"finished"}]
[{"id":"c-1","state":"running"}]
[{"id":"c-1","state":"finished","result":null}]
[{"id":"c-1","state":"accepted","result":null}]""".splitlines()
ODD_VALUES += [dumps("x" * 65), dumps("x" * 3_000), dumps({"x": "y" * 101}), dumps({"y" * 101: "x"})]

SAMPLES = [
    *((direction, name, CATALOGUES[direction][1][name]) for direction, name in MESSAGES),
    ("player_to_hub", "hello", hello_with('{"id":"c-1","state":"finished","result":' + RESULT + "}")),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a message, as the way to it."""
    here = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return here + [place for name, child in inner for place in places(child, (*path, name))]


@settings(max_examples=800, deadline=None)
@given(chosen=st.sampled_from(SAMPLES), data=st.data())
def test_schema_and_decoder_agree_on_messages_with_an_odd_value(
    chosen: tuple[str, str, str], data: st.DataObject
) -> None:
    direction, name, text = chosen
    sample = loads(text)
    for _ in range(data.draw(st.integers(1, 2))):
        way = data.draw(st.sampled_from([place for place in places(sample) if place != ("type",)]))
        holder = sample
        for step in way[:-1]:
            holder = holder[step]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[way[-1]]
        else:
            holder[way[-1]] = json.loads(data.draw(st.sampled_from(ODD_VALUES)))
        if len(places(sample)) < 2:
            break
    assert schema_admits(direction, name, sample) == decoder_admits(direction, sample), sample


def test_the_asyncapi_document_is_printed_and_whole() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "hub.protocol.schema"], capture_output=True, text=True, check=True, timeout=60
    )
    document = json.loads(printed.stdout)
    assert document == asyncapi()
    assert document["asyncapi"] == "3.0.0"
    names = {message["name"] for message in document["components"]["messages"].values()}
    assert names == set(PLAYER_TO_HUB) | set(HUB_TO_PLAYER) | {"chunk"}
    received = document["operations"]["fromPlayer"]["messages"]
    sent = document["operations"]["toPlayer"]["messages"]
    assert (len(received), len(sent)) == (len(PLAYER_TO_HUB) + 1, len(HUB_TO_PLAYER))


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for child in value.values() for ref in references(child)]
        return [ref for child in value for ref in references(child)] if isinstance(value, list) else []

    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
