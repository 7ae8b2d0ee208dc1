"""The event log, in pages and as a stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from starlette.responses import Response

from hub.api.http.auth import bearer
from hub.api.http.endpoint import Call
from hub.api.http.responses import HEADERS, Answer
from hub.api.streaming import Held
from hub.domain.errors import Invalid, Unavailable
from hub.services.feed import Told
from hub.services.waiting import set_within

STREAM = "text/event-stream"
KEEP_ALIVE_S = 15.0  # between comments; proxies cut a silent answer after a minute
WAITING = 1_000  # events of a stream that is read slowly; past it the stream ends, and resumes by Last-Event-ID


async def list_events(call: Call) -> Answer | Response:
    """Events past a cursor, oldest first, of the kinds that the caller's scopes let it see.

    `meta.next` is the cursor to go on from, also when nothing came. `Prefer: wait=N` waits for the first event. With
    `Accept: text/event-stream` the answer is a stream that goes on: each event has its cursor as `id`, so that
    `Last-Event-ID` resumes; without a cursor it begins now.
    """
    query = call.query
    headers = dict(call.scope["headers"])
    if STREAM in headers.get(b"accept", b"").decode("latin-1"):
        return await _stream(call, headers)
    page = await call.services.events.page(
        call.actor,
        after=query.after,
        limit=query.limit,
        types=query.event,
        player_id=query.player_id,
        wait_s=call.prefer_wait,
    )
    return Answer(200, page)


async def _stream(call: Call, headers: dict[bytes, bytes]) -> Response:
    feed = call.services.feed
    if feed.closed:
        raise Unavailable("This hub is going away.", code="draining", retry_after=5)
    cursor = headers.get(b"last-event-id", b"").decode("latin-1") or call.query.after
    number = None
    if cursor is not None and cursor != "latest":
        number = await feed.position(cursor[:64])
        if number is None:
            raise Invalid.field("after", "must be a cursor of this hub's log, and not too old", code="unknown_cursor")
    lines = _Lines(call, bearer(headers) or "")
    streams, actor = call.services.streams, call.actor
    streams.take(actor.team_id, actor.plan)
    return Held(
        lambda: streams.give_back(actor.team_id),
        lines.run(number),
        media_type=STREAM,
        headers={**HEADERS["own"], "content-type": STREAM, "x-accel-buffering": "no"},
    )


class _Lines:
    """What one stream is told. It ends when its reader is too slow, its credential is not good any more, or the hub
    stops; the reader then comes back with its last id."""

    def __init__(self, call: Call, token: str) -> None:
        self._services = call.services
        self._access = call.services.access
        self._actor = call.actor
        self._token = token
        self._types = frozenset(call.query.event)
        self._player_id = call.query.player_id
        self._waiting: deque[Told] = deque()
        self._heard = asyncio.Event()
        self._doubted = False
        self._ended = False

    async def run(self, number: int | None) -> AsyncIterator[bytes]:
        feed, team_id = self._services.feed, self._actor.team_id
        with (
            feed.joined(team_id, self._hear, self._end) as listener,
            self._access.watched(self._actor, self._doubt),
        ):
            await feed.ready(team_id)
            if number is None:
                number = await self._services.events.newest()
            yield b": from here on\n\n"
            async for page in feed.past(team_id, number):
                number = page[-1].number
                if self._access.left_s(self._actor) == 0 and not await self._is_good():
                    return
                for told in page:
                    if line := self._line(told):
                        yield line
            listener.release(number)
            while True:
                self._heard.clear()
                left_s = self._access.left_s(self._actor)
                if (self._doubted or left_s == 0) and not await self._is_good():
                    return
                while self._waiting and self._access.left_s(self._actor) != 0:
                    if line := self._line(self._waiting.popleft()):
                        yield line
                if self._ended:
                    return
                left_s = self._access.left_s(self._actor)  # as it is after a look
                wait_s = KEEP_ALIVE_S if left_s is None else min(KEEP_ALIVE_S, left_s)
                if not await set_within(self._heard, wait_s) and wait_s == KEEP_ALIVE_S:
                    self._doubted = True  # a change may not have been heard of
                    yield b": still here\n\n"

    def _hear(self, told: Told) -> None:
        if len(self._waiting) >= WAITING:
            self._ended = True
        if not self._ended:
            self._waiting.append(told)
        self._heard.set()

    def _end(self) -> None:
        self._ended = True
        self._heard.set()

    def _doubt(self) -> None:
        self._doubted = True
        self._heard.set()

    async def _is_good(self) -> bool:
        """Whether the credential still is, and for what."""
        self._doubted = False
        actor = await self._access.renewed(self._token, self._actor)
        self._actor = actor or self._actor
        return actor is not None

    def _line(self, told: Told) -> bytes | None:
        if told.scope not in self._actor.scopes or (self._types and told.type not in self._types):
            return None
        if self._player_id is not None and told.player_id != self._player_id:
            return None
        line = told.framed.get(STREAM)
        if line is None:
            line = told.framed[STREAM] = b"id: %s\nevent: %s\ndata: %s\n\n" % (
                told.cursor.encode(),
                told.type.encode(),
                told.body,
            )
        return line
