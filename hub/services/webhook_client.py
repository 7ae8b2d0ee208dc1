"""Calling addresses that users chose: the host is looked up here, every address is judged, and the connection goes to
an address that was judged. What the name says a moment later has no influence; the certificate must still be the
name's. No redirects, no proxies from the environment, no decompression, no more of the answer than is kept, and no more
work for it than an honest one takes."""

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import httpcore2

from hub.dial import MOST_ADDRESSES, NEXT_S
from hub.domain.hosts import Address, Network, parse_address
from hub.domain.webhooks import refused

ANSWER_LIMIT = 4_096  # bytes kept of an answer, for the delivery log
PIECES = 64  # read of an answer's body at most: who sends it byte by byte is not listened to for long
WIRE_LIMIT = 65_536  # bytes of a whole answer, whatever they are: status lines, headers, marks of chunks
READ_BYTES = 4_096  # at one time: what is in them is worked through without a pause
INTERIM_LIMIT = 8  # answers before the answer, such as 100 and 103: servers send one or two
KEPT = 256  # connections that wait for the next delivery; to open one costs more than all the rest of a delivery
KEPT_S = 2.0  # and how long: less than any server waits, since one that the far end has given up would cost an attempt
CLOSING_TURNS = 3  # of the loop, in which connections that were closed, TLS and all, let go of their sockets
# A look-up cannot be interrupted, so slow ones must not use the threads of everything else, nor each other's: as many
# as there are deliveries at once, made when they are needed.
RESOLVER_THREADS = 128

Resolve = Callable[[str], Sequence[str]]
"""The addresses of a host name, in the order to try them. Blocks; raises OSError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is the beginning of it, as text that any database takes."""

    status: int
    retry_after: str | None
    body: str


class DeliveryError(Exception):
    """There was no answer; the text says why, for whoever runs the receiver."""


