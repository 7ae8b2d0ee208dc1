"""HTTP as the hub reads it: offers to upgrade, and requests that two servers could read in two ways."""

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from hub import server
from hub.app import create_app
from hub.server import MAX_HEAD_BYTES, MAX_WAITING, HubHttp, configure, serving
from tests.certificates import pem_file
from tests.harness import Hub, make_team, running_hub, settings
from tests.raw_http import answers, exchange
from tests.waiting import PATIENCE_S

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
"""As Java's HttpClient offers it with every first request."""
OFFERS = {
    "h2c": H2C,
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "several": b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\n",
    "in two lines": b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\nUpgrade: websocket\r\n",
    "made up": b"Connection: upgrade\r\nUpgrade: teleport/3\r\n",
}
LAST = b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    async with running_hub(settings(tmp_path_factory.mktemp("hub"), rate_limits={"enabled": False})) as hub:
        yield hub


def head(hub: Hub, start: str, *more: bytes) -> bytes:
    lines = f"{start} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {hub.key}\r\nContent-Type: application/json\r\n"
    return lines.encode() + b"".join(more) + b"\r\n"


def sized(body: bytes) -> tuple[bytes, bytes]:
    return b"Content-Length: %d\r\n" % len(body), body


def chunked(body: bytes) -> tuple[bytes, bytes]:
    parts = b"".join(b"%x;of=%d\r\n%b\r\n" % (len(part), len(body), part) for part in (body[:9], body[9:]))
    return b"Transfer-Encoding: chunked\r\n", parts + b"0\r\n\r\n"


# Offers to upgrade


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("form", [sized, chunked])
@pytest.mark.parametrize("cut", ["whole", "behind the head", "everywhere"])
async def test_an_offer_that_is_not_taken_is_ignored(hub: Hub, offer: bytes, form, cut: str) -> None:
    """The body is read, wherever it is cut, and what follows it is the next request."""
    framing, body = form(b'\r\n{"name":\r\n"Lobby"}')
    first = head(hub, "POST /api/v1/players", offer, framing)
    everything = first + body + LAST
    pieces = {
        "whole": [everything],
        "behind the head": [first, body, LAST],
        "everywhere": [everything[at : at + 7] for at in range(0, len(everything), 7)],
    }[cut]
    made, healthy = await exchange(hub.port, *pieces)
    assert made.status == 201, made.body
    assert made.json["data"]["name"] == "Lobby"
    assert (healthy.status, healthy.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/players", 200),
        ("HEAD", "/api/v1/players", 200),
        ("OPTIONS", "/api/v1/players", 204),
        ("DELETE", "/api/v1/players/999999", 404),
        ("PATCH", "/api/v1/players/999999", 422),
        ("PUT", "/api/v1/players", 405),
        ("GET", "/healthz", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/ws/nowhere", 404),
        ("POST", "/ws/player", 405),
        ("GET", "/docs/api", 200),
    ],
)
async def test_each_method_gets_one_plain_answer(hub: Hub, offer: bytes, method: str, path: str, status: int) -> None:
    pieces = [head(hub, f"{method} {path}", offer), LAST]
    if method == "HEAD":
        pieces = pieces[:1]
        pieces[0] = pieces[0].replace(b"Connection: ", b"Connection: close, ")
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(b"".join(pieces))
    async with asyncio.timeout(PATIENCE_S):
        received = await reader.read()
    writer.close()
    if method == "HEAD":
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.endswith(b"\r\n\r\n")
        return
    plain, healthy = answers(received)
    assert plain.status == status, plain.body
    assert healthy.json == {"status": "ok"}
    if status == 404:
        assert plain.json["code"] == "not_found"


async def test_many_offers_in_one_packet_are_as_many_answers(hub: Hub) -> None:
    framing, body = sized(b"{}")
    request = head(hub, "POST /api/v1/nowhere", H2C, framing) + body
    received = await exchange(hub.port, request * 500 + LAST)
    assert [answer.status for answer in received] == [404] * 500 + [200]


async def test_a_body_that_was_announced_is_waited_for_and_asked_for(hub: Hub) -> None:
    body = b'{"name": "Lobby"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(head(hub, "POST /api/v1/players", H2C, b"Expect: 100-continue\r\nContent-Length: 17\r\n"))
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body + LAST)
        assert [answer.status for answer in answers(await reader.read())] == [201, 200]
    writer.close()


async def test_an_offer_with_the_end_of_the_connection_is_answered_and_closed(hub: Hub) -> None:
    framing, body = sized(b'{"name": "Lobby"}')
    offer = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"
    [made] = await exchange(hub.port, head(hub, "POST /api/v1/players", offer, framing), body)
    assert made.status == 201


