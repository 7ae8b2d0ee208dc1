"""Codes, tokens and grants over time, on both databases."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain.access import Actor, Credential
from hub.domain.errors import BadRequest, Forbidden, Gone, HubError, Unauthenticated
from hub.domain.oauth import ACCESS_MS, CODE_KEPT_MS, CODE_MS, REFRESH_MS, TICKET_MS, Asked
from hub.domain.times import now_ms, rfc3339
from hub.services.access import Access
from hub.services.accounts import Accounts, set_password
from hub.services.events import Events
from hub.services.members import Members
from hub.services.oauth import Client, OAuth
from hub.services.oauth_clients import OAuthClients
from hub.services.teams import prepare
from hub.store import events
from hub.store import oauth as store
from hub.store.database import Database
from hub.store.tables import User
from tests.api.oauth.browser import CALLBACK, PASSWORD, QUICK_HASH, Pkce
from tests.cast import team_owner


class Stage:
    """One node with a team, its owner and a public client. `pkce` is that of the request `asked`."""

    db: Database
    owner: Actor
    client: Client
    asked: Asked

    async def prepared(self, db: Database) -> "Stage":
        self.start = self.now = now_ms()
        self.db, self.bus = db, LocalBus()
        self.access = Access(db, self.bus)
        self.accounts = Accounts(db, self.bus, self.access)
        self.oauth = OAuth(db, self.bus, self.access, self.accounts, "secret", clock=lambda: self.now)
        self.clients = OAuthClients(db, self.bus)
        self.owner = await team_owner(db, "acme")
        async with db.transaction() as session:
            owner = await session.get_one(User, self.owner.id)
            owner.password_hash = QUICK_HASH
        self.pkce = Pkce()
        self.client, self.asked = await self.registered("Editor")
        return self

    async def registered(self, name: str) -> tuple[Client, Asked]:
        made = await self.clients.create(
            self.owner, name=name, redirect_uris=[CALLBACK], scopes=["read:players", "write:players", "admin"],
            confidential=False, face="signalbox",
        )  # fmt: skip
        asked = Asked("code", made["client_id"], CALLBACK, "read:players admin", "s", self.pkce.challenge, "S256")
        return await self.oauth.client(made["client_id"], None), asked

    async def ticket(self, email: str = "owner@acme.example", password: str = PASSWORD) -> str:
        return (await self.oauth.sign_in(self.asked, email, password, None)).ticket

    async def code(self) -> str:
        return await self.oauth.decide(self.asked, await self.ticket(), allow=True)

    async def exchange(self, code: str, **changes: Any) -> dict[str, Any]:
        values = {"client": self.client, "redirect_uri": CALLBACK, "verifier": self.pkce.verifier} | changes
        return await self.oauth.exchange(values["client"], code, values["redirect_uri"], values["verifier"])

    async def tokens(self) -> dict[str, Any]:
        return await self.exchange(await self.code())

    def elsewhere(self) -> tuple[Access, LocalBus]:
        """Another node on this database."""
        bus = LocalBus()
        access = Access(self.db, bus)
        OAuth(self.db, bus, access, Accounts(self.db, bus, access), "secret")
        return access, bus

    async def scopes(self, token: str, access: Access | None = None) -> set[str] | None:
        """What an access token may do now, asked the way every request asks."""
        actor = await (access or self.access).authenticate(token, address=None, agent=None)
        return None if actor is None else set(actor.scopes)

    async def told(self, kind: str) -> list[str]:
        async with self.db.session() as session:
            rows = await events.after(session, self.owner.team_id, 0, 1_000)
        return [events.as_data(row).get("reason", "") for row in rows if row.type == kind]

    async def person(self, **changes: Any) -> None:
        """Change the owner's row as another service does, and say so."""
        async with self.db.transaction() as session:
            owner = await session.get_one(User, self.owner.id)
            for name, value in changes.items():
                setattr(owner, name, value)
        self.bus.publish(("credentials", None), ("user", self.owner.id))


