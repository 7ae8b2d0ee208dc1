"""What the `hub` command asks of a running hub, as any other client would: calls of the API, and the live feed."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from hub.dial import NEXT_S, in_words
from hub.domain.errors import Unauthenticated
from hub.domain.text import for_terminal

if TYPE_CHECKING:
    import httpx2

WATCH_AGAIN_S = 2.0  # between attempts of `watch` to come back
LEAST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # within what `watch` waits when the hub asks for it
TIMEOUT_S = 40.0  # for an answer; the longest wait that the hub grants is 30


UNKNOWN_KEY = "The hub does not know this key; --key or HUB_KEY is wrong."


class Refused(Exception):
    """The hub said no, or did not answer; `message` is for whoever asked, `code` the hub's own, "" without one."""

    def __init__(self, message: str, code: str = "") -> None:
        self.message = message
        self.code = code
        super().__init__(message)


def call(method: str, url: str, key: str, path: str, body: Any = None, prefer: str | None = None) -> Any:
    """One call of the API; the answer's JSON. Raises Refused."""
    import httpx2

    headers = _headers(key) | ({"Prefer": prefer} if prefer else {})
    _check_address(url)
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        content = None if body is None else orjson.dumps(body)
    except TypeError as error:  # brackets in brackets
        raise Refused(f"This cannot be sent: {error}.") from None
    try:
        answer = asyncio.run(_ask(method, url.rstrip("/") + path, headers, content))
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OverflowError) as error:
        raise Refused(f"No answer from {url}: {in_words(error)}") from None
    if answer.status_code >= 400:
        raise _refusal(answer.status_code, answer.content)
    try:
        return answer.json()
    except ValueError:
        raise Refused(f"What answers at {url} is no hub.") from None


async def _ask(method: str, url: str, headers: dict[str, str], content: bytes | None) -> "httpx2.Response":
    """Of httpx2's clients this is the one that tries all addresses of a host."""
    import httpx2

    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as client:
            return await client.request(method, url, headers=headers, content=content)
    except ExceptionGroup as several:  # such as of a port that is none, for each address
        raise several.exceptions[0] from None


async def watch(url: str, key: str) -> None:
    """Print what happens, and on stderr when the hub goes and comes. After a break it goes on where it was. Raises
    Refused when there is no hub at first, or it does not let us in."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
    from websockets.typing import Subprotocol

    headers = _headers(key)
    _check_address(url)
    address = "ws" + url.rstrip("/").removeprefix("http") + "/ws/operator"
    spoken = [Subprotocol("signalbox.operator.v1")]
    cursor: str | None = None
    gone = ""
    while True:
        try:
            async with connect(
                address,
                subprotocols=spoken,
                additional_headers=headers,
                max_size=2**23,
                happy_eyeballs_delay=NEXT_S,
            ) as socket:
                await socket.send(_subscription(cursor))
                if gone:
                    _say(f"The hub at {url} is back.")
                    gone = ""
                async for text in socket:
                    message = orjson.loads(text)
                    cursor = message.get("cursor", cursor)
                    if message["type"] == "event":
                        line = f"{message['timestamp']} {message['event']:22} {orjson.dumps(message['data']).decode()}"
                        print(for_terminal(line), flush=True)
                    elif message["type"] == "error":
                        if "retry_after" not in message:
                            raise Refused(message["message"])
                        await asyncio.sleep(_pause_s(message["retry_after"]))
                        await socket.send(_subscription(cursor))
            reason = "it has said goodbye"
        except InvalidStatus as refusal:
            refused = _refusal(refusal.response.status_code, bytes(refusal.response.body or b""))
            reason = refused.message
            if refusal.response.status_code < 500:
                raise refused from None
        except ConnectionClosed as end:
            reason = end.rcvd.reason if end.rcvd is not None and end.rcvd.reason else "the connection broke"
            if end.rcvd is not None and end.rcvd.code in (4000, 4001):
                raise Refused(UNKNOWN_KEY if end.rcvd.code == 4001 else reason) from None
        except (OSError, WebSocketException, ValueError, OverflowError) as error:
            reason = in_words(error)
            if cursor is None:
                raise Refused(f"{url} cannot be reached: {reason}") from None
        if not gone:
            gone = reason.rstrip(".")
            _say(f"The hub at {url} is gone: {gone}; waiting for it.")
        await asyncio.sleep(WATCH_AGAIN_S)


def _pause_s(asked: object) -> float:
    """Seconds, whatever the hub asked for."""
    if isinstance(asked, bool) or not isinstance(asked, int | float):
        return WATCH_AGAIN_S
    return float(min(max(asked, LEAST_PAUSE_S), LONGEST_PAUSE_S))


def _subscription(cursor: str | None) -> str:
    resume = {} if cursor is None else {"after": cursor}
    return orjson.dumps({"type": "subscribe", "topics": ["events"], **resume}).decode()


def _headers(key: str) -> dict[str, str]:
    if not key:
        raise Refused("A key is needed: --key, or HUB_KEY in the environment.")
    if not key.isascii() or not key.isprintable():
        raise Refused("--key: this is not a key; one looks like sbk_...")
    return {"Authorization": f"Bearer {key}"}


def _check_address(url: str) -> None:
    """Raises Refused for what is no address of a hub."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets, or the port
        good = False
    if not good:
        raise Refused(f"--url: a hub's address looks like https://hub.example.com, not {url or 'nothing'}.")


def _refusal(status: int, body: bytes) -> Refused:
    """In the hub's own words, each fault with its field in front, but for a key: that is an option here."""
    try:
        refusal = orjson.loads(body)
        errors = refusal.get("errors", {}).items()
        faults = [f"{field}: {text}" for field, texts in errors for text in texts]
        message, code = "\n".join(faults) or str(refusal["message"]), str(refusal.get("code", ""))
    except (ValueError, KeyError, AttributeError, TypeError):
        return Refused(f"The hub answered {status}.")
    unknown_key = status == Unauthenticated.status and message == Unauthenticated.message  # it comes without a code
    return Refused(UNKNOWN_KEY if unknown_key else message, code)


def _say(text: str) -> None:
    print(for_terminal(text), file=sys.stderr, flush=True)
