"""The route table against a real server: which request meets which answer, and with which headers."""

import asyncio

import pytest

from hub.api.http.endpoint import Endpoint
from hub.api.http.routing import RouteTable

SPOT = {
    "cache-control": "no-cache, private",
    "content-type": "application/json",
    "x-api-version": "1.2",
    "access-control-allow-origin": "*",
}
OWN = {**SPOT, "cache-control": "no-store"}


def headers_of(answer, wanted):
    return {name: answer.headers.get(name) for name in wanted}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/things", 200),
        ("GET", "/api/v1/things?limit=0", 422),
        ("POST", "/api/v1/things", 422),
        ("PATCH", "/api/v1/things", 405),
        ("GET", "/api/v1/failures/conflict", 409),
        ("GET", "/api/v1/failures/slow_down", 429),
        ("GET", "/api/v1/failures/unavailable", 503),
        ("GET", "/api/v1/failures/bug", 500),
        ("GET", "/api/v1/failures/unsendable", 500),
    ],
)
async def test_a_spot_route_answers_with_spots_headers_whatever_happens(wire, method, path, status):
    answer = await wire.request(method, path)
    assert answer.status_code == status
    assert headers_of(answer, SPOT) == SPOT


async def test_spots_401_is_as_documented_to_the_letter(wire):
    for credential in ("", "Basic abc", "Bearer", "Bearer unknown", "Bearer a b", "Bearer \xff"):
        answer = await wire.get("/api/v1/things", headers=[("authorization", credential.encode("latin-1"))])
        assert answer.status_code == 401
        assert answer.content == b'{"message":"Unauthenticated."}'
        assert headers_of(answer, SPOT) == SPOT
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/api/v1/things/16", "/api/v1/anonymous", "/nowhere", "/api/v1/things/16/nowhere"])
async def test_other_routes_and_unknown_paths_answer_with_our_headers(client, path):
    assert headers_of(await client.get(path), OWN) == OWN


async def test_a_missing_scope_is_named(client):
    answer = await client.post("/api/v1/things", json={"name": "x"}, headers={"authorization": "Bearer sbk_viewer"})
    assert answer.status_code == 403
    assert answer.json() == {
        "message": "This API key lacks the required scope: write:players.",
        "code": "missing_scope",
    }


async def test_a_players_token_opens_no_operators_route(client):
    answer = await client.get("/api/v1/things", headers={"authorization": "Bearer sbp_player"})
    assert answer.status_code == 403


async def test_who_calls_is_judged_before_what_they_send(client):
    answer = await client.post("/api/v1/things", content=b"{", headers={"authorization": "Bearer unknown"})
    assert answer.status_code == 401
    assert (await client.get("/api/v1/nothings", headers={"authorization": "Bearer unknown"})).status_code == 404


async def test_an_entry_without_credential_has_no_actor(client):
    answer = await client.get("/api/v1/anonymous", headers={"authorization": "Bearer unknown"})
    assert answer.json() == {"anonymous": True}


async def test_integer_segments_arrive_as_integers_and_literals_win(client):
    assert (await client.get("/api/v1/things/16")).json() == {"name": "thing 16", "volume": 1}
    assert (await client.get(f"/api/v1/things/{2**63 - 1}")).json()["name"] == f"thing {2**63 - 1}"
    assert (await client.get("/api/v1/things/pair")).status_code == 405


@pytest.mark.parametrize(
    "segment",
    [str(2**63), "9" * 30, "-1", "+1", "1.0", "1e3", "0x10", "x", "%20", "1%202", "%C2%B2", "%D9%A1", "%00", "1/"],
)
async def test_what_is_no_id_is_not_found(client, segment):
    answer = await client.get(f"/api/v1/things/{segment}x" if segment == "1/" else f"/api/v1/things/{segment}")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Not found.", "code": "not_found"}


@pytest.mark.parametrize(
    ("segment", "word"), [("cmd_01AB", "cmd_01AB"), ("%C3%A9t%C3%A9", "été"), ("a" * 200, "a" * 200)]
)
async def test_text_segments_arrive_decoded(client, segment, word):
    assert (await client.get(f"/api/v1/words/{segment}")).json() == {"word": word}


@pytest.mark.parametrize("segment", ["a" * 201, "a%00b", "a%0Ab", "a%2Fb", "a/b", ""])
async def test_what_is_no_word_is_not_found(client, segment):
    assert (await client.get(f"/api/v1/words/{segment}")).status_code == 404


async def test_a_wrong_method_is_told_the_right_ones(client):
    answer = await client.patch("/api/v1/things/16")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, DELETE, HEAD, OPTIONS"
    assert answer.json() == {"message": "This method is not allowed here.", "code": "method_not_allowed"}


async def test_head_is_get_without_the_body(wire):
    whole = await wire.get("/api/v1/things/16")
    head = await wire.head("/api/v1/things/16")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))
    assert (await wire.head("/api/v1/waits")).status_code == 405


async def test_a_preflight_needs_no_credential(wire):
    answer = await wire.options("/api/v1/things", headers={"authorization": "", "origin": "https://example.com"})
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "accept", "idempotency-key", "prefer"}


async def test_scripts_of_other_origins_may_read_the_pacing_headers(client):
    exposed = (await client.get("/api/v1/things")).headers["access-control-expose-headers"]
    assert {"retry-after", "x-api-version", "x-ratelimit-remaining"} <= set(exposed.split(", "))


@pytest.mark.parametrize("path", ["//api/v1/things", "///api/v1/things", "/api/v1/things//"])
async def test_doubled_leading_and_a_trailing_slash_are_overlooked(wire, path):
    assert (await wire.get(str(wire.base_url) + path)).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1//things", "/api", "/", "//", "//nowhere"])
async def test_other_paths_are_not_found(client, path):
    assert (await client.get(str(client.base_url) + path)).status_code == 404


async def test_parameters_may_come_as_a_body_where_the_entry_says_so(client):
    async def search(**request):
        return await client.request("GET", "/api/v1/search", **request)

    body = {"status": "online", "limit": 50, "ids": [1, 2], "unknown": True}
    assert (await search(json=body)).json() == {"status": "online", "limit": 50, "ids": [1, 2]}
    both = await search(json=body, params={"limit": 7, "ids": 3})
    assert both.json() == {"status": "online", "limit": 7, "ids": [3]}
    nothing = await search(headers={"content-type": "application/json"})
    assert nothing.json() == {"status": None, "limit": 25, "ids": []}
    assert (await search(json={"limit": 0}, params={"limit": 1})).status_code == 200
    wrong = await search(json={"limit": 0, "ids": "x"})
    assert wrong.status_code == 422
    assert set(wrong.json()["errors"]) == {"limit", "ids"}
    assert (await search(content=b"{", headers={"content-type": "application/json"})).status_code == 400
    assert (await search(content=b"limit=1")).status_code == 415
    elsewhere = await client.request("GET", "/api/v1/things", json={"limit": 0})
    assert elsewhere.status_code == 200


async def test_answers_may_carry_their_own_headers_and_no_body(wire):
    created = await wire.post("/api/v1/things", json={"name": "Lobby"})
    assert created.status_code == 201
    assert created.headers["location"] == "/api/v1/things/1"
    gone = await wire.delete("/api/v1/things/16")
    assert gone.status_code == 204
    assert gone.content == b""
    assert "content-type" not in gone.headers


async def test_a_stream_keeps_its_own_type(wire):
    answer = await wire.get("/api/v1/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == b"data: 1\n\n"
    head = await wire.head("/api/v1/stream")
    assert (head.status_code, head.headers["content-type"]) == (200, answer.headers["content-type"])


async def test_an_entry_without_a_body_model_may_read_the_stream_itself(wire):
    assert (await wire.put("/api/v1/upload", content=b"x" * 100_000)).json() == {"bytes": 100_000}


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [("wait=10", 10), ("WAIT=10", 10), ('wait="5"', 5), ("respond-async, wait=10", 10), ("respond-async; wait=10", 10),
     ("wait = 7", 7), ("wait=3600", 30), ("wait=0", 0), ("wait=-1", 0), ("wait=x", 0), ("wait=1.5", 0), ("await=9", 0)],
)  # fmt: skip
async def test_a_preferred_wait_is_read_capped_and_confirmed(client, prefer, seconds):
    answer = await client.post("/api/v1/waits", headers={"prefer": prefer})
    assert answer.json()["wait"] == seconds
    assert answer.headers.get("preference-applied") == (f"wait={seconds}" if seconds else None)


async def test_a_wait_is_not_confirmed_where_none_happens(client):
    assert "preference-applied" not in (await client.get("/api/v1/things", headers={"prefer": "wait=5"})).headers


async def test_an_idempotency_key_comes_with_a_fingerprint_of_the_request(client):
    async def ask(note: str) -> dict[str, str]:
        return (await client.post("/api/v1/waits", json={"note": note}, headers={"idempotency-key": "order 1"})).json()

    first, again, other = await ask("a"), await ask("a"), await ask("b")
    assert first["key"] == "order 1"
    assert first["fingerprint"] == again["fingerprint"] != other["fingerprint"]


@pytest.mark.parametrize("key", ["", "a" * 256, "caf\xe9"])
async def test_a_key_that_cannot_be_kept_is_refused(client, key):
    answer = await client.post("/api/v1/waits", headers=[("idempotency-key", key.encode("latin-1"))])
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_idempotency_key"


async def test_requests_are_counted_by_template_never_by_path(client, hub):
    for path in ("/api/v1/things/16", "/api/v1/things/17"):
        await client.get(path)
    await client.request("PROPFIND", "/api/v1/things/18")
    count = hub.metrics.registry.get_sample_value
    name, route = "signalbox_http_request_seconds_count", "/api/v1/things/{thing_id}"
    assert count(name, {"route": route, "method": "GET", "status": "200"}) == 2
    assert count(name, {"route": route, "method": "other", "status": "405"}) == 1
    assert b"things/16" not in hub.metrics.render()


async def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(wire, caplog):
    port = wire.base_url.port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /api/v1/waits HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await wire.get("/api/v1/things")).status_code == 200
    assert not caplog.records


async def _handler(call):
    raise AssertionError


def _entry(method="GET", path="/x", **rest):
    return Endpoint(method, path, _handler, summary="", tags=(), **rest)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: _entry(scope="read:minds"), "no scope read:minds"),
        (lambda: _entry(query_in_body=True), "query_in_body"),
        (lambda: RouteTable([_entry(), _entry()]), "GET /x"),
        (lambda: RouteTable([_entry(path="/x/{a:int}"), _entry("PUT", path="/x/{b:int}")]), "already has /x/{a}"),
        (lambda: RouteTable([_entry(path="/x/{a:int}"), _entry(path="/x/{a}/y")]), "integer in one path"),
    ],
)
def test_a_mistake_in_the_table_stops_the_start(make, complaint):
    with pytest.raises(ValueError) as caught:
        make()
    assert complaint in str(caught.value)
