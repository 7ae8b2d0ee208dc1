"""Databases that many tests begin with. One is made once a process and then copied: to make it takes longer than many a
test."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

from hub.store.database import Database

Cast = TypeVar("Cast")


class Furnished(Generic[Cast]):
    """A SQLite database in which `furnish` has put somebody; whoever that is, is the answer of each copy."""

    def __init__(self, furnish: Callable[[Database], Awaitable[Cast]]) -> None:
        self._furnish = furnish
        self._made: tuple[bytes, Cast] | None = None

    async def copy(self, path: Path) -> Cast:
        """A database of the caller's own at `path`."""
        if self._made is None:
            self._made = await self._make()
        file, cast = self._made
        _write(path, file)
        return cast

    async def _make(self) -> tuple[bytes, Cast]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "hub.db"
            db = Database(f"sqlite:///{path}")
            await db.start()
            cast = await self._furnish(db)
            await db.stop()  # which leaves no log beside the file
            return path.read_bytes(), cast


def _write(path: Path, file: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file)
