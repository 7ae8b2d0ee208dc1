"""A process that has loaded hub and agent once and forks them, so that a life costs milliseconds instead of seconds.

What it forks are processes like any other: own memory, own files, killed for good by SIGKILL. Orders come as lines of
JSON on standard input, births and deaths go out on standard output; when its input ends, or itself, everybody dies.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from tests.faults import agent_process, hub_process

ROLES: dict[str, Callable[..., None]] = {"hub": hub_process.live, "agent": agent_process.live}
BROKEN = 70
"""Exit status of a life that ended in an exception."""

PR_SET_PDEATHSIG = 1  # of prctl(2): the signal that comes when the parent dies

LOADED_LATE = (
    "aiosqlite",
    "anyio._backends._asyncio",
    "device_agent.agent",
    "device_agent.players.simulated",
    "device_agent.system.simulated",
    "hub.app",
    "hub.server",
    "hub.store.migrations",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
)
"""What hub and agent import only when they need it, which is at once."""


def main() -> None:
    for name in LOADED_LATE:
        importlib.import_module(name)
    gc.freeze()
    children: dict[int, tuple[int, int]] = {}  # by the descriptor that tells of its end: (number of the order, pid)
    told = b""
    while True:
        for ready in select.select([0, *children], [], [])[0]:
            if ready != 0:
                number, pid = children.pop(ready)
                os.close(ready)
                _tell(number=number, status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                continue
            data = os.read(0, 65_536)
            if not data:
                for _, pid in children.values():
                    os.kill(pid, signal.SIGKILL)
                return
            *orders, told = (told + data).split(b"\n")
            for line in orders:
                order = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    _live(order)
                children[os.pidfd_open(pid)] = (order["number"], pid)
                _tell(number=order["number"], pid=pid)


def _tell(**news: int) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


def _live(order: dict[str, Any]) -> None:
    """In the child; does not return."""
    status = BROKEN
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for ours, theirs in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(ours, theirs)
        ROLES[order["role"]](**order["options"])
        status = 0
    except SystemExit as exit:
        status = exit.code if isinstance(exit.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
