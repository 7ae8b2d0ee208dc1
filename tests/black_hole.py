"""A host of several addresses of which the first swallows what it is sent, as where IPv6 leads nowhere."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

HOST = "two.example"
SWALLOWS, REACHED = "127.0.0.77", "127.0.0.1"


@contextmanager
def black_hole(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """HOST is SWALLOWS and then REACHED, as the DNS has it. At SWALLOWS nobody is refused at this port, and nobody
    connected: as many wait there as the kernel keeps."""
    found = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **named: Any) -> Any:
        if host not in (HOST, HOST.encode()):
            return found(host, *more, **named)
        return [one for address in (SWALLOWS, REACHED) for one in found(address, *more, **named)]

    with ExitStack() as open_:
        listening = open_.enter_context(socket.socket())
        listening.bind((SWALLOWS, port))
        listening.listen(0)
        for _ in range(3):
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((SWALLOWS, port))
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        yield
        monkeypatch.setattr(socket, "getaddrinfo", found)
