"""The last word of an operator about a setting stands, whichever way it came and whatever is carried out last."""

from dataclasses import dataclass
from typing import Any

import pytest

from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain.access import Actor
from hub.domain.commands import CATALOGUE, Outcome
from hub.domain.presence import Device, Graces
from hub.domain.times import now_ms
from hub.services.batches import Batches
from hub.services.commands import Commands, Origin
from hub.services.events import Events
from hub.services.players import Players
from hub.services.presence import PresenceService
from hub.services.teams import prepare
from hub.store.database import Database
from tests.cast import player_of, team_owner

DEVICE = Device("hw-1", "NUC", "12", None, "agent 1", "simulated", "1", tuple(CATALOGUE))
LOCK = {"locked": True, "pin": "1234"}


@dataclass
class Stage:
    db: Database
    owner: Actor
    player_id: int

    def __post_init__(self) -> None:
        self.bus = LocalBus()
        self.origin = Origin(self.owner, "test")
        self.presence = PresenceService(self.db, self.bus, "node", Graces())
        self.commands = Commands(self.db, self.bus)
        self.batches = Batches(self.db, self.bus, self.commands)
        self.players = Players(self.db, self.bus, self.presence)
        self.events = Events(self.db, self.bus)
        self.told: list[Any] = []
        self.bus.subscribe(("player", self.player_id), self.told.append)

    async def connect(self) -> int:
        token = await self.players.issue_token(self.owner, self.player_id, face="test")
        return (await self.presence.connect(self.player_id, ids.digest(token), None, DEVICE)).epoch

    async def send(self, name: str, **payload: Any) -> str:
        command_id: str = (await self.commands.send(self.origin, self.player_id, name, payload))["command_id"]
        return command_id

    async def sent(self, epoch: int, name: str, **payload: Any) -> str:
        """A command on its way to the player."""
        command_id = await self.send(name, **payload)
        assert [one.id for one in await self.commands.claim(self.player_id, "node", epoch, 8)] == [command_id]
        return command_id

    async def succeed(self, command_id: str, **detail: Any) -> None:
        outcome = Outcome(command_id, "succeeded", detail, None, None, None, now_ms())
        await self.commands.record(self.player_id, outcome)

    async def wish(self, **settings: Any) -> None:
        changes = {"settings": settings}
        await self.players.update(self.owner, self.player_id, changes, version=None, face="test")

    async def wished(self) -> dict[str, Any]:
        return (await self.presence.wanted(self.player_id))[0]

    async def story(self, command_id: str) -> tuple[str, str | None]:
        story = await self.commands.get(self.owner, command_id)
        return story["status"], story["error"] and story["error"]["code"]

    async def group(self) -> int:
        made = await self.players.create_group(self.owner, name="All", player_ids=[self.player_id], face="test")
        number: int = made["id"]
        return number

    async def finished(self, command_id: str) -> list[tuple[str, str | None]]:
        """(status, error) of the events that tell of its end."""
        page = await self.events.page(self.owner, after=None, limit=100)
        data = [event["data"] for event in page["data"] if event["event"] == "command.finished"]
        return [(one["status"], one.get("error")) for one in data if one["command_id"] == command_id]


@pytest.fixture
async def stage(db: Database) -> Stage:
    await prepare(db)
    owner = await team_owner(db, "acme")
    return Stage(db, owner, (await player_of(db, owner)).id or 0)


@pytest.mark.parametrize(
    ("command", "payload", "settings"),
    [
        ("set_volume", {"volume": 10}, {"volume": 90}),
        ("set_display", {"on": False}, {"display_on": True}),
        ("unlock", {}, LOCK),
        ("lock", {"pin": "4321"}, {"locked": False}),
        ("lock", {"pin": "4321"}, LOCK),
    ],
)
async def test_what_waits_to_set_a_setting_is_over_when_that_is_set(
    stage: Stage, command: str, payload: dict[str, Any], settings: dict[str, Any]
) -> None:
    waits = await stage.send(command, **payload)
    other = await stage.send("identify")
    heard: list[Any] = []
    stage.bus.subscribe(("command", waits), heard.append)
    await stage.wish(**settings)
    assert await stage.story(waits) == ("cancelled", "superseded")
    assert await stage.finished(waits) == [("cancelled", "superseded")]
    assert heard
    assert await stage.story(other) == ("queued", None)