@pytest.fixture
async def stage(db: Database) -> Stage:
    return await Stage().prepared(db)


async def refused(code: str, doing: Any, error: type[HubError] = BadRequest) -> None:
    with pytest.raises(error) as refusal:
        await doing
    assert refusal.value.code == code


async def test_a_code_is_exchanged_once_and_its_second_use_ends_what_came_of_it(stage: Stage) -> None:
    code = await stage.code()
    other, _ = await stage.registered("Other")
    await refused("invalid_grant", stage.exchange(code, client=other))
    await refused("invalid_grant", stage.exchange(code, redirect_uri=CALLBACK + "x"))
    await refused("invalid_grant", stage.exchange(code, redirect_uri=None))
    await refused("invalid_grant", stage.exchange(code, verifier=Pkce().verifier))
    await refused("invalid_grant", stage.exchange(code, verifier=None))
    await refused("invalid_grant", stage.exchange(code + "x"))

    tokens = await stage.exchange(code)
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 3600, "admin read:players")
    assert await stage.scopes(tokens["access_token"]) == {"admin", "read:players"}
    assert await stage.scopes(tokens["refresh_token"]) is None

    await refused("invalid_grant", stage.exchange(code))
    assert await stage.scopes(tokens["access_token"]) is None
    await refused("invalid_grant", stage.oauth.refresh(stage.client, tokens["refresh_token"], None))
    await refused("invalid_grant", stage.exchange(code))
    assert await stage.told("grant.revoked") == ["code_reused"]
    assert await stage.oauth.grants(stage.owner) == []


async def test_a_code_lives_a_minute_and_an_access_token_an_hour(stage: Stage) -> None:
    late, code = await stage.code(), await stage.code()
    stage.now += CODE_MS - 1
    tokens = await stage.exchange(code)
    stage.now += 1
    await refused("invalid_grant", stage.exchange(late))
    found = await stage.oauth.by_access_token(tokens["access_token"])
    assert found is not None
    assert found.ends_at == stage.start + CODE_MS - 1 + ACCESS_MS
    assert (found.actor.kind, found.actor.id, found.actor.role) == ("user", stage.owner.id, "owner")


async def test_refresh_tokens_rotate_and_a_used_one_ends_the_family(stage: Stage) -> None:
    first = await stage.tokens()
    bystander = await stage.tokens()
    other, _ = await stage.registered("Other")
    await refused("invalid_grant", stage.oauth.refresh(other, first["refresh_token"], None))
    await refused("invalid_scope", stage.oauth.refresh(stage.client, first["refresh_token"], "write:players"))
    await refused("invalid_grant", stage.oauth.refresh(stage.client, first["access_token"], None))

    less = await stage.oauth.refresh(stage.client, first["refresh_token"], "read:players")
    assert await stage.scopes(less["access_token"]) == {"read:players"}
    full = await stage.oauth.refresh(stage.client, less["refresh_token"], None)
    assert await stage.scopes(full["access_token"]) == {"admin", "read:players"}
    assert await stage.scopes(first["access_token"]) == {"admin", "read:players"}

    await refused("invalid_grant", stage.oauth.refresh(stage.client, first["refresh_token"], None))
    for tokens in (first, less, full):
        assert await stage.scopes(tokens["access_token"]) is None
    await refused("invalid_grant", stage.oauth.refresh(stage.client, full["refresh_token"], None))
    assert await stage.scopes(bystander["access_token"]) == {"admin", "read:players"}
    assert await stage.told("grant.revoked") == ["token_reused"]

    stage.now += REFRESH_MS
    await refused("invalid_grant", stage.oauth.refresh(stage.client, bystander["refresh_token"], None))


