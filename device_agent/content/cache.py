"""The files that this device plays, by the SHA-256 of their bytes: complete and checked, or not there.

A file that is coming in has `.part` at the end of its name and is gone on with later. When room is needed, what was not
used for the longest time goes first.
"""

import os
import threading
from collections.abc import Collection
from pathlib import Path

from device_agent.aside import put_aside, remove
from device_agent.content.download import DownloadFault, fetch_file
from device_agent.content.program import Asset

PART = ".part"

RESERVE_BYTES = 16_000_000
RESERVE_SHARE = 0.05
"""What stays free on the disk, the smaller of the two: journal and manifest need a few megabytes, and without a journal
no command is taken."""


class Cache:
    """`limit_bytes` is for all files together."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes

    def find(self, asset: Asset) -> Path | None:
        """Where the asset's file is; None when it is not here."""
        assert asset.sha256 is not None
        path = self._folder / asset.sha256
        try:
            if path.stat().st_size != asset.size:
                return None
            os.utime(path)  # used now
        except OSError:
            return None
        return path.absolute()

    def fetch(self, hub_url: str, token: str, asset: Asset, keep: Collection[str], stop: threading.Event) -> None:
        """Have the asset's file here. `keep` are the hashes that must stay. Blocks; not for two threads and one file at
        a time, which would both write to its end. Raises DownloadFault."""
        if self.find(asset) is not None:
            return
        assert asset.sha256 is not None
        path = self._folder / asset.sha256
        part = path.with_name(path.name + PART)
        try:
            if os.path.lexists(self._folder) and not self._folder.is_dir():
                put_aside(self._folder, "it is no folder")
            self._folder.mkdir(parents=True, exist_ok=True)
            for one in (path, part):
                if one.is_dir():
                    remove(one)
            self._make_room(asset.size, {asset.sha256, *keep})
            fetch_file(hub_url, token, asset, part, stop)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(self._folder)
        except OSError as error:
            raise DownloadFault(f"the file is not stored: {error}") from None

    def _make_room(self, size: int, keep: Collection[str]) -> None:
        """Delete what was used longest ago until `size` more bytes fit. What is `keep`t counts, and stays."""
        found = []
        for path in self._folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:  # another download is complete now, and its `.part` is no more
                continue
            found.append((status.st_mtime, status.st_size, path))
        coming = sum(length for _, length, path in found if path.suffix == PART and path.stem in keep)
        used = sum(length for _, length, _ in found) - coming
        limit = min(self._limit, used + coming + _spare_bytes(self._folder))
        for _, length, path in sorted(found):
            if used + size <= limit:
                return
            if path.name.removesuffix(PART) not in keep:
                path.unlink(missing_ok=True)
                used -= length
        if used + size > limit:
            raise DownloadFault(
                f"{size:,} bytes more do not fit into the {limit:,} of the cache", final=limit == self._limit
            )


def _spare_bytes(folder: Path) -> int:
    """What the disk has free beyond the reserve; negative when that is touched."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize - min(RESERVE_BYTES, int(disk.f_blocks * disk.f_frsize * RESERVE_SHARE))


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file's content: after a power cut it is the old or the new one, never a part. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)  # a part would fill the disk further
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
