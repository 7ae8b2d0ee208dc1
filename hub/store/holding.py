"""A folder of files from which nothing is removed for a while: a backup copies what the database named at one moment,
and a file that goes after that moment is copied no more.

The system's lock on the folder itself says so: whoever removes has a share of it, and a backup has it alone. It ends
with the process that holds it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.domain.errors import CannotStart

WAIT_S = 60.0  # for removals under way, which take milliseconds, and for another backup that is about to end
AGAIN_S = 0.01


@contextmanager
def removing(folder: Path) -> Iterator[bool]:
    """Whether something may be removed now, and until the block ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _taken(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def nothing_removed(folder: Path) -> Iterator[None]:
    """While the block lasts. Raises CannotStart when others remove all the time."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + WAIT_S
        while not _taken(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= until:
                raise CannotStart(f"Another backup of {folder} is being made.")
            time.sleep(AGAIN_S)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, kind: int) -> bool:
    """Also where the file system knows no such locks: a backup sees at its end whether something is missing."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
