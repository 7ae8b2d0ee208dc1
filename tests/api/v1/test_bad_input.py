"""Whatever is sent, the answer is one that the document knows, and never a fault of ours."""

import json
from typing import Any
from urllib.parse import quote

import httpx2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.api.http.endpoint import PARAMETER, Endpoint
from hub.api.oauth.routes import ENTRIES as OAUTH
from hub.api.oauth.shapes import DEVICE_GRANT
from hub.api.v1.routes import ENTRIES as V1
from hub.domain.access import SCOPES
from hub.domain.commands import CATALOGUE
from hub.domain.events import SUBSCRIBABLE
from tests.whole_hub import WholeHub

JSON = {"content-type": "application/json"}
NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 1.5, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 1e308])
URLS = ["https://example.com/", "http://[::1]/", "https://[", "//x", "http://example.com:99999/"]
WORDS = st.sampled_from(
    [*CATALOGUE, *SCOPES, *sorted(SUBSCRIBABLE), *URLS, "custom:x", "player", "2099-01-01", DEVICE_GRANT]
)
TEXTS = st.text(max_size=30) | WORDS
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    entry: Endpoint = draw(st.sampled_from([*V1, *OAUTH]))
    path = entry.template
    for name, integer in entry.parameters:
        value = draw(st.sampled_from(["1", "2", "3", "0", str(2**63 - 1), str(2**63)]) if integer else TEXTS)
        path = path.replace(f"{{{name}}}", quote(value, safe="") or "x")
    request: dict[str, Any] = {"method": entry.method, "url": path}
    if entry.query is not None:
        names = st.sampled_from(sorted(entry.query.model_fields)) | TEXTS
        request["params"] = draw(st.dictionaries(names, TEXTS | NUMBERS.map(str), max_size=3))
    if entry.body is not None:
        names = st.sampled_from(sorted(entry.body.model_fields)) | TEXTS
        example = entry.body.model_json_schema()["examples"][0]
        spoiled = st.dictionaries(names, VALUES, max_size=2).map(lambda changes: example | changes)
        body = spoiled | st.dictionaries(names, VALUES, max_size=5) | VALUES
        request["content"] = draw(body.map(json.dumps).map(str.encode) | st.binary(max_size=50))
        kinds = ["application/json"] * 6 + ["application/x-www-form-urlencoded", "text/plain", ""]
        request["headers"] = {"content-type": draw(st.sampled_from(kinds))}
    headers = draw(st.dictionaries(st.sampled_from(["if-match", "idempotency-key", "prefer"]), LATIN, max_size=2))
    request["headers"] = {**request.get("headers", {}), **{k: v.encode("latin-1") for k, v in headers.items()}}
    return request


@given(request=requests())
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
async def test_no_input_is_a_fault_of_ours(hub: WholeHub, player: int, request: dict[str, Any]) -> None:
    # A key for each request: one of them may well have revoked the last.
    client = await hub.as_owner()
    answer = await client.request(**request)
    assert answer.status_code != 500, answer.text
    await client.aclose()


async def test_numbers_beyond_what_the_database_holds_are_refused(hub: WholeHub, owner: httpx2.AsyncClient) -> None:
    for body in ({"player_id": 2**63, "command": "reboot"}, {"player_id": 10**30, "command": "reboot"}):
        answer = await owner.post("/api/v1/commands", content=json.dumps(body).encode(), headers=JSON)
        assert answer.status_code == 422, body
    assert (await owner.get(f"/api/v1/players/{2**63}")).status_code == 404
    assert (await owner.get("/api/v1/players", params={"group_id": 2**63})).status_code == 422


async def test_a_payload_that_is_too_large_or_too_deep_is_refused(owner: httpx2.AsyncClient, player: int) -> None:
    big = {"player_id": player, "command": "custom:x", "payload": {"x": "y" * 70_000}}
    assert (await owner.post("/api/v1/commands", json=big)).status_code == 422
    huge = {"player_id": player, "command": "custom:x", "payload": {"x": "y" * 300_000}}
    assert (await owner.post("/api/v1/commands", json=huge)).status_code == 413
    deep: Any = {}
    for _ in range(40):
        deep = {"x": deep}
    answer = await owner.post("/api/v1/commands", json={"player_id": player, "command": "custom:x", "payload": deep})
    assert answer.status_code == 400


async def test_a_query_parameter_that_a_call_of_ours_does_not_know_is_refused(hub: WholeHub, player: int) -> None:
    """A typing error (`?per_pag=5`) is not taken for a wish."""
    token = await hub.services.players.issue_token(hub.owner, player, face="signalbox")
    people, players = await hub.as_owner(), hub.client(token)
    for entry in V1:
        if entry.owner != "own" or entry.rate == "signed":  # links are written by the hub, and may be decorated
            continue
        path = PARAMETER.sub("1", entry.path)
        kind = entry.texts[0] if entry.texts else "application/json"
        body = json.dumps(entry.body.model_json_schema()["examples"][0]) if entry.body else ""
        client = players if "player" in entry.callers else people
        for name in ("no_such", "Limit"):
            answer = await client.request(
                entry.method, path, params={name: "1"}, content=body, headers={"content-type": kind}
            )
            assert answer.status_code == 422, f"{entry.method} {entry.path}: {answer.status_code}"
            assert answer.json()["errors"][name] == [f"The {name} field is not known here."]


async def test_the_documented_calls_of_other_apis_overlook_it(owner: httpx2.AsyncClient, player: int) -> None:
    for path in ("/api/v1/players", f"/api/v1/players/{player}", "/api/v1/webhooks", "/v1/screens", "/api/devices"):
        assert (await owner.get(path, params={"no_such": "1"})).status_code == 200, path
    metadata = await owner.get("/.well-known/oauth-authorization-server", params={"no_such": "1"})
    assert metadata.status_code == 200  # RFC 6749, 3.1
