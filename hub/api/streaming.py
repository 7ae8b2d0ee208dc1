"""Answers whose bytes come in pieces, and which hold something until the last of them is sent."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hub.api.http.endpoint import Call


class Held(StreamingResponse):
    """`ended` is called however it ends, also before its first piece."""

    def __init__(self, ended: Callable[[], None], content: AsyncIterator[bytes], *more: Any, **named: Any) -> None:
        super().__init__(content, *more, **named)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


async def send_file(
    call: Call, team_id: int, pieces: AsyncIterator[bytes], headers: dict[str, str], status: int = 200
) -> Held:
    """A file of this team on its way out: it has one of the team's places until it is sent, or its reader is gone.
    `headers` name type and length. Raises TooMany, Unavailable."""
    give_back = await call.services.outgoing.take(team_id)
    return Held(give_back, pieces, status, headers)
