"""Webhooks, the rules: which addresses a delivery may go to, what it says and how it is signed, when it is tried again.

A webhook's address is chosen by a user and called from inside the operator's network, so by default only public
addresses over https are reached; `allow_networks` opens private ones by name.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from hub.domain.errors import Invalid
from hub.domain.hosts import Address, Network, address_of, behind, host_name, is_public
from hub.domain.ids import WEBHOOK_SECRET_PREFIX
from hub.domain.times import DAY, SECOND, rfc3339

URL_LIMIT = 2_048  # characters
RETRY_AFTER_LIMIT = DAY  # a receiver may ask for patience, not for silence
WINDOW_START = 4  # deliveries at once to a receiver of which nothing is known
WINDOW_MOST = 16  # and to one that has only succeeded: some 300 a second at 50 ms each
LONG_MS = 1_000  # a failure that took so long keeps a place from others
OVERLAP_MOST = 7 * DAY  # an old secret may go on signing for as long as a slow release takes
JITTER = 0.1  # of each wait, either way: a thousand deliveries that failed together do not come back together
ALLOW_SETTING = "webhooks.allow_networks (HUB_WEBHOOKS__ALLOW_NETWORKS)"

_BUSY = frozenset({429, 503})


# Where it may go


def checked_url(text: str, allow_networks: Sequence[Network]) -> str:
    """The address as it is kept, judged by all that can be judged without looking a name up. Raises Invalid (`url`)."""
    text = text.strip()
    if len(text) > URL_LIMIT or re.search(r"[\x00-\x20\x7f\\]", text):
        raise _wrong(f"At most {URL_LIMIT} characters, none of them a space or a backslash.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        name = host_name(host) if host else ""
    except ValueError as error:
        raise _wrong("must be an address") from error
    if parts.scheme not in ("https", "http") or not name or port == 0:
        raise _wrong("must start with https:// and name a host")
    if "@" in parts.netloc:
        raise _wrong("must have no user name or password: deliveries are signed instead")
    if "#" in text:
        raise _wrong("must have no fragment (#): it would never be sent")
    plain = parts.scheme == "http"
    if plain and not allow_networks:
        raise _wrong(f"must start with https://. Plain http is for networks named in {ALLOW_SETTING} only")
    literal = address_of(name)
    if literal is not None and (refusal := refused(literal, allow_networks, plain=plain)):
        raise _wrong(f"leads where nothing is delivered: {refusal.removesuffix('.')}")
    netloc = (f"[{name}]" if ":" in name else name) + (f":{port}" if port is not None else "")
    path, query = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~"), quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def refused(address: Address, allow_networks: Sequence[Network], *, plain: bool) -> str | None:
    """Why a delivery may not go to this address, or None. `plain` is http without TLS."""
    target = behind(address)
    if any(target in network or address in network for network in allow_networks):
        return None
    if not is_public(target):
        return f"{address} is not a public address, and in none of the networks of {ALLOW_SETTING}."
    if plain:
        return f"{address} is reached over https only; plain http is for the networks of {ALLOW_SETTING}."
    return None


def _wrong(what: str) -> Invalid:
    return Invalid.field("url", what)


# What it says


def new_secret() -> str:
    return WEBHOOK_SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def envelope(name: str, at: int, data: Mapping[str, Any], cursor: str) -> bytes:
    """The body: event name in the receiver's vocabulary, time, the event's data as the log has it, and its place in the
    log, so that the order is signed too."""
    return orjson.dumps({"event": name, "timestamp": rfc3339(at), "data": data, "cursor": cursor})


def headers(
    *,
    secret: str,
    old_secret: str | None = None,
    name: str,
    delivery_id: int,
    message_id: str,
    cursor: str,
    body: bytes,
    now: int,
) -> dict[str, str]:
    """The headers of one attempt. The same bytes are signed twice, for receivers of either kind:

    - `X-Spot-Signature`: the key is the secret as it was shown, prefix and all
    - Standard Webhooks: the key is what the part after `whsec_` decodes to

    While an `old_secret` is good, the standard header holds a signature of each. `X-Spot-Signature` has room for one:
    it stays with the old secret, for receivers that know no other yet, and `X-Spot-Signature-Next` is of the new one.
    """
    timestamp = now // SECOND
    said = f"{message_id}.{timestamp}.".encode() + body
    secrets = [secret] if old_secret is None else [secret, old_secret]
    made = {
        "Content-Type": "application/json",
        "User-Agent": "Signalbox-Webhooks/1",
        "X-Spot-Event": name,
        "X-Spot-Delivery": str(delivery_id),
        "X-Spot-Signature": _spot_signature(secrets[-1], body),
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_standard_signature(one, said) for one in secrets),
        "X-Signalbox-Cursor": cursor,
    }
    return made if old_secret is None else made | {"X-Spot-Signature-Next": _spot_signature(secret, body)}


def _spot_signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _standard_signature(secret: str, said: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(WEBHOOK_SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()


# How many at once


@dataclass(slots=True)
class Window:
    """How many deliveries of one webhook may be under way, found as TCP finds its pace: one more for each success, one
    less for each failure, half for one that took long or for a plea for time. Whoever is well gets many, whoever is
    gone costs one place, and who fails now and then gets enough to keep up."""

    size: float = WINDOW_START

    @property
    def room(self) -> int:
        return int(self.size)

    def after(self, status: int | None, duration_ms: int) -> None:
        """An attempt was answered with this status (None: with nothing) after so long."""
        if status is not None and 200 <= status < 300:
            self.size = min(self.size + 1, WINDOW_MOST)
        elif status in _BUSY or duration_ms >= LONG_MS:
            self.size = max(self.size / 2, 1)
        else:
            self.size = max(self.size - 1, 1)


# When it is tried again


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an attempt means. `next_at` is set for `pending` alone; `gone` means that the receiver wants no more."""

    state: Literal["delivered", "pending", "failed"]
    next_at: int | None = None
    gone: bool = False


def after_attempt(
    attempts: int,
    status: int | None,
    retry_after_ms: int | None,
    now: int,
    ladder_s: Sequence[float],
    chance: Callable[[], float],
) -> Verdict:
    """Judge the attempt number `attempts` (from 1): `status` is the answer's, None when there was none; `chance` gives
    numbers from 0 to 1. Delivered is 2xx and nothing else; 410 ends the webhook; the ladder's end ends the delivery."""
    if status is not None and 200 <= status < 300:
        return Verdict("delivered")
    if status == 410:
        return Verdict("failed", gone=True)
    if attempts > len(ladder_s):
        return Verdict("failed")
    wait_ms = ladder_s[attempts - 1] * SECOND * (1 + JITTER * (2 * chance() - 1))
    return Verdict("pending", now + max(round(wait_ms), min(retry_after_ms or 0, RETRY_AFTER_LIMIT)))


def retry_after(text: str | None, now: int) -> int | None:
    """A `Retry-After` header in ms from now: seconds, or an HTTP date. None when there is none that can be read."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return int(text) * SECOND
    try:
        return max(0, int(parsedate_to_datetime(text).timestamp() * SECOND) - now)
    except (ValueError, OverflowError):
        return None
