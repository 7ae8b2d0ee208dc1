"""What goes wrong with receivers in the field, around one that works."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

SLOW_S = 0.3  # the longest that a slow answer takes
FAILURES = ("refused", "stored and refused", "reset", "stored and reset", "too busy")


class Chaos:
    """Fails `share` of the requests, each way as often as the others, and answers one in ten slowly. The ways are drawn
    from `seed`; which request meets which depends on the network."""

    def __init__(self, app: Any, share: float, seed: int, count: Callable[[str], None]) -> None:
        self._app = app
        self._share = share
        self._chance = random.Random(seed)
        self._count = count

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._chance.random() < 0.1:
            await asyncio.sleep(self._chance.random() * SLOW_S)
        if self._chance.random() >= self._share:
            await self._app(scope, receive, send)
            return
        failure = self._chance.choice(FAILURES)
        self._count(failure)
        if failure.startswith("stored"):
            await self._app(scope, receive, _swallow)
        if failure.endswith("reset"):
            send.__self__.transport.abort()  # uvicorn's own, since ASGI has no word for it
            return
        status, headers = (503, [(b"retry-after", b"1")]) if failure == "too busy" else (500, [])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})


async def _swallow(_message: Any) -> None:
    pass
