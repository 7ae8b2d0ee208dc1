"""Files that are read without some of their bytes, and with others in place of them."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, BinaryIO


class Ranges:
    """Parts of a file, which `reader` reads as if they were all of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._ranges: list[tuple[int, int] | bytes] = []

    def copy(self) -> "Ranges":
        other = Ranges(self._file)
        other._ranges = list(self._ranges)
        return other

    def add(self, start: int, end: int | None) -> None:
        """Up to before `end`, or to the end of the file."""
        start, end = min(start, self._size), self._size if end is None else min(end, self._size)
        last = self._ranges[-1] if self._ranges else None
        if isinstance(last, tuple) and last[1] == start:
            start = last[0]
            self._ranges.pop()
        self._ranges.append((start, end))

    def put(self, data: bytes) -> None:
        """Bytes that are not the file's."""
        self._ranges.append(data)

    def replaced(self, start: int, end: int, data: bytes) -> "Ranges":
        """The same with `data` in the place of these bytes of the file, which are within one of the parts."""
        other = Ranges(self._file)
        for each in self._ranges:
            if isinstance(each, tuple) and each[0] <= start and end <= each[1]:
                other._ranges += [(each[0], start), data, (end, each[1])]
            else:
                other._ranges.append(each)
        return other

    def reader(self) -> BinaryIO:
        return io.BufferedReader(_Parts(self._file, self._ranges), 65_536)


class _Parts(io.RawIOBase):
    def __init__(self, file: BinaryIO, ranges: Sequence[tuple[int, int] | bytes]) -> None:
        self._file = file
        self._ranges = ranges
        sizes = (len(each) if isinstance(each, bytes) else each[1] - each[0] for each in ranges)
        self._starts = [0, *accumulate(sizes)]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._starts[-1]:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        part, within = self._ranges[number], self._at - self._starts[number]
        size = min(self._starts[number + 1] - self._at, len(buffer))
        if isinstance(part, bytes):
            data = part[within : within + size]
        else:
            self._file.seek(part[0] + within)
            data = self._file.read(size)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
