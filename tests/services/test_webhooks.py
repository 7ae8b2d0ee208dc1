import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from standardwebhooks import WebhookVerificationError

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from hub.domain.events import Event
from hub.domain.hosts import Network
from hub.domain.times import DAY, HOUR, now_ms
from hub.domain.webhooks import WINDOW_START
from hub.metrics import Metrics
from hub.services import webhook_dispatcher as delivering
from hub.services.teams import prepare
from hub.services.webhook_client import WebhookClient
from hub.services.webhook_dispatcher import WebhookDispatcher
from hub.services.webhooks import Webhooks
from hub.store import deliveries as store
from hub.store import events
from hub.store.database import Database
from hub.store.tables import Delivery, Webhook
from tests.cast import team_owner
from tests.certificates import certificates
from tests.receiver import Receiver, Reply, silence, status
from tests.waiting import PATIENCE_S

LOOPBACK: list[Network] = [ip_network("127.0.0.0/8")]


@dataclass
class Settings:
    retry_s: Sequence[float] = (0.01, 0.01, 0.01)
    timeout_s: float = 15
    allow_networks: Sequence[Network] = field(default_factory=lambda: LOOPBACK)
    disable_after_days: int = 5
    retention_days: int = 30


@dataclass
class Stage:
    db: Database
    owner: Actor
    settled: asyncio.Queue[str]
    bus: LocalBus = field(default_factory=LocalBus)
    settings: Settings = field(default_factory=Settings)
    metrics: Metrics = field(default_factory=Metrics)
    deliverers: list[WebhookDispatcher] = field(default_factory=list)

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.db, self.bus, allow_networks=LOOPBACK)

    async def deliver(
        self,
        *,
        bus: LocalBus | None = None,
        outbound: WebhookClient | None = None,
        clock: Callable[[], int] = now_ms,
        node: str = "one",
    ) -> WebhookDispatcher:
        """A deliverer at work."""
        deliverer = WebhookDispatcher(
            self.db, bus or self.bus, self.settings, self.metrics, node=node, outbound=outbound, clock=clock
        )
        self.deliverers.append(deliverer)
        await deliverer.start()
        return deliverer

    async def register(self, url: str, *names: str, owner: Actor | None = None) -> dict[str, Any]:
        return await self.webhooks.create(owner or self.owner, url, names or ("player.online",), face="test")

    async def happens(self, number: int = 1, kind: str = "player.online", *, at: int | None = None) -> int:
        data = {"player_id": 7, "screen_id": "scr_01JARW8K9BXYZ", "name": "Lobby", "status": "online", "number": number}
        event = Event(kind, self.owner.team_id, at or now_ms(), data, player_id=7)
        row: int = await self.db.write(events.append, event)
        self.bus.publish(("events", self.owner.team_id))
        return row

    async def outcome(self) -> Delivery:
        """The delivery, once an attempt was written down."""
        async with asyncio.timeout(PATIENCE_S):
            await self.settled.get()
        [delivery] = await self.deliveries()
        return delivery

    async def deliveries(self) -> list[Delivery]:
        async with self.db.session() as session:
            return list(await session.exec(select(Delivery).order_by(col(Delivery.id))))

    async def webhook(self) -> Webhook:
        async with self.db.session() as session:
            return (await session.exec(select(Webhook))).one()

    async def told(self) -> list[str]:
        async with self.db.session() as session:
            return [row.type for row in await events.after(session, self.owner.team_id, 0, 100)]


def spot_signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
"""What the database decides is tested on both kinds, the rest on the small one."""


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    settled: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def probe(moment: str) -> None:
        if moment == "after commit deliveries.settle":
            loop.call_soon_threadsafe(settled.put_nowait, moment)

    db = Database(database_url, probe=probe)
    await db.start()
    await prepare(db)
    stage = Stage(db, await team_owner(db, "lobby"), settled)
    yield stage
    for deliverer in stage.deliverers:
        await deliverer.stop()
    await db.stop()


# The registry


@both
async def test_the_secret_is_shown_once(stage: Stage) -> None:
    made = await stage.register("https://example.com/hook", "player.online", "screen.offline", "player.online")

    assert made["secret"].startswith("whsec_")
    [listed] = await stage.webhooks.list(stage.owner)
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert listed["url"] == "https://example.com/hook"
    assert listed["events"] == ["player.online", "screen.offline"]
    assert listed["status"] == "active"
    assert await stage.told() == ["webhook.created"]


async def test_every_documented_name_can_be_subscribed_to(stage: Stage) -> None:
    names = ("screen.online", "screen.offline", "content.published", "content.deleted", "playlist.updated",
             "schedule.activated", "alert.triggered", "player.online", "player.offline", "*")  # fmt: skip

    assert (await stage.register("https://example.com/hook", *names))["events"] == list(names)


