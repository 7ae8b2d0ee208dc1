"""Teams of an installation: making one, which is what `hub init` does, and their plans.

The first team that `hub init` made is the installation's own: its admins set the plans of all."""

import secrets
from typing import Any, cast, get_args

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import SCOPES, Actor
from hub.domain.errors import Conflict, Forbidden, Invalid, NotFound
from hub.domain.events import Event
from hub.domain.playback import checked_zone_name
from hub.domain.quotas import Plan
from hub.domain.times import now_ms, rfc3339
from hub.services.accounts import plain_email
from hub.services.jwt import prepare_signing
from hub.services.passwords import Passwords
from hub.store import events
from hub.store import teams as store
from hub.store.database import Database
from hub.store.tables import ApiKey, Team, User

OWN_TEAM = "own_team"  # the fact that has the number of the installation's own team
NOBODY = "0"  # there are teams, and none of them is


async def prepare(db: Database) -> None:
    """Give a new database its name and its secrets. Safe to call at every start."""
    async with db.transaction() as session:
        for name, value in ((events.LOG_ID, secrets.token_hex(6)), ("url_secret", secrets.token_hex(32))):
            if await store.fact(session, name) is None:
                await store.keep_fact(session, name, value)
        if await store.fact(session, OWN_TEAM) is None and (found := await store.teams(session)):
            # A database from before: only `hub init` made teams without limits.
            own = next((team.id for team in found if team.plan == "unlimited"), None)
            await store.keep_fact(session, OWN_TEAM, str(own or NOBODY))
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
        if await store.fact(session, OWN_TEAM) in (None, NOBODY):
            await store.set_fact(session, OWN_TEAM, str(team.id))
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


class Teams:
    def __init__(self, db: Database, bus: Bus) -> None:
        self._db = db
        self._bus = bus

    async def set_plan(self, actor: Actor, team_id: int, plan: Plan, *, face: str) -> dict[str, Any]:
        """Give a team another plan; its limits are those of the plan on return. Raises Forbidden (of another team than
        the installation's own), NotFound.
        """
        actor.require("admin")
        async with self._db.transaction() as session:
            if not await _is_own(session, actor.team_id):
                if team_id != actor.team_id:
                    raise NotFound
                raise Forbidden("Plans are set by whoever runs this hub.", code="installation_only")
            team = await _set_plan(self._db, session, team_id, plan, actor=actor, face=face)
        self._bus.publish(("credentials", None), ("team", team_id))
        self._bus.publish(("events", team_id))
        return _describe(team)


async def set_plan(db: Database, team_id: int, plan: Plan) -> str:
    """The same for whoever holds the database; a hub that runs meanwhile hears of it within a second. Answers the
    team's name. Raises NotFound."""
    async with db.transaction() as session:
        return (await _set_plan(db, session, team_id, plan, actor=None, face="hub")).name


async def all_teams(db: Database) -> list[tuple[int, str, str]]:
    """(number, plan, name) of every team."""
    async with db.session() as session:
        return [(team.id or 0, team.plan, team.name) for team in await store.teams(session)]


def read_plan(text: str) -> Plan:
    """Raises Invalid."""
    for plan in get_args(Plan):
        if text == plan:
            return cast("Plan", plan)
    raise Invalid.field("plan", f"names an unknown plan: {text}. There are {', '.join(get_args(Plan))}")


async def _set_plan(
    db: Database, session: AsyncSession, team_id: int, plan: Plan, *, actor: Actor | None, face: str
) -> Team:
    team = await session.get(Team, team_id)
    if team is None:
        raise NotFound(f"There is no team {team_id}.")
    team.plan = plan
    session.add(team)
    data = {"team_id": team_id, "name": team.name, "timezone": team.timezone, "plan": plan}
    actor = actor if actor is not None and actor.team_id == team_id else None  # who it was is no other team's business
    await db.run(session, events.append(Event("team.updated", team_id, now_ms(), data, actor=actor, face=face)))
    await session.flush()
    return team


async def _is_own(session: AsyncSession, team_id: int) -> bool:
    return await store.fact(session, OWN_TEAM) == str(team_id)


def _describe(team: Team) -> dict[str, Any]:
    return {"id": team.id, "name": team.name, "plan": team.plan, "created_at": rfc3339(team.created_at)}


async def url_secret(db: Database) -> str:
    """What signed links are signed with: the database's own, so that they outlive restarts and hold on every node."""
    async with db.session() as session:
        secret = await store.fact(session, "url_secret")
    if secret is None:
        raise LookupError("prepare the database first")
    return secret