async def test_http_1_0_offers_nothing(hub: Hub) -> None:
    request = head(hub, "GET /api/v1/players", OFFERS["websocket"]).replace(b"HTTP/1.1", b"HTTP/1.0")
    [plain] = await exchange(hub.port, request)
    assert plain.status == 200


@pytest.mark.parametrize("form", [sized, chunked])
async def test_a_handshake_has_no_body(hub: Hub, form) -> None:
    """It would be read as the first frames; as a plain request it gets the answer of one."""
    framing, body = form(b"GET /readyz HTTP/1.1\r\nHost: hub\r\n\r\n")
    request = head(hub, "GET /ws/player", OFFERS["websocket"], b"Sec-WebSocket-Protocol: signalbox.v1\r\n", framing)
    plain, healthy = await exchange(hub.port, request, body, LAST)
    assert (plain.status, plain.json["code"]) == (426, "upgrade_required")
    assert healthy.json == {"status": "ok"}


async def test_a_handshake_may_say_that_it_has_no_body_and_offer_other_protocols_too(hub: Hub) -> None:
    _, token = await hub.player()
    headers = {"Authorization": f"Bearer {token}", "Content-Length": "0", "HTTP2-Settings": "AAMAAABk"}
    async with hub.socket(None, additional_headers=headers) as player:
        await player.hello()
    request = head(hub, "GET /ws/operator", OFFERS["websocket"], b"Sec-WebSocket-Protocol: signalbox.operator.v1\r\n")
    request = request.replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket\r\nUpgrade: TLS/1.2")
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(request)
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")
    writer.close()


# Requests sent ahead


def connection_of(hub: Hub, writer: asyncio.StreamWriter) -> HubHttp | None:
    """The hub's end of it, once it is accepted and until it is lost."""
    found = [one for one in hub._server.server_state.connections if one.client == writer.get_extra_info("sockname")]
    return found[0] if found else None


async def test_whoever_sends_ahead_has_few_requests_waiting_and_leaves_no_error(
    hub: Hub, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is read: neither requests nor answers may pile up, nor be worked on once the caller has gone."""
    _, writer = await asyncio.open_connection("127.0.0.1", hub.port, limit=1)
    shortest, large = b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GET /openapi.json HTTP/1.1\r\nHost:\r\n\r\n"
    writer.write((shortest * 20 + large) * 300)
    most = 0
    async with asyncio.timeout(PATIENCE_S):
        while (connection := connection_of(hub, writer)) is None:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        while connection_of(hub, writer) and not connection.flow.write_paused:
            most = max(most, len(connection.pipeline))
            await asyncio.sleep(0)
        assert 0 < most <= MAX_WAITING
        writer.transport.abort()
        while connection_of(hub, writer) or hub._server.server_state.tasks:  # noqa: ASYNC110 - nor of that
            await asyncio.sleep(0)
    assert (len(connection.pipeline), connection._answering.disconnected) == (0, True)
    assert capsys.readouterr().err == ""  # where uvicorn writes
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_all_that_is_sent_ahead_is_answered_in_turn(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long their turn takes: heads that wait in the hub are not late."""
    framing, body = sized(b"[" + b" " * 100_000 + b"]")
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    asked = [(path, 200 if path == "/openapi.json" else 404) for path in ["/openapi.json", "/nowhere"] * 15]
    async with asyncio.timeout(PATIENCE_S):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
        await reader.readuntil(b'{"status":"ok"}')
        monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0)
        writer.write(b"".join(b"GET %b HTTP/1.1\r\nHost: hub\r\n\r\n" % path.encode() for path, _ in asked))
        writer.write(head(hub, "POST /api/v1/nowhere", framing) + body + LAST)
        received = answers(await reader.read())
    writer.close()
    assert [answer.status for answer in received] == [*(status for _, status in asked), 404, 200]


# What is refused

