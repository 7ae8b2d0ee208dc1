"""What ends a code that was opened for a player and that no device has used up."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain.access import Actor, Credential
from hub.domain.errors import BadRequest
from hub.domain.presence import Device, Graces
from hub.domain.times import now_ms
from hub.services.access import Access
from hub.services.accounts import Accounts
from hub.services.licences import Licences
from hub.services.members import Members
from hub.services.oauth_clients import OAuthClients
from hub.services.pairing import PairingService
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.services.teams import prepare
from hub.store import oauth
from hub.store.database import Database
from hub.store.tables import OAuthGrant
from tests.cast import player_of, team_owner

HUB = "http://hub.local:8080"


@dataclass
class Stage:
    db: Database
    owner: Actor
    player_id: int

    def __post_init__(self) -> None:
        self.bus = LocalBus()
        self.access = Access(self.db, self.bus)
        accounts = Accounts(self.db, self.bus, self.access, open_registration=True)
        self.accounts = accounts
        self.members = Members(self.db, self.bus, accounts)
        self.presence = PresenceService(self.db, self.bus, "node", Graces())
        self.players = Players(self.db, self.bus, self.presence)
        self.pairing = PairingService(self.db, self.bus, Licences(self.db, self.bus))

    async def quarantine(self) -> None:
        changes = {"quarantined": True, "reason": "stolen"}
        await self.players.update(self.owner, self.player_id, changes, version=None, face="test")

    async def issue(self) -> str:
        return await self.players.issue_token(self.owner, self.player_id, face="test")

    async def quarantined(self) -> bool:
        return bool((await self.players.get(self.owner, self.player_id))["quarantined"])

    async def admin(self) -> Actor:
        await self.members.create(
            self.owner, name="Ada", email="ada@acme.example", role="admin", password="password of ada", face="test"
        )
        login = await self.accounts.login(
            email="ada@acme.example", password="password of ada", address=None, face="test"
        )
        actor = await self.access.authenticate(login["token"], address=None, agent=None)
        assert actor is not None
        return actor

    async def key(self, by: Actor | None = None) -> Actor:
        made = await self.access.create_key(
            by or self.owner, name="Key", scopes=["admin", "write:players"], expires_at=None, face="test"
        )
        actor = await self.access.authenticate(made["key"], address=None, agent=None)
        assert actor is not None
        return actor

    async def device(self, invitation: str | None = None) -> dict[str, Any]:
        return await self.pairing.authorize("player", "hw-1", None, "192.0.2.9", HUB, invitation=invitation)


Fetch = Callable[[], Awaitable[dict[str, Any]]]


async def invited(stage: Stage, by: Actor) -> Fetch:
    """Somebody has the code of an invitation."""
    code = (await stage.pairing.invite(by, stage.player_id))["code"]

    async def fetch() -> dict[str, Any]:
        return await stage.pairing.redeem((await stage.device(code))["device_code"])

    return fetch


async def brought(stage: Stage, by: Actor) -> Fetch:
    """A device has brought the code of an invitation."""
    code = (await stage.pairing.invite(by, stage.player_id))["code"]
    asked = await stage.device(code)
    return lambda: stage.pairing.redeem(asked["device_code"])


async def approved(stage: Stage, by: Actor) -> Fetch:
    """A device was approved."""
    asked = await stage.device()
    await stage.pairing.approve(by, asked["user_code"], player_id=stage.player_id, face="test")
    return lambda: stage.pairing.redeem(asked["device_code"])


OPENED = pytest.mark.parametrize("opened", [invited, brought, approved])


@pytest.fixture
async def stage(db: Database) -> Stage:
    await prepare(db)
    owner = await team_owner(db, "acme")
    return Stage(db, owner, (await player_of(db, owner)).id or 0)


async def refused(fetch: Fetch) -> None:
    with pytest.raises(BadRequest) as refusal:
        await fetch()
    assert refusal.value.code == "invalid_grant"


@OPENED
@pytest.mark.parametrize("end", ["quarantine", "second quarantine", "new token", "revoked token", "new device"])
async def test_what_ends_a_players_token_ends_its_codes(stage: Stage, opened: Any, end: str) -> None:
    if end == "second quarantine":
        await stage.quarantine()
    fetch = await opened(stage, stage.owner)
    match end:
        case "new token":
            await stage.issue()
        case "revoked token":
            await stage.players.revoke_token(stage.owner, stage.player_id, face="test")
        case "new device":
            await (await approved(stage, stage.owner))()
        case _:
            await stage.quarantine()
    await refused(fetch)
    assert await stage.quarantined() == end.endswith("quarantine")


@OPENED
async def test_a_quarantine_by_the_hub_ends_its_codes(stage: Stage, opened: Any) -> None:
    fetch = await opened(stage, stage.owner)
    await stage.presence.quarantine(stage.player_id, "flooding")
    await refused(fetch)
    assert await stage.quarantined()


async def test_a_copy_ends_the_codes_of_its_player(stage: Stage) -> None:
    digest = ids.digest(await stage.issue())
    fetch = await invited(stage, stage.owner)
    for number in range(8):  # two machines in turns
        device = Device(f"hw-{number % 2}", None, None, None, "agent 1", "simulated", "1", (), boot_id=f"b{number % 2}")
        if (await stage.presence.connect(stage.player_id, digest, None, device)).quarantined:
            break
    assert await stage.quarantined()
    await refused(fetch)


@OPENED
async def test_whoever_opens_a_code_in_quarantine_lets_the_player_in_with_it(stage: Stage, opened: Any) -> None:
    await stage.quarantine()
    fetch = await opened(stage, stage.owner)
    assert (await fetch())["player_id"] == stage.player_id
    assert not await stage.quarantined()


@OPENED
@pytest.mark.parametrize("end", ["deleted", "demoted", "locked", "another password"])
async def test_codes_end_with_the_say_of_the_person_who_opened_them(stage: Stage, opened: Any, end: str) -> None:
    ada = await stage.admin()
    fetch = await opened(stage, ada)
    if end == "deleted":
        await stage.members.delete(stage.owner, ada.id, face="test")
    else:
        changes = {"demoted": {"role": "viewer"}, "locked": {"locked": True}}.get(end, {"reset_password": True})
        await stage.members.update(stage.owner, ada.id, changes, version=None, face="test")
    await refused(fetch)


async def test_codes_of_a_person_who_gets_another_name_stay(stage: Stage) -> None:
    ada = await stage.admin()
    fetch = await invited(stage, ada)
    await stage.members.update(stage.owner, ada.id, {"name": "Ada L.", "role": "owner"}, version=None, face="test")
    assert (await fetch())["player_id"] == stage.player_id


@OPENED
@pytest.mark.parametrize("end", ["revoked", "rotated", "fewer scopes"])
async def test_codes_end_with_the_key_that_opened_them(stage: Stage, opened: Any, end: str) -> None:
    key = await stage.key()
    fetch, others = await opened(stage, key), await player_of(stage.db, stage.owner, "Other")
    kept = (await stage.pairing.invite(stage.owner, others.id or 0))["code"]
    if end == "revoked":
        await stage.access.revoke_key(stage.owner, key.id, face="test")
    elif end == "rotated":
        await stage.access.rotate_key(stage.owner, key.id, face="test")
    else:
        await stage.access.change_key(stage.owner, key.id, name=None, scopes=["write:players"], face="test")
    await refused(fetch)
    other = await stage.pairing.redeem((await stage.device(kept))["device_code"])
    assert other["player_id"] == others.id


@OPENED
async def test_codes_end_with_the_key_that_the_one_that_opened_them_was_made_with(stage: Stage, opened: Any) -> None:
    key = await stage.key()
    fetch = await opened(stage, await stage.key(by=key))
    await stage.access.revoke_key(stage.owner, key.id, face="test")
    await refused(fetch)


async def test_codes_end_with_the_program_that_opened_them(stage: Stage) -> None:
    clients = OAuthClients(stage.db, stage.bus)
    made = await clients.create(
        stage.owner,
        name="Editor",
        redirect_uris=["https://acme.example.com/callback"],
        scopes=["admin"],
        confidential=False,
        face="test",
    )
    async with stage.db.transaction() as session:
        grant = OAuthGrant(
            client_id=made["id"], user_id=stage.owner.id, team_id=stage.owner.team_id, scopes="admin",
            created_at=now_ms(),
        )  # fmt: skip
        session.add(grant)
    program = Actor(
        "user", stage.owner.id, stage.owner.team_id, "Owner", stage.owner.scopes, user_id=stage.owner.id,
        credential=Credential("grant", grant.id or 0),
    )  # fmt: skip
    fetch = await invited(stage, program)
    async with stage.db.transaction() as session:
        found = await oauth.grant(session, grant.id or 0)
        assert found is not None
        await oauth.end(session, found, now_ms())
    await refused(fetch)
