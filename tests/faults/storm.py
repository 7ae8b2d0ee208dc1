"""One run: a hub, a player and an operator who asks for things while hub and agent are killed; then the judgement."""

import asyncio
import json
import random
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.client import Asked, Operator, Violation
from tests.faults.failpoints import Kill
from tests.faults.judge import Seen, judge
from tests.faults.stage import Nursery, Victim
from tests.harness import running_hub, settings
from tests.ports import free_port

ROUNDS = 6  # of commands; the failpoints of a plan are usually reached in one or two
RUN_S = 60.0  # for a whole run: what is not over then hangs
CONFIRM_S = 10.0  # for the device to hear that its outcomes are kept
DEED = Path(__file__).with_name("deed.py")

PLAYERS = {"screenshot_s": 0}
"""Pictures only when asked for, so that each upload belongs to a command."""


@dataclass(frozen=True, slots=True)
class Template:
    """A prepared data folder: a team, a player with its token, and one whose device is never there."""

    folder: Path
    key: str
    player_id: int
    token: str
    absent_id: int
    secret: str


async def make_template(folder: Path) -> Template:
    config = settings(folder)
    async with running_hub(config) as hub:
        player_id, token = await hub.player("Lobby")
        absent_id, _ = await hub.player("In its box")
    with sqlite3.connect(folder / "hub.db") as db:
        secret = db.execute("SELECT value FROM meta WHERE name = 'url_secret'").fetchone()[0]
    db.close()
    return Template(folder, hub.key, player_id, token, absent_id, secret)


@dataclass(slots=True)
class Report:
    """`reached`: failpoints at which somebody died. `outcomes`: final states by command."""

    violations: list[str] = field(default_factory=list)
    reached: list[Kill] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Storm:
    def __init__(self, nursery: Nursery, template: Template, folder: Path, kills: Sequence[Kill], seed: int) -> None:
        self._chance = random.Random(seed)
        self._template = template
        self._folder = folder
        self._stamps = 0
        self._state = folder / "agent"
        self._lines = folder / "lines"
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        shutil.copytree(template.folder, folder / "hub")
        self._state.mkdir()
        (self._state / "token").write_text(template.token)
        (folder / "agent.toml").write_text(self._agent_settings())
        hub = {"data": str(folder / "hub"), "port": port, "players": PLAYERS}
        agent = {"hub": url, "state": str(self._state), "config": str(folder / "agent.toml"), "hasty": True}
        self._hub = Victim(nursery, "hub", folder, kills, lambda: hub)
        self._agent = Victim(nursery, "agent", folder, kills, lambda: agent)
        self._operator = Operator(url, template.key)

    async def run(self) -> Report:
        report = Report()
        began = time.monotonic()
        keepers = [asyncio.create_task(victim.keep()) for victim in (self._hub, self._agent)]
        try:
            async with asyncio.timeout(RUN_S):
                await self._live_through()
                seen = await self._look()
                await self._agent.stop()
                await self._hub.stop()
                await asyncio.gather(*keepers)
                report.violations += judge(seen)
                report.outcomes.update(f"{story['command']} {story['status']}" for story in seen.stories)
        except (Violation, TimeoutError) as failure:
            report.violations.append(str(failure) or f"not over within {RUN_S:g} s")
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._operator.close()
        for victim in (self._hub, self._agent):
            report.violations += victim.violations
            report.violations += [f"never reached: {kill} ({kill.nth})" for kill in victim.due]
            report.reached += [death.kill for death in victim.deaths]
        report.seconds = time.monotonic() - began
        return report

    async def _live_through(self) -> None:
        for _ in range(ROUNDS):
            await self._round()
            if not self._hub.due and not self._agent.due:
                break
        # After the last death everything still works.
        await self._operator.until(await self._ask("identify", {"seconds": 1}))

    async def _round(self) -> None:
        """A handful of commands, one of them called back while it runs, one for a device that is not there."""
        asks: list[tuple[str, dict[str, Any]]] = [
            ("set_volume", {"volume": self._chance.randint(0, 100)}),
            ("set_volume", {"volume": self._chance.randint(0, 100)}),
            ("take_screenshot", {}),
            ("take_screenshot", {"max_width": 320}),
            ("custom:stamp", {"name": f"stamp-{self._stamps}"}),
            ("reboot", {}),
        ]
        self._stamps += 1
        self._chance.shuffle(asks)
        asked = []
        if any(kill.step.endswith("commands.expire") for kill in self._hub.due):
            asked.append(await self._operator.ask(self._template.absent_id, "reboot", {}, ttl_s=1))
        if any("cancel" in kill.step for kill in self._hub.due):
            asked.append(await self._call_one_back())
        for command, payload in asks:
            asked.append(await self._ask(command, payload))
        for one in asked:
            await self._operator.until(one)

    async def _call_one_back(self) -> Asked:
        lingering = await self._ask("custom:linger", {})
        await self._operator.until(lingering, "acked")
        await self._operator.call_back(lingering)
        return lingering

    async def _ask(self, command: str, payload: dict[str, Any]) -> Asked:
        return await self._operator.ask(self._template.player_id, command, payload, ttl_s=300)

    async def _look(self) -> Seen:
        """Gather what there is to see, while everybody lives."""
        operator = self._operator
        again = {asked.key: await operator.ask_again(asked) for asked in operator.asked}
        stories = await operator.stories()
        pictures = {
            story["id"]: await operator.picture(story["detail"]["screenshot_id"], self._template.secret)
            for story in stories
            if story["command"] == "take_screenshot" and story["status"] == "succeeded"
        }
        died = [death.at for death in self._agent.deaths]
        return Seen(
            operator.asked,
            stories,
            again=again,
            events=await operator.events(),
            lines=self._lines.read_text().splitlines() if self._lines.exists() else [],
            pictures=pictures,
            open=await self._unconfirmed(),
            volume=self._volume(),
            agent_died=died,
        )

    async def _unconfirmed(self) -> list[str]:
        """Ids in the journal whose outcome the hub has not confirmed, once none is left or nothing comes any more."""
        deadline = time.monotonic() + CONFIRM_S
        while True:
            open_ids = [row[0] for row in self._journal("SELECT id FROM entry WHERE confirmed_at IS NULL")]
            if not open_ids or time.monotonic() > deadline:
                return open_ids
            await asyncio.sleep(0.02)  # a file of another process has no event to await

    def _volume(self) -> int | None:
        rows = self._journal("SELECT value FROM memory WHERE name = 'settings'")
        return json.loads(rows[0][0]).get("volume") if rows else None

    def _journal(self, query: str) -> list[Any]:
        db = sqlite3.connect(f"file:{self._state / 'journal.db'}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(query).fetchall()
        finally:
            db.close()

    def _agent_settings(self) -> str:
        deed = [sys.executable, "-S", "-E", str(DEED)]
        where = [str(self._state), str(self._lines)]
        return "\n".join(
            (
                "[system]",
                f"reboot_command = {json.dumps([*deed, 'reboot', *where])}",
                "[custom.stamp]",
                f"command = {json.dumps([*deed, 'custom:stamp', *where])}",
                "[custom.linger]",
                'command = ["sleep", "1"]',
                'repeat = "idempotent"',
            )
        )
