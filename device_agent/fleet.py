"""Many simulated players in one process, each a whole agent, over one journal: load generator and fault simulator."""

import asyncio
import json
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_agent.agent import Agent, Options
from device_agent.connection.faults import NONE, Faults
from device_agent.connection.link import Counters
from device_agent.journal import Journal
from device_agent.players.simulated import SimulatedPlayer
from device_agent.reports.logs import RecentLines
from device_agent.system.base import Rebooted
from device_agent.system.simulated import SimulatedSystem

OPENING = 200
"""Upgrades underway at once, so that the load is the hub's work and not the kernel's accept queue."""

MOST = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    token: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """`seconds` None is until a signal; `report` asks for one JSON object at the end instead of a line a second."""

    hub_url: str
    state: Path
    tokens: Sequence[Member]
    faults: Faults = NONE
    clock_skew_s: float = 0.0
    seconds: float | None = None
    report: bool = False


@dataclass(slots=True)
class _Player:
    """One member through all its reboots."""

    member: Member
    agent: Agent | None = None
    reboots: int = 0
    past: Counters = field(default_factory=Counters)
    outcomes: Counter[str] = field(default_factory=Counter)


def read_tokens(text: str) -> list[Member]:
    """A line per player: its token and, after a space, its name. Raises ValueError."""
    members: list[Member] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=1)
        if not words or words[0].startswith("#"):
            continue
        name = words[1] if len(words) == 2 else f"Player {number}"
        members.append(Member(words[0], name))
    if not 1 <= len(members) <= MOST:
        raise ValueError(f"expected 1 to {MOST} lines with a token, found {len(members)}")
    if len({_folder(member) for member in members}) != len(members):
        raise ValueError("two players have the same name")
    return members


class Fleet:
    """`run` ends after `stop`, when every player has said goodbye."""

    def __init__(self, options: FleetOptions, logs: RecentLines) -> None:
        self._options = options
        self._logs = logs
        self._journal = Journal(options.state / "journal.db")
        self._opening = asyncio.Semaphore(OPENING)
        self._players = [_Player(member) for member in options.tokens]
        self._stopping = False

    async def run(self) -> None:
        await self._journal.open()
        try:
            async with asyncio.TaskGroup() as group:
                for player in self._players:
                    group.create_task(self._live(player))
        finally:
            await self._journal.close()

    def stop(self) -> None:
        self._stopping = True
        for player in self._players:
            if player.agent is not None:
                player.agent.stop()

    def summary(self) -> dict[str, Any]:
        """Counts since the start; `connected` is of now."""
        agents = [player.agent for player in self._players if player.agent is not None]
        links = [agent.link.counters for agent in agents] + [player.past for player in self._players]
        outcomes = sum((Counter(agent.outcomes) for agent in agents), Counter[str]())
        outcomes += sum((player.outcomes for player in self._players), Counter[str]())
        return {
            "players": len(self._players),
            "connected": sum(agent.link.connected for agent in agents),
            "connects": sum(link.connects for link in links),
            "losses": sum(link.losses for link in links),
            "refusals": sum(link.refusals for link in links),
            "reboots": sum(player.reboots for player in self._players),
            "commands": outcomes.total(),
            "results": dict(sorted(outcomes.items())),
        }

    async def _live(self, player: _Player) -> None:
        while not self._stopping:
            agent = player.agent = self._boot(player.member)
            try:
                await agent.run()
            except Rebooted:
                player.reboots += 1
            finally:
                player.agent = None
                player.outcomes.update(agent.outcomes)
                counters = agent.link.counters
                player.past.connects += counters.connects
                player.past.losses += counters.losses
                player.past.refusals += counters.refusals

    def _boot(self, member: Member) -> Agent:
        options = self._options
        state = options.state / "players" / _folder(member)
        system = SimulatedSystem(state, clock_offset_s=options.clock_skew_s)
        return Agent(
            Options(
                hub_url=options.hub_url,
                key=_folder(member),
                state=state,
                name=member.name,
                follow=False,  # a fleet loads connections, and has no screens
                faults=options.faults,
            ),
            token=member.token,
            player=SimulatedPlayer(member.name, clock=system.now),
            system=system,
            journal=self._journal,
            logs=self._logs,
            chance=random.Random(),
            opening=self._opening,
        )


async def run_fleet(options: FleetOptions, logs: RecentLines) -> None:
    """Until a signal or `options.seconds`; prints what goes on."""
    fleet = Fleet(options, logs)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, fleet.stop)
    if options.seconds is not None:
        loop.call_later(options.seconds, fleet.stop)
    telling = None if options.report else asyncio.create_task(_tell(fleet))
    try:
        await fleet.run()
    finally:
        if telling is not None:
            telling.cancel()
    print(json.dumps(fleet.summary()), flush=True)


async def _tell(fleet: Fleet) -> None:
    while True:
        await asyncio.sleep(1)
        summary = fleet.summary()
        results = " ".join(f"{status} {count}" for status, count in summary["results"].items()) or "none"
        print(
            f"connected {summary['connected']}/{summary['players']}  connects {summary['connects']}"
            f"  losses {summary['losses']}  refusals {summary['refusals']}  results: {results}",
            file=sys.stderr,
            flush=True,
        )


def _folder(member: Member) -> str:
    """The name as a folder's name and a journal key."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", member.name)[:60]