@pytest.mark.parametrize("names", [[], ["player.onlin"], ["player.online", "x" * 5_000]])
async def test_an_unknown_event_is_refused_and_nothing_kept(stage: Stage, names: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        await stage.webhooks.create(stage.owner, "https://example.com/hook", names, face="test")

    assert refused.value.errors is not None
    assert "events" in refused.value.errors
    assert await stage.webhooks.list(stage.owner) == []


async def test_a_private_address_is_refused_at_registration(stage: Stage) -> None:
    with pytest.raises(Invalid) as refused:
        await Webhooks(stage.db, stage.bus).create(stage.owner, "https://127.0.0.1/", ["*"], face="test")

    assert "HUB_WEBHOOKS__ALLOW_NETWORKS" in str(refused.value.errors)


async def test_webhooks_are_their_teams_own_and_need_the_scope(stage: Stage) -> None:
    stranger = await team_owner(stage.db, "rival")
    made = await stage.register("https://example.com/hook")
    weak = replace(stage.owner, scopes=frozenset({"admin", "read:players"}))

    assert await stage.webhooks.list(stranger) == []
    with pytest.raises(NotFound):
        await stage.webhooks.delete(stranger, made["id"], face="test")
    with pytest.raises(Forbidden):
        await stage.webhooks.list(weak)
    with pytest.raises(Forbidden):
        await stage.webhooks.create(weak, "https://example.com/hook", ["*"], face="test")
    with pytest.raises(Forbidden):
        await stage.webhooks.delete(weak, made["id"], face="test")
    assert len(await stage.webhooks.list(stage.owner)) == 1


@both
async def test_a_deleted_webhook_takes_its_deliveries_with_it(stage: Stage) -> None:
    made = await stage.register("https://example.com/hook", "*")
    await stage.happens()
    assert len(await stage.deliveries()) == 1

    await stage.webhooks.delete(stage.owner, made["id"], face="test")

    assert await stage.deliveries() == []
    await stage.happens()
    assert await stage.deliveries() == []
    assert "webhook.deleted" in await stage.told()
    with pytest.raises(NotFound):
        await stage.webhooks.delete(stage.owner, made["id"], face="test")


# Delivering


@both
async def test_an_event_arrives_signed_for_both_kinds_of_receiver(stage: Stage) -> None:
    async with Receiver() as receiver:
        made = await stage.register(receiver.url)
        await stage.deliver()

        number = await stage.happens()

        heard = await receiver.next()
        message = heard.verified(made["secret"])
        assert message["event"] == "player.online"
        assert message["data"]["player_id"] == 7
        assert message["data"]["screen_id"] == "scr_01JARW8K9BXYZ"
        assert heard.path == "/hook"
        assert heard.headers["Host"] == f"127.0.0.1:{receiver.port}"
        assert heard.headers["X-Spot-Signature"].startswith("sha256=")
        assert heard.headers["X-Signalbox-Cursor"].endswith(f"-{number}")
        delivery = await stage.outcome()
        assert heard.headers["webhook-id"] == f"msg_{delivery.id}"
        assert (delivery.state, delivery.attempts, delivery.next_at) == ("delivered", 1, None)
        assert (delivery.last_status, delivery.last_answer, delivery.last_error) == (200, "ok", None)
        assert stage.metrics.webhook_deliveries.labels("delivered")._value.get() == 1


@pytest.mark.parametrize(
    ("subscribed", "told"),
    [("screen.online", "screen.online"), ("player.online", "player.online"), ("*", "player.online")],
)
async def test_a_receiver_hears_the_name_it_subscribed_to(stage: Stage, subscribed: str, told: str) -> None:
    async with Receiver() as receiver:
        await stage.register(receiver.url, subscribed)
        await stage.deliver()

        await stage.happens()

        heard = await receiver.next()
        assert heard.event["event"] == told
        assert heard.headers["X-Spot-Event"] == told


@both
async def test_nobody_hears_what_they_did_not_subscribe_to(stage: Stage) -> None:
    stranger = await team_owner(stage.db, "rival")
    async with Receiver() as mine, Receiver() as theirs:
        await stage.register(mine.url, "player.online")
        await stage.register(theirs.url, "*", owner=stranger)
        await stage.deliver()

        await stage.happens(1, "player.updated")
        await stage.happens(2)

        assert (await mine.next()).number == 2
        assert theirs.heard.empty()
        assert len(await stage.deliveries()) == 1


@both
async def test_a_failure_is_tried_again_until_it_is_delivered(stage: Stage) -> None:
    async with Receiver(status(500, b"broken"), status(503), status(200)) as receiver:
        made = await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        heard = [await receiver.next() for _ in range(3)]
        assert len({one.headers["webhook-id"] for one in heard}) == 1
        assert len({one.body for one in heard}) == 1
        for one in heard:
            one.verified(made["secret"])
        for _ in range(2):
            await stage.settled.get()
        delivery = await stage.outcome()
        assert (delivery.state, delivery.attempts) == ("delivered", 3)
        assert (await stage.webhook()).failing_since is None


@both
async def test_the_last_failure_ends_the_delivery_and_says_why(stage: Stage) -> None:
    stage.settings.retry_s = [0.01]
    seen = asyncio.Event()

    async def other_problem(writer: asyncio.StreamWriter) -> None:
        await seen.wait()
        await status(404, b"other problem")(writer)

    async with Receiver(status(500, b"first \x00 problem"), other_problem) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        first = await stage.outcome()
        assert (first.last_error, first.last_answer) == ("Answered 500.", "first \ufffd problem")
        seen.set()
        last = await stage.outcome()
        assert (last.state, last.attempts, last.next_at) == ("failed", 2, None)
        assert (last.last_status, last.last_answer) == (404, "other problem")
        [listed] = await stage.webhooks.list(stage.owner)
        assert listed["status"] == "failing"


async def test_a_receiver_may_ask_for_patience(stage: Stage) -> None:
    async with Receiver(status(503, Retry_After="3600")) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        before = now_ms()
        await stage.happens()

        delivery = await stage.outcome()
        assert delivery.next_at is not None
        assert delivery.next_at >= before + HOUR


@both
async def test_a_slow_receiver_delays_nobody_else(stage: Stage) -> None:
    async with Receiver(silence) as slow, Receiver() as quick:
        await stage.register(slow.url)
        await stage.register(quick.url)
        await stage.deliver()

        for number in range(12):
            await stage.happens(number)

        assert {(await quick.next()).number for _ in range(12)} == set(range(12))
        assert slow.heard.qsize() <= WINDOW_START


async def test_a_failing_receiver_is_asked_by_one_at_a_time(stage: Stage) -> None:
    async with Receiver(status(500), status(500), status(500), silence) as receiver:
        await stage.register(receiver.url)
        stage.settings.retry_s = [3_600]
        await stage.deliver()
        for number in range(3):
            await stage.happens(number)
            await stage.settled.get()

        for number in range(3, 9):
            await stage.happens(number)

        assert [(await receiver.next()).number for _ in range(4)] == [0, 1, 2, 3]
        assert receiver.heard.empty()


async def test_receivers_that_are_gone_leave_half_the_places_to_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "AT_ONCE", 4)
    monkeypatch.setattr(delivering, "DOUBTFUL_AT_ONCE", 2)
    async with Receiver(silence) as gone, Receiver() as well:
        for _ in range(6):
            await stage.register(gone.url, "player.updated")
        async with stage.db.transaction() as session:  # all of them have failed for a while
            for webhook in await session.exec(select(Webhook)):
                webhook.failing_since = now_ms()
                session.add(webhook)
        await stage.register(well.url, "player.online")
        await stage.deliver()
        await stage.happens(0, "player.updated")
        await gone.next()

        for number in range(8):
            await stage.happens(number)

        assert {(await well.next()).number for _ in range(8)} == set(range(8))
        assert gone.heard.qsize() <= 1


