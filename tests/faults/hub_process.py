"""The hub as a process of its own, with a knife at one step."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from hub import command_line
from hub.config import load
from tests.faults.failpoints import Failpoint, kill_myself


def live(*, data: str, port: int, failpoint: dict[str, Any] | None = None, **groups: Any) -> None:
    """Until SIGTERM or the failpoint. `groups` are further settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    settings = load(Path("/dev/null"), server={"data": data, "port": port}, **groups)
    command_line.run(settings, lambda bound: print(f"ready {bound}", flush=True), _probe(failpoint))


def _probe(failpoint: dict[str, Any] | None) -> Failpoint | None:
    if failpoint is None:
        return None
    step, nth, tally = failpoint["step"], failpoint["nth"], Path(failpoint["tally"])
    # The event loop writes at the end of its turn: only then has the frame left.
    return Failpoint(step, nth, tally, _after_this_turn if step.startswith("after send") else kill_myself)


def _after_this_turn() -> None:
    asyncio.get_running_loop().call_soon(kill_myself)
