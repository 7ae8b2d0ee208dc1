"""What the agent keeps is its user's alone: folders 0700, files 0600.

The program's umask makes new ones so; what was left open, by an earlier version or by hand, is closed at a start.
"""

import logging
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

log = logging.getLogger(__name__)

UMASK = 0o077
WALK_LIMIT = 50_000  # things looked at below one folder, a second or so; what is beyond is in a closed folder

_OWN = (
    "token", "lock", "journal.db", "journal.db-wal", "journal.db-shm", "machine.json", "hardware_id", "manifest.json",
    "downloads", "players",
)  # fmt: skip
"""What an agent has in its state folder, which may be a folder of other things too."""


def close_to_others(state: Path) -> None:
    """Take from other users what they may do with the state folder and what the agent has in it, and say so in one
    line. A folder that all share (/tmp) is left as it is."""
    closed = 0
    for path in _open_ones(state):
        try:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~UMASK)
            closed += 1
        except OSError as error:
            log.warning("%s is open to other users: %s", path, error.strerror)
            return
    if closed:
        log.warning("the state in %s was open to other users; %d files and folders are closed now", state, closed)


def _open_ones(state: Path) -> Iterator[Path]:
    """Each folder before what is in it: closed first, nobody slips in meanwhile."""
    if _is_open(state):
        yield state
    for path in (state / name for name in _OWN):
        if _is_open(path):
            yield path
            if path.is_dir():
                yield from (one for one in islice(_below(path), WALK_LIMIT) if not one.is_symlink() and _is_open(one))


def _is_open(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return bool(mode & UMASK) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)


def _below(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        yield from (Path(where, name) for name in folders + files)
