"""What the machine room asks: is the process alive, can it do its work, and its figures."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.api.http.auth import bearer
from hub.api.http.errors import answer_for
from hub.api.http.responses import Answer, as_response
from hub.domain.errors import Unauthenticated

Check = Callable[[], Awaitable[None]]
"""Returns when its part works, raises when it does not."""

CHECK_S: Final = 2.0  # seconds for each check; load balancers commonly give a probe five


def metrics(render: Callable[[], bytes], content_type: str, token: str | None = None) -> Route:
    """/metrics: what `render` gives, as `content_type`, to whoever brings the token, if there is one."""

    async def answer(request: Request) -> Response:
        if token is not None and not hmac.compare_digest(bearer(dict(request.scope["headers"])) or "", token):
            return as_response(answer_for(Unauthenticated()))
        return Response(render(), headers={"content-type": content_type, "cache-control": "no-store"})

    return Route("/metrics", answer)


def routes(checks: Mapping[str, Check]) -> list[Route]:
    """/healthz and /readyz. `checks` is read on each call."""

    async def healthz(request: Request) -> Response:
        return as_response(Answer(200, {"status": "ok"}))

    async def readyz(request: Request) -> Response:
        names = list(checks)
        outcomes = await asyncio.gather(*(_outcome(checks[name]) for name in names))
        errors = {name: [outcome] for name, outcome in zip(names, outcomes, strict=True) if outcome is not None}
        if not errors:
            return as_response(Answer(200, {"status": "ready"}))
        message = f"Not ready: {', '.join(errors)}."
        return as_response(Answer(503, {"message": message, "code": "not_ready", "errors": errors}))

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def _outcome(check: Check) -> str | None:
    """What is wrong, without the detail: that may hold addresses and passwords, and anyone may ask."""
    try:
        async with asyncio.timeout(CHECK_S):
            await check()
    except TimeoutError:
        return f"No answer within {CHECK_S:g} s."
    except Exception:
        return "This check failed."
    return None
