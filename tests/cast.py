"""The people and players of the service tests: each team has an owner who may do everything in it."""

from hub.domain import ids
from hub.domain.access import SCOPES, Actor
from hub.domain.times import now_ms
from hub.store import players, teams
from hub.store.database import Database
from hub.store.tables import Player, Team, User


async def team_owner(db: Database, team: str) -> Actor:
    """A new team's owner, as an actor."""
    now = now_ms()
    email = f"owner@{team}.example"
    user = User(team_id=0, name="Owner", email=email, password_hash="-", role="owner", created_at=now)
    async with db.transaction() as session:
        row = await teams.create(session, Team(name=team, plan="unlimited", created_at=now), user)
    assert row.id is not None
    assert user.id is not None
    return Actor("user", user.id, row.id, "Owner", frozenset(SCOPES), user_id=user.id, role="owner")


async def player_of(db: Database, owner: Actor, name: str = "Lobby") -> Player:
    """A new player of the owner's team."""
    now = now_ms()
    player = Player(team_id=owner.team_id, screen_id=ids.screen_id(), name=name, created_at=now, updated_at=now)
    async with db.transaction() as session:
        return await players.create(session, player)
