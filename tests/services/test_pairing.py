"""The life of a pairing code, from the device's request to its token, on both databases."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hub.api.docs import manual
from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain import pairing as rules
from hub.domain.access import Actor
from hub.domain.commands import lookup
from hub.domain.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable
from hub.domain.pairing import QUIET_S
from hub.domain.presence import Graces
from hub.domain.quotas import Quotas
from hub.domain.times import DAY, SECOND
from hub.services.commands import Origin, new_row
from hub.services.events import Events
from hub.services.licences import Licences
from hub.services.pairing import PairingService
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.services.teams import prepare
from hub.store import commands as command_store
from hub.store.database import Database
from tests.cast import player_of, team_owner

HUB = "http://hub.local:8080"
START = 1_774_795_800_000


@dataclass
class Stage:
    db: Database
    bus: LocalBus
    owner: Actor
    stranger: Actor
    now: int = START
    codes: list[str] = field(default_factory=list)
    """User codes to give out first; chance decides when there are none."""

    def __post_init__(self) -> None:
        self.pairing = PairingService(
            self.db, self.bus, Licences(self.db, self.bus), clock=lambda: self.now, new_code=self._code
        )
        self.players = Players(self.db, self.bus, PresenceService(self.db, self.bus, "node", Graces()))
        self.events = Events(self.db, self.bus)

    def _code(self) -> str:
        return self.codes.pop(0) if self.codes else ids.user_code()

    async def ask(self, hardware_id: str = "pi-1", address: str | None = "192.168.1.42") -> dict[str, Any]:
        return await self.pairing.authorize("player", hardware_id, "Raspberry Pi 5", address, HUB)

    async def poll(self, asked: dict[str, Any], *, after_s: float = 5) -> dict[str, Any]:
        self.now += int(after_s * 1000)
        return await self.pairing.redeem(asked["device_code"])

    async def told(self, asked: dict[str, Any], *, after_s: float = 5) -> str:
        """The error word that the device hears."""
        with pytest.raises(BadRequest) as refused:
            await self.poll(asked, after_s=after_s)
        return refused.value.code

    async def approve(self, code: str, **choice: Any) -> dict[str, Any]:
        return await self.pairing.approve(self.owner, code, face="signalbox", **choice)

    async def pair(self, **choice: Any) -> dict[str, Any]:
        asked = await self.ask()
        await self.approve(asked["user_code"], **choice)
        return await self.poll(asked)

    async def logged(self, kind: str) -> list[dict[str, Any]]:
        page = await self.events.page(self.owner, after=None, limit=100)
        return [event for event in page["data"] if event["event"] == kind]


@pytest.fixture
async def stage(db: Database) -> Stage:
    await prepare(db)
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    return Stage(db, LocalBus(), replace(owner, address="10.0.0.5"), replace(stranger, address="10.0.0.6"))


async def test_a_device_is_told_what_rfc_8628_says(stage: Stage) -> None:
    asked = await stage.ask()
    assert asked == {
        "device_code": asked["device_code"],
        "user_code": asked["user_code"],
        "verification_uri": f"{HUB}/pair",
        "verification_uri_complete": f"{HUB}/pair?code={asked['user_code']}",
        "expires_in": 900,
        "interval": 5,
    }
    assert len(asked["user_code"]) == 6
    assert len(asked["device_code"]) == 40


async def test_the_hubs_public_address_stands_before_what_the_request_said(stage: Stage) -> None:
    pairing = PairingService(stage.db, stage.bus, Licences(stage.db, stage.bus), "https://signs.example.com/")
    asked = await pairing.authorize("player", "pi-1", None, None, HUB)
    assert asked["verification_uri"] == "https://signs.example.com/pair"


async def test_a_device_waits_is_approved_and_gets_its_token_once(stage: Stage) -> None:
    asked = await stage.ask()
    assert await stage.told(asked) == "authorization_pending"
    approved = await stage.approve(asked["user_code"], name="Lobby")
    token = await stage.poll(asked)
    assert token["token_type"] == "Bearer"
    assert token["player_id"] == approved["player_id"]
    found = await stage.players.by_token(token["access_token"])
    assert found == (approved["player_id"], ids.digest(token["access_token"]), False)
    player = await stage.players.get(stage.owner, approved["player_id"])
    assert player["name"] == "Lobby"
    assert player["hardware_id"] == "pi-1"
    assert player["paired"]
    assert await stage.told(asked) == "invalid_grant"


async def test_the_log_tells_who_approved_and_which_device_came(stage: Stage) -> None:
    await stage.pair(name="Lobby")
    [created] = await stage.logged("player.created")
    assert created["actor"]["name"] == "Owner"
    assert created["actor"]["address"] == "10.0.0.5"
    [paired] = await stage.logged("player.paired")
    assert paired["data"] == {
        "player_id": created["data"]["player_id"],
        "screen_id": created["data"]["screen_id"],
        "name": "Lobby",
        "quarantined": False,
        "hardware_id": "pi-1",
        "model": "Raspberry Pi 5",
        "address": "192.168.1.42",
    }


async def test_an_operator_sees_the_device_before_approving(stage: Stage) -> None:
    asked = await stage.ask()
    assert await stage.pairing.inspect(stage.owner, asked["user_code"]) == {
        "status": "pending",
        "model": "Raspberry Pi 5",
        "host_name": None,
        "hardware_id": "pi-1",
        "address": "192.168.1.42",
        "requested_at": "2026-03-29T14:50:00Z",
        "expires_at": "2026-03-29T15:05:00Z",
    }


@pytest.mark.parametrize("typed", ["bcd234", " B C D 2 3 4 ", "bcd-234", "BCD\N{EN DASH}234", "bcd_234", "b.c.d.2.3.4"])
async def test_a_code_is_found_however_it_is_typed(stage: Stage, typed: str) -> None:
    stage.codes = ["BCD234"]
    await stage.ask()
    assert (await stage.pairing.inspect(stage.owner, typed))["hardware_id"] == "pi-1"


async def test_a_code_that_another_device_shows_is_not_given_out_again(stage: Stage) -> None:
    stage.codes = ["BCD234"] * 6 + ["XYZ789"]
    assert (await stage.ask("pi-1"))["user_code"] == "BCD234"
    stage.codes = ["BCD234"] * 4 + ["XYZ789"]
    assert (await stage.ask("pi-2"))["user_code"] == "XYZ789"
    stage.codes = ["BCD234"] * 5
    with pytest.raises(Unavailable):
        await stage.ask("pi-3")


async def test_a_replacement_device_takes_over_the_player_and_the_old_token_dies(stage: Stage) -> None:
    first = await stage.pair(name="Lobby")
    heard: list[Any] = []
    stage.bus.subscribe(("player", first["player_id"]), heard.append)
    asked = await stage.ask("pi-2")
    approved = await stage.approve(asked["user_code"], player_id=first["player_id"])
    assert approved["player_id"] == first["player_id"]
    assert await stage.players.by_token(first["access_token"]) is not None
    assert heard == []

    second = await stage.poll(asked)
    assert second["player_id"] == first["player_id"]
    assert await stage.players.by_token(first["access_token"]) is None
    assert heard == ["revoked"]
    player = await stage.players.get(stage.owner, first["player_id"])
    assert (player["name"], player["hardware_id"]) == ("Lobby", "pi-2")


async def test_what_the_old_device_could_do_does_not_bind_the_new_one(stage: Stage) -> None:
    player = await player_of(stage.db, stage.owner)
    async with stage.db.transaction() as session:
        player.capabilities = '["reboot"]'
        session.add(player)
    await stage.pair(player_id=player.id)
    spec = lookup("take_screenshot")
    row = new_row(Origin(stage.owner, "spot"), spec, player.id or 0, {}, None, stage.now)
    assert await stage.db.write(command_store.send, row, spec, stage.owner, stage.now, Quotas()) is None


async def test_of_many_requests_for_one_token_a_single_one_gets_it(stage: Stage) -> None:
    asked = await stage.ask()
    await stage.approve(asked["user_code"])
    answers = await asyncio.gather(
        *(stage.pairing.redeem(asked["device_code"]) for _ in range(20)), return_exceptions=True
    )
    tokens = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(tokens) == 1
    assert {error.code for error in answers if isinstance(error, BadRequest)} == {"invalid_grant"}
    assert await stage.players.by_token(tokens[0]["access_token"]) is not None
    assert len(await stage.logged("player.paired")) == 1


async def test_a_player_is_called_by_its_model_where_that_can_be_read(stage: Stage) -> None:
    for model, name in (
        ("Pi\u00a05", "Pi\u00a05"), ("\u3164 \u200b", "New player"), (None, "New player"),
        ("x" * 200, "x" * 60), ("Pi\u202e5\u200b \u2066!", "Pi 5 !"), ("\x1b[31mPi\r\nBcc: x", "[31mPi Bcc: x"),
    ):  # fmt: skip
        asked = await stage.pairing.authorize("player", f"pi-{model}", model, None, HUB)
        await stage.approve(asked["user_code"])
        assert (await stage.players.listing(stage.owner))[0][-1]["name"] == name


async def test_of_many_approvals_a_single_one_makes_a_player(stage: Stage) -> None:
    asked = await stage.ask()
    answers = await asyncio.gather(
        *(stage.approve(asked["user_code"], name=f"P{number}") for number in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert {type(answer) for answer in answers} == {dict, Conflict}
    assert (await stage.players.listing(stage.owner))[1] == 1


async def test_a_device_that_asks_too_often_must_slow_down_and_stay_slower(stage: Stage) -> None:
    asked = await stage.ask()
    assert await stage.told(asked) == "authorization_pending"
    assert await stage.told(asked, after_s=1) == "slow_down"
    assert await stage.told(asked, after_s=5) == "slow_down"
    assert await stage.told(asked, after_s=14.5) == "authorization_pending"
    assert await stage.told(asked, after_s=5) == "slow_down"


async def test_approval_is_heard_even_by_a_device_that_asks_too_often(stage: Stage) -> None:
    asked = await stage.ask()
    assert await stage.told(asked) == "authorization_pending"
    await stage.approve(asked["user_code"])
    assert (await stage.poll(asked, after_s=0))["access_token"]


async def test_a_refused_device_is_told(stage: Stage) -> None:
    asked = await stage.ask()
    await stage.pairing.deny(stage.owner, asked["user_code"])
    assert await stage.told(asked) == "access_denied"
    with pytest.raises(Conflict):
        await stage.approve(asked["user_code"])


async def test_a_code_expires_before_or_after_approval(stage: Stage) -> None:
    waiting, approved = await stage.ask("pi-1"), await stage.ask("pi-2")
    await stage.approve(approved["user_code"])
    stage.now += 900_000
    assert await stage.told(waiting, after_s=0) == "expired_token"
    assert await stage.told(approved, after_s=0) == "expired_token"
    with pytest.raises(NotFound):
        await stage.approve(waiting["user_code"])
    stage.now += 900_001
    await stage.pairing.sweep(stage.now)
    assert await stage.told(waiting, after_s=0) == "invalid_grant"


async def test_a_device_code_that_nobody_gave_out_is_an_invalid_grant(stage: Stage) -> None:
    assert await stage.told({"device_code": "x" * 40}) == "invalid_grant"


async def test_only_players_are_clients(stage: Stage) -> None:
    with pytest.raises(BadRequest) as refused:
        await stage.pairing.authorize("browser", "pi-1", None, None, HUB)
    assert refused.value.code == "invalid_client"


async def test_five_devices_of_one_address_wait_at_a_time(stage: Stage) -> None:
    codes = [(await stage.ask(f"pi-{number}"))["user_code"] for number in range(5)]
    with pytest.raises(TooMany) as refused:
        await stage.ask("pi-6")
    assert refused.value.retry_after == QUIET_S
    await stage.ask("pi-6", address="192.168.1.43")
    await stage.approve(codes[0])
    await stage.ask("pi-6")


async def test_a_code_that_nobody_asks_with_gives_way_to_a_device_of_the_same_address(stage: Stage) -> None:
    waiting = [await stage.ask(f"pi-{number}") for number in range(5)]
    stage.now += (QUIET_S - 10) * SECOND
    for one in waiting[1:]:
        assert await stage.told(one) == "authorization_pending"
    stage.now = START + QUIET_S * SECOND
    await stage.ask("pi-6")
    assert await stage.told(waiting[0]) == "invalid_grant"
    with pytest.raises(TooMany):
        await stage.ask("pi-7")


async def test_the_limit_of_an_address_holds_when_all_ask_at_once(stage: Stage) -> None:
    answers = await asyncio.gather(*(stage.ask(f"pi-{number}") for number in range(12)), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 5
    assert sum(isinstance(answer, TooMany) for answer in answers) == 7


async def test_a_device_that_starts_again_gives_up_its_old_code(stage: Stage) -> None:
    first = await stage.ask()
    for _ in range(8):
        stage.now += QUIET_S * SECOND
        latest = await stage.ask()
    assert await stage.told(first) == "invalid_grant"
    assert await stage.told(latest, after_s=0) == "authorization_pending"


async def test_two_machines_of_one_hardware_id_keep_their_codes_and_become_two_players(stage: Stage) -> None:
    """As copied cards have it, and boards whose maker has filled in nothing."""
    machines = [await stage.ask("To be filled by O.E.M.") for _ in range(2)]
    for _ in range(QUIET_S // 5):
        assert [await stage.told(one, after_s=2.5) for one in machines] == ["authorization_pending"] * 2
    for number in range(2):
        await stage.ask(f"pi-{number}")  # whoever asks meanwhile
    made = [(await stage.approve(one["user_code"]))["player_id"] for one in machines]
    assert [(await stage.poll(one))["player_id"] for one in machines] == made
    assert made[0] != made[1]


async def test_five_machines_of_one_hardware_id_wait_at_a_time(stage: Stage) -> None:
    """The sixth may come when one of them has not asked for a while."""
    machines = [await stage.ask() for _ in range(5)]
    with pytest.raises(TooMany) as refused:
        await stage.ask()
    assert refused.value.retry_after == QUIET_S
    for one in machines[1:]:
        assert await stage.told(one) == "authorization_pending"
    stage.now = START + QUIET_S * SECOND
    await stage.ask()
    assert await stage.told(machines[0]) == "invalid_grant"
    assert [await stage.told(one) for one in machines[1:]] == ["authorization_pending"] * 4


async def test_what_a_device_has_left_behind_takes_no_place_of_another(stage: Stage) -> None:
    for _ in range(5):
        await stage.ask()
    stage.now += QUIET_S * SECOND
    await stage.ask("pi-2")
    assert len([await stage.ask(f"pi-{number}") for number in range(3, 6)]) == 3


async def test_requests_are_paced_for_a_whole_ipv6_network(stage: Stage) -> None:
    for number in range(60):
        await stage.ask(f"pi-{number}", address=f"2001:db8:1:2::{number + 1:x}")
    with pytest.raises(TooMany):
        await stage.ask("pi-60", address="2001:db8:1:2:ffff::1")
    await stage.ask("pi-60", address="2001:db8:1:3::1")


async def guess(stage: Stage, actor: Actor, number: int) -> None:
    with pytest.raises(NotFound):
        await stage.pairing.inspect(actor, f"XXXX{number:02}")


async def test_one_subscriber_does_not_take_the_room_of_all(stage: Stage) -> None:
    with pytest.raises(TooMany):
        for number in range(150):  # at one moment
            await stage.ask(address=f"2001:db8:0:{number:x}::1")
    assert number == rules.REQUESTS_PER_56.at_once
    with pytest.raises(TooMany):
        for number in range(256, 400):
            await stage.ask(address=f"2001:db8:0:{number:x}::1")
    assert number - 256 == rules.REQUESTS_PER_48.at_once - rules.REQUESTS_PER_56.at_once
    await stage.ask(address="2001:db8:1::1")


async def test_of_full_room_the_oldest_that_nobody_asks_with_gives_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "OPEN_IN_ALL", 2)
    waits, left = await stage.ask("pi-1"), await stage.ask("pi-2")
    with pytest.raises(Unavailable):
        await stage.ask("pi-3", "192.0.2.1")
    assert await stage.told(waits, after_s=QUIET_S) == "authorization_pending"
    await stage.ask("pi-3", "192.0.2.1")
    assert await stage.told(waits) == "authorization_pending"
    assert await stage.told(left) == "invalid_grant"


async def test_guesses_are_paced_per_address(stage: Stage) -> None:
    for number in range(10):
        await guess(stage, stage.owner, number)
    with pytest.raises(TooMany) as refused:
        await stage.pairing.inspect(stage.owner, "XXXX99")
    assert refused.value.retry_after == 10
    stage.now += 10_000
    await guess(stage, stage.owner, 11)


async def test_guesses_are_paced_per_team_wherever_they_come_from(stage: Stage) -> None:
    for number in range(30):
        await guess(stage, replace(stage.owner, address=f"10.0.1.{number}"), number)
    with pytest.raises(TooMany):
        await stage.pairing.deny(replace(stage.owner, address="10.0.2.1"), "XXXX99")
    await guess(stage, stage.stranger, 1)


def test_a_code_is_guessed_within_a_day_with_less_than_one_chance_in_a_million() -> None:
    shown, invitation = len(ids.TYPED) ** 6, len(ids.TYPED) ** 14
    a_day = rules.GUESSES_PER_TEAM.at_once + DAY // rules.GUESSES_PER_TEAM.every_ms
    assert a_day / shown < 1e-6
    answered, invited = 1_000 * DAY // SECOND, 100_000
    assert answered * invited / invitation < 1e-6
    page = manual.source("limits")
    assert f"{a_day} wrong codes a day" in page
    assert len(rules.read_code(ids.invitation_code())) == 14


async def test_strangers_who_guess_invitations_lock_out_nobody_who_is_signed_in(stage: Stage) -> None:
    here = "10.0.0.5"
    for _ in range(10):
        with pytest.raises(BadRequest):
            await stage.pairing.authorize("player", "pi-9", None, here, HUB, invitation="BCD-234")
    with pytest.raises(TooMany):
        await stage.pairing.authorize("player", "pi-9", None, here, HUB, invitation="BCD-234")
    await guess(stage, stage.owner, 1)
    other = replace(stage.stranger, address=here)
    for number in range(10):
        await guess(stage, other, number)
    with pytest.raises(TooMany):
        await stage.pairing.inspect(other, "XXXX99")
    await stage.approve((await stage.ask())["user_code"])


async def test_right_codes_at_once_cost_nothing(stage: Stage) -> None:
    codes = [(await stage.ask(f"pi-{n}", f"192.0.2.{n}"))["user_code"] for n in range(40)]
    answers = await asyncio.gather(*(stage.approve(code, name=code) for code in codes))
    assert {answer["name"] for answer in answers} == set(codes)


async def test_right_codes_cost_nothing_so_an_installer_is_never_slowed(stage: Stage) -> None:
    for number in range(40):
        asked = await stage.ask(f"pi-{number}", address=f"192.168.1.{number}")
        await stage.pairing.inspect(stage.owner, asked["user_code"])
        await stage.approve(asked["user_code"])
    assert (await stage.players.listing(stage.owner))[1] == 40


async def test_pairing_needs_the_admin_scope(stage: Stage) -> None:
    asked = await stage.ask()
    operator = replace(stage.owner, scopes=stage.owner.scopes - {"admin"})
    calls: list[Callable[[], Any]] = [
        lambda: stage.pairing.inspect(operator, asked["user_code"]),
        lambda: stage.pairing.approve(operator, asked["user_code"], face="signalbox"),
        lambda: stage.pairing.deny(operator, asked["user_code"]),
    ]
    for call in calls:
        with pytest.raises(Forbidden):
            await call()


async def test_another_teams_player_cannot_be_taken_over(stage: Stage) -> None:
    theirs = await player_of(stage.db, stage.stranger)
    asked = await stage.ask()
    with pytest.raises(NotFound):
        await stage.approve(asked["user_code"], player_id=theirs.id)
    assert await stage.told(asked) == "authorization_pending"


async def test_a_name_and_a_player_contradict_each_other(stage: Stage) -> None:
    asked = await stage.ask()
    with pytest.raises(Invalid):
        await stage.approve(asked["user_code"], name="Lobby", player_id=1)


async def test_a_player_without_a_name_is_called_by_its_model(stage: Stage) -> None:
    assert (await stage.pair())["player_name"] == "Raspberry Pi 5"


async def test_a_new_device_lifts_a_quarantine(stage: Stage) -> None:
    player = await player_of(stage.db, stage.owner)
    async with stage.db.transaction() as session:
        player.quarantined_at = stage.now
        session.add(player)
    token = await stage.pair(player_id=player.id)
    found = await stage.players.by_token(token["access_token"])
    assert found is not None
    assert found[2] is False


async def test_a_device_waits_once_and_is_let_go_by_a_decision_or_a_stop(stage: Stage) -> None:
    first, second = await stage.ask("pi-1"), await stage.ask("pi-2")
    forever = 10**6
    waits = [asyncio.create_task(stage.pairing.decided(one["device_code"], forever)) for one in (first, second)]
    await asyncio.sleep(0)  # both have their place
    await stage.pairing.decided(first["device_code"], forever)
    await stage.approve(first["user_code"])
    await waits[0]
    assert not waits[1].done()
    stage.pairing.close()
    await waits[1]
    await stage.pairing.decided(second["device_code"], forever)


async def test_only_so_many_devices_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.services.pairing.WAITING", 0)
    await stage.pairing.decided((await stage.ask())["device_code"], 10**6)


async def test_who_has_no_code_that_waits_is_not_kept(stage: Stage) -> None:
    await stage.pairing.decided("made up", 10**6)
    stage.now += 900 * SECOND + (asked := await stage.ask())["expires_in"] * SECOND
    await stage.pairing.decided(asked["device_code"], 10**6)


async def test_a_deleted_player_takes_its_pairing_with_it(stage: Stage) -> None:
    player = await player_of(stage.db, stage.owner)
    asked = await stage.ask()
    await stage.approve(asked["user_code"], player_id=player.id)
    await stage.players.delete(stage.owner, player.id or 0, face="signalbox")
    assert await stage.told(asked) == "invalid_grant"


async def test_codes_made_while_the_clock_is_behind_live_as_long_as_others(stage: Stage) -> None:
    right, stage.now = stage.now, stage.now - 31 * DAY
    player = await player_of(stage.db, stage.owner)
    behind = PairingService(
        stage.db, stage.bus, Licences(stage.db, stage.bus), clock=lambda: stage.now, reached=lambda: right
    )
    invited = await behind.invite(stage.owner, player.id or 0)
    shown = await behind.authorize("player", "pi-1", None, None, HUB)
    stage.now = right
    await stage.approve(shown["user_code"])
    assert await stage.poll(shown)
    asked = await stage.pairing.authorize("player", "pi-2", None, None, HUB, invitation=invited["code"])
    assert (await stage.poll(asked))["player_id"] == player.id