async def test_a_token_never_holds_more_than_the_persons_role_gives(stage: Stage) -> None:
    tokens = await stage.tokens()
    await stage.person(role="viewer")
    assert await stage.scopes(tokens["access_token"]) == {"read:players"}
    question = await stage.oauth.sign_in(stage.asked, "Owner@acme.example ", PASSWORD, None)
    assert (question.scopes, question.denied) == (["read:players"], ["admin"])
    narrow = await stage.exchange(await stage.oauth.decide(stage.asked, question.ticket, allow=True))
    await stage.person(role="owner")
    assert await stage.scopes(tokens["access_token"]) == {"admin", "read:players"}
    assert await stage.scopes(narrow["access_token"]) == {"read:players"}

    ticket = await stage.ticket()
    await stage.person(locked_at=stage.now)
    assert await stage.scopes(tokens["access_token"]) is None
    await refused("invalid_grant", stage.oauth.refresh(stage.client, tokens["refresh_token"], None))
    await refused("access_denied", stage.oauth.decide(stage.asked, ticket, allow=True))
    await refused("unauthenticated", stage.ticket(), Unauthenticated)


async def test_consent_takes_a_fresh_ticket_of_this_request_once(stage: Stage) -> None:
    await refused("unauthenticated", stage.ticket(password="wrong"), Unauthenticated)
    stranger = await team_owner(stage.db, "other")
    async with stage.db.transaction() as session:
        (await session.get_one(User, stranger.id)).password_hash = QUICK_HASH
    await refused("unauthenticated", stage.ticket("owner@other.example"), Unauthenticated)

    ticket = await stage.ticket()
    more = replace(stage.asked, scope="read:players write:players admin")
    await refused("bad_ticket", stage.oauth.decide(more, ticket, allow=True), Gone)
    assert await stage.oauth.decide(stage.asked, ticket, allow=True)
    await refused("used_ticket", stage.oauth.decide(stage.asked, ticket, allow=True), Gone)
    second = await stage.ticket()
    await refused("access_denied", stage.oauth.decide(stage.asked, second, allow=False))
    await refused("used_ticket", stage.oauth.decide(stage.asked, second, allow=True), Gone)
    third = await stage.ticket()
    stage.now += TICKET_MS
    await refused("old_ticket", stage.oauth.decide(stage.asked, third, allow=True), Gone)


async def test_what_ends_a_grant_is_heard_of_at_once_here_and_by_the_log_elsewhere(stage: Stage) -> None:
    far, far_bus = stage.elsewhere()
    tokens = [await stage.tokens() for _ in range(4)]
    for one in tokens:
        assert await stage.scopes(one["access_token"]) == await stage.scopes(one["access_token"], far)
    log = Events(stage.db, far_bus)
    await log.follow()

    await stage.oauth.revoke(stage.client, tokens[0]["refresh_token"])
    await stage.oauth.revoke(stage.client, tokens[1]["access_token"])
    await stage.oauth.revoke(stage.client, "sbr_unknown")
    other, _ = await stage.registered("Other")
    await stage.oauth.revoke(other, tokens[2]["refresh_token"])  # not its own
    allowed = await stage.oauth.grants(stage.owner)
    assert [one["client"] for one in allowed] == ["Editor", "Editor"]
    await stage.oauth.end_grant(stage.owner, allowed[0]["id"], face="signalbox")
    alive = [await stage.scopes(one["access_token"]) is not None for one in tokens]
    assert alive == [False, False, False, True]
    await log.follow()
    assert [await stage.scopes(one["access_token"], far) is not None for one in tokens] == alive

    number = (await stage.clients.listing(stage.owner))[0]["id"]
    await stage.clients.delete(stage.owner, number, face="signalbox")
    await log.follow()
    for access in (stage.access, far):
        assert await stage.scopes(tokens[3]["access_token"], access) is None
    assert await stage.told("grant.revoked") == ["revoked_by_client"] * 2 + ["revoked", "client_deleted"]


