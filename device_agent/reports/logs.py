"""The last log lines in memory, so that they can be asked for; the disk of a device is not worn out by logging."""

import logging
import re
from collections import deque
from typing import Any

LINES = 1000
"""A day of a healthy agent; at 500 characters each, half a megabyte at most."""

LONGEST = 500


class RecentLines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=LINES)
        self.setFormatter(LINE_FORMAT)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record)[:LONGEST])
        except Exception:
            self.handleError(record)

    def text(self, lines: int | None = None) -> str:
        """The last `lines` lines, oldest first."""
        kept = list(self._lines)
        return "".join(f"{line}\n" for line in (kept if lines is None else kept[-lines:]))


class _Lines(logging.Formatter):
    """One line a record, whatever others wrote into it; a traceback has its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return for_terminal(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return for_terminal(super().formatException(ei), keep="\n\t")


_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def for_terminal(text: str, keep: str = "") -> str:
    """Text from anywhere for a terminal or a log: what could move the cursor, colour, turn or forge lines is written
    as `\\u001b`. `keep` may name line breaks and tabs."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)


LINE_FORMAT = _Lines("%(asctime)s %(levelname)s %(name)s: %(message)s")
