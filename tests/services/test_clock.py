"""The hub's clock was two hours ahead for a while, and is right again: nothing waits for those two hours."""

from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import SQLModel, col, select

from hub.config import Smtp
from hub.config import Webhooks as WebhookSettings
from hub.domain import ids
from hub.domain.events import Event
from hub.domain.presence import Graces
from hub.domain.times import DAY, HOUR, MINUTE, SECOND
from hub.services.clock import ClockWatch, Steady
from hub.services.mailer import Mailer
from hub.services.teams import prepare
from hub.store import deliveries, events
from hub.store.database import Database
from hub.store.deliveries import Attempt, Claimed
from hub.store.tables import Alert, Batch, Command, Export, Pairing, PollingDevice, PresenceRow, Subscription, Webhook
from tests.cast import team_owner
from tests.mail_server import MailServer
from tests.watched import Stage

AHEAD = 2 * HOUR
FAILED = Attempt(5, "pending", 0, 500, "Answered 500.", None, False)


class Team(Stage):
    async def set_right(self) -> None:
        """As the job does it, with the clock put back."""
        self.now -= AHEAD
        watch = ClockWatch(self.db, webhooks=WebhookSettings(), smtp=Smtp(), graces=Graces(), clock=self.clock)
        await watch.set_right()

    async def keep(self, *rows: SQLModel) -> None:
        async with self.db.transaction() as session:
            for row in rows:
                session.add(row)
                await session.flush()

    async def first(self, table: type[SQLModel]) -> Any:
        async with self.db.session() as session:
            return (await session.exec(select(table))).one()

    async def claim(self) -> list[Claimed]:
        """The deliveries that are due."""
        due = await self.db.write(deliveries.due)
        rooms = [(one.webhook_id, 10) for one in due]
        claimed: list[Claimed] = await self.db.write(deliveries.claim, rooms, self.now, self.now + MINUTE, "hub")
        return claimed

    async def fail(self, wait_ms: int) -> None:
        """What is due is tried and fails, and is to be tried again."""
        for one in await self.claim():
            attempt = replace(FAILED, next_at=self.now + wait_ms)
            await self.db.write(deliveries.settle, one, attempt, self.now, 5 * DAY)

    async def happens(self) -> None:
        await self.db.write(events.append, Event("player.online", self.owner.team_id, self.now, {}))


@pytest.fixture
async def team(db: Database) -> Team:
    await prepare(db)
    team = Team(db, await team_owner(db, "acme"))
    await team.look()
    return team


@pytest.fixture
async def hook(team: Team) -> None:
    webhook = Webhook(team_id=team.owner.team_id, url="https://example.com/", secret="whsec_eA==", created_at=team.now)
    await team.keep(webhook)
    await team.keep(Subscription(team_id=team.owner.team_id, webhook_id=webhook.id, name="player.online"))


async def test_deliveries_do_not_wait_for_the_clock_that_was_wrong(team: Team, hook: None) -> None:
    team.now += AHEAD
    await team.happens()
    await team.set_right()
    assert len(await team.claim()) == 1


async def test_a_retry_that_was_set_while_the_clock_was_ahead_is_made(team: Team, hook: None) -> None:
    team.now += AHEAD
    await team.happens()
    await team.fail(5 * SECOND)
    await team.set_right()
    assert len(await team.claim()) == 1


async def test_a_retry_that_a_receiver_asked_for_waits_as_long_as_it_asked(team: Team, hook: None) -> None:
    await team.happens()
    await team.fail(DAY)
    team.now += AHEAD
    await team.set_right()
    assert await team.claim() == []
    team.now += DAY
    assert len(await team.claim()) == 1


