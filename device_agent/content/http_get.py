"""One GET over HTTP/1.1, blocking, on a socket of its own.

The standard library's client would do, but loads 3 MB of modules for mail and for the files of long-gone browsers; the
agent may take 30 in all, and this needs no redirects, cookies, proxies or encodings.
"""

from collections.abc import Mapping
from types import TracebackType
from urllib.parse import urlsplit

from device_agent.connection.websocket import trust
from hub.dial import dial

LINE_BYTES = 8192
MOST_HEADERS = 100
MOST_INTERIM = 8
"""Answers before the answer, such as 103 (Early Hints)."""


class NotHttp(OSError):
    """The other end does not answer as an HTTP server does, or not to the end."""


class Get:
    """A context manager; raises OSError (TimeoutError, ssl.SSLError and NotHttp among them). `timeout_s` is for the
    connection and for each piece of the answer. Header names are lower case."""

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout_s: float) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        connection = dial(host, parts.port or (443 if parts.scheme == "https" else 80), timeout_s)
        try:
            if parts.scheme == "https":
                connection = trust().wrap_socket(connection, server_hostname=host)
            lines = [
                f"GET {parts.path or '/'} HTTP/1.1",
                f"Host: {parts.netloc.rpartition('@')[2]}",
                "Connection: close",
            ]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            connection.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))
            self._connection = connection
            self._stream = connection.makefile("rb")
            self.status, self.headers = self._head()
        except BaseException:
            connection.close()
            raise
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length", "")
        self._left = None if self._chunked or not length.isdecimal() else int(length)
        self._chunk_left = 0

    def read(self, most: int) -> bytes:
        """Up to `most` more bytes of the body; none at its end."""
        if self._chunked:
            return self._read_chunked(most)
        data = self._stream.read(most if self._left is None else min(most, self._left))
        if self._left is not None:
            if not data and self._left:
                raise NotHttp(f"the connection ended {self._left:,} bytes early")
            self._left -= len(data)
        return data

    def read_all(self, most: int) -> bytes:
        """The whole body. Raises NotHttp when it has more than `most` bytes."""
        body = bytearray()
        while piece := self.read(65_536):
            body += piece
            if len(body) > most:
                raise NotHttp(f"the answer has more than {most:,} bytes")
        return bytes(body)

    def __enter__(self) -> "Get":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._connection.close()

    def _head(self) -> tuple[int, dict[str, str]]:
        for _ in range(MOST_INTERIM + 1):
            status, headers = self._status(), self._headers()
            if not 100 <= status <= 199:
                return status, headers
        raise NotHttp("the answer does not come for all the interim ones")

    def _status(self) -> int:
        version, _, rest = self._line().partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
            raise NotHttp("this is no HTTP server")
        return int(rest[:3])

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(MOST_HEADERS + 1):
            line = self._line()
            if not line:
                return headers
            name, _colon, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        raise NotHttp("the answer has too many headers")

    def _line(self) -> str:
        line = self._stream.readline(LINE_BYTES)
        if not line.endswith(b"\n"):
            raise NotHttp("the answer breaks off, or its lines have no end")
        return line.decode("latin-1").rstrip("\r\n")

    def _read_chunked(self, most: int) -> bytes:
        if self._chunk_left == 0:
            size = self._line().partition(";")[0].strip()
            try:
                self._chunk_left = int(size, 16)
            except ValueError:
                raise NotHttp("the answer's chunks cannot be read") from None
            if self._chunk_left <= 0:  # the end; what may follow it is of no interest
                self._chunked, self._left = False, 0
                return b""
        data = self._stream.read(min(most, self._chunk_left))
        if not data:
            raise NotHttp("the connection ended early")
        self._chunk_left -= len(data)
        if self._chunk_left == 0:
            self._line()
        return data