async def test_slow_receivers_of_one_team_leave_places_to_other_teams(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "AT_ONCE", 8)
    rival = await team_owner(stage.db, "rival")
    async with Receiver(silence) as slow, Receiver() as well:
        for _ in range(4):
            await stage.register(slow.url)
        await stage.register(well.url, owner=rival)
        await stage.deliver()
        for number in range(4):
            await stage.happens(number)
        for _ in range(6):
            await slow.next()
        await stage.db.write(events.append, Event("player.online", rival.team_id, now_ms(), {"number": 9}, player_id=8))
        stage.bus.publish(("events", rival.team_id))
        assert (await well.next()).number == 9
        assert slow.heard.empty()


@both
async def test_a_long_replay_keeps_no_other_waiting(stage: Stage) -> None:
    for number in range(3):
        await stage.happens(number)
    hooks = [(await stage.register("https://example.com/"))["id"] for _ in range(2)]
    for webhook_id in hooks:
        await stage.webhooks.replay(stage.owner, webhook_id, since=0, everything=True, face="test")
    turns, last = [], 0
    for _ in range(4):
        last = await stage.db.write(store.replay, last, now_ms(), 1)
        turns.append(last)
    assert turns == [*hooks, *hooks]


@both
async def test_deliveries_start_in_the_order_of_the_events(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "AT_ONCE", 1)
    async with Receiver() as receiver:
        await stage.register(receiver.url)
        at = now_ms()
        for number in range(20):
            await stage.happens(number, at=at)
        await stage.deliver()

        assert [(await receiver.next()).number for _ in range(20)] == list(range(20))


@both
async def test_what_happened_while_the_hub_was_down_is_delivered(stage: Stage) -> None:
    async with Receiver() as receiver:
        await stage.register(receiver.url)
        await stage.happens()

        await stage.deliver()

        assert (await receiver.next()).number == 1


