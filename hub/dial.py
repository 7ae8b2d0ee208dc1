"""TCP connections from a thread, to a host of several addresses of which some may swallow what they are sent."""

import os
import selectors
import socket
import ssl
import time
from collections import deque
from contextlib import suppress

NEXT_S = 0.25
"""After which the next address is tried beside the ones before: RFC 8305, section 5."""

MOST_ADDRESSES = 16
"""Tried of a host; names with more have them for load, not for reach."""


def in_words(failure: BaseException) -> str:
    """Why a connection came to nothing, for who asked for it."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return "what listens there does not speak TLS; its address may begin with http:"
        cause = cause.__cause__ or cause.__context__
    return str(failure) or "timed out"


def dial(host: str, port: int, timeout_s: float) -> socket.socket:
    """A connection, with this timeout set, to the first address of the host that takes one; `timeout_s` is for all of
    them together. Raises OSError (TimeoutError and socket.gaierror among them), UnicodeError."""
    name = host.encode() if host.isascii() else host  # text is given to a codec that takes a megabyte to load
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[:MOST_ADDRESSES]
    waiting = deque((family, address) for family, _, _, _, address in found)
    silent = TimeoutError(f"{host} port {port} did not answer within {timeout_s:g} s")
    failure: OSError = silent
    ends_at = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as opening:
        try:
            while (waiting or opening.get_map()) and (left_s := ends_at - time.monotonic()) > 0:
                if waiting:
                    family, address = waiting.popleft()
                    try:
                        opening.register(_begun(family, address), selectors.EVENT_WRITE)
                    except OSError as error:
                        failure = error
                        continue
                for key, _ in opening.select(min(NEXT_S, left_s) if waiting else left_s):
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    opening.unregister(connection)
                    if not (code := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                        connection.settimeout(timeout_s)
                        return connection
                    connection.close()
                    failure = OSError(code, os.strerror(code))
            raise silent if waiting or opening.get_map() else failure
        finally:
            for key in tuple(opening.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()


def _begun(family: int, address: tuple[object, ...]) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        connection.setblocking(False)
        with suppress(BlockingIOError):
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection
