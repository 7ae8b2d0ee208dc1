"""Errors on the wire: one shape, `{"message", "code"?, "errors"?}`, whatever went wrong and wherever."""

import logging
import secrets
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub.api.http.responses import Answer, as_response
from hub.domain.errors import BadRequest, HubError, TooLarge, UnsupportedMedia

log = logging.getLogger(__name__)

# Seconds to wait, told when the error itself does not know: a locked database or a full queue clears in less.
RETRY_AFTER_S: Final = 5

_SLOW_DOWN = frozenset({429, 503})
_FROM_STATUS: Final = {
    400: (BadRequest.message, BadRequest.code),
    404: ("Not found.", "not_found"),
    405: ("This method is not allowed here.", "method_not_allowed"),
    413: (TooLarge.message, TooLarge.code),
    415: (UnsupportedMedia.message, UnsupportedMedia.code),
}


def answer_for(error: HubError) -> Answer:
    headers: dict[str, str] = {}
    if error.status in _SLOW_DOWN:
        headers["retry-after"] = str(RETRY_AFTER_S if error.retry_after is None else error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        # Spot documents this body to the letter: the message and nothing else.
        return Answer(error.status, {"message": error.message}, {"www-authenticate": "Bearer"})
    body: dict[str, Any] = {"message": error.message, "code": error.code}
    if error.errors:
        body["errors"] = error.errors
    return Answer(error.status, body, headers)


def answer_for_unexpected(error: Exception, where: str) -> Answer:
    """A fault of ours: the log gets the traceback under an incident number, the caller gets no detail at all.

    `where` is method and path template; the path itself may hold what belongs in no log.
    """
    log.error("incident %s at %s", secrets.token_hex(4), where, exc_info=error)
    return Answer(500, {"message": "Something went wrong on the hub.", "code": "internal"})


def answer_for_status(status: int, headers: dict[str, str] | None = None) -> Answer:
    if status == HTTPStatus.UNAUTHORIZED:
        return Answer(status, {"message": "Unauthenticated."}, {"www-authenticate": "Bearer", **(headers or {})})
    message, code = _FROM_STATUS.get(status) or (f"{HTTPStatus(status).phrase}.", f"http_{status}")
    return Answer(status, {"message": message, "code": code}, headers or {})


async def _hub_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    return as_response(answer_for(error))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return as_response(answer_for_status(error.status_code, headers))


async def _unexpected(request: Request, error: Exception) -> Response:
    route = request.scope.get("route")
    return as_response(answer_for_unexpected(error, f"{request.method} {getattr(route, 'path', 'outside the routes')}"))


HANDLERS: Final[dict[Any, Any]] = {HubError: _hub_error, HTTPException: _http_exception, Exception: _unexpected}
"""For `Starlette(exception_handlers=...)`: what plain routes raise, and paths nobody serves."""