HOST = b"Host: hub\r\n"
POST = b"POST /api/v1/players HTTP/1.1\r\nHost: hub\r\n"
BAD = {
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "no host, an offer": b"GET /healthz HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: hub\r\nHost: hub\r\n\r\n",
    "two hosts for a socket": b"GET /ws/player HTTP/1.1\r\nHost: hub\r\nHost: other\r\n"
    + OFFERS["websocket"]
    + b"\r\n",
    "two hosts in 1.0": b"GET /healthz HTTP/1.0\r\nHost: hub\r\nHost: other\r\n\r\n",
    "two hosts in one": b"GET /healthz HTTP/1.1\r\nHost: hub, other\r\n\r\n",
    "two hosts joined": b"GET /healthz HTTP/1.1\r\nHost: hub,other\r\n\r\n",
    "host with a path": b"GET /healthz HTTP/1.1\r\nHost: hub/docs\r\n\r\n",
    "host with a user": b"GET /healthz HTTP/1.1\r\nHost: me@hub\r\n\r\n",
    "host without brackets": b"GET /healthz HTTP/1.1\r\nHost: ::1\r\n\r\n",
    "host with a port of letters": b"GET /healthz HTTP/1.1\r\nHost: hub:http\r\n\r\n",
    "host beyond ASCII": b"GET /healthz HTTP/1.1\r\nHost: h\xc3\xbcb\r\n\r\n",
    "0.9": b"GET /healthz\r\n",
    "0.9 with an end": b"GET /healthz\r\n\r\n",
    "0.9 by name": b"GET /healthz HTTP/0.9\r\nHost: hub\r\n\r\n",
    "1.2": b"GET /healthz HTTP/1.2\r\nHost: hub\r\n\r\n",
    "2.0": b"GET /healthz HTTP/2.0\r\nHost: hub\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "PRI": b"PRI * HTTP/1.1\r\nHost: hub\r\n\r\n",
    "CONNECT": b"CONNECT hub:443 HTTP/1.1\r\nHost: hub:443\r\n\r\n",
    "CONNECT with a body": b"CONNECT hub:443 HTTP/1.1\r\nHost: hub:443\r\nContent-Length: 5\r\n\r\nhello",
    "length and encoding": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "encoding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "one length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths in one": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "length below none": POST + b"Content-Length: -2\r\n\r\n{}",
    "length of nothing": POST + b"Content-Length:\r\n\r\n{}",
    "length beyond counting": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "unknown encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked, then more": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "another, then chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "encoding behind a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "folded": POST + b"X: one\r\n two\r\n\r\n",
    "folded encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded first": b"GET /healthz HTTP/1.1\r\n Host: hub\r\n\r\n",
    "space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "tab before the colon": POST + b"Content-Length\t: 2\r\n\r\n{}",
    "no name": POST + b": 2\r\n\r\n",
    "no colon": POST + b"Content-Length\r\n\r\n",
    "bare LF": b"GET /healthz HTTP/1.1\nHost: hub\n\n",
    "bare LF in a header": POST + b"X: one\nContent-Length: 2\r\n\r\n{}",
    "bare CR in a header": POST + b"X: one\rContent-Length: 2\r\n\r\n{}",
    "NUL in a header": POST + b"X: one\0\r\n\r\n",
    "NUL in a name": POST + b"X\0: one\r\n\r\n",
    "no chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    "chunk size of another base": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size beyond counting": POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
    "chunk longer than said": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{} \r\n0\r\n\r\n",
    "chunk with bare LF": POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "chunk extension with bare LF": POST + b"Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n",
    "spaces": b"  \r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
}


@pytest.mark.parametrize("offer", [b"", H2C], ids=["plain", "offer"])
@pytest.mark.parametrize("request_", BAD.values(), ids=BAD)
async def test_what_could_be_read_in_two_ways_is_refused_once(hub: Hub, request_: bytes, offer: bytes) -> None:
    """One answer in the shape of all errors, then the end: what follows is not read, and nothing is done."""
    request = request_.replace(HOST, HOST + offer, 1)
    before = (await hub.client.get("/api/v1/players", params={"limit": 1})).json()["meta"]
    [refusal] = await exchange(hub.port, request + b"".join([head(hub, "POST /api/v1/players"), LAST]))
    assert refusal.status == 400, refusal.body
    assert refusal.headers["content-type"] == "application/json"
    assert refusal.headers["connection"] == "close"
    assert refusal.json.keys() == {"message", "code"}
    assert (await hub.client.get("/api/v1/players", params={"limit": 1})).json()["meta"] == before


@pytest.mark.parametrize(
    "host", [b"hub", b"hub.example:8080", b"[::1]", b"[2001:db8::1]:443", b"127.0.0.1:1", b"", b"a_b"]
)
async def test_a_host_may_be_whatever_names_one(hub: Hub, host: bytes) -> None:
    [healthy] = await exchange(hub.port, LAST.replace(b"Host: hub", b"Host: " + host + b" "))
    assert healthy.status == 200


