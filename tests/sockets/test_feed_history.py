"""Snapshot + events = fresh snapshot, whatever happened, and however often the listener was away.

Histories are made up by hypothesis and lived through on a real hub: one listener keeps what it is told, goes away and
comes back with its cursor; at the end it must believe what a new listener is told at once, and what the API says. A
second node shares the database; its clock is moved, so that flapping calms down.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hub.domain import ids
from hub.domain.commands import CATALOGUE
from hub.domain.errors import Forbidden
from hub.domain.presence import Device, Graces
from hub.domain.times import MINUTE, now_ms
from hub.services.presence import PresenceService
from hub.store import retention
from hub.store.database import Database
from tests.harness import Hub, running_hub, settings
from tests.operator import Operator, State, operator

HAPPENS = ("create", "rename", "delete", "connect", "leave", "lose", "flap", "quarantine", "lift", "clone", "pair",
           "command", "time passes")  # fmt: skip
OF_THE_LISTENER = ("go away", "come back", "forget")

one_of_them = st.sampled_from(HAPPENS) | st.sampled_from(OF_THE_LISTENER)
steps = st.lists(st.tuples(one_of_them, st.integers(0, 3)), min_size=5, max_size=30)


@dataclass
class World:
    hub: Hub
    db: Database
    presence: PresenceService
    clock: list[int]
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    players: list[int] = field(default_factory=list)
    epochs: dict[int, int] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    team_id: int = 0

    async def step(self, name: str, choice: int) -> None:
        client = self.hub.client
        if name == "create" or not self.players:
            player_id, token = await self.hub.player(f"Player {next(self.numbers)}")
            self.players.append(player_id)
            self.tokens[player_id] = token
            return
        player_id = self.players[choice % len(self.players)]
        path = f"/api/v1/players/{player_id}"
        if name == "rename":
            await client.patch(path, json={"name": f"Renamed {next(self.numbers)}"})
        elif name == "delete":
            await client.delete(path)
            self.players.remove(player_id)
        elif name == "connect":
            await self.connect(player_id, "hw-1")
        elif name in ("leave", "lose"):
            await self.leave(player_id, "bye" if name == "leave" else "lost")
        elif name == "flap":
            for _ in range(7):
                await self.connect(player_id, "hw-1")
                await self.leave(player_id, "bye")
        elif name == "quarantine":
            await self.presence.quarantine(player_id, "flooding")
        elif name == "lift":
            await client.patch(path, json={"quarantined": False})
        elif name == "clone":
            for hardware in ("a", "b", "a"):
                await self.connect(player_id, hardware)
        elif name == "command":
            await client.post("/api/v1/commands", json={"player_id": player_id, "command": "identify"})
        elif name == "pair":
            await self.pair(player_id)
        elif name == "time passes":
            self.clock[0] += 6 * MINUTE
        while await self.presence.sweep():
            pass

    async def connect(self, player_id: int, hardware: str) -> None:
        device = Device(hardware, None, None, None, "agent 1", "mpv", "0.38", tuple(CATALOGUE))
        try:
            connected = await self.presence.connect(player_id, ids.digest(self.tokens[player_id]), None, device)
        except Forbidden:  # in quarantine, which is as good an end of this step as any
            return
        self.team_id, self.epochs[player_id] = connected.team_id, connected.epoch

    async def pair(self, player_id: int) -> None:
        """Another device takes the player's place; a quarantine ends with it."""
        asked = {"client_id": "player", "hardware_id": f"hw-{next(self.numbers)}"}
        offer = (await self.hub.client.post("/oauth/device_authorization", data=asked)).json()
        code = {"code": offer["user_code"], "player_id": player_id}
        assert (await self.hub.client.post("/api/v1/players/pair", json=code)).is_success
        grant = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": offer["device_code"],
            "client_id": "player",
        }
        given = (await self.hub.client.post("/oauth/token", data=grant)).json()
        self.tokens[player_id] = given["access_token"]

    async def leave(self, player_id: int, reason: Any) -> None:
        await self.presence.disconnect(player_id, self.team_id, self.epochs.get(player_id, 0), reason)


class Listener:
    def __init__(self, hub: Hub) -> None:
        self.state = State()
        self.here: Operator | None = None
        self._hub = hub
        self._stack = AsyncExitStack()

    async def come_back(self) -> None:
        if self.here is None:
            self.here = await self._stack.enter_async_context(operator(self._hub.url, self._hub.key, self.state))
            await self.here.say(
                type="subscribe",
                topics=["players"],
                **({} if self.state.cursor is None else {"after": self.state.cursor}),
            )

    async def go_away(self) -> None:
        """At any moment: some of what it was sent is still under way."""
        if self.here is not None:
            for _ in range(random.randint(0, 3)):
                try:
                    async with asyncio.timeout(0):
                        self.state.apply_text(await self.here.connection.recv())
                except TimeoutError:
                    break
            self.here = None
            await self._stack.aclose()
            if not self.state.whole:  # a snapshot in parts was broken off: it is asked for again
                self.state.cursor = None


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    config = settings(folder, rate_limits={"enabled": False})
    clock = [0]
    async with running_hub(config) as hub:
        db = Database(config.database_url)
        await db.start()
        presence = PresenceService(
            db, hub.registry.bus, "second node", Graces(unclean=0, drain=0), clock=lambda: now_ms() + clock[0]
        )
        yield World(hub, db, presence, clock)
        await db.stop()


async def live_through(world: World, history: list[tuple[str, int]]) -> None:
    listener = Listener(world.hub)
    await listener.come_back()
    for name, choice in history:
        if name == "go away":
            await listener.go_away()
        elif name == "come back":
            await listener.come_back()
        elif name == "forget":
            if listener.here is None:  # what somebody is being told is never so old
                while await world.db.write(retention.forget, "events", now_ms() + 365 * 24 * 60 * MINUTE):
                    pass
        else:
            await world.step(name, choice)
    await listener.come_back()
    last = f"The last {next(world.numbers)}"
    await world.hub.player(last)
    assert listener.here is not None
    while not any(player["name"] == last for player in listener.state.players.values()):
        await listener.here.hear()
    async with operator(world.hub.url, world.hub.key) as fresh:
        await fresh.subscribe("players")
        assert listener.state.players == fresh.state.players
        assert listener.state.counts == fresh.state.told_counts
    await listener.go_away()
    for player in (await world.hub.client.get("/api/v1/players")).json()["data"]:
        told = listener.state.players.pop(player["id"])
        assert (told["name"], told["quarantined"]) == (player["name"], player["quarantined"])
        assert told["status"] in (player["status"], "flapping")
    assert listener.state.players == {}


def test_what_a_listener_believes_is_what_is(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        place = world(tmp_path)
        here = runner.run(place.__aenter__())

        @hypothesis_settings(
            max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(steps)
        def lived(history: list[tuple[str, int]]) -> None:
            here.players = here.players[-3:]
            random.seed(len(history))
            runner.run(live_through(here, history))

        try:
            lived()
        finally:
            runner.run(place.__aexit__(None, None, None))
