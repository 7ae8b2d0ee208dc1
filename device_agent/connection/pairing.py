"""How a device gets its token: the device authorization grant (RFC 8628). It shows a code, an operator approves."""

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from device_agent.connection.websocket import trust
from hub.dial import dial, in_words

CLIENT_ID = "player"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
TIMEOUT_S = 20.0
ANSWER_S = 60.0  # for a whole answer, piece by piece: one that has no end is given up
HELD_S = 15  # for the hub to hold a request until somebody decides; proxies and routers keep a silent one longer
MAX_ANSWER_BYTES = 65_536
SLOWER_S = 5.0  # what `slow_down` adds to the interval for good (RFC 8628, 3.5)
LEAST_S = 1.0  # for what the hub names in seconds, so that nothing is asked for without a pause
LONGEST_INTERVAL_S = 60.0
LONGEST_EXPIRES_S = 3_600.0  # then another code is shown
QR_MODULES = 177  # a side of the largest QR code
ID_SHOWN = 8  # characters, from the end, of the hardware id: enough to tell one from its neighbours

Answer = tuple[int, dict[str, Any]]
Post = Callable[..., Awaitable[Answer]]
"""`post` below, or what stands for it."""
Sleep = Callable[[float], Awaitable[None]]


class PairingFailed(Exception):
    """`code` is the hub's (`access_denied`, `expired_token`, `invalid_client`...), or `unreachable`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Offer:
    """A code to be shown, `complete_uri` as a QR code; times are seconds."""

    device_code: str
    user_code: str
    uri: str
    complete_uri: str
    expires_s: float
    interval_s: float
    qr_code: tuple[str, ...] = ()  # of `complete_uri`, row by row; empty where the hub draws none


async def post(url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
    """Status and JSON object of the answer to a form. Raises PairingFailed (`unreachable`)."""
    try:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        return await _within(ANSWER_S, connection, parts.path, form, headers or {})
    except TimeoutError:
        raise PairingFailed("unreachable", f"{url}: no whole answer in time") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise PairingFailed("unreachable", f"{url}: {in_words(error)}") from None


async def begin(hub_url: str, facts: Mapping[str, str | None], *, post: Post = post) -> Offer:
    """Ask for a code. `facts` (hardware_id, model...) are what the operator sees before approving."""
    form = {"client_id": CLIENT_ID, **{name: value for name, value in facts.items() if value}}
    status, answer = await post(f"{hub_url.rstrip('/')}/oauth/device_authorization", form)
    if status != 200:
        raise _failure(status, answer)
    try:
        return Offer(
            device_code=str(answer["device_code"]),
            user_code=str(answer["user_code"]),
            uri=str(answer["verification_uri"]),
            complete_uri=str(answer.get("verification_uri_complete") or answer["verification_uri"]),
            expires_s=_seconds(answer["expires_in"], LONGEST_EXPIRES_S),
            interval_s=_seconds(answer.get("interval", 5), LONGEST_INTERVAL_S),
            qr_code=_qr_code(answer.get("qr_code")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PairingFailed("invalid_answer", f"The hub's offer cannot be read: {error!r}") from None


async def wait_for_token(
    hub_url: str,
    offer: Offer,
    *,
    sleep: Sleep = asyncio.sleep,
    post: Post = post,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str, str]:
    """Ask until an operator has decided; the token, and the player's name (empty where none was told). Raises
    PairingFailed, `expired_token` when nobody decided in time.

    The hub is asked to hold each request until then; one that answers earlier is asked again when the interval since
    the last request is over. `clock` is in seconds.
    """
    interval_s, ends_at = offer.interval_s, clock() + offer.expires_s
    form = {"grant_type": GRANT_TYPE, "device_code": offer.device_code, "client_id": CLIENT_ID}
    prefer = {"Prefer": f"wait={HELD_S}"}
    asked_at = None
    while True:
        if asked_at is not None:
            await sleep(max(0.0, asked_at + interval_s - clock()))
        asked_at = clock()
        if asked_at > ends_at:
            break
        try:
            status, answer = await post(f"{hub_url.rstrip('/')}/oauth/token", form, prefer)
        except PairingFailed as failure:
            if failure.code != "unreachable":
                raise
            interval_s = min(interval_s * 2, LONGEST_INTERVAL_S)  # RFC 8628, 3.5: back off when it does not answer
            continue
        token = answer.get("access_token")
        if status == 200 and isinstance(token, str) and token:
            return token, str(answer.get("player_name") or "")
        match answer.get("error"):
            case "authorization_pending":
                interval_s = max(interval_s, offer.interval_s)
            case "slow_down":
                interval_s = min(interval_s + SLOWER_S, LONGEST_INTERVAL_S)
            case _ if status in (429, 500, 502, 503, 504):
                interval_s = min(interval_s * 2, LONGEST_INTERVAL_S)
            case _:
                raise _failure(status, answer)
    raise PairingFailed("expired_token", "Nobody entered the code in time.")


def for_terminal(qr_code: tuple[str, ...]) -> str:
    """Black on white whatever the terminal's colours, two rows a line; nothing for no code."""
    if not qr_code:
        return ""
    width = len(qr_code) + 8  # with a light margin of four
    rows = ["0" * width] * 4 + [f"0000{row}0000" for row in qr_code] + ["0" * width] * 5
    halves = {"00": " ", "10": "▀", "01": "▄", "11": "█"}
    pairs = zip(rows[::2], rows[1::2], strict=False)
    lines = ["".join(halves[one + other] for one, other in zip(*pair, strict=True)) for pair in pairs]
    return "".join(f"\x1b[30;107m{line}\x1b[0m\n" for line in lines)


