"""Bodies and query strings: what is read, what is refused, and the words for it."""

import asyncio
import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from hub.api.http import requests
from hub.domain.errors import BadRequest, Invalid, TooLarge

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def post(client, content, headers=JSON, path="/api/v1/things"):
    return await client.post(path, content=content, headers=headers)


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"],
)
async def test_json_is_read_under_its_names(client, kind):
    answer = await post(client, b'{"name": "Lobby"}', {"content-type": kind})
    assert answer.status_code == 201
    assert answer.json()["data"]["name"] == "Lobby"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""])
async def test_other_types_are_refused(client, kind):
    answer = await post(client, b'{"name": "Lobby"}', {"content-type": kind})
    assert answer.status_code == 415
    assert answer.json() == {"message": "Send the body as application/json.", "code": "unsupported_media"}


async def test_a_compressed_body_is_refused(client):
    assert (await post(client, b"\x1f\x8b", {**JSON, "content-encoding": "gzip"})).status_code == 415


@pytest.mark.parametrize(
    "content",
    [b"{", b"nonsense", b'{"name": NaN}', b'{"name": Infinity}', b'{"name": 1e999}', b"9" * 400, b"\xff",
     b'\xef\xbb\xbf{"name": "x"}', b'{"name": "\\ud800"}', b"[" * 50_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
     b"\x00", b"{'name': 'x'}"],
)  # fmt: skip
async def test_what_is_not_json_is_a_bad_request(client, content):
    answer = await post(client, content)
    assert answer.status_code == 400
    assert answer.json() == {"message": "The body is not valid JSON.", "code": "not_json"}


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"1", b"null", b'[{"name": "x"}]'])
async def test_json_that_is_no_object_is_invalid(client, content):
    answer = await post(client, content)
    assert answer.status_code == 422
    assert answer.json()["errors"] == {"body": ["The body must be a JSON object."]}


async def test_nesting_has_a_limit_that_strings_do_not_count_for(client):
    def nested(levels):
        return b'{"name": "x", "payload": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"

    assert (await post(client, nested(31))).status_code == 201
    answer = await post(client, nested(32))
    assert answer.status_code == 400
    assert answer.json()["code"] == "nested_too_deep"
    assert (await post(client, json.dumps({"name": "x", "payload": {"text": "[{" * 100}}))).status_code == 201


async def test_of_a_repeated_key_the_last_counts(client):
    answer = await post(client, b'{"name": "a", "name": "b"}')
    assert answer.json()["data"]["name"] == "b"


async def test_unknown_fields_are_ignored(client):
    assert (await post(client, b'{"name": "a", "colour": "red"}')).status_code == 201


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name": ["The name field is required."]}),
        ({"name": None}, {"name": ["The name field must be text."]}),
        ({"name": ""}, {"name": ["The name field must not be empty."]}),
        ({"name": "x" * 51}, {"name": ["The name field must have at most 50 characters."]}),
        ({"name": "x", "volume": 101}, {"volume": ["The volume field must be at most 100."]}),
        ({"name": "x", "volume": -1}, {"volume": ["The volume field must be at least 0."]}),
        ({"name": "x", "volume": 1.5}, {"volume": ["The volume field must be a whole number."]}),
        ({"name": "x", "volume": "loud"}, {"volume": ["The volume field must be a whole number."]}),
        ({"name": "x", "volume": 2**63}, {"volume": ["The volume field is out of range."]}),
        ({"name": "x", "volume": 1e300}, {"volume": ["The volume field is out of range."]}),
        ({"name": "x", "items": {}}, {"items": ["The items field must be a list."]}),
        ({"name": "x", "items": [{}] * 6}, {"items": ["The items field must have at most 5 entries."]}),
        (
            {"name": "x", "items": [{"asset_id": 1}, {}]},
            {"items.1.asset_id": ["The items.1.asset_id field is required."]},
        ),
        ({"name": "x", "items": [7]}, {"items.0": ["The items.0 field must be an object."]}),
        ({"name": "x", "payload": []}, {"payload": ["The payload field must be an object."]}),
        ({"name": "x", "payload": {"n": 10**30}}, {"payload.n": ["The payload.n field is out of range."]}),
        (
            {"name": "x", "payload": {"l": [{"n": -(2**63)}]}},
            {"payload.l.0.n": ["The payload.l.0.n field is out of range."]},
        ),
        ({"name": "a\0b"}, {"name": ["The name field must not contain NUL characters."]}),
        ({"name": "x", "payload": {"a\0b": 1}}, {"payload": ["The payload field must not contain NUL characters."]}),
    ],
)  # fmt: skip
async def test_each_wrong_field_is_named_in_a_sentence(client, body, errors):
    answer = await post(client, json.dumps(body))
    assert answer.status_code == 422
    assert answer.json() == {"message": "The given data was invalid.", "code": "invalid", "errors": errors}