@both
async def test_a_stop_in_the_middle_of_an_attempt_loses_nothing(stage: Stage) -> None:
    async with Receiver(silence, status(200)) as receiver:
        await stage.register(receiver.url)
        deliverer = await stage.deliver()
        await stage.happens()
        first = await receiver.next()
        await deliverer.stop()

        await stage.deliver()

        second = await receiver.next()
        assert second.headers["webhook-id"] == first.headers["webhook-id"]
        assert (await stage.outcome()).state == "delivered"


@both
async def test_what_a_dead_process_had_taken_is_due_again_after_its_lease(stage: Stage) -> None:
    async with Receiver() as receiver:
        made = await stage.register(receiver.url)
        await stage.happens()
        until = now_ms() + 45_000
        [taken] = await stage.db.write(store.claim, [(made["id"], 4)], now_ms(), until, "dead")
        assert await stage.db.write(store.claim, [(made["id"], 4)], until - 1, until + 45_000, "one") == []

        await stage.deliver(clock=lambda: now_ms() + 45_000)

        await receiver.next()
        assert (await stage.outcome()).state == "delivered"
        attempt = store.Attempt(5, "failed", None, 500, "late", None, False)
        await stage.db.write(store.settle, taken, attempt, now_ms(), DAY)
        assert (await stage.outcome()).state == "delivered"


@both
async def test_what_a_node_had_taken_when_it_died_is_due_at_its_next_start(stage: Stage) -> None:
    async with Receiver() as receiver:
        made = await stage.register(receiver.url)
        await stage.happens()
        far = now_ms() + HOUR
        assert len(await stage.db.write(store.claim, [(made["id"], 4)], now_ms(), far, "one")) == 1

        await stage.deliver()

        assert (await receiver.next()).number == 1
        assert (await stage.outcome()).taken_by is None


@both
async def test_two_nodes_share_the_work(stage: Stage) -> None:
    async with Receiver() as receiver:
        await stage.register(receiver.url)
        await stage.deliver()
        await stage.deliver(node="two")

        for number in range(30):
            await stage.happens(number)

        heard = [await receiver.next() for _ in range(30)]
        assert sorted(one.number for one in heard) == list(range(30))
        assert receiver.heard.empty()


@both
async def test_a_receiver_that_is_gone_is_disabled_with_an_event(stage: Stage) -> None:
    async with Receiver(status(410)) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens(1)

        assert (await stage.outcome()).state == "failed"
        [listed] = await stage.webhooks.list(stage.owner)
        assert listed["status"] == "disabled"
        assert (await stage.told())[-1] == "webhook.disabled"
        await stage.happens(2)
        assert len(await stage.deliveries()) == 1


@both
async def test_days_of_nothing_but_failures_disable_it(stage: Stage) -> None:
    async with Receiver(status(500)) as receiver:
        await stage.register(receiver.url)
        stage.settings.retry_s = [2 * DAY / 1000] * 9
        days = 0
        await stage.deliver(clock=lambda: now_ms() + days * DAY)
        await stage.happens()
        await stage.outcome()

        days = 3
        await stage.outcome()
        assert (await stage.webhook()).disabled_at is None
        days = 6
        await stage.outcome()

        assert (await stage.webhook()).disabled_at is not None
        assert (await stage.told())[-1] == "webhook.disabled"


# Where it may go, and what may come back


async def test_a_name_that_leads_inside_is_refused_at_connect_and_the_log_says_why(stage: Stage) -> None:
    stage.settings.allow_networks = []
    async with Receiver() as receiver:
        await stage.register(f"https://receiver.example:{receiver.port}/hook")
        outbound = WebhookClient([], 15, resolve=lambda host: ["127.0.0.1", "::ffff:10.0.0.1"])
        await stage.deliver(outbound=outbound)

        await stage.happens()

        delivery = await stage.outcome()
        assert delivery.state == "pending"
        assert delivery.last_status is None
        assert "receiver.example is refused: 127.0.0.1 is not a public address" in (delivery.last_error or "")
        assert "HUB_WEBHOOKS__ALLOW_NETWORKS" in (delivery.last_error or "")
        assert receiver.heard.empty()


@pytest.mark.parametrize(
    "inside", ["192.0.0.8", "192.88.99.1", "64:ff9b:1::808:808", "2001::1", "2002:7f00:1::", "4000::1"]
)
async def test_what_a_name_leads_to_is_judged_as_what_was_written(stage: Stage, inside: str) -> None:
    stage.settings.allow_networks = []
    await stage.register("https://receiver.example/hook")
    await stage.deliver(outbound=WebhookClient([], 15, resolve=lambda host: [inside]))

    await stage.happens()

    assert f"{inside} is not a public address" in ((await stage.outcome()).last_error or "")


async def test_a_name_with_letters_of_its_own_language_is_shown_and_asked_for_as_it_is_in_the_dns(stage: Stage) -> None:
    asked: list[str] = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with Receiver() as receiver:
        made = await stage.register(f"http://straße.example:{receiver.port}/hook")
        await stage.deliver(outbound=WebhookClient(LOOPBACK, 15, resolve=resolve))

        await stage.happens()

        assert made["url"] == f"http://xn--strae-oqa.example:{receiver.port}/hook"
        assert (await receiver.next()).headers["Host"] == f"xn--strae-oqa.example:{receiver.port}"
        assert asked == ["xn--strae-oqa.example"]


