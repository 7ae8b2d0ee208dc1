"""API keys: good, expired, rotated, revoked."""

from dataclasses import replace
from typing import Any

import pytest

from hub.bus.local import LocalBus
from hub.domain.access import Credential
from hub.domain.errors import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from hub.domain.presence import Graces
from hub.domain.times import HOUR, MINUTE, SECOND, now_ms, rfc3339
from hub.services.access import Access, Found
from hub.services.events import Events
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.services.teams import prepare
from hub.store import events, players, teams
from hub.store.database import Database
from hub.store.tables import User
from tests.cast import player_of, team_owner


class Ticks:
    """A clock that is a second later each time it is asked."""

    def __init__(self) -> None:
        self.now = now_ms()

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


async def who(access: Access, key: str) -> Any:
    return await access.authenticate(key, address="192.0.2.1", agent="curl/8")


async def test_a_key_opens_what_it_was_made_for_and_is_stored_as_a_hash(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    made = await access.create_key(owner, name="Ticket bot", scopes=["read:players"], expires_at=None, face="test")
    actor = await who(access, made["key"])
    assert (actor.team_id, actor.name, actor.scopes) == (owner.team_id, "Ticket bot", {"read:players"})
    [listed] = await access.keys(owner)
    assert "key" not in listed
    assert made["key"].startswith(listed["prefix"])
    assert await who(access, made["key"] + "x") is None
    assert await who(access, "") is None


async def test_nobody_grants_what_they_lack(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    made = await access.create_key(owner, name="Admin", scopes=["admin", "read:players"], expires_at=None, face="test")
    admin = await who(access, made["key"])
    with pytest.raises(Forbidden):
        await access.create_key(admin, name="More", scopes=["write:players"], expires_at=None, face="test")
    reader = await access.create_key(owner, name="Reader", scopes=["read:players"], expires_at=None, face="test")
    with pytest.raises(Forbidden):
        await access.create_key(
            await who(access, reader["key"]), name="x", scopes=["read:players"], expires_at=None, face="test"
        )


@pytest.mark.parametrize("scopes", [["everything"], ["read:players", "nope"]])
async def test_unknown_scopes_are_refused(sqlite_db: Database, scopes: list[str]) -> None:
    owner = await team_owner(sqlite_db, "team")
    with pytest.raises(Invalid):
        await Access(sqlite_db, LocalBus()).create_key(owner, name="x", scopes=scopes, expires_at=None, face="test")


async def test_a_key_ends_when_it_was_said_to(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    with pytest.raises(Invalid):
        await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=now_ms() - 1, face="test")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=now_ms() + HOUR, face="test")
    assert await who(access, made["key"]) is not None
    async with db.transaction() as session:
        key = await teams.key(session, owner.team_id, made["id"])
        key.expires_at = now_ms() - 1
        session.add(key)
    assert await who(Access(db, LocalBus()), made["key"]) is None


async def test_a_rotated_or_revoked_key_is_dead_at_once(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    assert await who(access, made["key"]) is not None
    rotated = await access.rotate_key(owner, made["id"], face="test")
    assert await who(access, made["key"]) is None
    assert (await who(access, rotated["key"])).id == made["id"]
    await access.revoke_key(owner, made["id"], face="test")
    assert await who(access, rotated["key"]) is None
    with pytest.raises(NotFound):
        await access.revoke_key(owner, made["id"], face="test")


async def test_a_revocation_on_another_node_is_heard_of_through_the_log(db: Database) -> None:
    await prepare(db)
    owner = await team_owner(db, "team")
    here_bus = LocalBus()
    here, there = Access(db, here_bus), Access(db, LocalBus())
    follower = Events(db, here_bus)
    await follower.follow()
    made = await there.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    assert await who(here, made["key"]) is not None
    await there.revoke_key(owner, made["id"], face="test")
    assert await who(here, made["key"]) is not None  # remembered as good
    await follower.follow()
    assert await who(here, made["key"]) is None


async def test_another_teams_key_cannot_be_touched(db: Database) -> None:
    access, owner, stranger = Access(db, LocalBus()), await team_owner(db, "a"), await team_owner(db, "b")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    for attempt in (access.rotate_key, access.revoke_key):
        with pytest.raises(NotFound):
            await attempt(stranger, made["id"], face="test")
    assert await access.keys(stranger) == []


async def test_the_last_use_is_written_down_in_batches(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    await who(access, made["key"])
    [shown] = await access.keys(owner)  # by the node that was asked, at once
    await access.flush()
    [listed] = await Access(db, LocalBus()).keys(owner)
    assert shown == listed
    assert (listed["last_address"], listed["last_agent"]) == ("192.0.2.1", "curl/8")
    assert listed["last_used_at"] is not None


async def test_a_key_acts_as_its_maker_and_so_do_the_keys_that_it_makes(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    asked = {"name": "x", "scopes": ["admin", "webhooks"], "expires_at": None, "face": "test"}
    first = await who(access, (await access.create_key(owner, **asked))["key"])
    second = await who(access, (await access.create_key(first, **asked))["key"])
    assert (second.kind, second.user_id, second.role, second.plan) == ("key", owner.id, "owner", "unlimited")
    assert second.credential == ("key", second.id)
    narrowed = await access.change_key(second, first.id, name="Narrow", scopes=["webhooks"], face="test")
    assert (narrowed["name"], narrowed["scopes"]) == ("Narrow", ["webhooks"])
    players_only = await access.create_key(
        owner, name="x", scopes=["admin", "read:players"], expires_at=None, face="test"
    )
    other = await who(access, players_only["key"])
    for attempt in (["webhooks"], ["admin"]):  # what the key has, and what it would get
        with pytest.raises(Forbidden):
            await access.change_key(other, first.id, name=None, scopes=attempt, face="test")
    with pytest.raises(NotFound):
        await access.change_key(await team_owner(db, "b"), first.id, name="x", scopes=None, face="test")


async def test_the_key_of_an_owner_is_changed_by_owners_alone(db: Database) -> None:
    """Whoever rotates a key holds it, and acts as the person whose it is."""
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    async with db.transaction() as session:
        user = User(
            team_id=owner.team_id, name="Ada", email="a@b.example", password_hash="-", role="admin", created_at=1
        )
        session.add(user)
        await session.flush()
    admin = replace(owner, id=user.id or 0, user_id=user.id, name="Ada", role="admin")
    asked = {"scopes": ["admin"], "expires_at": None, "face": "test"}
    owners, own = await access.create_key(owner, name="x", **asked), await access.create_key(admin, name="y", **asked)
    with pytest.raises(Forbidden) as refusal:
        await access.rotate_key(admin, owners["id"], face="test")
    assert refusal.value.code == "owners_only"
    with pytest.raises(Forbidden):
        await access.change_key(admin, owners["id"], name="mine", scopes=None, face="test")
    assert (await who(access, owners["key"])).role == "owner"
    for actor in (admin, owner):
        assert (await who(access, (await access.rotate_key(actor, own["id"], face="test"))["key"])).role == "admin"
    await access.revoke_key(admin, owners["id"], face="test")  # to end one gives nobody anything
    assert await who(access, owners["key"]) is None


async def test_a_players_token_is_known_as_its_player_and_dies_at_once(db: Database) -> None:
    bus = LocalBus()
    access, owner = Access(db, bus), await team_owner(db, "team")
    presence = PresenceService(db, bus, "node", Graces())
    service = Players(db, bus, presence)
    player = await player_of(db, owner)
    assert player.id is not None
    token = await service.issue_token(owner, player.id, face="test")
    actor = await who(access, token)
    assert (actor.kind, actor.id, actor.team_id, actor.scopes) == ("player", player.id, owner.team_id, frozenset())
    newer = await service.issue_token(owner, player.id, face="test")
    assert await who(access, token) is None
    assert await who(access, newer) is not None
    async with db.transaction() as session:
        row = await players.get(session, owner.team_id, player.id)
        row.quarantined_at = now_ms()
        session.add(row)
    bus.publish(("player", player.id), "quarantined")
    assert await who(access, newer) is None


async def test_other_kinds_of_credential_are_asked_where_they_are_kept(sqlite_db: Database) -> None:
    bus = LocalBus()
    access, owner = Access(sqlite_db, bus), await team_owner(sqlite_db, "team")
    asked: list[str] = []

    async def look_up(token: str) -> Found | None:
        asked.append(token)
        return Found(replace(owner, credential=Credential("grant", 5))) if token == "sbo_good" else None

    access.accept("grant", look_up)
    for _ in range(3):
        assert (await who(access, "sbo_good")).credential == ("grant", 5)
    assert await who(access, "sbo_bad") is None
    assert asked == ["sbo_good", "sbo_bad"]
    for subject in (("grant", 6), ("key", 5), ("user", 10**6), ("team", 10**6)):
        bus.publish(("credentials", None), subject)
        await who(access, "sbo_good")
    assert asked[2:] == []
    for number, subject in enumerate((("grant", 5), ("user", owner.id), ["team", owner.team_id]), 1):
        bus.publish(("credentials", None), subject)
        await who(access, "sbo_good")
        assert len(asked) == 2 + number


async def test_what_was_revoked_while_it_was_looked_up_is_not_remembered(sqlite_db: Database) -> None:
    bus = LocalBus()
    access, owner = Access(sqlite_db, bus), await team_owner(sqlite_db, "team")
    answers = [Found(owner), None]

    async def look_up(token: str) -> Found | None:
        bus.publish(("credentials", None), ("grant", 5))
        return answers.pop(0)

    access.accept("grant", look_up)
    await who(access, "sbo_good")
    assert await who(access, "sbo_good") is None


async def test_what_was_remembered_while_the_clock_was_ahead_is_asked_for_again(db: Database) -> None:
    ahead = 2 * HOUR
    here = Access(db, LocalBus(), clock=lambda: now_ms() + ahead)
    there, owner = Access(db, LocalBus()), await team_owner(db, "team")
    made = await there.create_key(owner, name="Bot", scopes=["read:players"], expires_at=None, face="test")
    assert await who(here, made["key"]) is not None
    await there.revoke_key(owner, made["id"], face="test")  # of which nothing is heard here
    ahead = 0
    assert await who(here, made["key"]) is None


async def use(access: Access, key: str, place: int, agent: str | None = "curl/8") -> None:
    assert await access.authenticate(key, address=f"192.0.2.{place}", agent=agent) is not None


async def test_the_latest_ten_places_of_a_key_are_kept(db: Database) -> None:
    """In memory and stored together they are ten, newest first, each once with its last use."""
    clock = Ticks()
    access, owner = Access(db, LocalBus(), clock=clock), await team_owner(db, "team")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    assert (await access.key(owner, made["id"]))["uses"] == []
    for place in range(8):
        await use(access, made["key"], place)
    await access.flush()
    for place in (*range(8, 14), 5):
        await use(access, made["key"], place)
    newest = [f"192.0.2.{place}" for place in (5, 13, 12, 11, 10, 9, 8, 7, 6, 4)]
    shown = (await access.key(owner, made["id"]))["uses"]
    assert [one["address"] for one in shown] == newest
    await access.flush()
    elsewhere = await Access(db, LocalBus()).key(owner, made["id"])
    assert elsewhere["uses"] == shown
    assert elsewhere["last_used_at"] == shown[0]["used_at"]
    assert elsewhere["last_address"] == "192.0.2.5"


async def nobody(token: str) -> Found | None:
    return None


async def test_many_uses_of_many_keys_are_one_transaction(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    for number in range(3):
        made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
        for place in range(40):
            await use(access, made["key"], place % 13, f"program {number}")
    written = []

    def counted(uses: Any) -> Any:
        written.append(len(uses))
        return teams.used(uses)

    access.accept("key", nobody, counted)
    await access.flush()
    await access.flush()
    assert written == [30]


async def test_what_a_caller_does_not_tell_is_not_known(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    assert await access.authenticate(made["key"], address=None, agent=None) is not None
    for _ in ("unwritten", "written"):
        [found] = (await access.key(owner, made["id"]))["uses"]
        assert (found["address"], found["agent"]) == (None, None)
        await access.flush()


async def test_uses_that_cannot_be_written_wait_for_the_next_time(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    await use(access, made["key"], 1)

    def no_room(_: Any) -> Any:
        raise Unavailable("No room.")
        yield

    access.accept("key", nobody, no_room)
    with pytest.raises(Unavailable):
        await access.flush()
    access.accept("key", nobody, teams.used)
    await access.flush()
    [found] = (await Access(db, LocalBus()).key(owner, made["id"]))["uses"]
    assert found["address"] == "192.0.2.1"


async def test_a_revoked_key_is_forgotten_with_its_uses(db: Database) -> None:
    """Also those that were on their way to the database when it was revoked."""
    access, owner, stranger = Access(db, LocalBus()), await team_owner(db, "a"), await team_owner(db, "b")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    await use(access, made["key"], 1)
    await access.flush()
    with pytest.raises(NotFound):
        await access.key(stranger, made["id"])
    rotated = await access.rotate_key(owner, made["id"], face="test")
    assert len((await access.key(owner, made["id"]))["uses"]) == 1  # it is the same key
    await use(access, rotated["key"], 2)
    await access.revoke_key(owner, made["id"], face="test")
    await access.flush()
    with pytest.raises(NotFound):
        await access.key(owner, made["id"])
    async with db.session() as session:
        assert await teams.uses(session, made["id"]) == []


async def test_the_last_use_does_not_go_back_with_the_clock(db: Database) -> None:
    ahead = 0
    access, owner = Access(db, LocalBus(), clock=lambda: now_ms() + ahead), await team_owner(db, "team")
    made = await access.create_key(owner, name="x", scopes=["webhooks"], expires_at=None, face="test")
    await who(access, made["key"])
    await access.flush()
    [before] = await access.keys(owner)
    ahead = -31 * 24 * HOUR
    await who(access, made["key"])
    await access.flush()
    [after] = await access.keys(owner)
    assert after["last_used_at"] == before["last_used_at"]


async def test_a_key_that_is_made_with_a_key_has_no_later_end(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    soon, later = now_ms() + HOUR, now_ms() + 2 * HOUR
    asked = {"name": "x", "scopes": ["admin", "webhooks"], "face": "test"}
    lasting = await who(access, (await access.create_key(owner, expires_at=None, **asked))["key"])
    ending = await who(access, (await access.create_key(lasting, expires_at=soon, **asked))["key"])
    made = [await access.create_key(ending, expires_at=at, **asked) for at in (None, later, soon - MINUTE)]
    assert [one["expires_at"] for one in made] == [rfc3339(soon), rfc3339(soon), rfc3339(soon - MINUTE)]
    assert [(one["parent_id"], one["grant_id"]) for one in made] == [(ending.id, None)] * 3
    again = await access.create_key(await who(access, made[0]["key"]), expires_at=None, **asked)
    assert again["expires_at"] == rfc3339(soon)
    assert (await access.create_key(lasting, expires_at=None, **asked))["expires_at"] is None


async def test_what_was_made_with_a_key_ends_with_it_on_every_node(db: Database) -> None:
    await prepare(db)
    bus = LocalBus()
    access, elsewhere = Access(db, LocalBus()), Access(db, bus)
    follower, owner = Events(db, bus), await team_owner(db, "team")
    await follower.follow()
    asked = {"name": "x", "scopes": ["admin", "webhooks"], "expires_at": None, "face": "test"}
    first, other = [await access.create_key(owner, **asked) for _ in range(2)]
    second = await access.create_key(await who(access, first["key"]), **asked)
    third = await access.create_key(await who(access, second["key"]), **asked)
    line = [one["key"] for one in (first, second, third)]
    assert all([await who(node, key) for node in (access, elsewhere) for key in line])
    narrowed = await access.change_key(owner, first["id"], name=None, scopes=["webhooks"], face="test")
    assert narrowed["scopes"] == ["webhooks"]
    assert [(await who(access, key)).scopes for key in line] == [{"webhooks"}] * 3
    with pytest.raises(Forbidden):
        await access.change_key(owner, third["id"], name=None, scopes=["admin"], face="test")
    assert await access.revoke_key(owner, first["id"], face="test") == 2
    assert [await who(access, key) for key in line] == [None] * 3
    await follower.follow()
    assert [await who(elsewhere, key) for key in line] == [None] * 3
    assert await who(access, other["key"]) is not None
    assert [key["id"] for key in await access.keys(owner)] == [other["id"]]
    async with db.session() as session:
        told = [events.as_data(row) for row in await events.after(session, owner.team_id, 0, 99) if "revok" in row.type]
    assert [(one["key_id"], one.get("reason")) for one in told] == [
        (first["id"], None), (second["id"], "maker_ended"), (third["id"], "maker_ended")]  # fmt: skip


async def test_a_key_that_ended_meanwhile_makes_none(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    asked = {"name": "x", "scopes": ["admin"], "expires_at": None, "face": "test"}
    key = await access.create_key(owner, **asked)
    held = await who(access, key["key"])  # a request that has begun
    await access.revoke_key(owner, key["id"], face="test")
    with pytest.raises(Unauthenticated):
        await access.create_key(held, **asked)


async def test_a_key_that_ends_becomes_no_key_that_does_not(db: Database) -> None:
    access, owner = Access(db, LocalBus()), await team_owner(db, "team")
    asked = {"name": "x", "scopes": ["admin"], "face": "test"}
    lasting = await access.create_key(owner, expires_at=None, **asked)
    ending = await access.create_key(owner, expires_at=now_ms() + HOUR, **asked)
    actor = await who(access, ending["key"])
    for attempt in (
        access.rotate_key(actor, lasting["id"], face="test"),
        access.change_key(actor, lasting["id"], name="Mine", scopes=None, face="test"),
    ):
        with pytest.raises(Forbidden) as refused:
            await attempt
        assert refused.value.code == "lasting_required"
    made = await access.create_key(actor, expires_at=None, **asked)
    for number in (made["id"], ending["id"]):
        assert (await access.rotate_key(actor, number, face="test"))["expires_at"] == ending["expires_at"]
