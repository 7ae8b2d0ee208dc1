"""This player's credential, on disk."""

import os
import secrets
from pathlib import Path

FILE = "token"


def load(state: Path) -> str | None:
    try:
        return (state / FILE).read_text().strip() or None
    except FileNotFoundError:
        return None


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
