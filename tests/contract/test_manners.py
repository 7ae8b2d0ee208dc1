"""What the documents say of all their calls alike: how often, with which headers, from browsers, at odd addresses."""

import re

import pytest

from hub.api.http.endpoint import Endpoint
from hub.app import ENTRIES
from hub.config import RateLimits
from tests.whole_hub import WholeHub

A_MINUTE = {  # requests at once after a pause, and a minute after that
    "spot.plan.free": (60, 60),
    "spot.plan.pro": (300, 300),
    "spot.plan.business": (1_000, 1_000),
    "hm.standard": (200, 100),
    "hm.read": (400, 200),
    "hm.write": (120, 60),
    "hm.upload": (60, 30),
    "adcast.token": (60, 60),
    "adcast.player": (300, 300),
    "hangar.default": (100, 240),  # 20 every 5 seconds
}
RATE_HEADERS = {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
ACCOUNT = {"name": "John", "email": "john@example.com", "password": "securepassword123", "company_name": "Co"}


def documented_class(entry: Endpoint) -> str:
    if entry.path.startswith("/api/device/"):
        return "adcast.player"
    if entry.owner == "hangar_media":
        if entry.path == "/v1/content" and entry.method == "POST":
            return "hm.upload"
        return "hm.read" if entry.method == "GET" else "hm.write"
    return {"spot": "spot.plan", "adcast": "adcast.token", "hangar": "hangar.default"}[entry.owner]


def test_the_rates_are_those_of_the_documents() -> None:
    rules = RateLimits().rules
    for name, (at_once, a_minute) in A_MINUTE.items():
        rule = rules[name]
        assert (rule.capacity, rule.refill * 60_000_000 // rule.every_us) == (at_once, a_minute), name
    assert (rules["hangar.default"].refill, rules["hangar.default"].every_us) == (20, 5_000_000)
    for entry in ENTRIES:
        if entry.owner != "own":
            assert (entry.template, entry.rate_class) == (entry.template, documented_class(entry))


async def test_a_free_team_is_told_when_it_may_go_on(hub: WholeHub) -> None:
    token = (await hub.client().post("/api/auth/register", json=ACCOUNT)).json()["token"]
    john = hub.client(token)
    answers = [await john.get("/api/v1/players") for _ in range(60)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"60"}
    while (refused := await john.get("/api/v1/players")).status_code == 200:
        answers.append(refused)  # one comes back each second
        assert len(answers) < 90
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.json()["message"] == "Too many requests."
    assert (await john.get("/api/devices")).status_code == 200  # AdCast counts by token, and has its own count


async def test_every_path_lets_browsers_in_and_says_what_it_does_not_do(hub: WholeHub) -> None:
    nobody = hub.client()
    paths: dict[str, set[str]] = {}
    for entry in ENTRIES:
        paths.setdefault(re.sub(r"\{\w+\}", "9", entry.template), set()).add(entry.method)
    browser = {
        "origin": "https://dashboard.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, accept",
    }
    for path, methods in paths.items():
        asked = await nobody.options(path, headers=browser)
        assert (path, asked.status_code, asked.content) == (path, 204, b"")
        assert asked.headers["access-control-allow-origin"] == "*"
        assert methods <= set(asked.headers["access-control-allow-methods"].split(", "))
        assert {"Authorization", "Content-Type", "Accept"} <= set(
            asked.headers["access-control-allow-headers"].split(", ")
        )
        assert methods <= set(asked.headers["allow"].split(", "))
        assert asked.headers.keys() >= RATE_HEADERS
    for path in list(paths)[::5]:
        wrong = await nobody.request("TRACE", path)
        assert (path, wrong.status_code, wrong.json()["code"]) == (path, 405, "method_not_allowed")
        assert set(wrong.headers["allow"].split(", ")) > paths[path]
        assert wrong.headers.keys() >= RATE_HEADERS


@pytest.mark.parametrize("face", ["/api/v1", "/api", "/v1"])
async def test_odd_addresses_are_overlooked_and_unknown_ones_told_in_json(hub: WholeHub, face: str) -> None:
    owner, base = await hub.as_owner(), "http://hub.test:8080"
    known = {"/api/v1": "players", "/api": "devices", "/v1": "screens"}[face]
    for path in (f"/{face}/{known}", f"//{face}/{known}/", f"{face}/{known}/"):
        assert (await owner.get(base + path)).status_code == 200, path
    for path in (face, f"{face}/", f"{face}/nothing", f"{face}//{known}", f"{face}/{known}/9/nothing"):
        answer = await owner.get(base + path)
        assert (path, answer.status_code) == (path, 404)
        assert answer.json() == {"message": "Not found.", "code": "not_found"}
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers.keys() >= RATE_HEADERS