async def test_a_backslash_before_u0000_is_only_text(client):
    assert (await post(client, b'{"name": "\\\\u0000"}')).json()["data"]["name"] == "\\u0000"


async def test_a_document_of_faults_gets_a_short_answer(client):
    answer = await post(client, json.dumps({"name": "x", "items": [{"asset_id": "?" * 5_000}] * 5}))
    assert answer.status_code == 422
    assert len(answer.content) < 1_000


async def test_an_empty_body_is_an_empty_object(client):
    assert (await post(client, b"")).json()["errors"] == {"name": ["The name field is required."]}
    assert (await post(client, b"", {}, "/api/v1/things/pair")).status_code == 200


async def test_get_and_delete_bear_the_content_type_of_no_body(wire):
    assert (await wire.get("/api/v1/things", headers=JSON)).status_code == 200
    assert (await wire.delete("/api/v1/things/16", headers=JSON)).status_code == 204


async def test_a_form_is_read_where_the_entry_says_so(client):
    answer = await post(client, b"note=two+words&other=1", FORM, "/api/v1/things/pair")
    assert answer.json() == {"note": "two words"}
    assert (await post(client, b'{"note": "json"}', JSON, "/api/v1/things/pair")).json() == {"note": "json"}
    assert (await post(client, b"note=a%00b", FORM, "/api/v1/things/pair")).status_code == 422
    assert (await post(client, b"&".join([b"a=1"] * 101), FORM, "/api/v1/things/pair")).status_code == 400


async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(wire):
    def sized(size):
        return b'{"name": "x"}'.ljust(size)

    assert (await post(wire, sized(100_000))).status_code == 201
    answer = await post(wire, sized(100_001))
    assert answer.status_code == 413
    assert answer.json() == {"message": "The body is larger than 100,000 bytes.", "code": "too_large"}
    assert (await post(wire, sized(100_000))).status_code == 201


async def test_a_body_of_unknown_length_is_cut_off_on_the_way(wire):
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.base_url.port)
    writer.write(
        b"POST /api/v1/things HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer sbk_owner\r\n"
        b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for _ in range(11):  # the end is never sent
        writer.write(b"2710\r\n" + b" " * 10_000 + b"\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_stops_arriving_is_given_up(monkeypatch):
    monkeypatch.setattr(requests, "BODY_S", 0.01)
    never = asyncio.Event()

    async def receive():
        await never.wait()

    with pytest.raises(requests.BadRequest) as caught:
        await requests.read_body(receive, {b"content-length": b"5"}, 100)
    assert caught.value.code == "body_timeout"


@pytest.mark.parametrize(
    ("query", "meta"),
    [
        ("", {"status": None, "limit": 25, "ids": []}),
        ("status=online&colour=red", {"status": "online", "limit": 25, "ids": []}),
        ("limit=1&limit=2", {"status": None, "limit": 2, "ids": []}),
        ("ids=1&ids=2", {"status": None, "limit": 25, "ids": [1, 2]}),
        ("ids=1", {"status": None, "limit": 25, "ids": [1]}),
        ("status=&limit=", {"status": None, "limit": 25, "ids": []}),
        ("status=caf%C3%A9", {"status": "café", "limit": 25, "ids": []}),
        ("status=%FF", {"status": "\ufffd", "limit": 25, "ids": []}),
    ],
)
async def test_a_query_is_read(client, query, meta):
    assert (await client.get(f"/api/v1/things?{query}")).json()["meta"] == meta


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("limit=ten", {"limit": ["The limit field must be a whole number."]}),
        ("limit=101", {"limit": ["The limit field must be at most 100."]}),
        ("limit=" + "9" * 40, {"limit": ["The limit field must be at most 100."]}),
        ("limit=" + "9" * 5000, {"limit": ["The limit field is out of range."]}),
        ("ids=1&ids=x", {"ids.1": ["The ids.1 field must be a whole number."]}),
        ("ids=1&ids=1&ids=1&ids=1", {"ids": ["The ids field must have at most 3 entries."]}),
        ("status=a%00b", {"status": ["The status field must not contain NUL characters."]}),
    ],
)
async def test_a_wrong_parameter_is_named(client, query, errors):
    answer = await client.get(f"/api/v1/things?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"] == errors


async def test_a_flood_of_parameters_is_a_bad_request(client):
    assert (await client.get("/api/v1/things?" + "a=1&" * 101)).status_code == 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=20,
)
documents = st.fixed_dictionaries(
    {}, optional={"name": json_values, "volume": json_values, "items": json_values, "payload": json_values}
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents.map(json.dumps).map(str.encode) | json_values.map(json.dumps).map(str.encode) | st.binary())
async def test_no_body_makes_the_hub_fail(client, document):
    answer = await post(client, document)
    assert answer.status_code in {201, 400, 422}
    assert answer.json().keys() >= ({"data"} if answer.status_code == 201 else {"message", "code"})


query_pieces = st.sampled_from([b"limit", b"ids", b"status", b"=", b"&", b"%00", b"%", b"9" * 20])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.binary(max_size=60) | st.lists(query_pieces).map(b"".join))
async def test_no_query_makes_the_hub_fail(hub, query):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    scope = {
        "type": "http", "method": "GET", "path": "/api/v1/things", "query_string": query, "state": hub.state,
        "headers": [(b"authorization", b"Bearer sbk_owner")], "client": None, "root_path": "",
    }  # fmt: skip
    await hub.app(scope, receive, send)
    assert sent[0]["status"] in {200, 400, 422}


class Choices(BaseModel):
    flag: bool = False
    ratio: float = Field(0, gt=0, lt=1)
    kind: str = Field("a", pattern="^[a-z]$")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"flag": "perhaps"}, "The flag field must be true or false."),
        ({"ratio": "x"}, "The ratio field must be a number."),
        ({"ratio": 0}, "The ratio field must be greater than 0.0."),
        ({"ratio": 1}, "The ratio field must be less than 1.0."),
        ({"kind": "A"}, "The kind field has the wrong format."),
    ],
)
def test_sentences(values, sentence):
    with pytest.raises(Invalid) as caught:
        requests.validated(Choices, values)
    assert list(caught.value.errors.values()) == [[sentence]]


async def test_a_streamed_body_is_handed_on_as_it_comes_and_given_up_when_it_stalls(monkeypatch):
    def receiving(*messages):
        waiting = list(messages)

        async def receive():
            if waiting:
                return waiting.pop(0)
            return await asyncio.Future()  # never

        return receive

    def part(body, more=True):
        return {"type": "http.request", "body": body, "more_body": more}

    async def read(*messages, limit=10, **headers):
        named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        return [piece async for piece in requests.pieces(receiving(*messages), named, limit)]

    chunked = {"transfer_encoding": b"chunked"}
    assert await read(part(b"abc"), part(b""), part(b"de", more=False), **chunked) == [b"abc", b"", b"de"]
    assert await read() == []  # a request without a body
    for headers in ({"content_length": b"11"}, {"content_length": b"9" * 30}):
        with pytest.raises(TooLarge):
            await read(**headers)
    with pytest.raises(TooLarge):
        await read(part(b"abcdef"), part(b"ghijkl"), **chunked)
    with pytest.raises(ClientDisconnect):
        await read(part(b"abc"), {"type": "http.disconnect"}, content_length=b"9")
    monkeypatch.setattr(requests, "IDLE_S", 0.01)
    with pytest.raises(BadRequest) as stalled:
        await read(part(b"abc"), content_length=b"9")
    assert stalled.value.code == "body_timeout"

    async def trickle():
        await asyncio.sleep(0.005)
        return part(b"x", more=next(numbers) < 100)

    monkeypatch.setattr(requests, "IDLE_S", 0.05)
    numbers = itertools.count()
    with pytest.raises(BadRequest) as trickled:
        [piece async for piece in requests.pieces(trickle, {b"transfer-encoding": b"chunked"}, 1_000)]
    assert trickled.value.code == "body_timeout"


async def test_what_came_fast_is_no_credit_for_what_drips_then(monkeypatch):
    """A place among uploads is held only as long as the rate is kept, whatever came before."""
    monkeypatch.setattr(requests, "IDLE_S", 0.2)
    monkeypatch.setattr(requests, "SLOWEST", 2_000_000)
    numbers = itertools.count()

    async def receive():
        await asyncio.sleep(0)
        number = next(numbers)
        body = bytes(20_000_000) if number == 0 else b"x"  # ten seconds' worth, then far too little
        return {"type": "http.request", "body": body, "more_body": number < 100_000}

    with pytest.raises(BadRequest) as dripped:
        [piece async for piece in requests.pieces(receive, {b"transfer-encoding": b"chunked"}, 30_000_000)]
    assert dripped.value.code == "body_timeout"