@pytest.mark.parametrize("tried", [False, True])
async def test_mail_does_not_wait_for_the_clock_that_was_wrong(team: Team, tried: bool) -> None:
    lobby = await team.player("Lobby")
    await team.rule("player_offline", name="Screens", offline_minutes=1, emails=["ann@acme.example"])
    await team.look()
    if not tried:
        team.now += AHEAD
    await team.leave(lobby)
    await team.look(after=MINUTE)
    settings = Smtp(host="127.0.0.1", security="none", sender="hub@signs.example", timeout_s=5)
    if tried:
        team.now += AHEAD
        await Mailer(team.db, settings.model_copy(update={"port": 1}), clock=team.clock).work()
    async with MailServer() as server:
        mailer = Mailer(team.db, settings.model_copy(update={"port": server.port}), clock=team.clock)
        await team.set_right()
        await mailer.work()
        assert [one.recipients for one in server.heard] == [["ann@acme.example"]]


async def test_an_incident_is_opened_when_its_time_is_over_by_the_right_clock(team: Team) -> None:
    lobby = await team.player("Lobby")
    await team.rule("player_offline", name="Screens", offline_minutes=5)
    await team.look()
    team.now += AHEAD
    await team.leave(lobby)
    await team.look()
    await team.set_right()
    await team.look(after=4 * MINUTE)
    assert await team.found() == []
    await team.look(after=MINUTE)
    assert await team.states() == [("open", None)]


async def test_a_rule_that_was_made_while_the_clock_was_ahead_hears_devices(team: Team) -> None:
    team.now += AHEAD
    await team.rule("picture_black")
    lobby = await team.player("Lobby")
    await team.look()
    await team.set_right()
    team.now += MINUTE
    await team.presence.noticed(lobby, "picture.black", {})
    await team.look()
    assert await team.states() == [("open", None)]


