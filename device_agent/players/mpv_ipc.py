"""mpv's JSON IPC: requests with ids, replies in any order, events in between. One connection, one reader task.

The connection is a socket pair inherited by mpv (`--input-ipc-client=fd://N`): there is no path in the file system for
others to open, and mpv quits by itself when our end closes, so an agent that is killed never leaves a player behind.
"""

import asyncio
import itertools
import json
import socket
from collections.abc import Callable
from typing import Any

from device_agent.players.base import PlayerError

REQUEST_S = 5.0  # mpv answers in milliseconds; a busy machine may take seconds to decode a large picture
REPLY_BYTES = 1 << 20  # the longest line read; the largest property we ask for is a path
OPEN_REQUESTS = 64

Event = dict[str, Any]


class MpvLink:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_event: Callable[[Event], None]):
        self._writer = writer
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._open = True
        self._task = asyncio.create_task(self._read(reader), name="mpv-reader")

    @classmethod
    async def over(cls, end: socket.socket, on_event: Callable[[Event], None]) -> "MpvLink":
        """Take over our end of the socket pair. `on_event` is called with every event, in order."""
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=REPLY_BYTES)
        return cls(reader, writer, on_event)

    async def request(self, *command: Any, timeout: float = REQUEST_S) -> Any:
        """The reply's data. A command is words, or one object that names its arguments.

        Raises PlayerError: `player_refused`, `timeout` or `player_down`.
        """
        if not self._open:
            raise _down()
        if len(self._waiting) >= OPEN_REQUESTS:
            raise PlayerError("timeout", "mpv has too many unanswered requests.")
        number = next(self._ids)
        reply = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                words = command[0] if isinstance(command[0], dict) else command
                self._writer.write(json.dumps({"command": words, "request_id": number}).encode() + b"\n")
                await self._writer.drain()
                return await reply
        except TimeoutError:
            raise PlayerError("timeout", f"mpv did not answer {command[0]!s:.40} within {timeout:g} s.") from None
        except OSError:
            raise _down() from None
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        self._open = False
        self._writer.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._writer.wait_closed()
        except OSError:
            pass  # mpv was gone first

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                try:
                    message = json.loads(line)
                except ValueError:
                    continue  # mpv passes file names on as they are, also when they are not UTF-8
                if "event" in message:
                    self._on_event(message)
                else:
                    self._settle(message)
        except (OSError, ValueError):  # ValueError: a line over REPLY_BYTES
            pass
        finally:
            self._open = False
            for reply in self._waiting.values():
                if not reply.done():
                    reply.set_exception(_down())
            self._on_event({"event": "closed"})

    def _settle(self, message: Event) -> None:
        reply = self._waiting.get(message.get("request_id", 0))
        if reply is None or reply.done():
            return  # it came after its timeout
        if message.get("error") == "success":
            reply.set_result(message.get("data"))
        else:
            reply.set_exception(PlayerError("player_refused", f"mpv: {message.get('error')}"))


def _down() -> PlayerError:
    return PlayerError("player_down", "mpv is not running.")
