"""Players that poll, on both kinds of database, with a clock of our own."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from hub.bus.local import LocalBus
from hub.domain import polling as rules
from hub.domain.errors import Conflict, Invalid, NotFound, TooMany, Unavailable
from hub.domain.presence import Graces
from hub.domain.times import DAY, MINUTE, SECOND, now_ms, parse
from hub.services.alerts import Alerts
from hub.services.batches import Batches
from hub.services.commands import Commands, Origin
from hub.services.content import Content
from hub.services.downloads import Downloads
from hub.services.licences import Licences
from hub.services.media_probe import Prober
from hub.services.pairing import PairingService
from hub.services.players import Players
from hub.services.polling_players import Polling
from hub.services.presence import PresenceService
from hub.services.programs import Programs
from hub.services.releases import Releases
from hub.services.spool import Spool
from hub.services.weather import Weather
from hub.store import events
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.tables import Command, Session
from tests.cast import team_owner

GRACES = Graces()
HERE = "192.0.2.9"
EVENTS = ("player.online", "player.offline", "command.finished")


class Away(Releases):
    """Releases that cannot be read while they are `away`."""

    away = False

    async def newest(self, team_id: int) -> dict[str, Any] | None:
        if self.away:
            raise Unavailable
        return await super().newest(team_id)


class Stage:
    """A hub's services around polling with a clock that only we move."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.db = db
        self.now = now_ms()
        self.codes = 0
        bus = LocalBus()
        self.presence = PresenceService(db, bus, "hub", GRACES, clock=lambda: self.now)
        self.commands = Commands(db, bus)
        self.players = Players(db, bus, self.presence)
        licences = Licences(db, bus)
        self.pairing = PairingService(db, bus, licences, clock=lambda: self.now)
        blobs = Blobs((folder / "blobs").as_uri())
        downloads = Downloads(db, blobs, "secret")
        self.releases = Away(db, bus)
        self.polling = Polling(
            db,
            bus,
            self.presence,
            self.commands,
            Alerts(db, bus),
            self.releases,
            licences,
            Programs(db, bus, Weather(bus)),
            Content(db, bus, blobs, Spool(folder / "incoming", max_bytes=1_000), Prober(1_000_000), downloads),
            downloads,
            enabled=True,
            grace=GRACES.polling,
            clock=lambda: self.now,
            new_code=self._code,
        )

    def _code(self) -> str:
        self.codes += 1
        return f"C{self.codes:05d}"

    async def begin(self) -> None:
        self.owner = await team_owner(self.db, "acme")
        self.origin = Origin(self.owner, "adcast")

    async def pair(self, uuid: str, name: str = "Lobby") -> int:
        registered = await self.polling.register(uuid, address=HERE)
        paired = await self.pairing.approve(self.owner, registered["pairing_code"], name=name, face="adcast")
        assert paired["player_id"] == registered["device_id"]
        number: int = paired["player_id"]
        return number

    async def beat(self, uuid: str, **readings: object) -> list[tuple[str, object]]:
        answer = await self.polling.heartbeat(uuid, readings, HERE)
        return [(command["command"], command["payload"]) for command in answer["commands"]]

    async def pass_time(self, milliseconds: int) -> None:
        """With the supervised loops: a sweep each second, a flush every five."""
        end = self.now + milliseconds
        while self.now < end:
            self.now = min(end, self.now + SECOND)
            await self.presence.sweep()
            if self.now // SECOND % 5 == 0:
                await self.presence.flush()

    async def status(self, player_id: int) -> str:
        return str((await self.players.get(self.owner, player_id))["status"])

    async def told(self) -> list[str]:
        async with self.db.session() as session:
            rows = await events.after(session, self.owner.team_id, 0, 1000)
        return [f"{row.type} {events.as_data(row)['status']}" for row in rows if row.type in EVENTS]

    async def state(self, command: dict[str, str]) -> tuple[str, object]:
        story = await self.commands.get(self.owner, command["command_id"])
        return story["status"], story["detail"]


@pytest.fixture
async def stage(db: Database, tmp_path: Path) -> Stage:
    stage = Stage(db, tmp_path)
    await stage.begin()
    return stage


