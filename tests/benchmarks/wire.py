"""What both ends of a measurement write on the wire, made by hand: masked client frames, handshakes, HTTP requests.

The mask is zero, so a frame is ready when its text is: the server unmasks it all the same, and the load generator saves
its time. Messages are those of `signalbox.v1`.
"""

import base64
from typing import Any

import orjson

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CAPABILITIES = ["reboot", "restart_player", "reload_content", "take_screenshot", "set_volume", "identify"]


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole client frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def upgrade(token: str) -> bytes:
    key = base64.b64encode(b"0123456789abcdef").decode()
    return (
        "GET /ws/player HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: signalbox.v1\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


def hello(player_id: int) -> bytes:
    """The first frame of a player that has nothing in its journal."""
    message = {
        "type": "hello",
        "agent": {"name": "benchmark", "version": "1"},
        "boot_id": "boot-1",
        "hardware_id": f"hardware-{player_id}",
        "clock": "2026-01-01T00:00:00Z",
        "capabilities": CAPABILITIES,
        "player": {"kind": "simulated", "version": "1"},
        "journal": [],
    }
    return masked(orjson.dumps(message))


def ack(command_id: bytes) -> bytes:
    return masked(b'{"type":"ack","id":"%b"}' % command_id)


def identified(command_id: bytes) -> bytes:
    """The result of an `identify` that succeeded."""
    return masked(
        b'{"type":"result","id":"%b","status":"succeeded","detail":{"shown":"here"},'
        b'"finished_at":"2026-01-01T00:00:01Z","boot_id":"boot-1"}' % command_id
    )


def field(message: bytes, name: bytes) -> bytes:
    """The text of a string field, found without reading the JSON."""
    start = message.index(b'"%b":"' % name) + len(name) + 4
    return message[start : message.index(b'"', start)]


def number(message: bytes, name: bytes) -> int:
    """The value of a whole-number field, found without reading the JSON."""
    start = end = message.index(b'"%b":' % name) + len(name) + 3
    while message[end : end + 1].isdigit():
        end += 1
    return int(message[start:end])


def request(method: str, path: str, key: str, body: Any = None, **headers: str) -> bytes:
    payload = b"" if body is None else orjson.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "Host: hub", f"Authorization: Bearer {key}"]
    lines.append(f"Content-Length: {len(payload)}")
    if payload:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode() + payload
