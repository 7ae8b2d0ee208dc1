"""Rate limits on the wire: who shares a bucket with whom, and what every answer says of it."""

import asyncio
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from hub.api.http.endpoint import Endpoint
from hub.api.http.rate_limits import BODIES_OF_NETWORK, UNKNOWN_BODIES, UNKNOWN_BODY_BYTES, RateLimiter
from hub.api.http.responses import Answer
from hub.api.http.routing import RouteTable
from hub.domain.access import Actor, Credential
from hub.domain.ratelimit import Rule

NOW = 1_774_795_800_000
HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
RULES = {
    "spot.plan.free": Rule.per_minute(60),
    "spot.plan.unlimited": Rule.per_minute(3),
    "hm.standard": Rule.per_minute(2, 5),
    "hm.read": Rule.per_minute(7),
    "hm.write": Rule.per_minute(6),
    "adcast.token": Rule.per_minute(8),
    "adcast.player": Rule.per_minute(9),
    "adcast.network": Rule.per_minute(10),
    "hangar.default": Rule(10, 2, 5_000_000),
    "signed": Rule.per_minute(50),
}


class Heartbeat(BaseModel):
    uuid: Annotated[str, Field(max_length=50)]


async def _handler(call: Any) -> Answer:
    raise AssertionError


@pytest.mark.parametrize(
    ("owner", "method", "rate"),
    [("own", "GET", "spot.plan"), ("spot", "POST", "spot.plan"), ("adcast", "GET", "adcast.token"),
     ("hangar", "GET", "hangar.default"), ("hangar_media", "GET", "hm.read"), ("hangar_media", "PUT", "hm.write")],
)  # fmt: skip
def test_an_entry_has_the_class_of_its_document(owner, method, rate):
    assert Endpoint(method, "/x", _handler, summary="", tags=(), owner=owner).rate_class == rate
    assert Endpoint(method, "/x", _handler, summary="", tags=(), owner=owner, rate="signed").rate_class == "signed"


def test_who_shares_a_bucket():
    pacing = RateLimiter(RULES)

    def left(rate: Any, caller: Actor | None = None, address: str | None = "192.0.2.1", **more: Any) -> tuple[int, int]:
        standing = pacing.take(rate, caller, address, NOW, **more)
        return standing.limit, standing.remaining

    def actor(number: int, team: int = 1, plan: str = "free", kind: Any = "key", user: int | None = None) -> Actor:
        credential = Credential("login" if kind == "user" else kind, number)
        return Actor(kind, user or number, team, "", frozenset(), user_id=user, plan=plan, credential=credential)

    assert left("spot.plan", actor(1)) == (60, 59)
    assert left("spot.plan", actor(2)) == (60, 58)  # another key of the team
    assert left("spot.plan", actor(3, team=2)) == (60, 59)
    assert left("spot.plan", actor(4, team=3, plan="unlimited")) == (3, 2)
    assert left("spot.plan", actor(5, team=4, plan="no such plan")) == (60, 59)
    assert left("hm.read", actor(1)) == (7, 6)
    assert left("hm.read", actor(2)) == (7, 6)
    assert left("hm.write", actor(1)) == (6, 5)
    assert left("adcast.token", actor(8, kind="user", user=5)) == (8, 7)
    assert left("adcast.token", actor(9, kind="user", user=5)) == (8, 7)  # another token of the same person
    assert left("hangar.default", actor(8, user=5)) == (10, 9)
    assert left("hangar.default", actor(9, user=5)) == (10, 8)  # the same person by another key
    assert left("spot.plan", actor(1, kind="player")) == (9, 8)
    assert left("spot.plan", actor(1)) == (60, 57)  # a player takes nothing from its team
    assert left("adcast.player", device="uuid-1") == (9, 8)
    assert left("adcast.player", device="uuid-2") == (9, 8)
    assert left("adcast.player") == (9, 8)
    assert left("spot.plan") == left("hm.standard", address="192.0.2.2") == (5, 4)
    assert left("hm.standard") == (5, 3)
    assert left("signed", address="2001:db8::1") == (50, 49)
    assert left("signed", address="2001:db8::2:1") == (50, 48)  # of one subscriber
    assert left("signed", address="2001:db8:0:1::1") == (50, 49)
    assert left("spot.plan", address=None) == (5, 4)  # a Unix socket


async def test_every_answer_says_where_its_caller_stands(make_hub):
    async with make_hub(pacing=RateLimiter({**RULES, "hm.standard": Rule.per_minute(60, 200)})).called() as client:
        thing = {"name": "Lobby"}
        for method, path, status, more in [
            ("GET", "/api/v1/things", 200, {}),
            ("POST", "/api/v1/things", 422, {"json": {}}),
            ("GET", "/api/v1/things", 200, {}),
            ("POST", "/api/v1/things", 429, {"json": thing}),
            ("HEAD", "/api/v1/things", 429, {}),
            ("GET", "/api/v1/stream", 200, {}),
            ("GET", "/api/v1/failures/bug", 500, {}),
            ("GET", "/api/v1/failures/slow_down", 429, {}),
            ("PATCH", "/api/v1/things", 405, {}),
            ("OPTIONS", "/api/v1/things", 204, {}),
            ("GET", "/api/v1/nothing", 404, {}),
            ("GET", "/api", 404, {}),
            ("GET", "//v1/nothing/", 404, {}),
            ("GET", "/api/v1/things", 401, {"headers": {"authorization": "Bearer unknown"}}),
        ]:
            answer = await client.request(method, f"http://hub{path}", **more)
            assert (method, path, answer.status_code) == (method, path, status)
            assert all(answer.headers[name].isdigit() for name in HEADERS), path
            if status in (404, 405, 429) and method != "HEAD":
                assert answer.json().keys() == {"message", "code"}


async def test_who_asks_too_often_waits_and_nobody_else(make_hub):
    async with make_hub(pacing=RateLimiter(RULES)).called() as client:
        owner = [await client.get("/api/v1/things/16") for _ in range(5)]
        assert [answer.status_code for answer in owner] == [200, 200, 200, 429, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in owner] == ["2", "1", "0", "0", "0"]
        refused = owner[-1]
        assert refused.json() == {"message": "Too many requests.", "code": "too_many_requests"}
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        unknown = [
            await client.get("/api/v1/things", headers={"authorization": f"Bearer guess{number}"})
            for number in range(6)
        ]
        assert [answer.status_code for answer in unknown] == [401] * 5 + [429]
        assert (await client.get("/api/v1/nowhere")).status_code == 429  # the same address
        assert (await client.options("/api/v1/things")).status_code == 204


async def heartbeat(call: Any) -> Answer:
    return Answer(200, {"uuid": call.body.uuid})


HEARTBEAT = Endpoint(
    "POST", "/api/heartbeat", heartbeat, summary="", tags=(), rate="adcast.player", needs_auth=False, body=Heartbeat
)


class Stranger:
    """A request of whoever calls without a credential, whose body may be held back."""

    def __init__(self, table: RouteTable, address: str, body: bytes | None, length: int = 100) -> None:
        self.reading = asyncio.Event()  # the hub has begun to wait for the body
        self.status = 0
        self._body = body
        scope = {
            "type": "http", "method": "POST", "path": "/api/heartbeat", "client": (address, 1), "query_string": b"",
            "headers": [(b"content-length", b"%d" % length), (b"content-type", b"application/json")],
            "state": {"services": None},
        }  # fmt: skip
        scope |= table.matches(scope)[1]
        self.answered = asyncio.create_task(table.handle(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        self.reading.set()
        if self._body is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)

    async def waits(self) -> bool:
        """Whether the hub waits for the body, or has answered."""
        reading = asyncio.create_task(self.reading.wait())
        await asyncio.wait([reading, self.answered], return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        return self.reading.is_set()


async def test_the_address_has_its_turn_before_a_body_is_read():
    table = RouteTable([HEARTBEAT], pacing=RateLimiter(RULES))
    for number in range(10):
        known = Stranger(table, "192.0.2.1", b'{"uuid": "tv-%d"}' % number)
        await known.answered
        assert known.status == 200
    late = Stranger(table, "192.0.2.1", None)
    assert not await late.waits()
    assert late.status == 429
    other = Stranger(table, "192.0.2.2", b'{"uuid": "tv-1"}')
    await other.answered
    assert other.status == 200


async def test_bodies_of_strangers_are_small_and_few_at_once():
    table = RouteTable([HEARTBEAT])
    large = Stranger(table, "192.0.2.1", None, UNKNOWN_BODY_BYTES + 1)
    await large.answered
    assert large.status == 413
    held: list[Stranger] = []

    async def hold(address: str) -> int:
        """0, or the refusal."""
        held.append(Stranger(table, address, None))
        return 0 if await held[-1].waits() else held[-1].status

    (_, of_network), (_, of_site) = BODIES_OF_NETWORK
    try:
        assert {await hold("192.0.2.1") for _ in range(of_network)} == {0}
        assert await hold("192.0.2.1") == 429
        assert {await hold(f"2001:db8:0:{number:x}::1") for number in range(of_site)} == {0}
        assert await hold("2001:db8:0:ffff::1") == 429
        assert {await hold(f"198.51.{n >> 8}.{n & 255}") for n in range(UNKNOWN_BODIES - of_network - of_site)} == {0}
        assert await hold("203.0.113.1") == 503
        held[0].answered.cancel()
        await asyncio.wait([held[0].answered])
        assert await hold("203.0.113.1") == 0
    finally:
        for one in held:
            one.answered.cancel()
        await asyncio.wait([one.answered for one in held])


async def test_without_limits_no_answer_speaks_of_them(client):
    assert not set(HEADERS) & set((await client.get("/api/v1/things")).headers)
