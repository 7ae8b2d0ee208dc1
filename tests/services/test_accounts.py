"""Logins: how they begin, what ends them, and what guessing costs."""

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher

from hub.bus.local import LocalBus
from hub.domain.errors import Forbidden, Invalid, NotFound, TooMany, Unauthenticated, Unavailable
from hub.domain.times import DAY, HOUR, MINUTE, SECOND, now_ms
from hub.services.access import Access
from hub.services.accounts import Accounts, set_password
from hub.services.events import Events
from hub.services.passwords import AT_ONCE, WAITING, Passwords
from hub.services.teams import prepare
from hub.store import people
from hub.store.database import Database

EMAIL, PASSWORD = "ada@example.com", "a long password"


class Hasher(PasswordHasher):
    """A cheap one that counts its work."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.works: Counter[str] = Counter()
        self.begun = threading.Semaphore(0)
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        """Let no password be judged until `let_go`."""
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.works["hash"] += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.works["verify"] += 1
        self.begun.release()
        self._free.wait()
        return super().verify(hash, password)


class Clock:
    def __init__(self) -> None:
        self.now = now_ms()

    def __call__(self) -> int:
        return self.now


class Node:
    """A hub's accounts on a database, with a bus of its own."""

    def __init__(self, db: Database) -> None:
        self.bus = LocalBus()
        self.clock = Clock()
        self.access = Access(db, self.bus, clock=self.clock)
        self.hasher = Hasher()
        self.accounts = Accounts(
            db,
            self.bus,
            self.access,
            open_registration=True,
            logins_kept=5,
            passwords=Passwords(self.hasher),
            clock=self.clock,
        )
        self.follower = Events(db, self.bus)

    async def register(self) -> str:
        made = await self.accounts.register(
            name="Ada", email=EMAIL, password=PASSWORD, team_name="Ada's", address="192.0.2.1", face="adcast"
        )
        token: str = made["token"]
        return token

    async def login(self, password: str = PASSWORD, address: str | None = "192.0.2.1") -> str:
        made = await self.accounts.login(email=EMAIL, password=password, address=address, face="adcast")
        token: str = made["token"]
        return token

    async def knows(self, token: str) -> bool:
        return await self.access.authenticate(token, address="192.0.2.1", agent="curl/8") is not None


async def test_a_login_lives_while_it_is_used_and_a_year_at_most(db: Database) -> None:
    node = Node(db)
    idle, used = await node.register(), await node.login()
    for days in range(0, 364, 29):
        assert await node.knows(used), days
        await node.access.flush()
        node.clock.now += 29 * DAY
        if days == 29:
            assert not await node.knows(idle)
    node.clock.now -= 29 * DAY
    node.clock.now += 18 * DAY
    assert not await node.knows(used)  # the year is over, though it was used a fortnight ago
    await node.accounts.sweep(node.clock.now)
    fresh = await node.login()
    assert await node.knows(fresh)
    assert not await node.knows(fresh[:-1] + ("a" if fresh[-1] != "a" else "b"))
    assert not await node.knows("999" + fresh)


async def test_a_logout_elsewhere_is_heard_of_through_the_log(db: Database) -> None:
    await prepare(db)
    here, there = Node(db), Node(db)
    await here.follower.follow()
    token = await there.register()
    other = await there.login()
    assert await here.knows(token)
    actor = await there.access.authenticate(token, address=None, agent=None)
    assert actor is not None
    await there.accounts.logout(actor, face="adcast")
    assert not await there.knows(token)
    assert await here.knows(token)  # remembered as good
    await here.follower.follow()
    assert not await here.knows(token)
    assert await here.knows(other)
    await there.accounts.logout(actor, face="adcast")  # twice does no harm
    with pytest.raises(Forbidden):
        await there.accounts.logout(await there.accounts.check_password(EMAIL, PASSWORD, None) or actor, face="adcast")


