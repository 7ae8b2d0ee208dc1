"""What the hub keeps is its own user's alone: folders 0700, files 0600.

The programs set UMASK, so that all that is new is so. What was left open, by an earlier version or by somebody's hand,
is closed at a start.
"""

import logging
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from hub.domain.errors import CannotStart

log = logging.getLogger(__name__)

UMASK = 0o077
WALK_LIMIT = 200_000  # things looked at in one folder, some seconds of a start; what is beyond is in a closed folder

_FILES = ("hub.db", "hub.db-wal", "hub.db-shm", "hub.lock", "hub.mark")
_FOLDERS = ("blobs", "exports", "incoming", "uploads")


def open_data_folder(folder: Path) -> None:
    """Have a data folder, with nothing of the hub's in it open to other users. Raises CannotStart.

    A folder that holds folders of others is not the hub's to close: it may be /etc, named by mistake."""
    open_folder("data folder", folder)
    own, within = [folder / name for name in _FILES], [folder / name for name in _FOLDERS]
    if not _is_shared(folder):
        own.insert(0, folder)
    elif _is_open(folder):
        log.warning("the data folder %s stays open to other users: it holds other folders than the hub's", folder)
    close_to_others("data folder", folder, *own, within=within)


def _is_shared(folder: Path) -> bool:
    return any(
        entry.is_dir() and entry.name not in (*_FOLDERS, "lost+found") and not entry.name.startswith(".")
        for entry in folder.iterdir()
    )


def has_run(folder: Path) -> bool:
    """Whether a hub has run on this data folder."""
    return any((folder / name).exists() for name in _FOLDERS)


def open_folder(what: str, folder: Path) -> None:
    """Have a folder that can be written to. Raises CannotStart."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise CannotStart(f"The {what} {folder} is not a folder.") from None
    except OSError as error:
        raise CannotStart(f"The {what} {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise CannotStart(f"The {what} {folder} cannot be written to by {_user(os.geteuid())}.")


def open_lock(path: Path) -> IO[bytes]:
    """A file to hold a lock on, made where there is none. Raises OSError, at once for a pipe that nobody reads."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600), "wb", buffering=0)


def identity(path: Path) -> tuple[int, int] | None:
    """What the name leads to: (device, inode); None: to nothing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def close_to_others(what: str, place: Path, *things: Path, within: Iterable[Path] = ()) -> None:
    """Take from other users what they may do with `things` that exist, and with all that is in the open folders
    `within`, and say so in one line. A link is followed where it stands for one of these, and not further down.

    What belongs to another user is left as it is, and so is a folder that many users share (/tmp); that is said too."""
    closed = 0
    stuck: Path | None = None
    for path in _open_ones(things, within):
        try:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~UMASK)
            closed += 1
        except FileNotFoundError:
            pass
        except OSError:
            stuck = stuck or path
    if closed:
        log.warning(
            "the %s %s was open to other users; %d of its files and folders are closed now", what, place, closed
        )
    if stuck is not None:
        log.warning("the %s %s is open to other users; only %s can close it", what, stuck, _owner(stuck))


def _open_ones(things: Iterable[Path], within: Iterable[Path]) -> Iterator[Path]:
    """Each folder before what is in it: closed first, nobody slips in meanwhile."""
    for path in things:
        if _is_open(path):
            yield path
    for folder in within:
        if _is_open(folder):
            yield folder
            yield from (path for path in islice(_below(folder), WALK_LIMIT) if not path.is_symlink() and _is_open(path))


def _is_open(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode) and (mode & stat.S_ISVTX or path.samefile(path.absolute().anchor)):
        log.warning("%s is a folder that many users share; a folder of its own would be safer", path)
        return False
    return bool(mode & UMASK)


def _below(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        yield from (Path(where, name) for name in folders + files)


def _owner(path: Path) -> str:
    try:
        return _user(path.stat().st_uid)
    except OSError:
        return "its owner"


def _user(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"