async def test_who_went_while_the_clock_was_ahead_is_offline_after_a_grace_and_flapping_calms_down(team: Team) -> None:
    lobby, lift = await team.player("Lobby"), await team.player("Lift")
    team.now += AHEAD
    for _ in range(6):
        await team.leave(lift)
        await team.connect(lift)
    await team.presence.disconnect(lobby, team.owner.team_id, team.epochs[lobby], "lost")
    await team.presence.sweep()
    await team.set_right()
    async with team.db.session() as session:
        rows = {row.player_id: row for row in await session.exec(select(PresenceRow))}
    assert rows[lobby].due_at == rows[lobby].offline_due_at == team.now + Graces().crash
    assert rows[lift].flapping
    assert all(row.since <= team.now for row in rows.values())
    for _ in range(Graces().crash // SECOND + 1):
        await team.presence.sweep()
        team.now += SECOND
    async with team.db.session() as session:
        rows = {row.player_id: row for row in await session.exec(select(PresenceRow))}
    assert not rows[lobby].online
    assert not rows[lift].flapping


async def test_a_player_that_polls_is_seen_again_by_the_right_clock(team: Team) -> None:
    lobby = await team.player("Lobby")
    team.now += AHEAD
    team.presence.saw(lobby, team.now)
    await team.presence.flush(everything=True)
    team.now -= AHEAD
    team.presence.saw(lobby, team.now)
    await team.presence.flush()
    assert (await team.players.get(team.owner, lobby))["last_seen_at"] == "2026-03-23T07:00:00Z"


async def test_a_command_waits_as_long_as_it_was_given(team: Team) -> None:
    lobby = await team.player("Lobby", online=False)
    for state, moved in (("queued", AHEAD), ("acked", 0)):  # the player has the deadline of the other
        made_at = team.now + AHEAD
        row = Command(
            id=ids.command_id(), team_id=team.owner.team_id, player_id=lobby, command="identify", delivery="safe",
            state=state, finish_within_s=10, created_at=made_at, expires_at=made_at + MINUTE, due_at=made_at + MINUTE,
            actor_kind="user", actor_id=1, actor_name="Owner", face="test",
        )  # fmt: skip
        await team.keep(row)
        team.now += AHEAD
        await team.set_right()
        async with team.db.session() as session:
            kept = (await session.exec(select(Command).where(col(Command.id) == row.id))).one()
        assert (kept.expires_at, kept.due_at) == (made_at + MINUTE - moved,) * 2


async def test_other_leases_paces_and_codes_of_that_clock_are_not_believed(team: Team) -> None:
    right, team.now = team.now, team.now + AHEAD
    for row, column, expected in (
        (
            Export(
                id="exp_1", team_id=team.owner.team_id, kind="plays", parameters="{}", created_at=right,
                claimed_until=team.now + MINUTE, expires_at=right + DAY,
            ),
            "claimed_until", None,
        ),
        (
            Batch(
                id="bat_1", team_id=team.owner.team_id, command="reboot", created_at=team.now, created_by="x",
                rate_per_minute=1, ttl_s=60, release_at=team.now + MINUTE,
            ),
            "release_at", right,
        ),
        (
            Pairing(
                device_digest="d", user_digest="u", hardware_id="h", created_at=team.now, interval_s=5,
                expires_at=team.now + 15 * MINUTE,
            ),
            "expires_at", right + 15 * MINUTE,
        ),
        (
            PollingDevice(
                player_id=900, uuid=ids.new_secret("u"), pairing_code="BCD234", code_expires_at=team.now + DAY,
                seen_at=team.now, created_at=team.now,
            ),
            "code_expires_at", right + DAY,
        ),
        (
            Alert(
                team_id=team.owner.team_id, title="Fire", severity="severe", everyone=True, starts_at=team.now,
                ends_at=team.now + HOUR, created_at=team.now,
            ),
            "starts_at", right,
        ),
    ):  # fmt: skip
        await team.keep(row)
        await team.set_right()
        assert getattr(await team.first(type(row)), column) == expected, column
        team.now += AHEAD


async def test_what_waits_as_its_rule_says_goes_on_waiting(team: Team) -> None:
    rows: list[tuple[SQLModel, str]] = [
        (Export(id="exp_1", team_id=team.owner.team_id, kind="plays", parameters="{}", created_at=team.now,
                claimed_until=team.now + 10 * MINUTE, expires_at=team.now + DAY), "claimed_until"),
        (Batch(id="bat_1", team_id=team.owner.team_id, command="reboot", created_at=team.now, created_by="x",
               rate_per_minute=1, ttl_s=60, release_at=team.now + MINUTE), "release_at"),
        (Pairing(device_digest="d", user_digest="u", hardware_id="h", created_at=team.now, interval_s=5,
                 state="invited", expires_at=team.now + DAY), "expires_at"),
        (Alert(team_id=team.owner.team_id, title="Drill", severity="minor", everyone=True, starts_at=team.now + 9 * DAY,
               ends_at=None, created_at=team.now), "starts_at"),
    ]  # fmt: skip
    kept = [getattr(row, column) for row, column in rows]
    await team.keep(*(row for row, _ in rows))
    team.now += AHEAD
    await team.set_right()
    assert [getattr(await team.first(type(row)), column) for row, column in rows] == kept


async def test_a_clock_that_is_behind_for_a_moment_changes_nothing(team: Team) -> None:
    """The hub starts a month in the past, and the clock is put right a quarter of a minute later."""
    lobby = await team.player("Lobby", online=False)
    row = Command(
        id=ids.command_id(), team_id=team.owner.team_id, player_id=lobby, command="identify", delivery="safe",
        state="queued", finish_within_s=10, created_at=team.now, expires_at=team.now + MINUTE, due_at=team.now + MINUTE,
        actor_kind="user", actor_id=1, actor_name="Owner", face="test",
    )  # fmt: skip
    await team.keep(row)
    running = 0
    steady = Steady(unsure=True, running=lambda: running)
    watch = ClockWatch(
        team.db, webhooks=WebhookSettings(), smtp=Smtp(), graces=Graces(), steady=steady, clock=team.clock
    )
    for after, moved in ((0, -31 * DAY), (10 * SECOND, 0), (5 * SECOND, 31 * DAY), (MINUTE, 0)):
        running += after
        team.now += after + moved
        await watch.set_right()
    kept = await team.first(Command)
    assert (kept.created_at, kept.expires_at) == (row.created_at, row.expires_at)
    team.now -= AHEAD  # the clock was ahead all the time, then: that is seen when it has stood for a while
    for after in (0, 3 * MINUTE):
        running += after
        team.now += after
        await watch.set_right()
    assert (await team.first(Command)).created_at == team.now