async def test_http_1_0_needs_no_host(hub: Hub) -> None:
    [healthy] = await exchange(hub.port, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert healthy.status == 200


@pytest.mark.parametrize("pieces", [[b"GET /healthz\r\n"], [b"GET /healthz\r", b"\n"], [b"GET /", b"\r\n"]])
@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"])
async def test_http_0_9_is_refused_though_nothing_follows(hub: Hub, pieces: list[bytes], before: bytes) -> None:
    *_, refusal = await exchange(hub.port, before + pieces[0], *pieces[1:])
    assert (refusal.status, refusal.json["code"]) == (400, "bad_http")


async def test_what_is_not_http_is_refused_behind_the_answers_to_what_was(hub: Hub) -> None:
    """A refusal that overtook them would be taken for the answer to the first."""
    framing, body = sized(b'{"name": "Lobby"}')
    good = head(hub, "POST /api/v1/players", framing) + body
    for pieces in ([good + good + b"NONSENSE\r\n\r\n"], [good, good, b"NONSENSE\r\n\r\n"]):
        received = await exchange(hub.port, *pieces)
        assert [answer.status for answer in received] == [201, 201, 400]
    broken = head(hub, "POST /api/v1/players", b"Transfer-Encoding: chunked\r\n") + b"no chunk"
    received = await exchange(hub.port, good + broken)
    assert [answer.status for answer in received] == [201, 400]


async def test_a_body_that_breaks_while_it_is_read_is_one_refusal(hub: Hub) -> None:
    request = head(hub, "POST /api/v1/players", b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(request)
    async with asyncio.timeout(PATIENCE_S):
        await reader.readuntil(b"100 Continue\r\n\r\n")
        writer.write(b'2\r\n{"\r\nnonsense\r\n')
        [refusal] = answers(await reader.read())
    writer.close()
    assert (refusal.status, refusal.json["code"]) == (400, "bad_http")


@pytest.mark.parametrize(
    "endless", [b"2;" + b"x" * 100, b"0\r\n" + b"X-More: and more\r\n" * 9], ids=["extension", "trailers"]
)
async def test_what_stands_around_a_body_comes_to_an_end(hub: Hub, endless: bytes) -> None:
    start, repeated = endless[:3], endless[3:]
    request = head(hub, "POST /api/v1/players", b"Transfer-Encoding: chunked\r\n") + start
    times = 2 * MAX_HEAD_BYTES // len(repeated)
    [refusal] = await exchange(hub.port, request, *[repeated * (times // 8)] * 32)
    assert (refusal.status, refusal.json["code"]) == (400, "head_too_large")


@pytest.mark.parametrize(("size", "code"), [(1, "head_too_large"), (20, "head_too_large"), (100, "too_large")])
async def test_a_body_in_crumbs_is_refused(hub: Hub, size: int, code: str) -> None:
    """Each costs the hub as much as a large piece. Larger ones are read as far as bodies of this call may go."""
    piece = b"%x\r\n%b\r\n" % (size, b" " * size)
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    async with asyncio.timeout(PATIENCE_S):
        writer.write(head(hub, "POST /api/v1/players", b"Transfer-Encoding: chunked\r\n") + piece * 100)
        for _ in range(60):
            writer.write(piece * 100)
        writer.write(b"0\r\n\r\n" + LAST)
        [refusal, *_] = answers(await reader.read())
    writer.close()
    assert refusal.json["code"] == code


async def test_trailers_are_no_headers(tmp_path: Path) -> None:
    """A proxy lets them through unread: an address or a credential in them would be the caller's own claim."""
    async with running_hub(settings(tmp_path, server={"trusted_proxies": ["127.0.0.0/8"]})) as hub:
        request = head(hub, "GET /api/v1/players", b"Transfer-Encoding: chunked\r\nConnection: close\r\n")
        request = request.replace(b"Authorization", b"X-Nothing")
        trailers = f"0\r\nAuthorization: Bearer {hub.key}\r\n\r\n".encode()
        [refusal] = await exchange(hub.port, request + trailers)
        assert refusal.status == 401


# Callers who go away


def cut(connection: socket.socket) -> None:
    connection.close()  # with answers unread, of which the system makes a reset


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def say_goodbye(connection: socket.socket) -> None:
    """The end of TLS, or of what the caller sends; then it stays until the hub has ended too."""
    if isinstance(connection, ssl.SSLSocket):
        try:
            connection.unwrap()
        except (ssl.SSLError, OSError):  # answers come where a goodbye should
            pass
    else:
        connection.shutdown(socket.SHUT_WR)
    while connection.recv(65_536):
        pass
    connection.close()


@pytest.mark.parametrize("leave", [cut, reset, say_goodbye])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_who_asks_much_and_hangs_up_writes_nothing_into_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tls: bool, leave: Callable[[socket.socket], None]
) -> None:
    """A stranger could fill the disk with it: the loop tells of each write to a connection that is closing."""
    pem = pem_file(tmp_path, "127.0.0.1")
    trust = ssl.create_default_context(cafile=str(pem))
    config = settings(tmp_path)
    await make_team(config.database_url)
    asked = b"GET /docs/api HTTP/1.1\r\nHost: hub\r\n\r\n" * 40

    def ask(port: int) -> None:
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
            if tls:
                connection = trust.wrap_socket(connection, server_hostname="127.0.0.1")
            connection.sendall(asked)
            connection.recv(1)
            leave(connection)

    shown = pem if tls else None
    web = configure(create_app(config), host="127.0.0.1", port=0, tls_cert=shown, tls_key=shown)
    async with serving(web) as (_, port):
        caplog.clear()
        await asyncio.to_thread(ask, port)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
