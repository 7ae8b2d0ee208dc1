"""Where the knife falls: every named step on the way of a command, and plans that spread kills over all of them."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

Role = Literal["hub", "agent"]

HUB_COMMITS = (
    "commands.send",
    "commands.claim",
    "commands.acknowledge",
    "commands.record",
    "commands.reconcile",
    "commands.cancel",
    "commands.cancels",
    "commands.expire",
    "presence.connect",
    "presence.disconnect",
    "presence.recover",
    "uploads.find_or_check",
    "uploads.record",
)
HUB_SENDS = ("welcome", "command", "result_ok", "upload_ready", "upload_done", "cancel")
AGENT_STATES = ("accepted", "running", "finished", "confirmed")
AGENT_SENDS = ("hello", "ack", "result", "upload", "bye")
ACTS = ("before act", "after act", "machine down")
"""Inside the program that a command runs, see `deed.py`: before it does anything, right after it has, and the reboot
that takes the agent with it."""


def _around(*steps: str) -> list[str]:
    return [f"{when} {step}" for step in steps for when in ("before", "after")]


HUB_STEPS = _around(*(f"commit {unit}" for unit in HUB_COMMITS), *(f"send {kind}" for kind in HUB_SENDS))
AGENT_STEPS = [
    *_around(*(f"journal {state}" for state in AGENT_STATES), *(f"send {kind}" for kind in AGENT_SENDS)),
    *ACTS,
]

KILLS_A_RUN = 3
"""So that 20 runs visit every failpoint, and a command can meet more than one death."""


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL for `victim` at the `nth` time that it passes `step`, counted from when it was armed."""

    victim: Role
    step: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.victim}: {self.step}"


EVERYWHERE = [Kill("hub", step) for step in HUB_STEPS] + [Kill("agent", step) for step in AGENT_STEPS]


class Failpoint:
    """A probe that ends its own process. The tally is a file, because an agent may also reboot in between."""

    def __init__(self, step: str, nth: int, tally: Path, die: Callable[[], None] | None = None) -> None:
        self._step = step
        self._nth = nth
        self._tally = tally
        self._die = die or kill_myself

    def __call__(self, step: str) -> None:
        if step == self._step:
            with self._tally.open("ab") as file:
                file.write(b".")
                passed = file.tell()
            if passed == self._nth:
                self._die()


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plan(runs: int, seed: int) -> list[list[Kill]]:
    """The kills of each run: all failpoints in a shuffled order, again and again, so that none is left out."""
    chance = Random(seed)
    deck: list[Kill] = []
    planned = []
    for _ in range(runs):
        kills = []
        for _ in range(KILLS_A_RUN):
            deck = deck or chance.sample(EVERYWHERE, len(EVERYWHERE))
            kills.append(deck.pop())
        planned.append(_in_order([Kill(kill.victim, kill.step, _nth(kill.step, chance)) for kill in kills], chance))
    return planned


def _nth(step: str, chance: Random) -> int:
    if step.endswith("presence.recover"):
        return 1  # once in the life of a hub
    if step.endswith("commands.expire"):
        return chance.randint(3, 4)  # every half second, whether anything is due or not; then something is
    return chance.randint(1, 2)


def _in_order(kills: Sequence[Kill], chance: Random) -> list[Kill]:
    """Recovery comes after a crash: it is the last to be cut short, and never the only one."""
    recovering = [kill for kill in kills if kill.step.endswith("presence.recover")]
    others = [kill for kill in kills if kill not in recovering]
    if recovering and not any(kill.victim == "hub" for kill in others):
        others.append(Kill("hub", chance.choice(_around("commit commands.claim", "send command"))))
    return others + recovering