async def test_guessing_is_paced_by_account_and_by_address(sqlite_db: Database) -> None:
    node = Node(sqlite_db)
    await node.register()
    for _ in range(40):
        await node.login()  # the right password costs nothing
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await node.login("wrong", address=None)
    with pytest.raises(TooMany) as refused:
        await node.login(address="198.51.100.1")
    assert refused.value.retry_after == 30
    node.clock.now += 5 * MINUTE
    await node.login()
    for guess in range(30):
        assert await node.accounts.check_password(f"{guess}@example.com", PASSWORD, "2001:db8::1") is None
    with pytest.raises(TooMany):
        await node.accounts.check_password(EMAIL, PASSWORD, "2001:db8::2")  # one subscriber has the whole /64
    assert await node.accounts.check_password(EMAIL, PASSWORD, "2001:db8:1::1") is not None


async def test_an_account_has_so_many_logins_and_no_more(db: Database) -> None:
    node = Node(db)
    first, second = await node.register(), await node.login()
    assert await node.knows(first)
    for _ in range(4):
        last = await node.login()
    assert not await node.knows(first)
    assert await node.knows(second)
    assert await node.knows(last)


async def test_an_operators_new_password_ends_logins_on_a_running_hub(db: Database) -> None:
    await prepare(db)
    node = Node(db)
    await node.follower.follow()
    token = await node.register()
    assert await node.knows(token)
    await set_password(db, " Ada@Example.com", "another password")
    await node.follower.follow()
    assert not await node.knows(token)
    assert await node.knows(await node.login("another password"))
    with pytest.raises(Unauthenticated):
        await node.login()
    with pytest.raises(NotFound):
        await set_password(db, "nobody@example.com", "another password")


class Slow(Passwords):
    """While it works, the account gets another password."""

    def __init__(self, db: Database) -> None:
        super().__init__(Hasher())
        self.db = db

    async def verify(self, password_hash: str | None, password: str, *, known: bool = False) -> bool:
        right = await super().verify(password_hash, password, known=known)
        await set_password(self.db, EMAIL, "another password")
        return right


async def test_a_password_that_changes_while_it_is_checked_opens_nothing(db: Database) -> None:
    node = Node(db)
    await node.register()
    node.accounts.passwords = Slow(db)
    with pytest.raises(Unauthenticated):
        await node.login()


async def test_passwords_are_kept_as_argon2id_and_tokens_as_hashes(tmp_path: Path, sqlite_db: Database) -> None:
    token = await Node(sqlite_db).register()
    stored = b"".join((tmp_path / name).read_bytes() for name in ("hub.db", "hub.db-wal"))
    assert b"$argon2id$" in stored
    assert PASSWORD.encode() not in stored
    assert token.partition("|")[2].encode() not in stored


async def test_the_work_of_a_refusal_does_not_tell_which_accounts_exist(sqlite_db: Database) -> None:
    await Node(sqlite_db).register()
    works = []
    for email in ("nobody@example.com", EMAIL, "nobody@example.com"):
        node = Node(sqlite_db)  # just started: nothing is prepared
        for _ in range(2):
            assert await node.accounts.check_password(email, "wrong", None) is None
        works.append(node.hasher.works)
    assert works[0] == works[1] == works[2]
    assert not await node.accounts.passwords.verify(None, "nobody's password")


async def test_a_registration_does_its_work_before_it_looks_for_the_address(sqlite_db: Database) -> None:
    node = Node(sqlite_db)
    await node.register()
    before = node.hasher.works["hash"]
    with pytest.raises(Invalid):
        await node.register()
    assert node.hasher.works["hash"] == before + 1


@pytest.mark.parametrize("ahead", [2 * HOUR, 400 * DAY, 6 * MINUTE])
async def test_nobody_is_locked_out_by_a_clock_that_was_ahead(db: Database, ahead: int) -> None:
    node = Node(db)
    await node.register()
    node.clock.now += ahead
    for _ in range(3):
        assert await node.accounts.check_password(EMAIL, "wrong", "198.51.100.1") is None
    node.clock.now -= ahead
    assert await node.accounts.check_password(EMAIL, PASSWORD, "198.51.100.1") is not None
    await node.accounts.register(
        name="Bob", email="bob@example.com", password=PASSWORD, team_name="Bob's", address="198.51.100.1", face="adcast"
    )
    for _ in range(10):  # and guessing is paced as ever
        assert await node.accounts.check_password(EMAIL, "wrong", None) is None
    with pytest.raises(TooMany):
        await node.accounts.check_password(EMAIL, PASSWORD, None)


