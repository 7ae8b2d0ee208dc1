"""Signed URLs: whoever holds one may do this one thing until it expires, without any other credential.

The signature is an HMAC over method, path and expiry; `expires` is whole Unix seconds.
"""

import hashlib
import hmac

from hub.domain.errors import Forbidden, Gone
from hub.domain.times import HOUR, SECOND

LIFETIME = HOUR  # long enough for a page that stays open, short enough for a link that leaks


def signature(secret: bytes, method: str, path: str, expires: int) -> str:
    message = f"{method}\n{path}\n{expires}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def signed(secret: bytes, method: str, path: str, expires_at: int) -> str:
    """The path with its query: `PATH?expires=...&signature=...`; `expires_at` in Unix ms."""
    expires = expires_at // SECOND
    return f"{path}?expires={expires}&signature={signature(secret, method, path, expires)}"


def verify(secret: bytes, method: str, path: str, expires: str, given: str, now: int) -> None:
    """Raise Forbidden when the signature is not ours for exactly this, Gone when it was and its time is over."""
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise Forbidden("This link is not signed.", code="bad_signature")
    if not hmac.compare_digest(signature(secret, method, path, int(expires)).encode(), given.encode()):
        raise Forbidden("The signature of this link is wrong.", code="bad_signature")
    if now >= int(expires) * SECOND:
        raise Gone("This link has expired.", code="link_expired")
