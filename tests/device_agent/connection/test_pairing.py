"""The device authorization grant from the device's side, against a real HTTP server."""

import asyncio
import json
import math
from collections import deque
from urllib.parse import parse_qs

import pytest

from device_agent.connection import pairing, tokens
from tests.device_agent.test_cli import device_agent, ending
from tests.tcp_server import tcp_server

OFFER = {
    "device_code": "d-1",
    "user_code": "ABC234",
    "verification_uri": "http://hub/pair",
    "verification_uri_complete": "http://hub/pair?code=ABC234",
    "expires_in": 600,
    "interval": 5,
}


class AuthServer:
    """Answers each request with the next of `answers` (status, object), and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, object]] = deque()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self.preferred: list[str | None] = []

    async def handle(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.preferred.append(next((line[8:] for line in head.splitlines() if line.startswith("Prefer: ")), None))
        length = next(
            int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
        )
        form = parse_qs((await reader.readexactly(length)).decode())
        self.asked.append((head.split()[1], {name: values[0] for name, values in form.items()}))
        status, answer = self.answers.popleft()
        body = json.dumps(answer).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()


@pytest.fixture
async def auth():
    auth = AuthServer()
    async with tcp_server(auth.handle) as port:
        auth.url = f"http://127.0.0.1:{port}"
        yield auth


class Clock:
    """Time that passes by sleeping, and by requests that are held for `held` seconds each."""

    def __init__(self):
        self.now = 0.0
        self.slept = []
        self.held = deque()

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    async def post(self, *request):
        self.now += self.held.popleft() if self.held else 0
        return await pairing.post(*request)


@pytest.fixture
def clock():
    return Clock()


async def waited_for_token(auth, clock, offer=None):
    offer = offer or await pairing.begin(auth.url, {})
    return await pairing.wait_for_token(auth.url, offer, sleep=clock.sleep, clock=clock, post=clock.post)


async def test_a_code_is_shown_and_exchanged_for_a_token_once_approved(auth, clock):
    auth.answers.extend(
        [(200, OFFER), (400, {"error": "authorization_pending"}), (200, {"access_token": "t", "token_type": "Bearer"})]
    )
    offer = await pairing.begin(auth.url, {"hardware_id": "h", "model": None, "name": "lobby"})
    assert (offer.user_code, offer.complete_uri) == ("ABC234", "http://hub/pair?code=ABC234")
    assert await waited_for_token(auth, clock, offer) == ("t", "")
    assert auth.asked[0] == (
        "/oauth/device_authorization",
        {"client_id": "player", "hardware_id": "h", "name": "lobby"},
    )
    assert auth.asked[1][0] == "/oauth/token"
    assert auth.asked[1][1] == {
        "client_id": "player",
        "device_code": "d-1",
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
    }
    assert clock.slept == [5]
    assert auth.preferred == [None, "wait=15", "wait=15"]


async def test_what_the_hub_held_a_request_counts_as_interval(auth, clock):
    auth.answers.extend([(200, OFFER), *[(400, {"error": "authorization_pending"})] * 2, (200, {"access_token": "t"})])
    clock.held.extend([15, 2])
    await waited_for_token(auth, clock)
    assert clock.slept == [0, 3]


async def test_a_held_request_ends_with_the_wait_for_it():
    asked, ended = asyncio.Event(), asyncio.Event()

    async def hold(reader, writer):
        await reader.readuntil(b"wait=15")
        asked.set()
        await reader.read()
        ended.set()

    async with tcp_server(hold) as port:
        waiting = asyncio.create_task(
            pairing.wait_for_token(f"http://127.0.0.1:{port}", pairing.Offer("d", "u", "x", "x", 600, 5))
        )
        await asked.wait()
        waiting.cancel()
        async with asyncio.timeout(pairing.HELD_S):
            await ended.wait()


async def test_an_answer_without_end_is_given_up(monkeypatch):
    ended = asyncio.Event()

    async def go_on(reader, writer):
        try:
            while True:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await asyncio.sleep(0)  # as `drain` gives nobody a turn while all is read at once
                await writer.drain()
        except ConnectionError:
            ended.set()

    monkeypatch.setattr(pairing, "ANSWER_S", 0.1)
    async with tcp_server(go_on) as port:
        with pytest.raises(pairing.PairingFailed) as failed:
            await pairing.begin(f"http://127.0.0.1:{port}", {})
        assert failed.value.code == "unreachable"
        await ended.wait()


async def test_slow_down_makes_every_later_interval_longer(auth, clock):
    auth.answers.extend(
        [
            (200, OFFER),
            (400, {"error": "slow_down"}),
            (400, {"error": "authorization_pending"}),
            (503, {"message": "busy"}),
            (200, {"access_token": "t"}),
        ]
    )
    await waited_for_token(auth, clock)
    assert clock.slept == [10, 10, 20]


@pytest.mark.parametrize("code", ["access_denied", "expired_token", "invalid_client"])
async def test_a_refusal_ends_the_pairing_with_its_code(auth, clock, code):
    auth.answers.extend([(200, OFFER), (400, {"error": code, "error_description": "no"})])
    with pytest.raises(pairing.PairingFailed) as caught:
        await waited_for_token(auth, clock)
    assert (caught.value.code, caught.value.message) == (code, "no")


async def test_a_code_that_nobody_enters_expires(auth, clock):
    auth.answers.append((200, {**OFFER, "expires_in": 20}))
    auth.answers.extend([(400, {"error": "authorization_pending"})] * 10)
    with pytest.raises(pairing.PairingFailed) as caught:
        await waited_for_token(auth, clock)
    assert caught.value.code == "expired_token"
    assert sum(clock.slept) <= 25


async def test_a_hub_that_cannot_be_reached_meanwhile_is_asked_again_more_slowly(clock):
    answers = deque([pairing.PairingFailed("unreachable", "x"), (200, {"access_token": "t"})])

    async def post(url, form, headers):
        answer = answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    offer = pairing.Offer("d", "u", "x", "x", 600, 5)
    got = await pairing.wait_for_token("http://hub", offer, sleep=clock.sleep, clock=clock, post=post)
    assert (got, clock.slept) == (("t", ""), [10])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((429, {"error": "slow_down", "error_description": "x"}), "slow_down"),
        ((404, {"message": "Not found.", "code": "not_found"}), "not_found"),
        ((500, []), "http_500"),
        ((200, {"device_code": "x"}), "invalid_answer"),
    ],
)
async def test_no_offer_is_an_error_with_a_reason(auth, answer, code):
    auth.answers.append(answer)
    with pytest.raises(pairing.PairingFailed) as caught:
        await pairing.begin(auth.url, {})
    assert caught.value.code == code


async def test_no_hub_is_an_error_with_a_reason():
    with pytest.raises(pairing.PairingFailed) as caught:
        await pairing.begin("http://127.0.0.1:1", {})
    assert caught.value.code == "unreachable"


def test_a_token_is_kept_for_this_user_alone_and_replaced_whole(tmp_path):
    state = tmp_path / "state"
    assert tokens.load(state) is None
    tokens.store(state, "first")
    tokens.store(state, "second")
    assert tokens.load(state) == "second"
    assert (state / tokens.FILE).stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in state.iterdir()] == [tokens.FILE]


async def test_a_players_own_code_is_handed_over_and_nothing_is_shown(auth, tmp_path):
    auth.answers.extend([(200, OFFER | {"interval": 0.01}), (200, {"access_token": "t", "token_type": "Bearer"})])
    async with device_agent("pair", "--hub", auth.url, "--state", tmp_path, "--code", "BCD-234") as process:
        status, out, _ = await ending(process)
    assert status == 0
    assert auth.asked[0][1]["pairing_code"] == "BCD-234"
    assert tokens.load(tmp_path) == "t"
    assert "Code:" not in out


@pytest.mark.parametrize("named", [0, -1, 1e-300, 5, 3_599, 1e9, 1e300, math.inf, -math.inf, 10**400, "7"])
async def test_the_times_of_an_offer_are_within_what_makes_sense(auth, named):
    auth.answers.append((200, OFFER | {"interval": named, "expires_in": named}))
    offer = await pairing.begin(auth.url, {})
    assert 1 <= offer.interval_s <= pairing.LONGEST_INTERVAL_S
    assert 1 <= offer.expires_s <= pairing.LONGEST_EXPIRES_S


@pytest.mark.parametrize("named", [math.nan, "soon", "nan", None, True, [5], {}])
async def test_an_offer_whose_times_are_no_numbers_is_none(auth, named):
    for name in ("interval", "expires_in"):
        auth.answers.append((200, OFFER | {name: named}))
        with pytest.raises(pairing.PairingFailed, match="cannot be read"):
            await pairing.begin(auth.url, {})
