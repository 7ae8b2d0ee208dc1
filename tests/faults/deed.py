"""What `reboot` and `custom:stamp` do here: write one line that names the command, into a file that the agent never
reads. Run as a program: `deed.py COMMAND STATE_FOLDER LINES_FILE`.

A custom command is named by its payload, which comes on standard input. A reboot has none, so its id is taken from
where the agent must have put it before it acts: its journal. With a failpoint in the environment the deed kills the
agent: before the line is written, after it, or as a reboot does, when the machine has a new boot id already.
"""

import json
import os
import signal
import sqlite3
import sys
import uuid

NAMELESS = "a reboot"


def main(command: str, state: str, lines: str) -> None:
    due = _due(os.environ.get("DEED_FAILPOINT"), command)
    if due == "before act":
        os.kill(os.getppid(), signal.SIGKILL)
        return
    _write(lines, _reboot(os.path.join(state, "journal.db")) if command == "reboot" else json.load(sys.stdin)["name"])
    if due == "machine down":
        _boot(os.path.join(state, "machine.json"))
    if due is not None:
        os.kill(os.getppid(), signal.SIGKILL)


def _due(failpoint: "str | None", command: str) -> "str | None":
    """The step to die at, when this is the passing that was asked for."""
    if failpoint is None:
        return None
    wanted = json.loads(failpoint)
    if wanted["step"] == "machine down" and command != "reboot":
        return None
    with open(wanted["tally"], "ab") as tally:
        tally.write(b".")
        return wanted["step"] if tally.tell() == wanted["nth"] else None


def _reboot(journal: str) -> str:
    """The id of the reboot that has begun; NAMELESS when the agent was killed, came back and is done with it."""
    db = sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=10)
    try:
        # Commands of the class `once` run one at a time, in order: it is the newest that has begun.
        found = db.execute(
            "SELECT id FROM entry WHERE command = 'reboot' AND state <> 'accepted' ORDER BY number DESC LIMIT 1"
        ).fetchone()
    finally:
        db.close()
    return found[0] if found else NAMELESS


def _write(path: str, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{line}\n".encode())
    os.fsync(file)
    os.close(file)


def _boot(path: str) -> None:
    with open(path) as file:
        machine = json.load(file)
    machine["boot_id"] = str(uuid.uuid4())
    with open(f"{path}.reboot", "w") as file:
        json.dump(machine, file)
    os.replace(f"{path}.reboot", path)


if __name__ == "__main__":
    main(*sys.argv[1:])
