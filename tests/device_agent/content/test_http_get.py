"""Answers in every form that HTTP/1.1 knows, and those that are none."""

import asyncio
import contextlib

import pytest

from device_agent.content.http_get import Get, NotHttp
from tests.tcp_server import tcp_server


@contextlib.asynccontextmanager
async def answering(data):
    """An address at which these bytes are the answer; and what was asked."""
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(data)
        await writer.drain()

    async with tcp_server(serve) as port:
        yield f"http://127.0.0.1:{port}/some/path", asked


def fetch(url, most=1_000):
    with Get(url, {"X-Own": "1"}, timeout_s=10) as answer:
        return answer.status, answer.headers.get("etag"), answer.read_all(most)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\nhello and more", (200, "x", b"hello")),
        (b"HTTP/1.1 404 Not Found\r\n\r\nuntil the end", (404, None, b"until the end")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
            (200, None, b"hello!"),
        ),
        (b"HTTP/1.1 103 Early Hints\r\nETag: w\r\n\r\n" * 8 + b"HTTP/1.1 200 OK\r\n\r\nx", (200, None, b"x")),
        (b"HTTP/1.0 304\r\nContent-Length: 0\r\n\r\n", (304, None, b"")),
    ],
)
async def test_an_answer_is_read_to_its_end(data, expected):
    async with answering(data) as (url, asked):
        assert await asyncio.to_thread(fetch, url) == expected
    assert asked[0].startswith(b"GET /some/path HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-Own: 1\r\n" in asked[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nlong\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 10_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(200)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + b"HTTP/1.1 200 OK\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_001,
    ],
)
async def test_what_breaks_off_or_never_ends_is_an_error(data):
    async with answering(data) as (url, _):
        with pytest.raises(NotHttp):
            await asyncio.to_thread(fetch, url)