def shown_id(hardware_id: str) -> str:
    """The part of a hardware id that the screen shows, and the page for operators with it."""
    return hardware_id[-ID_SHOWN:]


def _seconds(value: Any, longest_s: float) -> float:
    """A time that the hub named, within what makes sense. Raises TypeError, ValueError."""
    seconds = float(value) if isinstance(value, str) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds:
        raise TypeError(f"{value!r} is no number of seconds")
    return float(min(max(seconds, LEAST_S), longest_s))


def _qr_code(rows: Any) -> tuple[str, ...]:
    """A square of dark (`1`) and light modules; nothing where it is none that a QR code can be."""
    if not isinstance(rows, list) or len(rows) > QR_MODULES or not all(isinstance(row, str) for row in rows):
        return ()
    square = all(len(row) == len(rows) and not row.strip("01") for row in rows)
    return tuple(rows) if square else ()


def _failure(status: int, answer: Mapping[str, Any]) -> PairingFailed:
    code = str(answer.get("error") or answer.get("code") or f"http_{status}")
    text = answer.get("error_description") or answer.get("message") or f"The hub answered with HTTP status {status}."
    return PairingFailed(code[:64], str(text)[:500])


async def _within(
    seconds: float,
    connection: http.client.HTTPConnection,
    path: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
) -> Answer:
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(_post, connection, path, form, headers)
    finally:
        if connection.sock is not None:
            with suppress(OSError):  # the thread has closed it meanwhile
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # else it would read on, and be waited for


def _post(
    connection: http.client.HTTPConnection, path: str, form: Mapping[str, str], headers: Mapping[str, str]
) -> Answer:
    try:
        connection.sock = dial(connection.host, connection.port, TIMEOUT_S)
        if isinstance(connection, http.client.HTTPSConnection):
            connection.sock = trust().wrap_socket(connection.sock, server_hostname=connection.host)
        types = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        connection.request("POST", path, urlencode(form), {**types, **headers})
        response = connection.getresponse()
        body = json.loads(response.read(MAX_ANSWER_BYTES) or b"{}")
        return response.status, body if isinstance(body, dict) else {}
    finally:
        connection.close()