async def test_who_was_just_heard_is_online_with_its_pairing_and_who_was_not_is_not(stage: Stage) -> None:
    number = await stage.pair("tv-1")
    assert await stage.status(number) == "online"
    code = (await stage.polling.register("tv-2", address=HERE))["pairing_code"]
    await stage.pass_time(GRACES.polling)
    assert await stage.status(number) == "offline"  # the registration was the last that was heard of it
    paired = await stage.pairing.approve(stage.owner, code, face="adcast")
    assert not paired["online"]
    assert await stage.status(paired["player_id"]) == "offline"
    assert await stage.told() == ["player.online online", "player.offline offline"]


async def test_what_a_heartbeat_said_is_stored_before_its_answer(stage: Stage) -> None:
    number = await stage.pair("tv-1")
    await stage.polling.heartbeat("tv-1", {"volume": 30, "ip_address": "192.168.1.100"}, HERE)
    await stage.polling.heartbeat("tv-1", {"volume": 40}, HERE)
    bus = LocalBus()
    after_a_kill = Players(stage.db, bus, PresenceService(stage.db, bus, "hub", GRACES))
    player = await after_a_kill.get(stage.owner, number)
    assert player["telemetry"] == {"volume": 40, "ip_address": "192.168.1.100"}
    assert player["telemetry_at"] is not None
    assert (player["ip_address"], player["connection_address"]) == ("192.168.1.100", HERE)


async def test_who_comes_online_is_told_with_its_own_address_or_with_that_of_its_connection(stage: Stage) -> None:
    told = await stage.pair("tv-1")
    await stage.pass_time(GRACES.polling)
    await stage.polling.heartbeat("tv-1", {"ip_address": "192.168.1.100"}, HERE)
    silent = await stage.pair("tv-2")
    async with stage.db.session() as session:
        rows = await events.after(session, stage.owner.team_id, 0, 1000)
    online = {row.player_id: events.as_data(row)["ip_address"] for row in rows if row.type == "player.online"}
    assert online == {told: "192.168.1.100", silent: HERE}


async def test_a_device_keeps_its_number_and_its_code_until_somebody_pairs_it(stage: Stage) -> None:
    other = await stage.players.create(stage.owner, name="Other", face="test")
    first = await stage.polling.register("tv-1", model="Mi Box", os_version="11", license_key="NO-SUCH", address=HERE)
    assert first == {
        "device_id": other["id"] + 1,
        "pairing_code": "C00001",
        "paired": False,
        "device_name": None,
        "is_locked": False,
        "lock_pin": None,
        "license_activated": False,
    }
    between = await stage.players.create(stage.owner, name="Between", face="test")
    assert between["id"] == first["device_id"] + 1
    assert await stage.polling.register("tv-1", app_version="2.0.0", address=HERE) == first
    assert (await stage.polling.heartbeat("tv-1", {"volume": 3}, HERE))["commands"] == []
    waiting = await stage.pairing.inspect(stage.owner, "c0-0001")
    assert (waiting["status"], waiting["model"], waiting["hardware_id"]) == ("pending", "Mi Box", "tv-1")
    with pytest.raises(Invalid):
        await stage.pairing.approve(stage.owner, "C00001", player_id=other["id"], face="adcast")

    stage.now += rules.CODE_LIFETIME + 1
    with pytest.raises(NotFound):
        await stage.pairing.approve(stage.owner, "C00001", face="adcast")
    renewed = await stage.polling.register("tv-1", address=HERE)
    assert renewed["device_id"] == first["device_id"]
    assert renewed["pairing_code"] != first["pairing_code"]
    paired = await stage.pairing.approve(stage.owner, renewed["pairing_code"], name="Lobby", face="adcast")
    assert paired["player_id"] == first["device_id"]
    with pytest.raises(NotFound):  # once
        await stage.pairing.approve(stage.owner, renewed["pairing_code"], face="adcast")
    again = await stage.polling.register("tv-1", model="Mi Box S", address=HERE)
    assert again == first | {"pairing_code": None, "paired": True, "device_name": "Lobby"}
    player = await stage.players.get(stage.owner, paired["player_id"])
    assert (player["model"], player["os_version"], player["app_version"]) == ("Mi Box S", "11", "2.0.0")
    assert player["paired"]
    assert player["connected"]


