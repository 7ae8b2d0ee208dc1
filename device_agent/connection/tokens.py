"""This player's credential, on disk."""

import logging
import os
import secrets
from pathlib import Path

from device_agent.aside import put_aside

FILE = "token"
LONGEST = 1_000  # characters

log = logging.getLogger(__name__)


def load(state: Path) -> str | None:
    """The token; None: there is none, and the device is paired. One that is damaged is put aside."""
    path = state / FILE
    try:
        if path.is_dir():
            put_aside(path, "it is a folder")
            return None
        token = path.read_bytes()[: LONGEST + 2].decode("ascii", "replace").strip()
        if is_token(token) or not token:
            return token or None
        put_aside(path, "there is no token in it")
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("the token in %s cannot be read: %s", path, error.strerror)
    return None


def is_token(text: str) -> bool:
    """Whether it can be sent as one."""
    return 0 < len(text) <= LONGEST and text.isascii() and text.isprintable() and " " not in text


def store(state: Path, token: str) -> None:
    """Replace the token: on disk, readable by this user alone, and never half of it."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = state / f".{FILE}-{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, state / FILE)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(state, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
