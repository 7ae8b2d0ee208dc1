"""JWTs: whose they are, and everything that a JWT of somebody else's making is refused for."""

import base64
from typing import Any

import jwt
import orjson
import pytest

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import BadRequest, Unauthenticated
from hub.domain.times import DAY, HOUR, MINUTE, now_ms
from hub.services.access import Access
from hub.services.jwt import LIFETIME_MS, Tokens, accepted, prepare_signing, rotated
from hub.services.teams import prepare
from hub.store import people, teams
from hub.store.database import Database
from tests.cast import team_owner


class Node:
    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = now_ms()
        self.access = Access(db, LocalBus(), clock=lambda: self.now)
        self.tokens = Tokens(db, self.access, clock=lambda: self.now)

    async def key(self, owner: Actor, **more: Any) -> dict[str, Any]:
        asked = {"name": "Wall", "scopes": ["read:players"], "expires_at": None, "face": "test"} | more
        return await self.access.create_key(owner, **asked)

    async def exchange(self, key: str) -> str:
        token, lifetime = await self.tokens.exchange(key, address="192.0.2.1", agent="curl/8")
        assert lifetime == LIFETIME_MS == 600_000
        return token

    async def who(self, token: str) -> Actor | None:
        return await self.access.authenticate(token, address="192.0.2.1", agent="curl/8")

    async def signing(self) -> dict[str, Any]:
        async with self.db.session() as session:
            keys: dict[str, Any] = orjson.loads(await teams.fact(session, "jwt_keys") or "")
        return keys


async def test_a_jwt_stands_for_its_key_and_dies_with_it(db: Database) -> None:
    await prepare(db)
    node, owner = Node(db), await team_owner(db, "team")
    made = await node.key(owner)
    token = await node.exchange(made["key"])
    actor = await node.who(token)
    assert actor is not None
    assert (actor.kind, actor.id, actor.team_id, actor.scopes) == ("key", made["id"], owner.team_id, {"read:players"})
    assert actor.user_id == owner.id

    rotated_key = await node.access.rotate_key(owner, made["id"], face="test")
    assert await node.who(token) is None
    token = await node.exchange(rotated_key["key"])
    assert await node.who(token) is not None
    await node.access.revoke_key(owner, made["id"], face="test")
    assert await node.who(token) is None
    with pytest.raises(Unauthenticated):
        await node.exchange(rotated_key["key"])


async def test_a_jwt_ends_after_ten_minutes_or_with_its_key(sqlite_db: Database) -> None:
    await prepare(sqlite_db)
    node, owner = Node(sqlite_db), await team_owner(sqlite_db, "team")
    made = await node.key(owner)
    token = await node.exchange(made["key"])
    short = await node.exchange((await node.key(owner, expires_at=node.now + 5 * MINUTE))["key"])
    node.now += 5 * MINUTE
    assert await node.who(token) is not None
    assert await node.who(short) is None
    node.now += 5 * MINUTE
    assert await node.who(token) is None
    assert await Node(sqlite_db).who(token) is not None  # by a clock that has not moved
    for text in ("", "yourKey", "1|abc", token, made["key"] + "x"):
        with pytest.raises(BadRequest, match="Badly formatted API key"):
            await node.exchange(text)
    with pytest.raises(Unauthenticated, match="Api key missing or invalid"):
        await node.exchange("sbk_AbCdEfGh_" + "s" * 32)


async def test_a_locked_persons_jwt_is_dead(sqlite_db: Database) -> None:
    await prepare(sqlite_db)
    node, owner = Node(sqlite_db), await team_owner(sqlite_db, "team")
    token = await node.exchange((await node.key(owner))["key"])
    async with sqlite_db.transaction() as session:
        user = await people.user(session, owner.team_id, owner.id)
        user.locked_at = node.now
        session.add(user)
    assert await node.who(token) is None


async def test_a_jwt_of_somebody_elses_making_is_refused(sqlite_db: Database) -> None:
    await prepare(sqlite_db)
    node, owner = Node(sqlite_db), await team_owner(sqlite_db, "team")
    token = await node.exchange((await node.key(owner))["key"])
    current = (await node.signing())["current"]
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = {"kid": current["id"]}

    def made(secret: str | None, algorithm: str = "HS256", headers: dict[str, Any] = kid, **changes: Any) -> str:
        wanted = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(wanted, secret, algorithm, headers=headers)  # type: ignore[arg-type]

    assert await node.who(made(current["secret"])) is not None  # what follows differs from this in one thing each
    header, body, signature = token.split(".")
    none = made(None, "none")
    forged = {
        "no signature": none,
        "alg none with a signature": none + signature,
        "a stripped signature": f"{header}.{body}.",
        "another body": f"{header}.{made(current['secret'], sub='x').split('.')[1]}.{signature}",
        "another secret": made("x" * 64),
        "another algorithm": made(current["secret"], "HS512"),
        "no kid": made(current["secret"], headers={}),
        "an unknown kid": made(current["secret"], headers={"kid": "00000000"}),
        "a kid that is no text": made(current["secret"]).replace(header, _encoded({"alg": "HS256", "kid": ["x"]})),
        "another audience": made(current["secret"], aud="other"),
        "another issuer": made(current["secret"], iss="other"),
        "no end": made(current["secret"], exp=None),
        "no beginning": made(current["secret"], iat=None),
        "no key": made(current["secret"], key=None),
        "an unknown key": made(current["secret"], key=10**6),
        "another version of the key": made(current["secret"], ver="0" * 16),
        "over": made(current["secret"], exp=claims["iat"] - 60),
        "from the future": made(current["secret"], iat=claims["iat"] + 3600, exp=claims["exp"] + 3600),
        "no JSON": "e30x.e30x.e30x",
        "no base64": "a.b.c",
        "nested beyond reason": _encoded("[" * 2000) + ".e30.e30",
        "empty parts": "..",
    }
    for what, text in forged.items():
        assert await node.who(text) is None, what


def _encoded(part: Any) -> str:
    raw = part.encode() if isinstance(part, str) else orjson.dumps(part)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_signing_keys_change_each_month_and_nobody_notices(sqlite_db: Database) -> None:
    await prepare(sqlite_db)
    node, owner = Node(sqlite_db), await team_owner(sqlite_db, "team")
    made = await node.key(owner)
    first = await node.signing()
    await prepare(sqlite_db)
    assert await node.signing() == first

    node.now += 30 * DAY
    old = await node.exchange(made["key"])
    async with sqlite_db.transaction() as session:
        await prepare_signing(session, node.now)
    second = await node.signing()
    assert second["before"] == first["current"]
    assert second["current"]["secret"] != first["current"]["secret"]
    restarted = Node(sqlite_db)
    restarted.now = node.now + MINUTE
    assert accepted(second, restarted.now).keys() == {first["current"]["id"], second["current"]["id"]}
    assert accepted(second, node.now + HOUR).keys() == {second["current"]["id"]}
    assert rotated(second, node.now + 29 * DAY) is None
    third = rotated(second, node.now + 30 * DAY)
    assert third is not None
    assert third["before"] == second["current"]
    assert jwt.get_unverified_header(old)["kid"] == first["current"]["id"]
    assert jwt.get_unverified_header(await restarted.exchange(made["key"]))["kid"] == second["current"]["id"]