async def test_a_licence_is_activated_by_the_device_that_sends_it(stage: Stage) -> None:
    licence = await Licences(stage.db, LocalBus()).create(stage.owner, key="ADCAST-AAAA-BBBB", note=None, face="test")
    registered = await stage.polling.register("tv-1", license_key="adcast-aaaa-bbbb", address=HERE)
    assert not registered["license_activated"]
    await stage.pairing.approve(stage.owner, registered["pairing_code"], face="adcast")
    assert (await stage.polling.register("tv-1", address=HERE))["license_activated"]
    await stage.pair("tv-2")
    assert not (await stage.polling.register("tv-2", license_key=licence["key"], address=HERE))["license_activated"]


async def test_a_player_is_online_from_its_pairing_until_90_seconds_after_it_was_last_heard(stage: Stage) -> None:
    player = await stage.pair("tv-1")
    for _ in range(4):
        await stage.beat("tv-1", volume=20)
        assert await stage.status(player) == "online"
        await stage.pass_time(MINUTE)
    heard = stage.now - MINUTE
    await stage.pass_time(29 * SECOND)
    assert await stage.status(player) == "online"
    await stage.pass_time(SECOND)
    assert await stage.status(player) == "offline"
    assert await stage.told() == ["player.online online", "player.offline offline"]
    described = await stage.players.get(stage.owner, player)
    assert described["telemetry"]["volume"] == 20
    assert not described["connected"]

    await stage.beat("tv-1")
    assert await stage.told() == ["player.online online", "player.offline offline", "player.online online"]
    async with stage.db.session() as session:
        query = select(Session.ended_at, Session.reason).order_by(col(Session.started_at))
        assert list(await session.exec(query)) == [(heard, "silent"), (None, None)]


async def test_a_restart_of_the_hub_is_no_silence_of_the_players(stage: Stage) -> None:
    player = await stage.pair("tv-1")
    await stage.beat("tv-1")
    stage.now += 10 * MINUTE
    stage.presence = PresenceService(stage.db, LocalBus(), "hub", GRACES, clock=lambda: stage.now)
    await stage.presence.recover()
    await stage.pass_time(80 * SECOND)
    assert await stage.status(player) == "online"
    await stage.pass_time(11 * SECOND)
    assert await stage.status(player) == "offline"


async def test_commands_go_out_once_and_are_proved_by_what_a_later_heartbeat_says(stage: Stage) -> None:
    player = await stage.pair("tv-1")

    async def send(name: str, **payload: object) -> dict[str, str]:
        sent: dict[str, str] = await stage.commands.send(stage.origin, player, name, payload or None)
        return sent

    reboot, volume = await send("reboot"), await send("set_volume", volume=40)
    shot = await send("screenshot")
    assert await stage.beat("tv-1", uptime_seconds=500, volume=40) == [
        ("reboot", {}),
        ("set_volume", {"volume": 40}),
        ("take_screenshot", {}),
    ]
    assert await stage.state(volume) == ("delivered", None)
    assert await stage.beat("tv-1", uptime_seconds=560, volume=70) == []
    assert await stage.state(reboot) == ("delivered", {"uptime_before": 500})
    assert await stage.state(volume) == ("delivered", None)
    assert await stage.beat("tv-1", uptime_seconds=12, volume=40) == []
    assert await stage.state(reboot) == ("succeeded", {"uptime_before": 500, "uptime_after": 12})
    assert await stage.state(volume) == ("succeeded", {"volume": 40})
    assert (await stage.state(shot))[0] == "delivered"
    assert (await stage.players.get(stage.owner, player))["settings"] == {"volume": 40}
    assert (await stage.told())[1:] == ["command.finished delivered"] * 3 + ["command.finished succeeded"] * 2

    await send("identify")
    beats = await asyncio.gather(*(stage.beat("tv-1") for _ in range(5)))
    assert sorted(map(len, beats)) == [0, 0, 0, 0, 1]  # never twice

    late = await send("reboot")
    async with stage.db.transaction() as session:
        await session.exec(update(Command).where(col(Command.id) == late["command_id"]).values(expires_at=1))
    assert await stage.beat("tv-1", uptime_seconds=1) == []


