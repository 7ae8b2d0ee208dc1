"""JWTs: what Hangar's clients exchange an API key for. Ten minutes long, signed (HS256) with a key of this database.

A JWT names its API key, and with each look-up that key is asked whether it still lives: revoked, rotated, expired or of
a locked user, it takes its JWTs along.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final

import jwt
import orjson

from hub.domain import ids
from hub.domain.access import is_api_key
from hub.domain.errors import BadRequest, Unauthenticated
from hub.domain.times import DAY, MINUTE, SECOND, now_ms
from hub.services.access import Access, Found, key_actor
from hub.store import teams
from hub.store.database import Database

LIFETIME_MS: Final = 10 * MINUTE
ROTATE_MS: Final = 30 * DAY  # a signing key's age at which the next start makes another
RELOAD_MS: Final = MINUTE  # how long another node's rotation may go unseen; the old key is good for longer
LEEWAY_S: Final = 30  # by which the clocks of two nodes may differ

ISSUER: Final = "signalbox"
AUDIENCE: Final = "signalbox:api"
ALGORITHM: Final = "HS256"
_FACT: Final = "jwt_keys"
_CLAIMS: Final = ["exp", "iat", "iss", "aud", "sub", "key", "ver"]

SigningKeys = dict[str, Any]
"""{"current": {"id", "secret", "made_at"}, "before": the same or None}"""


def rotated(keys: SigningKeys | None, now: int) -> SigningKeys | None:
    """The signing keys to have from now on; None: those there are will do."""
    if keys is not None and now - keys["current"]["made_at"] < ROTATE_MS:
        return None
    new = {"id": secrets.token_hex(4), "secret": secrets.token_hex(32), "made_at": now}
    return {"current": new, "before": keys["current"] if keys else None}


def accepted(keys: SigningKeys, now: int) -> dict[str, str]:
    """Secrets by key id: the current key, and the one before it until the last JWT that it signed is over."""
    good = {keys["current"]["id"]: keys["current"]["secret"]}
    before = keys["before"]
    if before is not None and now < keys["current"]["made_at"] + RELOAD_MS + LIFETIME_MS + LEEWAY_S * SECOND:
        good[before["id"]] = before["secret"]
    return good


async def prepare_signing(session: Any, now: int) -> None:
    """Make the signing keys of a new database, or rotate those that are old."""
    stored = await teams.fact(session, _FACT)
    keys = rotated(orjson.loads(stored) if stored else None, now)
    if keys is not None:
        await teams.set_fact(session, _FACT, orjson.dumps(keys).decode())


class Tokens:
    def __init__(self, db: Database, access: Access, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._access = access
        self._clock = clock
        self._keys: SigningKeys | None = None
        self._loaded_at = 0
        access.accept("jwt", self.by_jwt)

    async def exchange(self, api_key: str | None, *, address: str | None, agent: str | None) -> tuple[str, int]:
        """(JWT, milliseconds until it ends) for an API key. Raises BadRequest (no key by its form), Unauthenticated."""
        if api_key is None or not is_api_key(api_key):
            raise BadRequest("Badly formatted API key.", code="bad_api_key")
        actor = await self._access.authenticate(api_key, address=address, agent=agent)
        if actor is None:
            raise Unauthenticated("Api key missing or invalid.")
        now = self._clock()
        current = (await self._signing_keys(now))["current"]
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": ids.visible_part(api_key),
            "iat": now // SECOND,
            "exp": (now + LIFETIME_MS) // SECOND,
            "key": actor.id,
            "ver": _version(ids.digest(api_key)),
        }
        return jwt.encode(claims, current["secret"], ALGORITHM, headers={"kid": current["id"]}), LIFETIME_MS

    async def by_jwt(self, token: str) -> Found | None:
        """Who a JWT stands for: its API key, as that is now."""
        now = self._clock()
        claims = _verified(token, accepted(await self._signing_keys(now), now))
        if claims is None:
            return None
        async with self._db.session() as session:
            key = await teams.key_by_id(session, claims["key"])
        found = key_actor(key)
        if key is None or found is None or _version(key.key.digest) != claims["ver"]:
            return None
        ends_at = claims["exp"] * SECOND
        return Found(found.actor, min(ends_at, found.ends_at or ends_at))

    async def _signing_keys(self, now: int) -> SigningKeys:
        if self._keys is None or not 0 <= now - self._loaded_at <= RELOAD_MS:
            async with self._db.session() as session:
                stored = await teams.fact(session, _FACT)
            if stored is None:
                raise LookupError("prepare the database first")
            self._keys, self._loaded_at = orjson.loads(stored), now
        return self._keys


def _version(digest: str) -> str:
    """Which secret of a key a JWT came of: a rotated key has another."""
    return digest[:16]


def _verified(token: str, good: dict[str, str]) -> dict[str, Any] | None:
    """The claims of a JWT that we signed with a key that is still good."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        secret = good.get(kid) if isinstance(kid, str) else None
        if secret is None:
            return None
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY_S,
            options={"require": _CLAIMS},
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return claims
