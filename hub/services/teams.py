"""Making a team: what `hub init` does."""

import secrets

from hub.domain import ids
from hub.domain.access import SCOPES
from hub.domain.errors import Conflict
from hub.domain.playback import checked_zone_name
from hub.domain.times import now_ms
from hub.services.accounts import plain_email
from hub.services.passwords import Passwords
from hub.services.tokens import prepare_signing
from hub.store import teams as store
from hub.store.database import Database
from hub.store.tables import ApiKey, Team, User


async def prepare(db: Database) -> None:
    """Give a new database its name and its secrets. Safe to call at every start."""
    async with db.transaction() as session:
        for name, value in (("log_id", secrets.token_hex(6)), ("url_secret", secrets.token_hex(32))):
            if await store.fact(session, name) is None:
                await store.keep_fact(session, name, value)
        await prepare_signing(session, now_ms())


async def create_team(db: Database, *, name: str, email: str, password: str, timezone: str = "UTC") -> tuple[int, str]:
    """A team on the unlimited plan, its owner, and a key with every scope: (team id, key, shown this once).

    Raises Conflict when the e-mail address has an account already, Invalid (`timezone`).
    """
    email, timezone = plain_email(email), checked_zone_name(timezone)
    password_hash = await Passwords().hash(password)
    now = now_ms()
    secret = ids.new_secret(ids.API_KEY_PREFIX)
    async with db.transaction() as session:
        if await store.user_by_email(session, email) is not None:
            raise Conflict(f"{email} has an account already.", code="email_taken")
        owner = User(
            team_id=0,
            name=email.partition("@")[0],
            email=email,
            password_hash=password_hash,
            role="owner",
            created_at=now,
        )
        team = await store.create(session, Team(name=name, plan="unlimited", timezone=timezone, created_at=now), owner)
        assert team.id is not None
        session.add(
            ApiKey(
                team_id=team.id,
                user_id=owner.id,
                name="First key",
                prefix=ids.visible_part(secret),
                digest=ids.digest(secret),
                scopes=" ".join(sorted(SCOPES)),
                created_at=now,
            )
        )
    return team.id, secret


async def has_team(db: Database) -> bool:
    async with db.session() as session:
        return await store.count(session) > 0


async def url_secret(db: Database) -> str:
    """What signed links are signed with: the database's own, so that they outlive restarts and hold on every node."""
    async with db.session() as session:
        secret = await store.fact(session, "url_secret")
    if secret is None:
        raise LookupError("prepare the database first")
    return secret