async def test_plain_http_reaches_allowed_networks_only(stage: Stage) -> None:
    await stage.register("http://receiver.example:9/hook")
    await stage.deliver(outbound=WebhookClient(LOOPBACK, 15, resolve=lambda host: ["8.8.8.8"]))

    await stage.happens()

    assert "https only" in ((await stage.outcome()).last_error or "")


async def test_the_connection_goes_to_the_address_that_was_judged(stage: Stage) -> None:
    """The name answers differently each time: only its first answer counts, and of that only what is allowed."""
    asked: list[str] = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["192.168.9.9", "127.0.0.1"] if len(asked) == 1 else ["192.168.9.9"]

    async with Receiver() as receiver:
        await stage.register(f"http://receiver.example:{receiver.port}/hook")
        await stage.deliver(outbound=WebhookClient(LOOPBACK, 15, resolve=resolve))

        await stage.happens()

        heard = await receiver.next()
        assert heard.headers["Host"] == f"receiver.example:{receiver.port}"
        assert asked == ["receiver.example"]


async def test_a_name_that_nobody_knows_is_said(stage: Stage) -> None:
    def resolve(host: str) -> list[str]:
        raise OSError("Name or service not known")

    await stage.register("https://receiver.example/hook")
    await stage.deliver(outbound=WebhookClient(LOOPBACK, 15, resolve=resolve))

    await stage.happens()

    error = (await stage.outcome()).last_error
    assert error == "Could not connect: receiver.example has no address: Name or service not known."


@pytest.mark.parametrize(("name", "reached"), [("receiver.example", True), ("other.example", False)])
async def test_the_certificate_must_be_the_names(stage: Stage, tmp_path: Path, name: str, reached: bool) -> None:
    server, client = certificates(tmp_path, name)
    async with Receiver(tls=server) as receiver:
        await stage.register(f"https://receiver.example:{receiver.port}/hook")
        await stage.deliver(outbound=WebhookClient(LOOPBACK, 15, resolve=lambda host: ["127.0.0.1"], tls=client))

        await stage.happens()

        delivery = await stage.outcome()
        assert (delivery.state == "delivered") is reached
        assert receiver.heard.empty() is not reached
        assert reached or "certificate" in (delivery.last_error or "")


async def test_a_redirect_is_a_failure_and_not_followed(stage: Stage) -> None:
    async with Receiver() as target, Receiver(status(302, Location=target.url)) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        delivery = await stage.outcome()
        assert (delivery.state, delivery.last_status) == ("pending", 302)
        assert delivery.last_error == "Answered 302; redirects are not followed."
        assert target.heard.empty()


async def test_an_answer_without_end_is_cut(stage: Stage) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            await asyncio.sleep(0)  # a drain that need not wait gives nobody a turn

    async with Receiver(endless) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        delivery = await stage.outcome()
        assert delivery.state == "delivered"
        assert delivery.last_answer == "x" * 4_096
        async with asyncio.timeout(PATIENCE_S):
            await receiver.hung_up.wait()