async def test_a_command_about_another_setting_still_goes_out(stage: Stage) -> None:
    waits = await stage.send("set_volume", volume=10)
    await stage.wish(display_on=True)
    assert await stage.story(waits) == ("queued", None)
    await stage.succeed(waits, volume=10)
    assert await stage.wished() == {"display_on": True, "volume": 10}


async def test_a_command_that_was_asked_for_later_is_the_wish_once_it_is_done(stage: Stage) -> None:
    await stage.wish(volume=90)
    await stage.succeed(await stage.sent(await stage.connect(), "set_volume", volume=10), volume=10)
    assert await stage.wished() == {"volume": 10}
    assert "settings" not in stage.told[1:]


@pytest.mark.parametrize("acknowledged", [False, True])
async def test_an_older_command_that_was_under_way_leaves_the_wish_which_is_told_again(
    stage: Stage, acknowledged: bool
) -> None:
    epoch = await stage.connect()
    under_way = await stage.sent(epoch, "unlock")
    if acknowledged:
        await stage.commands.acknowledge(stage.player_id, under_way)
    await stage.wish(**LOCK)
    stage.told.clear()
    await stage.succeed(under_way, locked=False)
    assert await stage.story(under_way) == ("succeeded", None)
    assert await stage.wished() == LOCK
    assert stage.told == ["settings"]


async def test_a_failure_of_an_older_command_may_have_changed_the_device_and_the_wish_is_told_again(
    stage: Stage,
) -> None:
    under_way = await stage.sent(await stage.connect(), "set_volume", volume=10)
    await stage.wish(volume=90)
    stage.told.clear()
    await stage.commands.record(
        stage.player_id, Outcome(under_way, "failed", None, "broken", "Half done.", None, now_ms())
    )
    assert stage.told == ["settings"]


async def test_of_two_commands_the_younger_stands_whichever_ends_last(stage: Stage) -> None:
    epoch = await stage.connect()
    older = await stage.sent(epoch, "lock", pin="1234")
    younger = await stage.sent(epoch, "unlock")
    await stage.succeed(younger, locked=False)
    await stage.succeed(older, locked=True)
    assert await stage.wished() == {"locked": False, "pin": None}


async def test_what_never_arrived_and_is_not_wished_any_more_is_not_sent_again(stage: Stage) -> None:
    lost = await stage.sent(await stage.connect(), "set_volume", volume=10)
    await stage.wish(volume=90)
    again = await stage.connect()
    await stage.commands.reconcile(stage.player_id, again, requeue=[lost], acked=[], lost=[])
    assert await stage.story(lost) == ("cancelled", "superseded")
    assert await stage.commands.claim(stage.player_id, "node", again, 8) == []


async def test_a_wish_of_a_group_ends_what_waits_for_its_members_and_for_no_others(stage: Stage) -> None:
    other = await player_of(stage.db, stage.owner, "Elsewhere")
    waits = await stage.send("set_volume", volume=10)
    elsewhere = await stage.commands.send(stage.origin, other.id or 0, "set_volume", {"volume": 10})
    changes = {"settings": {"volume": 90}}
    await stage.players.update_group(stage.owner, await stage.group(), changes, version=None, face="test")
    assert await stage.story(waits) == ("cancelled", "superseded")
    assert (await stage.story(elsewhere["command_id"]))[0] == "queued"
    await stage.succeed(waits, volume=10)  # a device that had it all the same
    assert await stage.wished() == {"volume": 90}


async def test_what_a_batch_holds_back_is_over_with_a_younger_wish_or_command(stage: Stage) -> None:
    group = await stage.group()
    for younger in ("settings", "command"):
        first = await player_of(stage.db, stage.owner, f"First {younger}")
        await stage.players.update_group(
            stage.owner, group, {"player_ids": [first.id, stage.player_id]}, version=None, face="test"
        )
        sent = await stage.batches.send(stage.origin, group, "set_volume", {"volume": 10}, rate_per_minute=1)
        of_player = {one["player_id"]: one["command_id"] for one in sent["commands"]}
        held = [one for one in of_player.values() if (await stage.story(one))[0] == "held"]
        [held_for] = [number for number, one in of_player.items() if one == held[0]]
        if younger == "settings":
            changes = {"settings": {"volume": 90}}
            await stage.players.update(stage.owner, held_for, changes, version=None, face="test")
        else:
            await stage.commands.send(stage.origin, held_for, "set_volume", {"volume": 90})
        assert await stage.story(held[0]) == ("cancelled", "superseded")
