"""The device agent as a process of its own, with a knife at one step."""

import json
import os
from pathlib import Path
from typing import Any

from device_agent import command_line
from device_agent.connection import reconnect
from tests.faults.failpoints import ACTS, Failpoint


def live(
    *, hub: str, state: str, config: str = "", failpoint: dict[str, Any] | None = None, hasty: bool = False
) -> None:
    """Until SIGTERM, the failpoint, or a reboot of its simulated machine (exit status 75).

    `hasty`: it comes back after tenths of a second instead of seconds, so that a run with several deaths stays short.
    """
    if hasty:
        reconnect.FIRST_S, reconnect.LONGEST_S = 0.1, 0.5
    probe = None
    if failpoint is not None and failpoint["step"] in ACTS:
        os.environ["DEED_FAILPOINT"] = json.dumps(failpoint)
    elif failpoint is not None:
        probe = Failpoint(failpoint["step"], failpoint["nth"], Path(failpoint["tally"]))
    arguments = ["run", "--hub", hub, "--state", state, "--player", "simulated", "--name", Path(state).name]
    command_line.main([*arguments, *(["--config", config] if config else [])], probe=probe)