async def test_a_new_password_ends_what_the_old_one_allowed(stage: Stage) -> None:
    await prepare(stage.db)
    far, far_bus = stage.elsewhere()
    members, log = Members(stage.db, stage.bus, stage.accounts), Events(stage.db, far_bus)
    await log.follow()
    email, passwords = "owner@acme.example", [PASSWORD, "the second", "the third", "the fourth"]
    for old, new in pairwise(passwords):
        tokens = await stage.exchange(await stage.oauth.decide(stage.asked, await stage.ticket(email, old), allow=True))
        ticket = await stage.ticket(email, old)
        code = await stage.oauth.decide(stage.asked, await stage.ticket(email, old), allow=True)
        for access in (stage.access, far):
            assert await stage.scopes(tokens["access_token"], access) is not None
        change = {"name": None, "password": new, "current_password": old, "face": "signalbox"}
        match new:
            case "the second":  # by oneself
                await members.change_me(replace(stage.owner, credential=Credential("login", 1)), **change)
            case "the third":  # by an owner
                by = replace(stage.owner, id=0, user_id=0)
                await members.update(by, stage.owner.id, {"password": new}, version=None, face="signalbox")
            case _:  # at the hub's own machine
                await set_password(stage.db, email, new)
        await log.follow()
        if new != passwords[-1]:
            assert await stage.scopes(tokens["access_token"]) is None
        assert await stage.scopes(tokens["access_token"], far) is None
        await refused("invalid_grant", stage.oauth.refresh(stage.client, tokens["refresh_token"], None))
        await refused("invalid_grant", stage.exchange(code))
        await refused("bad_ticket", stage.oauth.decide(stage.asked, ticket, allow=True), Gone)
    assert await stage.told("grant.revoked") == ["password_changed"] * 3
    assert await stage.oauth.grants(stage.owner) == []


async def test_a_client_that_calls_itself_what_no_database_keeps_is_not_known(stage: Stage) -> None:
    for name in (None, "", "a\0b"):
        await refused("invalid_client", stage.oauth.client(name, None), Unauthenticated)


async def test_what_has_ended_is_forgotten_and_what_lives_is_not(stage: Stage) -> None:
    code = await stage.code()
    tokens = await stage.exchange(code)
    stage.now += CODE_MS + CODE_KEPT_MS - 1
    await stage.oauth.sweep(stage.now)
    tokens = await stage.oauth.refresh(stage.client, tokens["refresh_token"], None)
    stage.now += REFRESH_MS - 1
    await stage.oauth.sweep(stage.now)
    assert len(await stage.oauth.grants(stage.owner)) == 1
    stage.now += 2
    await stage.oauth.sweep(stage.now)
    assert await stage.oauth.grants(stage.owner) == []
    async with stage.db.session() as session:
        assert await store.code(session, ids.digest(code)) is None


async def test_two_nodes_never_both_take_one_code_or_one_refresh_token(stage: Stage, database_url: str) -> None:
    second = Database(database_url)
    await second.start()
    bus = LocalBus()
    access = Access(second, bus)
    far = OAuth(second, bus, access, Accounts(second, bus, access), "secret")

    async def race(*calls: Any) -> dict[str, Any]:
        answers = await asyncio.gather(*calls, return_exceptions=True)
        tokens = [answer for answer in answers if isinstance(answer, dict)]
        codes = [answer.code for answer in answers if isinstance(answer, HubError)]
        assert (len(tokens), codes) == (1, ["invalid_grant"])
        return tokens[0]

    code, verifier = await stage.code(), stage.pkce.verifier
    taken = await race(stage.exchange(code), far.exchange(stage.client, code, CALLBACK, verifier))
    assert await stage.scopes(taken["access_token"]) is None  # the other use was the second one

    refresh_token = (await stage.tokens())["refresh_token"]
    renewed = await race(*(node.refresh(stage.client, refresh_token, None) for node in (stage.oauth, far)))
    assert await stage.scopes(renewed["access_token"]) is None
    await second.stop()