class WebhookClient:
    """Posts to receivers. `timeout_s` is for the whole exchange, look-up and connection included."""

    def __init__(
        self,
        allow_networks: Sequence[Network],
        timeout_s: float,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")
        tls = tls or _tls()
        self._pools = {
            scheme: httpcore2.AsyncConnectionPool(
                ssl_context=tls,
                max_connections=None,  # the caller bounds them
                max_keepalive_connections=KEPT,
                keepalive_expiry=KEPT_S,
                network_backend=_FilteredBackend(
                    resolve or _look_up, self._threads, allow_networks, plain=scheme == "http"
                ),
            )
            for scheme in ("https", "http")
        }

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post and return the answer, whatever its status. Raises Unreached."""
        parts = urlsplit(url)
        heads = {"Host": parts.netloc, **headers}
        status, retry_after, kept = None, None, bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._pools[parts.scheme].stream("POST", url, headers=list(heads.items()), content=body) as response,
            ):
                status = response.status
                found = {name.lower(): value for name, value in response.headers}
                retry_after = found[b"retry-after"].decode("latin-1") if b"retry-after" in found else None
                async with aclosing(response.aiter_stream()) as pieces:
                    number = 0
                    async for piece in pieces:
                        kept += piece
                        number += 1
                        if len(kept) >= ANSWER_LIMIT or number == PIECES:
                            break
        except (OSError, *_FAILURES) as error:  # TimeoutError is an OSError
            if status is None:  # with a status the receiver has spoken; a body that breaks off changes nothing
                raise DeliveryError(self._reason(error)) from error
        return Answer(status, retry_after, _text(bytes(kept[:ANSWER_LIMIT])))

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError | httpcore2.TimeoutException):
            return f"No answer within {self._timeout_s:g} s."
        if isinstance(error, httpcore2.ConnectError):
            return f"Could not connect: {error}."
        if isinstance(error, TooMuch):
            return str(error)
        if isinstance(error, httpcore2.ProtocolError):
            return f"The answer is not HTTP: {error}."
        return f"The connection broke before an answer: {error or type(error).__name__}."


class TooMuch(httpcore2.RemoteProtocolError):
    """The far end sends more than an answer takes; the text is a sentence."""


class _Measured(httpcore2.AsyncNetworkStream):
    """A stream of which only so much is read as an answer takes, from one request to the next."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._start()

    def _start(self) -> None:
        self._left = WIRE_LIMIT
        self._interim = 0
        self._tail = b"\n"

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._left <= 0:
            raise TooMuch(f"The answer has not come within {WIRE_LIMIT:,} bytes.")
        data = await self._stream.read(min(max_bytes, READ_BYTES, self._left), timeout)
        self._left -= len(data)
        self._interim += len(_INTERIM.findall(self._tail + data))
        if self._interim > INTERIM_LIMIT:
            raise TooMuch(f"More than {INTERIM_LIMIT} interim answers (100 to 199) came before the answer.")
        self._tail = (self._tail + data)[-_INTERIM_BYTES + 1 :]  # one may come in two pieces
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._start()
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return _Measured(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _FilteredBackend(httpcore2.AsyncNetworkBackend):
    """Connects to what a name stands for, if deliveries may go there."""

    def __init__(
        self, resolve: Resolve, threads: ThreadPoolExecutor, allow_networks: Sequence[Network], *, plain: bool
    ) -> None:
        self._resolve = resolve
        self._threads = threads
        self._allow_networks = allow_networks
        self._plain = plain
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        attempts = deque((await self._addresses(host))[:MOST_ADDRESSES])
        opening: set[asyncio.Task[httpcore2.AsyncNetworkStream]] = set()
        opened: list[httpcore2.AsyncNetworkStream] = []
        reason: BaseException | None = None
        try:
            while not opened and (attempts or opening):
                if attempts:
                    address = str(attempts.popleft())
                    attempt = self._network.connect_tcp(address, port, timeout, local_address, socket_options)
                    opening.add(asyncio.ensure_future(attempt))
                patience_s = NEXT_S if attempts else None
                done, opening = await asyncio.wait(opening, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (error := task.exception()) is None:
                        opened.append(task.result())
                    elif isinstance(error, httpcore2.ConnectError | httpcore2.ConnectTimeout):
                        reason = error
                    else:
                        raise error
            if not opened:
                raise httpcore2.ConnectError(f"{host} port {port}: {reason}") from reason
            return _Measured(opened.pop(0))
        finally:
            for task in opening:
                task.cancel()
            late = await asyncio.gather(*opening, return_exceptions=True)
            for stream in (*opened, *late):
                if isinstance(stream, httpcore2.AsyncNetworkStream):
                    await stream.aclose()

    async def _addresses(self, host: str) -> list[Address]:
        """Where the host may be reached. Raises ConnectError when it is nowhere, or nowhere that is allowed."""
        try:
            found = [host] if _is_address(host) else await self._find(host)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} has no address: {error}") from error
        judged = {address: self._judge(address) for address in map(parse_address, found)}
        allowed = [address for address, refusal in judged.items() if refusal is None]
        if not judged:
            raise httpcore2.ConnectError(f"{host} has no address")
        if not allowed:
            refusals = " ".join(refusal for refusal in judged.values() if refusal)
            raise httpcore2.ConnectError(f"{host} is refused: {refusals}".rstrip(". "))
        return allowed

    async def _find(self, host: str) -> Sequence[str]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host)

    def _judge(self, address: Address) -> str | None:
        return refused(address, self._allow_networks, plain=self._plain)


_INTERIM = re.compile(rb"\nHTTP/1\.\d 1\d\d")  # how each begins, wherever it begins a line
_INTERIM_BYTES = 13

_FAILURES = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    httpcore2.UnsupportedProtocol,
)


@cache
def _tls() -> ssl.SSLContext:
    """What is known of certificate authorities; to read them all takes longer than the rest of the hub's start."""
    return httpcore2.default_ssl_context()


def _look_up(host: str) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _is_address(host: str) -> bool:
    try:
        parse_address(host)
    except ValueError:
        return False
    return True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\x00", "\ufffd")