async def test_a_heartbeat_that_the_hub_cannot_answer_costs_no_command(stage: Stage) -> None:
    player_id = await stage.pair("u1")
    await stage.commands.send(stage.origin, player_id, "reload_content", None)
    stage.releases.away = True
    with pytest.raises(Unavailable):
        await stage.beat("u1")
    stage.releases.away = False
    assert await stage.beat("u1") == [("reload_content", {})]
    assert await stage.beat("u1") == []


async def test_what_is_for_a_player_that_polls_waits_until_it_asks(stage: Stage) -> None:
    player = await stage.pair("tv-1")
    agent = await stage.players.create(stage.owner, name="Agent", face="test")
    group = await stage.players.create_group(stage.owner, name="All", player_ids=[player, agent["id"]], face="test")
    batches = Batches(stage.db, LocalBus(), stage.commands)

    async def waits(command_id: str) -> int:
        story = await stage.commands.get(stage.owner, command_id)
        return (parse(story["expires_at"]) - parse(story["created_at"])) // SECOND

    for number, expected in ((player, 300), (agent["id"], 60)):
        sent = await stage.commands.send(stage.origin, number, "reboot")
        assert await waits(sent["command_id"]) == expected
        sent = await stage.commands.send(stage.origin, number, "lock", {"pin": "1234"})
        assert await waits(sent["command_id"]) == 86_400
        sent = await stage.commands.send(stage.origin, number, "reboot", ttl_s=10)
        assert await waits(sent["command_id"]) == 10
    for rate in (None, 100_000):
        batch = await batches.send(stage.origin, group["id"], "reboot", rate_per_minute=rate)
        assert {each["player_id"]: await waits(each["command_id"]) for each in batch["commands"][:1]} == {player: 300}


async def test_a_lock_is_told_with_every_heartbeat_until_it_is_lifted(stage: Stage) -> None:
    player = await stage.pair("tv-1")
    with pytest.raises(Invalid):
        await stage.polling.lock(stage.origin, player, "12")
    await stage.polling.lock(stage.origin, player, "1234")
    for _ in range(2):
        answer = await stage.polling.heartbeat("tv-1", {}, HERE)
        assert (answer["is_locked"], answer["lock_pin"], answer["commands"]) == (True, "1234", [])
    assert (await stage.polling.register("tv-1", address=HERE))["lock_pin"] == "1234"
    assert "pin" not in (await stage.players.get(stage.owner, player))["settings"]
    await stage.commands.send(stage.origin, player, "unlock")  # by another face
    answer = await stage.polling.heartbeat("tv-1", {}, HERE)
    assert (answer["is_locked"], answer["lock_pin"]) == (False, None)

    connects = await stage.players.create(stage.owner, name="Agent", face="test")
    await stage.polling.lock(stage.origin, connects["id"], "1234")
    assert (await stage.players.get(stage.owner, connects["id"]))["settings"] == {}  # it has yet to say so


async def test_a_wished_volume_is_asked_for_until_the_device_tells_it(stage: Stage) -> None:
    player = await stage.pair("tv-1")
    wishes = {"volume": 30, "brightness": 50, "display_on": False}

    async def shown() -> tuple[dict[str, Any], dict[str, Any]]:
        detail = await stage.players.get(stage.owner, player)
        return detail["reported"], detail["settings_failed"]

    await stage.players.update(stage.owner, player, {"settings": wishes}, version=None, face="test")
    cannot = dict.fromkeys(("brightness", "display_on"), "A player that polls cannot be told of this.")
    mute = {"volume": "This player tells no volume, so it is not kept to one."}
    assert await shown() == ({}, cannot | mute)
    assert await stage.beat("tv-1") == []
    for _ in range(2):  # an answer that is lost costs nothing
        assert await stage.beat("tv-1", volume=80, screen_on=True) == [("set_volume", {"volume": 30})]
    assert await shown() == ({"volume": 80, "display_on": True}, cannot)
    assert await stage.beat("tv-1", volume=30) == []
    assert await shown() == ({"volume": 30, "display_on": True}, cannot)
    assert await stage.commands.listing(stage.owner) == []

    louder = await stage.commands.send(stage.origin, player, "set_volume", {"volume": 60})
    assert await stage.beat("tv-1", volume=31) == [("set_volume", {"volume": 60})]  # whoever asks last is right
    assert await stage.beat("tv-1", volume=60) == []
    assert await stage.state(louder) == ("succeeded", {"volume": 60})
    await stage.players.update(stage.owner, player, {"settings": {"volume": 5}}, version=None, face="test")
    assert await stage.beat("tv-1", volume=60) == [("set_volume", {"volume": 5})]