async def test_a_refresh_while_the_clock_is_behind_does_not_end_the_grant(stage: Stage) -> None:
    tokens = await stage.tokens()
    behind = OAuth(
        stage.db, stage.bus, stage.access, stage.accounts, "secret",
        clock=lambda: stage.now - 2 * REFRESH_MS, reached=lambda: stage.now,
    )  # fmt: skip
    fresh = await behind.refresh(stage.client, tokens["refresh_token"], None)
    assert await stage.scopes(fresh["access_token"]) == {"admin", "read:players"}
    assert await stage.oauth.refresh(stage.client, fresh["refresh_token"], None)


async def test_what_a_program_makes_ends_with_what_it_was_allowed(stage: Stage) -> None:
    members = Members(stage.db, stage.bus, stage.accounts)
    elsewhere, bus = stage.elsewhere()
    await prepare(stage.db)
    follower = Events(stage.db, bus)
    await follower.follow()
    asked: dict[str, Any] = {"name": "Kept", "scopes": ["admin"], "expires_at": None, "face": "test"}
    lasting = await stage.access.create_key(stage.owner, **asked)
    ways = ("end", "client", "password", "reuse")
    for way in ways:
        stage.client, stage.asked = await stage.registered(way)
        tokens = await stage.tokens()
        program = await stage.access.authenticate(tokens["access_token"], address=None, agent=None)
        assert program is not None
        assert program.credential is not None
        key = await stage.access.create_key(program, **asked)
        assert key["grant_id"] == program.credential.id
        assert key["expires_at"] == rfc3339(stage.now + REFRESH_MS)
        child = await stage.access.authenticate(key["key"], address=None, agent=None)
        assert child is not None
        again = await stage.access.create_key(child, **asked)
        held = [key["key"], again["key"]]
        for actor in (program, child):
            person: dict[str, Any] = {"name": "Mole", "email": "mole@acme.example", "role": "owner", "face": "test"}
            doing = [
                members.create(actor, password="a long password", **person),
                members.update(actor, stage.owner.id, {"role": "viewer"}, version=None, face="test"),
                members.update(actor, stage.owner.id, {"password": "another one"}, version=None, face="test"),
                members.update(actor, stage.owner.id, {"reset_password": True}, version=None, face="test"),
                stage.access.rotate_key(actor, lasting["id"], face="test"),
                stage.clients.create(
                    actor, name="x", redirect_uris=[CALLBACK], scopes=["admin"], confidential=False, face="test"
                ),
                stage.clients.update(actor, stage.client.id or 0, {"name": "x"}, version=None, face="test"),
            ]
            for one in doing:
                await refused("lasting_required", one, Forbidden)
        assert [await stage.scopes(text, node) for text in held for node in (stage.access, elsewhere)] == [
            {"admin"}
        ] * 4
        if way == "end":
            await stage.oauth.end_grant(stage.owner, program.credential.id, face="test")
        elif way == "client":
            await stage.clients.delete(stage.owner, stage.client.id or 0, face="test")
        elif way == "password":
            await set_password(stage.db, "owner@acme.example", PASSWORD)
            here = Events(stage.db, stage.bus)  # it was another process
            here._followed = 0
            await here.follow()
        else:
            await stage.oauth.refresh(stage.client, tokens["refresh_token"], None)
            await refused("invalid_grant", stage.oauth.refresh(stage.client, tokens["refresh_token"], None))
        await follower.follow()
        assert [await stage.scopes(text, node) for text in held for node in (stage.access, elsewhere)] == [None] * 4, (
            way
        )
        with pytest.raises(Unauthenticated):
            await stage.access.create_key(program, **asked)
    assert (await stage.told("key.revoked")) == ["maker_ended"] * 2 * len(ways)
    assert await stage.scopes(lasting["key"]) == {"admin"}