async def test_a_clock_that_is_put_back_a_little_gives_no_tries_back(db: Database) -> None:
    node = Node(db)
    await node.register()
    for _ in range(10):
        assert await node.accounts.check_password(EMAIL, "wrong", None) is None
    for back in (1, 999, 58 * SECOND):  # what is written down late, and how far two clocks differ
        node.clock.now -= back
        with pytest.raises(TooMany):
            await node.accounts.check_password(EMAIL, PASSWORD, None)


async def test_guesses_from_elsewhere_do_not_lock_out_who_signed_in_before(db: Database) -> None:
    node = Node(db)
    await node.register()
    for _ in range(10):
        assert await node.accounts.check_password(EMAIL, "wrong", "198.51.100.1") is None
    with pytest.raises(TooMany):
        await node.accounts.check_password(EMAIL, "wrong", "203.0.113.1")  # strangers share what there is for all
    await node.login(address="192.0.2.1")
    for _ in range(10):  # a known network is paced too, by tries of its own
        assert await node.accounts.check_password(EMAIL, "wrong", "192.0.2.1") is None
    with pytest.raises(TooMany):
        await node.login(address="192.0.2.1")
    node.clock.now += 5 * MINUTE
    await node.login(address="2001:db8::1")
    for _ in range(10):
        assert await node.accounts.check_password(EMAIL, "wrong", "198.51.100.1") is None
    await node.login(address="2001:db8::2")  # the same subscriber
    node.clock.now += 91 * DAY
    await node.accounts.sweep(node.clock.now)
    for _ in range(10):
        assert await node.accounts.check_password(EMAIL, "wrong", "198.51.100.1") is None
    with pytest.raises(TooMany):
        await node.login(address="192.0.2.1")  # so long ago nobody knows it


async def test_right_passwords_at_once_from_a_known_place_are_all_let_in(db: Database) -> None:
    node = Node(db)
    await node.register()
    tokens = await asyncio.gather(*(node.login() for _ in range(25)))
    assert len(set(tokens)) == 25
    mixed = ["wrong", PASSWORD] * 9  # nine wrong ones leave a try
    answers = await asyncio.gather(*(node.accounts.check_password(EMAIL, one, "192.0.2.1") for one in mixed))
    assert [answer is not None for answer in answers] == [False, True] * 9


@pytest.mark.parametrize("address", ["192.0.2.1", "198.51.100.1", None])
async def test_wrong_passwords_at_once_are_as_many_guesses_as_one_after_the_other(
    db: Database, address: str | None
) -> None:
    node = Node(db)
    await node.register()
    tries = (node.accounts.check_password(EMAIL, "wrong", address) for _ in range(25))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert Counter(map(type, answers)) == {type(None): 10, TooMany: 15}
    assert node.hasher.works["verify"] == 10
    with pytest.raises(TooMany):
        await node.accounts.check_password(EMAIL, PASSWORD, address)


async def test_guesses_at_other_accounts_do_not_lock_out_who_is_known_in_their_network(db: Database) -> None:
    node = Node(db)
    await node.register()
    for guess in range(30):
        assert await node.accounts.check_password(f"{guess}@example.com", PASSWORD, "192.0.2.1") is None
    with pytest.raises(TooMany):
        await node.accounts.check_password("ann@example.com", PASSWORD, "192.0.2.1")
    await node.login()
    with pytest.raises(TooMany):  # what it has spent for strangers is spent
        await node.accounts.check_password("ann@example.com", PASSWORD, "192.0.2.1")


async def test_a_wrong_password_of_who_is_known_is_a_guess_of_the_network(db: Database) -> None:
    node = Node(db)
    await node.register()
    for _ in range(10):
        assert await node.accounts.check_password(EMAIL, "wrong", "192.0.2.1") is None
    for guess in range(20):
        assert await node.accounts.check_password(f"{guess}@example.com", PASSWORD, "192.0.2.1") is None
    with pytest.raises(TooMany):
        await node.accounts.check_password("ann@example.com", PASSWORD, "192.0.2.1")


