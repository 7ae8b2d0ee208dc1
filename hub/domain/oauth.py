"""OAuth 2.0 (RFC 6749) as the hub speaks it for third parties: the authorization code with PKCE (RFC 7636), S256 only.

    sign in --right password--> ticket --allowed--> code --exchanged, once--> grant: access and refresh tokens

A ticket is what the consent page holds between the two steps: signed, bound to the request, for one use. All tokens
that follow from one code are one family, the grant; whoever shows a code or a refresh token a second time ends it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import orjson

from hub.domain.errors import BadRequest, Gone, Invalid
from hub.domain.times import DAY, HOUR, MINUTE, SECOND

TICKET_MS = 5 * MINUTE  # to read the page and decide
CODE_MS = 60 * SECOND  # a redirect and one request; RFC 6749 allows ten minutes, a code that leaks should not last
ACCESS_MS = HOUR
REFRESH_MS = 90 * DAY  # without a refresh for so long, the user is asked again
CODE_KEPT_MS = DAY  # after its end, so that a second use is recognised

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of an authorization request, as they came; None where one is missing."""

    response_type: str | None = None
    client_id: str | None = None
    redirect_uri: str | None = None
    scope: str | None = None
    state: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None

    def check(self) -> None:
        """Raise BadRequest, its code one of RFC 6749's words, unless this asks for a code with PKCE."""
        if self.response_type != "code":
            raise BadRequest("The only response_type here is code.", code="unsupported_response_type")
        if self.code_challenge is None or not _CHALLENGE.fullmatch(self.code_challenge):
            raise BadRequest("Send a code_challenge (RFC 7636).", code="invalid_request")
        if self.code_challenge_method != "S256":
            raise BadRequest("The only code_challenge_method here is S256.", code="invalid_request")

    @property
    def digest(self) -> str:
        return hashlib.sha256(orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)).hexdigest()


class Ticket(NamedTuple):
    """`nonce` names this one page; the code that may follow from it is made of it. `version` is that of the person: who
    changed since then, by another password for one, signs in again."""

    user_id: int
    nonce: str
    version: int


def checked_redirect(uri: str) -> str:
    """A redirect URI as a client may register it. Raises Invalid (`redirect_uris`).

    https; http to this very machine (RFC 8252, section 7.3); or a scheme of the program's own, named after a domain in
    reverse (section 7.1).
    """
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _wrong(uri, "is not an address") from None
    if not re.fullmatch(r"[!-~]+", uri) or re.search(r"[\\\"<>]", uri):
        raise _wrong(uri, "has characters that must be percent-encoded")
    if "#" in uri:
        raise _wrong(uri, "has a fragment")
    if parts.scheme in ("https", "http"):
        if not _HOST.fullmatch(parts.netloc):
            raise _wrong(uri, "does not name a host alone")
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise _wrong(uri, "must use https; http is for 127.0.0.1, [::1] and localhost")
    elif not _PRIVATE_SCHEME.fullmatch(parts.scheme) or parts.netloc:
        raise _wrong(uri, "must use https, or a scheme such as com.example.app:/")
    return uri


def _wrong(uri: str, what: str) -> Invalid:
    return Invalid.field("redirect_uris", f"has {uri[:100]}, which {what}")


def answer_url(redirect_uri: str, values: Mapping[str, str | None]) -> str:
    """The redirect URI with the answer in its query, what it had there kept."""
    query = urlencode({name: value for name, value in values.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"


def proves(verifier: str | None, challenge: str) -> bool:
    """Whether this is the secret that the challenge was made of."""
    if verifier is None or not _VERIFIER.fullmatch(verifier):
        return False
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)


def issue_ticket(secret: bytes, ticket: Ticket, asked: Asked, now: int) -> str:
    payload = orjson.dumps([*ticket, now + TICKET_MS]).hex()
    return f"{payload}.{_signature(secret, payload, asked)}"


def read_ticket(secret: bytes, text: str, asked: Asked, now: int) -> Ticket:
    """Raises Gone unless this is a ticket of ours for exactly this request, and its time is not over."""
    payload, _, signature = text.partition(".")
    if not hmac.compare_digest(_signature(secret, payload, asked).encode(), signature.encode()):
        raise Gone("This page is not valid any more. Go back to the program that sent you here.", code="bad_ticket")
    *ticket, ends_at = orjson.loads(bytes.fromhex(payload))
    if ends_at <= now:
        raise Gone("This page has waited too long. Go back to the program that sent you here.", code="old_ticket")
    return Ticket(*ticket)


def _signature(secret: bytes, payload: str, asked: Asked) -> str:
    return hmac.new(secret, f"ticket\n{payload}\n{asked.digest}".encode(), hashlib.sha256).hexdigest()


def code_of(secret: bytes, ticket: Ticket) -> str:
    """The one code that this ticket can become: a ticket used again makes the same code, which is taken by then."""
    made = hmac.new(secret, f"code\n{ticket.user_id}\n{ticket.nonce}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
