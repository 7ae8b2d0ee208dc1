"""Members on both databases, and when several people act at one moment."""

import asyncio
from typing import Any

import pytest

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Invalid, TooMany
from hub.services.access import Access
from hub.services.accounts import Accounts
from hub.services.members import Members
from hub.store.database import Database
from tests.cast import team_owner


class Team:
    def __init__(self, db: Database, owner: Actor) -> None:
        bus = LocalBus()
        self.owner = owner
        self.access = Access(db, bus)
        self.accounts = Accounts(db, bus, self.access, open_registration=True)
        self.members = Members(db, bus, self.accounts)

    async def add(self, name: str, role: str) -> dict[str, Any]:
        email = f"{name}@team.example"
        return await self.members.create(
            self.owner, name=name, email=email, role=role, password=f"password of {name}", face="test"
        )

    async def log_in(self, name: str) -> Actor:
        made = await self.accounts.login(
            email=f"{name}@team.example", password=f"password of {name}", address=None, face="test"
        )
        actor = await self.access.authenticate(made["token"], address=None, agent=None)
        assert actor is not None
        return actor


async def test_a_removed_person_leaves_nothing_that_works(db: Database) -> None:
    team = Team(db, await team_owner(db, "team"))
    member = await team.add("ada", "admin")
    ada = await team.log_in("ada")
    key = await team.access.create_key(ada, name="Ada's", scopes=["admin"], expires_at=None, face="test")
    assert (await team.members.me(ada))["user"]["id"] == member["id"]
    await team.members.delete(ada, member["id"], face="test")  # one may leave by oneself
    assert await team.access.authenticate(key["key"], address=None, agent=None) is None
    assert await team.access.keys(team.owner) == []
    assert [one["name"] for one in await team.members.colleagues(team.owner)] == ["Owner"]
    assert await team.accounts.check_password("ada@team.example", "password of ada", None) is None


async def test_of_two_owners_who_demote_each_other_one_stays(db: Database) -> None:
    team = Team(db, await team_owner(db, "team"))
    second = await team.add("olga", "owner")
    olga = await team.log_in("olga")
    outcomes = await asyncio.gather(
        team.members.update(team.owner, second["id"], {"role": "viewer"}, version=None, face="test"),
        team.members.update(olga, team.owner.id, {"role": "viewer"}, version=None, face="test"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(Conflict) == 1
    assert sorted(one["role"] for one in await team.members.colleagues(olga)) == ["owner", "viewer"]


async def test_one_address_makes_one_account_however_often_it_is_sent(db: Database) -> None:
    team = Team(db, await team_owner(db, "team"))
    asked = {"name": "Ada", "password": "a long password", "team_name": "Ada's", "address": None, "face": "test"}
    attempts = [
        *(team.accounts.register(email="ada@team.example", **asked) for _ in range(3)),
        team.add("ada", "viewer"),
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Invalid)]
    assert len(refused) == 3
    assert all(list(refusal.errors or {}) == ["email"] for refusal in refused)


async def test_who_has_an_account_elsewhere_is_not_found_out_by_adding_people(db: Database) -> None:
    team, other = Team(db, await team_owner(db, "team")), Team(db, await team_owner(db, "other"))
    await other.add("ada", "viewer")
    for number in range(20):
        await team.add(f"person{number}", "viewer")
    for _ in range(10):
        with pytest.raises(Invalid):
            await team.add("ada", "viewer")
    with pytest.raises(TooMany):
        await team.add("ada", "viewer")
    await other.add("olga", "viewer")