async def test_a_body_that_never_ends_does_not_undo_its_status(stage: Stage) -> None:
    async def hesitant(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthanks")
        await writer.drain()
        await asyncio.Event().wait()

    stage.settings.timeout_s = 0.5
    async with Receiver(hesitant) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        delivery = await stage.outcome()
        assert (delivery.state, delivery.last_answer) == ("delivered", "thanks")


async def test_silence_has_a_limit(stage: Stage) -> None:
    stage.settings.timeout_s = 0.2
    async with Receiver(silence) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        delivery = await stage.outcome()
        assert (delivery.state, delivery.last_error) == ("pending", "No answer within 0.2 s.")


def without_end(beginning: bytes, piece: bytes) -> Reply:
    """An answer that goes on until nobody listens any more."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # a drain that need not wait gives nobody a turn

    return reply


INTERIM = "More than 8 interim answers (100 to 199) came before the answer."
TOO_LONG = "The answer has not come within 65,536 bytes."
OK_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), INTERIM),
        (without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), INTERIM),
        (without_end(b"", b"HTTP/1.1 199 X\r\nLink: " + b"x" * 10_000 + b"\r\n\r\n"), TOO_LONG),
        (without_end(b"HTTP/1.1 103 X\r\n", b"A: b\r\n" * 1_000), TOO_LONG),
        (without_end(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1_000), TOO_LONG),
        (without_end(b"HTTP/1.1 200 OK\r\nA: ", b"x" * 10_000), TOO_LONG),
        (without_end(b"HTTP/1.1 200 ", b"x" * 10_000), TOO_LONG),
    ],
)
async def test_an_answer_that_does_not_come_is_given_up_after_a_handful_of_words(
    stage: Stage, reply: Reply, says: str
) -> None:
    stage.settings.timeout_s = PATIENCE_S
    async with Receiver(reply) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        assert (await stage.outcome()).last_error == says


@pytest.mark.parametrize(
    "reply",
    [
        without_end(OK_CHUNKED, b"1\r\nx\r\n" * 100),
        without_end(OK_CHUNKED, b"1;" + b"x=y;" * 1_000 + b"\r\nx\r\n"),
        without_end(OK_CHUNKED + b"1;", b"x=y;" * 1_000),
        without_end(OK_CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 100),
        without_end(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000),
        without_end(
            b"HTTP/1.1 100 Continue\r\n\r\n" * 8 + b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", b"x" * 1_000
        ),
    ],
)
async def test_an_answer_that_has_no_end_is_listened_to_as_long_as_it_may_be(stage: Stage, reply: Reply) -> None:
    """And no longer: the receiver finds the connection ended."""
    stage.settings.timeout_s = PATIENCE_S
    async with Receiver(reply) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        delivery = await stage.outcome()
        assert (delivery.state, delivery.last_status) == ("delivered", 200)
        async with asyncio.timeout(PATIENCE_S):
            await receiver.hung_up.wait()


@pytest.mark.parametrize("nonsense", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000])
async def test_what_is_not_http_is_a_failure(stage: Stage, nonsense: bytes) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(nonsense)
        await writer.drain()

    async with Receiver(reply) as receiver:
        await stage.register(receiver.url)
        await stage.deliver()

        await stage.happens()

        delivery = await stage.outcome()
        assert delivery.state == "pending"
        assert delivery.last_error


async def test_a_closed_port_is_a_failure(stage: Stage) -> None:
    async with Receiver() as receiver:
        url = receiver.url
    await stage.register(url)
    await stage.deliver()

    await stage.happens()

    assert "Could not connect" in ((await stage.outcome()).last_error or "")


# Looking after a receiver


@both
async def test_a_webhook_is_changed_under_its_version(stage: Stage) -> None:
    made = await stage.register("https://example.com/hook", "player.online")

    changed = await stage.webhooks.update(
        stage.owner,
        made["id"],
        {"url": "https://example.com/other", "events": ["player.offline"]},
        version=made["version"],
        face="test",
    )

    assert (changed["url"], changed["events"], changed["status"]) == (
        "https://example.com/other",
        ["player.offline"],
        "active",
    )
    assert changed["version"] == made["version"] + 1
    with pytest.raises(PreconditionFailed):
        await stage.webhooks.update(stage.owner, made["id"], {"events": ["*"]}, version=made["version"], face="test")
    await stage.happens(1, "player.online")
    await stage.happens(2, "player.offline")
    assert [delivery.name for delivery in await stage.deliveries()] == ["player.offline"]


async def test_a_change_to_an_address_inside_is_refused_and_changes_nothing(stage: Stage) -> None:
    made = await stage.register("https://example.com/hook")
    outside = Webhooks(stage.db, stage.bus)

    for changes in ({"url": "https://10.0.0.7/"}, {"events": ["player.onlin"]}):
        with pytest.raises(Invalid):
            await outside.update(stage.owner, made["id"], changes, version=None, face="test")

    assert await stage.webhooks.get(stage.owner, made["id"]) == {
        name: value for name, value in made.items() if name != "secret"
    }


@both
async def test_what_happens_while_a_webhook_is_paused_waits_for_it(stage: Stage) -> None:
    async with Receiver() as receiver:
        made = await stage.register(receiver.url)
        await stage.deliver()
        paused = await stage.webhooks.update(stage.owner, made["id"], {"status": "paused"}, version=None, face="test")
        assert (paused["status"], paused["paused_at"] is not None) == ("paused", True)
        await stage.happens(1)
        other = await stage.register(receiver.url, "player.updated")
        await stage.happens(2, "player.updated")
        assert (await receiver.next()).number == 2  # the deliverer has looked, and left the paused one alone
        assert receiver.heard.empty()

        await stage.webhooks.update(stage.owner, made["id"], {"status": "active"}, version=None, face="test")

        assert (await receiver.next()).number == 1
        assert other["status"] == "active"


@both
async def test_both_secrets_sign_until_the_old_one_ends(stage: Stage) -> None:
    async with Receiver() as receiver:
        made = await stage.register(receiver.url)
        rotated = await stage.webhooks.rotate(stage.owner, made["id"], overlap_s=3_600, face="test")
        assert rotated["secret"] != made["secret"]
        await stage.deliver()
        await stage.happens(1)

        during = await receiver.next()
        during.verified(made["secret"])
        during.verified(rotated["secret"])
        assert during.headers["X-Spot-Signature"] == spot_signature(made["secret"], during.body)
        assert during.headers["X-Spot-Signature-Next"] == spot_signature(rotated["secret"], during.body)

        ended = await stage.webhooks.retire_secret(stage.owner, made["id"], face="test")
        assert ended["old_secret_until"] is None
        await stage.happens(2)
        after = await receiver.next()
        after.verified(rotated["secret"])
        with pytest.raises(WebhookVerificationError):
            after.verified(made["secret"])
        assert after.headers["X-Spot-Signature"] == spot_signature(rotated["secret"], after.body)
        assert "X-Spot-Signature-Next" not in after.headers
        listed = str(await stage.webhooks.list(stage.owner))
        assert made["secret"] not in listed
        assert rotated["secret"] not in listed


async def test_an_old_secret_ends_by_itself(stage: Stage) -> None:
    async with Receiver() as receiver:
        made = await stage.register(receiver.url)
        rotated = await stage.webhooks.rotate(stage.owner, made["id"], overlap_s=60, face="test")
        await stage.deliver(clock=lambda: now_ms() + 61_000)
        await stage.happens()

        heard = await receiver.next()

        assert heard.headers["X-Spot-Signature"] == spot_signature(rotated["secret"], heard.body)
        assert " " not in heard.headers["webhook-signature"]


@both
async def test_a_ping_goes_to_one_receiver_whatever_it_listens_to(stage: Stage) -> None:
    async with Receiver(status(204, b"")) as receiver:
        made = await stage.register(receiver.url, "screen.offline")
        await stage.deliver()

        delivery = await stage.webhooks.ping(stage.owner, made["id"], wait_s=20, face="test")

        heard = await receiver.next()
        assert heard.verified(made["secret"])["event"] == "webhook.ping"
        assert (delivery["state"], delivery["last_attempt"]["status"]) == ("delivered", 204)
        assert heard.body.decode() == delivery["body"]
        assert heard.headers["webhook-id"] == delivery["message_id"]


async def test_a_ping_that_fails_says_why_at_once(stage: Stage) -> None:
    stage.settings.retry_s = [3_600]
    async with Receiver(status(418, b"I am a teapot")) as receiver:
        made = await stage.register(receiver.url)
        await stage.deliver()

        delivery = await stage.webhooks.ping(stage.owner, made["id"], wait_s=20, face="test")

        assert (delivery["state"], delivery["attempts"]) == ("pending", 1)
        attempt = delivery["last_attempt"]
        assert (attempt["status"], attempt["error"], attempt["answer"]) == (418, "Answered 418.", "I am a teapot")
        assert attempt["url"] == receiver.url
        assert delivery["next_attempt_at"] is not None


async def test_what_is_switched_off_is_not_pinged(stage: Stage) -> None:
    made = await stage.register("https://example.com/hook")
    await stage.webhooks.update(stage.owner, made["id"], {"status": "paused"}, version=None, face="test")

    with pytest.raises(Conflict) as refused:
        await stage.webhooks.ping(stage.owner, made["id"], face="test")

    assert refused.value.code == "webhook_paused"


@both
async def test_the_delivery_log_is_read_page_by_page_and_by_state(stage: Stage) -> None:
    stage.settings.retry_s = []
    async with Receiver(status(500), status(200)) as receiver:
        made = await stage.register(receiver.url)
        await stage.deliver()
        for number in range(3):
            await stage.happens(number)
            await stage.settled.get()

        def listed(**more: Any) -> Any:
            query = {"state": None, "before": None, "limit": 50} | more
            return stage.webhooks.deliveries(stage.owner, made["id"], **query)

        everything = (await listed())["data"]
        assert [one["state"] for one in everything] == ["delivered", "delivered", "failed"]
        failed = await listed(state="failed")
        assert [one["id"] for one in failed["data"]] == [everything[2]["id"]]
        first = await listed(limit=2)
        rest = await listed(limit=2, before=first["meta"]["next"])
        assert first["data"] + rest["data"] == everything
        assert rest["meta"]["next"] is None
        with pytest.raises(Invalid):
            await listed(before="other-1")


@both
async def test_one_delivery_is_made_again_under_its_old_id(stage: Stage) -> None:
    async with Receiver() as receiver:
        made = await stage.register(receiver.url)
        await stage.deliver()
        await stage.happens()
        first = await receiver.next()
        before = await stage.outcome()
        assert before.id is not None

        again = await stage.webhooks.redeliver(stage.owner, made["id"], before.id, wait_s=20, face="test")

        second = await receiver.next()
        assert second.headers["webhook-id"] == first.headers["webhook-id"]
        assert second.body == first.body
        assert (again["state"], again["attempts"]) == ("delivered", 1)
        stranger = await team_owner(stage.db, "rival")
        with pytest.raises(NotFound):
            await stage.webhooks.redeliver(stranger, made["id"], before.id, face="test")


@both
async def test_a_replay_brings_what_did_not_arrive_and_what_was_never_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "REPLAY_ROWS", 2)  # more than one bite
    async with Receiver(status(200), status(410), status(200)) as receiver:
        made = await stage.register(receiver.url)
        deliverer = await stage.deliver()
        start = now_ms() - HOUR
        await stage.happens(0, at=start - 1)
        await stage.settled.get()
        await stage.happens(1, at=start)
        await stage.settled.get()  # 410: the webhook is disabled, and hears nothing from now on
        for number in (2, 3, 4):
            await stage.happens(number, at=start + number)
        await stage.happens(5, "player.updated", at=start + 5)
        assert [(await receiver.next()).number for _ in range(2)] == [0, 1]
        with pytest.raises(Conflict):
            await stage.webhooks.replay(stage.owner, made["id"], since=start, everything=False, face="test")
        await stage.webhooks.update(stage.owner, made["id"], {"status": "active"}, version=None, face="test")

        asked = await stage.webhooks.replay(stage.owner, made["id"], since=start, everything=False, face="test")
        assert asked["replaying"] is True
        while await deliverer.replay():
            pass

        assert sorted([(await receiver.next()).number for _ in range(4)]) == [1, 2, 3, 4]
        assert (await stage.webhooks.get(stage.owner, made["id"]))["replaying"] is False
        assert (await stage.webhooks.get(stage.owner, made["id"]))["status"] == "active"
        await stage.webhooks.replay(stage.owner, made["id"], since=start, everything=True, face="test")
        while await deliverer.replay():
            pass
        assert sorted([(await receiver.next()).number for _ in range(4)]) == [1, 2, 3, 4]
        assert receiver.heard.empty()


@both
async def test_a_replay_brings_what_happened_before_the_webhook_was_made(stage: Stage) -> None:
    async with Receiver() as receiver:
        start = now_ms() - HOUR
        await stage.happens(7, at=start)
        made = await stage.register(receiver.url)
        deliverer = await stage.deliver()

        await stage.webhooks.replay(stage.owner, made["id"], since=start, everything=False, face="test")
        while await deliverer.replay():
            pass

        assert (await receiver.next()).number == 7
        assert (await stage.outcome()).attempts == 1


async def test_looking_after_webhooks_is_their_teams_own_and_needs_the_scope(stage: Stage) -> None:
    made = await stage.register("https://example.com/hook")
    await stage.happens()
    [delivery] = await stage.deliveries()
    assert delivery.id is not None
    stranger = await team_owner(stage.db, "rival")
    weak = replace(stage.owner, scopes=frozenset({"admin", "read:players"}))
    other = await stage.register("https://example.com/other", "player.updated", owner=stage.owner)
    hooks = stage.webhooks

    for actor, error in ((stranger, NotFound), (weak, Forbidden)):
        for attempt in (
            hooks.get(actor, made["id"]),
            hooks.update(actor, made["id"], {"status": "paused"}, version=None, face="test"),
            hooks.rotate(actor, made["id"], overlap_s=0, face="test"),
            hooks.retire_secret(actor, made["id"], face="test"),
            hooks.ping(actor, made["id"], face="test"),
            hooks.deliveries(actor, made["id"], state=None, before=None, limit=5),
            hooks.delivery(actor, made["id"], delivery.id),
            hooks.redeliver(actor, made["id"], delivery.id, face="test"),
            hooks.replay(actor, made["id"], since=0, everything=True, face="test"),
        ):
            with pytest.raises(error):
                await attempt
    with pytest.raises(NotFound):  # a delivery is found under its own webhook only
        await hooks.delivery(stage.owner, other["id"], delivery.id)
    assert [one.state for one in await stage.deliveries()] == ["pending"]


# Keeping house


@both
async def test_old_deliveries_are_forgotten_but_none_that_is_to_come(stage: Stage) -> None:
    async with Receiver() as receiver:
        await stage.register(receiver.url)
        await stage.register("https://example.com/hook")  # nobody delivers to this one here: it stays pending
        deliverer = await stage.deliver(
            outbound=WebhookClient(LOOPBACK, 15, resolve=lambda host: ["127.0.0.1"] if host == "127.0.0.1" else [])
        )
        await stage.happens(1, at=now_ms() - 31 * DAY)
        await stage.happens(2, at=now_ms() - 29 * DAY)
        await receiver.next()
        await receiver.next()
        for _ in range(4):
            await stage.settled.get()
        await deliverer.stop()

        await deliverer.prune(now_ms())

        left = [(delivery.webhook_id, delivery.event_id) for delivery in await stage.deliveries()]
        assert len(left) == 3
        assert len({webhook_id for webhook_id, _ in left}) == 2


@both
async def test_a_delivery_whose_event_is_gone_fails_with_a_reason(stage: Stage) -> None:
    async with Receiver() as receiver:
        await stage.register(receiver.url)
        number = await stage.happens()
        async with stage.db.transaction() as session:
            await session.delete((await events.after(session, stage.owner.team_id, number - 1, 1))[0])

        await stage.deliver()

        delivery = await stage.outcome()
        assert (delivery.state, delivery.last_error) == ("failed", "The event is no longer in the log.")
        assert receiver.heard.empty()