async def test_a_uuid_reaches_nothing_once_the_player_has_a_token_or_is_gone(stage: Stage) -> None:
    with pytest.raises(NotFound, match="Device not registered"):
        await stage.beat("tv-1")
    player = await stage.pair("tv-1")
    await stage.beat("tv-1")
    await stage.players.issue_token(stage.owner, player, face="test")
    with pytest.raises(NotFound, match="Device not registered"):
        await stage.beat("tv-1")
    with pytest.raises(Invalid):
        await stage.polling.register("tv-1", address=HERE)
    await stage.pass_time(91 * SECOND)
    assert await stage.status(player) == "offline"

    gone = await stage.pair("tv-2")
    await stage.players.delete(stage.owner, gone, face="test")
    with pytest.raises(NotFound, match="Device not registered"):
        await stage.beat("tv-2")
    anew = await stage.polling.register("tv-2", address=HERE)
    assert not anew["paired"]
    assert anew["device_id"] > gone


async def test_devices_that_nobody_wants_are_refused_few_and_forgotten(stage: Stage) -> None:
    refused = await stage.polling.register("tv-0", address=HERE)
    await stage.pairing.deny(stage.owner, refused["pairing_code"])
    with pytest.raises(NotFound):
        await stage.beat("tv-0")
    with pytest.raises(TooMany):
        for number in range(rules.OPEN_PER_NETWORK + 2):
            await stage.polling.register(f"tv-{number}", address=HERE)
    await stage.polling.register("tv-elsewhere", address="2001:db8::1")
    known = await stage.polling.register("tv-0", address=HERE)  # known ones are not paced
    stage.now += 3 * DAY
    await stage.beat("tv-0")
    await stage.polling.sweep(stage.now)
    assert await stage.beat("tv-0") == []
    with pytest.raises(NotFound):
        await stage.beat("tv-1")
    again = await stage.polling.register("tv-0", address=HERE)
    assert again["device_id"] == known["device_id"]


async def test_one_subscriber_does_not_take_the_room_of_all(stage: Stage) -> None:
    with pytest.raises(TooMany):
        for number in range(rules.OPEN_PER_SITE + 1):
            await stage.polling.register(f"tv-{number}", address=f"2001:db8:0:{number:x}::1")
    assert number == rules.OPEN_PER_SITE
    await stage.polling.register("tv-elsewhere", address="2001:db8:1::1")
    await stage.polling.register("tv-elsewhere", address="2001:db8:0:1::1")  # a known one


async def test_of_full_room_the_one_longest_not_heard_gives_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "OPEN_IN_ALL", 2)
    await stage.polling.register("tv-1", address=HERE)
    await stage.polling.register("tv-2", address=HERE)
    with pytest.raises(Unavailable):
        await stage.polling.register("tv-3", address=HERE)
    stage.now += rules.QUIET
    await stage.beat("tv-1")
    await stage.polling.register("tv-3", address=HERE)
    await stage.beat("tv-1")
    with pytest.raises(NotFound):
        await stage.beat("tv-2")


async def test_of_two_operators_with_one_code_one_pairs(stage: Stage) -> None:
    registered = await stage.polling.register("tv-1", address=HERE)
    code = registered["pairing_code"]
    both = [stage.pairing.approve(stage.owner, code, face="adcast") for _ in range(2)]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict | NotFound) for outcome in outcomes) == 1
    assert len((await stage.players.listing(stage.owner))[0]) == 1


async def test_a_network_that_guesses_uuids_is_slowed_down(stage: Stage) -> None:
    await stage.pair("tv-1")
    for number in range(rules.GUESSES.at_once):
        with pytest.raises(NotFound):
            await stage.beat(f"guess-{number}")
    for ask in (stage.beat("tv-1"), stage.polling.playlist("tv-1", "", HERE), stage.polling.download("tv-1", 1, HERE)):
        with pytest.raises(TooMany):
            await ask
    await stage.polling.heartbeat("tv-1", {}, "192.0.2.10")
    stage.now += SECOND
    await stage.beat("tv-1")
