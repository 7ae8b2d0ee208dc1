"""Ports for programs that are started again on the one that they had; others let the system choose."""

import random
import socket


def free_port() -> int:
    """A port that is free now, outside the range from which the kernel takes ports for outgoing connections: so that
    nobody takes it while a program is being restarted."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


def listener() -> socket.socket:
    """A socket that listens on a free port. It says that it is TCP: only for those does asyncio switch off Nagle's
    algorithm, with which each answer of two packets would take 40 ms."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening
