"""The OpenAPI document: valid, complete, and true to the table."""

import re
from pathlib import Path

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel

from hub.api.docs import openapi
from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import One
from hub.app import openapi_document


@pytest.fixture
def document(entries):
    return openapi.document(entries, title="Signalbox", version="0.1.0")


def test_the_document_is_valid_openapi(document):
    validate(document)


def test_every_public_entry_is_listed_and_no_internal_one(document, entries):
    listed = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert listed == {(entry.template, entry.method) for entry in entries if not entry.internal}
    assert "/api/v1/upload" not in document["paths"]


def test_an_operation_tells_what_it_needs(document):
    operation = document["paths"]["/api/v1/things"]["get"]
    assert operation["operationId"] == "list_things"
    assert operation["description"] == "Everything there is.\n\nRequires the scope `read:players`."
    assert operation["x-required-scope"] == "read:players"
    assert operation["security"] == [{"bearer": []}, {"oauth2": ["read:players"]}]
    assert {name: ref["$ref"] for name, ref in operation["responses"].items() if "$ref" in ref} == {
        status: f"#/components/responses/{name}"
        for status, name in {
            "400": "BadRequest",
            "401": "Unauthenticated",
            "403": "Forbidden",
            "422": "Invalid",
            "429": "TooMany",
            "503": "Unavailable",
        }.items()
    }


def test_anonymous_and_deprecated_calls_say_so(document):
    operation = document["paths"]["/api/v1/waits"]["post"]
    assert operation["security"] == []
    assert operation["deprecated"] is True
    assert "401" not in operation["responses"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["Prefer", "Idempotency-Key"]


def test_parameters_carry_their_types_and_limits(document):
    (path,) = document["paths"]["/api/v1/things/{thing_id}"]["get"]["parameters"]
    assert path == {
        "name": "thing_id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**63 - 1},
    }
    query = {parameter["name"]: parameter for parameter in document["paths"]["/api/v1/things"]["get"]["parameters"]}
    assert query["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}
    assert query["limit"]["required"] is False
    assert query["status"]["description"] == "online or offline"


def test_bodies_and_answers_refer_to_their_models_with_examples(document):
    operation = document["paths"]["/api/v1/things"]["post"]
    body = operation["requestBody"]
    assert body["required"] is True
    lobby = {"name": "Lobby", "volume": 20}
    assert body["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}, "example": lobby}
    }
    assert document["components"]["schemas"]["NewThing"]["examples"] == [lobby]
    answer = operation["responses"]["201"]["content"]["application/json"]
    assert answer == {
        "schema": {"$ref": "#/components/schemas/Thing"},
        "example": {"name": "Lobby Display", "volume": 1},
    }


def test_what_is_no_json_is_described_by_its_type_and_its_fields(document):
    form = document["paths"]["/api/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"].keys() == {"title", "file"}
    assert form["properties"]["file"]["format"] == "binary"
    picture = document["paths"]["/api/v1/picture"]["put"]
    content = picture["requestBody"]["content"]["application/octet-stream"]
    assert content["schema"] == picture["responses"]["200"]["content"]["image/*"]["schema"]


def test_every_answer_carries_the_headers_of_rate_limits(document):
    responses = [*document["components"]["responses"].values()]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "429" in operation["responses"]
            responses += [response for response in operation["responses"].values() if "$ref" not in response]
    for response in responses:
        assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= response["headers"].keys()


def test_parameters_that_a_body_may_hold_are_described_there_too(document):
    search = document["paths"]["/api/v1/search"]["get"]
    assert search["requestBody"]["required"] is False
    schema = search["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ThingFilter"}
    assert {"400", "413", "415", "422"} <= search["responses"].keys()


def test_calls_are_grouped_by_the_document_that_has_them(document):
    assert document["x-tagGroups"] == [{"name": "Signalbox and Spot (/api/v1)", "tags": ["Things"]}]


def test_a_form_is_offered_where_it_is_read(document):
    body = document["paths"]["/api/v1/things/pair"]["post"]["requestBody"]
    assert body["required"] is False
    assert body["content"].keys() == {"application/json", "application/x-www-form-urlencoded"}


async def test_what_is_documented_is_what_is_answered(document, client):
    """The examples of the shared errors, against real answers."""
    examples = {
        name: response["content"]["application/json"]["example"]
        for name, response in document["components"]["responses"].items()
    }
    assert (await client.get("/nowhere")).json() == examples["NotFound"]
    assert (await client.get("/api/v1/things", headers={"authorization": ""})).json() == examples["Unauthenticated"]
    assert (await client.post("/api/v1/things", json={})).json() == examples["Invalid"]
    assert (await client.get("/api/v1/failures/unavailable")).json() == examples["Unavailable"]
    assert (await client.get("/api/v1/failures/slow_down")).json() == examples["TooMany"]
    broken = await client.post("/api/v1/things", content=b"{", headers={"content-type": "application/json"})
    assert broken.json() == examples["BadRequest"]


async def test_the_document_is_served_to_everyone(document):
    route = openapi.route(lambda: document)
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/openapi.json", "headers": [], "query_string": b""}
    await route(scope, None, send)
    assert sent[0]["status"] == 200
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"access-control-allow-origin"] == b"*"
    assert sent[1]["body"].startswith(b'{"openapi":"3.1.0"')


async def _handler(call):
    raise AssertionError


def test_two_calls_of_one_name_stop_the_start():
    entries = [Endpoint("GET", path, _handler, summary="", tags=()) for path in ("/a", "/b")]
    with pytest.raises(ValueError, match="_handler"):
        openapi.document(entries, title="", version="")


def test_every_name_can_be_a_class_or_a_function_of_a_generated_client():
    document = openapi_document()
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch("[A-Z][A-Za-z0-9]*", name)] == []
    assert len({name.lower() for name in schemas}) == len(schemas)
    assert [name for name, schema in schemas.items() if "title" in schema] == []  # some generators prefer it
    calls = [call["operationId"] for methods in document["paths"].values() for call in methods.values()]
    assert [name for name in calls if not re.fullmatch("[a-z][a-z_]*", name)] == []
    assert len(set(calls)) == len(calls)


def test_models_of_other_apis_carry_the_name_of_theirs():
    schemas = openapi_document()["components"]["schemas"]
    assert {"Playlist", "AdCastPlaylist", "HangarKey", "HangarMediaOneContent", "OneSchedule"} <= schemas.keys()


def test_names_once_published_stay():
    """Programs are written with them. A new call or model may be added to the list, and none is taken out."""
    document = openapi_document()
    calls = {call["operationId"] for methods in document["paths"].values() for call in methods.values()}
    published = Path(__file__).with_name("published_names.txt").read_text().split()
    assert [name for name in published if name not in calls | document["components"]["schemas"].keys()] == []


def _thing(module):
    return type("Thing", (BaseModel,), {"__module__": module, "__annotations__": {module: int}})


def test_two_models_of_one_name_stop_the_start():
    things = [_thing("one"), _thing("two")]
    for answers in (things, [One[thing] for thing in things], [type("ERROR", (BaseModel,), {})]):
        with pytest.raises(ValueError, match="one name"):
            openapi.document(
                [Endpoint("GET", "/a", _handler, summary="", tags=(), answers=dict(enumerate(answers, 200)))],
                title="",
                version="",
            )
