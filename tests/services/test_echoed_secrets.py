"""A device that says a PIN again tells it to nobody who reads its words."""

from typing import Any

import orjson

from hub.bus.local import LocalBus
from hub.domain import ids
from hub.domain.commands import CATALOGUE, Outcome
from hub.domain.presence import Device, Graces
from hub.domain.times import now_ms
from hub.services.commands import Commands, Origin
from hub.services.events import Events
from hub.services.players import Players
from hub.services.presence import FAILED, PresenceService
from hub.services.teams import prepare
from hub.store.database import Database
from tests.cast import player_of, team_owner

PIN = "47119"
DEVICE = Device("hw-1", "NUC", "12", None, "agent 1", "simulated", "1", (*CATALOGUE, "custom:door"))
ECHO: dict[str, Any] = {"pin": PIN, "code": int(PIN), "said": f"PIN {PIN} set", "list": [PIN]}


async def test_a_pin_comes_back_in_nothing_that_is_told(db: Database) -> None:
    await prepare(db)
    owner = await team_owner(db, "acme")
    player_id = (await player_of(db, owner)).id or 0
    bus = LocalBus()
    presence = PresenceService(db, bus, "node", Graces())
    players, commands, events = Players(db, bus, presence), Commands(db, bus), Events(db, bus)
    heard: list[Any] = []
    bus.subscribe(("progress", None), heard.append)
    token = await players.issue_token(owner, player_id, face="test")
    await presence.connect(player_id, ids.digest(token), None, DEVICE)
    origin = Origin(owner, "test")

    async def send(name: str, **payload: Any) -> str:
        command_id: str = (await commands.send(origin, player_id, name, payload))["command_id"]
        return command_id

    async def record(command_id: str, status: str, detail: dict[str, Any]) -> None:
        said = f"{PIN} is wrong" if status == "failed" else None
        await commands.record(player_id, Outcome(command_id, status, detail, status, said, None, now_ms()))

    first = await send("lock", pin=PIN)
    for percent in (10, 20):
        await commands.progress(player_id, first, percent, f"setting {PIN}")
    assert PIN not in orjson.dumps(await commands.get(owner, first)).decode()
    await record(first, "succeeded", {"locked": True} | ECHO)
    await record(await send("lock", pin=PIN), "failed", ECHO)
    await record(await send("unlock"), "failed", ECHO)
    await record(await send("custom:door", pin=PIN), "failed", ECHO)
    presence.report(player_id, reported={"locked": True, **ECHO, FAILED: {"locked": f"not with {PIN}"}})
    await presence.noticed(player_id, "player.crashed", ECHO)

    told = [
        heard,
        await commands.listing(owner),
        await players.get(owner, player_id),
        await events.page(owner, after=None, limit=100),
    ]
    assert len(heard) == 2
    assert [one for one in told if PIN in orjson.dumps(one).decode()] == []
    assert (await presence.wanted(player_id))[0]["pin"] == PIN  # which its device is told
