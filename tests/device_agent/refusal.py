"""A disk that refuses: for one process as by a quota, for a folder by being full, for a journal's table by SQLite."""

import contextlib
import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

FOLDER_BYTES = 4 << 20
SIZES = (1 << 16, 1 << 12, 1)  # of the pieces with which a disk is filled up to its last byte


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of its own at `folder`; None where that may not be had (it takes root)."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FOLDER_BYTES}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Nothing more fits on the file system of `folder`."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in SIZES:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def forbidden(pid: int) -> Iterator[None]:
    """The process may write to no file; its pipes and sockets are none."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def refused(journal: Path, when: str) -> Iterator[None]:
    """Writes to the journal fail, such as `INSERT ON entry`."""
    _alter(journal, f"CREATE TRIGGER refusal BEFORE {when} BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    try:
        yield
    finally:
        _alter(journal, "DROP TRIGGER refusal")


def _alter(journal: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(os.fspath(journal), timeout=30)) as db, db:
        db.execute(statement)