async def test_strangers_who_fill_the_queue_leave_room_for_who_is_known(sqlite_db: Database) -> None:
    node = Node(sqlite_db)
    await node.register()
    await node.login()
    node.hasher.hold()
    strangers = [
        asyncio.create_task(node.accounts.check_password(f"{n}@example.com", "wrong", f"2001:db8:{n}::1"))
        for n in range(AT_ONCE + WAITING + 1)
    ]
    done, waiting = await asyncio.wait(strangers, return_when=asyncio.FIRST_COMPLETED)
    [refused] = done
    with pytest.raises(Unavailable):
        await refused
    known = asyncio.create_task(node.login())
    await asyncio.wait([known], timeout=0.5)
    node.hasher.let_go()
    assert await known
    assert await asyncio.gather(*waiting) == [None] * (AT_ONCE + WAITING)


async def test_as_many_passwords_are_worked_on_as_may_be_whoever_goes_away(sqlite_db: Database) -> None:
    node = Node(sqlite_db)
    node.hasher.hold()
    checks = [asyncio.create_task(node.accounts.passwords.verify(None, "wrong")) for _ in range(AT_ONCE)]
    for _ in checks:
        await asyncio.to_thread(node.hasher.begun.acquire)
    for check in checks:
        check.cancel()
    late = asyncio.create_task(node.accounts.passwords.verify(None, "wrong"))
    await asyncio.wait([late], timeout=0.5)
    assert node.hasher.works["verify"] == AT_ONCE
    node.hasher.let_go()
    assert not await late


async def test_so_many_networks_are_known_and_none_after_another_password(db: Database) -> None:
    node = Node(db)
    await node.register()
    places = [f"192.0.2.{number}" for number in range(1, 8)]
    for place in places:
        node.clock.now += SECOND
        await node.login(address=place)
    for _ in range(10):
        assert await node.accounts.check_password(EMAIL, "wrong", None) is None
    for place in places[2:]:
        await node.login(address=place)
    for place in places[:2]:
        with pytest.raises(TooMany):
            await node.login(address=place)
    await set_password(db, EMAIL, PASSWORD)
    with pytest.raises(TooMany):
        await node.login(address=places[-1])


@pytest.mark.parametrize("wrong", [-31 * DAY, -400 * DAY, 31 * DAY, 400 * DAY])
async def test_a_clock_that_is_wrong_for_a_moment_ends_no_login(db: Database, wrong: int) -> None:
    node = Node(db)
    used, fresh, idle = await node.register(), await node.login(), await node.login()
    assert await node.knows(used)
    await node.access.flush()
    node.clock.now += wrong
    for token in (used, fresh):
        await node.knows(token)
    made = await node.login()  # as far as the clock was believed then: below
    await node.access.flush()
    node.clock.now -= wrong
    later = Node(db)  # remembers nothing
    later.clock.now = node.clock.now
    await later.accounts.sweep(later.clock.now)
    assert [await later.knows(token) for token in (used, fresh, idle)] == [True] * 3
    assert await later.knows(made) == (wrong > 0)


async def test_a_login_that_was_made_while_the_clock_was_behind_lives_from_the_time_that_has_come(db: Database) -> None:
    node = Node(db)
    await node.register()
    right, node.clock.now = node.clock.now, node.clock.now - 400 * DAY
    behind = Accounts(
        db, node.bus, node.access, passwords=Passwords(node.hasher), clock=node.clock, reached=lambda: right
    )
    made = await behind.login(email=EMAIL, password=PASSWORD, address="192.0.2.1", face="adcast")
    node.clock.now = right
    assert await node.knows(made["token"])


async def test_a_network_stays_known_when_the_clock_was_behind(db: Database) -> None:
    node = Node(db)
    await node.register()
    node.clock.now -= 100 * DAY
    await node.login()
    node.clock.now += 100 * DAY
    await node.accounts.sweep(node.clock.now)
    async with db.session() as session:
        assert await people.has_signed_in(session, EMAIL, "192.0.2.1")
