"""Files of this agent that cannot be read: kept under another name for whoever wants to know why, and out of the way,
so that a device is never dark for a disk that has lost something."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

KEPT = 3  # of each file; the disk of a device is small, and a disk that fails does so again and again
DAMAGED = ".damaged-"


def put_aside(path: Path, why: str, *, endings: Sequence[str] = ()) -> None:
    """Rename a file or folder, and those beside it whose names are longer by one of `endings`, to `NAME.damaged-N`; the
    oldest of these makes room. Raises OSError."""
    places = [path.with_name(f"{path.name}{DAMAGED}{number}") for number in range(1, KEPT + 1)]
    place = next((one for one in places if not os.path.lexists(one)), None) or min(places, key=_age)
    for ending in ("", *endings):
        source, target = path.with_name(path.name + ending), place.with_name(place.name + ending)
        remove(target)
        if os.path.lexists(source):
            source.rename(target)
    log.error("%s cannot be used and is %s now: %s", path, place.name, why)


def _age(path: Path) -> int:
    return path.lstat().st_ctime_ns


def remove(path: Path) -> None:
    """A file or a folder with all in it, or nothing. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        from shutil import rmtree  # with three libraries of compression: a megabyte that an agent rarely needs

        rmtree(path)
    else:
        path.unlink(missing_ok=True)
